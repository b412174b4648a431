"""Join: finds out what the truth was, by event id, in event time.

    what arrives                                        what comes out
    a label known within `wait` of its event            Example(known="label")
    the same truth again                                nothing (counted)
    another truth                                       Example(revision=1, 2, ...), never an overwrite
    a truth that was said and corrected before          nothing: no one can tell it from a label that is sent again
    a label before its event                            waits for it as long as a prediction would wait
    nothing within `wait`                               Example(known="absence") if `absent` is declared, else Unlabelled
    a label known after `wait`, or for no event         a dead letter that says so

Whether a label is late is judged by its own time, never by its arrival. Labels that a source may deliver out of order
(its `lateness`) are held until event time has passed them, so that "first" and "second" mean the same in every run.
Keeps `schedule`, `twice` and `whole`. Knows nothing of models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush
from typing import Any, Literal

import msgspec

from eddyline.ports import Ledger
from eddyline.records import LIMIT, Arrival, DeadLetter, Example, Prediction, Reason, Unlabelled, Watermark
from eddyline.records.errors import DeclarationError
from eddyline.records.time import BEGINNING, days, show_duration, show_instant, to_us
from eddyline.stages.refuse import refuse

Joined = Example | Unlabelled | DeadLetter
Held = tuple[int, str, bytes, bytes, Arrival]
"""A label that is held back, in the order of letting go: when it was known, its id, its truth, its other fields."""
GONE = 1
"""The mark of a prediction whose horizon passed."""
_INT_LIMIT = 2**63
_LONGEST = days(365_000)


class Unset(msgspec.Struct, frozen=True):
    """Nothing was declared: not even None."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


@dataclass(frozen=True, slots=True)
class Join:
    """How long a prediction waits for its truth, and what silence means.

    `wait` is in event time, from the event to the moment its truth became known. `absent` is the truth that silence
    stands for (no chargeback in seven days: not fraud); leave it out when silence means nothing, and the prediction is
    counted as unlabelled. `revisions="learn"` learns a corrected truth as one more example; the default only records it.
    `lateness` is how far out of order labels may arrive; they are held that long. At most `early` labels wait for events
    that have not come.

    >>> Join(wait=days(7), absent=False).sentence()
    'wait 7 days for the truth; silence means False'
    """

    wait: timedelta = timedelta(days=7)
    absent: Any = UNSET
    revisions: Literal["record", "learn"] = "record"
    lateness: timedelta = timedelta(0)
    early: int = 100_000

    def __post_init__(self) -> None:
        if not isinstance(self.wait, timedelta) or not timedelta(0) <= self.wait <= _LONGEST:
            raise DeclarationError(
                f"join: wait={self.wait!r} is not a duration of at most a thousand years\n"
                "write join=Join(wait=days(7)), with `from eddyline import days`"
            )
        if not isinstance(self.lateness, timedelta) or not timedelta(0) <= self.lateness <= _LONGEST:
            raise DeclarationError(
                f"join: lateness={self.lateness!r} is not a duration of at most a thousand years\nwrite lateness=minutes(5)"
            )
        if self.revisions not in ("record", "learn"):
            raise DeclarationError(f'join: revisions={self.revisions!r}\nwrite revisions="record" or revisions="learn"')
        if type(self.early) is not int or self.early < 0:
            raise DeclarationError(f"join: early={self.early!r} is not a number of labels\nwrite join=Join(early=100_000)")
        if self.absent is not UNSET and not _is_truth(self.absent):
            raise DeclarationError(
                f"join: absent={self.absent!r} is not a truth\n"
                "write what silence stands for, such as absent=False; leave it out where silence means nothing"
            )

    def sentence(self) -> str:
        """What it does, for people."""
        silence = "silence means nothing" if self.absent is UNSET else f"silence means {self.absent!r}"
        return f"wait {show_duration(to_us(self.wait))} for the truth; {silence}"


