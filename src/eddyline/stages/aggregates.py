"""What history says about an event: sums, counts and the like over the last minutes, hours or days.

The value for an event *e* of key *k* is over the events of *k* that **arrived before** *e* and whose event
time lies in `(e.at - over, e.at]`. So *e* itself is not in it; an event of the same instant is, if it came
earlier; an event that is later in event time is not, even if it came earlier. An event that arrives out of
order is put where its event time belongs, and every later answer sees it there. What is in a window decides
the value, never the order in which it came: sums and means are exact, rounded once; of several events at one
instant, `Last` takes the greatest value.

An event older than the watermark is *late*: it is answered, but it enters no window (`state.late` counts
them), and its windows reach back no further than those of the watermark, behind which the past is gone.

Memory is bounded by the keys and the distinct event times inside the longest window plus the lateness: a step
also looks at one key in turn and drops what no legal event can see any more. A key that holds more than
`limit` of them (10,000) keeps its older ones coarser: where a window starts is blurred by under 1 % of its
length, and an event that arrives out of order may miss as much of the past just before it. `Distinct` stops
at `limit` values: beyond it, values seen longest ago are forgotten until half as many are left.

Laws kept here: `split` and `stop` (what is saved is what can still be seen, whatever has been cleaned up so
far), `still` (asking changes nothing), `finite`. This file knows no clock, no engine, and no more of an event
than the fields that were named.
"""

import difflib
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from zlib import crc32

import msgspec

from eddyline.records import Value
from eddyline.records.errors import DeclarationError, StoreMismatch
from eddyline.records.time import BEGINNING, show_duration, to_us
from eddyline.stages.windows import High, Kinds, Latest, Low, Need, Past, Tally, Total

KEY_GROUPS = 128
"""Into how many shards a state is cut at most; a key's shard never changes."""


class _InWords(msgspec.StructMeta):
    """Says what to write where an aggregate is called wrongly."""

    def __call__(cls, *given: Any, **named: Any) -> Any:  # noqa: N805 - a metaclass: its instances are classes
        try:
            return super().__call__(*given, **named)
        except TypeError as problem:
            said = ", ".join([*map(repr, given), *(f"{name}={value!r}" for name, value in named.items())])
            right = '"amount", over=hours(1)' if "field" in cls.__struct_fields__ else "over=hours(1)"
            raise DeclarationError(f"{cls.__name__}({said}): {problem}\n  write: {cls.__name__}({right})") from problem


class Aggregate(msgspec.Struct, metaclass=_InWords, frozen=True, kw_only=True):
    """What all aggregates have: how far back they look, and whose events they look at.

    `over` is a duration (`hours(1)`). `by` names a field to aggregate by instead of the event's `Key`; an
    event where it is None has an empty window and enters none.
    """

    over: timedelta
    by: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.over, timedelta):
            raise DeclarationError(f"{type(self).__name__}: over is {self.over!r}, expected a duration\n  write: over=hours(1)")
        if to_us(self.over) <= 0:
            raise DeclarationError(
                f"{type(self).__name__}: over is {show_duration(to_us(self.over))}, and a window has to be longer "
                "than nothing\n  write: over=hours(1)"
            )
        for name in ("field", "by"):
            given = getattr(self, name, None)
            if given is not None and not isinstance(given, str):
                raise DeclarationError(f"{type(self).__name__}: {name} is {given!r}, expected the name of a field as text")

    def __repr__(self) -> str:
        count, unit = show_duration(to_us(self.over)).split(" ")
        parts = [f"over={unit.rstrip('s')}s({count})"]
        if field := getattr(self, "field", None):
            parts.insert(0, f'"{field}"')
        if self.by:
            parts.append(f'by="{self.by}"')
        return f"{type(self).__name__}({', '.join(parts)})"


class Count(Aggregate, frozen=True, kw_only=True):
    """How many events there were; 0 for none.

    With `aggregates={"often": Count(over=hours(1))}` your function is `def features(event, often): ...`.

    >>> from eddyline.records.time import hours
    >>> Count(over=hours(1)), Count(over=hours(1), by="device")
    (Count(over=hours(1)), Count(over=hours(1), by="device"))
    """


class TimeSince(Aggregate, frozen=True, kw_only=True):
    """Seconds since the event before, by event time; 0.0 at the same instant, None if none is in the window.

    >>> from eddyline.records.time import days
    >>> TimeSince(over=days(7), by="device")
    TimeSince(over=days(7), by="device")
    """


