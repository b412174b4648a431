"""The state of monitors as bytes: equal states give equal bytes, however often they were saved and restored.

Plain pickle would not do: it writes a text once when two places share the object and twice when they do not,
so its bytes tell how a state came to be. Texts are therefore written by value. The user's own classes and
functions are written by their number in the declaration, because the module they live in is called
differently from one run to the next.

Only bytes that this installation wrote may be restored: the store checks their digest and River's version
first.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

from eddyline.records.errors import StoreMismatch


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, own: Sequence[Any]) -> None:
        super().__init__(file, protocol=5)
        self._texts: dict[str, str] = {}
        self._own = {id(thing): number for number, thing in enumerate(own)}

    def persistent_id(self, obj: Any) -> str | int | None:
        if type(obj) is str:
            return self._texts.setdefault(obj, obj)
        return self._own.get(id(obj))


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, own: Sequence[Any]) -> None:
        super().__init__(file)
        self._own = own

    def persistent_load(self, pid: Any) -> Any:
        if type(pid) is str:
            return pid
        if pid >= len(self._own):
            raise StoreMismatch(
                "watch: the saved state holds a metric or monitor that the pipeline no longer declares\n"
                "declare it again, or rebuild the measurements from the journal"
            )
        return self._own[pid]


def to_bytes(state: Any, own: Sequence[Any]) -> bytes:
    """The state as bytes. `own` are the user's classes and functions in it, in the order of the declaration.

    >>> from_bytes(to_bytes({"a": ["b", 1.5]}, ()), ())
    {'a': ['b', 1.5]}
    """
    file = io.BytesIO()
    _Writer(file, own).dump(state)
    return file.getvalue()


def from_bytes(data: bytes, own: Sequence[Any]) -> Any:
    """The state that `to_bytes` wrote with the same `own`."""
    return _Reader(io.BytesIO(data), own).load()