@dataclass(slots=True)
class JoinState:
    """Join's memory beside the ledger: labels that came before their event, labels held back, and counts."""

    early: dict[str, list[Arrival]] = field(default_factory=dict)
    early_due: list[tuple[int, str]] = field(default_factory=list)
    early_count: int = 0
    held: list[Held] = field(default_factory=list)
    frontier: int = BEGINNING
    watermark: int = BEGINNING
    revisions: dict[int, list[int]] = field(default_factory=dict)
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class JoinStage:
    """The pure step of `Join`."""

    wait_us: int
    lateness_us: int
    absent: Any
    early: int

    @classmethod
    def of(cls, join: Join) -> JoinStage:
        """The stage a declaration lowers to."""
        return cls(to_us(join.wait), to_us(join.lateness), join.absent, join.early)

    def new_state(self) -> JoinState:
        """The memory before the first record."""
        return JoinState()

    def step(self, state: JoinState, ledger: Ledger, batch: Sequence[Prediction | Arrival | Watermark]) -> list[Joined]:
        """Takes predictions, labels and watermarks in their order and gives what was found out."""
        out: list[Joined] = []
        for record in batch:
            kind = type(record)
            if kind is Arrival:
                self.label(state, ledger, record, out)  # type: ignore[arg-type]
            elif kind is Prediction:
                self.answered(state, ledger, record, out)  # type: ignore[arg-type]
            else:
                self._watermark(state, ledger, record.at, out)
        return out

    def answered(self, state: JoinState, ledger: Ledger, prediction: Prediction, out: list[Joined]) -> None:
        """Takes one prediction, which may have labels waiting for it."""
        for label in state.early.pop(prediction.event_id, ()):
            state.early_count -= 1
            self._apply(state, ledger, label, out)

    def next_due(self, state: JoinState, ledger: Ledger) -> int:
        """The event time at which a watermark would change something: nobody needs to tell an earlier one."""
        due = ledger.next_at() + self.wait_us
        if state.early_due and state.early_due[0][0] < due:
            due = state.early_due[0][0]
        if state.held and state.held[0][0] < due:
            due = state.held[0][0]
        return due

    def label(self, state: JoinState, ledger: Ledger, label: Arrival, out: list[Joined]) -> None:
        """Takes one label. What is found out is appended to `out`."""
        if type(label.truth) is int and not _is_truth(label.truth):
            detail = f"the truth {label.truth} is an integer beyond 64 bits; declare it as Truth[float] or Truth[str]"
            out.append(refuse("labels", Reason.OUT_OF_RANGE, detail, label.value, event_id=label.id))
            return
        if self.lateness_us == 0:
            self._apply(state, ledger, label, out)
            return
        heappush(state.held, held(label))
        if label.at > state.frontier:
            state.frontier = label.at
        self._release(state, ledger, state.frontier - self.lateness_us, out)

    def _release(self, state: JoinState, ledger: Ledger, until: int, out: list[Joined]) -> None:
        while state.held and state.held[0][0] <= until:
            self._apply(state, ledger, heappop(state.held)[-1], out)

    def _apply(self, state: JoinState, ledger: Ledger, label: Arrival, out: list[Joined]) -> None:
        slot = ledger.find(label.id)
        if slot is None:
            self._wait_for_event(state, label, out)
            return
        prediction, truth = ledger.prediction(slot), label.truth
        if abs(label.at - prediction.at) > self.wait_us:
            out.append(self._late(label, prediction.at))
            return
        mark = truth_mark(truth)
        settled = ledger.settle(slot, mark)
        if settled == 0:
            out.append(Example(prediction, truth, "label", label.at))
        elif settled == GONE:
            out.append(self._late(label, prediction.at))
        elif mark in state.revisions.get(slot, (settled,)):
            state.repeated += 1
        else:
            known = state.revisions.setdefault(slot, [settled])
            known.append(mark)
            out.append(Example(prediction, truth, "label", label.at, len(known) - 1))

    def _wait_for_event(self, state: JoinState, label: Arrival, out: list[Joined]) -> None:
        if label.at + self.wait_us <= state.watermark:
            out.append(self._unmatched(label))
            return
        waiting = state.early.get(label.id, [])
        mark = truth_mark(label.truth)
        if any(other.at == label.at and truth_mark(other.truth) == mark for other in waiting):
            state.repeated += 1
            return
        if state.early_count >= self.early:
            detail = f"{self.early} labels wait for events already; raise join=Join(early=...)"
            out.append(refuse("labels", Reason.TOO_MANY_EARLY, detail, label.value, event_id=label.id))
            return
        state.early.setdefault(label.id, []).append(label)
        state.early_count += 1
        heappush(state.early_due, (label.at + self.wait_us, label.id))

    def _watermark(self, state: JoinState, ledger: Ledger, at: int, out: list[Joined]) -> None:
        state.watermark = at = max(at, state.watermark)
        self._release(state, ledger, at, out)
        for slot in ledger.due(at):
            prediction = ledger.prediction(slot)
            settled = ledger.settle(slot, GONE)
            assert settled == 0, "what fell due had its truth already"
            if self.absent is UNSET:
                out.append(Unlabelled(prediction, prediction.at + self.wait_us))
            else:
                out.append(Example(prediction, self.absent, "absence", prediction.at + self.wait_us))
        while state.early_due and state.early_due[0][0] <= at:
            due, event_id = heappop(state.early_due)
            for label in [label for label in state.early.get(event_id, ()) if label.at + self.wait_us == due]:
                state.early[event_id].remove(label)
                state.early_count -= 1
                out.append(self._unmatched(label))
            if not state.early.get(event_id, True):
                del state.early[event_id]

    def _late(self, label: Arrival, happened: int) -> DeadLetter:
        wait = show_duration(self.wait_us)
        detail = (
            f"known at {show_instant(label.at)}, its event happened at {show_instant(happened)}; predictions wait "
            f"{wait}; wait longer with join=Join(wait=...)"
        )
        if abs(label.at - happened) <= self.wait_us:
            detail = (
                f"known in time, but it arrived after event time had passed the horizon ({wait} after its event); "
                "declare how late labels may arrive with join=Join(lateness=...)"
            )
        return refuse("labels", Reason.LABEL_LATE, detail, label.value, event_id=label.id)

    def _unmatched(self, label: Arrival) -> DeadLetter:
        detail = f"no event {label.id!r} within {show_duration(self.wait_us)} of this label"
        return refuse("labels", Reason.LABEL_UNMATCHED, detail, label.value, event_id=label.id)


def _is_truth(value: Any) -> bool:
    if type(value) is int:
        return -_INT_LIMIT <= value < _INT_LIMIT
    return type(value) in (bool, str) or (type(value) is float and abs(value) <= LIMIT)


_encode = msgspec.msgpack.Encoder().encode


def truth_bytes(truth: Any) -> bytes:
    """The truth as bytes, for comparing and ordering."""
    return _encode(truth)


def held(label: Arrival) -> Held:
    """A label as it is held back. Equal labels are equal, and all others have an order."""
    return label.at, label.id, truth_bytes(label.truth), _encode(label.value), label


def truth_mark(truth: Any) -> int:
    """A 63-bit fingerprint of a truth, never 0 or `GONE`.

    >>> truth_mark(True) != truth_mark(False)
    True
    """
    if truth is True:
        return 2
    if truth is False:
        return 3
    return int.from_bytes(hashlib.blake2b(_encode(truth), digest_size=8).digest(), "big") >> 1 | 4
