"""scikit-learn estimators as models: those that learn row by row, alone or behind transformers that do.

Keeps the laws *still*, *finite* and *rebuild*: one row at a time in and out (the same row inside a batch
differs in its last bits), a seed for everything random, the state saved with the version of scikit-learn that
wrote it. Some estimators answer NaN until they have seen enough (GaussianNB: two values of each feature in each
class); until a model gave its first finite answer, NaN means "no answer yet", and afterwards that learning spoiled
it. scikit-learn is imported when a model is built, not before. It knows no event, no stage and no store.
"""

from __future__ import annotations

import copy
import pickle
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from eddyline.models.canonical import digest
from eddyline.models.plain import finite, plain_value
from eddyline.records import Features, Output, Scores, Task
from eddyline.records.errors import DeclarationError, StoreMismatch

_State = tuple[str, list[str] | None, bool, bool, bytes]
"""What is saved: scikit-learn's version, the columns, whether it learned, whether it ever answered, the estimator."""


class Sklearn:
    """Declares a scikit-learn estimator as the pipeline's model: `model=Sklearn(...)`.

    The estimator needs `partial_fit` (SGDClassifier, SGDRegressor, GaussianNB, MLPClassifier, ...); in a
    scikit-learn pipeline, so does every step that is fitted. A classifier has to know its `classes`
    beforehand. `features` are the columns, in order; without them, they are the names of the first example,
    sorted, and every later event must have exactly these. Values are numbers and booleans. Choose River for
    text, missing values and names that come and go, and for speed: scikit-learn takes about 100 µs to answer
    one row and 400 µs to learn it. An estimator that has seen too little to answer with a number answers None.

    >>> from sklearn.linear_model import SGDClassifier
    >>> Sklearn(SGDClassifier(loss="log_loss", random_state=1), classes=[False, True])
    Sklearn(SGDClassifier(loss='log_loss', random_state=1), classes=[False, True])
    """

    def __init__(self, estimator: Any, *, classes: Sequence[Any] | None = None, features: Sequence[str] | None = None) -> None:
        self.estimator = estimator
        self.classes = None if classes is None else _classes(estimator, classes)
        self.features = None if features is None else list(features)

    def __repr__(self) -> str:
        given = [repr(self.estimator)]
        if self.classes is not None:
            given.append(f"classes={self.classes!r}")
        if self.features is not None:
            given.append(f"features={self.features!r}")
        return f"Sklearn({', '.join(given)})"


