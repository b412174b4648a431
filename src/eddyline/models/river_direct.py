"""The arithmetic of River's commonest pair, `StandardScaler | LogisticRegression`, without the calls around it.

The same operations on the same numbers in the same order as River 0.26 does them, so that every answer and every
state is River's to the bit (tests/models/test_river_direct.py); what is left out is what River does between them: asking
for attributes, views of the weights, a second walk over the names. What differs in any setting from what is written here
is left to River.

Where a C compiler is there, a copy of this very file is compiled when Eddyline is installed (`compiled.py`, decision 34).
That is why numbers are annotated as `float` here: in the compiled form they are C doubles, and `x - 0.0`, which is x, asks
that x is a number in the words in which Python asks. It knows no pipeline and no stage.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, isfinite
from typing import Any

from river import linear_model, optim, preprocessing, utils

from eddyline.records import Output

Answer = Callable[[Any], Output]


def is_scaler(step: Any) -> bool:
    """Whether a step is a `StandardScaler` that divides by the deviation of all it has seen."""
    return type(step) is preprocessing.StandardScaler and step.with_std and step.window_size is None


def scaled(step: Any) -> Callable[[Any], Any]:
    """What `StandardScaler.transform_one` answers, without the entries that it makes for names it has not learned."""
    spread_of, means = step.vars.get, step.means

    def ask(x: Any) -> Any:
        answer = {}
        for name, given in x.items():
            spread: float = spread_of(name, 0.0)
            if spread:
                value: float = given if type(given) is float else given - 0.0
                mean: float = means[name]
                answer[name] = (value - mean) / spread**0.5
            else:
                answer[name] = 0.0
        return answer

    return ask


def scaled_learning(step: Any) -> Callable[[Any, Any], Any]:
    """`StandardScaler.learn_one` and then `transform_one`, in one walk over the names."""
    counts, means, spreads = step.counts, step.means, step.vars

    def advance(x: Any, _: Any) -> Any:
        answer, counted = {}, {}
        for name, given in x.items():
            counted[name] = known = counts[name] + 1
            count: float = known
            before: float = means[name]
            value: float = given if type(given) is float else given - 0.0
            away: float = value - before
            mean: float = before + away / count
            means[name] = mean
            spread: float = spreads[name]
            now: float = value - mean
            spread = spread + (away * now - spread) / count
            spreads[name] = spread
            answer[name] = now / spread**0.5 if spread else 0.0
        dict.update(counts, counted)  # River counts in a Counter, which is slow to write into one by one
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
        likely: float = 1 / (1 + exp(-logit))
        unlikely: float = 1.0 - likely
        return Output(likely > unlikely, {False: unlikely, True: likely})

    return answer


def linear_sound(last: Any) -> Callable[[Any], bool]:
    """Whether the raw sum of a linear model is finite."""
    return lambda x: isfinite(last._weights.dot(x) + last.intercept)


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
    slope, most = _slope(last.loss), last.clip_gradient

    def learn(x: Any, y: Any) -> None:
        gradient = slope(y, dot(x) + last.intercept) * 1.0
        if type(gradient) is not float or not -most <= gradient <= most:
            gradient = float(max(min(gradient, most), -most))
        done = optimizer.n_iterations
        last.intercept -= intercept_rate(done) * gradient
        subtract(times(x, gradient), rate(done))
        optimizer.n_iterations = done + 1

    return learn


def _slope(loss: Any) -> Callable[[Any, Any], Any]:
    """The gradient of a loss at a truth and a raw sum: River's own, and for yes and no under `Log` without asking further."""
    as_river: Callable[[Any, Any], Any] = loss.gradient
    if type(loss) is not optim.losses.Log:
        return as_river

    def slope(y: Any, guess: Any) -> Any:
        if type(y) is not bool or not -18.0 <= guess <= 18.0:
            return as_river(y, guess)
        if y:
            return loss.weight_pos * -1 / (exp(guess) + 1.0)
        return loss.weight_neg * 1 / (exp(-guess) + 1.0)

    return slope


def one_step_answer(transform: Callable[[Any], Any], answer: Answer) -> Answer:
    """The answer behind one transforming step."""
    return lambda x: answer(transform(x))


def one_step_learn(
    advance: Callable[[Any, Any], Any], learn_last: Callable[[Any, Any], None], check: Callable[[Any], bool]
) -> tuple[Callable[[Any, Any], None], Callable[[Any], bool]]:
    """Learning behind one transforming step, and the check of what the last step has just learned from."""
    seen: Any = None

    def learn(x: Any, y: Any) -> None:
        nonlocal seen
        seen = advance(x, y)
        learn_last(seen, y)

    return learn, lambda _: check(seen)
