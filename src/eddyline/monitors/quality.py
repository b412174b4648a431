"""Metrics over groups of examples: over all, by version and line, by day of event and of label, by segment.

Each metric object sees its group's examples in the order of the log, so the overall one equals River's own
`evaluate.progressive_val_score` to the last digit, where River has but one (`class_order.py` reads those that sum over classes
that are texts). Keeps `split`, `first-test` (it reads answers as served),
`finite` and I21: every series is bounded. Refuses to know drift, coverage and who the model is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite
from operator import attrgetter, length_hint
from typing import Any, NamedTuple

from eddyline.monitors.days import day_name, days_of
from eddyline.monitors.keys import Keys
from eddyline.monitors.metrics import Gauge, one_class, tally_of, update_of
from eddyline.monitors.own import number_of
from eddyline.monitors.pairs import Pairs
from eddyline.ports import Metric
from eddyline.records import Example, Measurement, Prediction, Said

LIVE = 512
"""Groups of one series that are still counted; when one more comes, the one longest untouched is closed."""
CLOSED = 10_000
"""Closed groups of one series whose last numbers are kept; the oldest are forgotten."""
OTHER = "other"
"""The segment of every example beyond `max_segments` names."""
BY_LABEL_DAY = " by label day"
"""What the name of the first metric ends with in the series by the day its labels came."""

_others = attrgetter("others")
_PLAIN = frozenset((bool, int, float, str, type(None)))
Shown = tuple[tuple[float | None, int], ...]
"""Value and count of each metric."""


class Failure(NamedTuple):
    """A metric raised for the first time: which, at which example of the batch, and what it said."""

    metric: str
    place: int
    said: str


class Group:
    """The metrics of one group of examples, with how many each has measured."""

    __slots__ = ("counts", "metrics", "shown", "tallies")

    def __init__(self, metrics: list[Metric], counts: list[int]) -> None:
        self.metrics = metrics
        self.counts = counts
        self.tallies = [tally_of(metric) for metric in metrics]
        self.shown: list[tuple[float | None, int] | None] = [None] * len(metrics)

    def add(self, pairs: Pairs) -> None:
        """Measures examples in order. What a metric raises on is not counted."""
        for i in range(len(self.metrics)):
            self.one(i, pairs)

    def one(self, i: int, pairs: Pairs) -> list[tuple[int, Exception]]:
        """Measures examples with one metric; gives what it raised and where."""
        tally = self.tallies[i]
        counted = None if tally is None else pairs.counts(i)
        errors: list[tuple[int, Exception]] = []
        if tally is None or counted is None:
            errors = _apply(update_of(self.metrics[i]), pairs.truths, pairs.columns[i])
        else:
            tally(counted)
        self.counts[i] += len(pairs.truths) - pairs.gaps[i] - len(errors)
        return errors

    def numbers(self) -> Shown:
        """Value and count of each metric now."""
        return tuple(self._number(i) for i in range(len(self.metrics)))

    def last_numbers(self) -> Shown:
        """The same of a group that is given up: its metrics are read themselves, at a fifth of the cost."""
        pairs = zip(self.metrics, self.counts, strict=True)
        return tuple((_value(metric) if count else None, count) for metric, count in pairs)

    def _number(self, i: int) -> tuple[float | None, int]:
        known, count = self.shown[i], self.counts[i]
        if known is None or known[1] != count:
            # Reading a confusion matrix of River's inserts zeros into it; reading must change nothing, so a
            # copy is read.
            known = self.shown[i] = (_value(copy.deepcopy(self.metrics[i])) if count else None, count)
        return known


def _value(spare: Metric) -> float | None:
    """What a metric says that is not needed any more; None where it has nothing to say."""
    value = number_of(spare)
    return None if value == 0.0 and one_class(spare) else value


@dataclass(slots=True)
class Series:
    """Groups by one key (version, day or segment), at most LIVE of them open."""

    live: dict[Any, Group] = field(default_factory=dict)
    """least recently touched first"""
    closed: dict[Any, Shown] = field(default_factory=dict)
    late: int = 0
    """examples that came for a closed group and are missing from its numbers"""
    forgotten: int = 0
    """groups whose numbers were dropped"""

    def feed(self, gauges: tuple[Gauge, ...], keys: Keys, pairs: Pairs) -> None:
        """Measures each example in the group of its key; None is no group."""
        if keys.several is None:
            members = keys.members()
            if self.room(members):
                # Nothing can be closed meanwhile, so key by key gives what example by example would.
                for key, chosen in members.items():
                    self.add(gauges, key, pairs.some(chosen))
                return
        for key, start, end in keys.runs():
            self.add(gauges, key, pairs.some(range(start, end)))

    def room(self, keys: Iterable[Any]) -> bool:
        """Whether groups with these keys can be open together, so that none is closed meanwhile."""
        return len(self.live.keys() | keys) - len(self.closed.keys() & keys) <= LIVE

    def add(self, gauges: tuple[Gauge, ...], key: Any, pairs: Pairs) -> None:
        """Measures examples of one group."""
        if key is None:
            return
        if key in self.closed:
            self.late += len(pairs.truths)
            return
        group = self.live.pop(key, None) or new_group(gauges)
        self.live[key] = group
        group.add(pairs)
        if len(self.live) > LIVE:
            oldest = next(iter(self.live))
            self.closed[oldest] = self.live.pop(oldest).last_numbers()
            if len(self.closed) > CLOSED:
                del self.closed[next(iter(self.closed))]
                self.forgotten += 1

    def touch(self, keys: list[Keys], parts: list[tuple[Pairs, Sequence[int]]]) -> dict[Any, Pairs] | None:
        """What each group gets when columns are read across, in the order in which groups are touched last.

        A column is pairs with the row of each, and their keys. None where only row by row would give the same: two columns
        share a group, or one may be closed meanwhile.
        """
        found: dict[Any, tuple[int, int, Pairs]] = {}
        for number, (column, (pairs, rows)) in enumerate(zip(keys, parts, strict=True)):
            members = column.members()
            if found.keys() & members.keys():
                return None
            found |= {key: (rows[chosen[-1]], number, pairs.some(chosen)) for key, chosen in members.items()}
        if not self.room(found):
            return None
        return {key: found[key][2] for key in sorted(found, key=lambda key: found[key][:2])}

    def rows(self) -> Iterator[tuple[Any, Shown]]:
        """Every group's numbers, by key."""
        rows = {**self.closed, **{key: group.numbers() for key, group in self.live.items()}}
        yield from sorted(rows.items())

    def plain(self) -> tuple[Any, ...]:
        """Everything as plain values and metric objects."""
        live = [(key, group.counts, group.metrics) for key, group in self.live.items()]
        return live, list(self.closed.items()), self.late, self.forgotten

    @classmethod
    def of(cls, plain: tuple[Any, ...]) -> Series:
        """The series that `plain` described."""
        live, closed, late, forgotten = plain
        groups = {key: Group(metrics, counts) for key, counts, metrics in live}
        return cls(groups, dict(closed), late, forgotten)


