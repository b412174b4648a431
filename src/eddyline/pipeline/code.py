"""What code a function is, as a digest that moves when its meaning moves and stays when only its comments do.

The values that a function carries are part of it: what it closes over, its defaults, what `functools.partial` fixed, the
attributes of an object that is called. What it finds in its module by name is not.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from eddyline.models.canonical import digest

Seen = frozenset[int]
"""The functions and objects whose digest is being made: what leads back to them is named, not followed."""


def code_digest(function: Callable[..., Any]) -> str:
    """A digest of a function's code and of the values it carries.

    Code is its syntax tree without comments and docstrings, else what it compiled to.

    >>> def one(x): return x + 1
    >>> def two(x):
    ...     "the same, with words"
    ...     return x + 1   # and a comment
    >>> code_digest(one) == code_digest(two).replace("two", "one")
    True
    >>> code_digest(functools.partial(pow, 2)) == code_digest(functools.partial(pow, 3))
    False
    """
    return _digest(function, frozenset())


def _digest(function: Any, seen: Seen) -> str:
    seen |= {id(function)}
    if isinstance(function, functools.partial):
        return _hash(f"{_digest(function.func, seen)} {_said((function.args, function.keywords), seen)}")
    if isinstance(function, MethodType):
        return _hash(f"{_digest(function.__func__, seen)} {_said(function.__self__, seen)}")
    if isinstance(function, FunctionType):
        code, carried = _code(function.__code__), _carried(function, seen)
        return _hash(f"{code} {carried}") if carried else code
    if (wrapped := getattr(function, "__wrapped__", None)) is not None:  # such as functools.lru_cache, which adds no meaning
        return _digest(wrapped, seen)
    methods = [_digest(one, seen) for _, one in sorted(vars(type(function)).items()) if isinstance(one, FunctionType)]
    if methods and callable(function):
        return _hash(f"{_name(type(function))} {methods} {_state(function, seen)}")
    return _hash(f"{_name(type(function))} {_name(function) if hasattr(function, '__qualname__') else ''}")


def _code(code: CodeType) -> str:
    """What is written there."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError):
        return _hash(_compiled(code))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.name = ""
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
    return _hash(ast.dump(tree))


def _carried(function: FunctionType, seen: Seen) -> str:
    """What a function closes over, and its defaults; empty where there is nothing."""
    names, cells = function.__code__.co_freevars, function.__closure__ or ()
    closed = {name: _said(_content(cell), seen) for name, cell in zip(names, cells, strict=True)}
    defaults = (function.__defaults__, function.__kwdefaults__)
    return "" if not closed and defaults == (None, None) else f"{sorted(closed.items())} {_said(defaults, seen)}"


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it was not given a value yet
        return None


def _said(value: Any, seen: Seen) -> str:
    """A value that a function carries, the same in every process."""
    if value is None or isinstance(value, str | int | float | bytes | complex):
        return f"{type(value).__name__} {value!r}"
    if id(value) in seen:
        return "again"
    seen |= {id(value)}
    if isinstance(value, Mapping):
        return f"{_name(type(value))} {sorted((_said(key, seen), _said(one, seen)) for key, one in value.items())}"
    if isinstance(value, list | tuple):
        return f"{_name(type(value))} {[_said(one, seen) for one in value]}"
    if isinstance(value, set | frozenset):
        return f"{_name(type(value))} {sorted(_said(one, seen) for one in value)}"
    if isinstance(value, type | ModuleType):
        return _name(value)
    if isinstance(value, FunctionType | MethodType | functools.partial):
        return _digest(value, seen)
    return _state(value, seen)


def _state(value: Any, seen: Seen) -> str:
    """An object by its attributes, where it has no other form to be saved in."""
    kind = type(value)
    own = {name for base in kind.__mro__[:-1] for name in vars(base)} & {"__reduce__", "__reduce_ex__"}
    if not own and hasattr(value, "__dict__"):
        return f"{_name(kind)} {_said(vars(value), seen)}"
    try:
        return digest(value)
    except Exception:  # a lock or a file has no value that could be told
        return _name(type(value))


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', getattr(thing, '__name__', ''))}"


def _hash(said: str) -> str:
    return hashlib.sha256(said.encode(errors="backslashreplace")).hexdigest()[:16]


def _compiled(code: CodeType) -> str:
    consts = [_compiled(const) if isinstance(const, CodeType) else repr(const) for const in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, consts))
