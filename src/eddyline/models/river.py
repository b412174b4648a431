"""River estimators as models: classifiers, regressors, anomaly detectors, and pipelines that end in one.

Keeps the laws *still* (river_still.py), *finite* (river_sound.py) and *rebuild*: the state is saved as a
pickle with the version of River that wrote it, and named by the digest of its canonical form. What cannot
keep them is refused when the pipeline file is read (river_refusals.py). It knows no event, no stage and no
store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from river import base, linear_model
from river.__version__ import __version__ as RIVER_VERSION  # noqa: N812

from eddyline.models import compiled, river_bytes
from eddyline.models.canonical import digest
from eddyline.models.plain import finite, plain_scores, plain_value
from eddyline.models.river_direct import is_logistic
from eddyline.models.river_generators import sparing
from eddyline.models.river_leaves import Words, grows_leaves
from eddyline.models.river_order import put_in_order, require_order
from eddyline.models.river_recipe import recipe_of
from eddyline.models.river_refusals import require_repeatable, require_saveable, task_of
from eddyline.models.river_sound import check_of
from eddyline.models.river_steps import (
    advance_of,
    flat_steps,
    mends,
    transform_of,
    writes_input,
)
from eddyline.models.river_still import DERIVED, still_call
from eddyline.records import Features, Output, Task
from eddyline.records.errors import StoreMismatch

Answer = Callable[[Any], Output]
_BINARY = frozenset({linear_model.LogisticRegression, linear_model.Perceptron})


class RiverModel:
    """A River estimator as Eddyline's `Model`, the one the pipeline makes of `model=`.

    Works on a copy: the estimator that is given, fitted or not, stays as it is. Answers and learns what
    River's own `predict_proba_one` and `learn_one` would, to the bit, at about the cost of River's
    `Pipeline`.

    Scores are River's probabilities where the class has them. Where River walks a set (the names of `Select`,
    the classes of KNN and Mondrian forests), the order is sorted here, so that it is the same in every
    process. A model that has seen too little answers None.

    Raises DeclarationError for what is no classifier, regressor or anomaly detector, for a missing seed, for
    state that cannot be saved.

    >>> from river import linear_model, preprocessing
    >>> model = RiverModel(preprocessing.StandardScaler() | linear_model.LogisticRegression())
    >>> model.learn({"amount": 3.0}, True)
    >>> model.predict({"amount": 3.0}).scores
    {False: 0.49875..., True: 0.50124...}
    >>> model.restored(model.save()).digest() == model.digest()
    True
    """

    task: Task
    predict: Callable[[Features], Output]
    """Answers, changing nothing."""
    learn: Callable[[Features, Any], None]
    """Learns one example. After an exception the state may be half-updated: restore it."""
    sound: Callable[[Features], bool]
    """Right after `learn(features, ...)`: whether every number that just changed is finite."""

    binary: bool
    """Whether it is a classifier that knows true and false alone."""

    def __init__(self, estimator: Any) -> None:
        self.task = task_of(estimator)
        self.binary = self.task is Task.CLASSIFICATION and getattr(estimator, "_multiclass", True) is False
        require_repeatable(estimator)
        require_order(estimator)
        require_saveable(estimator)
        mine = river_bytes.copied(estimator)
        put_in_order(mine)
        self._recipe = recipe_of(mine, digest(mine, DERIVED))
        self._own(mine)

    def save(self) -> bytes:
        """The whole state: a pickle, behind the version of River that can read it."""
        return msgspec.msgpack.encode([RIVER_VERSION, river_bytes.dumps(self._estimator)])

    def restored(self, state: bytes) -> RiverModel:
        """The model with this saved state; this one stays as it is.

        Raises StoreMismatch when another version of River wrote it.
        """
        version, body = msgspec.msgpack.decode(state, type=tuple[str, bytes])
        if version != RIVER_VERSION:
            raise StoreMismatch(
                f"model: saved by River {version}, this is River {RIVER_VERSION}\n"
                "  rebuild from the examples log, or install the River that wrote it: "
                f'pip install "river=={version}"'
            )
        other = object.__new__(RiverModel)
        other.task = self.task
        other._recipe = self._recipe
        other._own(river_bytes.loads(body))
        return other

    @classmethod
    def alone(cls, state: bytes, recipe: Mapping[str, Any]) -> RiverModel:
        """The model of these saved bytes where nothing declares it; `recipe` is what was registered with them."""
        blank = object.__new__(cls)
        blank._recipe = dict(recipe)
        blank.task = task_of(river_bytes.loads(msgspec.msgpack.decode(state, type=tuple[str, bytes])[1]))
        return blank.restored(state)

    def digest(self) -> str:
        """The identity of the state: equal in every process that learned the same."""
        return digest(self._estimator, DERIVED)

    def recipe(self) -> dict[str, Any]:
        """How this model was made: what it takes to make it again, as plain data."""
        return dict(self._recipe)

    def _own(self, estimator: Any) -> None:
        self._estimator = estimator
        steps = flat_steps(estimator)
        last = steps[-1]
        front = [step for step in steps[:-1] if not isinstance(step, base.AnomalyFilter)]
        transforms = [transform_of(step) for step in front]
        if front and (fast := compiled.first_scaler(front[0])) is not None:
            transforms[0] = fast.scaled(front[0])
        words = Words(last) if grows_leaves(last) else None
        raw, answer = _answers(self.task, last, words)
        self.predict = _predict(transforms, answer, writes_input(steps[:-1]))
        self.learn, self.sound = _learning(self, estimator, steps, check_of(last, front, raw), words)


def _answers(task: Task, last: Any, words: Words | None) -> tuple[Callable[[Any], Any], Answer]:
    """The last step's raw answer, for the check of soundness, and the answer as an `Output`."""

    def still(method: str) -> Callable[[Any], Any]:
        call = still_call(last, method)
        return call if words is None else words.still(last, call, method)

    if task is Task.ANOMALY:
        score = still("score_one")
        return score, lambda x: Output(plain_value(score(x)))
    label = still("predict_one")
    if task is Task.REGRESSION:
        return label, lambda x: Output(_number(label(x)))
    if type(last).predict_proba_one is base.Classifier.predict_proba_one:
        return label, lambda x: Output(plain_value(label(x)))
    proba = still("predict_proba_one")
    if is_logistic(last):
        return proba, compiled.direct.logistic_answer(last, _binary(proba))
    if type(last) in _BINARY:
        return proba, _binary(proba)
    own_label = None if type(last).predict_one is base.Classifier.predict_one else label
    return proba, _Classes(proba, label, own_label)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _binary(proba: Callable[[Any], dict[Any, float]]) -> Answer:
    def answer(x: Any) -> Output:
        scores = proba(x)
        likely = scores[True]
        if type(likely) is not float:  # River answers the integers 0 and 1 where the sum is far out
            scores = plain_scores(scores)
        return Output(likely > scores[False], scores)  # max() picks the first, False, when they are equal

    return answer


