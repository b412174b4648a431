"""The asyncio way in: calls of one event loop that come together share one commit.

Each loop has a door of its own, so that no future is touched from another loop's thread; the engine lets the doors in one
after the other. What ends a program (`sys.exit()` in a user's function) reaches each caller of its batch. Knows nothing of
what is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Asked = TypeVar("Asked")
Told = TypeVar("Told")
TOGETHER = 1000
"""How many calls share a commit at most."""


class Twins(Generic[Asked, Told]):
    """Hands calls over in batches: `take` is called in a thread, with what came meanwhile, and says for each what it came to.

    What it came to is a result, or an exception for that caller alone. An exception out of `take` is for all of the batch.
    """

    def __init__(self, take: Callable[[Sequence[Asked]], Sequence[Told | Exception]]) -> None:
        self._take = take
        self._doors: WeakKeyDictionary[asyncio.AbstractEventLoop, _Door[Asked, Told]] = WeakKeyDictionary()

    async def ask(self, asked: Asked) -> Told:
        """What one call came to."""
        loop = asyncio.get_running_loop()
        door = self._doors.get(loop)
        if door is None:
            door = self._doors[loop] = _Door(self._take)
        return await door.ask(asked)


class _Door(Generic[Asked, Told]):
    """What waits in one loop. Only that loop's thread comes here."""

    def __init__(self, take: Callable[[Sequence[Asked]], Sequence[Told | Exception]]) -> None:
        self._take = take
        self._waiting: list[tuple[Asked, asyncio.Future[Told]]] = []
        self._drainer: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Told:
        future: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._drainer is None or self._drainer.done():
            self._drainer = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            futures = [future for _, future in batch]
            try:
                results = await asyncio.to_thread(self._take, [asked for asked, _ in batch])
            except asyncio.CancelledError:
                for future in futures:
                    future.cancel()
                raise
            except BaseException as error:  # it is raised where somebody waits, and not in this task
                for future in futures:
                    _fail(future, error)
                continue
            for future, result in zip(futures, results, strict=True):
                if isinstance(result, Exception):
                    _fail(future, result)
                elif not future.done():
                    future.set_result(result)


def _fail(future: asyncio.Future[Told], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
