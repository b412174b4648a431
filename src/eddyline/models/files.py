"""Models that come as a file and stay as they are: what `OnnxModel` and `SkopsModel` have in common.

Keeps the laws *still* (nothing here learns), *named* (the digest is that of the file's bytes) and *rebuild* (a saved
version carries the bytes, so it needs no file any more). It knows no format: a format says how to open bytes and how to
answer one row.
"""

from __future__ import annotations

import difflib
import hashlib
import platform
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from eddyline.models.canonical import digest
from eddyline.records import Features, Output, Task, Value
from eddyline.records.errors import DeclarationError, StoreMismatch


class Said(msgspec.Struct, frozen=True):
    """What was said about a file when it was declared: it travels with the bytes."""

    task: Task
    features: list[str] | None
    classes: list[Any] | None
    scores: bool = True


class FileModel(ABC):
    """A frozen model out of a file: it answers, and learning leaves it as it is (`learns` is False).

    An example that reaches `learn` is not lost: it is measured and its position counts, so that `fraud.file@1200`
    names the same bytes as `fraud.file@0`. `restored` gives the model with the bytes that were saved, whatever the
    file says by then.
    """

    learns = False
    """Whether examples change it. A challenger that is a file is asked, measured, and never trained."""
    kind: str
    """The format, as the saved bytes name it."""

    def __init__(self, raw: bytes, name: str, said: Said) -> None:
        self.name = name
        self._raw = raw
        self._said = said
        self._sha256 = hashlib.sha256(raw).hexdigest()
        self._open(raw)

    @property
    def task(self) -> Task:
        """What it answers."""
        return self._said.task

    @property
    def sha256(self) -> str:
        """The content digest of the file."""
        return self._sha256

    @property
    def octets(self) -> int:
        """How large the file is, in bytes."""
        return len(self._raw)

    @abstractmethod
    def _open(self, raw: bytes) -> None:
        """Makes the bytes ready to answer. Raises DeclarationError in the user's words."""

    @abstractmethod
    def predict(self, features: Features) -> Output:
        """Answers one row."""

    @property
    def libraries(self) -> dict[str, str]:
        """The libraries that compute the answers, with their versions: part of the numeric fingerprint."""
        return self._libraries()

    @abstractmethod
    def _libraries(self) -> dict[str, str]:
        """The libraries that compute the answers, with their versions."""

    def learn(self, features: Features, truth: Any) -> None:
        """Leaves the model as it is: a file does not learn."""
        return

    def sound(self, features: Features) -> bool:
        """Always: nothing was learned."""
        return True

    def save(self) -> bytes:
        """The file's bytes with what was said about them: a version that needs nothing else."""
        return msgspec.msgpack.encode([self.kind, self.name, self._said, self._raw])

    def restored(self, state: bytes) -> Self:
        """The model with these saved bytes. Raises StoreMismatch for the bytes of another kind of model."""
        try:
            kind, name, said, raw = msgspec.msgpack.decode(state, type=tuple[str, str, Said, bytes])
        except msgspec.MsgspecError as error:
            raise StoreMismatch(f"model {self.name}: the saved bytes are not those of a file ({error})") from error
        if kind != self.kind:
            raise StoreMismatch(f"model {self.name}: a {kind} file was saved, the pipeline declares {self.kind}")
        if raw == self._raw and said == self._said:
            return self  # nothing here ever changes, so one object serves all
        other = object.__new__(type(self))
        self._share(other)
        FileModel.__init__(other, raw, name, said)
        return other

    def _share(self, other: Self) -> None:
        """Hands on what is declared and never saved: nothing, unless a format says otherwise."""
        return

    def digest(self) -> str:
        """The identity: the file's content and what was said about it."""
        said = self._said
        return digest((self.kind, self._sha256, said.task.value, said.features, said.classes, said.scores))

    def recipe(self) -> dict[str, Any]:
        """How this model was made, as far as a file tells: its content digest, and what was said about it."""
        said = self._said
        return {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "file": self.name,
            "file_digest": self._sha256,
            "task": said.task.value,
            "features": said.features,
            "classes": said.classes,
            "scores": said.scores,
            "libraries": {**self._libraries(), "numpy": np.__version__, "python": platform.python_version()},
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, task={self.task})"

    # For the formats ------------------------------------------------------------------------------------------------

    def _value(self, features: Features, name: str) -> Value:
        """One feature, or an error that says which is missing and what was there instead."""
        try:
            return features[name]
        except KeyError:
            near = difflib.get_close_matches(name, [other for other in features if other not in self.columns], 1)
            there = ", ".join(list(features)[:8]) or "none"
            mend = f"did you mean {near[0]!r}?" if near else f"the features are: {there}"
            raise ValueError(f"feature {name!r} is missing; {self.name} needs it ({mend})") from None

    def _number(self, features: Features, name: str) -> float | int:
        value = self._value(features, name)
        if value is None or isinstance(value, str):
            raise ValueError(f"feature {name!r} is {value!r}; {self.name} needs a number there")
        return value

    def _class_of(self, label: Any) -> Value:
        """The user's class for what the file answered: itself where it is one of them, else by its place."""
        classes = self._said.classes
        if classes is None:
            return label  # type: ignore[no-any-return]
        if label in classes:
            return classes[classes.index(label)]  # type: ignore[no-any-return]
        if type(label) is int and 0 <= label < len(classes):
            return classes[label]  # type: ignore[no-any-return]
        raise ValueError(f"{self.name} answered the class {label!r}, which is not one of classes={classes!r}")

    @property
    def columns(self) -> list[str]:
        """The features it reads, in the order it reads them."""
        assert self._said.features is not None, "fixed when the file was opened"
        return self._said.features


def read_model_file(path: str | Path, depth: int = 2) -> tuple[bytes, str]:
    """The bytes and the name of a model file. A relative path starts in the folder of the Python file that names it.

    Where there is nothing, in the working directory. `depth` says how many callers up that Python file is. Raises
    DeclarationError with where it was looked for.
    """
    given = Path(path)
    declared_in = sys._getframe(depth).f_globals.get("__file__")
    folders = [Path(declared_in).parent] if declared_in is not None else []
    places = [given] if given.is_absolute() else [folder / given for folder in (*folders, Path.cwd())]
    for place in places:
        if place.is_file():
            return place.read_bytes(), given.name
    looked = " and ".join(dict.fromkeys(str(place.parent) for place in places))
    raise DeclarationError(
        f"model: there is no file {given.name} in {looked}\n"
        "give its path from the folder of the file that declares it, or Path(__file__).with_name(...)"
    )


def names_of(what: str, given: Sequence[Any] | None, example: str) -> list[Any] | None:
    """`features=` or `classes=` as a list. Raises DeclarationError for text, an empty list or doubles."""
    if given is None:
        return None
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise DeclarationError(f"model: {what}={given!r} is not a list\nwrite {what}={example}")
    found = list(given)
    doubles = [name for name in found if found.count(name) > 1]
    if not found or doubles:
        why = f"names {doubles[0]!r} twice" if doubles else "is empty"
        raise DeclarationError(f"model: {what}={found!r} {why}\nwrite each once, in the file's order: {what}={example}")
    return found
