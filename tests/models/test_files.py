"""Models out of files: they answer as the library that made them, row by row, carry their bytes, and are refused in words."""
# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from eddyline import Engine, Event, Id, Label, Pipeline, Time, Truth, memory
from eddyline.engines.embedded import replay
from eddyline.models import OnnxModel, SkopsModel, adapt
from eddyline.models.fingerprint import fingerprint
from eddyline.records import Features, Task
from eddyline.records.errors import DeclarationError, StoreMismatch
from eddyline.store.database import Store
from eddyline.views.verify import verify

onnx = pytest.importorskip("onnx", reason="no ONNX file was made: onnx is not installed")
skl2onnx = pytest.importorskip("skl2onnx", reason="no ONNX file was made: skl2onnx is not installed")
pytest.importorskip("onnxruntime", reason="no ONNX file was answered: onnxruntime is not installed")
skops_io = pytest.importorskip("skops.io", reason="no skops file was made: skops is not installed")

NAMES = ["amount", "hour", "pages", "visits"]
TREES = ["sklearn.tree._tree.Tree", "sklearn._loss._loss.CyHalfBinomialLoss"]


def table() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows and classes, the same every time."""
    dice = np.random.default_rng(7)
    rows = dice.normal(size=(300, len(NAMES))).astype(np.float32)
    return rows, (rows @ np.array([1.0, -2.0, 0.5, 0.0]) + dice.normal(size=300) > 0).astype(int)


def features() -> list[Features]:
    """The rows as features."""
    return [dict(zip(NAMES, map(float, row), strict=True)) for row in table()[0]]


def fitted(estimator: Any) -> Any:
    """The estimator, after the table."""
    return estimator.fit(*table())


def as_onnx(path: Path, estimator: Any, *, zipmap: bool = True) -> Path:
    """An estimator's ONNX file."""
    options = {id(estimator): {"zipmap": zipmap}} if hasattr(estimator, "predict_proba") else None
    opset = {"": 18, "ai.onnx.ml": 3}
    path.write_bytes(skl2onnx.to_onnx(estimator, table()[0][:1], options=options, target_opset=opset).SerializeToString())
    return path


def as_skops(path: Path, estimator: Any) -> Path:
    """An estimator's skops file."""
    skops_io.dump(estimator, path)
    return path


def graph(path: Path, nodes: list[Any], outputs: list[Any], columns: int = 1) -> Path:
    """A small ONNX file made by hand, from the input "row"."""
    kind = onnx.TensorProto.FLOAT
    row = onnx.helper.make_tensor_value_info("row", kind, [None, columns])
    made = onnx.helper.make_graph(nodes, "by-hand", [row], outputs)
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def number(name: str) -> Any:
    """One output of numbers."""
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 1])


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(15, random_state=1)])
def test_an_onnx_file_answers_as_the_estimator_did(tmp_path: Path, estimator: Any, zipmap: bool) -> None:
    estimator = fitted(estimator)
    model = adapt(OnnxModel(as_onnx(tmp_path / "m.onnx", estimator, zipmap=zipmap), features=NAMES, classes=[False, True]))
    wanted = estimator.predict_proba(table()[0])
    for row, (low, high), value in zip(features(), wanted, estimator.predict(table()[0]), strict=True):
        said = model.predict(row)
        assert said.value is bool(value)
        assert said.scores == pytest.approx({False: low, True: high}, abs=1e-5)


def test_a_file_answers_the_same_bytes_again_after_saving_and_in_another_process(tmp_path: Path) -> None:
    path = as_onnx(tmp_path / "m.onnx", fitted(GradientBoostingClassifier(random_state=1)))
    model = adapt(OnnxModel(path, features=NAMES, classes=[False, True]))
    said = [model.predict(row) for row in features()]
    assert [model.predict(row) for row in reversed(features())][::-1] == said
    other = OnnxModel(as_onnx(tmp_path / "other.onnx", fitted(LogisticRegression())), features=NAMES, classes=[False, True])
    restored = other.restored(model.save())
    assert [restored.predict(row) for row in features()] == said
    program = (
        "import json, sys; from eddyline.models.onnx import OnnxModel\n"
        f"model = OnnxModel({str(path)!r}, features={NAMES!r}, classes=[False, True])\n"
        "rows = json.load(sys.stdin)\n"
        "print(model.digest(), [model.predict(row) for row in rows])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(features()),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "7"},
    )
    assert ran.stdout.strip() == f"{model.digest()} {said}"


