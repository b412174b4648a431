"""Which examples a model is made from, and which it is judged by: chosen from the examples log, the same every time.

Keeps `rebuild`: a choice is a function of the journal up to a block, so it can be made again, to the example. Features are
taken as they were served, or made again by a function of the user's from the journaled event and the aggregates that the
answer carries. Reads only. It knows no learning.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from eddyline.records import Features, Prediction
from eddyline.records.errors import DeclarationError, Rejected, StoreCorrupt
from eddyline.records.schema import Schema
from eddyline.records.time import show_duration, show_instant, to_us
from eddyline.stages.features import Maker, canonical, said
from eddyline.stages.lines import seen_by
from eddyline.store.blocks import ExampleRow, Kind
from eddyline.store.database import Store
from eddyline.store.reader import PredictionReader
from eddyline.store.rebuild import entered_as, forgotten
from eddyline.store.rebuild import reached as stood

_BLOCKS = 64
"""Blocks whose events are kept at hand while features are made again."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Which examples of the log: those of a `window` of event time or from an instant on, the `last` so many, a `sample`.

    Only first truths count (revision 0), and only those that a learner learned, whichever; `unlearned=True` takes those of a
    time when learning was frozen, too. Events that were forgotten are left out. What is given is applied in this order: `since`
    (a position of the learner), `from_at` (event time in µs), `window` (back from the newest event with a known truth),
    `last`, `sample` (a share of the event ids, by hash with `seed`). Of what is left, `held_back` is never learned: the last
    share in the order of the log, or with `held_back_by="sample"` a share of the event ids.

    The last share is the honest default: it comes after everything that was learned. A sample tells whether the model
    learned at all, and is too kind where the stream drifts.

    >>> from eddyline.records.time import days
    >>> Examples(window=days(30), sample=0.5).sentence()
    'a 50 % sample of the examples of the last 30 days of event time; of these, the last 20 % are held back'
    """

    window: timedelta | None = None
    last: int | None = None
    since: int | None = None
    from_at: int | None = None
    sample: float | None = None
    seed: int = 0
    held_back: float = 0.2
    held_back_by: Literal["last", "sample"] = "last"
    unlearned: bool = False

    def __post_init__(self) -> None:
        if self.window is not None and (not isinstance(self.window, timedelta) or self.window <= timedelta(0)):
            raise DeclarationError(f"examples: window={self.window!r} is not a duration\nwrite window=days(30)")
        _check_count("last", self.last, 1)
        _check_count("since", self.since, 0)
        if self.from_at is not None and type(self.from_at) is not int:
            raise DeclarationError(f"examples: from_at={self.from_at!r} is not event time in whole µs\nwrite window=days(30)")
        if self.sample is not None and not (isinstance(self.sample, float) and 0 < self.sample < 1):
            raise DeclarationError(f"examples: sample={self.sample!r} is not a share between 0 and 1\nwrite sample=0.1")
        if type(self.seed) is not int:
            raise DeclarationError(f"examples: seed={self.seed!r} is not a whole number\nwrite seed=1")
        if not isinstance(self.held_back, float | int) or not 0 <= self.held_back < 1:
            raise DeclarationError(f"examples: held_back={self.held_back!r} is not a share below 1\nwrite held_back=0.2")
        if self.held_back_by not in ("last", "sample"):
            raise DeclarationError(f'examples: held_back_by={self.held_back_by!r}\nwrite held_back_by="last" or "sample"')

    def sentence(self) -> str:
        """Which they are, for people."""
        words = "the examples" if self.last is None else f"the last {self.last:,} examples"
        if self.sample is not None:
            words = f"a {100 * self.sample:g} % sample of {words}"
        if self.window is not None:
            words += f" of the last {show_duration(to_us(self.window))} of event time"
        if self.since is not None:
            words += f" since position {self.since:,}"
        if self.from_at is not None:
            words += f" of events since {show_instant(self.from_at)}"
        if not self.held_back:
            return f"{words}; none is held back"
        which = "the last" if self.held_back_by == "last" else "a sample of"
        return f"{words}; of these, {which} {100 * self.held_back:g} % are held back"


class Chosen(NamedTuple):
    """The numbers of the chosen examples in the log (from 0, in order): to learn, and to judge by.

    `reached` is where the pipeline's own learner stood at the last one to learn.
    """

    learn: array[int]
    judge: array[int]
    reached: int


class Sample(NamedTuple):
    """One chosen example: its number in the log, the answer it is about, what the model sees of it, and the truth."""

    number: int
    row: ExampleRow
    prediction: Prediction
    features: Features | None
    """None where they cannot be had; `fault` says why"""
    fault: str


def choose(store: Store, examples: Examples, until: int, *, learns: bool = True, line: str | None = None) -> Chosen:
    """The examples of the blocks up to `until`. A model that does not learn is judged by all of them.

    `line` is whose positions `since` counts (None: the pipeline's own).

    Those of events that were forgotten by then (`eddyline forget`) are neither learned nor judged by.
    """
    unwanted = forgotten(store, until)
    numbers, reaches, ats, shares, holds = array("q"), array("q"), array("q"), array("d"), array("d")
    by_id = examples.sample is not None or examples.held_back_by == "sample"
    by_time = examples.window is not None or examples.from_at is not None
    predictions = PredictionReader(store) if by_id or by_time or unwanted else None
    reached = counted = 0
    for number, row in _log(store, 0, until):
        reached = max(reached, row.position)
        position = stood(row, line or store.pipeline, store.pipeline)
        counted = max(counted, position)
        if row.revision or not (row.position >= 0 or row.also or examples.unlearned):
            continue
        if examples.since is not None and (counted < examples.since if position < 0 else position <= examples.since):
            continue
        prediction = None if predictions is None else predictions.read(row.slot)
        if prediction is not None and prediction.event_id in unwanted:
            continue
        numbers.append(number)
        reaches.append(reached)
        if prediction is not None:
            ats.append(prediction.at)
            if by_id:
                shares.append(_share(prediction.event_id, examples.seed, "sample"))
                holds.append(_share(prediction.event_id, examples.seed, "held back"))
    places: Sequence[int] = range(len(numbers))
    if examples.from_at is not None:
        places = [place for place in places if ats[place] >= examples.from_at]
    if examples.window is not None and ats:
        start = max(ats) - to_us(examples.window)
        places = [place for place in places if ats[place] > start]
    if examples.last is not None:
        places = places[-examples.last :]
    if examples.sample is not None:
        places = [place for place in places if shares[place] < examples.sample]
    if not learns:
        return Chosen(array("q"), array("q", (numbers[place] for place in places)), 0)
    if examples.held_back_by == "sample":
        back = [place for place in places if holds[place] < examples.held_back]
        learn = [place for place in places if holds[place] >= examples.held_back]
    else:
        cut = len(places) - math.ceil(len(places) * examples.held_back)
        learn, back = list(places[:cut]), list(places[cut:])
    known = reaches[learn[-1]] if learn else 0
    return Chosen(array("q", (numbers[place] for place in learn)), array("q", (numbers[place] for place in back)), known)


def position_at(store: Store, line: str, number: int) -> int:
    """Where a line stood after an example of the log; where it began, if it took its place after that."""
    row = store.db.execute("SELECT max(seq) FROM blocks WHERE first_example<=?", (number,)).fetchone()
    began = entered_as(store, line).position
    kept = "SELECT seq FROM versions WHERE model=? AND position=?"
    (block,) = store.db.execute(kept, (line, began)).fetchone()
    for seq in range(int(row[0] or 0), max(0, block - 1), -1):
        (first,) = store.db.execute("SELECT first_example FROM blocks WHERE seq=?", (seq,)).fetchone()
        rows = store.examples_of(seq)[: number - first + 1]
        position = max((stood(one, line, store.pipeline) for one in rows), default=-1)
        if position >= 0:
            return max(position, began)
    return began


class Reader:
    """Reads chosen examples with the features that one line sees, or that a function makes again.

    With `maker`, features are made again from the event, which `schema` reads in the journal, and from the aggregates that its
    answer carries, so a function may ask for any aggregate of the pipeline. Without, they are those that `line` was served, or
    another line that sees the same; `makers` tells who does.
    """

    def __init__(
        self,
        store: Store,
        line: str,
        makers: dict[str, Maker | None],
        maker: Maker | None = None,
        schema: Schema | None = None,
    ) -> None:
        self.store = store
        self.line, self.makers, self.maker, self.schema = line, makers, maker, schema
        self.predictions = PredictionReader(store)
        self.events: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self.orders: dict[tuple[str, ...], tuple[str, ...]] = {}

    def read(self, numbers: Sequence[int]) -> Iterator[Sample]:
        """The examples with these numbers, which ascend."""
        if not numbers:
            return
        wanted = iter(numbers)
        number: int | None = next(wanted)
        for here, row in _log(self.store, numbers[0], self.store.seq):
            if here == number:
                prediction = self.predictions.read(row.slot)
                features, fault = self._features(row.slot, prediction)
                yield Sample(here, row, prediction, features, fault)
                number = next(wanted, None)
                if number is None:
                    return
        raise StoreCorrupt(f"store {self.store.path.name}: the examples log ends before example {number}\nrun eddyline verify")

    def _features(self, slot: int, prediction: Prediction) -> tuple[Features | None, str]:
        if self.maker is None:
            features = seen_by(prediction, self.line, self.makers)
            return features, "" if features is not None else f"nobody who sees as {self.line} does was asked"
        try:
            event = self._event(slot, prediction.event_id)
            seen = prediction.aggregates or {}
            raw = self.maker.features(event, **{name: seen[name] for name in self.maker.wanted})
            return (dict(raw) if self.maker.trusted else canonical(raw, self.orders)), ""
        except Rejected as rejected:
            return None, writable(rejected.detail)
        except Exception as error:  # the user's function: whatever it raises is the answer's fault, not ours
            return None, writable(f"features({prediction.event_id!r}): {said(error)}")

    def _event(self, slot: int, event_id: str) -> Any:
        """The journaled event behind an answer: the first one with its id in the block that answered."""
        seq, _ = self.store.seq_of_slot(slot)
        events = self.events.get(seq)
        if events is None:
            events = self.events[seq] = self._events_of(seq)
            if len(self.events) > _BLOCKS:
                self.events.popitem(last=False)
        if event_id not in events:
            raise StoreCorrupt(f"store {self.store.path.name}: block {seq} answers {event_id!r} and does not hold it")
        return events[event_id]

    def _events_of(self, seq: int) -> dict[str, Any]:
        assert self.schema is not None, "who makes features again reads events"
        events: dict[str, Any] = {}
        for given in self.store.block(seq).inputs:
            if given.kind == Kind.EVENT:
                try:
                    arrival = self.schema.decode(given.raw)
                except Rejected:
                    continue  # it is in the dead letters, and nothing answered it
                events.setdefault(arrival.id, arrival.value)
        return events


def writable(text: str) -> str:
    """What a user's code said, as text that can be written down: a lone surrogate cannot."""
    return text.encode(errors="backslashreplace").decode()


def _log(store: Store, start: int, until: int) -> Iterator[tuple[int, ExampleRow]]:
    """The examples log from a number on, up to the end of a block: (number, row)."""
    row = store.db.execute(
        "SELECT seq, first_example FROM blocks WHERE first_example<=? ORDER BY first_example DESC, seq DESC LIMIT 1", (start,)
    ).fetchone()
    if row is None:
        return
    first, number = int(row[0]), int(row[1])
    for seq in range(first, until + 1):
        for one in store.examples_of(seq):
            if number >= start:
                yield number, one
            number += 1


def _share(event_id: str, seed: int, purpose: str) -> float:
    """Where an event id falls in [0, 1): the same in every process, and another place for every seed and purpose."""
    taken = hashlib.blake2b(event_id.encode(), digest_size=8, key=f"{purpose} {seed}".encode()[:64]).digest()
    return int.from_bytes(taken, "big") / 2.0**64


def _check_count(word: str, value: int | None, least: int) -> None:
    if value is not None and (type(value) is not int or value < least):
        raise DeclarationError(f"examples: {word}={value!r} is not a whole number from {least}\nwrite {word}=50_000")
