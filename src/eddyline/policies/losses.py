"""What an answer costs, by name: numbers in [0, clip] that were bounded before anything was seen.

A loss compares an answer (its value and, where there are any, its scores) with the truth. It also says within which
bounds the difference of two answers lies when nobody knows the truth, because a missing label counts against whoever
would gain by it. A loss that cannot be computed is the largest, so no answer and no function of a user stops the loop.
Refuses to know who answered.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from eddyline.policies.digests import digest_of
from eddyline.records import Scores, Task
from eddyline.records.errors import DeclarationError


class Answer(Protocol):
    """What was said: an `Output`, a `Prediction` or a `Said`."""

    @property
    def value(self) -> Any: ...
    @property
    def scores(self) -> Scores | None: ...


Own = Callable[[Any, Any, Scores | None], float]
"""A user's loss: def loss(truth, value, scores) -> float."""
SMALLEST, LARGEST = 1e-100, 1e100
"""Between these a clip lies: the squares of gains have to be numbers too."""
_BOTH = frozenset({Task.CLASSIFICATION, Task.REGRESSION, Task.ANOMALY})


@dataclass(frozen=True)
class Loss:
    """A bounded loss: `name`, and `clip`, the most that one answer can cost, in the loss's own unit.

    Make one with `zero_one()`, `brier()`, `log_loss(clip)`, `absolute(clip)`, `squared(clip)`, `pinball(quantile, clip)`
    or `own(function, clip)`. A version that could not answer pays `clip`, and so does one whose loss cannot be computed: a
    text where a number was due, NaN, a number too large, a function of yours that raises.

    >>> from eddyline.records import Output
    >>> zero_one().cost(True, Output(False)), absolute(clip=10.0).cost(3.0, Output(50.0)), zero_one().cost(True, None)
    (1.0, 10.0, 1.0)
    >>> absolute(clip=10.0).cost(3.0, Output("three"))
    10.0
    """

    name: str
    clip: float
    tasks: frozenset[Task] = field(repr=False)
    raw: Callable[[Any, Any, Scores | None], float] = field(repr=False, compare=False)
    reach: Callable[[Answer, Answer], tuple[float, float]] = field(repr=False, compare=False)
    function: Own | None = field(default=None, repr=False)
    """the user's own, None for the named ones"""
    counted: bool = field(default=False, repr=False)
    """whether a gain is -1, 0 or 1, so that counts of wins and losses say everything: of the built-in `zero_one` only"""

    @cached_property
    def key(self) -> str:
        """What tells it from any other loss, the same in every process: name, clip, and a digest of a user's own function.

        >>> absolute(clip=10.0).key
        'absolute/10.0'
        >>> def zero_one(truth, value, scores): return float(truth and not value)
        >>> own(zero_one, clip=1.0).key.startswith("zero_one/1.0/")
        True
        """
        key = f"{self.name}/{self.clip!r}"
        return key if self.function is None else f"{key}/{digest_of(self.function)}"

    def cost(self, truth: Any, answer: Answer | None) -> float:
        """What this answer costs: in [0, clip], `clip` where there was none or where it cannot be computed. Never raises."""
        return self.judged(truth, answer)[0]

    def judged(self, truth: Any, answer: Answer | None) -> tuple[float, str | None]:
        """The same, and why it could not be computed: in words that every replay finds again, so without the error's own.

        >>> from eddyline.records import Output
        >>> own(lambda truth, value, scores: scores[truth], clip=2.0).judged(True, Output(True))
        (2.0, 'raised TypeError')
        """
        if answer is None or answer.value is None:
            return self.clip, None
        return _judged(self.raw, truth, answer.value, answer.scores, self.clip)

    def gain(self, truth: Any, champion: Answer | None, challenger: Answer | None) -> float:
        """The champion's loss less the challenger's: positive where the challenger was better."""
        return self.cost(truth, champion) - self.cost(truth, challenger)

    def reaches(self, champion: Answer | None, challenger: Answer | None) -> tuple[float, float]:
        """The least and the most that the gain can be, whatever the truth is. (0, 0) where the truth does not matter.

        Answers that cannot be compared may differ by the whole clip. Never raises.

        >>> from eddyline.records import Output
        >>> zero_one().reaches(Output(True), Output(True)), absolute(clip=9).reaches(Output(1.0), Output(3.0))
        ((0.0, 0.0), (-2.0, 2.0))
        """
        there = champion is not None and champion.value is not None
        other = challenger is not None and challenger.value is not None
        if there and other:
            assert champion is not None
            assert challenger is not None
            return self._reached(champion, challenger)
        if there:
            return -self.clip, 0.0
        return (0.0, self.clip) if other else (0.0, 0.0)

    def _reached(self, champion: Answer, challenger: Answer) -> tuple[float, float]:
        clip = self.clip
        try:
            low, high = self.reach(champion, challenger)
            if -clip <= low <= high <= clip:
                return low, high
        except Exception:  # whatever two answers raise when they are compared, nothing is known of their gain
            return -clip, clip
        return -clip, clip

    def check(self, task: Task, who: str) -> None:
        """Refuses a loss that says nothing about this task. `who` is the policy that named it."""
        if task not in self.tasks:
            write = 'loss="zero_one"' if task is Task.CLASSIFICATION else 'loss="absolute", clip=10.0'
            raise DeclarationError(f'{who}: loss="{self.name}" is not for {task.value}\nwrite {who}({write})')


