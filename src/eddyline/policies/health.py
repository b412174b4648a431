"""Whether a line answers at all: answers, exceptions and numbers that are not finite, over the newest answers.

Kept in two blocks, so that a million good answers do not hide a hundred failures, and so that memory is five numbers a
line. Keeps `split`. Refuses to know what is done about it.
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 500
"""Shares are over the newest 500 to 1,000 answers."""
AT_LEAST = 100
"""A share is taken over at least so many answers: the first failure of all is not 100 %."""

Plain = list[list[int]]


@dataclass(frozen=True, slots=True)
class Health:
    """How a line did lately: of `answers` asked for, `exceptions` raised and `not_finite` were NaN or infinite.

    `latency_ms` is the worst that an engine reported, None where none did.

    >>> Health(answers=20, exceptions=1).share("exceptions"), Health(answers=1_000, not_finite=5).share("not_finite")
    (0.01, 0.005)
    """

    answers: int = 0
    exceptions: int = 0
    not_finite: int = 0
    latency_ms: float | None = None

    def share(self, of: str) -> float:
        """The share of "exceptions" or "not_finite" among the answers, over at least 100 of them."""
        count: int = getattr(self, of)
        return count / max(self.answers, AT_LEAST)


class Pulse:
    """Counts the newest answers of one line, failures among them.

    >>> pulse = Pulse()
    >>> pulse.add(); pulse.add("exception"); pulse.health()
    Health(answers=2, exceptions=1, not_finite=0, latency_ms=None)
    """

    __slots__ = ("blocks",)

    def __init__(self) -> None:
        self.blocks: Plain = [[0, 0, 0], [0, 0, 0]]

    def add(self, fault: str | None = None) -> None:
        """Counts an answer: `fault` is None, "exception" or "not_finite"."""
        block = self.blocks[1]
        if block[0] == BLOCK:
            self.blocks = [block, [0, 0, 0]]
            block = self.blocks[1]
        block[0] += 1
        if fault is not None:
            block[1 if fault == "exception" else 2] += 1

    def answered(self, many: int) -> None:
        """Counts so many answers without a failure: the same as adding them one by one."""
        while many:
            block = self.blocks[1]
            if block[0] == BLOCK:
                self.blocks = [block, [0, 0, 0]]
                block = self.blocks[1]
            taken = min(many, BLOCK - block[0])
            block[0] += taken
            many -= taken

    def health(self, latency_ms: float | None = None) -> Health:
        """The newest 500 to 1,000 answers."""
        before, newest = self.blocks
        return Health(before[0] + newest[0], before[1] + newest[1], before[2] + newest[2], latency_ms)

    def plain(self) -> Plain:
        """Everything as plain values."""
        return [list(block) for block in self.blocks]

    @classmethod
    def of(cls, plain: Plain) -> Pulse:
        """The counts that `plain` described."""
        pulse = cls()
        pulse.blocks = [list(block) for block in plain]
        return pulse
