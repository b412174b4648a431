"""What a candidate must show before it may even shadow: gates, as small declared values with a sentence each.

A gate is a pure function of `Shown`: what candidate and champion said to the same held-back examples, what their answers
cost, and which golden answers came out otherwise. Refuses to know stores, files and clocks: `views.trial` gathers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import msgspec

from eddyline.class_order import read
from eddyline.policies.evidence import as_e, log_e_mean, log_e_pairs, lower_bound
from eddyline.policies.losses import Loss, Own, loss_of
from eddyline.ports import Metric, Model
from eddyline.records import Features, Output, Task, Value
from eddyline.records.errors import DeclarationError

_EDGE = 1e-9
_LOSSES = ("zero_one", "brier", "log_loss", "absolute", "squared")
Measure = str | Loss | Metric | Own
"""A metric: "accuracy", a loss by name or made by `policies.losses`, a River metric, or loss(truth, value, scores) -> float."""


class Judged(NamedTuple):
    """One held-back example: the truth, what the champion said as served, what the candidate says. None: no answer."""

    event_id: str
    segment: str | None
    truth: Any
    champion: Output | None
    candidate: Output | None


class Costs(msgspec.Struct, frozen=True):
    """What answers cost, candidate and champion timed in turns in one run: µs an answer (the median), bytes of the state."""

    candidate_us: float
    champion_us: float
    candidate_bytes: int
    champion_bytes: int


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One golden answer: to these `features` the model says `value`, and each of `scores`, within `within`."""

    features: Features
    value: Value = None
    scores: dict[str, float] | None = None
    within: float | None = None


class Difference(msgspec.Struct, frozen=True):
    """A golden answer that came out otherwise: the line it stands on (from 1), what was expected and what was said."""

    line: int
    expected: str
    said: str

    def sentence(self) -> str:
        """It in a line."""
        return f"line {self.line}: expected {self.expected}, got {self.said}"


@dataclass(frozen=True)
class Shown:
    """Everything that gates look at."""

    task: Task
    judged: Sequence[Judged]
    costs: Costs
    golden: Mapping[str, Sequence[Difference]]
    """by the name of the file: the answers that came out otherwise"""
    golden_counts: Mapping[str, int]


class GateResult(msgspec.Struct, frozen=True):
    """How a gate was taken: its name, whether it let the candidate through, why in words, and the numbers behind it."""

    name: str
    passed: bool
    said: str
    numbers: dict[str, float | int | str | None]


@runtime_checkable
class Gate(Protocol):
    """A gate: what it asks for in a sentence, and the answer. Yours are gates, too."""

    @property
    def name(self) -> str: ...
    def sentence(self) -> str: ...
    def check(self, shown: Shown) -> GateResult: ...


@dataclass(frozen=True)
class Floor:
    """An absolute line: `metric` over the held-back examples is `at_least`, or `at_most`, so much.

    `metric` is "accuracy", a loss by name ("zero_one", "brier"; "log_loss", "absolute" and "squared" with `clip`), a River
    metric (`metrics.MAE()`), or a function loss(truth, value, scores) with `clip`. A candidate that could not answer pays
    the whole clip; a River metric skips it, as River does. Fewer than `min_count` examples do not pass: nothing was shown.

    >>> Floor("accuracy", at_least=0.9).sentence()
    'accuracy at least 0.9 on the held-back examples'
    """

    metric: Measure
    at_least: float | None = None
    at_most: float | None = None
    clip: float | None = None
    min_count: int = 30

    def __post_init__(self) -> None:
        _check_line("Floor", self.metric, self.at_least, self.at_most)
        _measured("Floor", self.metric, self.clip)

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return f"floor: {_named(self.metric)}"

    def sentence(self) -> str:
        """What it asks for."""
        return f"{_named(self.metric)} {_line(self.at_least, self.at_most)} on the held-back examples"

    def check(self, shown: Shown) -> GateResult:
        """Whether the candidate reaches the line."""
        value = _measure("Floor", self.metric, self.clip, shown.judged, shown.task)
        count = len(shown.judged)
        numbers: dict[str, float | int | str | None] = {"value": value, "count": count}
        if count < self.min_count:
            return GateResult(
                self.name, False, f"only {count} held-back examples, at least {self.min_count} are needed", numbers
            )
        said = f"{_number(value)} over {count:,} examples, wanted {_line(self.at_least, self.at_most)}"
        return GateResult(self.name, _within(value, self.at_least, self.at_most), said, numbers)