class OfField(Aggregate, frozen=True):
    """An aggregate of one field; an event where the field is None adds nothing to it."""

    field: str


class Sum(OfField, frozen=True):
    """The sum of a number (or of how often a bool is true); 0.0 for none. Exact, rounded once.

    >>> from eddyline.records.time import minutes
    >>> Sum("amount", over=minutes(10))
    Sum("amount", over=minutes(10))
    """


class Mean(OfField, frozen=True):
    """The mean of a number (or the share of trues of a bool); None for none. Exact, rounded once.

    Your features function gets it by its name in `aggregates=`, and says what None is: `rain_3h or 0.0`.

    >>> from eddyline.records.time import hours
    >>> {"rain_3h": Mean("rain", over=hours(3))}
    {'rain_3h': Mean("rain", over=hours(3))}
    """


class Min(OfField, frozen=True):
    """The least of a number, as a float; None for none.

    >>> from eddyline.records.time import days
    >>> {"cheapest": Min("amount", over=days(1))}
    {'cheapest': Min("amount", over=days(1))}
    """


class Max(OfField, frozen=True):
    """The greatest of a number, as a float; None for none.

    >>> from eddyline.records.time import days
    >>> {"dearest": Max("amount", over=days(1))}
    {'dearest': Max("amount", over=days(1))}
    """


class Last(OfField, frozen=True):
    """The value of the latest event that has one, of any plain type; None for none.

    Of several events at one instant it is the greatest value, text above numbers.

    >>> from eddyline.records.time import days
    >>> {"shop_before": Last("shop", over=days(30), by="customer")}
    {'shop_before': Last("shop", over=days(30), by="customer")}
    """


class Distinct(OfField, frozen=True):
    """How many different values there were, of any plain type; 0 for none. 1, 1.0 and True are one value.

    Cheap up to some thousand values in a window; it stops counting at the limit of 10,000.

    >>> from eddyline.records.time import hours
    >>> {"countries": Distinct("country", over=hours(24))}
    {'countries': Distinct("country", over=days(1))}
    """


Ask = Callable[[Past, int, int, int, int], Value]
"""The value of an aggregate for moments `start` to `end` of a past: those after `since`, until `at`."""


class Plan:
    """What is kept and asked for one kind of key: the aggregates that share `by`, compiled."""

    __slots__ = ("by", "limit", "needs", "span", "value_slots", "windows")

    def __init__(self, by: str | None, specs: Mapping[str, Aggregate], limit: int) -> None:
        needs = sorted({need for spec in specs.values() for need in _needs(spec)}, key=_need_name)
        self.by = by
        self.limit = limit
        self.span = max(to_us(spec.over) for spec in specs.values())
        self.needs = tuple(needs)
        self.value_slots = tuple(slot for slot, (kind, _) in enumerate(needs) if kind is Kinds)
        windows: dict[int, list[tuple[str, Ask]]] = {}
        for name, spec in specs.items():
            ask = _ask(spec, [needs.index(need) for need in _needs(spec)])
            windows.setdefault(to_us(spec.over), []).append((name, ask))
        self.windows = tuple((over, tuple(asks)) for over, asks in sorted(windows.items()))

    def layout(self) -> str:
        """What the saved bytes of this plan mean; another layout cannot read them."""
        columns = ",".join(map(_need_name, self.needs))
        return f"by={self.by or ''};over={self.span};{columns}"

    def answer(self, past: Past, at: int, edge: int, values: dict[str, Value]) -> None:
        """Fills in the values of the windows that are not empty: `(edge - over, at]`."""
        times = past.times
        end = len(times) if times[-1] <= at else bisect_right(times, at)
        for over, asks in self.windows:
            since = edge - over
            start = 0 if times[0] > since else bisect_right(times, since, 0, end)
            if start < end:
                for name, ask in asks:
                    values[name] = ask(past, start, end, since, at)

    def enter(self, past: Past, at: int, event: Any, horizon: int) -> None:
        """Puts the event into its past, and keeps that past within its bounds."""
        past.enter(at, event)
        times = past.times
        count = len(times)
        if count > self.limit or (self.value_slots and past.held(self.value_slots) > self.limit):
            past.forget(horizon)  # all of it: what counts must not depend on earlier cleaning
            if past.held(self.value_slots) > self.limit:
                past.coarsen(self.limit)
        elif times[count >> 1] <= horizon:  # half of it: so that forgetting costs O(1) for each event
            past.forget(horizon)


