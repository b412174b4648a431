"""The watchdog: says, while it lasts, which model does not come back, from which event, and in which line of its code.

A thread cannot be ended from outside in Python, so a model that never returns holds up everybody until somebody ends the
process; this is for the person who has to. A thread of its own looks at the stack of the thread that runs the loop, once a
second. Where the model holds Python's lock (a regular expression that tries for ever), no other thread can look: then
`faulthandler`, which needs no lock, writes the stack. It sees names and changes nothing; it has no say in what is decided.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Self

LIMIT_S = 30.0
"""How long one model may work on one event before it is spoken of."""
LOOK_S = 1.0
STAGES = "eddyline.stages."


@dataclass(frozen=True, slots=True)
class Held:
    """Where the loop is held up: by whom, at which event, for how long, and the lines of code, innermost last."""

    who: str
    event_id: str
    seconds: float
    lines: str

    def sentence(self) -> str:
        """What a person has to know, and what to type."""
        who = self.who or "something"
        where = f"event {self.event_id!r}" if self.event_id else "one record"
        return (
            f"{who} has been at {where} for {self.seconds:.0f} s, and nothing is answered meanwhile; it is here:\n{self.lines}"
            "it cannot be stopped from outside. End this process; what was acknowledged is kept:\n"
            f"  kill -9 {os.getpid()}\n"
            f"then, before the next start, take its seat away: eddyline challengers FILE --leave {self.who or 'NAME'}\n"
            "where it is the champion, let another version answer: eddyline rollback FILE VERSION"
        )


class Watchdog:
    """Looks after the thread that makes it. Use it as a context manager around a run.

    `limit_s` is how long one model may take for one event; `say` is called with a sentence when it takes longer, and again
    whenever that time has doubled. `seconds` is for how long the present call has lasted, for the metrics.

    >>> said = []
    >>> with Watchdog(said.append, limit_s=30.0) as dog:
    ...     dog.seconds
    0.0
    >>> said
    []
    """

    def __init__(self, say: Callable[[str], None], *, limit_s: float = LIMIT_S, look_s: float = LOOK_S) -> None:
        self.say, self.limit_s, self.look_s = say, limit_s, look_s
        self._watched = threading.get_ident()
        self._call: tuple[FrameType, float] | None = None
        self._say_at = limit_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="eddyline-watchdog", daemon=True)

    @property
    def seconds(self) -> float:
        """For how long one call has lasted; 0 where it is shorter than a look or two."""
        call = self._call
        return 0.0 if call is None else time.monotonic() - call[1]

    def __enter__(self) -> Self:
        self._arm()  # before the first look: the first event may be the one that holds the lock
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _work(self) -> None:
        while not self._closing.wait(self.look_s):
            self._arm()
            held = self._look()
            if held is not None and held.seconds >= self._say_at:
                self._say_at = 2 * held.seconds
                self.say(held.sentence())

    def _arm(self) -> None:
        """Puts off the dump of all stacks: it comes when this thread could not run for so long."""
        if sys.__stderr__ is not None:
            faulthandler.dump_traceback_later(self.limit_s + self.look_s, file=sys.__stderr__)

    def _look(self) -> Held | None:
        """The call that was under way at the last look, where it still is."""
        innermost = sys._current_frames().get(self._watched)
        frame = innermost
        while frame is not None and not frame.f_globals.get("__name__", "").startswith(STAGES):
            frame = frame.f_back
        if innermost is None or frame is None:
            self._call = None
            return None
        if self._call is None or self._call[0] is not frame:
            self._call, self._say_at = (frame, time.monotonic()), self.limit_s
            return None
        who, event_id = told_by(frame)
        lines = "".join(traceback.format_list(traceback.extract_stack(innermost, limit=8)))
        return Held(who, event_id, self.seconds, lines)


def told_by(frame: FrameType | None) -> tuple[str, str]:
    """Who is asked or learns in a call of a stage, and about which event, as far as its variables tell."""
    who = event_id = ""
    while frame is not None and frame.f_globals.get("__name__", "").startswith(STAGES):
        seen = frame.f_locals
        for name, word in (("seat", "who"), ("state", "name"), ("voice", "name")):
            who = who or str(getattr(seen.get(name), word, "") or "")
        for name in ("given", "prediction", "arrival", "event"):
            about = seen.get(name)
            event_id = event_id or str(getattr(about, "event_id", "") or getattr(about, "id", "") or "")
        example = getattr(seen.get("example"), "prediction", None)
        event_id = event_id or str(getattr(example, "event_id", ""))
        frame = frame.f_back
    return who, event_id
