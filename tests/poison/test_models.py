"""A model that raises, spoils itself or writes where it should read: undone exactly, and the example a dead letter (I9)."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from river import linear_model, preprocessing
from tests.poison.stream import (
    POISON_AT,
    Payment,
    by_call,
    by_file,
    payment,
    pipeline,
    poisoned,
    truth,
)
from tests.shops import Chargeback

from eddyline import CustomModel, Engine, Output, Pipeline, Task
from eddyline.records import Features
from eddyline.store.database import Store
from eddyline.views.verify import verify

MAGIC = 666.0
"""The amount at which a model makes trouble."""
SHORT = "StandardScaler|LogisticRegression"


class Counting(CustomModel):
    """A small honest model: the mean amount of each class. What the others spoil."""

    task = Task.CLASSIFICATION

    def __init__(self) -> None:
        self.count = {False: 0, True: 0}
        self.total = {False: 0.0, True: 0.0}
        self.seen: list[float] = []

    def predict(self, features: Features) -> Any:
        means = {kind: self.total[kind] / (self.count[kind] or 1) for kind in (False, True)}
        far = {kind: abs(float(features["amount"] or 0) - mean) for kind, mean in means.items()}
        share = far[False] / ((far[False] + far[True]) or 1)
        return Output(share > 0.5, {False: 1 - share, True: share})

    def learn(self, features: Features, truth: Any) -> None:
        self.count[truth] += 1
        self.total[truth] += float(features["amount"] or 0)
        self.seen = [*self.seen[-20:], float(features["hour"] or 0)]


class RaisesAtPredict(Counting):
    def predict(self, features: Features) -> Any:
        if features["amount"] == MAGIC:
            raise RuntimeError("no answer to this one")
        return super().predict(features)


class NanAtPredict(Counting):
    def predict(self, features: Features) -> Any:
        answer = super().predict(features)
        return Output(True, {False: math.nan, True: 0.5}) if features["amount"] == MAGIC else answer


class InfAtPredict(Counting):
    def predict(self, features: Features) -> Any:
        return math.inf if features["amount"] == MAGIC else super().predict(features)


class HugeAtPredict(Counting):
    def predict(self, features: Features) -> Any:
        return 1e308 if features["amount"] == MAGIC else super().predict(features)


class HugeIntegerAtPredict(Counting):
    def predict(self, features: Features) -> Any:
        return 10**5000 if features["amount"] == MAGIC else super().predict(features)


class HugeScoresAtPredict(Counting):
    def predict(self, features: Features) -> Any:
        answer = super().predict(features)
        return Output(True, {False: math.inf, True: -math.inf}) if features["amount"] == MAGIC else answer


class WrongKindAtPredict(Counting):
    def predict(self, features: Features) -> Any:
        return ["yes"] if features["amount"] == MAGIC else super().predict(features)


class RaisesAtLearn(Counting):
    def learn(self, features: Features, truth: Any) -> None:
        if features["amount"] == MAGIC:
            raise RuntimeError("I will not learn this")
        super().learn(features, truth)


class HalfLearns(Counting):
    def learn(self, features: Features, truth: Any) -> None:
        super().learn(features, truth)
        if features["amount"] == MAGIC:
            self.count = {}
            self.total[True] = math.nan
            self.seen.clear()
            raise RuntimeError("halfway")


class SpoiltByLearning(Counting):
    def learn(self, features: Features, truth: Any) -> None:
        super().learn(features, truth)
        if features["amount"] == MAGIC:
            self.total[True] = math.nan


class SilencedByLearning(Counting):
    """After the magic example it raises whenever it is asked."""

    def learn(self, features: Features, truth: Any) -> None:
        super().learn(features, truth)
        if features["amount"] == MAGIC:
            self.total = {}


class WritesIntoFeatures(Counting):
    """Answers and learns as the honest one does, and leaves its input in ruins."""

    def predict(self, features: Features) -> Any:
        answer = super().predict(features)
        features["amount"] = -1.0
        features["own"] = "idea"
        return answer

    def learn(self, features: Features, truth: Any) -> None:
        super().learn(features, truth)
        features.clear()


class ChangedByPredicting(Counting):
    def predict(self, features: Features) -> Any:
        answer = super().predict(features)
        self.total[True] += 1.0
        return answer


class Grudging(linear_model.LogisticRegression):
    """River's, but it throws in the middle of learning what is far from everything: the scaler has learned it by then."""

    def learn_one(self, x: Any, y: Any, w: Any = 1.0) -> None:
        super().learn_one(x, y, w)
        if x["hour"] < -5:
            raise ArithmeticError("too far out")


def _pipeline(kind: Callable[[], CustomModel]) -> Pipeline:
    return pipeline(SHORT).replace(model=kind())


