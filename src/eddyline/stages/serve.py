"""Serve: answers each event, once.

Aggregates and features are computed here and nowhere else, and travel inside the prediction, so that learning, auditing
and re-answering never compute them again. Keeps `twice` (a re-sent event gets its first answer), `named`, `still`,
`finite` and `whole`. An event that is refused leaves no trace in the windows. It refuses to know which engine runs it,
where the model came from, and what becomes of its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eddyline.ports import Ledger, Model
from eddyline.records import LIMIT, Arrival, DeadLetter, Features, Prediction, Reason, Value
from eddyline.records.errors import Rejected
from eddyline.records.time import BEGINNING
from eddyline.stages.aggregates import Aggregates, AggregatesState
from eddyline.stages.refuse import refuse

_PLAIN = frozenset((float, int, bool, str, type(None)))
_NUMBERS = frozenset((float, int, bool))
_ONLY_FLOATS = {float}
_INT_LIMIT = 2**63


@dataclass(slots=True)
class Voice:
    """Who answers now: a model, the version it is, and the rollout that says so. The engine keeps it current."""

    model: Model
    name: str
    position: int
    revision: int


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
    """The configuration of serving: which aggregates, which features, which segment, how much disorder."""

    features: Callable[..., Mapping[str, Any]]
    aggregates: Aggregates | None
    wanted: tuple[str, ...]
    trusted: bool
    """the features are the event's own fields: checked when it was read, and in order"""
    segment: Callable[[Any], str | None] | None
    lateness_us: int

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
        slot = ledger.find(event_id)
        if slot is not None:
            return self._again(state, ledger, arrival, slot)
        watermark = (at if at > state.frontier else state.frontier) - self.lateness_us
        seen: dict[str, Value] | None = None
        try:
            if self.aggregates is None:
                raw = self.features(event)
            else:
                if state.aggregated and (name := _too_large(event, state.aggregated)) is not None:
                    detail = f"{name!r} is an integer beyond 64 bits, and an aggregate reads it; make it a float or text"
                    return refuse("events", Reason.OUT_OF_RANGE, detail, event, event_id=event_id)
                seen = self.aggregates.values(state.windows, arrival.key, at, event, watermark)
                raw = self.features(event, **{name: seen[name] for name in self.wanted})
            segment = None if self.segment is None else self.segment(event)
            if segment is not None and not segment.isascii():
                segment.encode()  # a lone surrogate could not be written down
        except Exception as error:
            detail = f"features({type(event).__name__}): {_said(error)}"
            return refuse("events", Reason.FEATURES_FAILED, detail, event, event_id=event_id)
        try:
            features = raw if self.trusted else canonical(raw, state.orders)
            output = voice.model.predict(features)  # type: ignore[arg-type]
        except Rejected as rejected:
            return refuse("events", Reason(rejected.reason), rejected.detail, event, event_id=event_id)
        except Exception as error:
            detail = f"{voice.name}@{voice.position} while answering: {_said(error)}"
            return refuse("events", Reason.MODEL_FAILED, detail, event, event_id=event_id)
        value, scores = output.value, output.scores
        if (
            (type(value) is float and not abs(value) <= LIMIT)
            or (type(value) is int and not -_INT_LIMIT <= value < _INT_LIMIT)
            or (scores and not abs(sum(scores.values())) <= LIMIT)
        ):
            shown = f"an integer of {value.bit_length()} bits" if type(value) is int else repr(value)
            detail = f"{voice.name}@{voice.position} answered {shown} {scores!r}"
            return refuse("events", Reason.NOT_FINITE, detail, event, event_id=event_id)
        if self.aggregates is not None:
            self.aggregates.enter(state.windows, arrival.key, at, event, watermark)
        if at > state.frontier:
            state.frontier = at
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
        ledger.add(prediction, arrival)
        return prediction

    def _again(self, state: ServeState, ledger: Ledger, arrival: Arrival, slot: int) -> DeadLetter | None:
        state.repeated += 1
        if ledger.arrival(slot).value == arrival.value:
            return None
        return refuse("events", Reason.ID_CONFLICT, _CONFLICT, arrival.value, event_id=arrival.id)


_CONFLICT = "an event with this id and other fields was answered before; the first answer stands"


def _too_large(event: Any, names: tuple[str, ...]) -> str | None:
    """The first of these fields that is an integer nobody could write down in 64 bits."""
    for name in names:
        value = getattr(event, name)
        if type(value) is int and not -_INT_LIMIT <= value < _INT_LIMIT:
            return name
    return None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def canonical(raw: Mapping[str, Any], orders: dict[tuple[str, ...], tuple[str, ...]]) -> Features:
    """The features as every model sees them: names sorted, values plain, numbers finite and at most 1e100 large.

    The order matters because River sums in it. `orders` remembers sorted names, so that sorting is done once a shape.

    >>> canonical({"b": 2.0, "a": True}, {})
    {'a': True, 'b': 2.0}
    """
    try:
        names = tuple(raw)
        order = orders.get(names)
        if order is None:
            order = _order(names, orders)
        features = {name: raw[name] for name in order}
        kinds = set(map(type, features.values()))
        if kinds == _ONLY_FLOATS:
            if sum(map(abs, features.values())) <= LIMIT:
                return features
        elif kinds <= _NUMBERS and sum(map(abs, features.values())) < _INT_LIMIT:
            return features
    except OverflowError:  # an integer beyond every float; it is named below
        pass
    except TypeError as error:
        raise Rejected(
            Reason.FEATURES_FAILED.value,
            f"features() returned {type(raw).__name__}, expected a dict by name ({error})",
        ) from error
    return {name: _plain(name, value) for name, value in features.items()}


def _order(names: tuple[str, ...], orders: dict[tuple[str, ...], tuple[str, ...]]) -> tuple[str, ...]:
    for name in names:
        if type(name) is not str:
            raise Rejected(Reason.FEATURES_FAILED.value, f"feature name {name!r} is not text")
        _require_utf8(name, name)
    order = tuple(sorted(names))
    if len(orders) < 1000 and len(names) < 1000:
        orders[names] = order
    return order


def _require_utf8(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Rejected(Reason.FEATURES_FAILED.value, f"feature {name!r}: {error}") from error


def _plain(name: str, value: Any) -> Value:
    """One feature as plain Python, or a refusal that names it."""
    if type(value) not in _PLAIN:
        item = getattr(value, "item", None)
        value = item() if callable(item) and getattr(value, "size", 1) == 1 else value
        if type(value) not in _PLAIN:
            raise Rejected(
                Reason.FEATURES_FAILED.value,
                f"feature {name!r} is a {type(value).__name__}, expected a number, text, a boolean or None",
            )
    if type(value) is str:
        _require_utf8(name, value)
    if type(value) is float and not abs(value) <= LIMIT:
        raise Rejected(Reason.OUT_OF_RANGE.value, f"feature {name!r} is {value!r}, expected at most ±1e100")
    if type(value) is int and not -_INT_LIMIT <= value < _INT_LIMIT:
        raise Rejected(Reason.OUT_OF_RANGE.value, f"feature {name!r} is an integer beyond 64 bits; make it a float")
    return value  # type: ignore[no-any-return]