def test_a_saved_version_needs_no_file(tmp_path: Path) -> None:
    path = as_onnx(tmp_path / "m.onnx", fitted(LogisticRegression()))
    model = OnnxModel(path, features=NAMES, classes=[False, True])
    state, digest, said = model.save(), model.digest(), model.predict(features()[0])
    as_onnx(path, fitted(LogisticRegression(C=0.01)))
    now = OnnxModel(path, features=NAMES, classes=[False, True])
    assert now.digest() != digest
    path.unlink()
    assert now.restored(state).digest() == digest
    assert now.restored(state).predict(features()[0]) == said


@pytest.mark.parametrize("made", ["onnx", "skops"])
def test_a_file_does_not_learn(tmp_path: Path, made: str) -> None:
    estimator = fitted(LogisticRegression())
    model = (
        OnnxModel(as_onnx(tmp_path / "m", estimator), features=NAMES)
        if made == "onnx"
        else SkopsModel(as_skops(tmp_path / "m", estimator), features=NAMES)
    )
    before = model.digest(), model.save(), model.predict(features()[0])
    for row in features():
        model.learn(row, True)
    assert (model.digest(), model.save(), model.predict(features()[0])) == before
    assert model.sound(features()[0])
    assert not model.learns
    assert model.recipe()["file_digest"] == model.sha256


def test_numbers_and_anomalies_come_as_numbers(tmp_path: Path) -> None:
    line, forest = fitted(LinearRegression()), fitted(IsolationForest(n_estimators=10, random_state=1))
    straight = OnnxModel(as_onnx(tmp_path / "r.onnx", line), task=Task.REGRESSION, features=NAMES)
    strange = OnnxModel(as_onnx(tmp_path / "a.onnx", forest), task=Task.ANOMALY, features=NAMES)
    kept = SkopsModel(as_skops(tmp_path / "a.skops", forest), features=NAMES, trusted=TREES)
    rows = features()[:50]
    assert [straight.predict(row).value for row in rows] == pytest.approx(line.predict(table()[0][:50]), abs=1e-5)
    assert [strange.predict(row).value for row in rows] == pytest.approx(-forest.decision_function(table()[0][:50]), abs=1e-5)
    assert [kept.predict(row).value for row in rows] == pytest.approx(-forest.score_samples(table()[0][:50]))
    far: Features = dict.fromkeys(NAMES, 30.0)
    assert all(float(model.predict(far).value or 0) > float(model.predict(rows[0]).value or 0) for model in (strange, kept))


def test_what_is_wrong_with_the_features_is_said_in_their_names(tmp_path: Path) -> None:
    model = OnnxModel(as_onnx(tmp_path / "fraud.onnx", fitted(LogisticRegression())), features=NAMES)
    good = features()[0]
    wrong: list[tuple[Features, str]] = [
        ({name: value for name, value in good.items() if name != "amount"} | {"amuont": 1.0}, "did you mean 'amuont'"),
        ({"x": 1.0}, "feature 'amount' is missing; fraud.onnx needs it (the features are: x)"),
        ({**good, "hour": "noon"}, "feature 'hour' is 'noon'; fraud.onnx needs a number there"),
        ({**good, "hour": None}, "feature 'hour' is None"),
        ({**good, "pages": 1e50}, "feature 'pages' is 1e+50; fraud.onnx computes in 32 bits"),
    ]
    for row, said in wrong:
        with pytest.raises(ValueError) as caught:
            model.predict(row)
        assert said in str(caught.value)
    assert model.predict({**good, "another": 1.0}) == model.predict(good)


