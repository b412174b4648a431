"""Fills the registry: a look at the memories of the stages, and a tally of the journal.

A look reads; it changes nothing, and asks no model. It must be taken while the loop stands still. The tally reads the blocks
that came since, from a connection of its own, as far as its time allows. Keeps I21 by the bounds of the registry.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

from eddyline.engines.loop import States
from eddyline.monitors.coverage import Coverage, Fate
from eddyline.monitors.delay import DelayHistogram, _middle
from eddyline.monitors.metrics import Average, Gauge
from eddyline.monitors.quality import Series
from eddyline.outlets import metrics as m
from eddyline.outlets.metrics import DELAYS_S, Delays, Readings
from eddyline.pipeline import Plan
from eddyline.records import Measurement
from eddyline.records.time import BEGINNING
from eddyline.stages.watch import WatchState
from eddyline.store import blocks
from eddyline.store.database import Store

SECOND = 1_000_000
_COUNTED = frozenset((*(fate.name.lower() for fate in Fate), "coverage"))
_AT_ONCE = 50


def look(into: Readings, plan: Plan, states: States) -> None:
    """What the stages know: quality, coverage, delays, who answers, and what decide holds back."""
    watch = states.watch
    answered, *settled = watch.coverage.total()
    into.set(m.ANSWERS, answered)
    for fate, many in zip(("labelled", "absent", "expired"), settled, strict=True):
        into.set(m.SETTLED, many, fate)
    into.set(m.WAITING, answered - sum(settled))
    if answered:
        into.set(m.COVERAGE, (settled[0] + settled[1]) / answered)
    into.set(m.REPEATED, states.serve.repeated)
    into.delays = _delays(watch.delay)
    if states.serve.frontier > BEGINNING:
        into.set(m.EVENT_TIME, states.serve.frontier / SECOND)
    measured = plan.watch.measurements(shown_of(watch))
    _measured(into, {gauge.name: gauge for gauge in plan.watch.quality.gauges}, measured)
    _lines(into, states)
    decide = states.decide
    into.set(m.FROZEN, decide.frozen_since is not None)
    into.set(m.QUARANTINED, len(decide.quarantined))
    into.set(m.PROPOSED, len(decide.proposed))


def shown_of(watch: WatchState) -> WatchState:
    """The same memory without its days, and of its versions the newest of each line only: years of days take a while to
    read, and the loop would wait. Nothing is copied; reading changes nothing."""
    newest: dict[str, int] = {}
    for model, position in watch.quality.versions.live:
        newest[model] = max(position, newest.get(model, 0))
    versions = Series({key: watch.quality.versions.live[key] for key in newest.items()})
    coverage = Coverage()
    coverage.before = watch.coverage.total()
    quality = replace(watch.quality, versions=versions, days=Series(), label_days=Series())
    return replace(watch, quality=quality, coverage=coverage)


def _lines(into: Readings, states: States) -> None:
    """Who answers, who is asked beside, and where the learner of each line stands."""
    rollout, learners = states.rollout, {into.pipeline: states.learn, **states.rivals}
    for line, learner in learners.items():
        into.set(m.LEARNER, learner.position, line)
    into.set(m.REVISION, rollout.revision)
    champion, _, pinned = (rollout.champion or into.pipeline).partition("@")
    learner = learners.get(champion, states.learn)
    published = learner.position if learner.published is None else learner.published_position
    into.set(m.ANSWERING, int(pinned) if pinned else published, champion)
    left = 1.0
    for place in rollout.places:
        answered = left * place.share  # of the keys that nobody before it has taken
        into.set(m.SHARE, answered, place.who.partition("@")[0], place.mode)
        left -= answered
    into.set(m.SHARE, left, champion, "champion")


def _measured(into: Readings, gauges: dict[str, Gauge], measured: list[Measurement]) -> None:
    """Quality over all, by segment, by line and of its newest version; other numbers by name. Days are left out.

    What is over all segments comes first: where there is no room for everything, segments are left out.
    """
    for one in sorted(measured, key=lambda one: one.segment is not None):
        if one.value is None or one.day is not None:
            continue
        gauge = gauges.get(one.metric)
        if gauge is None:
            if one.version is None and one.metric not in _COUNTED and not one.metric.startswith("label_delay_"):
                into.set(m.MEASUREMENT, one.value, one.metric, one.segment or "")
            continue
        better = better_of(gauge)
        if one.segment is not None:
            into.set(m.SEGMENT_QUALITY, one.value, one.metric, better, one.segment)
        elif one.version is not None:
            line, _, at = one.version.partition("@")
            into.set(m.NEWEST_QUALITY if at else m.LINE_QUALITY, one.value, one.metric, better, line)
        else:
            into.set(m.QUALITY, one.value, one.metric, better)
            into.set(m.QUALITY_EXAMPLES, one.count, one.metric, better)
            if one.value >= 0 and is_mean(gauge.template):
                into.set(m.QUALITY_SUM, one.value * one.count, one.metric, better)


def better_of(gauge: Gauge) -> str:
    """Which way is good, as River's metrics say it: higher, lower, or unknown."""
    bigger = getattr(gauge.template, "bigger_is_better", None)
    return "unknown" if bigger is None else "higher" if bigger else "lower"


