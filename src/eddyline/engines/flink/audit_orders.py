"""Orders of arrival: whether there is one in which the embedded join makes exactly this of an answer and its labels.

Event time moves in ticks between the records: to each label's own time, to each horizon. A tick up to the time that event
time came to for sure must be heard; one beyond may be. All orders of a few records are tried, those first in which nobody
came behind event time. A rule that is checked instead of a difference that is ignored.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from eddyline.engines.flink.join import IdMemory, OneAnswer
from eddyline.records import Arrival, DeadLetter, Example, Reason, Watermark
from eddyline.stages.join import Joined, JoinStage
from eddyline.stages.refuse import refuse

MOST = 4
"""How many labels of one id are tried in every order."""
_TOO_LATE = "it corrects a truth, and it arrived after event time had passed the horizon; declare join=Join(lateness=...)"


class Order(enum.Enum):
    """What it takes for the recorded outcome to be right."""

    IN_TIME = "only what still waits differs"
    DISORDERED = "a label came further out of order than is declared"
    OVERTAKEN = "event time had passed a punctual record: a topic was quiet, and was not waited for"


Record = tuple[Arrival | None, int, bool]
"""A label, or None for the answer; its time; whether it kept the declared order."""


def explained(
    stage: JoinStage,
    event_id: str,
    asked: int | None,
    labels: Sequence[tuple[Arrival, bool]],
    found: Counter[bytes],
    until: int,
    outcome: Callable[[Joined], bytes | None],
) -> Order | None:
    """The mildest kind of order that makes `found` of the answer at `asked` and the labels; None when none does."""
    if len(labels) > MOST:
        return None
    records: list[Record] = [(label, label.at, punctual) for label, punctual in labels]
    if asked is not None:
        records.append((None, asked, True))
    times = {at + stage.wait_us for _, at, _ in records} | {at for label, at, _ in records if label is not None}
    ticks = sorted(times | {until})
    kinds = (
        (Order.IN_TIME, lambda record, now: record[1] > now),
        (Order.DISORDERED, lambda record, now: record[1] > now or not record[2]),
        (Order.OVERTAKEN, lambda record, now: True),
    )
    for kind, may_come in kinds:
        for order in _orders(records, ticks, until, may_come):
            if _made(stage, event_id, order, outcome) == found:
                return kind
    return None


def _orders(
    records: list[Record], ticks: list[int], until: int, may_come: Callable[[Record, int], bool]
) -> Iterator[list[Record | int]]:
    """Every order of the records and a beginning of the ticks, in which each record may come when it does."""

    def go(left: list[Record], heard: int, so_far: list[Record | int]) -> Iterator[list[Record | int]]:
        if not left and (heard == len(ticks) or ticks[heard] > until):
            # What is held and already due is let go: a label that came behind event time may not vanish at the end.
            yield [*so_far, ticks[heard - 1]] if heard else so_far
        if heard < len(ticks):
            yield from go(left, heard + 1, [*so_far, ticks[heard]])
        now = ticks[heard - 1] if heard else -(2**62)
        for place, record in enumerate(left):
            if record not in left[:place] and may_come(record, now):
                yield from go(left[:place] + left[place + 1 :], heard, [*so_far, record])

    return go(records, 0, [])


def _made(
    stage: JoinStage, event_id: str, order: list[Record | int], outcome: Callable[[Joined], bytes | None]
) -> Counter[bytes]:
    """What the stage makes of one id in this order."""
    state, memory, made = stage.new_state(), IdMemory(), Counter[bytes]()
    ledger = OneAnswer(event_id, memory, stage.wait_us)
    now = -(2**62)
    for one in order:
        if isinstance(one, int):
            now = one
            joined = stage.step(state, ledger, [Watermark(one)])  # type: ignore[arg-type]
        elif one[0] is None:
            memory.body, memory.at = b"answered", one[1]
            joined = stage.step(state, ledger, [ledger.prediction(0)])  # type: ignore[arg-type]
        else:
            joined = stage.step(state, ledger, [one[0]])  # type: ignore[arg-type]
        gone = memory.body is not None and memory.at + stage.wait_us <= now and not isinstance(one, int)
        for what in joined:
            said = outcome(_too_late(what) if gone and type(what) is Example and what.revision else what)
            if said is not None:
                made[said] += 1
    return made


def _too_late(example: Example) -> DeadLetter:
    """A correction after the horizon: Flink no longer has the prediction, and says so in a dead letter."""
    event_id = example.prediction.event_id
    shown = {"id": event_id, "truth": example.truth, "at": example.at}
    return refuse("labels", Reason.LABEL_LATE, _TOO_LATE, shown, event_id=event_id)