def test_whole_numbers_are_not_cut_to_fit(tmp_path: Path) -> None:
    whole = onnx.helper.make_tensor_value_info("row", onnx.TensorProto.INT64, [None, 1])
    cast = onnx.helper.make_node("Cast", ["row"], ["y"], to=onnx.TensorProto.FLOAT)
    made = onnx.helper.make_graph([cast], "cast", [whole], [number("y")])
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "w.onnx").write_bytes(model.SerializeToString())
    counts = OnnxModel(tmp_path / "w.onnx", task=Task.REGRESSION, features=["n"])
    assert counts.predict({"n": 3.0}).value == 3.0
    with pytest.raises(ValueError, match="takes whole numbers there"):
        counts.predict({"n": 3.5})


def test_a_graph_with_one_input_a_feature_names_them_itself_and_takes_text(tmp_path: Path) -> None:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder

    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"amount": [1.0, 9.0, 2.0, 8.0], "country": ["DE", "US", "DE", "US"]})
    encoder = ColumnTransformer([("text", OneHotEncoder(), ["country"])], remainder="passthrough")
    estimator = make_pipeline(encoder, LogisticRegression()).fit(frame, [False, True, False, True])
    kinds = [("amount", FloatTensorType([None, 1])), ("country", StringTensorType([None, 1]))]
    made = skl2onnx.convert_sklearn(estimator, initial_types=kinds, target_opset={"": 18, "ai.onnx.ml": 3})
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    model = OnnxModel(tmp_path / "m.onnx", classes=[False, True])
    kept = SkopsModel(as_skops(tmp_path / "m.skops", estimator))
    rows: list[Features] = [{"amount": 9.0, "country": "US"}, {"amount": 1.0, "country": "DE"}]
    for row in rows:
        assert model.predict(row).value is kept.predict(row).value
        assert model.predict(row).scores == pytest.approx(kept.predict(row).scores, abs=1e-5)
    with pytest.raises(ValueError, match=r"feature 'country' is 3\.0; m\.onnx needs text there"):
        model.predict({"amount": 1.0, "country": 3.0})
    with pytest.raises(DeclarationError, match="leave features"):
        OnnxModel(tmp_path / "m.onnx", features=["amount", "land"])


def test_probabilities_alone_are_enough_and_raw_scores_are_not_taken_for_them(tmp_path: Path) -> None:
    sigmoid = [onnx.helper.make_node("Sigmoid", ["row"], ["p"])]
    model = OnnxModel(graph(tmp_path / "p.onnx", sigmoid, [number("p")]), features=["x"], classes=["legit", "fraud"])
    assert model.predict({"x": 3.0}).value == "fraud"
    assert model.predict({"x": -3.0}).value == "legit"
    assert model.predict({"x": -3.0}).scores == pytest.approx({"legit": 0.9526, "fraud": 0.0474}, abs=1e-4)
    raw = [onnx.helper.make_node("Mul", ["row", "row"], ["p"])]
    squared = OnnxModel(graph(tmp_path / "s.onnx", raw, [number("p")]), features=["x"], classes=["legit", "fraud"])
    with pytest.raises(ValueError, match="which are no probabilities: end the graph in a softmax"):
        squared.predict({"x": 3.0})
    machine = as_onnx(tmp_path / "svc.onnx", fitted(LinearSVC(random_state=1)))
    with pytest.raises(ValueError, match="scores=False"):
        OnnxModel(machine, features=NAMES, classes=[False, True]).predict(features()[0])
    assert OnnxModel(machine, features=NAMES, classes=[False, True], scores=False).predict(features()[0]).scores is None