@dataclass(frozen=True)
class NoRegression:
    """The candidate is not shown to be worse than the champion by more than `by`, on the same examples.

    Each held-back example gives a pair: the champion's loss as it answered the caller, and the candidate's. The test is on
    the paired differences, not on two means: for 0/1 losses the e-process on disagreements, for others the
    empirical-Bernstein e-process (`policies.evidence`); worse is shown when its evidence is at least 1/`alpha`. It holds
    for dependent examples and for as many looks as you like, at `alpha` (0.05) a candidate.

    That lets through what nobody can tell apart. With `proof=True` the burden turns: the candidate must show, with the
    same evidence, that it is no more than `by` worse; take that where no shadow follows, and a `by` above 0. `metric` is
    a loss: "zero_one" (None: for classes), "brier", or "log_loss", "absolute", "squared" and your own with a `clip`.

    >>> NoRegression("brier", by=0.01, proof=True).sentence()
    'brier shown to be no more than 0.01 worse than the champion on the same examples (paired, evidence 20)'
    """

    metric: str | Loss | Own = "zero_one"
    against: str = "champion"
    by: float = 0.0
    clip: float | None = None
    proof: bool = False
    alpha: float = 0.05
    min_count: int = 100

    def __post_init__(self) -> None:
        loss_of(self.metric, self.clip, "NoRegression", word="metric")
        if self.against != "champion":
            raise DeclarationError(
                f'NoRegression: against={self.against!r}\nwrite against="champion": whoever answered the caller at the time'
            )
        if not isinstance(self.by, float | int) or not 0 <= self.by < math.inf:
            raise DeclarationError(f"NoRegression: by={self.by!r} is below 0\nwrite by=0.01: how much worse may pass")
        if self.proof and not self.by:
            raise DeclarationError(
                "NoRegression: proof=True with by=0 asks for a better candidate\nwrite by=0.01, or use Floor"
            )
        if not isinstance(self.alpha, float) or not 0 < self.alpha < 1:
            raise DeclarationError(f"NoRegression: alpha={self.alpha!r} is not between 0 and 1\nwrite alpha=0.05")

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return f"no regression: {_named(self.metric)}"

    def sentence(self) -> str:
        """What it asks for."""
        how = f"on the same examples (paired, evidence {1 / self.alpha:g})"
        much = f"by more than {self.by:g} " if self.by else ""
        if self.proof:
            return f"{_named(self.metric)} shown to be no more than {self.by:g} worse than the champion {how}"
        return f"{_named(self.metric)} not shown to be worse than the champion {much}{how}"

    def check(self, shown: Shown) -> GateResult:
        """Whether the candidate may pass."""
        loss = loss_of(self.metric, self.clip, "NoRegression", word="metric")
        loss.check(shown.task, "NoRegression")
        pairs = Pairs.of(loss, shown.judged)
        low, high = pairs.interval(self.alpha)
        worse, held = pairs.evidence(-1, self.by), pairs.evidence(1, -self.by)
        numbers: dict[str, float | int | str | None] = {
            "champion": pairs.champion,
            "candidate": pairs.candidate,
            "low": low,
            "high": high,
            "count": pairs.count,
            "wins": pairs.wins,
            "losses": pairs.losses,
            "evidence_worse": worse,
            "evidence_held": held,
        }
        if pairs.count < self.min_count:
            few = f"only {pairs.count} held-back examples, at least {self.min_count} are needed"
            return GateResult(self.name, False, few, numbers)
        evidence = held if self.proof else worse
        shows = evidence >= 1 / self.alpha
        claim = f"no more than {self.by:g} worse" if self.proof else f"worse by more than {self.by:g}" if self.by else "worse"
        said = (
            f"{pairs.candidate:.4g}, the champion {pairs.champion:.4g}: gain {pairs.gain:+.4g} in [{low:+.4g}, {high:+.4g}], "
            f"{pairs.wins} wins and {pairs.losses} losses over {pairs.count:,} examples; "
            f"{'shown' if shows else 'not shown'} to be {claim} (E = {evidence:.3g})"
        )
        return GateResult(self.name, shows == self.proof, said, numbers)


