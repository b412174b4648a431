"""What a change of declaration means, in a sentence for each thing that comes, goes, or is another one from here on.

The sentences are shown before the change and kept in the journal with it. Says; compares nothing but names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from eddyline.pipeline.changes import told
from eddyline.pipeline.declaration import Pipeline
from eddyline.pipeline.meaning import meaning, part_of
from eddyline.pipeline.turning import Turn, rules_in
from eddyline.records.time import durations_in_words
from eddyline.stages.carry_watch import Layout, layout_of, places_of


@dataclass(frozen=True, slots=True)
class Facts:
    """Where a change meets the stream: after how many answers, where the lines that leave stand, what metrics came to.

    `frozen_by` is who froze learning, where it is frozen, `former` the line of the champion before.
    """

    answers: int
    positions: Mapping[str, int] = field(default_factory=dict)
    stood: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    frozen_by: str | None = None
    former: str | None = None


def sentences(turn: Turn, was: Mapping[str, str], layout: Layout, pipeline: Pipeline, facts: Facts) -> list[str]:
    """Everything that changes, a sentence each."""
    found = [
        *_watched(turn, layout, pipeline, facts),
        *_challengers(turn, was, pipeline, facts),
        *_policies(turn, was, pipeline),
    ]
    now = meaning(pipeline)
    for part in ("look_every", "publish", "versions"):
        before, after = part_of(was, part), part_of(now, part)
        if before is not None and after is not None:
            found += told(part, before, after)
    if facts.frozen_by is not None and facts.frozen_by not in rules_in(now):
        found.append(f"learning stays frozen, by {facts.frozen_by}, which is no more: eddyline resume FILE lets it go on")
    if not any(line.startswith(_WATCHED) for line in found):  # such as the bound on segments
        found += told("watch", part_of(was, "watch"), part_of(now, "watch"))
    return [durations_in_words(line) for line in found]


_WATCHED = ("metric", "monitor", "drift", "segments", "numbers by")


def _watched(turn: Turn, was: Layout, pipeline: Pipeline, facts: Facts) -> Iterator[str]:
    now = layout_of(pipeline.plan().watch)
    old, new = [name for name, _ in was.metrics], [name for name, _ in now.metrics]
    yield from (f"metric {name}: counted from here on" for name in _came(old, new))
    for name in _came(new, old):
        value, count = facts.stood.get(name, (None, 0))
        stood = "" if value is None else f"; it stands at {value:.6g} over {count:,} examples"
        yield f"metric {name}: counted no more{stood}"
    if old[:1] != new[:1] and old and new:
        yield f"numbers by line and by day of the label: those of {new[0]} from here on, which is the first metric now"
    if not turn.same_segments:
        yield f"segments: {_by(pipeline)} from here on; what was kept by segment begins anew"
    for name in _came(was.features, now.features):
        yield f"drift of {name}: watched from here on"
    for name in _came(now.features, was.features):
        yield f"drift of {name}: watched no more"
    if was.error != now.error:
        yield f"drift of the error: watched {'from here on' if now.error else 'no more'}"
    yield from _monitors(turn, was, now)


def _monitors(turn: Turn, was: Layout, now: Layout) -> Iterator[str]:
    yield from (f"monitor {name}: begins here" for name in _came(was.monitors, now.monitors))
    yield from (f"monitor {name}: is no more; its alerts stay in the journal" for name in _came(now.monitors, was.monitors))
    old, new = was.host["monitors"], now.host["monitors"]
    tick, ticks = now.host["tick"], was.host["tick"]
    later = f", or with the next tick of {tick:,} records" if old and tick == ticks else ""
    yield from (f"monitor {name}: begins here{later}" for name in _came(old, new))
    yield from (f"monitor {name}: is no more; its alerts stay in the journal" for name in _came(new, old))
    going_on = [(name, old.index(name)) for name in new if name in old]
    for name, place in going_on:
        if tick != ticks:
            yield f"monitor {name}: begins anew, for a tick is {tick:,} records now, and was {ticks:,}"
        elif was.host["segmental"][place] and not turn.same_segments:
            yield f"monitor {name}: begins anew, for segments are others now"


def _challengers(turn: Turn, was: Mapping[str, str], pipeline: Pipeline, facts: Facts) -> Iterator[str]:
    for one in turn.came:
        how = one.sentence().partition(" ")[2]
        yield (
            f"challenger {one.name}: enters after {facts.answers:,} answers as {pipeline.name}.{one.name}@0, its model as "
            f"the file has it (untrained, unless it was fitted there); {how}"
        )
    for line in turn.left:
        name, at = line.partition(".")[2], facts.positions.get(line)
        ends = "" if at is None else f" at {line}@{at}"
        yield f"challenger {name}: ends{ends}; its versions can still be made again, and its name is taken for ever"
        if line == facts.former:
            yield f"challenger {name}: it was the champion before, and there is nobody to roll back to now"
    for line, place in turn.asked.items():
        name = line.partition(".")[2]
        share = "" if place.mode == "shadow" else f" for {100 * place.share:g} % of keys"
        anew = "; its contests begin anew where that changes how it is compared" if place.mode == "split" else ""
        yield f"challenger {name}: asked as {place.mode}{share} from here on, where it has a seat{anew}"
    for line, learns in turn.learns.items():
        yield f"challenger {line.partition('.')[2]}: {'learns' if learns else 'stays as it is'} from here on"


def _policies(turn: Turn, was: Mapping[str, str], pipeline: Pipeline) -> Iterator[str]:
    before, now = rules_in(was), rules_in(meaning(pipeline))
    for called, rule in now.items():
        if called not in before:
            yield f"policy {called}: begins here, with no evidence yet"
        elif called not in turn.kept:
            differs = [line.removeprefix(": ") for line in told("", before[called], rule)]
            yield f"policy {called}: {'; '.join(differs)}; its evidence and cool-downs start anew"
    for called in before:
        if called not in now:
            yield f"policy {called}: is no more; its decisions stay in the ledger"
    going_on = [called for called in now if called in turn.kept]
    if going_on and before != now:
        yield f"policies that go on with their evidence: {', '.join(going_on)}"


def _came(was: Sequence[str], now: Sequence[str]) -> list[str]:
    """The names that are new."""
    return [name for name, place in zip(now, places_of(was, now), strict=True) if place is None]


def _by(pipeline: Pipeline) -> str:
    segment = pipeline.watch.segment
    if segment is None:
        return "none"
    return f"by {segment}" if isinstance(segment, str) else f"by {getattr(segment, '__name__', 'a function')}()"
