"""The journal told again without models: every answer is the recorded one, and the policies decide anew.

Inputs go through the loop as they did: join, watch and decide run, at the same places, so what is decided must be what was
recorded (I17), and another declaration of policies can listen and decide otherwise. It costs neither features nor models,
but where a challenger failed to learn: why is found out by letting it fail once more.

Policies are told from the last change of declaration on (`eddyline change`): what was watched and decided before it, only
the declaration of that time could say again. There it goes on with what the store remembers.

Refuses to know what listeners do with what they hear. Its memory is that of the stages, however long the journal is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import length_hint
from typing import Any, Protocol

from eddyline.engines.embedded.codec import InputCodec, ids_on_disk
from eddyline.engines.loop import FAR, Loop, Outcome, Record
from eddyline.pipeline import Pipeline
from eddyline.pipeline.meaning import require_same
from eddyline.ports import Ledger, Model
from eddyline.records import Alert, Arrival, DeadLetter, Decision, Example, Features, Output, Prediction, Reason, Rollout, Task
from eddyline.records.errors import StoreCorrupt
from eddyline.stages.commands import Command
from eddyline.stages.deciding import DecideState
from eddyline.stages.join import Joined
from eddyline.stages.learn import LearnState, Snapshot
from eddyline.stages.lines import Line, seen_by
from eddyline.stages.refuse import digest_of
from eddyline.stages.serve import Serve, ServeState
from eddyline.stages.voices import Voice
from eddyline.store.blocks import Block, ExampleRow
from eddyline.store.database import Store
from eddyline.store.declarations import Changed, Memory, last_change, memory_of
from eddyline.store.past_ledger import PastLedger
from eddyline.store.rebuild import StoredLines, reached

OnProgress = Callable[[int, int], None]


class Answers(Protocol):
    """The answers that were told so far, numbered from 0."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    def find(self, event_id: str) -> int | None:
        """The number of the answer to an event; None where it was not told."""
        ...


class Lived(Protocol):
    """Where the run itself stood."""

    @property
    def rollout(self) -> Rollout:
        """Who answered."""
        ...

    @property
    def decide(self) -> DecideState:
        """Decide's memory."""
        ...


class Teller(Protocol):
    """Whoever tells a record again. `block` is where it is told from, `watermark` event time."""

    @property
    def disk(self) -> Answers: ...
    @property
    def states(self) -> Lived: ...
    @property
    def block(self) -> int: ...
    @property
    def watermark(self) -> int: ...
    def positions(self) -> dict[str, int]:
        """Where the learner of each line stands."""
        ...


class Listener(Protocol):
    """Somebody who hears the record as the decide stage hears it."""

    def begins(self, loop: Teller) -> int:
        """Told before every part of the record; gives how many answers and truths it may have at most."""
        ...

    def failed(self, line: str, reason: str) -> None:
        """A challenger could not learn an example."""
        ...

    def command(self, command: Command, at: int, positions: Mapping[str, int], refused: str | None) -> None:
        """An operator asked for something, while the learners stood at `positions`; see `Decide.step`."""
        ...

    def measured(self, records: Sequence[Any], alerts: Sequence[Alert], dead: Sequence[DeadLetter], loop: Teller) -> None:
        """What was answered, found out, alerted and refused in this part."""
        ...

    def turned(self, loop: Teller, number: int, memory: Memory) -> None:
        """The declaration of now holds from here on, after so many changes; it heard nothing of what was before."""
        ...


@dataclass(slots=True)
class Script:
    """What a block recorded, in the order in which it is told again."""

    predictions: deque[Prediction] = field(default_factory=deque)
    refused: deque[DeadLetter] = field(default_factory=deque)
    """of the events"""
    rows: deque[ExampleRow] = field(default_factory=deque)

    def take(self, block: Block) -> None:
        """Takes the next block."""
        self.predictions.extend(block.predictions)
        self.rows.extend(block.examples)
        self.refused.extend(letter for letter in block.dead if letter.stream == "events")

    def answers(self, arrival: Arrival) -> bool:
        """Whether the next answer is that to an event."""
        return bool(self.predictions) and self.predictions[0].event_id == arrival.id

    def refuses(self, arrival: Arrival) -> bool:
        """Whether the next refusal is that of an event."""
        if not self.refused or self.refused[0].event_id != arrival.id:
            return False
        return self.refused[0].sha256 == digest_of(arrival.value)


@dataclass(frozen=True, slots=True)
class Recorded(Serve):
    """Serve, but the answer is the one that was given."""

    script: Script = field(default_factory=Script)

    def answer(self, state: ServeState, ledger: Ledger, voice: Voice, arrival: Arrival) -> Prediction | DeadLetter | None:
        """The recorded answer to an event, or its recorded refusal; None when it was answered before."""
        script = self.script
        refused = script.refuses(arrival)
        if refused or not script.answers(arrival):  # an id is answered once: where an answer is, nobody has to look for another
            slot = ledger.find(arrival.id)
            if slot is not None:
                letter = self._again(state, ledger, arrival, slot)
                return None if letter is None else script.refused.popleft()
            if refused:
                return script.refused.popleft()
            raise StoreCorrupt(f"the journal holds no answer to event {arrival.id!r} in its place\nrun eddyline verify")
        prediction = script.predictions.popleft()
        state.frontier = max(state.frontier, prediction.at)
        ledger.add(prediction, arrival)
        return prediction


