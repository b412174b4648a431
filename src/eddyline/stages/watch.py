"""Watch: measures the answers that were given against the truths that came, and says when something drifts.

It reads predictions as they were served and never asks a model. Keeps `split`, `first-test`, `finite`, I21
(everything is bounded) and I23 (its state is a function of the records). It refuses to know which engine runs
it, how truths were joined, and what is decided from its numbers.
"""

from __future__ import annotations

import difflib
import pickle
import re
from collections import UserList
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import sub
from typing import Any

from eddyline.monitors.coverage import Coverage, Fate
from eddyline.monitors.declared import Monitor, Seen
from eddyline.monitors.delay import DelayHistogram
from eddyline.monitors.drift import Drift
from eddyline.monitors.error_above import ErrorAbove
from eddyline.monitors.host import Host, HostState
from eddyline.monitors.judging import NOTHING, Judged, all_fit, judge
from eddyline.monitors.metrics import gauges, metric_name
from eddyline.monitors.own import OwnMonitor, checked, raised, thing_name
from eddyline.monitors.quality import OTHER, Quality, QualityState
from eddyline.monitors.saving import from_bytes, to_bytes
from eddyline.records import Alert, Example, Measurement, Prediction, Task, Unlabelled
from eddyline.records.errors import DeclarationError, StoreMismatch

