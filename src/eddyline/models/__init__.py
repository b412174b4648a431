"""What we call a model: `adapt` makes one of a River estimator, `Sklearn(...)`, a `CustomModel`, or anything
complete, such as a file: `OnnxModel(...)`, `SkopsModel(...)`.

River and scikit-learn are imported when one of their estimators is adapted, not before: importing River's
estimators takes 1.5 seconds.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, cast

from eddyline.models.custom import AdaptedCustomModel, CustomModel
from eddyline.models.files import FileModel
from eddyline.models.onnx import OnnxModel
from eddyline.models.per_key import PerKey
from eddyline.models.sklearn import Sklearn, SklearnModel
from eddyline.models.skops import SkopsModel
from eddyline.ports import Model
from eddyline.records.errors import DeclarationError

__all__ = ["CustomModel", "OnnxModel", "PerKey", "Sklearn", "SkopsModel", "adapt"]

_CONTRACT = ("task", "predict", "learn", "sound", "save", "restored", "digest", "recipe")


def adapt(model: Any, *, per: str | None = None) -> Model:
    """The model that a pipeline uses, from what the user gave it as `model=`; with `per="key"` one of them for each key.

    A River estimator or pipeline, `Sklearn(...)` around a scikit-learn estimator, a `CustomModel`, a file
    (`OnnxModel(...)`, `SkopsModel(...)`), or an object that already has all of `Model`. The given object is
    copied, never changed (a complete `Model` is used as it is).

    Raises DeclarationError, with what to write instead, for anything else and for what cannot keep the laws.

    >>> from river import linear_model, preprocessing
    >>> adapt(preprocessing.StandardScaler() | linear_model.LinearRegression()).task
    <Task.REGRESSION: 'regression'>
    >>> adapt(linear_model.LinearRegression)
    Traceback (most recent call last):
    eddyline.records.errors.DeclarationError: model: LinearRegression is a class
      write LinearRegression()
    """
    if per is not None:
        return _per_key(model)
    if isinstance(model, PerKey):
        raise DeclarationError('model: PerKey is what becomes of a model\n  give the model of one key, and write per="key"')
    if isinstance(model, type):
        raise DeclarationError(f"model: {model.__name__} is a class\n  write {model.__name__}()")
    if isinstance(model, str | PurePath) and str(model).endswith((".onnx", ".skops")):
        kind = "SkopsModel" if str(model).endswith(".skops") else "OnnxModel"
        raise DeclarationError(f"model: {str(model)!r} is text\n  write {kind}({str(model)!r}, features=[...]) for a file")
    if isinstance(model, CustomModel):
        return AdaptedCustomModel(model)
    if isinstance(model, Sklearn):
        return SklearnModel(model)
    if all(hasattr(model, name) for name in _CONTRACT):
        return cast(Model, model)
    name = type(model).__name__
    library = _library(model)
    if library == "river":
        from eddyline.models.river import RiverModel

        return RiverModel(model)
    if library == "sklearn":
        raise DeclarationError(
            f"model: {name} is a scikit-learn estimator\n  write Sklearn({name}(...)), for a classifier with classes=[...]"
        )
    missing = [part for part in _CONTRACT if not hasattr(model, part)]
    raise DeclarationError(
        f"model: {name} is not a model: it has no {', '.join(missing)}\n"
        "  give a River estimator, Sklearn(...), or a class of your own: class MyModel(CustomModel)"
    )


def _per_key(model: Any) -> PerKey:
    """One of these models for each key."""
    recipe = adapt(model)
    if isinstance(recipe, FileModel):
        raise DeclarationError(
            f"model: {type(model).__name__} does not learn, so it would be the same for every key\n"
            '  leave per="key" out, or give a model that learns'
        )
    return PerKey(recipe)


def _library(model: Any) -> str | None:
    """The library whose estimator this is, or is derived from, without importing it."""
    for kind in type(model).__mro__:
        library = kind.__module__.split(".")[0]
        if library in ("river", "sklearn"):
            return library
    return None
