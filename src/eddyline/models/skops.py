"""A fitted scikit-learn estimator out of a skops file. A pickle is never opened: reading one runs whatever is in it.

Keeps *still*, *finite* and *rebuild*: one row at a time, one job, by the version of scikit-learn that wrote the file.
skops and scikit-learn are imported when a model is declared. It knows no event, no stage and no store.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from eddyline.models.files import FileModel, Said, names_of, read_model_file
from eddyline.models.plain import plain_value
from eddyline.records import Features, Output, Scores, Task
from eddyline.records.errors import DeclarationError


class SkopsModel(FileModel):
    """A fitted scikit-learn estimator: `model=SkopsModel("model.skops", features=[...])`.

    Choose it for what scikit-learn trained in one piece (gradient boosting, a forest, a whole pipeline) and cannot learn
    row by row; `Sklearn(...)` is for what can. It answers and never learns. One row takes 100 to 500 µs, a forest
    milliseconds; as ONNX (`OnnxModel`) the same model answers ten times faster.

    `features` are the columns in order; an estimator that was fitted on a data frame names them itself. `classes` are
    your classes in the estimator's order, where they differ from its own. `trusted` lists the types in the file that are
    not scikit-learn's and that you trust, by full name; a type that is not listed is refused and named. `scores=False`
    leaves the probabilities out.

    A challenger from a file, which answers beside the model and stays as it is:

        skops.io.dump(GradientBoostingClassifier().fit(rows, truths), "fraud.skops")
        Challenger("boosted", model=SkopsModel("fraud.skops", features=["amount", "age"]), learns=False)

    Raises DeclarationError for a pickle, for types that are not trusted, for a file of another scikit-learn, and for what
    does not fit.
    """

    kind = "skops"

    def __init__(
        self,
        path: str | Path,
        *,
        features: Sequence[str] | None = None,
        classes: Sequence[Any] | None = None,
        trusted: Sequence[str] = (),
        task: Task | None = None,
        scores: bool = True,
    ) -> None:
        raw, name = read_model_file(path)
        if isinstance(trusted, str) or not all(isinstance(one, str) for one in trusted):
            raise DeclarationError(f'model: trusted={trusted!r} is not a list of names\nwrite trusted=["package.module.Type"]')
        self._trusted = list(trusted)
        self._declared_task = task
        said = Said(
            task or Task.CLASSIFICATION,
            names_of("features", features, '["amount", "hour"]'),
            names_of("classes", classes, "[False, True]"),
            scores,
        )
        super().__init__(raw, name, said)

    def _share(self, other: Self) -> None:
        # What a saved version says of itself is no reason to trust it: the declaration's list is.
        other._trusted = self._trusted
        other._declared_task = self._declared_task

    def trust_nobody(self) -> None:
        """Where nothing declares it: then only what skops trusts by itself is read."""
        self._trusted, self._declared_task = [], None

    def predict(self, features: Features) -> Output:
        """Answers one row; a feature that is missing or text is said so."""
        row = self._row(features)
        task = self._said.task
        if task is Task.ANOMALY:
            return Output(-float(self._estimator.score_samples(row)[0]))
        value = plain_value(self._estimator.predict(row)[0])
        if task is Task.REGRESSION:
            return Output(float(value))  # type: ignore[arg-type]
        return Output(self._class_of(value), self._scores(row))

    def _libraries(self) -> dict[str, str]:
        import sklearn  # type: ignore[import-untyped]

        return {"scikit-learn": str(sklearn.__version__), "skops": str(_skops().__version__)}

    def _open(self, raw: bytes) -> None:
        estimator = _loaded(raw, self.name, self._trusted)
        task = _task(estimator, self.name)
        if self._declared_task is not None and self._declared_task is not task:
            raise DeclarationError(f"model: {self.name} is a {task.value}, not a {self._declared_task.value}\nleave task= out")
        single_job(estimator)
        self._estimator = estimator
        said = self._said
        own = getattr(estimator, "feature_names_in_", None)
        self._framed = own is not None
        names = said.features if own is None else [str(name) for name in own]
        if names is None:
            raise DeclarationError(
                f"model: {self.name} does not say what its columns are called\nname them in its order: features=[...]"
            )
        if said.features is not None and said.features != names:
            raise DeclarationError(
                f"model: {self.name} was fitted on {', '.join(names)}; features=[...] says {', '.join(said.features)}\n"
                "leave features=[...] out, the file names them"
            )
        width = getattr(estimator, "n_features_in_", len(names))
        if width != len(names):
            raise DeclarationError(f"model: {self.name} takes {width} features, features=[...] names {len(names)}")
        self._said = Said(task, names, said.classes, said.scores)
        self._open_classes(estimator)

    def _open_classes(self, estimator: Any) -> None:
        if self.task is not Task.CLASSIFICATION:
            return
        own = [plain_value(label) for label in estimator.classes_.tolist()]
        classes = self._said.classes
        if classes is not None and len(classes) != len(own):
            raise DeclarationError(f"model: {self.name} knows the classes {own!r}; classes=[...] names {len(classes)}")
        self._classes = [self._class_of(label) for label in own]

    def _row(self, features: Features) -> Any:
        if not self._framed:
            return np.array([[self._number(features, name) for name in self.columns]], dtype=np.float64)
        import pandas as pd  # type: ignore[import-untyped]

        cells = {name: [self._value(features, name)] for name in self.columns}
        for name, (value,) in cells.items():
            if value is None:
                raise ValueError(f"feature {name!r} is None; {self.name} needs a value there")
        return pd.DataFrame(cells)

    def _scores(self, row: Any) -> Scores | None:
        if not self._said.scores or not hasattr(self._estimator, "predict_proba"):
            return None
        return dict(zip(self._classes, self._estimator.predict_proba(row)[0].tolist(), strict=True))


def single_job(estimator: Any) -> None:
    """One job for every step: two of them finish in any order, and a sum depends on the order."""
    wanted = {name: 1 for name in estimator.get_params(deep=True) if name.split("__")[-1] == "n_jobs"}
    if wanted:
        estimator.set_params(**wanted)


def _skops() -> Any:
    try:
        import skops.io  # type: ignore[import-untyped]
    except ImportError as error:
        raise DeclarationError('model: a skops file needs skops\nrun: pip install "eddyline[skops]"') from error
    return skops


def _loaded(raw: bytes, name: str, trusted: list[str]) -> Any:
    """The estimator in the bytes, when nothing in it is of a type that nobody trusts."""
    skops = _skops()
    if raw[:2] != b"PK":
        what = "a pickle; reading one runs whatever is in it" if raw[:1] == b"\x80" else "not a skops file"
        raise DeclarationError(f"model: {name} is {what}\nwrite the estimator with skops.io.dump(estimator, {name!r})")
    try:
        foreign = [one for one in skops.io.get_untrusted_types(data=raw) if one not in trusted]
    except Exception as error:  # a damaged archive shows in many ways
        raise DeclarationError(f"model: {name} cannot be read as skops: {type(error).__name__}: {error}") from error
    if foreign:
        raise DeclarationError(
            f"model: {name} holds types that skops does not trust by itself: {', '.join(foreign)}\n"
            f"if you trust them, write trusted={foreign!r}"
        )
    from sklearn.exceptions import InconsistentVersionWarning  # type: ignore[import-untyped]

    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return skops.io.loads(raw, trusted=trusted)
        except InconsistentVersionWarning as error:
            raise DeclarationError(
                f"model: {name} was written by scikit-learn {error.original_sklearn_version}, "
                f"this is scikit-learn {error.current_sklearn_version}\n"
                f'write it again, or: pip install "scikit-learn=={error.original_sklearn_version}"'
            ) from error
        except Exception as error:
            raise DeclarationError(f"model: {name} cannot be read as skops: {type(error).__name__}: {error}") from error


def _task(estimator: Any, name: str) -> Task:
    from sklearn.base import is_classifier, is_outlier_detector, is_regressor  # type: ignore[import-untyped]
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted  # type: ignore[import-untyped]

    if not hasattr(estimator, "predict") and not hasattr(estimator, "score_samples"):
        raise DeclarationError(f"model: {name} holds a {type(estimator).__name__}, which answers nothing")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise DeclarationError(f"model: {name} holds a {type(estimator).__name__} that was not fitted") from error
    if is_classifier(estimator):
        return Task.CLASSIFICATION
    if is_regressor(estimator):
        return Task.REGRESSION
    if is_outlier_detector(estimator):
        return Task.ANOMALY
    raise DeclarationError(
        f"model: {name} holds a {type(estimator).__name__}, neither a classifier nor a regressor nor an outlier detector"
    )
