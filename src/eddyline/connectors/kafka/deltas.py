"""The versions of a line, one after the other, each whole or as what changed since the one before; and how they are read.

A version is told as a patch where that is clearly smaller, and whole every so many versions, so that nobody has to read far.
Reading one goes back to the nearest whole version and puts the patches on, oldest first. Each patch names the bytes that it
belongs on by their digest, and each version its own: what comes out is what was published, or an error (`still`). Nobody may
count on their order in a topic: several sinks write it, and a version that is sent again lies behind those made from it.

Refuses to know Kafka, and models: bytes in, bytes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.wire import AGAIN, Base, Told
from eddyline.records import ModelVersion
from eddyline.records.errors import SourceError

WORTH = 16 << 10
"""Below so many bytes a state is told whole: there is nothing to save."""
LARGEST = 1 << 27
"""Above so many bytes, base and state together, a state is told whole: a patch reaches no further back."""
MESSAGE = (64 << 20) - 4096
"""Above so many bytes no topic of ours takes a message: the version is told without its state, and why."""
CLEARLY = 0.5
"""A patch is told where it takes at most this part of the whole."""
WHOLE_EVERY = 20


class Chain:
    """What one line publishes, in order. `whole_every` versions make a round, which begins with a whole one.

    Where a patch turns out to save nothing, none is tried in the rest of the round: a forest that changes everywhere does not
    pay for patches that nobody is told. Keeps the state that was told last, and no more; whoever starts anew starts whole.

    >>> from hashlib import shake_128
    >>> chain, state = Chain(whole_every=3), shake_128(b"weights").digest(20_000)
    >>> states = [state[:n] + b"!" + state[n:] for n in range(4)]
    >>> messages = [chain.told(ModelVersion("m", n, "d", "r", None, "f"), s) for n, s in enumerate(states)]
    >>> [wire.peek_version(message).base for message in messages]
    [None, 0, 1, None]
    >>> reader = Reader()
    >>> [reader.version(message, lambda line, n: [messages[n]])[1] for message in messages] == states
    True
    """

    def __init__(self, whole_every: int = WHOLE_EVERY, limit: int = MESSAGE) -> None:
        self.whole_every, self.limit = whole_every, limit
        self.base: Base | None = None
        self.round = 0
        self.trying = True
        self.share = 1.0

    def told(self, version: ModelVersion, state: bytes, like: str | None = None) -> bytes:
        """The message of the next version."""
        raw, base = None, self.base
        if base is not None and self.round < self.whole_every and self.trying and _worth(base.state, state):
            raw = wire.encode_version(version, state, like=like, base=base)
            if len(raw) > CLEARLY * self.share * len(state):
                raw, self.trying = None, False
        if raw is None:
            raw = wire.encode_version(version, state, self.limit, like=like)
            self.share = len(raw) / max(1, len(state))
            if not wire.peek_version(raw).whole:
                self.base = None
                return raw
            if self.round >= self.whole_every:
                self.round, self.trying = 0, True
        self.base = Base(version.position, state)
        self.round += 1
        return raw


def _worth(base: bytes, state: bytes) -> bool:
    return len(state) >= WORTH and len(base) + len(state) <= LARGEST


Stored = Callable[[str, int], Iterable[bytes]]
"""The messages that there are of a line's version at a position: none, one, or several where it was sent again."""


class Heard(NamedTuple):
    """A message, and what it says of its version."""

    told: Told
    body: bytes

    @classmethod
    def of(cls, body: bytes) -> Heard:
        """A message as it was heard."""
        return cls(wire.peek_version(body), body)


def links(raw: bytes, stored: Stored) -> list[Heard]:
    """The messages from which a version is made: a whole one, and the patches after it, this one last.

    Raises `SourceError` when one of them is not there.
    """
    found = [Heard.of(raw)]
    while not (told := found[-1].told).whole:
        base = None if told.base is None else _base(told, stored)
        if told.left_out is not None:
            raise SourceError(f"{told.model}@{told.position} is told without its state: {told.left_out}\n{AGAIN}")
        if base is None:
            raise SourceError(
                f"{told.model}@{told.position} is told as what changed since {told.model}@{told.base}, which is not there\n"
                "take a version that is told whole, or make this one again from the examples"
            )
        found.append(base)
    found.reverse()
    return found


def _base(told: Told, stored: Stored) -> Heard | None:
    assert told.base is not None, "a whole version needs no other"
    return next((heard for heard in map(Heard.of, stored(told.model, told.base)) if heard.told.sum == told.base_sum), None)


class Reader:
    """Reads versions, whole or not, one after the other.

    Keeps the state of the version that it read last of each line, since the next one is likely told as what changed since.
    """

    def __init__(self) -> None:
        self.last: dict[str, tuple[str, bytes]] = {}

    def version(self, raw: bytes, stored: Stored) -> tuple[ModelVersion, bytes]:
        """The version of a message, and its state, from wherever messages are stored.

        Raises `SourceError` where one that it takes is missing, or was changed.
        """
        return self.made(links(raw, stored))

    def made(self, messages: Sequence[Heard]) -> tuple[ModelVersion, bytes]:
        """The version of the last of these messages, as `links` gives them, and its state."""
        known, state = self.last.get(messages[-1].told.model, ("", b""))
        begins = max((number for number, one in enumerate(messages) if one.told.base_sum == known), default=0)
        for message in messages[begins:]:
            version, state = wire.decode_version(message.body, state)
        self.last[version.model] = wire.sum_of(state), state
        return version, state

    def whole(self, raw: bytes, stored: Stored) -> bytes:
        """The message of the same version that can be read by itself. Raises `SourceError` where it cannot be read at all."""
        (version, state), told = self.version(raw, stored), wire.peek_version(raw)
        return raw if told.whole else wire.encode_version(version, state, like=told.like)
