"""Aggregates say what a reader of the whole stream would say, in any disorder and in bounded memory."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.records import EpochMicros, Event, Id, Key, Value
from eddyline.records.errors import DeclarationError, StoreMismatch
from eddyline.records.time import BEGINNING, days, hours, minutes, to_us
from eddyline.stages.aggregates import (
    Aggregate,
    Aggregates,
    AggregatesState,
    Count,
    Distinct,
    Last,
    Max,
    Mean,
    Min,
    OfField,
    Sum,
    TimeSince,
    key_group,
)


class Payment(Event):
    id: Id
    card: Key
    at: EpochMicros
    amount: float | int | None = None
    country: str | None = None
    device: int | str | None = None
    kind: Literal["in", "out"] = "in"
    tags: dict[str, float] = {}  # noqa: RUF012 - a msgspec struct copies its defaults


class Step(NamedTuple):
    """A payment as the serve stage hands it over."""

    key: str
    at: int
    payment: Payment
    watermark: int


def us(count: int) -> timedelta:
    return timedelta(microseconds=count)


LATENESS = 12
SPECS: dict[str, Aggregate] = {
    "n": Count(over=us(20)),
    "sum": Sum("amount", over=us(20)),
    "sum_short": Sum("amount", over=us(5)),
    "mean": Mean("amount", over=us(20)),
    "low": Min("amount", over=us(20)),
    "high": Max("amount", over=us(9)),
    "last_amount": Last("amount", over=us(20)),
    "last_country": Last("country", over=us(9)),
    "countries": Distinct("country", over=us(20)),
    "amounts": Distinct("amount", over=us(7)),
    "since": TimeSince(over=us(20)),
    "device_n": Count(over=us(15), by="device"),
    "device_sum": Sum("amount", over=us(15), by="device"),
    "device_cards": Distinct("card", over=us(15), by="device"),
}
NO_DEVICES = {name: spec for name, spec in SPECS.items() if spec.by is None}

amounts = st.one_of(
    st.none(),
    st.sampled_from([0.1, 0.2, 0.3, -0.0, 0.0, 1.0, 1, 7, 2**60 + 1, 10**99, 1e100, -1e100, 5e-324, 1e-300]),
    st.floats(-1e100, 1e100),
)
arrivals = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 4),  # how far the source's clock goes on
    st.sampled_from([0, 0, 0, 1, 3, 8, 14, 30]),  # how far behind it the payment is; over 12 it may be late
    amounts,
    st.sampled_from([None, "NO", "SE", "DK"]),
    st.sampled_from([None, 1, "1", "phone"]),
)


def steps_of(drawn: list[tuple[Any, ...]], lateness: int = LATENESS) -> list[Step]:
    """The draws as steps, with the watermark that the serve stage keeps."""
    clock, newest, steps = 1_000, BEGINNING, []
    for number, (card, forward, behind, amount, country, device) in enumerate(drawn):
        clock += forward
        at = clock - behind
        newest = max(newest, at)
        payment = Payment(id=number, card=card, at=at, amount=amount, country=country, device=device)
        steps.append(Step(card, at, payment, newest - lateness))
    return steps


streams = st.lists(arrivals, max_size=60).map(steps_of)


def run(aggregates: Aggregates, state: AggregatesState, steps: list[Step]) -> list[dict[str, Value]]:
    return [aggregates.step(state, *step) for step in steps]


def rank(value: Any) -> tuple[bool, Any, str]:
    return (isinstance(value, str), value, type(value).__name__)


def over_window(spec: Aggregate, at: int, window: list[Step]) -> Value:
    """The definition of each aggregate, on the payments in its window, by the slowest way there is."""
    if isinstance(spec, Count):
        return len(window)
    if isinstance(spec, TimeSince):
        return (at - max(step.at for step in window)) / 1e6 if window else None
    assert isinstance(spec, OfField)
    known = [step for step in window if getattr(step.payment, spec.field) is not None]
    values = [getattr(step.payment, spec.field) for step in known]
    match spec:
        case Sum():
            return float(sum(map(Fraction, values)))
        case Mean():
            return float(sum(map(Fraction, values)) / len(values)) if values else None
        case Min():
            return min(map(float, values)) if values else None
        case Max():
            return max(map(float, values)) if values else None
        case Distinct():
            return len(set(values))
        case Last():
            newest = max((step.at for step in known), default=None)
            ties = [getattr(step.payment, spec.field) for step in known if step.at == newest]
            return max(ties, key=rank) if ties else None
    raise AssertionError(spec)


def definition(specs: dict[str, Aggregate], steps: list[Step]) -> list[dict[str, Value]]:
    """Every answer from its defining sentence: what came before, is not late, and lies in the window."""
    answers = []
    for position, now in enumerate(steps):
        before = [step for step in steps[:position] if step.at >= step.watermark]
        answer = {}
        for name, spec in specs.items():
            owner = now.key if spec.by is None else getattr(now.payment, spec.by)
            since = max(now.at, now.watermark) - to_us(spec.over)
            window = [
                step
                for step in before
                if owner is not None
                and str(step.key if spec.by is None else getattr(step.payment, spec.by)) == str(owner)
                and since < step.at <= now.at
            ]
            answer[name] = over_window(spec, now.at, window)
        answers.append(answer)
    return answers


@settings(deadline=None)
@given(streams)
def test_every_value_is_the_one_its_definition_gives_under_disorder(steps: list[Step]) -> None:
    aggregates = Aggregates(SPECS, LATENESS)
    assert run(aggregates, aggregates.new_state(), steps) == definition(SPECS, steps)


@settings(deadline=None)
@given(streams, st.sets(st.integers(0, 60)))
def test_stopping_and_restoring_anywhere_changes_no_value_and_no_byte(steps: list[Step], stops: set[int]) -> None:
    aggregates = Aggregates(SPECS, LATENESS)
    unbroken, broken = aggregates.new_state(), aggregates.new_state()
    for position, step in enumerate(steps):
        if position in stops:
            saved = aggregates.save(broken)
            broken = Aggregates(SPECS, LATENESS).restore(saved.values())
            assert aggregates.save(broken) == saved
        assert aggregates.step(broken, *step) == aggregates.step(unbroken, *step)
    assert aggregates.save(broken) == aggregates.save(unbroken)
    assert broken.late == unbroken.late


@settings(deadline=None)
@given(streams)
def test_saving_and_asking_between_any_two_events_leaves_no_trace(steps: list[Step]) -> None:
    aggregates = Aggregates(SPECS, LATENESS)
    left_alone, watched = aggregates.new_state(), aggregates.new_state()
    for step in steps:
        expected = aggregates.step(left_alone, *step)
        saved = aggregates.save(watched)
        assert aggregates.values(watched, step.key, step.at, step.payment) == expected
        assert aggregates.save(watched) == saved
        aggregates.enter(watched, *step)
    assert aggregates.save(watched) == aggregates.save(left_alone)


@settings(deadline=None)
@given(st.lists(arrivals, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_arrival_inside_a_window_decides_neither_value_nor_bytes(
    drawn: list[tuple[Any, ...]], random: Any
) -> None:
    steps = [step._replace(watermark=0) for step in steps_of(drawn)]
    aggregates = Aggregates(SPECS, LATENESS)
    orders = [steps, random.sample(steps, len(steps))]
    states = [aggregates.new_state() for _ in orders]
    for state, order in zip(states, orders, strict=True):
        run(aggregates, state, order)
    for probe in steps:
        assert aggregates.values(states[0], *probe) == aggregates.values(states[1], *probe)
    assert aggregates.save(states[0]) == aggregates.save(states[1])


@settings(deadline=None)
@given(streams, st.integers(0, 60), st.sets(st.sampled_from(["a", "b", "c"])))
def test_any_subset_of_shards_can_move_to_another_state_and_back(steps: list[Step], moved_at: int, moving: set[str]) -> None:
    aggregates = Aggregates(NO_DEVICES, LATENESS)
    whole = aggregates.new_state()
    expected = run(aggregates, whole, steps)
    first = aggregates.new_state()
    assert run(aggregates, first, steps[:moved_at]) == expected[:moved_at]
    shards = aggregates.save(first)
    groups = {key_group(key) for key in moving}
    here = aggregates.restore(raw for group, raw in shards.items() if group not in groups)
    there = aggregates.restore(raw for group, raw in shards.items() if group in groups)
    for step, answer in zip(steps[moved_at:], expected[moved_at:], strict=True):
        assert aggregates.step(there if step.key in moving else here, *step) == answer
    back = aggregates.restore([*aggregates.save(here).values(), *aggregates.save(there).values()])
    assert back.late == whole.late
    for step in steps[-1:]:
        assert aggregates.values(back, *step) == aggregates.values(whole, *step)


def test_a_shard_cannot_be_restored_twice() -> None:
    aggregates, state = one_window(Count(over=us(10)))
    put(aggregates, state, "a", 5)
    [raw] = aggregates.save(state).values()
    with pytest.raises(AssertionError, match="two shards"):
        aggregates.restore([raw, raw])


def test_the_key_group_of_a_key_never_changes() -> None:
    assert [key_group(key) for key in ("card-1", "7", "Ørsted", "")] == [20, 2, 52, 0]


# --- windows, one by one


def one_window(spec: Aggregate, limit: int = 10_000) -> tuple[Aggregates, AggregatesState]:
    aggregates = Aggregates({"value": spec}, 0, limit=limit)
    return aggregates, aggregates.new_state()


def put(
    aggregates: Aggregates,
    state: AggregatesState,
    key: str,
    at: int,
    amount: float | None = None,
    watermark: int = 0,
    **fields: Any,
) -> Value:
    payment = Payment(id=at, card=key, at=at, amount=amount, **fields)
    return aggregates.step(state, key, at, payment, watermark)["value"]


def test_a_window_is_open_at_its_start_and_closed_at_the_event() -> None:
    aggregates, state = one_window(Count(over=us(10)))
    assert [put(aggregates, state, "a", at) for at in (0, 9, 10, 10, 20)] == [0, 1, 1, 2, 0]


def test_an_event_from_the_future_is_seen_only_from_its_own_time_on() -> None:
    aggregates, state = one_window(Sum("amount", over=us(10)))
    assert [put(aggregates, state, "a", at, 1.0) for at in (50, 45, 49, 50)] == [0.0, 0.0, 1.0, 3.0]


def test_a_sum_is_exact_and_rounded_once() -> None:
    aggregates, state = one_window(Sum("amount", over=us(100)))
    for at, amount in enumerate([1e100, 0.1, 5e-324, 1e100, -1e100, -1e100]):
        put(aggregates, state, "a", at, amount)
    assert put(aggregates, state, "a", 7) == 0.1


def test_the_largest_numbers_allowed_never_sum_to_infinity() -> None:
    aggregates, state = one_window(Sum("amount", over=days(1)), limit=300)
    for at in range(2_000):
        put(aggregates, state, "a", at, 1e100)
    assert put(aggregates, state, "a", 2_000) == float(2_000 * Fraction(1e100))


def test_a_late_event_is_answered_and_counted_but_enters_no_window() -> None:
    aggregates, state = one_window(Count(over=us(100)))
    put(aggregates, state, "a", 100, watermark=90)
    put(aggregates, state, "a", 95, watermark=90)
    assert put(aggregates, state, "a", 89, watermark=90) == 0
    assert state.late == 1
    assert put(aggregates, state, "a", 100, watermark=90) == 2
    assert aggregates.restore(aggregates.save(state).values()).late == 1


def test_a_late_event_sees_only_what_the_watermark_still_sees() -> None:
    aggregates, state = one_window(Count(over=us(10)))
    for at in (81, 86, 100):
        put(aggregates, state, "a", at, watermark=max(0, at - 5))
    assert put(aggregates, state, "a", 90, watermark=95) == 1  # 81 is in (80, 90], and already behind 95 - 10


def test_a_falling_watermark_counts_as_the_highest_so_far() -> None:
    aggregates, state = one_window(Count(over=us(10)))
    put(aggregates, state, "a", 100, watermark=100)
    put(aggregates, state, "a", 95, watermark=50)
    assert state.late == 1


def test_7_and_text_7_are_one_key_and_no_device_is_no_key() -> None:
    aggregates, state = one_window(Count(over=us(10), by="device"))
    devices = [7, "7", None, None, "8"]
    assert [put(aggregates, state, "a", 5, device=device) for device in devices] == [0, 1, 0, 0, 0]


def test_1_and_1_point_0_are_one_value_whichever_came_first() -> None:
    aggregates, state = one_window(Distinct("amount", over=us(10)))
    other = aggregates.new_state()
    for seen, both in ((state, (1, 1.0)), (other, (1.0, 1))):
        for amount in both:
            put(aggregates, seen, "a", 5, amount)
        assert put(aggregates, seen, "a", 5) == 1
    assert aggregates.save(state) == aggregates.save(other)


def test_values_come_in_the_declared_order() -> None:
    aggregates = Aggregates(SPECS, 0)
    assert aggregates.names == tuple(SPECS)
    state = aggregates.new_state()
    for _ in range(2):
        assert list(aggregates.step(state, "a", 1, Payment(id=1, card="a", at=1, device=1), 0)) == list(SPECS)


# --- memory


def test_a_hundred_thousand_idle_keys_do_not_stay() -> None:
    aggregates, state = one_window(Count(over=us(10)))
    for number in range(100_000):
        put(aggregates, state, f"idle-{number}", 0)
    assert state.keys == 100_000
    for at in range(100_001):
        put(aggregates, state, "busy", 1_000 + at, watermark=1_000 + at)
    assert state.keys == 1
    assert len(aggregates.save(state)) == 1


def test_keys_that_come_once_hold_no_more_than_twice_the_window() -> None:
    aggregates, state = one_window(Count(over=us(100)))
    most = 0
    for at in range(5_000):
        put(aggregates, state, f"once-{at}", at, watermark=at)
        most = max(most, state.keys)
    assert most <= 200


@pytest.mark.parametrize("spec", [spec for spec in SPECS.values() if spec.by is None], ids=repr)
def test_a_busy_key_holds_no_more_than_twice_its_window(spec: Aggregate) -> None:
    aggregates, state = one_window(type(spec)(*_field(spec), over=us(100)))
    for at in range(5_000):
        put(aggregates, state, "a", at, float(at % 7), watermark=at, country=f"{at}")
        assert state.moments <= 201
    [column] = state.tables[0].pasts["a"].columns[:1] or [None]
    assert column is None or all(len(held) <= 202 for held in _containers(column))


def test_a_busy_key_is_cleaned_up_before_its_turn_comes() -> None:
    aggregates, state = one_window(Count(over=us(100)))
    for number in range(6_000):
        put(aggregates, state, f"ahead-{number}", 10_000)
    for at in range(5_000):
        put(aggregates, state, "busy", at, watermark=at)
    assert state.keys == 6_001
    assert state.moments <= 6_000 + 201


def test_a_key_that_falls_silent_gives_back_what_the_watermark_has_passed() -> None:
    aggregates, state = one_window(Count(over=us(1_000)))
    for at in range(1_000):
        put(aggregates, state, "silent", at)
    for _ in range(2):
        put(aggregates, state, "busy", 1_900, watermark=1_900)
    assert state.keys == 2
    assert state.moments == 99 + 1


def test_what_is_saved_is_only_what_can_still_be_seen() -> None:
    aggregates, state = one_window(Count(over=us(100)))
    for number in range(10):
        put(aggregates, state, f"gone-{number}", 1)
    for at in range(2, 152):
        put(aggregates, state, "a", at)
    put(aggregates, state, "a", 151, watermark=151)
    restored = aggregates.restore(aggregates.save(state).values())
    assert (restored.keys, restored.moments) == (1, 100)


def test_what_a_key_forgot_does_not_show_in_its_bytes() -> None:
    aggregates, state = one_window(Sum("amount", over=us(100)))
    put(aggregates, state, "a", 1, 5e-324)
    other = aggregates.new_state()
    for seen in (state, other):
        for amount in (0.5, 0.25, 1.0):
            put(aggregates, seen, "a", 500, amount, watermark=500)
    assert aggregates.save(state) == aggregates.save(other)


def _field(spec: Aggregate) -> tuple[str, ...]:
    return (spec.field,) if isinstance(spec, OfField) else ()


def _containers(column: Any) -> list[Any]:
    names = [name for kind in type(column).__mro__ for name in getattr(kind, "__slots__", ())]
    values = [getattr(column, name) for name in names]
    return [value for value in values if isinstance(value, list | dict)]


# --- the limit


def busy(specs: dict[str, Aggregate], count: int, limit: int) -> tuple[Aggregates, AggregatesState]:
    """One key with an event each microsecond."""
    aggregates = Aggregates(specs, 0, limit=limit)
    state = aggregates.new_state()
    for at in range(count):
        payment = Payment(id=at, card="a", at=at, amount=at % 10, country=f"{at % 50}")
        aggregates.step(state, "a", at, payment, at)
        assert state.moments <= limit
    return aggregates, state


def test_beyond_the_limit_the_start_of_each_window_is_blurred_by_under_one_percent() -> None:
    overs = [100, 5_000, 20_000, 40_000]
    specs: dict[str, Aggregate] = {f"{over}": Count(over=us(over)) for over in overs}
    specs["sum"] = Sum("amount", over=us(30_000))
    specs["mean"] = Mean("amount", over=us(30_000))
    specs["countries"] = Distinct("country", over=us(30_000))
    aggregates, state = busy(specs, 60_000, limit=10_000)
    values = aggregates.values(state, "a", 59_999, Payment(id=0, card="a", at=59_999))
    for over in overs:
        count = values[f"{over}"]
        assert isinstance(count, int)
        assert over <= count <= over * 1.01
    assert isinstance(values["sum"], float)
    assert 30_000 * 4.5 <= values["sum"] <= 30_000 * 4.5 * 1.01
    assert values["mean"] == pytest.approx(4.5, rel=0.01)
    assert values["countries"] == 50


def test_beyond_the_limit_the_newest_value_the_extremes_and_the_time_since_stay_right() -> None:
    specs: dict[str, Aggregate] = {
        "last": Last("country", over=us(2_000)),
        "low": Min("amount", over=us(2_000)),
        "high": Max("amount", over=us(2_000)),
        "since": TimeSince(over=us(2_000)),
    }
    aggregates, state = busy(specs, 3_000, limit=300)
    values = aggregates.values(state, "a", 3_003, Payment(id=0, card="a", at=3_003))
    assert values == {"last": "49", "low": 0.0, "high": 9.0, "since": 4e-06}


def test_distinct_beyond_the_limit_forgets_the_values_seen_longest_ago() -> None:
    aggregates, state = one_window(Distinct("country", over=days(1)), limit=300)
    for at in range(2_000):
        value = put(aggregates, state, "a", at // 500, country=f"{at}")
        assert isinstance(value, int)
        assert min(at, 150) <= value <= 300
    past = state.tables[0].pasts["a"]
    assert "1999" in past.columns[0].last_seen or len(past.times) == 4
    assert past.times[-1] == 3
    assert not past.columns[0].values[0]


def test_distinct_values_that_left_the_window_do_not_count_towards_the_limit() -> None:
    aggregates, state = one_window(Distinct("country", over=us(200)), limit=300)
    for at in range(3_000):
        assert put(aggregates, state, "a", at, country=f"{at}", watermark=at) == min(at, 199)


crowds = st.lists(
    st.tuples(
        st.just("a"),
        st.sampled_from([0, 1, 2, 5, 70]),
        st.sampled_from([0, 0, 0, 1, 40]),
        st.sampled_from([None, 0.1, 7, -3.5, 1e100]),
        st.integers(0, 400).map(str),
        st.none(),
    ),
    min_size=50,
    max_size=50,
).map(lambda some: steps_of(some * 20, lateness=100))


@settings(deadline=None, max_examples=40)
@given(crowds, st.integers(300, 999), st.sampled_from([2_000, 8_000, 20_000]))
def test_a_coarse_past_survives_stopping_to_the_byte(steps: list[Step], stop: int, over: int) -> None:
    specs = {name: type(spec)(*_field(spec), over=us(over)) for name, spec in NO_DEVICES.items()}
    aggregates = Aggregates(specs, 100, limit=300)
    unbroken = aggregates.new_state()
    expected = run(aggregates, unbroken, steps)
    broken = aggregates.new_state()
    run(aggregates, broken, steps[:stop])
    broken = aggregates.restore(aggregates.save(broken).values())
    assert run(aggregates, broken, steps[stop:]) == expected[stop:]
    assert aggregates.save(broken) == aggregates.save(unbroken)


# --- declarations


def test_specs_are_values_that_print_as_they_are_written() -> None:
    names: dict[str, Any] = {"Sum": Sum, "Count": Count, "hours": hours, "minutes": minutes, "days": days}
    for spec in (Sum("amount", over=hours(1)), Count(over=minutes(90), by="device"), Count(over=days(2))):
        assert eval(repr(spec), names) == spec
        assert hash(spec) == hash(eval(repr(spec), names))
    total: Aggregate = Sum("amount", over=hours(1))
    assert total != Mean("amount", over=hours(1))
    assert repr(Sum("amount", over=hours(1))) == 'Sum("amount", over=hours(1))'


def test_a_misspelt_field_is_refused_with_the_name_that_was_meant() -> None:
    with pytest.raises(DeclarationError, match=r"'spent': Sum\(\"amuont\".*(\n.*)*did you mean 'amount'"):
        Aggregates({"spent": Sum("amuont", over=hours(1))}, 0).check(Payment)
    with pytest.raises(DeclarationError, match="did you mean 'device'"):
        Aggregates({"n": Count(over=hours(1), by="devise")}, 0).check(Payment)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Sum("country", over=hours(1)), "reads 'country', which is str | None, expected float, int or bool"),
        (Max("kind", over=hours(1)), "expected float, int or bool"),
        (Last("tags", over=hours(1)), "expected str, float, int or bool"),
        (Count(over=hours(1), by="amount"), "expected str, int or bool"),
    ],
    ids=repr,
)
def test_a_field_of_the_wrong_type_is_refused(spec: Aggregate, message: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        Aggregates({"value": spec}, 0).check(Payment)
    assert message in str(refusal.value)


def test_fields_that_fit_are_accepted() -> None:
    Aggregates({**SPECS, "kinds": Distinct("kind", over=hours(1), by="kind")}, LATENESS).check(Payment)


@pytest.mark.parametrize("over", [3600, None, timedelta(0), hours(-1)])
def test_a_window_that_is_no_duration_or_empty_is_refused_with_what_to_write(over: Any) -> None:
    with pytest.raises(DeclarationError, match=r"write: over=hours\(1\)"):
        Count(over=over)


def test_what_is_no_aggregate_is_refused() -> None:
    with pytest.raises(DeclarationError, match="aggregate 'n' is 7, expected one of Count, Sum"):
        Aggregates({"n": 7}, 0)  # type: ignore[dict-item]
    with pytest.raises(DeclarationError, match="expected at least 300"):
        Aggregates({"n": Count(over=hours(1))}, 0, limit=299)


def test_windows_of_other_aggregates_are_not_restored() -> None:
    aggregates, state = one_window(Count(over=hours(1)))
    put(aggregates, state, "a", 1)
    shards = aggregates.save(state).values()
    with pytest.raises(StoreMismatch, match="the saved windows are of other aggregates"):
        Aggregates({"value": Count(over=hours(2))}, 0).restore(shards)
    assert Aggregates({"renamed": Count(over=hours(1))}, 0).restore(shards).keys == 1
