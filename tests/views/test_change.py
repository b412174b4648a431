"""Another declaration in the same store: what goes on, what begins, what ends, what is refused, and what is on record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from river import linear_model, metrics, preprocessing, tree
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from tests.views import contested

from eddyline import Canary, Challenger, Engine, Notify, Pipeline, Promote, Psi, RollBack, Split, Versions, Watch, every
from eddyline.engines.embedded.change import change
from eddyline.models import CustomModel, OnnxModel, SkopsModel
from eddyline.records import Features, Task
from eddyline.records.errors import NotFound, StoreLocked, StoreMismatch
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.views.dropping import drop_back
from eddyline.views.explain import explain
from eddyline.views.forget import forget
from eddyline.views.history import standing
from eddyline.views.ledger import check, decisions, declarations, tenures
from eddyline.views.operate import ask, roll_back
from eddyline.views.report import report_data, write_report
from eddyline.views.seats import seats
from eddyline.views.verify import verify

T = TypeVar("T")
HALF = 1_200
LINEAR = preprocessing.StandardScaler() | linear_model.LogisticRegression()
STRICT = Promote(evidence=1e12, better_by=0.9)
QUIET: dict[str, Any] = {"decide": (STRICT, RollBack(evidence=20), Notify(on="any", name="tell"))}


class Often(CustomModel):
    """Answers what it heard most."""

    task = Task.CLASSIFICATION

    def __init__(self) -> None:
        self.heard = {True: 0, False: 0}

    def predict(self, features: Features) -> bool:
        return self.heard[True] > self.heard[False]

    def learn(self, features: Features, truth: bool) -> None:
        self.heard[truth] += 1


def quiet(**changes: Any) -> Pipeline:
    """One in which nobody earns a place so soon."""
    return contested.pipeline(**{**QUIET, **changes})


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has seen the first half of the stream, under the first declaration."""
    path = tmp_path_factory.mktemp("lived") / "fraud.eddyline"
    contested.run(quiet(), path, contested.stream()[:HALF])
    return path


@pytest.fixture
def path(lived: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(lived, tmp_path / "fraud.eddyline"))


def goes_on(declared: Pipeline, path: Path, until: int | None = None) -> None:
    contested.run(declared, path, contested.stream()[HALF:until])


def read(path: Path, look: Callable[[Store], T]) -> T:
    with closing(Store.read(path)) as store:
        return look(store)


def pairs(path: Path, declared: Pipeline) -> dict[str, list[int]]:
    """How many pairs each contest has, by who sits beside."""
    return {
        seat.place.who: [one.verdict.pairs for one in seat.contests] for seat in read(path, lambda s: seats(s, declared)).seats
    }


# On record -----------------------------------------------------------------------------------------------------------


def test_a_change_is_in_the_ledger_with_who_when_and_why(path: Path) -> None:
    old, new = quiet(), quiet(decide=(), challengers=(), look_every=100)
    done = change(new, path, author="ada", reason="calm")
    first, second = read(path, declarations)
    assert (first.digest, second.digest) == (old.digest, new.digest) == (done.was, done.digest)
    assert (second.author, second.reason, second.block, second.answers) == ("ada", "calm", done.block, done.answers)
    assert set(first.parts) - set(second.parts) == {"challengers", "decide", "look_every"}
    made = read(path, decisions)[-1].decision
    assert (made.policy, made.action, made.subject, made.author, made.reason) == (
        "operator",
        "change",
        new.digest,
        "ada",
        "calm",
    )
    assert made.evidence["changes"] == done.says == second.says
    assert "challenger deep: ends at fraud.deep@" in " ".join(done.says)


def test_a_change_that_changes_nothing_writes_nothing(path: Path) -> None:
    before = read(path, lambda store: store.seq)
    assert change(quiet(), path, author="ada").says == []
    assert read(path, lambda store: store.seq) == before


def test_a_dry_run_says_the_same_and_changes_nothing(path: Path) -> None:
    new = quiet(watch=Watch(metrics=(metrics.F1(),)))
    before = path.read_bytes()
    told = change(new, path, author="ada", dry_run=True)
    assert (told.block, path.read_bytes()) == (0, before)
    assert change(new, path, author="ada").says == told.says
    assert told.says[:2] == ["metric F1: counted from here on", told.says[1]]
    assert told.says[1].startswith("metric Accuracy: counted no more; it stands at 0.")