REFUSED: list[tuple[str, Callable[[Path], Any], str]] = [
    ("text", lambda at: adapt("fraud.onnx"), "write OnnxModel('fraud.onnx', features=[...])"),
    ("missing", lambda at: OnnxModel(at / "none.onnx", features=["x"]), "there is no file none.onnx in"),
    ("junk", lambda at: OnnxModel(junk(at), features=["x"]), "cannot be read as ONNX"),
    ("unnamed", lambda at: OnnxModel(as_onnx(at / "m.onnx", fitted(LogisticRegression()))), "a row of 4 numbers"),
    ("short", lambda at: OnnxModel(as_onnx(at / "m.onnx", fitted(LogisticRegression())), features=["x"]), "takes 4 features"),
    ("twice", lambda at: OnnxModel(as_onnx(at / "m", fitted(LogisticRegression())), features=["x", "x"]), "'x' twice"),
    (
        "classes",
        lambda at: OnnxModel(as_onnx(at / "m", fitted(LogisticRegression()), zipmap=False), features=NAMES),
        "name the classes in its order",
    ),
    (
        "task",
        lambda at: OnnxModel(as_onnx(at / "m", fitted(LogisticRegression())), features=NAMES, task=Task.REGRESSION),
        "say its",
    ),
    (
        "random",
        lambda at: OnnxModel(random_graph(at), features=["x"], classes=[0, 1]),
        "draws random numbers (RandomNormalLike)",
    ),
    ("pickle", lambda at: SkopsModel(pickled(at)), "a pickle; reading one runs whatever is in it"),
    ("not skops", lambda at: SkopsModel(junk(at)), "not a skops file"),
    ("no names", lambda at: SkopsModel(as_skops(at / "m", fitted(LogisticRegression()))), "name them in its order"),
    ("unfitted", lambda at: SkopsModel(as_skops(at / "m", LogisticRegression()), features=NAMES), "was not fitted"),
    ("wide", lambda at: SkopsModel(as_skops(at / "m", fitted(LogisticRegression())), features=["x"]), "takes 4 features"),
    ("older", lambda at: SkopsModel(older(at), features=NAMES), "was written by scikit-learn 1.2.3"),
]


@pytest.mark.parametrize(("declare", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_file_that_cannot_serve_is_refused_when_it_is_declared(
    tmp_path: Path, declare: Callable[[Path], Any], said: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        declare(tmp_path)
    assert said in str(caught.value)
    assert not (tmp_path / "ran").exists(), "something in the file was run"


def junk(folder: Path) -> Path:
    """A file of nothing."""
    path = folder / "junk"
    path.write_bytes(b"not a model")
    return path


def random_graph(folder: Path) -> Path:
    """A graph that answers differently each time."""
    node = onnx.helper.make_node("RandomNormalLike", ["row"], ["p"])
    return graph(folder / "random.onnx", [node], [number("p")])


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def pickled(folder: Path) -> Path:
    """A pickle that leaves a mark when it is opened."""
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(Trap(folder / "ran")))
    pickle.loads(path.read_bytes())
    (folder / "ran").unlink()  # it does: the trap is alive
    return path


def older(folder: Path) -> Path:
    """A skops file that says it was written by another scikit-learn."""
    import sklearn

    path = as_skops(folder / "m", fitted(LogisticRegression()))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["schema.json"] = parts["schema.json"].replace(json.dumps(f'"{sklearn.__version__}"').encode(), b'"\\"1.2.3\\""')
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, raw in parts.items():
            archive.writestr(name, raw)
    path.write_bytes(buffer.getvalue())
    return path


def test_a_skops_file_answers_as_the_estimator_did_with_one_job(tmp_path: Path) -> None:
    estimator = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=1, n_jobs=2))
    estimator.fit(*table())
    model = adapt(SkopsModel(as_skops(tmp_path / "m", estimator), features=NAMES, classes=[False, True], trusted=TREES))
    for n, row in enumerate(features()[:30]):
        wanted = estimator.predict_proba(table()[0][n : n + 1].astype(np.float64))[0]
        said = model.predict(row)
        assert said.scores is not None
        assert list(said.scores.values()) == pytest.approx(wanted, abs=1e-12)
        assert said == model.restored(model.save()).predict(row)
    assert isinstance(model, SkopsModel)
    jobs = [value for name, value in model._estimator.get_params().items() if name.endswith("n_jobs")]
    assert jobs == [1]


def test_a_type_nobody_trusts_is_named_and_a_trusted_one_is_read(tmp_path: Path) -> None:
    estimator = make_pipeline(FunctionTransformer(np.cbrt), LogisticRegression()).fit(*table())
    path = as_skops(tmp_path / "m", fitted(RandomForestClassifier(3, random_state=1)))
    with pytest.raises(DeclarationError, match=r"trusted=\['sklearn.tree._tree.Tree'\]"):
        SkopsModel(path, features=NAMES)
    assert SkopsModel(path, features=NAMES, trusted=TREES).predict(features()[0]).value in (0, 1)
    assert SkopsModel(as_skops(tmp_path / "f", estimator), features=NAMES).task is Task.CLASSIFICATION