class SklearnModel:
    """What `Sklearn(...)` becomes: Eddyline's `Model` around a copy of the estimator.

    Raises DeclarationError for an estimator without `partial_fit`, without `classes` or without a seed.
    """

    _features: list[str] | None
    _front: list[Any]
    _last: Any
    _ready: bool
    """whether it ever gave a finite answer"""

    def __init__(self, declared: Sklearn) -> None:
        steps = _steps(declared.estimator)
        self.task = _task(steps, declared)
        _require_seeds(declared.estimator)
        self._classes = declared.classes
        self._declared_features = declared.features is not None
        self._recipe = _recipe(declared)
        self._own(copy.deepcopy(declared.estimator), declared.features, learned=False, ready=False)

    @property
    def classes(self) -> list[Any] | None:
        """The classes it was told; None where it answers no class."""
        return self._classes if self.task is Task.CLASSIFICATION else None

    def predict(self, features: Features) -> Output:
        """Answers one row; None before the first example, and while the estimator has no finite answer yet."""
        if not self._learned:
            return Output(None)
        if self._ready:
            return self._answer(self._row(features))
        with np.errstate(all="ignore"):
            output = self._answer(self._row(features))
        return output if _is_finite(output) else Output(None)

    def learn(self, features: Features, truth: Any) -> None:
        """Learns one row: every step in order, each before it transforms, as River's pipelines do it."""
        if self._features is None:
            self._features = sorted(features)
        row = given = self._row(features)
        for step in self._front:
            if hasattr(step, "partial_fit"):
                step.partial_fit(row)
            row = step.transform(row)
        if self.task is Task.CLASSIFICATION:
            self._last.partial_fit(row, [truth], classes=self._classes)
        elif self.task is Task.REGRESSION:
            self._last.partial_fit(row, [truth])
        else:
            self._last.partial_fit(row)
        self._learned = True
        if not self._ready:
            with np.errstate(all="ignore"):
                self._ready = _is_finite(self._answer(given))

    def sound(self, features: Features) -> bool:
        """Whether every number the estimator has learned is finite, and its answer here, once it had one."""
        if not all(_finite(value) for step in (*self._front, self._last) for value in vars(step).values()):
            return False
        if not self._ready:
            return True
        with np.errstate(all="ignore"):
            return _is_finite(self._answer(self._row(features)))

    def save(self) -> bytes:
        """The whole state: a pickle, behind the version of scikit-learn that can read it."""
        body = pickle.dumps(self._estimator, protocol=5)
        return msgspec.msgpack.encode([_version(), self._features, self._learned, self._ready, body])

    def restored(self, state: bytes) -> SklearnModel:
        """The model with this saved state. Raises StoreMismatch when another scikit-learn wrote it."""
        version, features, learned, ready, body = msgspec.msgpack.decode(state, type=_State)
        if version != _version():
            raise StoreMismatch(
                f"model: saved by scikit-learn {version}, this is scikit-learn {_version()}\n"
                f'  rebuild from the examples log, or: pip install "scikit-learn=={version}"'
            )
        other = object.__new__(SklearnModel)
        other.task = self.task
        other._classes = self._classes
        other._declared_features = self._declared_features
        other._recipe = self._recipe
        other._own(pickle.loads(body), features, learned=learned, ready=ready)
        return other

    @classmethod
    def alone(cls, state: bytes, recipe: Mapping[str, Any], *, classes: list[Any] | None, columns: bool) -> SklearnModel:
        """The model of these saved bytes where nothing declares it. `columns` tells whether they were declared."""
        estimator = pickle.loads(msgspec.msgpack.decode(state, type=_State)[-1])
        blank = object.__new__(cls)
        blank.task = _task(_steps(estimator), Sklearn(estimator, classes=classes))
        blank._classes = classes
        blank._declared_features = columns
        blank._recipe = dict(recipe)
        return blank.restored(state)

    def digest(self) -> str:
        """The identity of the state."""
        return digest((self._estimator, self._features, self._learned, self._ready))

    def recipe(self) -> dict[str, Any]:
        """How this model was made, as plain data."""
        return dict(self._recipe)

    def _own(self, estimator: Any, features: list[str] | None, *, learned: bool, ready: bool) -> None:
        self._estimator = estimator
        self._ready = ready
        *self._front, self._last = _steps(estimator)
        self._features = features
        self._learned = learned

    def _answer(self, row: np.ndarray[Any, Any]) -> Output:
        for step in self._front:
            row = step.transform(row)
        last = self._last
        if self.task is Task.ANOMALY:
            return Output(-float(last.score_samples(row)[0]))
        value = plain_value(last.predict(row)[0])
        if self.task is Task.REGRESSION:
            return Output(value)
        return Output(value, self._scores(row))

    def _row(self, features: Features) -> np.ndarray[Any, Any]:
        names = self._features
        assert names is not None, "the first example fixes the features before anything is predicted"
        if not self._declared_features and len(features) != len(names):
            extra = sorted(set(features) - set(names))
            if extra:
                raise ValueError(f"feature {extra[0]!r} was not in the first example; name the columns: features=[...]")
        row = np.empty((1, len(names)))
        for column, name in enumerate(names):
            if name not in features:
                raise ValueError(f"feature {name!r} is missing; scikit-learn needs every column in every row")
            value = features[name]
            if value is None or isinstance(value, str):
                raise ValueError(f"feature {name!r} is {value!r}; scikit-learn needs numbers")
            row[0, column] = value
        return row

    def _scores(self, row: np.ndarray[Any, Any]) -> Scores | None:
        if not hasattr(self._last, "predict_proba"):
            return None
        return dict(zip(self._last.classes_.tolist(), self._last.predict_proba(row)[0].tolist(), strict=True))


