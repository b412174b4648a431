"""`per="key"` as it is declared and as one process runs it: each key's model lives from its own labels alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from river import linear_model, preprocessing

from eddyline import (
    Canary,
    Challenger,
    DeclarationError,
    EpochSeconds,
    Event,
    Id,
    Join,
    Key,
    Label,
    Pipeline,
    Truth,
    days,
    memory,
)
from eddyline.models import PerKey, adapt
from eddyline.records import KEY_FEATURE, Features, Reason
from eddyline.store.rebuild import StoredLines
from eddyline.testing import Voyage, run_in_memory
from eddyline.views.explain import explain
from eddyline.views.verify import verify


class Batch(Event):
    id: Id
    oven: Key
    at: EpochSeconds
    heat: float


class Burnt(Label):
    id: Id
    at: EpochSeconds
    burnt: Truth[bool]


class Keyless(Event):
    id: Id
    at: EpochSeconds
    heat: float


def features(batch: Batch) -> dict[str, Any]:
    return {"heat": batch.heat, "hot": batch.heat > 200}


def taking_the_name(batch: Batch) -> dict[str, Any]:
    return {"heat": batch.heat, KEY_FEATURE: "mine"} if batch.heat > 250 else {"heat": batch.heat}


MODEL = preprocessing.StandardScaler() | linear_model.LogisticRegression()


def bakery(**changes: Any) -> Pipeline:
    fields: dict[str, Any] = {
        "name": "bakery",
        "events": memory([], Batch),
        "labels": memory([], Burnt),
        "features": features,
        "model": MODEL,
        "join": Join(wait=days(1), absent=False),
        "per": "key",
    }
    return Pipeline(**(fields | changes))


def records(count: int) -> list[Batch | Burnt]:
    found: list[Batch | Burnt] = []
    for number in range(count):
        oven = f"oven-{number % 3}"
        heat = 150.0 + (number * 37) % 120
        found.append(Batch(id=f"b-{number}", oven=oven, at=number * 10, heat=heat))
        found.append(Burnt(id=f"b-{number}", at=number * 10 + 5, burnt=heat > 180 + 20 * (number % 3)))
    return found


def test_each_keys_answers_are_those_of_a_model_trained_on_that_key_alone() -> None:
    total = run_in_memory(bakery(), records(60)).total
    apart = {f"oven-{number}": adapt(MODEL) for number in range(3)}
    truths = {example.prediction.event_id: example.truth for example in total.examples}
    for prediction in total.predictions:
        seen = {name: value for name, value in prediction.features.items() if name != KEY_FEATURE}
        output = apart[prediction.key].predict(seen)
        assert (prediction.value, prediction.scores) == (output.value, output.scores)
        apart[prediction.key].learn(seen, truths[prediction.event_id])


def test_the_key_is_among_the_features_as_they_were_served() -> None:
    prediction = run_in_memory(bakery(), records(1)).total.predictions[0]
    assert prediction.features == {KEY_FEATURE: "oven-0", "heat": 150.0, "hot": False}
    assert list(prediction.features) == sorted(prediction.features)


def test_without_a_features_function_the_fields_and_the_key_are_the_features() -> None:
    assert run_in_memory(bakery(features=None), records(1)).total.predictions[0].features == {
        KEY_FEATURE: "oven-0",
        "heat": 150.0,
    }


def test_a_version_rebuilt_holds_the_model_of_a_key_that_answered(tmp_path: Path) -> None:
    with Voyage(bakery(), tmp_path) as voyage:
        voyage.take(*records(40))
        voyage.crash()
        store = voyage.engine.store
        live = voyage.engine.loop.states.learn.model
        rebuilt = StoredLines(store, bakery().plan()).rebuild("bakery", 40)
        assert isinstance(live, PerKey)
        assert isinstance(rebuilt, PerKey)
        for key in ("oven-0", "oven-1", "oven-2"):
            assert rebuilt.of(key).digest() == live.of(key).digest()
        assert explain(store, bakery(), "b-39").again == "equal"
        assert verify(store, bakery()).faults == []


def test_a_users_feature_by_the_reserved_name_is_refused_in_words() -> None:
    outcome = run_in_memory(bakery(features=taking_the_name), [Batch(id="b", oven="o", at=1, heat=300.0)]).total
    assert [(letter.event_id, letter.reason) for letter in outcome.dead] == [("b", Reason.FEATURES_FAILED.value)]
    assert "the name '@key' is kept for the key of the event; call this feature something else" in outcome.dead[0].detail


def test_events_without_a_key_are_refused_with_what_to_type() -> None:
    with pytest.raises(DeclarationError, match=r"Keyless has no Key\ngive it one \(card: Key\)"):
        bakery(events=memory([], Keyless), features=None)


def test_another_word_than_key_is_refused_with_what_to_type() -> None:
    with pytest.raises(DeclarationError, match=r"per='oven' is not known\nwrite per=\"key\""):
        bakery(per="oven")
    with pytest.raises(DeclarationError, match="challenger own: per='oven' is not known"):
        Challenger("own", per="oven")  # type: ignore[arg-type]


def test_one_model_per_key_is_another_pipeline_than_one_for_all() -> None:
    assert bakery() == bakery() != bakery(per=None)
    assert bakery().parts()["model"]["per"] == "key"
    assert "one for each key" in bakery().describe()


def test_a_challenger_per_key_sees_the_key_and_the_champion_for_all_does_not() -> None:
    pipeline = bakery(per=None, challengers=(Challenger("own", per="key"),))
    total = run_in_memory(pipeline, records(30)).total
    apart = adapt(MODEL, per="key")
    for prediction, example in zip(total.predictions, total.examples, strict=True):
        assert KEY_FEATURE not in prediction.features
        assert prediction.others is not None
        (said,) = prediction.others
        assert said.features is not None
        assert said.features[KEY_FEATURE] == prediction.key
        assert said.value == apart.predict(said.features).value
        apart.learn(said.features, example.truth)


def test_a_challenger_for_all_beside_a_champion_per_key_is_declared_by_its_model() -> None:
    pipeline = bakery(challengers=(Challenger("shared", model=MODEL), Challenger("bold", features=plain, mode=Canary(0.5))))
    lines = pipeline.plan().lines
    assert [type(lines[name].model).__name__ for name in lines] == ["PerKey", "RiverModel", "PerKey"]
    total = run_in_memory(pipeline, records(30)).total
    shared = adapt(MODEL)
    for prediction, example in zip(total.predictions, total.examples, strict=True):
        said = next(one for one in (prediction.others or ()) if one.model == "bakery.shared")
        seen: Features = features(example_event(prediction.features, said.features))
        assert said.fault is None
        assert said.value == shared.predict(seen).value
        shared.learn(seen, example.truth)


def plain(batch: Batch) -> dict[str, Any]:
    return {"heat": batch.heat}


def example_event(answered: Features, own: Features | None) -> Batch:
    heat: Any = (own or answered)["heat"]
    return Batch(id="", oven="", at=0, heat=heat)