@dataclass(slots=True)
class QualityState:
    """The memory of quality: one group over all, four series, and what could not be measured."""

    overall: Group
    versions: Series
    days: Series
    label_days: Series
    segments: Series
    unanswered: list[int]
    """for each metric the examples whose answer was None or {}, as River skips them"""
    failed: list[int]
    """for each metric the examples on which it raised"""
    lines: Series = field(default_factory=Series)
    """by line, over the examples to which several lines had something to say"""
    unread: list[Example] = field(default_factory=list)
    """examples that are still to be measured; none between two batches"""


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures the answers of examples with each gauge, over all and in groups.

    A version is the latest registered one not newer than the one that answered: `every` examples apart. A
    group by label day is kept for the first metric only. About 0.3 µs a group and metric where the metric is
    River's Accuracy.

    What other versions said to the same event (`Prediction.others`) is measured by their versions too, and by
    line for the first metric: the row `fraud.deep` beside the row `fraud`, over the same examples while both are
    asked. What they could not answer is left out. It costs nothing where nobody else was asked.

    >>> from eddyline.monitors.metrics import gauges
    >>> from eddyline.records import Prediction, Task
    >>> quality = Quality(gauges(None, Task.REGRESSION, None, float), 100, segmented=False, max_segments=1)
    >>> state = quality.new_state()
    >>> prediction = Prediction("e-1", "k", 0, {}, None, 3.0, None, "m", 250, 0)
    >>> quality.feed(state, [Example(prediction, 5.0, "label", 60)])
    []
    >>> [(m.metric, m.value) for m in quality.measurements(state) if m.version == "m@200"]
    [('MAE', 2.0), ('RMSE', 2.0)]
    """

    gauges: tuple[Gauge, ...]
    every: int
    segmented: bool
    max_segments: int

    def new_state(self) -> QualityState:
        """Before the first example."""
        none = [0] * len(self.gauges)
        return QualityState(new_group(self.gauges), Series(), Series(), Series(), Series(), list(none), list(none))

    def feed_later(self, state: QualityState, examples: list[Example], values: list[Any]) -> bool:
        """Keeps examples until `settle`, where no metric can raise on them; False, and nothing is kept, where one might.

        `values` is what they were answered. Nobody looks at metrics while a batch is cut into looks, and a group costs less
        the more it is shown at once.
        """
        if all(gauge.steady for gauge in self.gauges) and _PLAIN.issuperset(map(type, values)):
            state.unread += examples
            return True
        return False

    def settle(self, state: QualityState) -> None:
        """Measures what was kept."""
        if state.unread:
            examples, state.unread = state.unread, []
            failures = self.feed(state, examples)
            assert not failures, f"a metric raised that cannot: {failures[0]}"

    def pass_over(self, state: QualityState) -> None:
        """Leaves what was kept unmeasured."""
        state.unread = []

    def feed(self, state: QualityState, examples: list[Example]) -> list[Failure]:
        """Measures examples in order. Gives each metric's first failure ever."""
        if not self.gauges:
            return []
        answered = [example.prediction for example in examples]
        truths = [example.truth for example in examples]
        values = [prediction.value for prediction in answered]
        scores: list[Any] = []
        if any(gauge.reads_scores for gauge in self.gauges):
            scores = [prediction.scores or None for prediction in answered]
            shares = chain.from_iterable([each.values() for each in scores if each])
            assert all(map(isfinite, shares)), "a probability that is not finite was served"
        pairs = Pairs(truths, [scores if gauge.reads_scores else values for gauge in self.gauges], values)
        failures = self._overall(state, pairs)
        if any(map(_others, answered)):
            self._lines(state, answered, pairs)
        else:
            state.versions.feed(self.gauges, self._versions(answered), pairs)
        state.days.feed(self.gauges, days_of([prediction.at for prediction in answered]), pairs)
        state.label_days.feed(self.gauges[:1], days_of([example.at for example in examples]), pairs)
        if self.segmented:
            names = [prediction.segment for prediction in answered]
            state.segments.feed(self.gauges, Keys.of(self._segments(state, names)), pairs)
        return failures

    def _overall(self, state: QualityState, pairs: Pairs) -> list[Failure]:
        failures: list[Failure] = []
        for i, gauge in enumerate(self.gauges):
            errors = state.overall.one(i, pairs)
            if errors and not state.failed[i]:
                index, error = errors[0]
                failures.append(Failure(gauge.name, index, f"{type(error).__name__}: {error}"))
            state.failed[i] += len(errors)
            state.unanswered[i] += pairs.gaps[i]
        return failures

    def _versions(self, said: Sequence[Prediction | Said], names: list[str] | None = None) -> Keys:
        """The version of each answer; `names` are the lines that gave them, where somebody has asked already."""
        every = self.every
        names = [one.model for one in said] if names is None else names
        positions = [one.position for one in said]
        if not names or names.count(names[0]) < len(names):
            return Keys.of([(name, position // every * every) for name, position in zip(names, positions, strict=True)])
        keys, name = Keys.by_span(positions, every), names[0]
        if keys.several is None:
            return Keys(None, [(name, version * every) for version in keys.each or ()])
        return Keys([((name, version * every), start, end) for version, start, end in keys.several], None)

    def _lines(self, state: QualityState, answered: list[Prediction], pairs: Pairs) -> None:
        """Measures who answered and what the others said, by version; events of several also by line.

        Speaker by speaker where the same ones spoke to every event and that comes to the same as event by event: the order
        in which groups are touched says which is closed first.
        """
        heard = [prediction.others for prediction in answered]
        if self._by_speaker(state, answered, heard, pairs):
            return
        everyone: list[tuple[Prediction | Said, Any]] = []
        spoken: list[tuple[Prediction | Said, Any]] = []
        for prediction, truth in zip(answered, pairs.truths, strict=True):
            everyone.append((prediction, truth))
            if prediction.others:
                several = [(one, truth) for one in prediction.others if one.value is not None]
                everyone += several
                spoken.append((prediction, truth))
                spoken += several
        for series, said in ((state.versions, everyone), (state.lines, spoken)):
            speakers = [one for one, _ in said]
            gauges = self.gauges if series is state.versions else self.gauges[:1]
            keys = self._versions(speakers) if series is state.versions else Keys.of([one.model for one in speakers])
            series.feed(gauges, keys, self._pairs(speakers, [truth for _, truth in said]))

    def _by_speaker(
        self, state: QualityState, answered: list[Prediction], heard: Sequence[Sequence[Said] | None], pairs: Pairs
    ) -> bool:
        """Measures one speaker after the other; False, and nothing is measured, where that is not the same."""
        everybody = [others for others in heard if others]
        if len(everybody) < len(heard) or len(set(map(len, everybody))) > 1:
            return False
        rows: Sequence[int] = range(len(answered))
        parts = [(pairs, rows)]
        names = [one.model for one in answered]
        versions, lines = [self._versions(answered, names)], [Keys.of(names)]
        for seat in range(len(everybody[0])):
            said = [others[seat] for others in everybody]
            spoken, of = self._pairs(said, pairs.truths), rows
            if spoken.values and None in spoken.values:
                of = [i for i in rows if said[i].value is not None]
                said, spoken = [said[i] for i in of], spoken.some(of)
            names = [one.model for one in said]
            parts.append((spoken, of))
            versions.append(self._versions(said, names))
            lines.append(Keys.of(names))
        by_version, by_line = state.versions.touch(versions, parts), state.lines.touch(lines, parts)
        if by_version is None or by_line is None:
            return False
        for series, gauges, groups in ((state.versions, self.gauges, by_version), (state.lines, self.gauges[:1], by_line)):
            for key, each in groups.items():
                series.add(gauges, key, each)
        return True

    def _pairs(self, said: Sequence[Prediction | Said], truths: list[Any]) -> Pairs:
        values: list[Any] = [one.value for one in said]
        scores: list[Any] = []
        if any(gauge.reads_scores for gauge in self.gauges):
            scores = [one.scores or None for one in said]
        return Pairs(truths, [scores if gauge.reads_scores else values for gauge in self.gauges], values)

    def _segments(self, state: QualityState, names: list[str | None]) -> list[str | None]:
        known = set(state.segments.live)
        room = self.max_segments - len(known - {OTHER})
        for name in dict.fromkeys(names):
            if name is not None and name not in known and name != OTHER and room > 0:
                known.add(name)
                room -= 1
        return [name if name is None or name in known else OTHER for name in names]

    def measurements(self, state: QualityState) -> Iterator[Measurement]:
        """Every number as it stands: over all first, then each series by key."""
        names = [gauge.name for gauge in self.gauges]
        for name, (value, count) in zip(names, state.overall.numbers(), strict=True):
            yield Measurement(name, value, count)
        for label, counts in (("unanswered", state.unanswered), ("failed", state.failed)):
            for name, many in zip(names, counts, strict=True):
                if many:
                    yield Measurement(f"{name} {label}", float(many), many)
        yield from _limits(state)
        for (model, position), row in state.versions.rows():
            for name, (value, count) in zip(names, row, strict=True):
                yield Measurement(name, value, count, version=f"{model}@{position}")
        for line, row in state.lines.rows():
            yield Measurement(names[0], *row[0], version=line)
        for day, row in state.days.rows():
            for name, (value, count) in zip(names, row, strict=True):
                yield Measurement(name, value, count, day=day_name(day))
        for day, row in state.label_days.rows():
            yield Measurement(names[0] + BY_LABEL_DAY, *row[0], day=day_name(day))
        for segment, row in state.segments.rows():
            for name, (value, count) in zip(names, row, strict=True):
                yield Measurement(name, value, count, segment=segment)

    def plain(self, state: QualityState) -> tuple[Any, ...]:
        """Everything as plain values and metric objects."""
        series = (state.versions, state.days, state.label_days, state.segments, state.lines)
        overall = (state.overall.counts, state.overall.metrics)
        return overall, [one.plain() for one in series], state.unanswered, state.failed

    def of(self, plain: tuple[Any, ...]) -> QualityState:
        """The state that `plain` described."""
        (counts, metrics), series, unanswered, failed = plain
        versions, days, label_days, segments, lines = map(Series.of, series)
        overall = Group(metrics, counts)
        return QualityState(overall, versions, days, label_days, segments, unanswered, failed, lines)


def new_group(gauges: tuple[Gauge, ...]) -> Group:
    """A group that has measured nothing."""
    return Group([gauge.fresh() for gauge in gauges], [0] * len(gauges))


def _limits(state: QualityState) -> Iterator[Measurement]:
    """What the bounds on groups have cost: examples too late for their group, groups no longer shown."""
    series = {
        "version": state.versions,
        "day": state.days,
        "label day": state.label_days,
        "segment": state.segments,
        "line": state.lines,
    }
    for name, one in series.items():
        for what, many in (("late", one.late), ("forgotten", one.forgotten)):
            if many:
                yield Measurement(f"{name} {what}", float(many), many)


def _apply(update: Any, truths: Sequence[Any], answers: Sequence[Any]) -> list[tuple[int, Exception]]:
    """Shows a metric each pair in order; gives what it raised and where. A bad pair does not stop it."""
    errors: list[tuple[int, Exception]] = []
    left = iter(truths)
    pairs = zip(left, answers, strict=False)
    while True:
        try:
            for truth, answer in pairs:
                if answer is not None:
                    update(truth, answer)
            return errors
        except Exception as error:
            errors.append((len(truths) - length_hint(left) - 1, error))