Record = Prediction | Example | Unlabelled
FORMAT = 2
"""The layout of a saved state; another one is refused."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LONGEST = 200
"""Characters of a segment's name; what is longer is cut, for it goes into every metric."""
_OWN_ALERTS = ("error_drift", "feature_drift", "watch")
"""How the alerts are called that no declared monitor raises."""
_NUMBERS = frozenset((float, int, bool))


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What a pipeline measures about itself. By default: the task's metrics, and drift of the error.

    `metrics` are River's, or your own: a function (y_true, y_pred) -> float, which is averaged, or a class or
    object with update(y_true, y_pred) and get(). By default classes get Accuracy and LogLoss (CrossEntropy
    where the truth is not bool), numbers MAE and RMSE, anomaly scores RollingROCAUC where the truth is bool.
    Each is kept over all examples, by version, by day of the event and by segment; the first also by day of
    the label. Each sees the answer as it was served: the probabilities if River's `requires_labels` says so,
    else the class. An answer of None or {} is skipped, as River does, and counted. An example that corrects
    an earlier truth is counted and not measured again.

    `segment` is a field of the event or a function event -> str; names beyond the first `max_segments` count
    as "other" (one of your own called so is "'other'", and one that is empty "''"). `drift` names features whose mean
    is watched by ADWIN, `error` watches the error itself: wrong or right for classes, |truth - answer| for numbers, in
    their own unit. An anomaly score has no error.
    `monitors` are those that come with Eddyline, such as `ErrorAbove(0.08)`, `Psi("amount")`, `Conformal(SCORE)`,
    `Missing`, `Unseen`, `Ranges`, `Silence`, `Anomalies` and `Estimated`, and classes of your own, made without
    arguments, with update(record) -> Alert | list of them | None and, if it has a number to show, get() ->
    float. Ours say how many false alarms a week they may raise (`budget=per_week(1)`). Most of them look every
    `tick` records (a prediction and its example are two); alerts of one tick come ranked by `Alert.effect`, the
    difference in labelled loss that goes with what was found. Two of one kind need names: `Psi("age", name="psi-age")`.
    Make `tick` smaller where a thousand records take days: ten monitors cost about 5 µs an event at 1,000, and half as
    much again at 200.

    Policies act on alerts by name (`Notify(on="psi")`): `error_drift` for the error, `feature_drift` for `drift`, `watch` where
    a metric or monitor of yours raised, and for monitors `error_above`, `psi`, `conformal`, `missing`, `unseen`, `range`,
    `silence`, `anomaly`, or the `name` that you gave; your own monitors call theirs as they like. A monitor of a feature pauses
    while a line answers that makes no such feature (`feature age paused` counts those answers).

    A metric or monitor of yours that raises is not stopped: the example is left out of it and counted, and
    the first time is an alert. Costs about 2 µs an example with one metric, and 0.3 µs more for each further
    group.

    >>> def late_cost(y_true, y_pred):
    ...     return 5.0 if y_true and not y_pred else 1.0 if y_pred and not y_true else 0.0
    >>> class Spread:
    ...     "The largest error so far."
    ...     def __init__(self): self.worst = 0.0
    ...     def update(self, y_true, y_pred): self.worst = max(self.worst, abs(y_true - y_pred))
    ...     def get(self): return self.worst
    >>> class Streak:
    ...     "Alerts at three wrong answers in a row."
    ...     def __init__(self): self.wrong = 0
    ...     def update(self, record):
    ...         if not isinstance(record, Example):
    ...             return None
    ...         self.wrong = 0 if record.prediction.value == record.truth else self.wrong + 1
    ...         if self.wrong != 3:
    ...             return None
    ...         return Alert("Streak", "error", record.at, record.prediction.position, 0.0, 1.0, "3 wrong")
    >>> Watch(metrics=(late_cost,), segment="carrier", drift=("distance",), monitors=(Streak,)).describe()
    'late_cost; by carrier, at most 100; drift of distance and the error; Streak'
    >>> Watch(metrics=(Spread,)).describe()
    'Spread; drift of the error'

    A session of three answers, each wrong:

    >>> stage = Watch(metrics=(late_cost,), monitors=(Streak,)).bind(Task.CLASSIFICATION, 1000, None)
    >>> state = stage.new_state()
    >>> def answer(i): return Prediction(f"p-{i}", "k", i, {}, None, False, None, "fraud", i, 0)
    >>> examples = [Example(answer(i), True, "label", i + 60) for i in range(3)]
    >>> [alert.reason for alert in stage.step(state, examples)]
    ['3 wrong']
    >>> stage.measurements(state)[0]
    Measurement(metric='late_cost', value=5.0, count=3, version=None, day=None, segment=None)
    """

    metrics: Sequence[Any] | None = None
    segment: str | Callable[[Any], str] | None = None
    drift: Sequence[str] = ()
    error: bool = True
    monitors: Sequence[Any] = ()
    max_segments: int = 100
    tick: int = 1_000

    def __post_init__(self) -> None:
        if self.metrics is not None:
            object.__setattr__(self, "metrics", _several(self.metrics))
        for word, value in (("drift", self.drift), ("monitors", self.monitors)):
            if isinstance(value, str | type) or not isinstance(value, Sequence):
                said = f'"{value}"' if isinstance(value, str) else getattr(value, "__name__", repr(value))
                said = 'Psi("amount")' if word == "monitors" and isinstance(value, str) else said
                raise DeclarationError(f"watch: {word}={value!r} is not several\nwrite {word}=({said},)")
            object.__setattr__(self, word, tuple(value))
        for kind in self.monitors:
            if isinstance(kind, type) and issubclass(kind, Monitor):
                write = "ErrorAbove(0.08)" if kind is ErrorAbove else f"{kind.__name__}()"
                write = f'{kind.__name__}("amount")' if "of" in kind.__dataclass_fields__ else write
                fault = f"watch: monitors=({kind.__name__},) names a kind of monitor, not one"
                raise DeclarationError(f"{fault}\nwrite monitors=({write},)")
        _check_names([monitor for monitor in self.monitors if isinstance(monitor, Monitor)])
        for name in self.drift:
            if not isinstance(name, str) or not name:
                raise DeclarationError(f'watch: drift={name!r} is not the name of a feature\nwrite drift=("amount",)')
        if self.segment is not None and not isinstance(self.segment, str) and not callable(self.segment):
            raise DeclarationError(
                f'watch: segment={self.segment!r} is neither a field nor a function\nwrite segment="carrier"'
            )
        if type(self.max_segments) is not int or not 1 <= self.max_segments <= 500:
            raise DeclarationError(
                f"watch: max_segments={self.max_segments!r}, expected a whole number from 1 to 500\n"
                "each segment keeps its own metrics in memory; write max_segments=100"
            )
        if type(self.tick) is not int or not 10 <= self.tick <= 100_000:
            raise DeclarationError(
                f"watch: tick={self.tick!r}, expected a number of records from 10 to 100000\nwrite tick=1_000"
            )

    def bind(self, task: Task, version_every: int, model: Any, truth: type | None = None) -> WatchStage:
        """The stage for a pipeline whose model answers this task and is registered every so many examples.

        `model` is the River estimator, or something that holds it as `estimator`; metrics are asked whether
        they work with it. `truth` is the type of the label's truth, where it is known. Raises
        DeclarationError for what cannot work.
        """
        assert version_every >= 1, "versions are at least one example apart"
        found = gauges(self.metrics, task, model, truth)
        ours = [monitor for monitor in self.monitors if isinstance(monitor, Monitor)]
        for monitor in ours:
            monitor.check(task)
        if self.segment is None and any(monitor.segmented() for monitor in ours):
            raise DeclarationError('watch: by_segment=True, and there are no segments\nwrite Watch(segment="carrier", ...)')
        stage = WatchStage(
            quality=Quality(found, version_every, self.segment is not None, self.max_segments),
            task=task,
            features=tuple(dict.fromkeys(self.drift)),
            error=self.error and task is not Task.ANOMALY,
            monitors=tuple(checked(monitor) for monitor in self.monitors if not isinstance(monitor, Monitor)),
            host=Host.of(ours, self.tick, self.max_segments) if ours else None,
        )
        try:
            stage.restore(stage.save(stage.new_state()))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise DeclarationError(
                f"watch: the state of a metric or monitor cannot be saved ({error})\n"
                "keep only plain values in its attributes, no lambdas, files or connections"
            ) from error
        return stage

    def alert_names(self, task: Task) -> tuple[str, ...]:
        """How the alerts are called that a pipeline of this task can raise, but for those of monitors of your own.

        >>> from eddyline.monitors.psi import Psi
        >>> Watch(monitors=(Psi("amount"), Psi("age", name="psi-age"))).alert_names(Task.CLASSIFICATION)
        ('error_drift', 'psi', 'psi-age', 'watch')
        """
        ours = [monitor.called for monitor in self.monitors if isinstance(monitor, Monitor) and monitor.called]
        drift = ["feature_drift"] if self.drift else []
        error = ["error_drift"] if self.error and task is not Task.ANOMALY else []
        return tuple(sorted([*ours, *drift, *error, "watch"]))

    @property
    def has_own_monitors(self) -> bool:
        """Whether there are monitors of the user's own: how their alerts are called, only they know."""
        return any(not isinstance(monitor, Monitor) for monitor in self.monitors)

    def segment_of(self, event_type: type) -> Callable[[Any], str | None] | None:
        """The function by which serve names an event's segment; None where there are no segments."""
        if self.segment is None:
            return None
        if callable(self.segment):
            return _texts(self.segment)
        fields = getattr(event_type, "__struct_fields__", ())
        if self.segment not in fields:
            near = difflib.get_close_matches(self.segment, fields, 1)
            mend = f"did you mean {near[0]!r}?" if near else "write the name of a field, or a function event -> str"
            known = ", ".join(fields)
            raise DeclarationError(f"watch: segment={self.segment!r} is not a field of {event_type.__name__} ({known})\n{mend}")
        field_name = self.segment
        return _texts(lambda event: getattr(event, field_name))

    def describe(self) -> str:
        """What is watched, in one line; equal declarations say the same."""
        metrics = "the task's metrics" if self.metrics is None else ", ".join(map(metric_name, self.metrics))
        parts = [metrics or "no metrics"]
        if self.segment is not None:
            by = self.segment if isinstance(self.segment, str) else f"{thing_name(self.segment)}()"
            parts.append(f"by {by}, at most {self.max_segments}")
        drifting = [*self.drift, "the error"] if self.error else list(self.drift)
        if drifting:
            parts.append(f"drift of {' and '.join(drifting)}")
        parts.extend(repr(one) if isinstance(one, Monitor) else thing_name(one) for one in self.monitors)
        if self.tick != type(self).tick:
            parts.append(f"a tick is {self.tick} records")
        return "; ".join(parts)


