"""A change of declaration: what both declare goes on to the bit, answers stay, and a crash leaves the old one or the new."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model, metrics
from tests.laws.drawn import LAW, PIPELINES, PLACES, batches, messy, pipeline, us
from tests.views import contested

from eddyline import Alert, Challenger, Engine, Notify, Pipeline, Promote, Psi, RollBack, Watch
from eddyline.engines.embedded.change import change
from eddyline.monitors.saving import to_bytes
from eddyline.records import Measurement
from eddyline.records.errors import StoreMismatch
from eddyline.stages.commands import version_of
from eddyline.store.database import Store
from eddyline.testing import Voyage
from eddyline.testing.given import Given
from eddyline.views.backtest import backtest
from eddyline.views.ledger import check, declarations, tenures
from eddyline.views.retelling import decided_again
from eddyline.views.verify import verify


class Sums:
    """A metric of a user's own."""

    def __init__(self) -> None:
        self.total = 0.0

    def update(self, y_true: Any, y_pred: Any) -> None:
        self.total += float(y_true != y_pred)

    def get(self) -> float:
        return self.total


class Counting:
    """A monitor of a user's own."""

    def __init__(self) -> None:
        self.seen = 0

    def update(self, record: Any) -> Alert | None:
        self.seen += 1
        return None

    def get(self) -> float:
        return float(self.seen)


OLD = Watch(
    metrics=(metrics.Accuracy(), Sums, metrics.LogLoss()),
    segment="shop",
    drift=("amount",),
    monitors=(Counting, Psi("often")),
    tick=10,
)
NEW = Watch(
    metrics=(metrics.LogLoss(), metrics.F1(), metrics.Accuracy()),
    segment="shop",
    drift=("often", "amount"),
    monitors=(Psi("amount", name="psi-amount"), Psi("often"), Counting),
    tick=10,
)


TURNS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["plain", "watched", "decided"])), max_size=4)
NEW_WATCH = Watch(metrics=(metrics.F1(),), monitors=(Psi("a"),))


def before(name: str) -> Pipeline:
    return pipeline(name).replace(watch=OLD)


def after(name: str) -> Pipeline:
    """Other metrics and monitors in another order, a shadow more, and policies where there were none."""
    old = before(name)
    shadow = Challenger("late", model=linear_model.LogisticRegression())
    rules = (RollBack(evidence=1.5, exceptions=0.2), Promote(evidence=1.4, deadline=us(60))) if name == "contested" else ()
    kept = tuple(rule for rule in old.decide if rule in rules)
    watching = (*kept, Notify(on="any"), *(rule for rule in rules if rule not in kept))
    return old.replace(watch=NEW, challengers=(*old.challengers, shadow), decide=watching)


def answers(store: Store) -> list[tuple[Any, ...]]:
    """What callers got, and from whom; not who was asked beside."""
    return [
        (one.event_id, one.value, one.scores, one.model, one.position, one.features)
        for block in store.blocks()
        for one in block.predictions
    ]


def learned(store: Store) -> list[tuple[int, Any, int]]:
    return [(row.slot, row.truth, row.position) for block in store.blocks() for row in block.examples]


def versions(store: Store) -> list[tuple[str, str]]:
    return [(one.name, one.digest) for one in store.versions()]


def numbers(found: Sequence[Measurement], names: Sequence[str]) -> list[Measurement]:
    """Those of some metrics and monitors, whatever is asked beside, and whichever is the first."""
    own = [one for one in found if one.version is None or one.version.partition("@")[0].count(".") == 0]
    return sorted((one for one in own if one.metric in names and (one.version is None or "@" in one.version)), key=repr)


def alerts(store: Store) -> list[Alert]:
    """Those of what both declarations watch."""
    found = [alert for block in store.blocks() for alert in block.notes.alerts]
    both = (("psi", "often"), ("feature_drift", "amount"), ("error_drift", "error"))
    return [alert for alert in found if (alert.monitor, alert.subject) in both]


def memories(engine: Engine) -> dict[str, bytes]:
    """What the monitors that both declare remember, as it is saved."""
    stage, state = engine.plan.watch, engine.loop.states.watch
    assert stage.host is not None
    assert state.host is not None
    assert state.error is not None
    psi = next(pair for pair in zip(stage.host.monitors, state.host.memories, strict=True) if pair[0].columns()[0] == "often")
    amount = state.drift[stage.features.index("amount")]
    return {
        "amount": to_bytes(amount.plain(), ()),
        "the error": to_bytes(state.error.plain(), ()),
        "often": psi[0].save(psi[1]),
        "pace": msgspec.msgpack.encode(state.host.shared.pace),
    }