def zero_one() -> Loss:
    """1 for a wrong class, 0 for a right one. The default for classification; its evidence is the strongest."""

    def reach(a: Answer, b: Answer) -> tuple[float, float]:
        return (0.0, 0.0) if a.value == b.value else (-1.0, 1.0)

    def raw(truth: Any, value: Any, scores: Scores | None) -> float:
        return 0.0 if truth == value else 1.0

    return Loss("zero_one", 1.0, frozenset({Task.CLASSIFICATION}), raw, reach, counted=True)


def brier() -> Loss:
    """Half the squared distance of the probabilities from the truth, in [0, 1]; for two classes (p - y)².

    An answer without probabilities counts as sure of its class.

    >>> from eddyline.records import Output
    >>> round(brier().cost(True, Output(True, {True: 0.8, False: 0.2})), 3)
    0.04
    """

    def raw(truth: Any, value: Any, scores: Scores | None) -> float:
        given = _scores(value, scores)
        far = math.fsum((p - (label == truth)) ** 2 for label, p in given.items())
        return 0.5 * (far if truth in given else far + 1.0)

    return _scored("brier", 1.0, raw)


def log_loss(clip: float) -> Loss:
    """-log of the probability given to the truth, in nats, at most `clip`: surprises beyond it cost no more."""
    floor = math.exp(-_clip("log_loss", clip))

    def raw(truth: Any, value: Any, scores: Scores | None) -> float:
        return -math.log(max(_scores(value, scores).get(truth, 0.0), floor))

    return _scored("log_loss", clip, raw)


def absolute(clip: float) -> Loss:
    """How far off the answer is, in the truth's unit, at most `clip`."""
    return _distance("absolute", clip, 1.0, lambda truth, value, scores: abs(truth - value))


def pinball(quantile: float, clip: float) -> Loss:
    """The loss of a forecast quantile: `quantile` for each unit too low, 1 - `quantile` for each too high, at most `clip`.

    >>> from eddyline.records import Output
    >>> pinball(0.9, clip=10).cost(12.0, Output(10.0)), round(pinball(0.9, clip=10).cost(10.0, Output(12.0)), 3)
    (1.8, 0.2)
    """
    if not isinstance(quantile, float) or not 0.0 < quantile < 1.0:
        raise DeclarationError(f"pinball: quantile={quantile!r} is not between 0 and 1\nwrite pinball(0.9, clip=10.0)")

    def raw(truth: Any, value: Any, scores: Scores | None) -> float:
        return float(max(quantile * (truth - value), (quantile - 1.0) * (truth - value)))

    return _distance(f"pinball({quantile!r})", clip, max(quantile, 1.0 - quantile), raw)


def squared(clip: float) -> Loss:
    """The square of how far off the answer is, at most `clip`, in the square of the truth's unit."""
    return _open("squared", clip, frozenset({Task.REGRESSION}), lambda truth, value, scores: (truth - value) ** 2)


def own(function: Own, clip: float) -> Loss:
    """Your own: function(truth, value, scores) -> float, taken as 0 below 0 and as `clip` above.

    Where it raises or gives NaN it is taken as `clip` too. Two functions are two losses, whatever they are called. Nobody
    knows how fast a function rises: an event without a label, where the answers differ, may cost all of the `clip`.

    >>> from eddyline.records import Output
    >>> def missed(truth, value, scores): return 20.0 if truth and not value else float(truth != value)
    >>> own(missed, clip=20).cost(True, Output(False))
    20.0
    """
    name = getattr(function, "__name__", "own")
    _check_called(function, name)
    return _open(name, clip, _BOTH, function, function)