@dataclass(slots=True)
class WatchState:
    """Watch's memory. One owner; save and restore it with the stage it belongs to."""

    quality: QualityState
    coverage: Coverage
    delay: DelayHistogram
    drift: list[Drift]
    """one for each declared feature"""
    error: Drift | None
    monitors: list[OwnMonitor]
    revised: int = 0
    """examples that corrected an earlier truth"""
    unfit: int = 0
    """examples whose truth the task's metrics cannot read: text for a number, or not finite"""
    host: HostState | None = None
    unread: list[tuple[Sequence[Prediction], Sequence[Example]]] = field(default_factory=list)
    """answers and first truths that are still to be counted by day; none between two batches"""


@dataclass(slots=True)
class _Found:
    """Alerts of one batch with the place of the record that caused each."""

    batch: Sequence[Record]
    alerts: list[tuple[int, Alert]] = field(default_factory=list)

    def add(self, kind: type, index: int, alert: Alert) -> None:
        """An alert at the record that is number `index` among those of its kind."""
        places = [i for i, record in enumerate(self.batch) if type(record) is kind]
        self.alerts.append((places[index], alert))

    def in_order(self) -> list[Alert]:
        """The alerts in the order of their records."""
        return [alert for _, alert in sorted(self.alerts, key=lambda found: found[0])]


