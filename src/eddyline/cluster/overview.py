"""What a JobManager says of itself over REST, as far as a cluster must know it."""

from __future__ import annotations

import urllib.request
from http.client import HTTPException
from typing import TypeVar

import msgspec

Answer = TypeVar("Answer")

_ASK_SECONDS = 2.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows no 127.0.0.1 of ours


class Overview(msgspec.Struct, frozen=True):
    """TaskManagers that are connected, their slots, and the release of Flink."""

    taskmanagers: int
    slots: int = msgspec.field(name="slots-total")
    free: int = msgspec.field(name="slots-available")
    flink: str = msgspec.field(name="flink-version")


class _Connected(msgspec.Struct, frozen=True):
    id: str
    path: str


class _TaskManagers(msgspec.Struct, frozen=True):
    taskmanagers: list[_Connected]


def overview(rest: str) -> Overview | None:
    """Asks the JobManager at a URL; None when it does not answer within two seconds.

    >>> overview("http://127.0.0.1:1") is None
    True
    """
    return _ask(f"{rest}/overview", Overview)


def connected(rest: str) -> dict[str, str]:
    """The TaskManagers that the JobManager at a URL counts on, by id, with their addresses; none when it does not answer.

    One that died or froze is among them until its heartbeat is missed: ten seconds at most. The address tells a process
    from an earlier one of the same id.

    >>> connected("http://127.0.0.1:1")
    {}
    """
    seen = _ask(f"{rest}/taskmanagers", _TaskManagers)
    return {one.id: one.path for one in seen.taskmanagers} if seen is not None else {}


def _ask(url: str, answer: type[Answer]) -> Answer | None:
    try:
        with _DIRECT.open(url, timeout=_ASK_SECONDS) as reply:
            return msgspec.json.decode(reply.read(), type=answer)
    except (OSError, HTTPException, msgspec.DecodeError):  # a JobManager that starts answers with words before JSON
        return None