class Mute:
    """A model that nobody asks: the record has its answers."""

    task = Task.CLASSIFICATION

    def predict(self, features: Features) -> Output:
        raise AssertionError("the record answers")

    def learn(self, features: Features, truth: Any) -> None:
        """It does not."""

    def sound(self, features: Features) -> bool:
        """Nothing can spoil it."""
        return True

    def save(self) -> bytes:
        """Nothing."""
        return b""

    def restored(self, state: bytes) -> Model:
        """Itself."""
        return self

    def digest(self) -> str:
        """None."""
        return ""

    def recipe(self) -> dict[str, Any]:
        """None."""
        return {}


class MuteLines(StoredLines):
    """The lines of a store, without their models; where they stood is still known."""

    def rebuild(self, line: str, position: int) -> Model:
        """Nobody has to answer."""
        return Mute()


class Retelling(Loop):
    """The loop over a recorded journal, and somebody who listens.

    Its own policies are those of the pipeline: what they decide is in `told`, to be compared with what was recorded.
    """

    def __init__(self, store: Store, pipeline: Pipeline, listener: Listener | None = None) -> None:
        require_same(store.get("parts") or {}, pipeline, store.path.name)
        plan, mute = pipeline.plan(), Mute()
        self.script = Script()
        serve = plan.serve
        recorded = Recorded(serve.maker, serve.aggregates, serve.segment, serve.lateness_us, serve.ahead_us, self.script)
        lines = {name: Line(name, mute, line.maker, line.learns, line.mode, line.share) for name, line in plan.lines.items()}
        plan = replace(plan, serve=recorded, model=mute, lines=lines)
        kept = store.checkpoint()
        disk = PastLedger(
            store, plan.join.wait_us, pipeline.event_schema.decode, on_disk=0 if kept is None else ids_on_disk(kept[1])
        )
        super().__init__(plan, self.first_states(plan), disk, MuteLines(store, plan))
        self.disk, self.store, self.codec, self.listener = disk, store, InputCodec(pipeline), listener
        self.real = StoredLines(store, pipeline.plan())
        self.failing: dict[str, LearnState] = {}
        """models of challengers that failed to learn, where they stood then"""
        self.block = 0
        self.turn = last_change(store)
        """the block from which on the present declaration holds, where that is not the first"""
        self.past = self.turn is not None
        """whether this is before it: then what was decided is not asked again"""
        self.refused: str | None = None
        """why the command of this block was refused: it comes alone"""

    @property
    def watermark(self) -> int:
        """How far event time has come."""
        return self.states.serve.frontier - self.lateness_us

    def told(self, on_progress: OnProgress | None = None) -> Iterator[tuple[Block, Outcome]]:
        """Every block with what it comes to when it is told again."""
        for block in self.store.blocks():
            self.block = block.seq
            self.script.take(block)
            self.refused = next((letter.detail for letter in block.dead if letter.stream == "commands"), None)
            records = [self.codec.decode(given) for given in block.inputs]
            self.disk.expect_rows(block.examples)
            outcome = Outcome() if block.notes.declared is not None else self.advance(records)
            self.disk.committed()
            if self.turn is not None and block.seq == self.turn.block:
                self._turn(self.turn)
            if self.script.predictions or self.script.rows or self.script.refused:
                raise StoreCorrupt(f"block {block.seq} recorded more than follows from its inputs\nrun eddyline verify")
            yield block, outcome
            if on_progress is not None:
                on_progress(block.seq, self.store.seq)

    def _turn(self, turn: Changed) -> None:
        """Goes on with what was remembered when the present declaration came."""
        memory, states, plan = memory_of(self.store, turn), self.states, self.plan
        states.watch, states.decide = plan.watch.restore(memory.watch), plan.decide.restore(memory.decide)
        states.learn.position = memory.learners[self.name]
        states.rivals = {
            line: plan.learn.new_state(Mute(), position, line)
            for line, position in memory.learners.items()
            if line != self.name
        }
        for entry in states.decide.entries.values():
            self._know(entry)
        self.take_voice()
        self.past = False
        if self.listener is not None:
            self.listener.turned(self, turn.declared.number, memory)

    # What is told otherwise than it was lived ------------------------------------------------------------------------

    def advance(self, batch: Sequence[Record]) -> Outcome:
        """As in the run; it stops where the listener looks, too."""
        out, records, decide = Outcome(), iter(batch), self.plan.decide
        self.measured = (0, 0)
        while length_hint(records):
            room = decide.room(self.states.decide) if self.deciding and not self.past else FAR
            if self.listener is not None and not self.past:
                room = min(room, self.listener.begins(self))
            self._advance(records, out, len(out.watched) + room)
            self._measure(out)
        self.plan.watch.pass_over(self.states.watch)
        return out

    def _may_stand_apart(self, rollout: Rollout) -> bool:
        """What everybody said stands in the record: nobody takes turns."""
        return False

    def _measure(self, out: Outcome) -> None:
        if self.past:
            return
        alerts, (watched, dead) = len(out.alerts), self.measured
        super()._measure(out)
        if self.listener is not None:
            self.listener.measured(out.watched[watched:], out.alerts[alerts:], out.dead[dead:], self)

    def _other(self, record: Record, joined: list[Joined], out: Outcome) -> None:
        if type(record) is DeadLetter and record.stream == "events":
            self.script.refused.popleft()
        if type(record) is Command and self.past:
            return
        if type(record) is not Command or self.listener is None:
            super()._other(record, joined, out)
            return
        self._measure(out)
        positions = self._positions()
        super()._other(record, joined, out)
        self.listener.command(record, self.states.serve.frontier, positions, self.refused)

    def _prepared(self, command: Command, positions: Mapping[str, int]) -> str | None:
        """What could not be made in the run cannot be made again; nobody is asked otherwise."""
        return self.refused or super()._prepared(command, positions)

    def _joined(self, joined: Sequence[Joined], out: Outcome) -> None:
        for record in joined:
            if type(record) is DeadLetter:
                out.dead.append(record)
                continue
            out.watched.append(record)  # type: ignore[arg-type]
            if type(record) is Example:
                out.examples.append(record)
                self._learned(record)

    def _learned(self, example: Example) -> None:
        """Moves the lines to where they stood after an example."""
        row = self.script.rows.popleft() if self.script.rows else None
        if row is None or self.disk.find(example.prediction.event_id) != row.slot or row.truth != example.truth:
            raise StoreCorrupt(
                f"the journal holds no example of {example.prediction.event_id!r} in its place\nrun eddyline verify"
            )
        if self.past:
            return
        states, decide = self.states, self.states.decide
        if row.position >= 0:
            states.learn.position = row.position
        tried = not decide.held(example) and (not example.revision or self.plan.learn.learn_revisions)
        for name, rival in states.rivals.items():
            position = reached(row, name, self.name)
            if position >= 0:
                rival.position = position
            elif tried and (features := self._could_learn(example.prediction, name)) is not None:
                reason = self._why(example, name, rival.position, features)
                decide.failed(name, reason)
                if self.listener is not None:
                    self.listener.failed(name, reason)

    def _could_learn(self, prediction: Prediction, line: str) -> Features | None:
        """What a line would have learned an example from, had it not failed; None where it was not to learn it."""
        if not self.states.decide.learns(line) or prediction.event_id in self.forgotten.get(line, ()):
            return None
        return seen_by(prediction, line, self.makers)

    def _why(self, example: Example, line: str, position: int, features: Features) -> str:
        """Why a line failed to learn an example. That is not in the journal: its model has to fail once more."""
        state = self.failing.get(line)
        if state is None or state.position != position:
            state = self.plan.learn.new_state(self.real.rebuild(line, position), position, line)
        extras: list[Snapshot | DeadLetter] = []
        self.plan.learn.one(state, example, extras, features)
        self.failing[line] = state
        return next((extra.reason for extra in extras if isinstance(extra, DeadLetter)), Reason.MODEL_FAILED.value)

    def positions(self) -> dict[str, int]:
        """Where the learner of each line stands."""
        return self._positions()


@dataclass(slots=True)
class Retold:
    """The decisions of a journal beside those that follow from it; `before` are those of declarations that were changed."""

    recorded: list[Decision] = field(default_factory=list)
    again: list[Decision] = field(default_factory=list)
    before: list[Decision] = field(default_factory=list)
    turn: Changed | None = None

    @property
    def differing(self) -> list[int]:
        """The numbers of the decisions that do not follow from the journal, in order."""
        mine, theirs = ({one.number: one for one in some} for some in (self.recorded, self.again))
        return sorted(number for number in {*mine, *theirs} if mine.get(number) != theirs.get(number))


def decided_again(store: Store, pipeline: Pipeline, on_progress: OnProgress | None = None) -> Retold:
    """Lets the pipeline's policies decide once more on the whole journal, or from the last change of declaration on (I17)."""
    retelling = Retelling(store, pipeline)
    found = Retold(turn=retelling.turn)
    for block, outcome in retelling.told(on_progress):
        if retelling.turn is not None and block.seq <= retelling.turn.block:
            found.before += block.notes.decisions
            continue
        found.recorded += block.notes.decisions
        found.again += outcome.decisions
    return found