def taken(voyage: Voyage, records: Sequence[Sequence[Given]]) -> None:
    for batch in records:
        voyage.take(*batch)


def possible(voyage: Voyage, declared: Pipeline) -> bool:
    """Changes the declaration where nobody is asked who would not be declared any more; whether it did."""
    try:
        voyage.change(declared)
    except StoreMismatch as refused:
        if "declares no more" not in str(refused):
            raise
        return False
    return True


@pytest.mark.parametrize("name", [one for one in PIPELINES if one != "contested"])
@LAW
@given(messy(), PLACES, st.integers(0, 60), st.booleans())
def test_a_change_changes_no_answer_and_no_version_and_common_metrics_are_equal(
    name: str, records: list[Given], places: list[int], at: int, crashes: bool
) -> None:
    cuts = batches(records, places)
    middle = max(1, at % (len(cuts) + 1))
    with tempfile.TemporaryDirectory() as folder, Voyage(before(name), Path(folder)) as straight:
        taken(straight, cuts)
        plain = answers(straight.engine.store), learned(straight.engine.store), versions(straight.engine.store)
        common = ("Accuracy", "LogLoss", "Counting", "answered", "labelled", "feature often paused")
        measured, alerted = numbers(straight.engine.measurements(), common), alerts(straight.engine.store)
        remembered = memories(straight.engine)
    with tempfile.TemporaryDirectory() as folder, Voyage(before(name), Path(folder)) as voyage:
        taken(voyage, cuts[:middle])
        voyage.change(after(name))
        if crashes:
            voyage.crash()
        taken(voyage, cuts[middle:])
        if crashes:
            voyage.crash()
        store = voyage.engine.store
        assert (answers(store), learned(store), versions(store)) == plain
        assert (numbers(voyage.engine.measurements(), common), alerts(store)) == (measured, alerted)
        assert memories(voyage.engine) == remembered
        verdict = verify(store, after(name))
        assert verdict.faults == []
        retold = decided_again(store, after(name))
        assert retold.again == retold.recorded


@LAW
@given(messy(events=40), PLACES, st.integers(0, 60))
def test_a_metric_more_changes_no_decision(records: list[Given], places: list[int], at: int) -> None:
    cuts, declared = batches(records, places), pipeline("contested")
    more = declared.replace(watch=Watch(metrics=(metrics.Accuracy(), metrics.F1()), segment="shop", drift=("amount",)))
    middle = max(1, at % (len(cuts) + 1))
    with tempfile.TemporaryDirectory() as folder, Voyage(declared, Path(folder)) as straight:
        taken(straight, cuts)
        plain = decided(straight.engine.store)
        digests = {one.name: one.model.digest() for one in straight.engine.loop.states.rivals.values()}
    with tempfile.TemporaryDirectory() as folder, Voyage(declared, Path(folder)) as voyage:
        taken(voyage, cuts[:middle])
        voyage.change(more)
        taken(voyage, cuts[middle:])
        assert decided(voyage.engine.store) == plain
        assert {one.name: one.model.digest() for one in voyage.engine.loop.states.rivals.values()} == digests


def decided(store: Store) -> list[tuple[Any, ...]]:
    """Every prediction, rollout and decision, but for the change itself and the numbers that it moved."""
    found: list[tuple[Any, ...]] = []
    for block in store.blocks():
        found += [("prediction", one) for one in block.predictions]
        found += [("rollout", one) for one in block.notes.rollouts]
        found += [
            ("decision", one.policy, one.action, one.subject, one.status, one.at, one.record, one.reason, one.revision)
            for one in block.notes.decisions
            if one.action not in ("change", "approve", "reject")
        ]
    return found


@LAW
@given(messy(events=40), PLACES, st.integers(0, 60), st.booleans())
def test_what_is_decided_after_a_change_follows_from_the_journal(
    records: list[Given], places: list[int], at: int, crashes: bool
) -> None:
    cuts, old, new = batches(records, places), before("contested"), after("contested")
    middle = max(1, at % (len(cuts) + 1))
    with tempfile.TemporaryDirectory() as folder, Voyage(old, Path(folder)) as voyage:
        taken(voyage, cuts[:middle])
        start = tenures(voyage.engine.store, old)
        voyage.change(new)
        if crashes:
            voyage.crash()
        taken(voyage, cuts[middle:])
        if crashes:
            voyage.crash()
        store = voyage.engine.store
        retold = decided_again(store, new)
        assert retold.again == retold.recorded
        assert [one.decision.number for one in check(store, new).decisions] == list(
            range(1, len(retold.before + retold.recorded) + 1)
        )
        assert check(store, new).sound
        tried = backtest(store, new, new.decide)
        assert [one.decision for one in tried.tried] == tried.recorded == retold.recorded
        assert tried.changed_in == retold.turn.block if retold.turn is not None else False
        assert [one.rollout for one in tenures(store, new)][: len(start)] == [one.rollout for one in start]
        assert [one.digest for one in declarations(store)] == [old.digest, new.digest]
        verdict = verify(store, new)
        assert (verdict.faults, verdict.left_out) == ([], {})


