"""The models per key of a run, learned again: shard by shard, in the order of positions, as far as each answer says.

The shelves are those of serve (`per_key.py`), fed from the examples topic instead of the job. An answer names the last position
that its key's model had learned: the shard is brought there, and what the model then answers must be what was recorded. A
shard that would have to go back, or a position that is not its key's, is a fault. Refused truths must be the recorded ones.
A version of all keys, which a rollback brought along, must be what the shards had learned up to its position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.per_key import Shelf, shard_of, together
from eddyline.ports import Model
from eddyline.records import KEY_FEATURE, Example, Features, Output
from eddyline.records.errors import SourceError
from eddyline.stages.features import Maker
from eddyline.stages.lines import seen_by

_BACK = """
CREATE TABLE back(shard INTEGER, position INTEGER, example INTEGER, key TEXT, PRIMARY KEY (shard, position)) WITHOUT ROWID;
CREATE INDEX back_key ON back(key, position);
"""


class AskedAgain:
    """The models of a line at the position that an answer names; which key's, its features say."""

    def __init__(self, models: KeyedModels, position: int) -> None:
        self.models, self.position = models, position

    def predict(self, features: Features) -> Output:
        """The answer of the key's model, once it stands there."""
        return self.models.at(str(features[KEY_FEATURE]), self.position).predict(features)


class KeyedModels:
    """Every shard's models, as far as they were asked for. `makers` are those of learning, when it was played to its end."""

    def __init__(self, book: Book, makers: Mapping[str, Maker | None], differs: Callable[[str], None]) -> None:
        self.book, self.makers, self.differs = book, makers, differs
        self.own, self.plan = book.pipeline.name, book.pipeline.plan()
        self.shelves: dict[int, Shelf] = {}
        book.db.executescript(_BACK)
        book.db.execute("BEGIN")
        for n, position, raw in book.rows("SELECT n, position, raw FROM examples WHERE position > 0 ORDER BY position"):
            key = wire.decode_example(raw)[0].prediction.key
            book.db.execute("INSERT OR IGNORE INTO back VALUES (?, ?, ?, ?)", (self._shard(key), position, n, key))
        book.db.execute("COMMIT")

    def asked(self, position: int) -> Any:
        """What answers for the line where an answer names this position."""
        return AskedAgain(self, position)

    def at(self, key: str, position: int) -> Model:
        """The models of a key's shard, once this key's has learned up to a position. Raises ValueError where it never does."""
        shard = self._shard(key)
        shelf = self._shelf(shard)
        while shelf.positions.get(key, 0) < position and self._step(shard, shelf):
            pass
        stands = shelf.positions.get(key, 0)
        if stands != position:
            raise ValueError(f"{self.own}@{position} is not what key {key!r} had learned; its model stands at {stands}")
        return shelf.state.model

    def check_versions(self) -> None:
        """Learns once more, up to each position that a version was made at, and compares."""
        shelves, reached = dict[int, Shelf](), 0
        wanted = "SELECT position, raw FROM versions WHERE model = ? AND position > 0 ORDER BY position"
        between = (
            "SELECT b.shard, e.raw FROM back b JOIN examples e ON e.n = b.example"
            " WHERE b.position > ? AND b.position <= ? ORDER BY b.position"
        )
        for position, raw in self.book.rows(wanted, self.own):
            for shard, body in self.book.rows(between, reached, position):
                shelf = shelves.get(shard)
                if shelf is None:
                    shelf = shelves[shard] = Shelf.made(self.plan)
                self._learned(shelf, *wire.decode_example(body))
            reached = position
            try:
                version, _ = self.book.version(raw)
            except SourceError:
                continue  # learning was played again, and said so
            if together(self.plan, shelves.values()).digest() != version.digest:
                self.differs(f"{version.name}: the fold over the examples of every key has another digest than was recorded")

    def finish(self) -> None:
        """Learns the rest, and looks for the dead letters that nothing explains."""
        for (shard,) in self.book.rows("SELECT DISTINCT shard FROM back"):
            shelf = self._shelf(shard)
            while self._step(shard, shelf, ended=True):
                pass

    def _shelf(self, shard: int) -> Shelf:
        shelf = self.shelves.get(shard)
        if shelf is None:
            shelf = self.shelves[shard] = Shelf.made(self.plan)
        return shelf

    def _step(self, shard: int, shelf: Shelf, *, ended: bool = False) -> bool:
        """Learns the next example of a shard; False when there is none."""
        found = self.book.row(
            "SELECT e.raw, e.sha FROM back b JOIN examples e ON e.n = b.example WHERE b.shard = ? AND b.position > ?"
            " ORDER BY b.position LIMIT 1",
            shard,
            shelf.reached,
        )
        if found is None:
            return False
        raw, sha = found
        example, position = wire.decode_example(raw)
        again = self._learned(shelf, example, position)
        about = "SELECT COUNT(*) FROM letters WHERE stream = 'examples' AND sha = ? AND id = ?"
        letters = self.book.one(about, sha, example.prediction.event_id)
        # What came after the last answer may not have come back to serve before the job ended.
        if letters != again and not (ended and letters < again):
            which = f"the example of event {example.prediction.event_id!r} at position {position}"
            self.differs(f"{which} has {letters} dead letters, and learning it again gives {again}")
        return True

    def _learned(self, shelf: Shelf, example: Example, position: int) -> int:
        """Learns an example; gives how many dead letters come of it."""
        features = seen_by(example.prediction, self.own, self.makers)
        assert features is not None, "learning was played again, and gave it this position"
        return len(shelf.learned(example, position, features))

    def _shard(self, key: str) -> int:
        return 0 if self.book.everybody else shard_of(key)