def test_a_changed_history_is_noticed(path: Path) -> None:
    new = quiet(decide=())
    change(new, path, author="ada")
    with closing(Store.write(path, pipeline="fraud")) as store, store.transaction():
        store.put("changed", [])
        store.put("parts", store.get("parts") | {"look_every": "3"})
    found = read(path, lambda store: verify(store, quiet(decide=(), look_every=3)))
    assert any("pipeline changed since" in fault for fault in found.faults)
    with closing(Store.write(path, pipeline="fraud")) as store, store.transaction():
        store.put("parts", {name: text for name, text in store.get("parts").items() if name != "look_every"})
    found = read(path, lambda store: verify(store, new))
    assert found.faults == ["the store says that its declaration changed in other blocks than its chain does"]


def test_who_answered_before_a_change_stays_as_it_was(path: Path) -> None:
    before = read(path, lambda store: tenures(store, quiet()))
    new = quiet(challengers=(), decide=())
    change(new, path, author="ada")
    after = read(path, lambda store: tenures(store, new))
    assert [one.rollout for one in after[:-1]] == [one.rollout for one in before]
    assert (after[-1].rollout.places, after[-1].rollout.author) == ((), "ada")


# What goes on, and what begins ---------------------------------------------------------------------------------------


def test_a_policy_declared_as_before_keeps_its_evidence_and_one_that_is_not_begins(path: Path) -> None:
    before = pairs(path, quiet())
    assert min(before["fraud.tree"]) > 100
    same = quiet(decide=(STRICT, RollBack(evidence=30)))
    done = change(same, path, author="ada")
    assert pairs(path, same)["fraud.tree"] == [*before["fraud.tree"], 0], "a contest for each"
    assert "policies that go on with their evidence: promote" in done.says
    assert "policy roll_back: evidence: was 20, now 30; its evidence and cool-downs start anew" in done.says
    other = quiet(decide=(Promote(evidence=20), RollBack(evidence=30)))
    change(other, path, author="ada")
    assert pairs(path, other)["fraud.tree"] == [0, 0]
    goes_on(other, path)
    assert read(path, lambda store: check(store, other)).sound


def test_a_threshold_that_was_lowered_does_not_see_the_evidence_before_it(tmp_path: Path) -> None:
    """It would have acted at once: the evidence until here is above the new threshold."""
    path, patient, eager = tmp_path / "fraud.eddyline", Promote(evidence=1e12), Promote(evidence=50)
    before = contested.pipeline(decide=(patient,))
    contested.run(before, path, contested.stream()[:700])
    deep = next(seat for seat in read(path, lambda store: seats(store, before)).seats if seat.place.who == "fraud.deep")
    assert deep.contests[0].verdict.e_better > 50
    after = contested.pipeline(decide=(eager,))
    change(after, path, author="ada")
    contested.run(after, path, contested.stream()[700:760])
    assert [one.decision.action for one in read(path, decisions)] == ["change"]


def test_a_first_policy_finds_the_first_contest(tmp_path: Path) -> None:
    plain, path = contested.pipeline(decide=()), tmp_path / "fraud.eddyline"
    contested.run(plain, path, contested.stream()[:300])
    watched = contested.pipeline(decide=(Promote(evidence=50),))
    change(watched, path, author="ada")
    with Engine(watched, path) as engine:
        assert engine.loop.states.decide.trials == {"fraud.deep/1": 1, "fraud.tree/1": 2}


def test_a_proposal_of_a_policy_that_is_no_more_lapses(tmp_path: Path) -> None:
    path = tmp_path / "fraud.eddyline"
    waiting = contested.pipeline(decide=(Promote(evidence=5, approval=True),))
    contested.run(waiting, path, contested.stream()[:HALF])
    proposed = [one.decision for one in read(path, decisions) if one.decision.status == "proposed"]
    assert proposed, "somebody earned it"
    none = contested.pipeline(decide=())
    done = change(none, path, author="ada")
    assert [one.status for one in done.decisions] == ["lapsed"] * len(proposed) + ["done"]
    with pytest.raises(NotFound, match="does not wait for approval"):
        ask(none, path, Command(do="approve", number=proposed[0].number))


