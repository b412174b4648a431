"""River's distributions without random generators of their own, while a model learns.

Each `proba.Gaussian` comes with a generator, seeded by the system: 12 µs and 2.5 KB. A leaf of a tree makes one for each
feature and class and never draws from it; a forest of three trees makes ten thousand of them over as many half hours of
electricity, a sixteenth of its time. While one of our models learns they share one. Nothing else of River is changed, and
outside of `learn` nothing is: a distribution of the user's own has its own. One with a seed keeps its own, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from river import proba

SHARED: Final = random.Random(0)
"""The generator of all distributions that nobody draws from."""


def _generator(seed: Any = None) -> random.Random:
    return SHARED if seed is None else random.Random(seed)


_NAMES: Final = vars(proba.base)
_OWN: Final = _NAMES.get("random")
_SHARING: Final = SimpleNamespace(**{**vars(random), "Random": _generator})


def sparing(learn: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """The same learning, where new distributions without a seed share a generator.

    >>> from river import tree
    >>> model = tree.HoeffdingTreeClassifier()
    >>> learn = sparing(model.learn_one)
    >>> learn({"amount": 3.0, "hour": 7.0}, True)
    >>> [leaf] = list(model._root.iter_leaves())
    >>> all(each._att_dist_per_class[True]._rng is SHARED for each in leaf.splitters.values())
    True
    """
    if _OWN is not random:
        return learn  # a River that makes them otherwise

    def spared(features: Any, truth: Any) -> None:
        _NAMES["random"] = _SHARING
        try:
            learn(features, truth)
        finally:
            _NAMES["random"] = _OWN

    return spared
