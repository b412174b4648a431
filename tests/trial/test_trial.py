"""`eddyline test` and `eddyline retrain`, as a script and a CI system see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner
from river import anomaly, dummy, linear_model, preprocessing, stats
from tests.trial.shop import opened

from eddyline import Engine, EpochSeconds, Event, Id, Label, Pipeline, Truth, memory
from eddyline.cli.retrain import command as retrain_command
from eddyline.cli.test import command as trial_command
from eddyline.engines.embedded import replay
from eddyline.pipeline.loading import Loaded
from eddyline.policies.gates import Floor, NoRegression
from eddyline.records.errors import DeclarationError, NotFound
from eddyline.store.database import Store
from eddyline.store.examples import Examples
from eddyline.views.trial import Candidate, Tried, judge, load_candidate, spec_of, try_candidate
from eddyline.views.trial_report import junit, markdown

HEAD = """
from river import dummy, linear_model, preprocessing
from eddyline.policies.gates import Cost, Floor, Golden, NoRegression, SegmentFloor
from eddyline.store.examples import Examples
from eddyline.views.trial import Candidate
"""
GOOD = (
    HEAD
    + """
candidate = Candidate(
    pipeline="shop.py",
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(l2=0.001),
    gates=(
        Floor("accuracy", at_least=0.75),
        NoRegression(),
        NoRegression("brier", by=0.1, proof=True),
        SegmentFloor("accuracy", at_least=0.7, min_count=50),
        Cost(times=20),
    ),
)
"""
)
BAD = (
    HEAD
    + """
candidate = Candidate(pipeline="shop.py", model=dummy.NoChangeClassifier(), gates=(NoRegression(), Cost(bytes=10_000_000)))
"""
)

Write = Callable[[str], Path]
pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def write(shop: Loaded, tmp_path: Path) -> Write:
    """Writes a candidate's file beside a copy of the shop's."""

    def write(text: str) -> Path:
        path = shop.base / f"candidate_{tmp_path.name}.py"
        path.write_text(text)
        return path

    return write


def ran(command: Any, *arguments: object) -> tuple[int, str]:
    """A command's exit code and what it printed."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


def tried(shop: Loaded, **candidate: Any) -> Tried:
    """A candidate for the shop, tried from Python."""
    with opened(shop) as store:
        return try_candidate(store, shop.pipeline, Candidate(pipeline=shop.pipeline, **candidate), shop.base)


