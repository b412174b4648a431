"""The arithmetic of River's commonest pair, `StandardScaler | LogisticRegression`, without the calls around it.

The same operations on the same numbers in the same order as River 0.26 does them, so that every answer and every
state is River's to the bit (tests/models/test_river_direct.py); what is left out is what River does between them: asking
for attributes, views of the weights, a second walk over the names. Learning takes two thirds of the time. What differs in
any setting from what is written here is left to River. It knows no pipeline and no stage.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from typing import Any

from river import linear_model, optim, preprocessing, utils

from eddyline.records import Output

Answer = Callable[[Any], Output]


def is_scaler(step: Any) -> bool:
    """Whether a step is a `StandardScaler` that divides by the deviation of all it has seen."""
    return type(step) is preprocessing.StandardScaler and step.with_std and step.window_size is None


def scaled(step: Any) -> Callable[[Any], Any]:
    """What `StandardScaler.transform_one` answers, without the entries that it makes for names it has not learned."""
    spreads, means = step.vars, step.means

    def ask(x: Any) -> Any:
        answer = {}
        for name, value in x.items():
            spread = spreads.get(name)
            answer[name] = (value - means[name]) / spread**0.5 if spread else 0.0
        return answer

    return ask


def scaled_learning(step: Any) -> Callable[[Any, Any], Any]:
    """`StandardScaler.learn_one` and then `transform_one`, in one walk over the names."""
    counts, means, spreads = step.counts, step.means, step.vars

    def advance(x: Any, _: Any) -> Any:
        answer = {}
        for name, value in x.items():
            counts[name] = count = counts[name] + 1
            before = means[name]
            away = value - before
            means[name] = mean = before + away / count
            spread = spreads[name]
            now = value - mean
            spreads[name] = spread = spread + (away * now - spread) / count
            answer[name] = now / spread**0.5 if spread else 0.0
        return answer

    return advance


def is_logistic(last: Any) -> bool:
    """Whether an estimator is a `LogisticRegression` whose probability is the logistic function of its sum."""
    return type(last) is linear_model.LogisticRegression and type(last.loss) is optim.losses.Log


def logistic_answer(last: Any, as_river: Answer) -> Answer:
    """The answer of a logistic regression; `as_river` gives it where the sum is so far out that River stops computing."""

    def answer(x: Any) -> Output:
        logit = last._weights.dot(x) + last.intercept
        if type(logit) is not float or not -30.0 <= logit <= 30.0:
            return as_river(x)
        likely = 1 / (1 + exp(-logit))
        unlikely = 1.0 - likely
        return Output(likely > unlikely, {False: unlikely, True: likely})

    return answer


def linear_learn(last: Any) -> Callable[[Any, Any], None] | None:
    """`learn_one` of a linear model with plain gradient descent and no penalty; None for any other.

    River gives each example a view of the weights that is masked by its names. The mask matters to a penalty alone.
    """
    if type(last) not in (linear_model.LogisticRegression, linear_model.LinearRegression):
        return None
    optimizer = last.optimizer
    if type(optimizer) is not optim.SGD or last.l1 != 0 or last.l2 != 0:
        return None
    weights: Any = utils.VectorDict(last._weights, last.initializer)
    dot, subtract, times = weights.dot, weights.isub_scaled, utils.VectorDict.from_scaled
    rate, intercept_rate = optimizer.lr.get, last.intercept_lr.get
    slope, most = last.loss.gradient, last.clip_gradient

    def learn(x: Any, y: Any) -> None:
        gradient = slope(y, dot(x) + last.intercept) * 1.0
        gradient = float(max(min(gradient, most), -most))
        done = optimizer.n_iterations
        last.intercept -= intercept_rate(done) * gradient
        subtract(times(x, gradient), rate(done))
        optimizer.n_iterations = done + 1

    return learn
