"""What tells two functions of a user apart: a short text that is the same in every process.

Taken from what a function does (its compiled code, names, constants, defaults and what it closes over), not from its
module, comments or docstring: a file that is run or imported, moved or commented gives the same digest. Another Python
version may give another one. Refuses to know what the function is for.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...))
DEEP = 8
"""What lies deeper in what a function closes over is told by its class only."""


def digest_of(function: Callable[..., Any]) -> str:
    """Twelve hex digits: equal for functions that do the same, another one for any other.

    Global values that a function reads are told apart by their names only.

    >>> def dear(cost): return lambda truth, value, scores: cost * (truth != value)
    >>> digest_of(dear(2.0)) == digest_of(dear(2.0)) != digest_of(dear(3.0))
    True
    """
    return hashlib.sha256(_told(function, ()).encode()).hexdigest()[:12]


def _told(value: Any, within: tuple[int, ...]) -> str:
    """A value as text without addresses, and in one order. `within` are the values it lies in: some hold themselves."""
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__} {value!r}"
    if id(value) in within or len(within) == DEEP:
        return type(value).__qualname__
    within = (*within, id(value))
    parts = _parts(value)
    if parts is None:
        parts = _parts_of_object(value)
    told = [_told(part, within) for part in parts]
    if isinstance(value, dict | set | frozenset):
        told.sort()
    return f"{type(value).__qualname__}({', '.join(told)})"


def _parts(value: Any) -> list[Any] | None:
    """What the meaning of a value lies in; None for an object of a class that is not known here."""
    if isinstance(value, tuple | list | set | frozenset):
        return list(value)
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, CodeType):
        return [value.co_code, value.co_names, value.co_freevars, *value.co_consts]
    if isinstance(value, FunctionType):
        return _parts_of_function(value)
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, BuiltinFunctionType):
        return [value.__module__, value.__qualname__, value.__self__]
    if isinstance(value, type):
        return [value.__module__, value.__qualname__]
    return [value.__name__] if isinstance(value, ModuleType) else None


def _parts_of_function(function: FunctionType) -> list[Any]:
    code = function.__code__
    if function.__doc__ is not None and code.co_consts[:1] == (function.__doc__,):
        code = code.replace(co_consts=(None, *code.co_consts[1:]))
    held = []
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # the name it closes over has no value yet
            held.append("nothing yet")
    return [function.__qualname__, code, function.__defaults__, function.__kwdefaults__, held]


def _parts_of_object(value: Any) -> list[Any]:
    """An array as its numbers; anything else as its class, its name, what it does when called, and its attributes."""
    if callable(getattr(type(value), "tolist", None)):
        return [value.tolist()]
    name, bound = getattr(value, "__name__", None), getattr(value, "__call__", None)  # noqa: B004 - the method itself is wanted
    called = bound.__func__ if isinstance(bound, MethodType) else None
    return [name if isinstance(name, str) else None, called, getattr(value, "__dict__", None)]
