"""A River estimator as bytes, without the random generators that River gives to distributions it never samples.

Each `proba.Gaussian` owns a generator of 2.5 KB. A leaf of a tree has one for each feature and class, so that nine tenths of
a saved forest would be noise that no compression makes smaller. The digest leaves them out (`river_still.DERIVED`), and so
do the bytes. Restored distributions share one generator. One that was given a seed keeps its own.
"""

from __future__ import annotations

from typing import Any, Final

from river import proba

from eddyline.models import deep
from eddyline.models.attributes import NEW, Attributes, give
from eddyline.models.river_generators import SHARED

_attributes: Final = Attributes()


def dumps(estimator: Any) -> bytes:
    """The bytes of an estimator.

    >>> from river import naive_bayes
    >>> model = naive_bayes.GaussianNB()
    >>> model.learn_one({"amount": 3.0}, True)
    >>> len(dumps(model)) < 1_000 < len(deep.dumps(model))
    True
    """
    return deep.dumps(estimator, {proba.Gaussian: _without_generator})


loads = deep.loads


def copied(estimator: Any) -> Any:
    """An independent copy, as saving and restoring makes it."""
    return loads(dumps(estimator))


def _without_generator(gaussian: Any) -> Any:
    if gaussian.seed is not None:
        return gaussian.__reduce_ex__(5)
    attributes = _attributes(gaussian) or vars(gaussian)
    kept = {name: value for name, value in attributes.items() if name != "_rng"}
    return NEW, (proba.Gaussian,), kept, None, None, restore_gaussian


def restore_gaussian(gaussian: Any, kept: dict[str, Any]) -> None:
    """Gives a distribution what was kept of it. Saved bytes name this function: it stays here."""
    give(gaussian, {**kept, "_rng": SHARED})
