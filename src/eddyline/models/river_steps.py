"""A River pipeline as straight calls: what `Pipeline` would do, to the bit, without asking again at every
event.

River's `Pipeline.learn_one` decides at each call which step learns before, which after it transforms. The
answers follow from the classes of the steps, so they are looked up once here. It knows the shape
of pipelines and no single algorithm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from river import base, compose

from eddyline.models.river_direct import is_scaler, scaled_learning
from eddyline.models.river_refusals import parts
from eddyline.models.river_still import foreign, still_call

Transform = Callable[[Any], Any]
Learn = Callable[[Any, Any], None]
Advance = Callable[[Any, Any], Any]
"""Learns one step and returns what the next one sees."""


def flat_steps(estimator: Any) -> list[Any]:
    """The steps of a pipeline in order, those of a pipeline at its end included; a lone estimator is one
    step.

    >>> from river import linear_model, preprocessing
    >>> scaled = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    >>> [type(step).__name__ for step in flat_steps(scaled)]
    ['StandardScaler', 'LogisticRegression']
    """
    if type(estimator) is not compose.Pipeline:
        return [estimator]
    *front, last = estimator.steps.values()
    return [*front, *flat_steps(last)]


def writes_input(front: list[Any]) -> bool:
    """Whether one of these steps may write into the features it is given, so that it gets a copy of them."""
    return any(
        isinstance(part, (compose.FuncTransformer, compose.Renamer)) or foreign(part) for step in front for part in parts(step)
    )


def transform_of(step: Any) -> Transform:
    """What a step makes of features, changing nothing of its state."""
    if type(step) is compose.Pipeline:
        return _chain([transform_of(s) for s in step.steps.values() if isinstance(s, base.Transformer)])
    if type(step) is compose.TransformerUnion:
        return _union([transform_of(part) for part in step.transformers.values()])
    return still_call(step, "transform_one")


def advance_of(step: Any) -> Advance:
    """Learns a step before or after it transforms, as River's `Pipeline.learn_one` does it."""
    if is_scaler(step):
        return scaled_learning(step)
    transform = _learned_transform(step)
    if type(step) is compose.TransformerUnion:
        return _advance_union(step, transform)
    learn = learn_of(step)
    if learn is None:
        return lambda x, y: transform(x)
    if step._supervised:
        return _advance_supervised(transform, learn)
    if type(step) is compose.Pipeline:
        return _advance_unsupervised(transform, learn)
    return _advance_alone(transform, step.learn_one)


def learn_of(step: Any) -> Learn | None:
    """How a transforming step learns on its own, or None where there is nothing to learn."""
    if type(step) is compose.Pipeline:
        return _learn_chain([advance_of(s) for s in step.steps.values()])
    if type(step) is compose.TransformerUnion:
        learns = [learn for part in step.transformers.values() if (learn := learn_of(part)) is not None]
        return _learn_each(learns) if learns else None
    if type(step).learn_one is base.Transformer.learn_one:
        return None
    learn_one: Any = step.learn_one
    if step._supervised:
        return lambda x, y: learn_one(x, y)
    return lambda x, y: learn_one(x)


def mends(estimator: Any) -> bool:
    """Whether a pipeline is made of steps that can be called straight: no anomaly filter stops the learning
    midway.
    """
    return not any(isinstance(step, base.AnomalyFilter) for step in leaves(estimator))


def _learned_transform(step: Any) -> Transform:
    """River's own transform, for what the step has just learned; only the order of `Select` is mended."""
    if type(step) is compose.Pipeline:
        return _chain([_learned_transform(s) for s in step.steps.values() if isinstance(s, base.Transformer)])
    if type(step) is compose.TransformerUnion:
        return _union([_learned_transform(part) for part in step.transformers.values()])
    transform: Transform = step.transform_one
    return transform


def _chain(transforms: list[Transform]) -> Transform:
    def run(x: Any) -> Any:
        for transform in transforms:
            x = transform(x)
        return x

    return transforms[0] if len(transforms) == 1 else run


def _union(transforms: list[Transform]) -> Transform:
    backwards = transforms[::-1]  # as River: the first one wins where two give the same name

    def run(x: Any) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for transform in backwards:
            result.update(transform(x))
        return result

    return run


def _advance_unsupervised(transform: Transform, learn: Learn) -> Advance:
    def advance(x: Any, y: Any) -> Any:
        learn(x, y)
        return transform(x)

    return advance


def _advance_alone(transform: Transform, learn_one: Callable[[Any], None]) -> Advance:
    def advance(x: Any, y: Any) -> Any:
        learn_one(x)
        return transform(x)

    return advance


def _advance_supervised(transform: Transform, learn: Learn) -> Advance:
    def advance(x: Any, y: Any) -> Any:
        transformed = transform(x)
        learn(x, y)
        return transformed

    return advance


def _advance_union(step: Any, transform: Transform) -> Advance:
    before: list[Learn] = []
    after: list[Learn] = []
    for part in step.transformers.values():
        learn = learn_of(part)
        if learn is not None:
            (after if part._supervised else before).append(learn)

    def advance(x: Any, y: Any) -> Any:
        for learn in before:
            learn(x, y)
        transformed = transform(x)
        for learn in after:
            learn(x, y)
        return transformed

    return advance


def _learn_chain(advances: list[Advance]) -> Learn:
    def learn(x: Any, y: Any) -> None:
        for advance in advances:
            x = advance(x, y)

    return learn


def _learn_each(learns: list[Learn]) -> Learn:
    def learn(x: Any, y: Any) -> None:
        for each in learns:
            each(x, y)

    return learn


def leaves(step: Any) -> list[Any]:
    """The steps of a pipeline or a union that are neither, in order."""
    if type(step) is compose.Pipeline:
        return [inner for part in step.steps.values() for inner in leaves(part)]
    if type(step) is compose.TransformerUnion:
        return [inner for part in step.transformers.values() for inner in leaves(part)]
    return [step]