def _check_called(function: Own, name: str) -> None:
    """Refuses a function that raises at every event, because it is called with more than it takes."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return  # Python does not say what it takes
    try:
        signature.bind(None, None, None)
    except TypeError as problem:
        write = name if name.isidentifier() else "loss"
        raise DeclarationError(
            f"the loss {name}{signature} cannot be called with the truth, the answer and its probabilities: {problem}\n"
            f"write def {write}(truth, value, scores): return ... (scores is None where the answer is a number)"
        ) from problem


def _clip(name: str, clip: float) -> float:
    """The clip, or what to write instead."""
    if isinstance(clip, bool) or not isinstance(clip, int | float) or not SMALLEST <= clip <= LARGEST:
        raise DeclarationError(f"{name}: clip={clip!r} is not a largest loss\nwrite clip=10.0, in the unit of the loss")
    return float(clip)


def loss_of(loss: str | Loss | Own, clip: float | None, who: str, *, word: str = "loss", more: str = "") -> Loss:
    """The loss that a policy's `loss=` and `clip=` mean. `who` is the policy, for its error; `word` is what it calls the loss,
    and `more` what else it cannot do without.

    >>> loss_of("absolute", None, "Promote")
    Traceback (most recent call last):
    eddyline.records.errors.DeclarationError: Promote: loss="absolute" needs its largest value before anything is seen
    write Promote(loss="absolute", clip=10.0)
    """
    if isinstance(loss, Loss):
        return loss
    call = f"{who}({more}{word}="
    if isinstance(loss, str) and loss in ("zero_one", "brier"):
        return zero_one() if loss == "zero_one" else brier()
    if isinstance(loss, str) and loss not in _CLIPPED:
        known = ", ".join(["zero_one", "brier", *_CLIPPED])
        mend = f'write {call}"zero_one"), {call}pinball(0.9, clip=10.0)), or a function with clip='
        raise DeclarationError(f"{who}: {word}={loss!r} is not a loss (known: {known})\n{mend}")
    name = f'"{loss}"' if isinstance(loss, str) else getattr(loss, "__name__", "your_loss")
    if not isinstance(loss, str) and not callable(loss):
        raise DeclarationError(f'{who}: {word}={loss!r} is not a loss\nwrite {call}"zero_one")')
    if isinstance(clip, bool) or not isinstance(clip, int | float) or not SMALLEST <= clip <= LARGEST:
        said = "needs its largest value before anything is seen" if clip is None else f"cannot be clipped at {clip!r}"
        raise DeclarationError(f"{who}: {word}={name} {said}\nwrite {call}{name}, clip=10.0)")
    return _CLIPPED[loss](float(clip)) if isinstance(loss, str) else own(loss, float(clip))


_CLIPPED: Mapping[str, Callable[[float], Loss]] = {"log_loss": log_loss, "absolute": absolute, "squared": squared}


def _paid(raw: Callable[[Any, Any, Scores | None], float], truth: Any, value: Any, scores: Scores | None, clip: float) -> float:
    """What `raw` gives, in [0, clip]; `clip` where it gives no number."""
    return _judged(raw, truth, value, scores, clip)[0]


def _judged(
    raw: Callable[[Any, Any, Scores | None], float], truth: Any, value: Any, scores: Scores | None, clip: float
) -> tuple[float, str | None]:
    """What `raw` gives, in [0, clip]; `clip` where it gives no number, and why."""
    try:
        cost = float(raw(truth, value, scores))
    except Exception as error:  # whatever an answer or a user's function raises: a loss that cannot be computed is the largest
        return clip, f"raised {type(error).__name__}"
    return (min(max(cost, 0.0), clip), None) if cost == cost else (clip, "gave NaN")


def _scores(value: Any, scores: Scores | None) -> Scores:
    return scores if scores else {value: 1.0}


def _scored(name: str, clip: float, raw: Callable[[Any, Any, Scores | None], float]) -> Loss:
    """A loss of probabilities: its reach is found by trying every class either of the two knows, and one neither does."""

    def reach(a: Answer, b: Answer) -> tuple[float, float]:
        ours, theirs = _scores(a.value, a.scores), _scores(b.value, b.scores)
        if ours == theirs:
            return 0.0, 0.0
        gains = [
            _paid(raw, truth, a.value, ours, clip) - _paid(raw, truth, b.value, theirs, clip)
            for truth in [*{**ours, **theirs}, _Unseen]
        ]
        return min(gains), max(gains)

    return Loss(name, clip, frozenset({Task.CLASSIFICATION}), raw, reach)


def _distance(name: str, clip: float, steepest: float, raw: Callable[[Any, Any, Scores | None], float]) -> Loss:
    """A loss that changes by at most `steepest` for each unit of the answer."""

    clip = _clip(name, clip)

    def reach(a: Answer, b: Answer) -> tuple[float, float]:
        far = min(float(steepest * abs(a.value - b.value)), clip)
        return -far, far

    return Loss(name, clip, frozenset({Task.REGRESSION}), raw, reach)


def _open(
    name: str, clip: float, tasks: frozenset[Task], raw: Callable[[Any, Any, Scores | None], float], function: Own | None = None
) -> Loss:
    """A loss of which only its clip is known: two answers that differ may differ by all of it."""

    clip = _clip(name, clip)

    def reach(a: Answer, b: Answer) -> tuple[float, float]:
        return (0.0, 0.0) if a.value == b.value and a.scores == b.scores else (-clip, clip)

    return Loss(name, clip, tasks, raw, reach, function)


class _Unseen:
    """A class that no version knows."""
