"""Where an engine stands, in the numbers that a person asks for after a run: `whole`, as a table.

Answered = labelled + by absence + unlabelled + waiting, by construction of what watch counts. Reads only.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.records import Measurement, Reason
from eddyline.views.ledger import noted
from eddyline.views.letters import letters


class Summary(msgspec.Struct, frozen=True):
    """What became of everything so far.

    `voice` answers now, `learner` is the newest version, `dead` counts letters by reason, `paused` the answers that
    monitors of a feature were not shown, by feature: the line that gave them makes no such feature.

    What goes wrong without a dead letter: `early` labels wait for an event of their id, `late` events were older than event
    time and entered no aggregate, and `raised` says by metric or monitor on how many records it raised, and what at first.
    `silent` examples had None for an answer, and count in no metric. `windows` says of how many of the newest examples a metric
    is that does not count all.
    `alone` is the id of a label that has found no event, `event_id` that of an event, for comparing them.
    """

    pipeline: str
    store: str
    answered: int
    labelled: int
    absent: int
    unlabelled: int
    waiting: int
    dead: dict[str, int]
    metrics: list[Measurement]
    paused: dict[str, int]
    versions: int
    learner: str
    voice: str
    revision: int
    early: int = 0
    alone: str | None = None
    event_id: str | None = None
    late: int = 0
    raised: dict[str, tuple[int, str]] = {}
    silent: int = 0
    windows: dict[str, int] = {}


def quality(engine: Engine) -> list[Measurement]:
    """The pipeline's metrics over all examples so far, the primary one first."""
    watch = engine.plan.watch.quality
    numbers = engine.loop.states.watch.quality.overall.numbers()
    return [Measurement(gauge.name, value, count) for gauge, (value, count) in zip(watch.gauges, numbers, strict=True)]


def summarize(engine: Engine) -> Summary:
    """The summary of an engine as it stands, including everything its store took in earlier runs."""
    states = engine.loop.states
    answered, labelled, absent, expired = states.watch.coverage.total()
    name, watch = engine.pipeline.name, states.watch.host
    live = states.rollout.champion is None and states.learn.published is None
    speaks = engine.loop.voice
    dead = Counter[str]()
    alone = min(states.join.early, default=None)
    for letter in letters(engine.store):
        dead[letter.reason] += 1
        if alone is None and letter.reason == Reason.LABEL_UNMATCHED.value:
            alone = letter.event_id
    learner = states.rivals.get(states.rollout.champion or name, states.learn)
    return Summary(
        pipeline=name,
        store=str(engine.path),
        answered=answered,
        labelled=labelled,
        absent=absent,
        unlabelled=expired,
        waiting=answered - labelled - absent - expired,
        dead=dict(dead.most_common()),
        metrics=quality(engine),
        paused={} if watch is None else {name: sum(lines.values()) for name, lines in watch.shared.pausing.counts.items()},
        versions=sum(len(engine.store.versions(line)) for line in engine.store.lines()),
        learner=f"{learner.name}@{learner.position}",
        voice="the learner" if live else f"{speaks.name}@{speaks.position}",
        revision=states.rollout.revision,
        early=states.join.early_count,
        alone=alone,
        event_id=engine.ledger.prediction(0).event_id if answered and alone is not None else None,
        late=states.serve.windows.late,
        raised=_raised(engine),
        silent=max(states.watch.quality.unanswered, default=0),
        windows={one.name: one.window for one in engine.plan.watch.quality.gauges if one.window is not None},
    )


def _raised(engine: Engine) -> dict[str, tuple[int, str]]:
    """The metrics that raised: on how many examples, and what they said the first time, as their alert has it."""
    gauges, failed = engine.plan.watch.quality.gauges, engine.loop.states.watch.quality.failed
    counts = {gauge.name: count for gauge, count in zip(gauges, failed, strict=True) if count}
    if not counts:
        return {}
    said: dict[str, str] = {}
    for _, notes in noted(engine.store):
        for alert in notes.alerts:
            if alert.monitor == "watch":
                said.setdefault(alert.subject, alert.reason)
    return {name: (count, said.get(name, "")) for name, count in counts.items()}