@dataclass(frozen=True, slots=True)
class WatchStage:
    """Watch, bound to a pipeline. `step` takes records in the order of the log, in batches of any size."""

    quality: Quality
    task: Task
    features: tuple[str, ...]
    error: bool
    monitors: tuple[Any, ...]
    host: Host | None = None

    def new_state(self) -> WatchState:
        """The memory before the first record."""
        return WatchState(
            quality=self.quality.new_state(),
            coverage=Coverage(),
            delay=DelayHistogram(),
            drift=[Drift() for _ in self.features],
            error=Drift() if self.error else None,
            monitors=[OwnMonitor.new(monitor) for monitor in self.monitors],
            host=self.host.new_state() if self.host is not None else None,
        )

    def step(self, state: WatchState, batch: Sequence[Record]) -> list[Alert]:
        """Measures a batch in order. Gives the alerts, each in the place of the record that caused it."""
        alerts = self.notice(state, batch)
        self.settle(state)
        return alerts

    def notice(self, state: WatchState, batch: Sequence[Record]) -> list[Alert]:
        """The alerts of a batch, as `step`; what nobody can tell from alerts may be left to `settle`, which comes after."""
        if self.host is None or state.host is None:
            return self._part(state, batch)
        alerts: list[Alert] = []
        start = 0
        while start < len(batch):
            end = start + self.host.room(state.host)
            alerts += self._part(state, batch[start:end])
            start = end
        return alerts

    def settle(self, state: WatchState) -> None:
        """Measures what was noticed only: before anybody reads the state or saves it."""
        self.quality.settle(state.quality)
        if self.host is not None and state.host is not None:
            self.host.settle(state.host)
        if state.unread:
            answered = [prediction.at for predictions, _ in state.unread for prediction in predictions]
            examples = [example for _, firsts in state.unread for example in firsts]
            state.unread.clear()
            if answered:
                state.coverage.add_at(Fate.ANSWERED, answered)
            if examples:
                _cover(state, examples)

    def pass_over(self, state: WatchState) -> None:
        """Instead of `settle`, where alerts are all that is wanted: the numbers of this state are worth nothing afterwards."""
        self.quality.pass_over(state.quality)
        state.unread.clear()

    def _part(self, state: WatchState, batch: Sequence[Record]) -> list[Alert]:
        """A part of a batch that does not go beyond the next tick."""
        found = _Found(batch)
        predictions = [record for record in batch if type(record) is Prediction]
        examples = [record for record in batch if type(record) is Example]
        if predictions:
            state.unread.append((predictions, ()))
            for name, drift in zip(self.features, state.drift, strict=True):
                self._feature(name, drift, predictions, found)
        judged = self._examples(state, examples, found) if examples else NOTHING
        if len(predictions) + len(examples) < len(batch):
            expired = [record.prediction.at for record in batch if type(record) is Unlabelled]
            assert len(predictions) + len(examples) + len(expired) == len(batch), "not a record of watch"
            state.coverage.add_at(Fate.EXPIRED, expired)
        for monitor in state.monitors:
            found.alerts.extend(monitor.feed(batch))
        if self.host is not None and state.host is not None:
            seen = Seen(batch, predictions, judged)
            found.alerts.extend(self.host.feed(state.host, seen))
        return found.in_order() if found.alerts else []

    def _feature(self, name: str, drift: Drift, predictions: list[Prediction], found: _Found) -> None:
        values = [prediction.features.get(name) for prediction in predictions]
        chosen: Sequence[int] = range(len(values))
        if not _NUMBERS.issuperset(map(type, values)):
            chosen = [i for i, value in enumerate(values) if type(value) in _NUMBERS]
            drift.skipped += len(values) - len(chosen)
            values = [values[i] for i in chosen]
        for change in drift.feed(values):  # type: ignore[arg-type]
            index = chosen[change.place]
            cause = predictions[index]
            reason = f"the mean of feature {name!r} went from {change.before:.6g} to {change.after:.6g}"
            at, position = cause.at, cause.position
            alert = Alert("feature_drift", name, at, position, change.before, change.after, reason)
            found.add(Prediction, index, alert)

    def _examples(self, state: WatchState, examples: list[Example], found: _Found) -> Judged:
        """Measures truths; gives those that have an error, with it."""
        places: Sequence[int] = range(len(examples))
        firsts = examples
        revisions = [example.revision for example in examples]
        if any(revisions):
            places = [i for i in places if not revisions[i]]
            firsts = [examples[i] for i in places]
            state.revised += len(examples) - len(firsts)
        if not firsts:
            return NOTHING
        state.unread.append(((), firsts))
        if not all_fit([example.truth for example in firsts], self.task):
            fit = [i for i, example in enumerate(firsts) if all_fit([example.truth], self.task)]
            state.unfit += len(firsts) - len(fit)
            places, firsts = [places[i] for i in fit], [firsts[i] for i in fit]
        if not firsts:
            return NOTHING
        values = [example.prediction.value for example in firsts]
        if not self.quality.feed_later(state.quality, firsts, values):
            self.quality.settle(state.quality)
            for failure in self.quality.feed(state.quality, firsts):
                alert = raised(failure.metric, firsts[failure.place], failure.said)
                found.add(Example, places[failure.place], alert)
        if self.task is Task.ANOMALY or (state.error is None and state.host is None):
            return NOTHING
        judged, silent = judge(firsts, values, places, self.task)
        if state.error is not None:
            state.error.skipped += silent
            self._error(state.error, judged, found)
        return judged

    def _error(self, drift: Drift, judged: Judged, found: _Found) -> None:
        for change in drift.feed(judged.errors):
            cause = judged.examples[change.place]
            at, position = cause.at, cause.prediction.position
            reason = f"the mean error went from {change.before:.6g} to {change.after:.6g}"
            alert = Alert("error_drift", "error", at, position, change.before, change.after, reason)
            found.add(Example, judged.numbers[change.place], alert)

    def measurements(self, state: WatchState) -> list[Measurement]:
        """Every number as it stands now. Reading changes nothing that is saved."""
        return [
            *self.quality.measurements(state.quality),
            *state.coverage.measurements(),
            *state.delay.measurements(),
            *self._counts(state),
        ]

    def _counts(self, state: WatchState) -> Iterator[Measurement]:
        drifts = zip(self.features, state.drift, strict=True)
        skipped = {f"{name} skipped": drift.skipped for name, drift in drifts}
        if state.error is not None:
            skipped["error skipped"] = state.error.skipped
        for name, many in {"revised": state.revised, "unfit": state.unfit, **skipped}.items():
            if many:
                yield Measurement(name, float(many), many)
        shown = sum(state.coverage.total())
        for monitor in state.monitors:
            yield from monitor.measurements(shown)
        if self.host is not None and state.host is not None:
            yield from self.host.measurements(state.host)

    def save(self, state: WatchState) -> bytes:
        """The state as bytes: equal states, equal bytes. They belong to one version of River."""
        plain = (
            FORMAT,
            self.quality.plain(state.quality),
            state.coverage.plain(),
            state.delay.plain(),
            [drift.plain() for drift in state.drift],
            state.error.plain() if state.error is not None else None,
            [monitor.plain() for monitor in state.monitors],
            state.revised,
            state.unfit,
            self.host.plain(state.host) if self.host is not None and state.host is not None else None,
        )
        return to_bytes(plain, self.owned())

    def restore(self, data: bytes) -> WatchState:
        """The state that `save` wrote, which goes on to the bit as if it had never been saved."""
        layout, *plain = from_bytes(data, self.owned())
        if layout != FORMAT:
            raise StoreMismatch(f"watch: the saved state has layout {layout}, this version reads {FORMAT}")
        quality, coverage, delay, drift, error, monitors, revised, unfit, host = plain
        return WatchState(
            self.quality.of(quality),
            Coverage.of(coverage),
            DelayHistogram.of(delay),
            [Drift.of(one) for one in drift],
            Drift.of(error) if error is not None else None,
            [OwnMonitor(*one) for one in monitors],
            revised,
            unfit,
            self.host.restore(host) if self.host is not None else None,
        )

    def owned(self) -> list[Any]:
        """The user's own classes and functions, which saved bytes name by their number here."""
        kinds = [monitor if isinstance(monitor, type) else type(monitor) for monitor in self.monitors]
        return [*(gauge.own for gauge in self.quality.gauges if gauge.own is not None), *kinds]


