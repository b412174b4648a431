"""Where the state of a job was left: its checkpoints and savepoints, found again when no Flink remembers the job.

Each job keeps its checkpoints in a folder of the pipeline's name under the cluster's own (`execution.checkpointing.dir`), with
a note beside them of what the job was and where it was stopped. So the newest state is found by looking at files, also when
the JobManager was killed. Where the folder is not a file system seen from here, nothing is guessed: the path has to be given.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from eddyline.engines.flink.job import CHECKPOINTS
from eddyline.engines.flink.rest import Rest
from eddyline.records.errors import DeclarationError, NotFound, StoreMismatch

LATEST = "latest"
_OLD_NAME = "state.checkpoints.dir"


class Note(msgspec.Struct, frozen=True):
    """What a job said about itself, and the savepoints that were made of it, the last one last."""

    job: str
    about: dict[str, str]
    savepoints: list[str] = []
    stopped: bool = False
    """it ended with the last of the savepoints"""
    read: dict[str, int] | None = None
    """how far the topics were read when it was started, as the broker's groups knew"""


@dataclass(frozen=True)
class Retained:
    """The folder of one job's name, as a URI such as `file:///srv/flink/checkpoints/fraud`."""

    uri: str

    @classmethod
    def of(cls, rest: Rest, name: str, settings: Mapping[str, str]) -> Retained:
        """The folder that jobs of this name have: under the one in `settings`, else under the cluster's.

        Raises `DeclarationError` when neither says one: then checkpoints would die with the JobManager.
        """
        cluster = rest.settings()
        base = settings.get(CHECKPOINTS) or cluster.get(CHECKPOINTS) or cluster.get(_OLD_NAME)
        if not base:
            raise DeclarationError(
                f"the Flink at {rest.place} keeps checkpoints in the memory of its JobManager: they would be lost with it\n"
                f"set {CHECKPOINTS} in its config.yaml, or: --set {CHECKPOINTS}=file:///a/folder/that/all/see"
            )
        return cls(f"{base.rstrip('/')}/{name}")

    @property
    def folder(self) -> Path | None:
        """The folder as this machine sees it; None when it does not."""
        parts = urllib.parse.urlsplit(self.uri)
        if parts.scheme not in ("", "file"):
            return None
        folder = Path(urllib.parse.unquote(parts.path))
        return folder if folder.parent.is_dir() else None

    def write(self, note: Note) -> bool:
        """Keeps a note of a job; False when this machine does not see the folder."""
        folder = self.folder
        if folder is None:
            return False
        folder.mkdir(exist_ok=True)
        new = folder / f"{note.job}.new"
        new.write_bytes(msgspec.json.encode(note))
        new.replace(folder / f"{note.job}.json")
        return True

    def forget(self, job: str) -> None:
        """Lets go of the note of a job that never did anything."""
        folder = self.folder
        if folder is not None:
            (folder / f"{job}.json").unlink(missing_ok=True)

    def note(self, job: str) -> Note | None:
        """The note of a job, when there is one."""
        folder = self.folder
        file = None if folder is None else folder / f"{job}.json"
        return msgspec.json.decode(file.read_bytes(), type=Note) if file is not None and file.exists() else None

    def add(self, job: str, about: Mapping[str, str], savepoint: str, *, stopped: bool) -> bool:
        """Notes a savepoint of a job."""
        before = self.note(job) or Note(job, dict(about))
        return self.write(Note(job, before.about, [*before.savepoints, savepoint], stopped, before.read))

    def notes(self) -> list[Note]:
        """The notes of all jobs of this name."""
        folder = self.folder
        return [] if folder is None else [msgspec.json.decode(one.read_bytes(), type=Note) for one in folder.glob("*.json")]

    def any(self) -> bool:
        """Whether a job left state here; False also where this machine does not see the folder."""
        folder = self.folder
        return folder is not None and (
            any(folder.glob("*/chk-*/_metadata")) or any(note.savepoints and note.stopped for note in self.notes())
        )

    def latest(self, read: Mapping[str, int] | None = None) -> tuple[str, dict[str, str]]:
        """The newest state: a retained checkpoint, or the savepoint that ended a job; and what that job said about itself.

        Savepoints on the way are not taken: the job went on after them. Raises `NotFound` when there is nothing, and
        `StoreMismatch` when a job that was started later left nothing here and has `read` further since: how far the topics
        are read now.
        """
        folder = self.folder
        if folder is None:
            raise NotFound(f"{self.uri} cannot be seen from here\nname the checkpoint or savepoint: --savepoint PATH")
        notes = {note.job: note for note in self.notes()}
        found: list[tuple[int, str, str]] = []
        for file in folder.glob("*/chk-*/_metadata"):
            found.append((file.stat().st_mtime_ns, file.parent.as_uri(), file.parts[-3]))
        for note in notes.values():
            if note.stopped:
                found.append(((folder / f"{note.job}.json").stat().st_mtime_ns, note.savepoints[-1], note.job))
        if not found:
            raise NotFound(f"there is neither a checkpoint nor a savepoint in {folder}\nname one: --savepoint PATH")
        when, path, job = max(found)
        self._require_last(folder, job, when, path, read or {})
        return path, notes[job].about if job in notes else {}

    def _require_last(self, folder: Path, job: str, when: int, path: str, read: Mapping[str, int]) -> None:
        """Refuses state that another job went on from: what that one did is committed, and would be done a second time."""
        later = [
            note.job
            for note in self.notes()
            if note.job != job and note.read is not None and (folder / f"{note.job}.json").stat().st_mtime_ns > when
            if any(position > note.read.get(topic, 0) for topic, position in read.items())
        ]
        if later:
            raise StoreMismatch(
                f"the newest state in {folder} is {path}, and job {later[-1]} went on after it and left none here: "
                "somebody else stopped it, with a savepoint elsewhere\n"
                "going on from the older one would answer again what that job answered; name its savepoint: --savepoint PATH"
            )

    def about(self, savepoint: str) -> dict[str, str]:
        """What the job of a savepoint or checkpoint said about itself; nothing when it is not known here."""
        path = savepoint.rstrip("/")
        for note in self.notes():
            if path in (one.rstrip("/") for one in note.savepoints) or f"/{note.job}/" in path:
                return note.about
        return {}