@LAW
@given(messy(events=40), PLACES, st.integers(0, 60), st.sets(st.sampled_from(["grown", "seen", "still"]), min_size=1))
def test_lines_that_are_declared_no_more_are_proved_as_before(
    records: list[Given], places: list[int], at: int, names: set[str]
) -> None:
    cuts, old = batches(records, places), pipeline("contested")
    new = old.replace(challengers=tuple(one for one in old.challengers if one.name not in names))
    middle = max(1, at % (len(cuts) + 1))
    with tempfile.TemporaryDirectory() as folder, Voyage(old, Path(folder)) as voyage:
        taken(voyage, cuts[:middle])
        before_it = {one.name: one.digest for line in voyage.engine.store.lines() for one in voyage.engine.store.versions(line)}
        if not possible(voyage, new):
            return
        taken(voyage, cuts[middle:])
        voyage.crash()
        store = voyage.engine.store
        verdict = verify(store, new)
        assert (verdict.faults, verdict.left_out, verdict.sound) == ([], {}, True)
        rebuilt = {name: voyage.engine.lines.rebuild(*version_of(name)).digest() for name in before_it}
        assert rebuilt == before_it
        assert decided_again(store, new).again == decided_again(store, new).recorded


@LAW
@given(
    messy(events=40),
    PLACES,
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["plain", "watched", "decided"])), max_size=4),
)
def test_changes_may_follow_each_other(records: list[Given], places: list[int], turns: list[tuple[int, str]]) -> None:
    cuts, first = batches(records, places), pipeline("contested")
    ways = {"plain": first.replace(decide=()), "watched": before("contested"), "decided": after("contested")}
    ways = {way: one.replace(challengers=first.challengers) for way, one in ways.items()}
    wanted = sorted((max(1, at % (len(cuts) + 1)), way) for at, way in turns)
    with tempfile.TemporaryDirectory() as folder, Voyage(first, Path(folder)) as voyage:
        held = [first.digest]
        for number, batch in enumerate(cuts, 1):
            voyage.take(*batch)
            for _, way in [one for one in wanted if one[0] == number]:
                voyage.change(ways[way])
                held += [ways[way].digest] if ways[way].digest != held[-1] else []
        voyage.crash()
        store, now = voyage.engine.store, voyage.pipeline
        assert [one.digest for one in declarations(store)] == held
        assert (verify(store, now).faults, check(store, now).sound) == ([], True)
        if now.decide:
            tried = backtest(store, now, now.decide)
            assert [one.decision for one in tried.tried] == tried.recorded


def crashes_of(path: Path, declared: Pipeline, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The store as a crash would leave it before each statement of a change, and after it."""
    copies: list[Path] = []
    connect = sqlite3.connect

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*arguments, **options)
        made.set_trace_callback(lambda _: copy())
        return made

    def copy() -> None:
        found = folder / f"crash-{len(copies)}.eddyline"
        for ending in ("", "-wal"):
            if path.with_name(path.name + ending).exists():
                shutil.copy(path.with_name(path.name + ending), found.with_name(found.name + ending))
        copies.append(found)

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", watched)
        change(declared, path, author="a test")
    copy()
    yield from copies


def opens(path: Path, declared: Pipeline) -> bool:
    try:
        with Engine(declared, path) as engine:
            return verify(engine.store, declared).faults == []
    except StoreMismatch:
        return False


def test_a_crash_anywhere_in_a_change_leaves_the_old_declaration_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, records = contested.pipeline(), contested.pipeline(watch=NEW_WATCH, decide=()), contested.stream(300)
    path = tmp_path / "fraud.eddyline"
    contested.run(old, path, records)
    found = [(opens(one, old), opens(one, new)) for one in crashes_of(path, new, tmp_path, monkeypatch)]
    assert set(found) == {(True, False), (False, True)}, "one of them, and never both"
    assert found == sorted(found, reverse=True), "the old one until the commit, the new one from there on"
