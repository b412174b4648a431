"""Models of the user's own, and what `adapt` takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eddyline.models import CustomModel, adapt
from eddyline.ports import Model
from eddyline.records import Features, Output, Task
from eddyline.records.errors import DeclarationError, StoreMismatch


class Share(CustomModel):
    """Answers how often the label was True so far."""

    task = Task.CLASSIFICATION

    def __init__(self) -> None:
        self.seen = 0
        self.true = 0

    def predict(self, features: Features) -> Any:
        if not self.seen:
            return None
        share = np.float64(self.true / self.seen)
        return Output(bool(share > 0.5), {False: 1 - share, True: share})

    def learn(self, features: Features, truth: Any) -> None:
        self.seen += 1
        self.true += bool(truth)


class Runaway(CustomModel):
    """Squares what it answers with every example."""

    task = Task.REGRESSION

    def __init__(self) -> None:
        self.value = 1e10

    def predict(self, features: Features) -> Any:
        return np.float64(self.value)

    def learn(self, features: Features, truth: Any) -> None:
        self.value = self.value * self.value


class Silent(CustomModel):
    """Does not say what it answers."""

    def predict(self, features: Features) -> Any: ...

    def learn(self, features: Features, truth: Any) -> None: ...


class Open(Share):
    """Keeps something that cannot be saved."""

    def __init__(self) -> None:
        super().__init__()
        self.rule = lambda x: x


class Other(Share):
    """Another class with the same state."""


def test_two_methods_and_a_task_make_a_model() -> None:
    given = Share()
    model = adapt(given)
    assert model.task is Task.CLASSIFICATION
    assert model.predict({}) == Output(None)
    for truth in (True, True, False):
        model.learn({}, truth)
        assert model.sound({})
    output = model.predict({})
    assert output == Output(True, {False: 1 - 2 / 3, True: 2 / 3})
    assert [type(score) for score in (output.scores or {}).values()] == [float, float]
    assert given.seen == 0
    restored = model.restored(model.save())
    assert restored.digest() == model.digest()
    restored.learn({}, False)
    assert restored.digest() != model.digest()
    assert model.recipe()["class"].endswith("Share")
    assert restored.recipe() == model.recipe()


def test_a_custom_model_that_leaves_the_finite_numbers_is_unsound() -> None:
    model = adapt(Runaway())
    model.learn({}, 0.0)
    assert model.sound({})
    for _ in range(5):
        model.learn({}, 0.0)
    assert not model.sound({})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Silent(), r"Silent does not say what it answers\n  write in the class: task = Task\.CLASSIFICATION"),
        (Open(), r"Open cannot be saved"),
        (Share, r"Share is a class\n  write Share\(\)"),
        ("a name", r"str is not a model: it has no task, .*\n.*CustomModel"),
        (None, r"NoneType is not a model"),
    ],
)
def test_what_is_no_model_is_refused_with_what_to_write_instead(given: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        adapt(given)


def test_a_state_of_another_class_is_refused() -> None:
    with pytest.raises(StoreMismatch, match=r"saved state is a Other, the pipeline declares a Share"):
        adapt(Share()).restored(adapt(Other()).save())


def test_an_object_that_keeps_the_whole_contract_is_used_as_it_is() -> None:
    complete: Model = adapt(Share())
    assert adapt(complete) is complete