MAGIC_PAYMENT = poisoned(amount=MAGIC)
MAGIC_TRUTH = Chargeback(id="poison", at=POISON_AT + 1, fraud=True)
AT_PREDICT: list[tuple[type[Counting], str]] = [
    (RaisesAtPredict, "model_failed"),
    (NanAtPredict, "not_finite"),
    (InfAtPredict, "not_finite"),
    (HugeAtPredict, "not_finite"),
    (HugeIntegerAtPredict, "not_finite"),
    (HugeScoresAtPredict, "not_finite"),
    (WrongKindAtPredict, "model_failed"),
]
AT_LEARN: list[tuple[type[Counting], str]] = [
    (RaisesAtLearn, "model_failed"),
    (HalfLearns, "model_failed"),
    (SpoiltByLearning, "not_finite"),
    (SilencedByLearning, "model_failed"),
]


def _lines(*records: Payment | Chargeback) -> tuple[list[bytes], list[bytes]]:
    declared = pipeline(SHORT)
    events = [declared.event_schema.encode(one) for one in records if isinstance(one, Payment)]
    return events, [declared.label_schema.encode(one) for one in records if isinstance(one, Chargeback)]


@pytest.mark.parametrize(("kind", "reason"), AT_PREDICT)
def test_an_answer_that_cannot_be_given_is_a_dead_letter_and_changes_no_other(kind: type[Counting], reason: str) -> None:
    declared = _pipeline(kind)
    clean = by_file(SHORT, declared=declared)
    ran = by_file(SHORT, *_lines(MAGIC_PAYMENT), declared=declared)
    assert ran.reasons == [("events", reason)]
    assert (ran.after, ran.digest, ran.sound) == (clean.after, clean.digest, [])
    called, said = by_call(SHORT, [MAGIC_PAYMENT], declared=declared)
    assert said == [reason]
    assert (called.reasons, called.after, called.digest) == (ran.reasons, clean.after, clean.digest)


@pytest.mark.parametrize(("kind", "reason"), AT_LEARN)
def test_an_example_that_cannot_be_learned_is_undone_and_changes_no_answer(kind: type[Counting], reason: str) -> None:
    declared = _pipeline(kind)
    clean = by_file(SHORT, *_lines(MAGIC_PAYMENT), declared=declared)
    ran = by_file(SHORT, *_lines(MAGIC_PAYMENT, MAGIC_TRUTH), declared=declared)
    assert (clean.reasons, ran.reasons) == ([], [("examples", reason)])
    assert ran.dead[0].event_id == "poison"
    assert (ran.answers, ran.digest, ran.sound) == (clean.answers, clean.digest, [])
    called, _ = by_call(SHORT, [MAGIC_PAYMENT, MAGIC_TRUTH], declared=declared)
    assert (called.reasons, called.answers, called.digest) == (ran.reasons, clean.answers, clean.digest)


def test_a_hundred_bad_examples_in_a_row_are_each_undone() -> None:
    declared = _pipeline(HalfLearns)
    paid = [poisoned(id=f"poison-{n}", amount=MAGIC) for n in range(100)]
    told = [Chargeback(id=f"poison-{n}", at=POISON_AT + 1, fraud=n % 2 == 0) for n in range(100)]
    clean = by_file(SHORT, *_lines(*paid), declared=declared)
    ran = by_file(SHORT, *_lines(*paid, *told), declared=declared)
    assert ran.reasons == [("examples", "model_failed")] * 100
    assert (ran.answers, ran.digest, ran.sound) == (clean.answers, clean.digest, [])


def test_a_model_that_writes_into_its_input_changes_no_record() -> None:
    honest = by_file(SHORT, *_lines(MAGIC_PAYMENT, MAGIC_TRUTH), declared=_pipeline(Counting))
    ran = by_file(SHORT, *_lines(MAGIC_PAYMENT, MAGIC_TRUTH), declared=_pipeline(WritesIntoFeatures))
    assert ran.dead == []
    assert (ran.answers, ran.sound) == (honest.answers, [])


def test_a_model_that_answering_changes_is_found_by_verify(tmp_path: Path) -> None:
    declared = _pipeline(ChangedByPredicting)
    with Engine(declared, tmp_path / "poisoned.eddyline") as engine:
        for number in range(30):
            engine.answer(payment(number))
            engine.tell(truth(number, SHORT))
    with closing(Store.read(tmp_path / "poisoned.eddyline")) as store:
        assert not verify(store, declared).sound


def test_a_river_model_that_raises_in_the_middle_of_learning_is_undone() -> None:
    declared = pipeline(SHORT).replace(model=preprocessing.StandardScaler() | Grudging())
    far = poisoned(hour=-1e6)
    clean = by_file(SHORT, *_lines(far), declared=declared)
    ran = by_file(SHORT, *_lines(far, MAGIC_TRUTH), declared=declared)
    assert (clean.reasons, ran.reasons) == ([], [("examples", "model_failed")])
    assert (ran.answers, ran.digest, ran.sound) == (clean.answers, clean.digest, [])