class Table:
    """The pasts of the keys of one plan. Each key is once in `turns`: the order of looking for idle ones."""

    __slots__ = ("pasts", "plan", "turns")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.pasts: dict[str, Past] = {}
        self.turns: deque[str] = deque()

    def open(self, owner: str) -> Past:
        """An empty past for a key that has none."""
        assert owner not in self.pasts, f"key {owner!r} is in two shards"
        past = self.pasts[owner] = Past(self.plan.needs)
        self.turns.append(owner)
        return past

    def sweep(self, horizon: int) -> None:
        """Looks at the key whose turn it is, and drops it when nothing of it is after `horizon`."""
        turns = self.turns
        if turns:
            owner = turns.popleft()
            past = self.pasts[owner]
            times = past.times
            if times[-1] <= horizon:
                del self.pasts[owner]
            else:
                if times[len(times) >> 1] <= horizon:
                    past.forget(horizon)
                turns.append(owner)


class AggregatesState:
    """The windows of all keys. Belongs to one owner, who uses it through `Aggregates`."""

    __slots__ = ("late_by_group", "tables", "watermark")

    def __init__(self, plans: Iterable[Plan]) -> None:
        self.watermark = BEGINNING
        self.tables = [Table(plan) for plan in plans]
        self.late_by_group: dict[int, int] = {}

    @property
    def late(self) -> int:
        """Events that were older than the watermark and so entered no window."""
        return sum(self.late_by_group.values())

    @property
    def keys(self) -> int:
        """Keys in memory, of all kinds (`by`) together."""
        return sum(len(table.pasts) for table in self.tables)

    @property
    def moments(self) -> int:
        """Distinct event times in memory, of all keys together; looks at every key."""
        return sum(len(past.times) for table in self.tables for past in table.pasts.values())