@dataclass(frozen=True)
class SegmentFloor:
    """A line for every segment: in each with at least `min_count` held-back examples, `metric` reaches it.

    Segments are those of the pipeline's `Watch(segment=...)`. Smaller ones are counted and not judged; where none is large
    enough, nothing was shown and the gate is closed.

    >>> SegmentFloor("accuracy", at_least=0.8).sentence()
    'accuracy at least 0.8 in every segment with 100 held-back examples'
    """

    metric: Measure
    at_least: float | None = None
    at_most: float | None = None
    min_count: int = 100
    clip: float | None = None

    def __post_init__(self) -> None:
        _check_line("SegmentFloor", self.metric, self.at_least, self.at_most)
        _measured("SegmentFloor", self.metric, self.clip)

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return f"segment floor: {_named(self.metric)}"

    def sentence(self) -> str:
        """What it asks for."""
        line = _line(self.at_least, self.at_most)
        return f"{_named(self.metric)} {line} in every segment with {self.min_count} held-back examples"

    def check(self, shown: Shown) -> GateResult:
        """Whether every segment that is large enough reaches the line."""
        members: dict[str, list[Judged]] = {}
        for one in shown.judged:
            if one.segment is not None:
                members.setdefault(one.segment, []).append(one)
        large = {name: some for name, some in sorted(members.items()) if len(some) >= self.min_count}
        values = {name: _measure("SegmentFloor", self.metric, self.clip, some, shown.task) for name, some in large.items()}
        small = len(members) - len(large)
        numbers: dict[str, float | int | str | None] = {f"segment {name}": value for name, value in values.items()}
        numbers |= {"segments": len(large), "too_small": small}
        if not large:
            why = f"no segment has {self.min_count} examples" if members else "no example has a segment: Watch(segment=...)"
            return GateResult(self.name, False, why, numbers)
        below = {name: value for name, value in values.items() if not _within(value, self.at_least, self.at_most)}
        beside = f"; {small} more are too small to judge" if small else ""
        if not below:
            return GateResult(
                self.name, True, f"all {len(large)} segments {_line(self.at_least, self.at_most)}{beside}", numbers
            )
        worst = ", ".join(f"{name} {_number(value)} over {len(members[name]):,}" for name, value in below.items())
        return GateResult(self.name, False, f"{worst}; wanted {_line(self.at_least, self.at_most)}{beside}", numbers)


