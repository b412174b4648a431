"""One model per key: the same as training each key's model by itself, bit for bit, and bytes and digests that say so."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from river import linear_model, preprocessing, tree
from sklearn.linear_model import SGDClassifier  # type: ignore[import-untyped]

from eddyline import CustomModel, DeclarationError, SkopsModel, StoreMismatch
from eddyline.models import PerKey, Sklearn, adapt
from eddyline.records import KEY_FEATURE, Example, Features, Prediction, Task
from eddyline.stages.learn import Learn

KEYS = ("north", "south", "west")
Row = tuple[str, Features, bool]


class Counting(CustomModel):
    """Answers how many it learned; refuses to learn what is negative, after it has counted it."""

    task = Task.REGRESSION

    def __init__(self) -> None:
        self.count = 0

    def predict(self, features: Features) -> float:
        return float(self.count)

    def learn(self, features: Features, truth: Any) -> None:
        self.count += 1
        if truth < 0:
            raise ValueError("negative")


MODELS: dict[str, Any] = {
    "a linear model": preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    "a tree": tree.HoeffdingTreeClassifier(grace_period=10, delta=0.2, tau=0.5),
    "scikit-learn": Sklearn(SGDClassifier(loss="log_loss", random_state=3), classes=[False, True]),
    "one of the user's own": Counting(),
}
EVERY = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


def rows(count: int, seed: int = 1) -> list[Row]:
    random = Random(seed)
    found: list[Row] = []
    for _ in range(count):
        key, heat = random.choice(KEYS), random.gauss(0, 1)
        found.append((key, {"heat": heat, "load": random.random()}, heat + KEYS.index(key) > 0.5))
    return found


def keyed(key: str, seen: Features) -> Features:
    return {KEY_FEATURE: key, **seen}


def learned(model: Any, given: list[Row]) -> PerKey:
    made = adapt(model, per="key")
    assert isinstance(made, PerKey)
    for key, seen, truth in given:
        made.learn(keyed(key, seen), truth)
        assert made.sound(keyed(key, seen))
    return made


@EVERY
def test_the_models_of_three_keys_are_three_models_trained_apart_to_the_bit(model: Any) -> None:
    together, apart = adapt(model, per="key"), {key: adapt(model) for key in KEYS}
    for key, seen, truth in rows(300):
        assert together.predict(keyed(key, seen)) == apart[key].predict(seen)
        together.learn(keyed(key, seen), truth)
        apart[key].learn(seen, truth)
    assert isinstance(together, PerKey)
    assert {key: together.of(key).digest() for key in together.learned()} == {key: apart[key].digest() for key in KEYS}


@EVERY
def test_saving_and_restoring_anywhere_changes_nothing(model: Any) -> None:
    steady, stopped = adapt(model, per="key"), adapt(model, per="key")
    for number, (key, seen, truth) in enumerate(rows(90)):
        for one in (steady, stopped):
            one.learn(keyed(key, seen), truth)
        if number % 7 == 0:
            stopped = stopped.restored(stopped.save())
        assert stopped.predict(keyed(key, seen)) == steady.predict(keyed(key, seen))
    assert stopped.digest() == steady.digest()


@EVERY
def test_the_digest_does_not_know_in_which_order_keys_came(model: Any) -> None:
    given = rows(60)
    by_key = sorted(given, key=lambda row: row[0], reverse=True)
    one, other = learned(model, given), learned(model, by_key)
    assert one.digest() == other.digest()
    assert one.digest() != learned(model, given[:-1]).digest()


def test_a_key_without_a_model_is_another_state_than_one_with_a_fresh_model() -> None:
    models = [learned(MODELS["a tree"], rows(60)), learned(MODELS["a tree"], [row for row in rows(60) if row[0] != "west"])]
    assert models[0].digest() != models[1].digest()


@EVERY
def test_answering_makes_no_model_for_a_key_that_was_never_learned(model: Any) -> None:
    made = learned(model, rows(30))
    before, saved, keys = made.digest(), made.save(), made.learned()
    assert made.predict(keyed("nowhere", {"heat": 1.0, "load": 0.5})) == adapt(model).predict({"heat": 1.0, "load": 0.5})
    assert (made.digest(), made.save(), made.learned()) == (before, saved, keys)


@EVERY
def test_learning_one_key_leaves_every_bit_of_the_others_alone(model: Any) -> None:
    made = learned(model, rows(60))
    before = {key: made.of(key).digest() for key in made.learned()}
    made.learn(keyed("south", {"heat": 5.0, "load": 0.1}), True)
    after = {key: made.of(key).digest() for key in made.learned()}
    assert [key for key in KEYS if before[key] != after[key]] == ["south"]


def test_only_the_models_that_learned_are_written_again() -> None:
    made = learned(MODELS["a tree"], rows(60))
    assert made.save() is made.save()
    written = made._states["north"]
    made.save()
    made.learn(keyed("south", {"heat": 5.0, "load": 0.1}), True)
    made.save()
    assert made._states["north"] is written


def test_a_restored_state_makes_a_model_when_its_key_is_asked_for() -> None:
    made = learned(MODELS["a tree"], rows(60))
    restored = made.restored(made.save())
    assert not restored._models
    restored.predict(keyed("south", {"heat": 5.0, "load": 0.1}))
    assert list(restored._models) == ["south"]
    assert restored.digest() == made.digest()


def test_a_truth_that_spoils_one_keys_model_is_undone_exactly() -> None:
    learn = Learn(snapshot_every=1000, publish=None, learn_revisions=False, remember=5)
    state, steady = learn.new_state(adapt(Counting(), per="key")), adapt(Counting(), per="key")
    for number in range(40):
        key = KEYS[number % 3]
        truth = -1.0 if number % 4 == 1 else 1.0
        reached = learn.one(state, example(number, key, truth), [])
        assert (reached < 0) == (truth < 0)
        if truth > 0:
            steady.learn(keyed(key, {"heat": 1.0}), truth)
        assert state.model.digest() == steady.digest()


def test_a_first_truth_that_spoils_its_keys_model_leaves_no_key_behind() -> None:
    learn = Learn(snapshot_every=1000, publish=None, learn_revisions=False)
    state = learn.new_state(adapt(Counting(), per="key"))
    before = state.model.digest()
    assert learn.one(state, example(0, "north", -1.0), []) == -1
    assert state.model.digest() == before


def example(number: int, key: str, truth: float) -> Example:
    prediction = Prediction(f"p-{number}", key, number, keyed(key, {"heat": 1.0}), None, 0.0, None, "m", 0, 0)
    return Example(prediction, truth, "label", number)


def test_a_key_beyond_those_there_is_room_for_is_not_learned_and_the_others_go_on() -> None:
    made = PerKey(adapt(Counting()), most=2)
    for key in ("north", "south"):
        made.learn(keyed(key, {}), 1.0)
    made = made.restored(made.save())
    before = made.digest()
    with pytest.raises(ValueError, match="2 keys have models of their own already, and there is no room for another"):
        made.learn(keyed("west", {}), 1.0)
    assert (made.digest(), made.predict(keyed("west", {})).value) == (before, 0.0)
    made.learn(keyed("north", {}), 1.0)
    assert made.predict(keyed("north", {})).value == 2.0


def test_features_without_a_key_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="the features have no '@key', which says whose model it is"):
        learned(MODELS["a tree"], rows(3)).predict({"heat": 1.0})


def test_a_state_of_another_class_is_refused_when_it_is_restored_and_not_when_its_key_is_asked() -> None:
    with pytest.raises(StoreMismatch, match="the saved state is a Counting"):
        adapt(Other(), per="key").restored(learned(Counting(), rows(3)).save())


class Other(Counting):
    """Another class."""


def test_the_recipe_says_that_there_is_one_for_each_key() -> None:
    assert adapt(MODELS["a tree"], per="key").recipe() == {"per": "key", **adapt(MODELS["a tree"]).recipe()}


def test_a_model_that_is_per_key_already_is_refused() -> None:
    with pytest.raises(DeclarationError, match='give the model of one key, and write per="key"'):
        adapt(adapt(MODELS["a tree"], per="key"))


def test_a_model_from_a_file_is_refused_because_it_does_not_learn(tmp_path: Any) -> None:
    import skops.io  # type: ignore[import-untyped]

    fitted = SGDClassifier(random_state=1).fit([[0.0], [1.0]], [False, True])
    skops.io.dump(fitted, tmp_path / "model.skops")
    with pytest.raises(DeclarationError, match="SkopsModel does not learn, so it would be the same for every key"):
        adapt(SkopsModel(tmp_path / "model.skops", features=["heat"]), per="key")


def test_an_unseeded_model_is_refused_as_it_is_without_per() -> None:
    with pytest.raises(DeclarationError, match="random_state=42"):
        adapt(Sklearn(SGDClassifier(), classes=[False, True]), per="key")


@EVERY
def test_models_of_some_keys_and_of_others_are_together_those_of_all(model: Any) -> None:
    given = rows(200)
    whole = learned(model, given)
    parts = [learned(model, [row for row in given if row[0] == key]) for key in reversed(KEYS)]
    joined = learned(model, []).joined(parts)
    assert joined.learned() == whole.learned()
    assert joined.digest() == whole.digest() == joined.restored(joined.save()).digest()


def test_models_that_were_joined_learn_apart_from_those_they_were_made_of() -> None:
    north, south = (learned(Counting(), [(key, {}, True)]) for key in ("north", "south"))
    joined = north.joined([south])
    joined.learn(keyed("south", {}), True)
    assert [model.predict(keyed("south", {})).value for model in (joined, south)] == [2.0, 1.0]