def _classes(estimator: Any, declared: Sequence[Any]) -> list[Any]:
    """Classes of one kind, each once: scikit-learn would turn `1` beside "a" into text, and answer what was never a truth."""
    given = list(declared)
    kinds = {bool if isinstance(one, bool) else str if isinstance(one, str) else float for one in given}
    if len(kinds) > 1 or any(given.count(one) > 1 for one in given):
        wrong = "are of several kinds" if len(kinds) > 1 else "name one twice"
        raise DeclarationError(
            f"model: classes={given!r} {wrong}\n"
            f"  write each class once, all booleans, all text or all numbers: Sklearn({type(estimator).__name__}(...), "
            "classes=[False, True])"
        )
    return given


def _steps(estimator: Any) -> list[Any]:
    """The steps of a scikit-learn pipeline, nested ones included; anything else is one step."""
    if not _is_pipeline(estimator):
        return [estimator]
    return [inner for _, step in estimator.steps if step != "passthrough" for inner in _steps(step)]


def _is_pipeline(estimator: Any) -> bool:
    from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]

    return isinstance(estimator, Pipeline)


def _task(steps: list[Any], declared: Sklearn) -> Task:
    from sklearn.base import is_classifier, is_outlier_detector, is_regressor  # type: ignore[import-untyped]
    from sklearn.utils import get_tags  # type: ignore[import-untyped]

    *front, last = steps
    for step in front:
        if not hasattr(step, "partial_fit") and get_tags(step).requires_fit:
            raise DeclarationError(
                f"model: {type(step).__name__} cannot learn row by row: it has no partial_fit\n"
                "  use a step that has it (StandardScaler, MinMaxScaler, MaxAbsScaler, IncrementalPCA), "
                "or do it in `features`"
            )
    if not hasattr(last, "partial_fit"):
        raise DeclarationError(
            f"model: {type(last).__name__} cannot learn row by row: it has no partial_fit\n"
            "  use SGDClassifier, SGDRegressor, GaussianNB or MLPClassifier, or a River model"
        )
    if is_classifier(last):
        if not declared.classes:
            raise DeclarationError(
                f"model: {type(last).__name__} has to know its classes before the first example\n"
                f"  write Sklearn({type(last).__name__}(...), classes=[False, True])"
            )
        return Task.CLASSIFICATION
    if is_regressor(last):
        return Task.REGRESSION
    if is_outlier_detector(last):
        return Task.ANOMALY
    raise DeclarationError(
        f"model: {type(last).__name__} is neither a classifier nor a regressor nor an outlier detector\n"
        "  end the pipeline with one"
    )


def _require_seeds(estimator: Any) -> None:
    for step in _steps(estimator):
        for name, value in step.get_params(deep=True).items():
            if name.split("__")[-1] == "random_state" and value is None:
                raise DeclarationError(
                    f"model: {type(step).__name__} answers differently in every run without a seed\n"
                    f"  write {type(step).__name__}({name}=42)"
                )


def _is_finite(output: Output) -> bool:
    return finite(output.value) and finite(output.scores)


def _finite(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    if isinstance(value, list):
        return all(_finite(part) for part in value)
    if isinstance(value, float):
        return bool(np.isfinite(value))
    return True


def _recipe(declared: Sklearn) -> dict[str, Any]:
    kind = type(declared.estimator)
    parameters = declared.estimator.get_params(deep=True)
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "model": repr(declared),
        "seeds": {name: value for name, value in parameters.items() if name.endswith("random_state")},
        "initial_digest": digest(declared.estimator),
        "libraries": {
            "scikit-learn": _version(),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _version() -> str:
    import sklearn  # type: ignore[import-untyped]

    return str(sklearn.__version__)