class _Classes:
    """Probabilities and the class River would choose by them, without asking for the probabilities twice."""

    __slots__ = ("_label", "_own_label", "_proba", "_without_scores")

    def __init__(self, proba: Any, label: Any, own_label: Any) -> None:
        self._proba = proba
        self._label = label
        self._own_label = own_label
        self._without_scores = False

    def __call__(self, x: Any) -> Output:
        if self._without_scores:
            return Output(plain_value(self._label(x)))
        try:
            scores = plain_scores(self._proba(x))
        except NotImplementedError:
            # River's way of saying that the classifier in this wrapper has no probabilities.
            self._without_scores = True
            return self(x)
        if self._own_label is not None:
            return Output(plain_value(self._own_label(x)), scores or None)
        if not scores:
            return Output(None)
        return Output(max(scores, key=scores.get), scores)  # type: ignore[arg-type]


def _predict(transforms: list[Callable[[Any], Any]], answer: Answer, copies: bool) -> Answer:
    if copies:
        transforms = [dict, *transforms]
    if not transforms:
        return answer
    if len(transforms) == 1:
        behind: Answer = compiled.direct.one_step_answer(transforms[0], answer)
        return behind

    def predict(features: Features) -> Output:
        x: Any = features
        for transform in transforms:
            x = transform(x)
        return answer(x)

    return predict


def _learning(
    model: RiverModel, estimator: Any, steps: list[Any], check: Callable[[Any], bool], words: Words | None
) -> tuple[Callable[[Features, Any], None], Callable[[Features], bool]]:
    """How to learn, and how to tell whether that went well: the check sees what the last step has just
    learned from.
    """
    if not mends(estimator):
        if words is not None:
            words.met = True  # River's own pipeline learns: nobody looks at what reaches the tree
        return sparing(_learn_as_river(estimator)), _sound_by_answer(model)
    *front, last = steps
    as_river = last.learn_one if last._supervised else _without_truth(last.learn_one)
    learn_last = compiled.direct.linear_learn(last) or sparing(as_river)
    if words is not None:
        learn_last = words.watched(learn_last)
    if not front:
        return learn_last, check
    advances, copies = [advance_of(step) for step in front], writes_input(front)
    if (fast := compiled.first_scaler(front[0])) is not None:
        advances[0] = fast.scaled_learning(front[0])
    if len(front) == 1 and not copies:
        learn, sound = compiled.direct.one_step_learn(advances[0], learn_last, check)
        return learn, sound
    return _learn_steps(advances, learn_last, check, copies=copies)


def _learn_steps(
    advances: list[Any], learn_last: Any, check: Callable[[Any], bool], *, copies: bool
) -> tuple[Callable[[Features, Any], None], Callable[[Features], bool]]:
    seen: Any = None

    def learn(features: Features, truth: Any) -> None:
        nonlocal seen
        x: Any = dict(features) if copies else features
        for advance in advances:
            x = advance(x, truth)
        seen = x
        learn_last(x, truth)

    return learn, lambda features: check(seen)


def _without_truth(learn_one: Callable[[Any], None]) -> Callable[[Any, Any], None]:
    return lambda x, y: learn_one(x)


def _learn_as_river(estimator: Any) -> Callable[[Features, Any], None]:
    """A pipeline with an anomaly filter learns as River does it: the filter decides how far."""
    if isinstance(estimator, base.AnomalyFilter):
        return lambda features, truth: estimator.learn_one(features)
    return lambda features, truth: estimator.learn_one(dict(features), truth)


def _sound_by_answer(model: RiverModel) -> Callable[[Features], bool]:
    def sound(features: Features) -> bool:
        output = model.predict(features)
        return finite(output.value) and finite(output.scores)

    return sound