def test_a_new_metric_counts_from_here_on_and_the_others_go_on(path: Path) -> None:
    watch = Watch(metrics=(metrics.LogLoss(), metrics.F1()), drift=("a",))
    with Engine(quiet(), path) as engine:
        known = {one.metric: one.count for one in engine.measurements() if (one.version, one.day, one.segment) == (None,) * 3}
    new = quiet(watch=watch)
    change(new, path, author="ada")
    goes_on(new, path)
    with Engine(new, path) as engine:
        now = {one.metric: one.count for one in engine.measurements() if (one.version, one.day, one.segment) == (None,) * 3}
    assert "Accuracy" not in now
    assert now["F1"] + known["LogLoss"] == now["LogLoss"]


def test_a_new_monitor_waits_for_the_next_tick_and_the_old_one_sees_it_whole(path: Path) -> None:
    one, both = Watch(monitors=(Psi("a"),), tick=500), Watch(monitors=(Psi("b", name="psi-b"), Psi("a")), tick=500)
    first, second = quiet(watch=one), quiet(watch=both)
    change(first, path, author="ada")
    goes_on(first, path, HALF + 300)
    change(second, path, author="ada")
    with Engine(second, path) as engine:
        host = engine.loop.states.watch.host
        assert host is not None
        assert (host.shared.waiting, host.shared.since.records > 0) == ([0], True)
        gathered = len(host.shared.since.columns["a"])
        assert len(host.shared.since.columns["b"]) == gathered
    contested.run(second, path, contested.stream()[HALF + 300 :])
    with Engine(second, path) as engine:
        host = engine.loop.states.watch.host
        assert host is not None
        assert host.shared.waiting == []
    assert read(path, lambda store: check(store, second)).sound


# Challengers ---------------------------------------------------------------------------------------------------------


def test_a_new_challenger_enters_as_the_file_has_it_and_learns_from_here_on(path: Path) -> None:
    fitted = linear_model.LogisticRegression()
    fitted.learn_one({"a": 1.0, "b": 1.0}, True)
    late = (Challenger("late", model=LINEAR), Challenger("fitted", model=fitted, learns=False))
    new = quiet(challengers=(*quiet().challengers, *late))
    done = change(new, path, author="ada")
    assert done.rollout is not None
    assert [place.who for place in done.rollout.places][-2:] == ["fraud.late", "fraud.fitted"]
    goes_on(new, path, HALF + 300)
    with Engine(new, path) as engine:
        rivals = engine.loop.states.rivals
        assert 0 < rivals["fraud.late"].position < rivals["fraud.tree"].position
        assert rivals["fraud.fitted"].position == 0
        assert rivals["fraud.fitted"].model.digest() == new.plan().lines["fraud.fitted"].model.digest()
        assert engine.lines.rebuild("fraud.late", rivals["fraud.late"].position).digest() == rivals["fraud.late"].model.digest()
    assert read(path, lambda store: verify(store, new)).sound


def test_a_shadow_more_deals_no_keys_anew_and_a_canary_does(path: Path) -> None:
    with_shadow = quiet(challengers=(*quiet().challengers, Challenger("late", model=LINEAR)))
    first = change(with_shadow, path, author="ada").rollout
    assert first is not None
    assert first.salt == 0
    with_canary = quiet(challengers=(*with_shadow.challengers, Challenger("more", model=LINEAR, mode=Canary(0.1))))
    second = change(with_canary, path, author="ada").rollout
    assert second is not None
    assert second.salt == second.revision


def test_a_challenger_may_be_asked_otherwise_and_keeps_its_line(path: Path) -> None:
    deep, other = quiet().challengers
    new = quiet(challengers=(msgspec_replace(deep, mode=Split(0.5)), msgspec_replace(other, learns=False)))
    done = change(new, path, author="ada")
    assert done.rollout is not None
    assert next((place.who, place.mode, place.share) for place in done.rollout.places) == ("fraud.deep", "split", 0.5)
    goes_on(new, path, HALF + 300)
    with Engine(new, path) as engine:
        tree_at = engine.loop.states.rivals["fraud.tree"].position
        assert engine.loop.states.rivals["fraud.deep"].position > tree_at
    assert read(path, lambda store: verify(store, new)).sound


def msgspec_replace(one: Challenger, **changes: Any) -> Challenger:
    fields = {name: getattr(one, name) for name in ("name", "model", "features", "mode", "learns", "per")}
    return Challenger(**{**fields, **changes})