def _check_names(monitors: Sequence[Monitor[Any]]) -> None:
    """Refuses names that nobody could tell apart: policies and the ledger call alerts by them."""
    taken: dict[str, str] = dict.fromkeys(_OWN_ALERTS, "Watch itself")
    for monitor in monitors:
        kind, name = type(monitor).__name__, monitor.name
        if name is not None and (not isinstance(name, str) or not _NAME.fullmatch(name)):
            fault = f"watch: {kind}(name={name!r}) is not lower-case letters, digits, - and _"
            raise DeclarationError(f'{fault}\nwrite {kind}(..., name="strict")')
        if monitor.called and monitor.called in taken:
            raise DeclarationError(
                f"watch: the alerts of {monitor!r} are called {monitor.called!r}, and so are those of {taken[monitor.called]}\n"
                f'name one of them: {kind}(..., name="{monitor.word}-2"), and write on="{monitor.word}-2" to act on it'
            )
        taken[monitor.called] = repr(monitor)


def _several(metrics: Any) -> tuple[Any, ...]:
    """What was declared as metrics, one by one; River's `Accuracy() + LogLoss()` too."""
    if isinstance(metrics, list | tuple | UserList):
        return tuple(metrics)
    if callable(metrics) or hasattr(metrics, "update"):
        return (metrics,)
    raise DeclarationError(f"watch: metrics={metrics!r} are not metrics\nwrite metrics=(metrics.Accuracy(),)")


def _texts(segment: Callable[[Any], Any]) -> Callable[[Any], str | None]:
    """The segment as text, whatever the user's field or function gives; None stays None: in no segment."""

    def named(event: Any) -> str | None:
        value = segment(event)
        name = value if value is None or type(value) is str else str(value)
        if name is not None and len(name) > LONGEST:
            name = f"{name[:LONGEST]}…"
        return f"'{name}'" if name in (OTHER, "") else name  # "" is how all segments together are called

    return named


def _cover(state: WatchState, examples: list[Example]) -> None:
    """Counts the truths of a batch, and how long those that were told have taken."""
    told = [example.known for example in examples].count("label")
    if told < len(examples):
        absent = [example.prediction.at for example in examples if example.known != "label"]
        state.coverage.add_at(Fate.ABSENT, absent)
        examples = [example for example in examples if example.known == "label"]
    if examples:
        ats = [example.prediction.at for example in examples]
        state.coverage.add_at(Fate.LABELLED, ats)
        state.delay.add(list(map(sub, [example.at for example in examples], ats)))
