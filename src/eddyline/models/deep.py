"""Bytes of an object graph of any depth, and copies by way of them.

`pickle` is fast and recursive: a search tree that grew along a trend (a date, a counter) is a chain of
thousands of nodes, and pickling it raises RecursionError. Such a graph is written here object by object
instead, each naming the others by number. It knows no model. Bytes are read only where this installation
wrote them: unpickling runs code.
"""

from __future__ import annotations

import copyreg
import gc
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from eddyline.models.attributes import NEW, Attributes, give

Reducers = Mapping[type, Callable[[Any], Any]]
"""How objects of some classes are taken apart, in the form of `copyreg`."""
_FLAT, _LINKED = b"\x00", b"\x01"


def dumps(root: Any, reducers: Reducers | None = None) -> bytes:
    """The bytes of a graph: a plain pickle where that goes, object by object where it is too deep.

    `reducers` are for classes that `pickle` would write otherwise.

    Raises what `pickle` raises for something that cannot be saved, such as a lambda.

    >>> loads(dumps({"a": 1.0}))
    {'a': 1.0}
    """
    with _uncollected():
        try:
            return _FLAT + _Plain(reducers).written(root)
        except RecursionError:
            # Not an accident of the caller's stack: the graph itself is deeper than pickle goes.
            return _LINKED + _Linked(root, reducers).written()


def loads(data: bytes) -> Any:
    """The graph that `dumps` wrote."""
    with _uncollected():
        if data[:1] == _FLAT:
            return pickle.loads(data[1:])
        return _read(data[1:])


def copied(root: Any) -> Any:
    """An independent copy, as saving and restoring makes it, and several times faster than `copy.deepcopy`."""
    return loads(dumps(root))


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cycles while thousands of objects come into being of which none is garbage: it would take longer than
    the writing, seven times as long for a forest.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Plain(pickle.Pickler):
    """One pickle, with the reducers beside those that everybody has. What is written stays as fast as it was, and so is what
    will be read (attributes.py).
    """

    def __init__(self, reducers: Reducers | None) -> None:
        self._buffer = io.BytesIO()
        super().__init__(self._buffer, protocol=5)
        self.dispatch_table = {**copyreg.dispatch_table, **(reducers or {})}
        self._attributes = Attributes(self.dispatch_table)

    def reducer_override(self, obj: Any) -> Any:
        attributes = self._attributes(obj)
        if attributes is None:
            return NotImplemented
        return NEW, (type(obj),), attributes, None, None, give

    def written(self, root: Any) -> bytes:
        self.dump(root)
        return self._buffer.getvalue()


class _Linked(pickle.Pickler):
    """One pickle after the other, with one memory: first the classes of all objects, then their states, then
    the root.
    """

    def __init__(self, root: Any, reducers: Reducers | None) -> None:
        self._buffer = io.BytesIO()
        super().__init__(self._buffer, protocol=5)
        self.dispatch_table = {**copyreg.dispatch_table, **(reducers or {})}
        self._root = root
        self._numbers: dict[int, int] = {}
        self._states: list[Any] = []
        self._kinds: list[type] = []
        self._alive: list[Any] = []

    def written(self) -> bytes:
        self.dump(self._root)
        done = 0
        while done < len(self._states):
            self.dump(self._states[done])
            done += 1
        body = self._buffer.getvalue()
        return pickle.dumps((self._kinds, body), protocol=5)

    def persistent_id(self, obj: Any) -> int | None:
        number = self._numbers.get(id(obj))
        if number is not None:
            return number
        if type(obj) in self.dispatch_table or not _is_plain(obj):
            return None
        self._numbers[id(obj)] = number = len(self._kinds)
        self._alive.append(obj)
        self._kinds.append(type(obj))
        self._states.append(obj.__reduce_ex__(4)[2])
        return number


def _is_plain(obj: Any) -> bool:
    """Whether an object is its class and its attributes, and nothing else."""
    kind: Any = type(obj)
    if kind.__reduce_ex__ is not object.__reduce_ex__:
        return False
    if kind.__reduce__ is not object.__reduce__ or kind.__module__ == "builtins" or isinstance(obj, type):
        return False
    made, arguments, _, *items = obj.__reduce_ex__(4)
    return made is NEW and arguments == (kind,) and items == [None, None]


class _Reader(pickle.Unpickler):
    def __init__(self, body: bytes, objects: list[Any]) -> None:
        super().__init__(io.BytesIO(body))
        self._objects = objects

    def persistent_load(self, number: int) -> Any:
        return self._objects[number]


def _read(data: bytes) -> Any:
    kinds, body = pickle.loads(data)
    objects = [kind.__new__(kind) for kind in kinds]
    reader = _Reader(body, objects)
    root = reader.load()
    for obj in objects:
        _restore(obj, reader.load())
    return root


def _restore(obj: Any, state: Any) -> None:
    """Gives an object its state as pickle does."""
    if state is None:
        return
    if hasattr(type(obj), "__setstate__"):
        obj.__setstate__(state)
        return
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    if attributes:
        obj.__dict__.update(attributes)
    for name, value in (slots or {}).items():
        setattr(obj, name, value)
