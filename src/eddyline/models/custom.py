"""A model of the user's own: two methods written, the rest of the contract given.

The state is everything in the object's attributes: saved as a pickle, named by the digest of its canonical
form. It knows no library; that `predict` leaves the attributes alone (law *still*) is the user's part.
"""

from __future__ import annotations

import inspect
import pickle
import platform
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from eddyline.models import deep
from eddyline.models.canonical import digest
from eddyline.models.plain import finite, plain_scores, plain_value
from eddyline.records import Features, Output, Task
from eddyline.records.errors import DeclarationError, StoreMismatch


class CustomModel(ABC):
    """A model of your own: say what it answers, write `predict` and `learn`, keep the state in attributes.

    Choose it for a formula, a rule or a library that River and scikit-learn do not cover. `predict` must
    leave every attribute alone; `learn` may raise, and the model is put back as it was. Random numbers come
    from a generator with a seed, kept in an attribute. Define the class at the top of a file, so that its
    state can be saved.

    >>> class MeanSoFar(CustomModel):
    ...     task = Task.REGRESSION
    ...     def __init__(self) -> None:
    ...         self.count, self.total = 0, 0.0
    ...     def predict(self, features: Features) -> float | None:
    ...         return self.total / self.count if self.count else None
    ...     def learn(self, features: Features, truth: float) -> None:
    ...         self.count, self.total = self.count + 1, self.total + truth
    >>> mean = MeanSoFar()
    >>> mean.predict({})
    >>> mean.learn({}, 3.0)
    >>> mean.predict({})
    3.0
    """

    task: Task
    """What it answers: `Task.CLASSIFICATION`, `Task.REGRESSION` or `Task.ANOMALY`. A class attribute."""

    @abstractmethod
    def predict(self, features: Features) -> Any:
        """A class, a number, an `Output` with scores, or None when it has seen too little."""

    @abstractmethod
    def learn(self, features: Features, truth: Any) -> None:
        """Learns one example."""

    def sound(self, features: Features) -> bool:
        """Right after learning `features`: whether every number is still finite. Predicts once more, unless
        overridden.
        """
        output = as_output(self.predict(features))
        return finite(output.value) and finite(output.scores)


class AdaptedCustomModel:
    """A `CustomModel` as Eddyline's `Model`; works on a copy of what was given."""

    def __init__(self, model: CustomModel) -> None:
        name = type(model).__name__
        if not isinstance(getattr(model, "task", None), Task):
            raise DeclarationError(
                f"model: {name} does not say what it answers\n  write in the class: task = Task.CLASSIFICATION"
            )
        try:
            deep.dumps(model)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise DeclarationError(
                f"model: {name} cannot be saved: {error}\n"
                "  define the class and its functions at the top of a file, and keep plain state in it"
            ) from error
        self._own(deep.copied(model))
        self._initial = self.digest()

    @property
    def task(self) -> Task:
        return self._model.task

    def predict(self, features: Features) -> Output:
        return as_output(self._model.predict(dict(features)))  # a copy: what the user writes into it is not recorded

    def learn(self, features: Features, truth: Any) -> None:
        self._model.learn(dict(features), truth)

    def sound(self, features: Features) -> bool:
        return self._model.sound(dict(features))

    def save(self) -> bytes:
        """The whole state: a pickle of the object."""
        return deep.dumps(self._model)

    def restored(self, state: bytes) -> AdaptedCustomModel:
        """The model with this saved state. Raises StoreMismatch when the state is of another class."""
        model = deep.loads(state)
        if type(model) is not type(self._model):
            raise StoreMismatch(
                f"model: the saved state is a {type(model).__qualname__}, the pipeline declares a "
                f"{type(self._model).__qualname__}\n  rebuild from the examples log"
            )
        other = object.__new__(AdaptedCustomModel)
        other._own(model)
        other._initial = self._initial
        return other

    @classmethod
    def alone(cls, model: CustomModel, initial: str) -> AdaptedCustomModel:
        """Around a model as it was saved, where nothing declares it; `initial` is the digest that it was declared with."""
        other = object.__new__(cls)
        other._own(model)
        other._initial = initial
        return other

    def digest(self) -> str:
        """The identity of the state."""
        return digest(self._model)

    def recipe(self) -> dict[str, Any]:
        """The class, its source by digest, and the library versions it runs with."""
        kind = type(self._model)
        return {
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "source_digest": _source_digest(kind),
            "initial_digest": self._initial,
            "libraries": {"numpy": np.__version__, "python": platform.python_version()},
        }

    def _own(self, model: CustomModel) -> None:
        self._model = model


def as_output(answer: Any) -> Output:
    """What a user's `predict` gave, as an `Output` of plain Python values.

    >>> as_output(np.float64(2.5)), as_output(Output(True, {True: 1.0}))
    (Output(value=2.5, scores=None), Output(value=True, scores={True: 1.0}))
    """
    if type(answer) is not Output:
        return Output(plain_value(answer))
    scores = answer.scores
    return Output(plain_value(answer.value), plain_scores(scores) if scores is not None else None)


def _source_digest(kind: type) -> str | None:
    """Tells one version of the user's code from another; None where Python cannot show the source (a
    console).
    """
    try:
        return digest(inspect.getsource(kind))
    except (OSError, TypeError):
        return None
