"""A model from its bytes and its recipe alone, as an ended line is asked once more; or words about what is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from river import linear_model, preprocessing, tree
from sklearn.linear_model import SGDClassifier  # type: ignore[import-untyped]
from sklearn.naive_bayes import GaussianNB  # type: ignore[import-untyped]

from eddyline.models import CustomModel, Sklearn, adapt
from eddyline.models.alone import alone
from eddyline.records import Features, Task
from eddyline.records.errors import StoreMismatch


class Often(CustomModel):
    """Answers what it heard most."""

    task = Task.CLASSIFICATION

    def __init__(self) -> None:
        self.heard: dict[Any, int] = {}

    def predict(self, features: Features) -> Any:
        return max(self.heard, key=self.heard.__getitem__, default=None)

    def learn(self, features: Features, truth: Any) -> None:
        self.heard[truth] = self.heard.get(truth, 0) + 1


MODELS: dict[str, tuple[Any, str | None]] = {
    "a pipeline of River": (preprocessing.StandardScaler() | linear_model.LogisticRegression(), None),
    "a tree of River": (tree.HoeffdingTreeClassifier(grace_period=3), None),
    "one per key": (linear_model.LogisticRegression(), "key"),
    "scikit-learn": (Sklearn(SGDClassifier(loss="log_loss", random_state=1), classes=[False, True]), None),
    "scikit-learn with columns": (Sklearn(GaussianNB(), classes=[False, True], features=["b", "a"]), None),
    "a class of one's own": (Often(), None),
}


@pytest.mark.parametrize("kind", MODELS)
def test_bytes_and_recipe_are_enough(kind: str) -> None:
    declared, per = MODELS[kind]
    model = adapt(declared, per=per)
    key: Features = {} if per is None else {"@key": "k"}
    rows: list[Features] = [{"a": float(i % 5), "b": float(i % 3), **key} for i in range(40)]
    for number, row in enumerate(rows):
        model.learn(row, number % 5 > 2)
    made = alone(model.save(), json.loads(json.dumps(model.recipe(), default=repr)))
    assert made.digest() == model.digest()
    assert [made.predict(row) for row in rows] == [model.predict(row) for row in rows]
    made.learn(rows[0], True)
    model.learn(rows[0], True)
    assert made.digest() == model.digest(), "it goes on as the model itself would"


def test_a_class_that_is_gone_is_said_in_words() -> None:
    model = adapt(Often())
    state = model.save().replace(b"Often", b"Ofter")
    with pytest.raises(StoreMismatch, match=r"cannot be made of its bytes alone: .*Ofter"):
        alone(state, model.recipe())


def test_what_no_recipe_tells_needs_its_declaration() -> None:
    with pytest.raises(StoreMismatch, match="only its declaration says how"):
        alone(b"", {"class": "mine.Model"})