def test_a_line_that_is_declared_no_more_ends_and_can_be_looked_at(path: Path) -> None:
    new = quiet(challengers=())
    change(new, path, author="ada")
    goes_on(new, path)
    with Engine(new, path) as engine:
        assert engine.loop.states.rivals == {}
        ended = engine.loop.states.decide.ended
        assert min(ended["fraud.deep"], ended["fraud.tree"]) > 100
        kept = engine.store.versions("fraud.deep")[-1]
        assert engine.lines.rebuild("fraud.deep", kept.position).digest() == kept.digest
    verdict = read(path, lambda store: verify(store, new))
    assert (verdict.sound, verdict.left_out) == (True, {})
    asked = read(path, lambda store: next(p for b in store.blocks() for p in b.predictions if p.model == "fraud.deep"))
    assert read(path, lambda store: explain(store, new, asked.event_id)).again == "equal"
    with pytest.raises(NotFound, match=r"fraud\.deep is declared no more, and how it made features went with that"):
        roll_back(new, path, f"fraud.deep@{kept.position}", author="ada")
    back, _ = roll_back(new, path, "fraud.tree@50", author="ada")
    assert back.rollout.champion == "fraud.tree@50", "it saw what the pipeline sees"
    roll_back(new, path, "fraud@60", author="ada")
    assert read(path, lambda store: check(store, new)).sound


def test_labels_of_answers_by_a_line_that_left_teach_the_others_what_they_saw_themselves(path: Path) -> None:
    """A canary's answer carries its own features; whoever sees others learns from those."""
    new = quiet(challengers=())
    with Engine(quiet(), path) as engine:
        waiting = [contested.Payment(id=f"w-{i}", card=f"c-{i}", at=20_000 + i, a=1.0, b=2.0) for i in range(40)]
        answered = [engine.answer(one) for one in waiting]
    assert {one.model for one in answered} == {"fraud", "fraud.deep"}
    change(new, path, author="ada")
    with Engine(new, path) as engine:
        before = engine.loop.states.learn.position
        for one in waiting:
            engine.tell(contested.Chargeback(id=one.id, at=20_100, fraud=True))
        assert engine.loop.states.learn.position == before + 40
        rebuilt = engine.lines.rebuild("fraud", before + 40)
        assert rebuilt.digest() == engine.loop.states.learn.model.digest()
    assert read(path, lambda store: verify(store, new)).faults == []


def test_answers_that_need_a_class_which_is_gone_are_said_to_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old = tmp_path / "fraud.eddyline", quiet(challengers=(Challenger("often", model=Often()),))
    contested.run(old, path, contested.stream()[:400])
    new = quiet(challengers=())
    change(new, path, author="ada")
    monkeypatch.delattr(f"{__name__}.Often")
    verdict = read(path, lambda store: verify(store, new))
    ((why, many),) = verdict.left_out.items()
    assert "fraud.often is declared no more, and its model" in why
    assert (many, verdict.faults) == (verdict.predictions, [])


def as_onnx(path: Path, estimator: Any) -> OnnxModel:
    made = pytest.importorskip("skl2onnx", reason="no ONNX file was made: skl2onnx is not installed")
    pytest.importorskip("onnxruntime", reason="no ONNX file was answered: onnxruntime is not installed")
    shown, options = np.zeros((1, 2), np.float32), {id(estimator): {"zipmap": False}}
    path.write_bytes(made.to_onnx(estimator, shown, options=options).SerializeToString())
    return OnnxModel(path, features=["a", "b"], classes=[False, True])


def as_skops(path: Path, estimator: Any) -> SkopsModel:
    pytest.importorskip("skops.io", reason="no skops file was made: skops is not installed").dump(estimator, path)
    return SkopsModel(path, features=["a", "b"], classes=[False, True])


@pytest.mark.parametrize("made", [as_onnx, as_skops], ids=["onnx", "skops"])
def test_a_file_may_come_and_go_and_all_its_answers_are_proved(
    path: Path, tmp_path: Path, made: Callable[[Path, Any], Any]
) -> None:
    rows = np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32)
    model = made(tmp_path / "file", LogisticRegression().fit(rows, rows[:, 0] > 0))
    with_file = quiet(challengers=(*quiet().challengers, Challenger("file", model=model, learns=False)))
    change(with_file, path, author="ada")
    contested.run(with_file, path, contested.stream()[HALF : HALF + 200])
    assert read(path, lambda store: verify(store, with_file)).sound
    assert read(path, lambda store: seats(store, with_file)).behind == ""
    without = quiet()
    change(without, path, author="ada")
    contested.run(without, path, contested.stream()[HALF + 200 : HALF + 400])
    verdict = read(path, lambda store: verify(store, without))
    assert (verdict.sound, verdict.left_out, verdict.faults) == (True, {}, [])
    assert verdict.written_as.count("since block") == 2, "the fingerprint names what answers"
    assert read(path, lambda store: check(store, without)).sound