def test_the_bytes_of_another_kind_of_model_are_not_restored(tmp_path: Path) -> None:
    estimator = fitted(LogisticRegression())
    one = OnnxModel(as_onnx(tmp_path / "m.onnx", estimator), features=NAMES)
    other = SkopsModel(as_skops(tmp_path / "m.skops", estimator), features=NAMES)
    with pytest.raises(StoreMismatch, match="a skops file was saved, the pipeline declares onnx"):
        one.restored(other.save())
    with pytest.raises(StoreMismatch, match="not those of a file"):
        one.restored(b"something else")


class Visit(Event):
    """What happens."""

    id: Id
    at: Time
    x: float


class Sale(Label):
    """What is found out."""

    id: Id
    at: Time
    paid: Truth[float]


def test_an_answer_that_is_not_finite_is_a_dead_letter_and_the_rest_is_served_measured_and_proved(tmp_path: Path) -> None:
    logarithm = graph(tmp_path / "log.onnx", [onnx.helper.make_node("Log", ["row"], ["y"])], [number("y")])
    at = datetime(2026, 3, 2, tzinfo=UTC)
    visits = [Visit(id=str(n), at=at, x=float(n - 2)) for n in range(10)]
    shop = Pipeline(
        name="shop",
        events=memory(visits, Visit),
        labels=memory([Sale(id=str(n), at=at, paid=1.0) for n in range(10)], Sale),
        model=OnnxModel(logarithm, task=Task.REGRESSION, features=["x"]),
    )
    with Engine(shop, tmp_path / "shop.eddyline") as engine:
        replay(engine, tmp_path)
        digest = engine.loop.states.learn.model.digest()
        assert engine.loop.states.learn.position == 7
    assert digest == shop.plan().model.digest()
    store = Store.read(tmp_path / "shop.eddyline")
    dead = [letter for block in store.blocks() for letter in block.dead if letter.stream == "events"]
    assert [(letter.event_id, letter.reason) for letter in dead] == [
        ("0", "not_finite"),
        ("1", "not_finite"),
        ("2", "not_finite"),
    ]
    assert verify(store, shop).sound
    store.close()


def test_the_fingerprint_names_onnx_runtime_where_a_model_is_answered_by_it_and_nowhere_else(tmp_path: Path) -> None:
    import onnxruntime
    from river import linear_model

    path = as_onnx(tmp_path / "m.onnx", fitted(LogisticRegression()))
    file, river = OnnxModel(path, features=NAMES, classes=[False, True]), adapt(linear_model.LogisticRegression())
    assert f"-ort{onnxruntime.__version__}-" in fingerprint([river, file])
    assert "-ort" not in fingerprint([river])
    skops_file = SkopsModel(as_skops(tmp_path / "m.skops", fitted(LogisticRegression())), features=NAMES)
    assert "-skops" in fingerprint([skops_file])


def test_verify_does_not_claim_equality_where_another_onnx_runtime_answered(tmp_path: Path) -> None:
    import onnxruntime

    exponential = graph(tmp_path / "exp.onnx", [onnx.helper.make_node("Exp", ["row"], ["y"])], [number("y")])
    model = OnnxModel(exponential, task=Task.REGRESSION, features=["x"])
    shop = Pipeline(name="shop", events=memory([], Visit), labels=memory([], Sale), model=model)
    with Engine(shop, tmp_path / "shop.eddyline") as engine:
        engine.answer(Visit(id="1", at=datetime(2026, 3, 2, tzinfo=UTC), x=1.0))
        assert verify(engine.store, shop).sound
        here = engine.store.get("fingerprint")
        engine._numbers = here.replace(f"ort{onnxruntime.__version__}", "ort1.2.3")
        engine.answer(Visit(id="2", at=datetime(2026, 3, 2, tzinfo=UTC), x=1.0))
        verdict = verify(engine.store, shop)
    assert (verdict.faults, verdict.comparable, verdict.sound) == ([], False, False)