@dataclass(frozen=True)
class Golden:
    """Known answers: to the features on each line of `file` the candidate answers as the line says, within its tolerance.

    A line is JSON: {"features": {"amount": 12.5}, "value": true, "scores": {"true": 0.9}, "within": 0.01}. `value` or
    `scores` may be left out; `within` (default: that of the gate) is for numbers and scores, a class has to be the same.
    A relative path starts in the folder of the file that declares the candidate.

    >>> Golden("golden.jsonl").sentence()
    'the golden answers of golden.jsonl, within 0'
    """

    file: str
    within: float = 0.0

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return f"golden answers: {self.file}"

    def sentence(self) -> str:
        """What it asks for."""
        return f"the golden answers of {self.file}, within {self.within:g}"

    def check(self, shown: Shown) -> GateResult:
        """Whether every golden answer came out."""
        differences, count = shown.golden[self.file], shown.golden_counts[self.file]
        numbers: dict[str, float | int | str | None] = {"count": count, "differences": len(differences)}
        if not differences:
            return GateResult(self.name, count > 0, f"all {count} as expected" if count else "the file is empty", numbers)
        more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
        said = "; ".join(one.sentence() for one in differences[:3])
        return GateResult(self.name, False, f"{len(differences)} of {count} differ: {said}{more}", numbers)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an answer may cost: `times` as long as the champion's, `us_per_answer`, `bytes` of state, `bytes_times` its size.

    Candidate and champion are timed in turns, in one run, on the same features, so `times` means the same on every
    machine; `us_per_answer` does not. Give at least one.

    >>> Cost(times=3).sentence()
    "an answer takes at most 3 times as long as the champion's"
    """

    times: float | None = None
    us_per_answer: float | None = None
    bytes: int | None = None
    bytes_times: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.times, self.us_per_answer, self.bytes, self.bytes_times) if value is not None]
        if not given or not all(isinstance(value, int | float) and value > 0 for value in given):
            raise DeclarationError("Cost: says no limit above 0\nwrite Cost(times=3), or us_per_answer=, bytes=, bytes_times=")

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return "cost"

    def sentence(self) -> str:
        """What it asks for."""
        said = []
        if self.times is not None:
            said.append(f"an answer takes at most {self.times:g} times as long as the champion's")
        if self.us_per_answer is not None:
            said.append(f"an answer takes at most {self.us_per_answer:g} µs")
        if self.bytes is not None:
            said.append(f"its state has at most {self.bytes:,} bytes")
        if self.bytes_times is not None:
            said.append(f"its state is at most {self.bytes_times:g} times the champion's")
        return ", and ".join(said)

    def check(self, shown: Shown) -> GateResult:
        """Whether the candidate keeps within every limit."""
        costs = shown.costs
        if not costs.candidate_us or not costs.champion_us:
            return GateResult(self.name, False, "nothing could be timed: no held-back example was answered", {})
        times = costs.candidate_us / costs.champion_us
        bytes_times = costs.candidate_bytes / max(costs.champion_bytes, 1)
        numbers: dict[str, float | int | str | None] = {
            "us": costs.candidate_us,
            "champion_us": costs.champion_us,
            "times": times,
            "bytes": costs.candidate_bytes,
            "champion_bytes": costs.champion_bytes,
        }
        limits = (
            (self.times, times),
            (self.us_per_answer, costs.candidate_us),
            (self.bytes, costs.candidate_bytes),
            (self.bytes_times, bytes_times),
        )
        passed = all(limit is None or value <= limit for limit, value in limits)
        said = (
            f"{costs.candidate_us:.1f} µs an answer, {times:.2f} times the champion's {costs.champion_us:.1f} µs; "
            f"{costs.candidate_bytes:,} bytes, {bytes_times:.2f} times the champion's"
        )
        return GateResult(self.name, passed, said, numbers)


@dataclass(frozen=True)
class Pairs:
    """Paired losses of champion and candidate, as sums."""

    loss: Loss
    count: int
    wins: int
    losses: int
    champion: float
    """mean loss"""
    candidate: float
    gain: float
    """champion's mean loss less the candidate's"""
    spread: float
    """Σ (gain - mean of the gains before it)²"""

    @classmethod
    def of(cls, loss: Loss, judged: Sequence[Judged]) -> Pairs:
        """The pairs of these examples, in their order."""
        ours = [loss.cost(one.truth, one.champion) for one in judged]
        theirs = [loss.cost(one.truth, one.candidate) for one in judged]
        total = spread = 0.0
        wins = losses = 0
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            gain = a - b
            spread += (gain - (total / number if number else 0.0)) ** 2
            total += gain
            wins += gain > 0
            losses += gain < 0
        count = max(len(judged), 1)
        return cls(loss, len(judged), wins, losses, math.fsum(ours) / count, math.fsum(theirs) / count, total / count, spread)

    def evidence(self, sign: int, gain: float) -> float:
        """E that `sign` times the mean gain is above `gain` (sign -1: that the candidate is worse by more than it)."""
        return as_e(self._log_e(sign, gain))

    def interval(self, alpha: float) -> tuple[float, float]:
        """The mean gain lies in it; each side errs with probability `alpha`."""
        clip = self.loss.clip
        low = lower_bound(lambda gain: self._log_e(1, gain), math.log(1 / alpha), -clip, clip)
        high = -lower_bound(lambda gain: self._log_e(-1, gain), math.log(1 / alpha), -clip, clip)
        return low, high

    def _log_e(self, sign: int, gain: float) -> float:
        if self.loss.counted:
            wins, losses = (self.wins, self.losses) if sign > 0 else (self.losses, self.wins)
            return log_e_pairs(wins, losses, self.count - wins - losses, min(max(gain, _EDGE - 1), 1 - _EDGE))
        return log_e_mean(self.count, sign * self.gain * self.count, self.spread, self.loss.clip, gain)


def reproduces(model: Model, golden: Sequence[Expected], within: float = 0.0) -> list[Difference]:
    """The golden answers that a model does not give: an empty list means that it is the model it should be.

    `within` counts where a line says none. A model that raises, or answers what is not finite, differs.
    """
    differences = []
    for number, expected in enumerate(golden, 1):
        try:
            output = model.predict(expected.features)
        except Exception as error:  # whatever it raises, it is not the answer
            differences.append(Difference(number, _expected(expected), f"{type(error).__name__}: {error}"))
            continue
        if not _answers(expected, output, within if expected.within is None else expected.within):
            differences.append(Difference(number, _expected(expected), f"{output.value!r} {output.scores or ''}".rstrip()))
    return differences


def _answers(expected: Expected, output: Output, within: float) -> bool:
    if expected.value is not None and not _same(expected.value, output.value, within):
        return False
    said = {_key(name): score for name, score in (output.scores or {}).items()}
    for name, score in (expected.scores or {}).items():
        given = said.get(name)
        if given is None or not abs(given - score) <= within:
            return False
    return True


def _same(expected: Value, value: Value, within: float) -> bool:
    plain = (int, float)
    if isinstance(expected, plain) and isinstance(value, plain) and type(expected) is not bool and type(value) is not bool:
        return bool(abs(value - expected) <= within)
    return value == expected


def _key(name: Any) -> str:
    return name if isinstance(name, str) else msgspec.json.encode(name).decode()


def _expected(expected: Expected) -> str:
    parts = [] if expected.value is None else [repr(expected.value)]
    return " ".join([*parts, *([str(expected.scores)] if expected.scores else [])])


def _measure(who: str, metric: Measure, clip: float | None, judged: Sequence[Judged], task: Task) -> float | None:
    """The metric over what the candidate said; None over nothing."""
    measured = _measured(who, metric, clip)
    if isinstance(measured, Loss):
        measured.check(task, who)
        if not judged:
            return None
        mean = math.fsum(measured.cost(one.truth, one.candidate) for one in judged) / len(judged)
        return 1.0 - mean if metric == "accuracy" else mean
    fresh = copy.deepcopy(measured)
    reads_scores = task is Task.CLASSIFICATION and not getattr(fresh, "requires_labels", True)
    count = 0
    for one in judged:
        said = one.candidate
        answer = None if said is None else said.scores if reads_scores else said.value
        if answer is not None and answer != {}:
            fresh.update(one.truth, answer)
            count += 1
    return float(read(fresh)) if count else None


def _measured(who: str, metric: Measure, clip: float | None) -> Loss | Metric:
    if metric == "accuracy":
        return loss_of("zero_one", None, who)
    if not isinstance(metric, str | Loss) and hasattr(metric, "update") and hasattr(metric, "get"):
        return cast(Metric, metric)
    if isinstance(metric, str) and metric not in _LOSSES:
        raise DeclarationError(
            f"{who}: metric={metric!r} is none that is known by name (accuracy, {', '.join(_LOSSES)})\n"
            f"write a River metric as a value: {who}(metrics.MAE(), at_most=5.0), after `from river import metrics`"
        )
    return loss_of(metric, clip, who, word="metric", more="at_most=5.0, ")


def _check_line(who: str, metric: Measure, at_least: float | None, at_most: float | None) -> None:
    if (at_least is None) == (at_most is None):
        raise DeclarationError(f"{who}({_named(metric)!r}): say at_least= or at_most=\nwrite {who}('accuracy', at_least=0.9)")


def _within(value: float | None, at_least: float | None, at_most: float | None) -> bool:
    if value is None or value != value:
        return False
    return value >= at_least if at_least is not None else at_most is not None and value <= at_most


def _line(at_least: float | None, at_most: float | None) -> str:
    return f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"


def _number(value: float | None) -> str:
    return "no answer" if value is None else f"{value:.4g}"


def _named(metric: Any) -> str:
    if isinstance(metric, str):
        return metric
    if isinstance(metric, Loss):
        return metric.name
    return str(getattr(metric, "__name__", type(metric).__name__))
