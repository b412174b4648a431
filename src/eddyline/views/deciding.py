"""What a report says of a pipeline with several lines: seats, decisions, incidents, quality by line, and where lines come from.

Gathered from the journal alone, so that the same store says the same; every list is bounded and says how many there are.
Quality by line is measured again over the newest examples, by the first metric. Refuses to know how a page looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from eddyline.monitors.days import day_name
from eddyline.monitors.keys import Keys
from eddyline.monitors.metrics import Gauge
from eddyline.monitors.pairs import Pairs
from eddyline.monitors.quality import Series
from eddyline.pipeline import Pipeline
from eddyline.records import ModelVersion, Prediction, Said
from eddyline.records.time import DAY_US
from eddyline.store.database import Store
from eddyline.store.declarations import former_lines
from eddyline.store.reader import PredictionReader
from eddyline.views.facts import Day, Deciding, Descent, LineQuality, Spell
from eddyline.views.incidents import Incident, incidents
from eddyline.views.ledger import Tenure, decisions, tenures
from eddyline.views.seats import seats

DECISIONS = 500
"""The newest so many decisions, and spells, are in a report; all are counted."""
INCIDENTS = 100
"""The newest so many incidents."""
MOMENTS = 100
"""The first so many lines of an incident's timeline."""
EXAMPLES = 300_000
"""The newest so many examples are measured again, by line: some seconds of work for each 100,000."""


def deciding(store: Store, pipeline: Pipeline, gauges: Sequence[Gauge]) -> Deciding | None:
    """What policies and people did; None for a pipeline with one line where nobody was to decide anything."""
    past = tenures(store, pipeline)
    seated = any(tenure.rollout.places for tenure in past)
    if not (pipeline.challengers or pipeline.decide or seated or len(store.lines()) > 1):
        return None
    made, found = decisions(store), incidents(store, pipeline)
    since = _first_block(store)
    return Deciding(
        seats=seats(store, pipeline),
        spells=spells(past)[-DECISIONS:],
        lines=by_line(_answered(store, since), gauges[0]) if gauges else [],
        lines_since=since,
        decisions=made[-DECISIONS:],
        decided=len(made),
        incidents=newest_of(found),
        happened=len(found),
        descents=_descents(store, pipeline),
    )


def spells(past: Sequence[Tenure]) -> list[Spell]:
    """Who answered and who sat beside, from when to when, in the order in which they came."""
    found: list[Spell] = []
    going_on: dict[tuple[str, str, float], int] = {}
    for tenure in past:
        held = [Spell(tenure.champion, "champion", 0.0, tenure.at, None)]
        held += [Spell(place.who, place.mode, place.share, tenure.at, None) for place in tenure.rollout.places]
        now = {(one.who, one.mode, one.share): one for one in held}
        for key in [key for key in going_on if key not in now]:
            place = going_on.pop(key)
            found[place] = msgspec.structs.replace(found[place], until=tenure.at)
        for key, spell in now.items():
            if key not in going_on:
                going_on[key] = len(found)
                found.append(spell)
    return found


def newest_of(found: list[Incident]) -> list[Incident]:
    """The newest incidents, each with the beginning of its timeline."""
    return [msgspec.structs.replace(one, timeline=one.timeline[:MOMENTS]) for one in found[-INCIDENTS:]]


def _first_block(store: Store) -> int:
    """The block from which on there are about `EXAMPLES` examples."""
    (seq,) = store.db.execute("SELECT MAX(seq) FROM blocks WHERE first_example<=?", (store.examples - EXAMPLES,)).fetchone()
    return seq or 1


def _answered(store: Store, since: int) -> Iterator[list[tuple[Prediction, Any]]]:
    """Answers with their truths, block by block."""
    reader = PredictionReader(store)
    for seq in range(since, store.seq + 1):
        yield [(reader.read(row.slot), row.truth) for row in store.examples_of(seq)]


def by_line(answered: Iterable[list[tuple[Prediction, Any]]], gauge: Gauge) -> list[LineQuality]:
    """What each line said to events that several answered, in all and by day of the event. Answers come with their truths."""
    days, overall = Series(), Series()
    for found in answered:
        spoken = [(prediction.at, one, truth) for prediction, truth in found for one in _speakers(prediction)]
        if not spoken:
            continue
        names = [one.model for _, one, _ in spoken]
        answers = [(one.scores or None) if gauge.reads_scores else one.value for _, one, _ in spoken]
        pairs = Pairs([truth for _, _, truth in spoken], [answers])
        by_day = [(name, at // DAY_US) for name, (at, _, _) in zip(names, spoken, strict=True)]
        overall.feed((gauge,), Keys.of(names), pairs)
        days.feed((gauge,), Keys.of(by_day), pairs)
    of_line: dict[str, list[Day]] = {}
    for (name, day), numbers in days.rows():
        of_line.setdefault(name, []).append(Day(day_name(day), day, *numbers[0]))
    return [LineQuality(name, *numbers[0], of_line.get(name, [])) for name, numbers in overall.rows()]


def _speakers(prediction: Prediction) -> list[Prediction | Said]:
    """Everybody who answered an event, where more than one was asked."""
    if not prediction.others:
        return []
    everybody: list[Prediction | Said] = [prediction, *prediction.others]
    return [one for one in everybody if one.value is not None]


def _descents(store: Store, pipeline: Pipeline) -> list[Descent]:
    """The first version of each line that nobody declared, in the order in which they came."""
    declared = {pipeline.name, *(f"{pipeline.name}.{one.name}" for one in pipeline.challengers), *former_lines(store)}
    found = []
    for line in store.lines():
        if line in declared:
            continue
        first = store.versions(line)[0]
        (seq,) = store.db.execute("SELECT MIN(seq) FROM versions WHERE model=? AND seq>0", (line,)).fetchone()
        kept = store.db.execute("SELECT recipe FROM recipes WHERE digest=?", (first.recipe,)).fetchone()
        lineage = json.loads(kept[0]).get("lineage", {}) if kept else {}
        found.append((seq or store.seq, line, descent_of(first, lineage)))
    return [descent for _, _, descent in sorted(found, key=lambda one: one[:2])]


def descent_of(first: ModelVersion, lineage: dict[str, Any]) -> Descent:
    """Where the first version of a line comes from, as it was registered; the lineage is empty where it was not trained."""
    learned = lineage.get("learned", {})
    return Descent(
        version=first.name,
        digest=first.digest,
        created_by=first.created_by,
        parent=first.parent,
        examples=lineage.get("examples"),
        learned=learned.get("count"),
        held_back=lineage.get("held_back"),
        seed=lineage.get("seed"),
        first_at=(learned.get("first") or {}).get("at"),
        last_at=(learned.get("last") or {}).get("at"),
        examples_digest=learned.get("digest"),
    )
