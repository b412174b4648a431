"""A model from its saved bytes alone, where no declaration holds it any more: so that an ended line can be asked once more.

What bytes do not say, the recipe does that was kept with them. Where neither does (a class of the user's that is gone, types
that somebody had to trust) it says so. Knows no store.
"""

from __future__ import annotations

import ast
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from eddyline.models import deep
from eddyline.models.custom import AdaptedCustomModel
from eddyline.models.files import FileModel, Said
from eddyline.models.onnx import OnnxModel
from eddyline.models.per_key import PerKey
from eddyline.models.skops import SkopsModel
from eddyline.ports import Model
from eddyline.records.errors import DeclarationError, StoreMismatch


def alone(state: bytes, recipe: Mapping[str, Any]) -> Model:
    """The model with these saved bytes; `recipe` is what was registered with them.

    Raises StoreMismatch in words where its declaration is needed.

    >>> from river import linear_model
    >>> from eddyline.models import adapt
    >>> model = adapt(linear_model.LogisticRegression())
    >>> model.learn({"amount": 2.0}, True)
    >>> alone(model.save(), model.recipe()).digest() == model.digest()
    True
    """
    kind = str(recipe.get("class", "a model"))
    for wanted, make in _WAYS:
        if wanted(recipe):
            try:
                return make(state, recipe)
            except (pickle.UnpicklingError, ImportError, AttributeError, LookupError, DeclarationError, SyntaxError) as error:
                said = str(error).splitlines()[0]
                raise StoreMismatch(f"its model ({kind}) cannot be made of its bytes alone: {said}") from error
    raise StoreMismatch(f"its model ({kind}) cannot be made of its bytes alone: only its declaration says how")


def _per_key(state: bytes, recipe: Mapping[str, Any]) -> Model:
    fresh, _ = msgspec.msgpack.decode(state, type=tuple[bytes, list[tuple[str, bytes]]])
    return PerKey(alone(fresh, {name: part for name, part in recipe.items() if name != "per"})).restored(state)


def _river(state: bytes, recipe: Mapping[str, Any]) -> Model:
    from eddyline.models.river import RiverModel

    return RiverModel.alone(state, recipe)


def _sklearn(state: bytes, recipe: Mapping[str, Any]) -> Model:
    from eddyline.models.sklearn import SklearnModel

    call = ast.parse(recipe["model"], mode="eval").body
    assert isinstance(call, ast.Call), "Sklearn(...) is shown as a call"
    said = {one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg in ("classes", "features")}
    return SklearnModel.alone(state, recipe, classes=said.get("classes"), columns="features" in said)


def _custom(state: bytes, recipe: Mapping[str, Any]) -> Model:
    return AdaptedCustomModel.alone(deep.loads(state), str(recipe["initial_digest"]))


def _file(state: bytes, recipe: Mapping[str, Any]) -> Model:
    kind, name, said, raw = msgspec.msgpack.decode(state, type=tuple[str, str, Said, bytes])
    made: type[FileModel] = OnnxModel if kind == OnnxModel.kind else SkopsModel
    other = object.__new__(made)
    if isinstance(other, SkopsModel):
        other.trust_nobody()
    FileModel.__init__(other, raw, name, said)
    return other


def _library(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda recipe: name in recipe.get("libraries", {})


_WAYS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[[bytes, Mapping[str, Any]], Model]], ...] = (
    (lambda recipe: recipe.get("per") == "key", _per_key),
    (lambda recipe: "file_digest" in recipe, _file),
    (lambda recipe: "source_digest" in recipe, _custom),
    (_library("river"), _river),
    (_library("scikit-learn"), _sklearn),
)