class Aggregates:
    """The aggregates of a pipeline: a frozen configuration, compiled once.

    `values` asks, `enter` remembers: an event that is refused in between leaves no trace. `step` does both.

    `lateness_us` is how far behind the newest event the caller keeps the watermark; `limit` how many distinct
    event times one key may hold before older ones are kept coarser.

    >>> from eddyline.records import Event, EpochSeconds, Id, Key
    >>> from eddyline.records.time import hours
    >>> class Payment(Event):
    ...     id: Id
    ...     card: Key
    ...     at: EpochSeconds
    ...     amount: float
    >>> spent, often = Sum("amount", over=hours(1)), Count(over=hours(1))
    >>> aggregates = Aggregates({"spent_1h": spent, "n": often}, lateness_us=0)
    >>> aggregates.check(Payment)
    >>> state = aggregates.new_state()
    >>> for second, amount in ((0, 20.0), (60, 5.0), (3600, 1.0)):
    ...     payment = Payment(id=second, card="c-1", at=second, amount=amount)
    ...     at = second * 1_000_000
    ...     print(aggregates.step(state, "c-1", at, payment, watermark=at))
    {'spent_1h': 0.0, 'n': 0}
    {'spent_1h': 20.0, 'n': 1}
    {'spent_1h': 5.0, 'n': 1}

    Stopping anywhere changes nothing:

    >>> again = aggregates.restore(aggregates.save(state).values())
    >>> aggregates.step(again, "c-1", at, payment, watermark=at)
    {'spent_1h': 6.0, 'n': 2}
    """

    __slots__ = ("_empty", "_layout", "_plans", "lateness_us", "limit", "specs")

    def __init__(self, specs: Mapping[str, Aggregate], lateness_us: int, *, limit: int = 10_000) -> None:
        for name, spec in specs.items():
            if type(spec) not in _KNOWN:
                known = ", ".join(kind.__name__ for kind in _KNOWN)
                raise DeclarationError(
                    f"aggregate {name!r} is {spec!r}, expected one of {known}\n"
                    f'  write: aggregates={{"{name}": Count(over=hours(1))}}'
                )
        if limit < 300:
            raise DeclarationError(f"limit is {limit}, expected at least 300 event times for each key")
        assert lateness_us >= 0
        self.specs = dict(specs)
        self.lateness_us = lateness_us
        self.limit = limit
        self._empty: dict[str, Value] = {name: _EMPTY.get(type(spec)) for name, spec in specs.items()}
        kinds = sorted({spec.by for spec in specs.values()}, key=lambda by: by or "")
        self._plans = tuple(Plan(by, {name: spec for name, spec in specs.items() if spec.by == by}, limit) for by in kinds)
        self._layout = " ".join(plan.layout() for plan in self._plans)

    @property
    def names(self) -> tuple[str, ...]:
        """The aggregates in the order they were declared, which is the order of the values of `step`."""
        return tuple(self.specs)

    @property
    def by(self) -> tuple[str | None, ...]:
        """Whose windows there are: None for the event's key, else a field; an engine partitions by all."""
        return tuple(plan.by for plan in self._plans)

    def check(self, event_type: type) -> None:
        """Raises `DeclarationError` when an aggregate names a field that is missing or of the wrong type."""
        types = {field.name: field.type for field in msgspec.structs.fields(event_type)}
        for name, spec in self.specs.items():
            said = f"aggregate {name!r}: {spec!r}"
            if isinstance(spec, OfField):
                wanted = _NUMBERS if isinstance(spec, Sum | Mean | Min | Max) else _PLAIN
                _check_field(said, spec.field, event_type, types, wanted)
            if spec.by is not None:
                _check_field(said, spec.by, event_type, types, _NAMES)

    def new_state(self) -> AggregatesState:
        """No windows yet."""
        return AggregatesState(self._plans)

    def values(self, state: AggregatesState, key: str, at: int, event: Any, watermark: int = BEGINNING) -> dict[str, Value]:
        """What the windows say about an event of `key` at `at` (microseconds); changes nothing.

        The `watermark` matters only to a late event, and only where it is ahead of that of the last `enter`.
        """
        values = self._empty.copy()
        edge = state.watermark
        if at > edge:
            edge = at
        if watermark > edge:
            edge = watermark
        for table in state.tables:
            plan = table.plan
            owner = key if plan.by is None else _owner(getattr(event, plan.by))
            past = None if owner is None else table.pasts.get(owner)
            if past is not None:
                plan.answer(past, at, edge, values)
        return values

    def enter(self, state: AggregatesState, key: str, at: int, event: Any, watermark: int) -> None:
        """Lets an event into its windows, unless it is late, and forgets what lies behind the watermark.

        `watermark` is the lowest event time that is still expected, in microseconds. It never falls: a lower
        one counts as the highest so far. The fields that the aggregates read must be finite numbers or plain
        values, as `check` and the source make sure.
        """
        if watermark > state.watermark:
            state.watermark = watermark
        else:
            watermark = state.watermark
        if at < watermark:
            group = key_group(key)
            state.late_by_group[group] = state.late_by_group.get(group, 0) + 1
        for table in state.tables:
            plan = table.plan
            horizon = watermark - plan.span
            owner = key if plan.by is None else _owner(getattr(event, plan.by))
            if at >= watermark and owner is not None:
                past = table.pasts.get(owner)
                if past is None:
                    table.open(owner).enter(at, event)  # one moment is within all bounds
                else:
                    plan.enter(past, at, event, horizon)
            table.sweep(horizon)

    def step(self, state: AggregatesState, key: str, at: int, event: Any, watermark: int) -> dict[str, Value]:
        """`values` for an event, which then does `enter`."""
        values = self.values(state, key, at, event, watermark)
        self.enter(state, key, at, event, watermark)
        return values

    def save(self, state: AggregatesState) -> dict[int, bytes]:
        """The state by key group, as canonical bytes: what can still be seen decides them, nothing else.

        A key group without windows and late events has no bytes.
        """
        shards: dict[int, list[list[Any]]] = {}
        for number, table in enumerate(state.tables):
            horizon = state.watermark - table.plan.span
            for owner, past in sorted(table.pasts.items()):
                if past.times[-1] > horizon:
                    past.forget(horizon)
                    shards.setdefault(key_group(owner), []).append([number, owner, past.save()])
        late = state.late_by_group
        return {
            group: _ENCODER.encode([self._layout, group, state.watermark, late.get(group, 0), shards.get(group, [])])
            for group in sorted(shards.keys() | late.keys())
        }

    def restore(self, shards: Iterable[bytes]) -> AggregatesState:
        """A state from the shards of one state or of several, each key group at most once."""
        state = self.new_state()
        for raw in shards:
            layout, group, watermark, late, owners = msgspec.msgpack.decode(raw)
            if layout != self._layout:
                raise StoreMismatch(
                    "the saved windows are of other aggregates\n"
                    f"  saved:    {layout}\n  declared: {self._layout}\n"
                    "  keep the aggregates as they were, or start with a new store"
                )
            state.watermark = max(state.watermark, watermark)
            for number, owner, saved in owners:
                state.tables[number].open(owner).load(saved)
            if late:
                state.late_by_group[group] = late
        return state


