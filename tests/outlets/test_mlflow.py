"""A store mirrored to a real MLflow server, and models taken from it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.outlets.shop import SHOP, WATCHED, opened, trade

from eddyline import RollBack
from eddyline.outlets.mlflow import aliases, push, take
from eddyline.records import ModelVersion, Place, Rollout
from eddyline.records.errors import DeclarationError, NotFound, SourceError, StoreMismatch
from eddyline.views.history import Standing

mlflow = pytest.importorskip("mlflow", reason="did not run: mlflow is not installed")

from tests.outlets.mlflow_server import mlflow_server  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_TRACKING_URI", url)
        yield url


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    with opened(folder) as engine:
        trade(engine, range(450))
    return folder / "shop.eddyline"


@pytest.fixture
def client(server: str) -> Any:
    return mlflow.MlflowClient(server, server)


def test_versions_metrics_and_aliases_are_mirrored_and_again_changes_nothing(server: str, store: Path, client: Any) -> None:
    first = push(store, SHOP, server)
    assert first.versions == ["shop@0", "shop@200", "shop@400"]
    assert first.aliases == {"champion": "shop@400"}
    assert first.metrics == 9
    with_it = client.get_model_version_by_alias("shop", "champion")
    with opened(store.parent) as engine:
        kept = engine.store.versions()[-1]
        (accuracy,) = [m for m in engine.measurements() if (m.metric, m.version) == ("Accuracy", "shop@400")]
    assert with_it.tags["eddyline.digest"] == kept.digest
    assert with_it.tags["eddyline.parent"] == "shop@200"
    metrics = client.get_run(with_it.run_id).data.metrics
    assert (metrics["Accuracy"], metrics["examples"]) == (accuracy.value, accuracy.count)
    again = push(store, SHOP, server)
    assert (again.versions, again.metrics, again.aliases, again.removed) == ([], 0, {}, [])
    assert len(client.search_model_versions("name='shop'")) == 3


def test_what_came_since_is_added_and_a_roll_back_moves_the_champion(server: str, tmp_path: Path, client: Any) -> None:
    pipeline = SHOP.replace(name="kiosk")
    with opened(tmp_path, pipeline) as engine:
        trade(engine, range(250))
    push(tmp_path / "shop.eddyline", pipeline, server)
    client.set_registered_model_alias("kiosk", "challenger-gone", "1")
    client.set_registered_model_alias("kiosk", "mine", "1")
    with opened(tmp_path, pipeline) as engine:
        trade(engine, range(250, 450))
        engine.rollback("kiosk@200", author="ada", reason="it was better")
    pushed = push(tmp_path / "shop.eddyline", pipeline, server)
    assert (pushed.versions, pushed.removed) == (["kiosk@400"], ["challenger-gone"])
    assert pushed.aliases.get("champion", "kiosk@200") == "kiosk@200"
    now = client.get_registered_model("kiosk").aliases
    assert client.get_model_version("kiosk", now["champion"]).tags["eddyline.version"] == "kiosk@200"
    assert "mine" in now


def test_challengers_and_the_former_champion_have_aliases() -> None:
    places = (Place("shop.deep", "canary", 0.1), Place("shop.r1@150"))
    rollout = Rollout(3, "shop@399", "ada", "", places, "shop@250")
    kept = (
        ("shop", 0),
        ("shop", 200),
        ("shop", 400),
        ("shop.deep", 100),
        ("shop.deep", 300),
        ("shop.r1", 100),
        ("shop.r1", 200),
    )
    versions = [ModelVersion(line, position, "", "", None, "") for line, position in kept]
    assert aliases("shop", Standing("shop@399", False, 450, rollout), versions) == {
        "champion": "shop@200",
        "former": "shop@200",
        "challenger-deep": "shop.deep@300",
        "challenger-r1": "shop.r1@100",
    }


def test_a_promoted_challenger_is_the_champion_there(server: str, tmp_path: Path, client: Any) -> None:
    pipeline = WATCHED.replace(name="stall", decide=(RollBack(),))
    with opened(tmp_path, pipeline) as engine:
        trade(engine, range(250))
        engine.rollback("stall.deep", author="ada")
        trade(engine, range(250, 450))
    pushed = push(tmp_path / "shop.eddyline", pipeline, server)
    assert pushed.aliases == {"champion": "stall.deep@400", "former": "stall@400", "challenger-stall": "stall@400"}
    now = client.get_registered_model("stall").aliases
    assert client.get_model_version("stall", now["champion"]).tags["eddyline.version"] == "stall.deep@400"


def test_another_store_of_the_same_name_is_refused(server: str, store: Path, tmp_path: Path) -> None:
    push(store, SHOP, server)
    with opened(tmp_path) as engine:
        trade(engine, range(250), turn_at=0)
    with pytest.raises(StoreMismatch, match="shop@200 of another store"):
        push(tmp_path / "shop.eddyline", SHOP, server)


def test_a_server_that_is_not_there_is_said(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SourceError, match="nothing is doubled"):
        push(store, SHOP, "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def fitted() -> Any:
    linear_model = import_module("sklearn.linear_model")

    rows = np.array([[0.0], [1.0], [2.0], [3.0]], dtype=np.float32)
    return linear_model.LogisticRegression().fit(rows, [0, 0, 1, 1])


def test_an_onnx_model_is_taken_by_alias_and_answers_here(server: str, fitted: Any, client: Any, tmp_path: Path) -> None:
    onnxruntime = import_module("onnxruntime")
    to_onnx = import_module("skl2onnx").to_onnx

    made = to_onnx(fitted, np.zeros((1, 1), dtype=np.float32))
    mlflow.set_experiment("taken")
    mlflow.onnx.log_model(made, name="m", registered_model_name="clicks", pip_requirements=["onnx"])
    client.set_registered_model_alias("clicks", "champion", "1")
    taken = take("models:/clicks@champion", tmp_path, server)
    assert taken.flavour == "onnx"
    session = onnxruntime.InferenceSession(str(taken.path))
    (label, *_) = session.run(None, {session.get_inputs()[0].name: np.array([[3.0]], dtype=np.float32)})
    assert label.tolist() == [1]


def test_a_skops_model_is_taken_and_a_pickle_is_not(server: str, fitted: Any, tmp_path: Path) -> None:
    mlflow.set_experiment("taken")
    logged = {"name": "m", "pip_requirements": ["scikit-learn"]}
    mlflow.sklearn.log_model(fitted, registered_model_name="safe", serialization_format="skops", **logged)
    mlflow.sklearn.log_model(fitted, registered_model_name="unsafe", serialization_format="cloudpickle", **logged)
    taken = take("models:/safe/1", tmp_path / "safe", server)
    assert (taken.flavour, taken.path.suffix) == ("skops", ".skops")
    with pytest.raises(
        DeclarationError, match=r'reading it would run what is in it\nlog it with .*serialization_format="skops"'
    ):
        take("models:/unsafe/1", tmp_path / "unsafe", server)


def test_what_eddyline_mirrored_is_no_model_that_can_be_taken(server: str, store: Path, tmp_path: Path) -> None:
    push(store, SHOP, server)
    with pytest.raises(DeclarationError, match="it has no file MLmodel"):
        take("models:/shop@champion", tmp_path, server)


def test_a_model_that_is_not_there_is_said(server: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="MLflow has no models:/nothing@champion"):
        take("models:/nothing@champion", tmp_path, server)
    with pytest.raises(DeclarationError, match="write models:/NAME@ALIAS"):
        take("runs:/1/x", tmp_path, server)