def test_a_forgotten_event_is_not_learned_by_who_comes_later(path: Path) -> None:
    late = contested.Payment(id="w-1", card="c-1", at=20_000, a=1.0, b=2.0)
    with Engine(quiet(), path) as engine:
        engine.answer(late)
    forget(quiet(), path, ["w-1"], author="ada")
    new = quiet(challengers=(*quiet().challengers, Challenger("late", model=LINEAR)))
    change(new, path, author="ada")
    with Engine(new, path) as engine:
        engine.tell(contested.Chargeback(id="w-1", at=20_060, fraud=True))
        assert engine.loop.states.rivals["fraud.late"].position == 0
    assert read(path, lambda store: check(store, new)).sound


# What is refused -----------------------------------------------------------------------------------------------------


def test_the_refusal_names_the_command_where_it_would_do(path: Path) -> None:
    with pytest.raises(StoreMismatch, match=r"in decide\n  decide: .*\ntake it up from here on: eddyline change FILE"):
        Engine(quiet(decide=(Promote(evidence=3),)), path)
    with pytest.raises(StoreMismatch, match="put that back, or take") as refused:
        Engine(quiet(decide=(), features=contested.crossed), path)
    assert "eddyline change" not in str(refused.value)
    with pytest.raises(StoreMismatch) as by_change:
        change(quiet(decide=(), features=contested.crossed), path, author="ada")
    assert str(by_change.value) == str(refused.value)


@pytest.mark.parametrize(
    ("again", "words"),
    [
        (Challenger("tree", model=tree.HoeffdingTreeClassifier(grace_period=20)), "another recipe under the name"),
        (Challenger("tree", model=LINEAR), "another recipe under the name"),
        (Challenger("deep"), "another recipe under the name"),
    ],
    ids=["another parameter", "another model", "other features"],
)
def test_the_name_of_a_line_is_one_recipe_for_ever(path: Path, again: Challenger, words: str) -> None:
    with pytest.raises(StoreMismatch, match=words) as refused:
        change(quiet(challengers=(again,)), path, author="ada")
    assert f'Challenger("{again.name}-2", ...)' in str(refused.value)
    change(quiet(challengers=()), path, author="ada")
    with pytest.raises(StoreMismatch, match=f"has a line fraud.{again.name} already"):
        change(quiet(challengers=(again,)), path, author="ada")


def test_who_answers_stays_declared(path: Path) -> None:
    roll_back(quiet(), path, "fraud.deep", author="ada")
    with pytest.raises(StoreMismatch, match=r"fraud\.deep answers, and is made as the challenger deep") as refused:
        change(quiet(challengers=()), path, author="ada")
    assert "eddyline rollback FILE live" in str(refused.value)
    roll_back(quiet(), path, "live", author="ada")
    done = change(quiet(challengers=()), path, author="ada")
    assert "challenger deep: it was the champion before, and there is nobody to roll back to now" in done.says
    assert done.rollout is not None
    assert (done.rollout.former, done.rollout.places) == (None, ())


def test_who_was_made_as_a_challenger_leaves_before_it(path: Path) -> None:
    drop_back(quiet(), path, "fraud.deep@100", author="ada")
    goes_on(quiet(), path, HALF + 100)
    new = quiet(challengers=())
    with pytest.raises(StoreMismatch, match=r"fraud\.b1 answers, and is made as the challenger deep"):
        change(new, path, author="ada")
    roll_back(quiet(), path, "live", author="ada")
    with pytest.raises(StoreMismatch, match=r"fraud\.b1 sits beside the champion.*\n.*challengers FILE --leave fraud\.b1"):
        change(new, path, author="ada")
    ask(quiet(), path, Command(do="leave", to="fraud.b1", author="ada"))
    done = change(new, path, author="ada")
    assert done.rollout is not None
    assert (done.rollout.former, done.rollout.places) == (None, ())
    contested.run(new, path, contested.stream()[HALF + 100 : HALF + 200])
    verdict = read(path, lambda store: verify(store, new))
    assert (verdict.sound, verdict.left_out, verdict.faults) == (True, {}, [])
    with pytest.raises(NotFound, match=r"fraud\.b1 is declared no more"):
        roll_back(new, path, "fraud.b1@120", author="ada")


