"""The program in docs/serving.md: it answers, learns, refuses in words, obeys operators, and is alone on its store."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eddyline import Engine
from eddyline.records.errors import StoreLocked
from eddyline.stages.commands import Command
from eddyline.views.operate import ask

pytest.importorskip("fastapi", reason="the page was not run: fastapi is not installed")
PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
Post = Callable[[str, dict[str, object]], Awaitable[tuple[int, Any]]]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The page's files, imported as their reader would."""
    blocks = re.findall(r"^`(\w+\.py)`\..*?^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == ["fraud.py", "service.py"]
    for name, code in blocks:
        (tmp_path / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("fraud", "service"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("service")
    for name in ("fraud", "service"):
        sys.modules.pop(name, None)


def served(service: Any, talk: Callable[[Post], Awaitable[None]]) -> None:
    """Runs the application while somebody talks to it, as a server does: by ASGI."""

    async def post(path: str, document: dict[str, object]) -> tuple[int, Any]:
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [], "http_version": "1.1"}
        body = {"type": "http.request", "body": json.dumps(document).encode(), "more_body": False}
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return body

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await service.app(scope, receive, send)
        raw = b"".join(message.get("body", b"") for message in sent)
        return int(sent[0]["status"]), json.loads(raw) if raw else None

    async def live() -> None:
        async with service.running(service.app):
            await talk(post)

    asyncio.run(live())


def payment(i: int, amount: object = 12.5) -> dict[str, object]:
    return {"id": f"p-{i}", "card": "c-1", "at": f"2026-03-02T10:00:{i:02}Z", "amount": amount}


def test_it_answers_learns_and_refuses_in_words(service: Any) -> None:
    async def talk(post: Post) -> None:
        status, first = await post("/payments", payment(1))
        assert (status, first["version"]) == (200, "fraud@0")
        label: dict[str, object] = {"id": "p-1", "at": "2026-03-02T11:00:00Z", "fraud": True}
        assert await post("/chargebacks", label) == (204, None)
        answers = await asyncio.gather(*(post("/payments", payment(i)) for i in range(2, 22)))
        assert {(status, answer["version"]) for status, answer in answers} == {(200, "fraud@1")}
        assert await post("/payments", payment(1)) == (200, first)
        status, refused = await post("/payments", payment(30, "much"))
        assert (status, refused["reason"]) == (422, "invalid")
        assert "amount" in refused["detail"]

    served(service, talk)


def test_it_takes_what_operators_ask_for_and_nobody_else_writes(service: Any) -> None:
    async def talk(post: Post) -> None:
        await post("/payments", payment(1))
        command = Command(to="fraud@0", author="ana", reason="a test")
        came = await asyncio.to_thread(ask, service.fraud, Path("fraud.eddyline"), command)
        assert came.by_running_engine
        _, answer = await post("/payments", payment(2))
        assert answer["rollout"] == 1
        with pytest.raises(StoreLocked):
            Engine(service.fraud, "fraud.eddyline")

    served(service, talk)
