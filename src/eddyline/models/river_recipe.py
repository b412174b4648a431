"""How a River model was made, as plain data: classes, parameters, seeds and library versions.

Part of a `ModelVersion`: two models with the same recipe that learn the same examples on the same numeric
fingerprint are the same model. It describes what was declared, never what was learned.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from river import base, compose
from river.__version__ import __version__ as RIVER_VERSION  # noqa: N812

from eddyline.models.river_refusals import SEEDS, declared, parameters
from eddyline.models.river_steps import leaves
from eddyline.models.river_still import copied


def recipe_of(estimator: Any, initial: str) -> dict[str, Any]:
    """The recipe of an estimator whose state, before it learned anything here, has the digest `initial`.

    >>> from river import forest
    >>> recipe = recipe_of(forest.ARFClassifier(seed=42), "0" * 32)
    >>> recipe["class"], recipe["seeds"]
    ('river.forest.adaptive_random_forest.ARFClassifier', {'ARFClassifier.seed': 42})
    """
    return {
        "class": _name(estimator),
        "model": _describe(estimator),
        "seeds": seeds(estimator),
        "initial_digest": initial,
        "predicts_on_a_copy": sorted({type(step).__name__ for step in leaves(estimator) if copied(step)}),
        "libraries": {
            "river": RIVER_VERSION,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def seeds(estimator: Any) -> dict[str, int]:
    """The seeds that were given, by `Class.parameter`; a second one of the same name gets a number.

    >>> from river import forest
    >>> seeds(forest.ARFClassifier(seed=42))
    {'ARFClassifier.seed': 42}
    """
    found: dict[str, int] = {}
    for part in declared(estimator, set()):
        for name in SEEDS:
            value = getattr(part, name, None)
            if name in parameters(part) and isinstance(value, int):
                key = f"{type(part).__name__}.{name}"
                count = sum(1 for known in found if known.split("#")[0] == key)
                found[f"{key}#{count + 1}" if count else key] = value
    return found


def _describe(value: Any) -> Any:
    if isinstance(value, compose.Pipeline):
        return {"class": _name(value), "steps": {name: _describe(step) for name, step in value.steps.items()}}
    if isinstance(value, compose.TransformerUnion):
        return {
            "class": _name(value),
            "union": {name: _describe(part) for name, part in value.transformers.items()},
        }
    if isinstance(value, base.Base):
        held = {name: getattr(value, name) for name in parameters(value) if hasattr(value, name)}
        return {"class": _name(value), "parameters": {name: _describe(part) for name, part in held.items()}}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else repr(value)
    if isinstance(value, dict):
        return {str(name): _describe(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_describe(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(part) for part in value)
    return _name(value)


def _name(value: Any) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"