def is_mean(metric: Any) -> bool:
    """Whether a metric is a plain mean over its examples, so that it times their count is a sum."""
    from river import metrics as river

    mean = river.base.MeanMetric
    return isinstance(metric, (Average, river.Accuracy)) or (isinstance(metric, mean) and type(metric).get is mean.get)


def _delays(histogram: DelayHistogram) -> Delays:
    """The delays by the registry's bounds; a bin that straddles one is counted by its middle."""
    at_most = [0] * len(DELAYS_S)
    for index, many in histogram.bins.items():
        for i, bound in enumerate(DELAYS_S):
            if _middle(index) <= bound * SECOND:
                at_most[i] += many
    return Delays(tuple(at_most), histogram.count, histogram.total / SECOND)


class Tally:
    """Counts what the journal says of dead letters, alerts and decisions, block by block, and remembers how far it is."""

    def __init__(self) -> None:
        self.block = 0
        self.newest = 0
        self.caught_up = False
        self.committed_at = 0.0
        self.versions = 0
        self.dead: Counter[tuple[str, str]] = Counter()
        self.alerts: Counter[str] = Counter()
        self.alerted_at: dict[str, float] = {}
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.decided_at: dict[str, float] = {}
        self.positions: dict[str, int] = {}

    def read(self, store: Store, *, seconds: float | None = None) -> None:
        """Counts the blocks that came since, until there are no more or the time is over."""
        until = None if seconds is None else time.monotonic() + seconds
        (self.newest,) = store.db.execute("SELECT ifnull(max(seq), 0) FROM blocks").fetchone()
        (self.versions,) = store.db.execute("SELECT count(*) FROM versions").fetchone()
        while self.block < self.newest and (until is None or time.monotonic() < until):
            for seq, deads, dead, notes in store.db.execute(
                "SELECT seq, deads, dead, notes FROM blocks WHERE seq>? ORDER BY seq LIMIT ?", (self.block, _AT_ONCE)
            ).fetchall():
                if deads:
                    self.dead.update((letter.stream, letter.reason) for letter in blocks.decode_dead(dead))
                self._note(blocks.decode_notes(notes))
                self.block = seq
        self.caught_up = self.caught_up or self.block >= self.newest

    def _note(self, notes: blocks.Notes) -> None:
        self.committed_at, self.positions = notes.received_at, notes.positions
        for alert in notes.alerts:
            self.alerts[alert.monitor] += 1
            self.alerted_at[alert.monitor] = notes.received_at
        for decision in notes.decisions:
            self.decisions[decision.action, decision.status] += 1
            if decision.status in ("done", "approved"):
                self.decided_at[decision.action] = notes.received_at

    def fill(self, into: Readings) -> None:
        """What was counted. Before the whole past was, only how far it is: a count that catches up would look like a rush."""
        into.set(m.BLOCKS, self.newest)
        into.set(m.VERSIONS, self.versions)
        into.set(m.UNREAD, max(0, self.newest - self.block))
        if not self.caught_up:
            return
        into.start(m.DEAD, m.ALERTS, m.ALERTED, m.DECISIONS, m.DECIDED)
        for letter, many in self.dead.items():
            into.set(m.DEAD, many, *letter)
        for decision, many in self.decisions.items():
            into.set(m.DECISIONS, many, *decision)
        for monitor, many in self.alerts.items():
            into.set(m.ALERTS, many, monitor)
            into.set(m.ALERTED, self.alerted_at[monitor], monitor)
        for action, at in self.decided_at.items():
            into.set(m.DECIDED, at, action)
        if self.committed_at:
            into.set(m.COMMITTED, self.committed_at)
        for source, position in self.positions.items():
            if "@" not in source and not source.endswith("#"):  # what stands there is a mark, and no position
                into.set(m.SOURCE, position, source)