def key_group(owner: str) -> int:
    """The shard of a key: stable across processes, machines and versions."""
    return crc32(owner.encode()) % KEY_GROUPS


_ENCODER = msgspec.msgpack.Encoder()
_KNOWN = (Count, Sum, Mean, Min, Max, Last, Distinct, TimeSince)
_EMPTY: dict[type[Aggregate], Value] = {Count: 0, Sum: 0.0, Distinct: 0}
_NUMBERS = (msgspec.inspect.FloatType, msgspec.inspect.IntType, msgspec.inspect.BoolType)
_NAMES = (msgspec.inspect.StrType, msgspec.inspect.IntType, msgspec.inspect.BoolType)
_PLAIN = (msgspec.inspect.StrType, *_NUMBERS)
_TYPE_WORDS: dict[Any, str] = {
    _NUMBERS: "float, int or bool",
    _NAMES: "str, int or bool",
    _PLAIN: "str, float, int or bool",
}


def _owner(value: Any) -> str | None:
    """A field's value as the name of a key: 7 and "7" are one."""
    return value if value is None or type(value) is str else str(value)


def _need_name(need: Need) -> str:
    kind, field = need
    return kind.__name__.lower() if field is None else f"{kind.__name__.lower()}:{field}"


def _needs(spec: Aggregate) -> tuple[Need, ...]:
    """The columns an aggregate is answered from."""
    match spec:
        case Count():
            return ((Tally, None),)
        case Sum(field=field):
            return ((Total, field),)
        case Mean(field=field):
            return ((Total, field), (Tally, field))
        case Min(field=field):
            return ((Low, field),)
        case Max(field=field):
            return ((High, field),)
        case Last(field=field):
            return ((Latest, field),)
        case Distinct(field=field):
            return ((Kinds, field),)
    return ()


def _ask(spec: Aggregate, slots: list[int]) -> Ask:
    """How an aggregate is answered, from the columns of `_needs` at `slots`."""
    slot, other = [*slots, 0, 0][:2]
    match spec:
        case Count():
            return lambda past, start, end, since, at: past.columns[slot].count(start, end)
        case Sum():
            return lambda past, start, end, since, at: past.columns[slot].sum(start, end)
        case Mean():
            return lambda past, start, end, since, at: past.columns[slot].mean(
                start, end, past.columns[other].count(start, end)
            )
        case Min() | Max():
            return lambda past, start, end, since, at: past.columns[slot].top(start, end, since, at)
        case Last():
            return lambda past, start, end, since, at: past.columns[slot].last(at, since)
        case Distinct():
            return lambda past, start, end, since, at: past.columns[slot].distinct(start, end, since, at)
    return lambda past, start, end, since, at: (at - past.times[end - 1]) / 1_000_000


def _check_field(said: str, field: str, event_type: type, types: Mapping[str, Any], wanted: Any) -> None:
    """Refuses a field that is not there, or of none of the wanted types."""
    if field not in types:
        near = difflib.get_close_matches(field, types, n=1)
        hint = f"  did you mean {near[0]!r}? " if near else "  "
        raise DeclarationError(
            f"{said} reads {field!r}, and {event_type.__name__} has no such field\n"
            f"{hint}{event_type.__name__} has {', '.join(types)}"
        )
    if not all(isinstance(leaf, wanted) for leaf in _leaves(types[field])):
        shown = getattr(types[field], "__name__", None) or str(types[field])
        raise DeclarationError(
            f"{said} reads {field!r}, which is {shown}, expected {_TYPE_WORDS[wanted]}\n"
            f"  declare {field!r} with such a type in {event_type.__name__}, or aggregate another field"
        )


def _leaves(declared: Any) -> Iterator[msgspec.inspect.Type]:
    """The alternatives of a declared type, without None."""
    kind = msgspec.inspect.type_info(declared)
    for leaf in kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,):
        if isinstance(leaf, msgspec.inspect.LiteralType):
            yield from (msgspec.inspect.type_info(type(value)) for value in leaf.values if value is not None)
        elif not isinstance(leaf, msgspec.inspect.NoneType):
            yield leaf