def test_a_good_candidate_passes_and_is_reported_for_ci_and_for_people(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    (tmp_path / "page.md").write_text("before\n")
    code, out = ran(trial_command, write(GOOD), "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "m.md", "--json")
    found = json.loads(out)
    assert (code, found["passed"], found["learned"]) == (0, True, 1564)
    suite = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("5", "0")
    assert len(suite.findall(".//testcase")) == 5
    assert (tmp_path / "m.md").read_text().startswith("## candidate passed every gate\n")
    assert (tmp_path / "page.md").read_text() == "before\n" + (tmp_path / "m.md").read_text()


def test_a_worse_candidate_is_stopped_with_the_reason(write: Write, tmp_path: Path) -> None:
    code, out = ran(trial_command, write(BAD), "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "m.md")
    assert code == 1
    assert "NOT PASSED" in out
    suite = ElementTree.parse(tmp_path / "j.xml").getroot()
    (failed,) = suite.findall(".//testcase[failure]")
    assert (suite.get("failures"), failed.get("name")) == ("1", "no regression: zero_one")
    failure = failed.find("failure")
    assert failure is not None
    assert "shown to be worse" in str(failure.get("message"))
    assert "## candidate did not pass 1 of its gates" in (tmp_path / "m.md").read_text()


def test_the_same_recipe_that_catches_up_answers_as_the_champion_did_bit_for_bit(shop: Loaded) -> None:
    from eddyline.store.training import chosen_by, reader_of, train
    from eddyline.views.trial import _answers

    with opened(shop) as store:
        spec = spec_of(store, shop.pipeline, Candidate(pipeline=shop.pipeline))
        made = train(store, shop.pipeline, spec, shop.base / "bits")
        held = list(reader_of(store, shop.pipeline, spec).read(chosen_by(store, spec, made).judge))
        judged, _ = _answers(store, spec, made, held, follows=True)
        frozen, _ = _answers(store, spec, made, held, follows=False)
    after = {sample.prediction.event_id for sample in held if sample.prediction.position >= made.position}
    assert len(after) > 300
    assert all(one.candidate == one.champion for one in judged if one.event_id in after)
    assert sum(one.candidate == one.champion for one in frozen) < 10


def test_judging_leaves_the_candidate_as_it_was_trained(shop: Loaded, tmp_path: Path) -> None:
    from eddyline.store.training import train

    with opened(shop) as store:
        spec = spec_of(store, shop.pipeline, Candidate(pipeline=shop.pipeline))
        made = train(store, shop.pipeline, spec, tmp_path / "out")
        first = judge(store, shop.pipeline, spec, made, (NoRegression(),))
        assert spec.model.restored(made.state).digest() == made.digest == first.digest
        again = judge(store, shop.pipeline, spec, made, (NoRegression(),))
        assert again.gates == first.gates


def test_a_candidate_may_make_features_of_its_own_and_ask_for_the_pipelines_aggregates(shop: Loaded) -> None:
    def wider(visit: Any, read: float) -> dict[str, float]:
        return {"pages": visit.pages, "share": visit.pages / (read + visit.pages), "german": visit.country == "DE"}

    found = tried(shop, features=wider, gates=(Floor("accuracy", at_least=0.75),))
    assert found.passed
    assert (found.lineage.unseen, found.silent) == (0, 0)

    def greedy(visit: Any, spent: float) -> dict[str, float]:
        return {"spent": spent}

    with pytest.raises(DeclarationError, match="asks for 'spent', which is not an aggregate"):
        tried(shop, features=greedy)


def test_a_candidate_that_cannot_answer_pays_for_it(shop: Loaded) -> None:
    def shy(visit: Any) -> dict[str, float]:
        if visit.country == "US":
            raise ValueError("not for me")
        return {"pages": visit.pages}

    found = tried(shop, features=shy, gates=(NoRegression(),))
    assert not found.passed
    assert found.silent > 100
    assert "not for me" in found.why_silent
    assert "not for me" in markdown(found)


def test_a_file_is_judged_on_everything_and_never_trained(shop: Loaded, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    skl2onnx = pytest.importorskip("skl2onnx", reason="no ONNX file was judged: skl2onnx is not installed")
    pytest.importorskip("onnxruntime", reason="no ONNX file was judged: onnxruntime is not installed")
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    from eddyline.models.onnx import OnnxModel

    with opened(shop) as store:
        truths = {p.event_id: p.features for block in store.blocks() for p in block.predictions}
    rows = numpy.array([[float(f["pages"] or 0), float(f["read"] or 0)] for f in truths.values()], dtype=numpy.float32)
    estimator = LogisticRegression().fit(rows, rows[:, 0] > 3)
    made = skl2onnx.to_onnx(estimator, rows[:1], target_opset={"": 18, "ai.onnx.ml": 3})
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    model = OnnxModel(tmp_path / "m.onnx", features=["pages", "read"], classes=[False, True])
    found = tried(shop, model=model, gates=(NoRegression(), Floor("accuracy", at_least=0.8)))
    assert found.passed
    assert (found.learned, found.judged.count, found.catches_up) == (0, 1956, False)
    assert found.digest == model.digest()


def test_golden_answers_of_a_candidate_are_found_beside_its_file(write: Write, shop: Loaded) -> None:
    (shop.base / "golden.jsonl").write_text('{"features": {"pages": 90.0, "read": 1.0}, "value": true}\n' * 2)
    text = HEAD + 'candidate = Candidate(pipeline="shop.py", gates=(Golden("golden.jsonl"),))\n'
    assert ran(trial_command, write(text))[0] == 0
    (shop.base / "golden.jsonl").write_text('{"features": {"pages": 90.0, "read": 1.0}, "value": false}\n')
    code, out = ran(trial_command, write(text), "--json")
    assert code == 1
    assert "1 of 1 differ: line 1: expected False, got True" in json.loads(out)["gates"][0]["said"]


def test_names_and_errors_of_users_stay_text_in_the_reports(shop: Loaded) -> None:
    def hostile(visit: Any) -> dict[str, float]:
        if visit.country == "US":
            return {"pages": visit.pages}
        raise ValueError("</testcase> | <script>\x00 ]]> `x` \ud800")

    found = tried(shop, features=hostile, gates=(NoRegression(),))
    ElementTree.fromstring(junit(found, 1.0))
    page = markdown(found)
    page.encode()
    assert "<script>" not in page
    assert "ValueError" in page
    with pytest.raises(DeclarationError, match="starting with a letter"):
        tried(shop, name="<b>|")


def test_a_candidate_that_could_learn_nothing_is_not_judged(shop: Loaded) -> None:
    def missing(visit: Any) -> dict[str, float]:
        return {"rating": visit.rating}

    with pytest.raises(NotFound, match=r"candidate: 0 of 1,564 examples could be learned: .*has no attribute 'rating'"):
        tried(shop, features=missing, gates=(NoRegression(),))


def test_retraining_goes_by_the_pipelines_own_recipe_or_a_challengers(shop: Loaded, tmp_path: Path) -> None:
    code, out = ran(
        retrain_command, shop.file, "--nice", 0, "--out", tmp_path / "r1", "--name", "shop.r1", "--examples", 1000, "--json"
    )
    found = json.loads(out)
    assert (code, found["name"], found["learned"], found["judged"]["count"]) == (0, "shop.r1", 800, 200)
    assert (tmp_path / "r1" / "model.bin").exists()
    kept = msgspec.json.decode((tmp_path / "r1" / "trained.json").read_bytes())
    assert kept["digest"] == found["digest"]
    code, out = ran(
        retrain_command, shop.file, "--nice", 0, "--out", tmp_path / "r2", "--challenger", "trees", "--window", "12h", "--json"
    )
    assert code in (0, 1)
    assert json.loads(out)["lineage"]["examples"].startswith("the examples of the last 12 hours of event time")
    with pytest.raises(NotFound, match="its challengers: narrow, trees"):
        ran(retrain_command, shop.file, "--nice", 0, "--out", tmp_path / "r3", "--challenger", "tree")
    with pytest.raises(DeclarationError, match="write 30d, 12h or 90m"):
        ran(retrain_command, shop.file, "--nice", 0, "--out", tmp_path / "r4", "--window", "soon")


class Reading(Event):
    """What happens."""

    id: Id
    at: EpochSeconds
    x: float


class Outcome(Label):
    """What is found out."""

    id: Id
    at: EpochSeconds
    y: Truth[float]


@pytest.mark.parametrize("kind", ["regression", "anomaly"])
def test_who_declares_no_gates_gets_the_tasks_own_or_is_told_that_there_is_none(tmp_path: Path, kind: str) -> None:
    readings = [Reading(id=str(n), at=60 * n, x=float(n % 10)) for n in range(1_000)]
    outcomes = [Outcome(id=str(n), at=60 * n + 30, y=2.0 * (n % 10) + 1) for n in range(1_000)]
    trees: Any = anomaly.HalfSpaceTrees(seed=1)
    line = preprocessing.StandardScaler() | linear_model.LinearRegression()
    pipeline = Pipeline(
        name="plant",
        events=memory(readings, Reading),
        labels=memory(outcomes, Outcome),
        model=line if kind == "regression" else trees,
    )
    with Engine(pipeline, tmp_path / "plant.eddyline") as engine:
        replay(engine, tmp_path)
    with closing(Store.read(tmp_path / "plant.eddyline")) as store:
        if kind == "anomaly":
            with pytest.raises(DeclarationError, match="an anomaly score has no loss"):
                try_candidate(store, pipeline, Candidate(pipeline=pipeline), tmp_path)
            return
        found = try_candidate(store, pipeline, Candidate(pipeline=pipeline), tmp_path)
        worse = dummy.StatisticRegressor(stats.Mean())
        other = try_candidate(store, pipeline, Candidate(pipeline=pipeline, model=worse), tmp_path)
    assert (found.passed, other.passed) == (True, False)
    assert [gate.name for gate in found.gates] == ["no regression: absolute"]


def test_what_cannot_be_tried_says_why(write: Write, shop: Loaded) -> None:
    with pytest.raises(DeclarationError, match="has no Candidate"):
        load_candidate(str(write("x = 1")))
    with pytest.raises(DeclarationError, match="there is no file"):
        load_candidate(str(shop.base / "nothing.py"))
    with pytest.raises(NotFound, match="no example is left to judge"):
        tried(shop, examples=Examples(held_back=0.0))
    with pytest.raises(DeclarationError, match="is not a gate"):
        Candidate(pipeline="shop.py", gates=("accuracy",))  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="leave one out"):
        Candidate(pipeline="shop.py", model=object(), continues="shop@3")


def test_one_of_several_candidates_is_chosen_by_name(write: Write) -> None:
    path = write(HEAD + 'one = Candidate(pipeline="shop.py", name="one")\ntwo = Candidate(pipeline="shop.py", name="two")\n')
    with pytest.raises(DeclarationError, match="has 2 candidates: one, two"):
        load_candidate(str(path))
    assert load_candidate(f"{path}:two")[0].name == "two"
