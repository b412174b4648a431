"""The examples log of a job as a store: the door through which trainings, gates and proofs read topics as they read a store.

The truth is in the topics; this is a copy for those who ask by position, in order, and more than once. Each call goes on where
the copy ends, one transaction at a time, so it can be killed at any moment. The order is that of `<pipeline>.taken`. Examples
carry their answers; other answers, events and labels stay where they are, so a copy cannot be run on, verified or told again.
Of the versions it keeps one every `versions=Versions(every=...)` examples, and those of lines that entered.

Keeps `rebuild`. Refuses a log whose beginning the broker has let go of. Trains nothing and asks nobody for anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink import taken
from eddyline.engines.flink.declared import TAKEN_UP
from eddyline.engines.flink.learn import recipe_of
from eddyline.models.fingerprint import fingerprint
from eddyline.pipeline import Pipeline, Plan
from eddyline.pipeline.meaning import changed_parts, meaning
from eddyline.records import Decision, ModelVersion, Prediction, Rollout
from eddyline.records.errors import SourceError, StoreMismatch
from eddyline.stages.commands import Command, version_of
from eddyline.stages.learn import ENTERED
from eddyline.stages.lines import Entry
from eddyline.stages.refuse import digest_of
from eddyline.store import blocks
from eddyline.store.blocks import ExampleRow, Notes
from eddyline.store.database import Store, content_digest
from eddyline.store.rebuild import kept_entries
from eddyline.store.retold import lineage_key

STREAMS = ("dead_letters", "versions", "rollouts", "decisions", "examples", "taken")
"""What is read, in this order: when the order of inputs is read, what it names is there, but for a commit under way."""
ROWS = 2_000
"""Messages, or examples, that are taken in one transaction."""
_TABLES = """
CREATE TABLE IF NOT EXISTS coming_examples(id TEXT, revision INTEGER, raw BLOB, PRIMARY KEY (id, revision)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coming_taken(first INTEGER PRIMARY KEY, at REAL, raw BLOB);
CREATE TABLE IF NOT EXISTS coming_versions(model TEXT, position INTEGER, raw BLOB, PRIMARY KEY (model, position));
CREATE TABLE IF NOT EXISTS coming_decided(kind TEXT, number INTEGER, raw BLOB, PRIMARY KEY (kind, number));
CREATE TABLE IF NOT EXISTS refused_commands(sha TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_COMMANDS = b'{"stream":"commands"'


class Sent(NamedTuple):
    """One committed message: of which stream, where it stood, when the broker took it (s since 1970), and what it says."""

    stream: str
    partition: int
    offset: int
    at: float
    value: bytes


class _Gathered(NamedTuple):
    """What becomes one block."""

    rows: list[ExampleRow]
    predictions: list[Prediction]
    entered: list[Entry]
    until: int
    """how many inputs had been taken at its end"""
    at: float
    records: int
    """how many of these inputs were answers, truths and failures"""


class LogCopy:
    """The copy of one job's log at a path, for its one writer; anybody may read `store` beside it.

    Give it messages with `take`, in any number, then `settle` what is whole. What cannot be placed yet, because another
    topic is behind, waits in the file.

    >>> import tempfile
    >>> from river import dummy
    >>> from eddyline import memory
    >>> from eddyline.records import Example
    >>> from eddyline.testing import Case, Verdict
    >>> cases = Pipeline(name="cases", events=memory([], Case), labels=memory([], Verdict),
    ...                  model=dummy.NoChangeClassifier())
    >>> said = Prediction("a", "a", 0, {}, None, None, None, "cases", 0, 0)
    >>> example = wire.encode_example(Example(said, "yes", "label", 5), position=1)
    >>> order = taken.encode(taken.Taken(0, 5, [taken.Truth("a", 0)]))
    >>> with tempfile.TemporaryDirectory() as folder, LogCopy(cases, Path(folder) / "log.eddyline") as copy:
    ...     copy.take([Sent("taken", 0, 0, 0.0, order)])
    ...     print(copy.settle())  # the example has not come yet
    ...     copy.take([Sent("examples", 0, 0, 0.0, example)])
    ...     print(copy.settle(), copy.position("cases"), copy.offsets)
    0
    1 1 {'taken/0': 1, 'examples/0': 1}
    """

    def __init__(self, pipeline: Pipeline, path: Path) -> None:
        self.pipeline, self.plan = pipeline, pipeline.plan()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.store = Store.write(path, pipeline=pipeline.name)
        try:
            self._prepare()
        except BaseException:
            self.store.close()
            raise

    def close(self) -> None:
        """Lets the next one in."""
        self.store.close()

    def __enter__(self) -> LogCopy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        store, db = self.store, self.store.db
        kept, declared = store.get("parts"), meaning(self.pipeline)
        if (kept is not None or store.seq) and not store.get("copy"):
            raise StoreMismatch(
                f"{store.path} is the store of an engine, not a copy of topics\nname another folder: --work DIR"
            )
        changed = [] if kept is None else changed_parts(kept, self.pipeline)
        if not set(changed) <= set(TAKEN_UP):
            raise StoreMismatch(
                f"{store.path} was copied for another declaration of {self.pipeline.name}, which differs in "
                f"{', '.join(changed)}\nname another folder: --work DIR; a copy is made again from the topics"
            )
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                db.execute(statement)
        with store.transaction():
            store.put("copy", True)
            store.put("parts", declared)
            if store.get("fingerprint") is None:
                store.put("fingerprint", fingerprint(self.plan.models))
            for name, line in self.plan.lines.items():
                self._keep(
                    ModelVersion(name, 0, line.model.digest(), "", None, fingerprint(self.plan.models), "the start"),
                    line.model.save(),
                )

    # Reading ---------------------------------------------------------------------------------------------------------

    @property
    def offsets(self) -> dict[str, int]:
        """The next message to be read, by stream and partition, as `examples/0`."""
        found: dict[str, int] = self.store.get("offsets") or {}
        return found

    @property
    def inputs(self) -> int:
        """How many inputs of whoever learns and decides are in the copy."""
        return int(self.store.get("inputs") or 0)

    @property
    def records(self) -> int:
        """How many answers, truths and failures those are: the place in the record that decisions name."""
        return int(self.store.get("records") or 0)

    def position(self, line: str) -> int:
        """Where a line stands at the end of the copy."""
        found: dict[str, int] = self.store.get("reached") or {}
        known = max((version.position for version in self.store.versions(line)), default=0)
        return max(found.get(line, 0), known)

    def take(self, messages: Iterable[Sent]) -> None:
        """Takes messages of `STREAMS`, those of one partition in their order."""
        coming = iter(messages)
        while some := list(islice(coming, ROWS)):
            with self.store.transaction():
                offsets = self.offsets
                for message in some:
                    self._lay_by(message)
                    offsets[f"{message.stream}/{message.partition}"] = message.offset + 1
                self.store.put("offsets", offsets)

    def _lay_by(self, message: Sent) -> None:
        db, raw = self.store.db, message.value
        if message.stream == "examples":
            name = _example_name(raw)
            db.execute("INSERT OR REPLACE INTO coming_examples VALUES (?,?,?)", (name.event_id, name.revision, raw))
        elif message.stream == "taken":
            told = taken.decode(raw)
            db.execute("INSERT OR REPLACE INTO coming_taken VALUES (?,?,?)", (told.first, message.at, raw))
            for turned in (one.declared for one in told.inputs if isinstance(one, taken.Turned)):
                self.store.put("declared", turned.digest)
        elif message.stream == "versions":
            version = _version_name(raw)
            if version.model == self.pipeline.name:
                self.store.put("recipe", version.recipe)
            if self._wanted(version.model, version.position, whole=version.base is None):
                db.execute("INSERT OR REPLACE INTO coming_versions VALUES (?,?,?)", (version.model, version.position, raw))
        elif message.stream == "rollouts":
            db.execute("INSERT OR REPLACE INTO coming_decided VALUES ('rollout',?,?)", (wire.decode_rollout(raw).revision, raw))
        elif message.stream == "decisions":
            db.execute("INSERT OR REPLACE INTO coming_decided VALUES ('decision',?,?)", (wire.decode_decision(raw).number, raw))
        elif raw.startswith(_COMMANDS):
            db.execute("INSERT OR IGNORE INTO refused_commands VALUES (?)", (wire.decode_dead(raw).sha256,))

    def _wanted(self, line: str, position: int, *, whole: bool) -> bool:
        """Whether a version is laid by: one now and then that can be read by itself; every one of a line not come in yet."""
        if line not in self.plan.lines and line not in {entry.name for entry in kept_entries(self.store)}:
            return True
        newest = "SELECT max(position) FROM coming_versions WHERE model=?"
        (coming,) = self.store.db.execute(newest, (line,)).fetchone()
        return whole and self._spaced(line, position, coming or 0)

    def _spaced(self, line: str, position: int, after: int = 0) -> bool:
        """Whether a version is so far from those that are kept that it is worth its bytes."""
        (newest,) = self.store.db.execute("SELECT max(position) FROM versions WHERE model=?", (line,)).fetchone()
        return position >= max(newest or 0, after) + self.plan.learn.snapshot_every

    # Settling --------------------------------------------------------------------------------------------------------

    def settle(self) -> int:
        """Makes blocks of what is whole, and notes what was decided until then; gives how many examples came."""
        before = self.store.examples
        while (gathered := self._gathered()) is not None:
            self._append(gathered)
        if any(self._decided(self.records, kept_entries(self.store))):
            self._append(_Gathered([], [], [], self.inputs, 0.0, 0))
        self._check_declared()
        return self.store.examples - before

    @property
    def current(self) -> bool:
        """Whether all that was decided, as far as it was read, is in the copy, and the rollout that came of it."""
        waiting = self.store.db.execute("SELECT 1 FROM coming_decided LIMIT 1").fetchone()
        return waiting is None and self._rollout().revision >= int(self.store.get("revision") or 0)

    def _rollout(self) -> Rollout:
        """Who answers at the end of the copy."""
        store = self.store
        return store.block(store.seq).notes.rollout if store.seq else self.plan.decide.new_state().rollout

    def _gathered(self) -> _Gathered | None:
        """The next examples in the order in which they were taken; None where the next are not all here."""
        made = _Gathered([], [], [], self.inputs, 0.0, 0)
        known = {entry.name: entry for entry in kept_entries(self.store)}
        for raw, at in self.store.db.execute("SELECT raw, at FROM coming_taken ORDER BY first LIMIT ?", (ROWS,)).fetchall():
            message = taken.decode(raw)
            if message.first != made.until:
                break
            more = self._inputs(message.inputs, known)
            if more is None:
                break
            rows, predictions, entered = more
            shift = self.store.slots + len(made.predictions)
            made.rows.extend(msgspec.structs.replace(row, slot=row.slot + shift) for row in rows)
            made.predictions.extend(predictions)
            made.entered.extend(entered)
            records = made.records + sum(not isinstance(one, taken.UNCOUNTED) for one in message.inputs)
            made = made._replace(until=made.until + len(message.inputs), at=at, records=records)
            if len(made.rows) >= ROWS or entered:
                break
        return made if made.until > self.inputs else None

    def _inputs(
        self, inputs: list[taken.One], known: dict[str, Entry]
    ) -> tuple[list[ExampleRow], list[Prediction], list[Entry]] | None:
        """What one message of the order names; None where some of it has not come yet."""
        rows, predictions, entered = list[ExampleRow](), list[Prediction](), list[Entry]()
        for one in inputs:
            if isinstance(one, taken.Truth):
                found = self._example(one)
                if found is None:
                    return None
                row, prediction = found
                rows.append(msgspec.structs.replace(row, slot=len(predictions)))
                predictions.append(prediction)
            elif isinstance(one, taken.Asked) and one.command.do == "enter" and one.command.entry is not None:
                came = self._came_in(one.command)
                if came is None:
                    return None
                if came and one.command.entry.name not in known:
                    entry = one.command.entry
                    like = known[entry.like].like if entry.like in known else entry.like
                    known[entry.name] = msgspec.structs.replace(entry, like=like)
                    entered.append(known[entry.name])
        return rows, predictions, entered

    def _example(self, one: taken.Truth) -> tuple[ExampleRow, Prediction] | None:
        key = (one.event_id, one.revision)
        found = self.store.db.execute("SELECT raw FROM coming_examples WHERE id=? AND revision=?", key).fetchone()
        if found is None:
            return None
        example, position = wire.decode_example(found[0])
        also = wire.decode_also(found[0]) or None
        return ExampleRow(0, example.truth, example.known, example.at, example.revision, position, also), example.prediction

    def _came_in(self, command: Command) -> bool | None:
        """Whether a line that was to enter did; None while neither its version nor a refusal is here.

        The same command may have been refused before it was obeyed, so its version says more than a refusal.
        """
        entry, db = command.entry, self.store.db
        assert entry is not None
        start = version_of(entry.start)[1]
        for at, raw in db.execute("SELECT position, raw FROM coming_versions WHERE model=?", (entry.name,)):
            if at != start or not entry.digest or _version_name(raw).digest == entry.digest:
                return True
        refused = db.execute("SELECT 1 FROM refused_commands WHERE sha=?", (digest_of(command),)).fetchone()
        return None if refused is None else False

    def _append(self, made: _Gathered) -> None:
        """One block, with what was decided where nothing else waits, and the versions that it reached."""
        store, db = self.store, self.store.db
        with store.transaction():
            db.execute("DELETE FROM coming_taken WHERE first<?", (made.until,))
            names = [(one.event_id, row.revision) for one, row in zip(made.predictions, made.rows, strict=True)]
            db.executemany("DELETE FROM coming_examples WHERE id=? AND revision=?", names)
            entries = [*kept_entries(store), *made.entered]
            rollouts, decisions = self._decided(self.records + made.records, entries)
            self._noted(rollouts, decisions)
            parts = (
                blocks.encode_inputs([]),
                blocks.encode_predictions(made.predictions),
                blocks.encode_examples(made.rows),
                blocks.encode_dead([]),
            )
            before = store.block(store.seq).notes.learner if store.seq else 0
            learner = max([before, *(row.position for row in made.rows)])
            notes = Notes(
                positions={}, learner=learner, rollout=rollouts[-1] if rollouts else self._rollout(), received_at=made.at,
                rollouts=rollouts, decisions=decisions, entered=made.entered,
            )  # fmt: skip
            store.append(parts, 0, len(made.predictions), len(made.rows), notes)
            store.put("inputs", made.until)
            store.put("records", self.records + made.records)
            if made.entered:
                store.put("entries", [msgspec.to_builtins(entry) for entry in entries])
            self._versions(made)

    def _decided(self, records: int, entries: list[Entry]) -> tuple[list[Rollout], list[Decision]]:
        """What was decided in so many records, of those that came in already; and the rollouts that came of it."""
        db, query = self.store.db, "SELECT raw FROM coming_decided WHERE kind=? ORDER BY number"
        known, decisions = {*self.plan.lines, *(entry.name for entry in entries)}, list[Decision]()
        for (raw,) in db.execute(query, ("decision",)):
            decision = wire.decode_decision(raw)
            in_place = decision.action != "enter" or decision.subject.partition("@")[0] in known
            if decision.record > records or not in_place:
                break
            decisions.append(decision)
        newest = max([int(self.store.get("revision") or 0), *(one.revision for one in decisions)])
        rollouts = [wire.decode_rollout(raw) for (raw,) in db.execute(query, ("rollout",))]
        return [one for one in rollouts if one.revision <= newest], decisions

    def _noted(self, rollouts: list[Rollout], decisions: list[Decision]) -> None:
        """These are in a block now."""
        done = [("rollout", one.revision) for one in rollouts] + [("decision", one.number) for one in decisions]
        self.store.db.executemany("DELETE FROM coming_decided WHERE kind=? AND number=?", done)
        if decisions:
            self.store.put("revision", max(int(self.store.get("revision") or 0), *(one.revision for one in decisions)))

    def _versions(self, made: _Gathered) -> None:
        """Keeps the versions that this block reached, and those with which lines came in.

        One that comes late is left out: the block of a version is where readers begin to look for what came after it.
        """
        db = self.store.db
        first, reached = dict[str, int](), dict[str, int]()
        for row in made.rows:
            own = {} if row.position < 0 else {self.pipeline.name: row.position}
            for line, position in (own | (row.also or {})).items():
                first.setdefault(line, position)
                reached[line] = position
        self.store.put("reached", (self.store.get("reached") or {}) | reached)
        for entry in made.entered:
            self._first_of(entry)
        for line, position in reached.items():
            query = "SELECT position, raw FROM coming_versions WHERE model=? AND position<=? ORDER BY position"
            for at, raw in db.execute(query, (line, position)).fetchall():
                told = _state_of(raw) if at >= first[line] and self._spaced(line, at) else None
                if told is not None:
                    self._keep(*told)
                db.execute("DELETE FROM coming_versions WHERE model=? AND position=?", (line, at))

    def _first_of(self, entry: Entry) -> None:
        """The versions that a line came in with: what it started from, and what it was when it had caught up."""
        query = "SELECT position, raw FROM coming_versions WHERE model=? ORDER BY position"
        start, before = version_of(entry.start)[1], b""
        for at, raw in self.store.db.execute(query, (entry.name,)).fetchall():
            version, before = wire.decode_version(raw, before)
            came = version.created_by.startswith(ENTERED)
            if at == start or came:
                self._keep(version, before)
                if (lineage := wire.lineage_of(raw)) is not None:
                    self.store.put(lineage_key(entry.name), lineage)
                self.store.db.execute("DELETE FROM coming_versions WHERE model=? AND position=?", (entry.name, at))
            if came or at > start:
                break

    def _keep(self, version: ModelVersion, state: bytes) -> None:
        like = {entry.name: entry.like for entry in kept_entries(self.store)}
        model = self.plan.lines[like.get(version.model, version.model)].model
        recipe = json.dumps({"pipeline": self.pipeline.digest, **model.recipe()}, sort_keys=True, default=repr)
        if not version.recipe:
            version = msgspec.structs.replace(version, recipe=content_digest(recipe))
        self.store.keep_version(version, state, recipe if content_digest(recipe) == version.recipe else "{}")

    def _check_declared(self) -> None:
        """Refuses a file that the job does not run: what it made would be another model."""
        require_declared(self.pipeline, self.plan, self.store.get("recipe"), self.store.get("declared"))


def require_declared(pipeline: Pipeline, plan: Plan, runs: str | None, last: str | None) -> None:
    """Refuses a file that its job does not run. `runs` is the recipe of the job's own versions, `last` what it took up last."""
    own, digest = pipeline.name, pipeline.digest
    here = recipe_of(digest, plan.lines[own].model)
    if last not in (None, digest) or (last is None and runs not in (None, here)):
        theirs = f"its versions are made by recipe {runs}, this file's by {here}"
        if last is not None:
            theirs = f"it took up {last}, and this file means {digest}"
        raise StoreMismatch(
            f"the job of {own} runs another declaration than this file: {theirs}\n"
            "give the file that runs, or upgrade the job: eddyline flink upgrade FILE"
        )


def _state_of(raw: bytes) -> tuple[ModelVersion, bytes] | None:
    """The version in a message with its state; None where it cannot be read by itself, or was too large for a message."""
    try:
        return wire.decode_version(raw)
    except SourceError:
        return None


class _ExampleName(msgspec.Struct, frozen=True):
    event_id: str
    revision: int = 0


class _VersionName(msgspec.Struct, frozen=True):
    model: str
    position: int
    recipe: str
    digest: str
    base: int | None = None


_version_name = msgspec.json.Decoder(_VersionName).decode
_example_name = msgspec.json.Decoder(_ExampleName).decode
