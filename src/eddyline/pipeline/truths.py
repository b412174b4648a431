"""Whether the model can learn the truth that labels tell, and whether what silence stands for is such a truth.

What cannot fit is refused when the pipeline is built, in the words of the declaration, instead of each label when it comes.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from eddyline.ports import Model
from eddyline.records import Task
from eddyline.records.errors import DeclarationError
from eddyline.records.fields import show_type
from eddyline.stages.join import UNSET


def require_fit(whose: str, model: Model, truth: Any) -> None:
    """Refuses a model that could learn no truth of this type, or not all of them.

    `binary` models know two classes, true and false, and take every other truth for true. `classes` are those that a
    model was told beforehand.
    """
    kinds, said = _kinds(truth), f"Truth[{show_type(truth)}]"
    if model.task is Task.REGRESSION and kinds == {str}:
        raise DeclarationError(
            f"{whose}: the truth is text ({said}), and its model learns numbers\n"
            "give it a classifier, or declare the label's truth as Truth[float]"
        )
    if getattr(model, "binary", False) and not kinds <= {bool, 0, 1}:
        raise DeclarationError(
            f"{whose}: its model knows two classes, true and false, and the truth is {said}\n"
            "declare the truth as Truth[bool] (or Truth[Literal[0, 1]]), or let the model tell classes apart: "
            "multiclass.OneVsRestClassifier(...), or a tree"
        )
    for one in getattr(model, "classes", None) or ():
        if not is_truth(one, truth):
            raise DeclarationError(
                f"{whose}: classes has {one!r}, which the label never tells: its truth is {said}\n"
                "write the classes as the label tells them, such as classes=[False, True] for Truth[bool]"
            )


def require_absent(absent: Any, truth: Any) -> None:
    """Refuses what silence stands for, where no label could say it."""
    if absent is not UNSET and not is_truth(absent, truth):
        raise DeclarationError(
            f"join: absent={absent!r} is not what labels tell: their truth is Truth[{show_type(truth)}]\n"
            "write what silence stands for as a label would say it, such as absent=False for Truth[bool]"
        )


def is_truth(value: Any, truth: Any) -> bool:
    """Whether a label could tell this.

    >>> is_truth(False, bool), is_truth(0, bool), is_truth(0, float), is_truth("no", bool)
    (True, False, True, False)
    """
    try:
        msgspec.convert(value, truth)
    except msgspec.ValidationError:
        return False
    return True


def _kinds(truth: Any) -> set[Any]:
    """The types of a truth, and of whole numbers that are listed, the numbers."""
    kind = inspect.type_info(truth)
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    found: set[Any] = set()
    for one in kinds:
        while isinstance(one, inspect.Metadata):
            one = one.type
        if isinstance(one, inspect.LiteralType):
            found |= {value if type(value) is int else type(value) for value in one.values}
        else:
            known = {inspect.BoolType: bool, inspect.StrType: str, inspect.IntType: int, inspect.FloatType: float}
            found.add(known.get(type(one), type(one)))
    return found