def test_what_no_checkpoint_holds_has_to_be_recovered_first(path: Path) -> None:
    engine = Engine(quiet(), path)
    engine.answer(contested.Payment(id="w-1", card="c-1", at=20_000, a=1.0, b=2.0))
    engine.store.close()  # as a process that is killed
    new = quiet(decide=())
    with pytest.raises(StoreMismatch, match=r"its last 1 blocks? .* in no checkpoint.*\nopen it once with the file as it was"):
        change(new, path, author="ada")
    Engine(quiet(), path).close()
    change(new, path, author="ada")
    assert read(path, lambda store: verify(store, new)).sound


def test_somebody_who_runs_keeps_its_declaration(path: Path) -> None:
    with Engine(quiet(), path) as engine, pytest.raises(StoreLocked):
        change(quiet(decide=()), engine.path, author="ada")


def test_a_command_cannot_change_a_declaration(path: Path) -> None:
    with Engine(quiet(), path) as engine, pytest.raises(NotFound, match="eddyline change FILE"):
        engine.command(Command(do="change", to="0" * 16, author="ada"))


def test_segments_in_quarantine_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "fraud.eddyline"
    by_card = contested.pipeline(decide=(), challengers=(), watch=Watch(segment="card"))
    contested.run(by_card, path, [*contested.stream()[:60], Command(do="quarantine", to="c-1", author="ada")])
    nobody = by_card.replace(watch=Watch())
    with pytest.raises(StoreMismatch, match=r"in quarantine is c-1.*\nlet it go first"):
        change(nobody, path, author="ada")
    ask(by_card, path, Command(do="release", to="c-1", author="ada"))
    done = change(nobody, path, author="ada")
    assert "segments: none from here on; what was kept by segment begins anew" in done.says


def test_an_empty_store_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "fraud.eddyline"
    Engine(quiet(), path).close()
    with pytest.raises(StoreMismatch, match="holds nothing yet\nremove it"):
        change(quiet(decide=()), path, author="ada")
    with pytest.raises(NotFound, match="no store at"):
        change(quiet(), tmp_path / "other.eddyline", author="ada")


def test_versions_may_be_kept_more_often_from_here_on(path: Path) -> None:
    new = quiet(versions=Versions(every=100))
    assert change(new, path, author="ada").says == ["versions: was Versions(every=500), now Versions(every=100)"]
    goes_on(new, path)
    kept = [one.position for one in read(path, lambda store: store.versions())]
    assert kept[0] == 0
    assert [position for position in kept if position % 500] != []
    assert read(path, lambda store: verify(store, new)).sound


def test_publishing_may_begin_and_end(path: Path) -> None:
    published = quiet(publish=every(50))
    done = change(published, path, author="ada")
    goes_on(published, path, HALF + 300)
    with Engine(published, path) as engine:
        assert engine.loop.states.learn.published_position % 50 == 0
    live = quiet()
    change(live, path, author="ada")
    contested.run(live, path, contested.stream()[HALF + 300 : HALF + 600])
    with Engine(live, path) as engine:
        assert engine.loop.voice.position == engine.loop.states.learn.position
    positions = read(
        path, lambda s: [p.position for b in s.blocks(after=done.block) for p in b.predictions if p.model == "fraud"]
    )
    assert positions[0] == done.learner, "the first published version is what the learner knew"
    assert read(path, lambda store: standing(store, live)).live
    assert read(path, lambda store: verify(store, live)).sound
    assert read(path, lambda store: check(store, live)).sound


def test_a_report_says_what_is_counted_since_when(path: Path, tmp_path: Path) -> None:
    new = quiet(watch=Watch(metrics=(metrics.F1(),)))
    change(new, path, author="ada")
    page = read(path, lambda store: write_report(store, new, tmp_path / "fraud.html")).read_text()
    assert "No truth has come since F1 is counted" in page
    assert "metric Accuracy: counted no more" in page
    goes_on(new, path)
    data = read(path, lambda store: report_data(store, new))
    assert data.quality is not None
    assert 0 < sum(day.count for day in data.quality.days) == data.quality.overall[0].count < data.fates.labelled
    assert min(day.count for day in data.quality.days) > 0
