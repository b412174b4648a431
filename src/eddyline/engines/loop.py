"""The loop: calls the five stages in the one order that the streams prescribe, and collects what they said.

It owns the stages' memories and nothing else: no file, no clock, no thread. Whoever calls it hands inputs in their order
and commits what comes back. Because every answer is a function of the inputs before it, the same inputs give the same
outcome in a live run, in recovery, in an audit and in a test; however they are cut into batches (`split`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import length_hint
from typing import Protocol

from eddyline.engines.turns import Line, Turns
from eddyline.pipeline import Plan
from eddyline.ports import Ledger, Model
from eddyline.records import (
    Alert,
    Arrival,
    DeadLetter,
    Decision,
    Example,
    Prediction,
    Rollout,
    Unlabelled,
    Watermark,
)
from eddyline.records.errors import EddylineError, NotFound, StoreCorrupt
from eddyline.stages.commands import LIVE, Command, version_of
from eddyline.stages.decide import FAILURES, Decided
from eddyline.stages.deciding import DecideState
from eddyline.stages.features import Maker
from eddyline.stages.join import Joined, JoinState
from eddyline.stages.learn import ENTERED, LearnState, Snapshot
from eddyline.stages.lines import Entry, Step
from eddyline.stages.serve import ServeState
from eddyline.stages.voices import Seat, Voice
from eddyline.stages.watch import WatchState

FAR = 2**62
_UNFORGET = "to have it asked all the same, say --unforget"
Record = Arrival | Command | Watermark | DeadLetter
"""What may arrive: an event or a label (an arrival with a truth), a command, a watermark, or what was refused at the door."""


class Lines(Protocol):
    """What the loop asks of the past: versions of lines, and what a line learned. It is told only what was committed before."""

    def enter(self, entry: Entry) -> None:
        """Told that a line has entered: from here on its versions can be asked for."""
        ...

    def former(self) -> Mapping[str, Maker | None]:
        """The lines that are declared no more, and how they saw: None for as the pipeline does."""
        ...

    def skipped(self) -> Mapping[str, frozenset[str]]:
        """The events that lines which were declared while the stream ran never learn."""
        ...

    def holds(self, version: str, positions: Mapping[str, int]) -> bool:
        """Whether a version can be made, while the learners stand at `positions`: it was reached, or its bytes are here."""
        ...

    def digest(self, version: str) -> str:
        """The digest that a version was registered with."""
        ...

    def rebuild(self, line: str, position: int) -> Model:
        """The model of a line at a position."""
        ...

    def learned(self, version: str, events: Collection[str]) -> str | None:
        """The first of some events that a version learned; None where it learned none."""
        ...

    def past(self, line: str, after: int, until: int) -> Iterator[Step]:
        """What a line learned after one position, up to another."""
        ...


@dataclass(slots=True)
class Outcome:
    """What a batch came to, in order.

    `positions` runs beside `examples`: where the learner stood after each, or -1; `also` where the other lines stood,
    None where none learned it.
    """

    predictions: list[Prediction] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    also: list[dict[str, int] | None] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    rollouts: list[Rollout] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    entered: list[Entry] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    watched: list[Prediction | Example | Unlabelled] = field(default_factory=list)


@dataclass(slots=True)
class States:
    """The memories of the five stages. `rivals` are the learners of the other lines, by name."""

    serve: ServeState
    join: JoinState
    learn: LearnState
    watch: WatchState
    decide: DecideState
    rivals: dict[str, LearnState] = field(default_factory=dict)

    @property
    def rollout(self) -> Rollout:
        """Who answers now."""
        return self.decide.rollout


class Loop:
    """Five stages over one stream of inputs. `lines` gives versions for rollouts that name one, and what newcomers catch up."""

    def __init__(self, plan: Plan, states: States, ledger: Ledger, lines: Lines) -> None:
        self.plan = plan
        self.states = states
        self.ledger = ledger
        self.lines = lines
        self.name = plan.decide.model
        self.lateness_us = max(plan.serve.lateness_us, plan.join.lateness_us)
        self.due = plan.join.next_due(states.join, ledger)
        self.extras: list[Snapshot | DeadLetter] = []
        self.pinned: dict[str, Model] = {}
        self.newcomer: LearnState | None = None
        self.turns = Turns()
        self.measured = (0, 0)
        """how much of an outcome was shown to watch: records, and dead letters"""
        self.live: list[tuple[Voice | Seat, LearnState]] = []
        self.former = dict(lines.former())
        self.makers: dict[str, Maker | None] = {**self.former, **{name: line.maker for name, line in plan.lines.items()}}
        self.forgotten: dict[str, frozenset[str]] = dict(lines.skipped())
        self.seeing = self.makers if len({id(maker) for maker in self.makers.values()}) > 1 else None
        """the makers, where not all lines see the same features; newcomers see as a line that is there"""
        for entry in states.decide.entries.values():
            self._know(entry)
        self.voice = Voice(states.learn.model, self.name, states.learn.position, states.rollout.revision)
        self.take_voice()

    @staticmethod
    def first_states(plan: Plan) -> States:
        """The memories before the first input."""
        own = plan.decide.model
        rivals = (line for name, line in plan.lines.items() if name != own)
        return States(
            serve=plan.serve.new_state(),
            join=plan.join.new_state(),
            learn=plan.learn.new_state(plan.model, name=own),
            watch=plan.watch.new_state(),
            decide=plan.decide.new_state(),
            rivals={line.name: plan.learn.new_state(line.model, name=line.name) for line in rivals},
        )

    def advance(self, batch: Sequence[Record]) -> Outcome:
        """Takes a batch of inputs in order. Where somebody decides, it stops at every look to let them."""
        out = Outcome()
        records = iter(batch)
        self.measured = (0, 0)
        while length_hint(records):
            room = self.plan.decide.room(self.states.decide) if self.deciding else FAR
            self._advance(records, out, len(out.watched) + room)
            self._measure(out)
        self.plan.watch.settle(self.states.watch)
        return out

    @property
    def deciding(self) -> bool:
        """Whether anybody looks: a policy is declared, or somebody has a seat beside the champion."""
        return bool(self.plan.decide.policies or self.states.rollout.places)

    def _measure(self, out: Outcome) -> None:
        """Shows watch, and whoever decides, what came since the last time; lets them look when it is time to."""
        self._take_turns(out)
        watched, dead = self.measured
        self.measured = len(out.watched), len(out.dead)
        records = out.watched[watched:] if watched else out.watched
        alerts = self.plan.watch.notice(self.states.watch, records)
        out.alerts += alerts
        if not self.deciding:
            return
        decide, state = self.plan.decide, self.states.decide
        if decide.take(state, records, alerts, out.dead[dead:]):
            self._effect(decide.look(state, self.states.serve.frontier - self.lateness_us), out)

    def _advance(self, batch: Iterator[Record], out: Outcome, until: int) -> None:
        """Takes inputs up to the end of a batch, its first command, or where `until` records are to be watched."""
        states, ledger, voice = self.states, self.ledger, self.voice
        answer, hear = self.plan.serve.answer, self.plan.join.label
        serve, join, wait_us = states.serve, states.join, self.plan.join.wait_us
        joined: list[Joined] = []
        for record in batch:
            if type(record) is not Arrival:
                self._other(record, joined, out)
            elif record.truth is None:
                prediction = answer(serve, ledger, voice, record)
                if type(prediction) is Prediction:
                    out.predictions.append(prediction)
                    out.watched.append(prediction)
                    if voice.aside:
                        self.turns.waiting.append(prediction)
                    if join.early:
                        self.plan.join.answered(join, ledger, prediction, joined)
                    if record.at + wait_us < self.due:
                        self.due = record.at + wait_us
                    if serve.frontier - self.lateness_us >= self.due or join.watermark >= self.due:
                        self._time_passes(joined)
                elif prediction is not None:
                    out.dead.append(prediction)  # type: ignore[arg-type]
                    until -= prediction.reason in FAILURES  # type: ignore[union-attr]
            else:
                # Join is told the time only when something falls due; a label is judged by what it is now.
                if serve.frontier - self.lateness_us > join.watermark:
                    join.watermark = serve.frontier - self.lateness_us
                hear(join, ledger, record, joined)
                if join.early or join.held:
                    self.due = min(self.due, self.plan.join.next_due(join, ledger))
            if joined:
                self._joined(joined, out)
                joined.clear()
            if len(out.watched) >= until or type(record) is Command:
                return

    def _time_passes(self, joined: list[Joined], watermark: int | None = None) -> None:
        """Tells join how far event time has come, because something falls due."""
        if watermark is None:
            watermark = self.states.serve.frontier - self.lateness_us
        joined += self.plan.join.step(self.states.join, self.ledger, [Watermark(watermark)])
        self.due = self.plan.join.next_due(self.states.join, self.ledger)

    # Learning --------------------------------------------------------------------------------------------------------

    def _joined(self, joined: Sequence[Joined], out: Outcome) -> None:
        extras, decide, learn, own = self.extras, self.states.decide, self.plan.learn, self.states.learn
        for record in joined:
            if type(record) is Example:
                number = len(out.examples)
                out.examples.append(record)
                out.watched.append(record)
                out.also.append(None)
                held = decide.holding and decide.held(record)
                still = held or own.name in decide.still
                out.positions.append(-1 if still else learn.as_seen(own, record, extras, self.seeing))
                if self.states.rivals and not held:
                    if self.apart:
                        self.turns.waiting.append(number)
                    else:
                        out.also[number] = self._rivals(record, out)
                for extra in extras:
                    if type(extra) is not Snapshot:
                        out.dead.append(extra)  # type: ignore[arg-type]
                    elif self.apart:
                        self.turns.own.append((number, own.name, extra))
                    else:
                        out.snapshots.append(extra)
                extras.clear()
            elif type(record) is Unlabelled:
                out.watched.append(record)
            else:
                out.dead.append(record)  # type: ignore[arg-type]
        self._refresh()

    def _rivals(self, example: Example, out: Outcome) -> dict[str, int] | None:
        """Lets every other line that learns it have an example at once; where each stands after it."""
        decide, event_id, failed = self.states.decide, example.prediction.event_id, list[tuple[str, str]]()
        learning = [
            state
            for name, state in self.states.rivals.items()
            if name not in decide.still and event_id not in self.forgotten.get(name, ())
        ]
        reached = self.plan.learn.beside(learning, example, self.seeing, out.snapshots, failed)
        for name, reason in failed:
            decide.failed(name, reason)
        return reached

    def _take_turns(self, out: Outcome) -> None:
        """Lets those beside the champion answer and learn what has come since the last time."""
        if not self.turns.waiting and not self.turns.own:
            return
        decide, aside = self.states.decide, self.voice.aside
        seats = {seat.who: number for number, seat in enumerate(aside)}
        lines = [
            Line(None if name in decide.still else state, seats.pop(name, None), self.forgotten.get(name, ()))
            for name, state in self.states.rivals.items()
        ]
        lines += [Line(None, seat) for seat in seats.values()]
        came = self.turns.take(self.plan.learn, lines, aside, out.examples, out.also)
        out.snapshots += came.snapshots
        for name, reason in came.failed:
            decide.failed(name, reason)

    # Commands and decisions ------------------------------------------------------------------------------------------

    def _other(self, record: Record, joined: list[Joined], out: Outcome) -> None:
        if type(record) is Watermark:
            self._time_passes(joined, record.at)
        elif type(record) is Command:
            self._measure(out)  # what came before it was answered and judged under the rollout before it
            positions, state = self._positions(), self.states.decide
            problem = self._prepared(record, positions)
            at = self.states.serve.frontier
            self._effect(self.plan.decide.step(state, record, at, positions, problem=problem), out)
        else:
            out.dead.append(record)  # type: ignore[arg-type]

    def _positions(self) -> dict[str, int]:
        """Where the learner of each line stands, those that have ended too."""
        states = self.states
        rivals = {name: state.position for name, state in states.rivals.items()}
        return {**states.decide.ended, **rivals, self.name: states.learn.position}

    def _effect(self, decided: Sequence[Decided], out: Outcome) -> None:
        """Makes true what was decided: lines come and go, and the voices are those of the rollout."""
        for one in decided:
            if type(one) is Rollout:
                out.rollouts.append(one)
            elif type(one) is Decision:
                out.decisions.append(one)
            elif type(one) is Entry:
                self._enter(one, out)
            else:
                out.dead.append(one)  # type: ignore[arg-type]
        if any(type(one) is Rollout for one in decided):
            self.states.decide.end(self.states.rivals)
            self.take_voice()

    def _prepared(self, command: Command, positions: Mapping[str, int]) -> str | None:
        """Makes the models that a command needs, before anything changes; why it cannot be obeyed, where it cannot."""
        problem = self.plan.decide.problem(self.states.decide, command, positions)
        if problem is not None or command.do not in ("roll_out", "enter"):
            return problem
        try:
            problem = self._unseeing(command) or self._unforgotten(command, positions)
            if problem is not None:
                return problem
            for who in (command.to, "" if command.place is None else command.place.who):
                if "@" in who and who not in self.pinned:
                    self.pinned[who] = self.lines.rebuild(*version_of(who))
            if command.entry is not None:
                self.newcomer = self._made(command.entry, positions)
        except Exception as error:
            return f"a version that it needs cannot be made: {type(error).__name__}: {error}"
        return None

    def _unseeing(self, command: Command) -> str | None:
        """Why nobody may be asked whom a command names: what he sees went with his declaration."""
        entry, place = command.entry, command.place
        for who in (command.to, "" if place is None else place.who, "" if entry is None else entry.like):
            line = who.rpartition("@")[0] or who
            if self.former.get(line) is not None or (line in self.former and entry is not None):
                return f"{line} is declared no more, and how it made features went with that; its versions can be looked at"
        return None

    def _unforgotten(self, command: Command, positions: Mapping[str, int]) -> str | None:
        """Why nobody may be asked whom a command names: he learned what was to be forgotten."""
        events = frozenset(event for entry in self.states.decide.entries.values() for event in entry.skip)
        if not events or command.unforget:
            return None
        entry, place = command.entry, command.place
        to = self.name if command.to == LIVE else command.to
        for who in (to, "" if place is None else place.who, "" if entry is None else entry.start):
            line = who.rpartition("@")[0] or who
            if line not in positions:
                continue  # nobody, or the newcomer, whose bytes were made without
            try:
                event = self.lines.learned(who if "@" in who else f"{who}@{positions[who]}", events)
            except EddylineError as error:
                return f"{str(error).splitlines()[0]}, and events were to be forgotten; {_UNFORGET}"
            if event is not None:
                return f"{who} learned event {event!r}, which was to be forgotten; {_UNFORGET}"
        return None

    def _made(self, entry: Entry, positions: Mapping[str, int]) -> LearnState:
        """A newcomer, made of its bytes and what the line that it comes from learned since."""
        if not self.lines.holds(entry.start, positions):
            raise NotFound(f"{entry.start} does not exist, and {entry.name} was to start from it")
        self.lines.enter(entry)
        name, position = version_of(entry.start)
        if entry.digest and self.lines.digest(entry.start) != entry.digest:
            raise StoreCorrupt(f"{entry.start} has another digest than {entry.name} was to start from")
        model = self.lines.rebuild(name, position)
        if entry.after is not None:
            source, known = version_of(entry.after)
            for step in self.lines.past(source, known, positions[source]):
                if step.event_id not in entry.skip:
                    model.learn(step.features, step.truth)
                    position += 1
        return self.plan.learn.new_state(model, position, entry.name)

    def _enter(self, entry: Entry, out: Outcome) -> None:
        """A newcomer takes its place, as it was made a moment ago."""
        state = self.newcomer
        assert state is not None, "a line enters that was not made"
        self.newcomer = None
        self._know(entry)
        self.states.rivals[entry.name] = state
        position, model = state.position, state.model
        created_by = f"{ENTERED} from {entry.start}"
        out.snapshots.append(Snapshot(position, state.saved, model.digest(), entry.name, created_by))
        out.entered.append(entry)

    def _know(self, entry: Entry) -> None:
        """Remembers a newcomer: how it sees, and whose events it shall never learn."""
        self.lines.enter(entry)
        self.makers[entry.name] = self.makers[entry.like]
        if entry.like in self.former:
            self.former[entry.name] = self.former[entry.like]
        if entry.skip:
            self.forgotten[entry.name] = frozenset(entry.skip)

    # Voices ----------------------------------------------------------------------------------------------------------

    def take_voice(self) -> None:
        """Makes the voices what the rollout says: a line's learner, what it last published, or a version by name."""
        voice, rollout = self.voice, self.states.rollout
        self.live.clear()
        names = [rollout.champion, *(place.who for place in rollout.places)]
        self.pinned = {name: model for name, model in self.pinned.items() if name in names}
        voice.revision, voice.salt = rollout.revision, rollout.salt
        self._speak(voice, rollout.champion or self.name)
        seats = []
        for place in rollout.places:
            seat = Seat(voice.model, place.who, 0, place.mode, place.share, place.who)
            self._speak(seat, place.who)
            seats.append(seat)
        self.apart = self._may_stand_apart(rollout)
        voice.seats, voice.aside = ((), tuple(seats)) if self.apart else (tuple(seats), ())
        self._refresh()

    def _may_stand_apart(self, rollout: Rollout) -> bool:
        """Whether all others may take turns: no answer of theirs is returned, all lines see the same, and the line that learns
        at once, the pipeline's own, is not among them.
        """
        champion = rollout.champion or self.name
        shadows = all(place.mode == "shadow" and place.who != self.name for place in rollout.places)
        return shadows and self.seeing is None and (champion == self.name or "@" in champion)

    def _speak(self, voice: Voice | Seat, who: str) -> None:
        """Lets one voice speak for a version, or for a line as it stands."""
        if "@" in who:
            voice.name, voice.position = version_of(who)
            if who not in self.pinned:
                self.pinned[who] = self.lines.rebuild(voice.name, voice.position)
            voice.model = self.pinned[who]
        else:
            voice.name = who
            learner = self.states.learn if who == self.name else self.states.rivals[who]
            self.live.append((voice, learner))
        voice.maker = self.makers[voice.name]

    def _refresh(self) -> None:
        """Lets the voices that speak for a line say what it knows now."""
        for voice, learn in self.live:
            voice.model, voice.position = learn.speaks
