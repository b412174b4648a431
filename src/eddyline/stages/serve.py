"""Serve: answers each event, once.

Aggregates and features are computed here and nowhere else, and travel inside the prediction, so that learning, auditing
and re-answering never compute them again. Keeps `twice` (a re-sent event gets its first answer), `named`, `still`,
`finite` and `whole`. An event that is refused leaves no trace in the windows, nor in event time. It refuses to know which
engine runs it, where the model came from, and what becomes of its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eddyline.ports import Ledger
from eddyline.records import Arrival, DeadLetter, Event, Prediction, Reason, Scores, Value
from eddyline.records.errors import Rejected
from eddyline.records.schema import Schema
from eddyline.records.time import BEGINNING, DAY_US, END, show_duration, show_instant
from eddyline.stages.aggregates import Aggregates, AggregatesState
from eddyline.stages.features import INT_LIMIT, Maker, canonical, empty_windows, place_of, said
from eddyline.stages.refuse import refuse
from eddyline.stages.voices import Voice, beside, finite


@dataclass(slots=True)
class ServeState:
    """Serve's memory: the windows, how far event time has come, and the feature names it has put in order."""

    windows: AggregatesState
    frontier: int = BEGINNING
    repeated: int = 0
    orders: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    aggregated: tuple[str, ...] = field(init=False)
    """the fields that aggregates read"""

    def __post_init__(self) -> None:
        needs = {need for table in self.windows.tables for need in table.plan.needs}
        self.aggregated = tuple(sorted(name for _, name in needs if name is not None))


@dataclass(frozen=True, slots=True)
class Serve:
    """The configuration of serving: which features, which aggregates, which segment, how much disorder."""

    maker: Maker
    aggregates: Aggregates | None
    segment: Callable[[Any], str | None] | None
    lateness_us: int
    ahead_us: int = END
    """how far after the newest event before it an event may be dated; the first may have any time"""

    def new_state(self) -> ServeState:
        """The memory before the first event."""
        return ServeState(windows=self.aggregates.new_state() if self.aggregates else AggregatesState(()))

    def step(self, state: ServeState, ledger: Ledger, voice: Voice, batch: Sequence[Arrival]) -> list[Prediction | DeadLetter]:
        """Answers a batch of events in order. A re-sent event yields nothing: its answer is in the ledger."""
        answers = (self.answer(state, ledger, voice, arrival) for arrival in batch)
        return [answer for answer in answers if answer is not None]

    def answer(self, state: ServeState, ledger: Ledger, voice: Voice, arrival: Arrival) -> Prediction | DeadLetter | None:
        """Answers one event; None when it was answered before."""
        event_id, at, event = arrival.id, arrival.at, arrival.value
        maker = self.maker if voice.maker is None else voice.maker
        slot = ledger.find(event_id)
        if slot is not None:
            return self._again(state, ledger, arrival, slot)
        aggregates, windows, frontier = self.aggregates, state.windows, state.frontier
        if at > frontier:
            if at - frontier > self.ahead_us and frontier != BEGINNING:
                return self._too_far_ahead(frontier, arrival)
            frontier = at
        watermark = frontier - self.lateness_us
        seen: dict[str, Value] | None = None
        try:
            if aggregates is None:
                raw = maker.features(event)
            else:
                for name in state.aggregated:
                    if type(read := getattr(event, name)) is int and not -INT_LIMIT <= read < INT_LIMIT:
                        return _too_large(name, arrival)
                seen = aggregates.values(windows, arrival.key, at, event, watermark)
                wanted = maker.wanted
                some = seen if len(wanted) == len(seen) else {name: seen[name] for name in wanted}
                raw = maker.features(event, **some)
            segment = None if self.segment is None else self.segment(event)
            if segment is not None and not segment.isascii():
                segment.encode()  # a lone surrogate could not be written down
        except Exception as error:
            return _unmade(error, maker, seen, arrival)
        try:
            features = raw if maker.trusted else canonical(raw, state.orders)
            output = voice.model.predict(features)  # type: ignore[arg-type]
        except Rejected as rejected:
            return refuse("events", Reason(rejected.reason), rejected.detail, event, event_id=event_id)
        except Exception as error:
            detail = f"{voice.name}@{voice.position} while answering: {said(error)}"
            return refuse("events", Reason.MODEL_FAILED, detail, event, event_id=event_id)
        value, scores = output.value, output.scores
        if not finite(value, scores):
            return _not_finite(voice, value, scores, arrival)
        if aggregates is not None:
            aggregates.enter(windows, arrival.key, at, event, watermark)
        state.frontier = frontier
        prediction = Prediction(
            event_id,
            arrival.key,
            at,
            features,  # type: ignore[arg-type]
            seen,
            value,
            scores,
            voice.name,
            voice.position,
            voice.revision,
            segment,
        )
        if voice.seats:
            prediction = beside(self.maker, state.orders, voice, prediction, event)
        ledger.add(prediction, arrival)
        return prediction

    def _too_far_ahead(self, frontier: int, arrival: Arrival) -> DeadLetter:
        """Event time never goes back: one event with a wrong year would end the wait for every truth."""
        days = -((frontier - arrival.at) // DAY_US)
        detail = (
            f"{show_instant(arrival.at)} is more than {show_duration(self.ahead_us)} after the newest event before it "
            f"({show_instant(frontier)}): check the unit of its time; if it is right, declare Pipeline(ahead=days({days}))"
        )
        return refuse("events", Reason.TOO_FAR_AHEAD, detail, arrival.value, event_id=arrival.id)

    def _again(self, state: ServeState, ledger: Ledger, arrival: Arrival, slot: int) -> DeadLetter | None:
        state.repeated += 1
        if says_the_same(ledger.arrival(slot), arrival):
            return None
        return refuse("events", Reason.ID_CONFLICT, _CONFLICT, arrival.value, event_id=arrival.id)


def _unmade(error: Exception, maker: Maker, seen: dict[str, Value] | None, arrival: Arrival) -> DeadLetter:
    """The user's features function, or segment, failed: where in their file, and which windows had nothing in them."""
    where, hint = place_of(error, maker.features), empty_windows(error, maker.wanted, seen)
    detail = f"features({type(arrival.value).__name__}): {said(error)}{where}{hint}"
    return refuse("events", Reason.FEATURES_FAILED, detail, arrival.value, event_id=arrival.id)


def _not_finite(voice: Voice, value: Value, scores: Scores | None, arrival: Arrival) -> DeadLetter:
    shown = f"an integer of {value.bit_length()} bits" if type(value) is int else repr(value)
    detail = f"{voice.name}@{voice.position} answered {shown} {scores!r}"
    return refuse("events", Reason.NOT_FINITE, detail, arrival.value, event_id=arrival.id)


def says_the_same(known: Arrival, again: Arrival) -> bool:
    """Whether two events with one id say the same, whichever way they were written: `7` and `"7"` are one id."""
    if known.value == again.value:
        return True
    cls = type(again.value)
    if type(known.value) is not cls or not issubclass(cls, Event):
        return False
    schema = Schema.of(cls)
    return schema.identity(known) == schema.identity(again)


_CONFLICT = "an event with this id and other fields was answered before; the first answer stands"


def _too_large(name: str, arrival: Arrival) -> DeadLetter:
    detail = f"{name!r} is an integer beyond 64 bits, and an aggregate reads it; make it a float or text"
    return refuse("events", Reason.OUT_OF_RANGE, detail, arrival.value, event_id=arrival.id)
