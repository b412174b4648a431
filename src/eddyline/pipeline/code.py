"""What code a function is, as a digest that moves when its meaning moves and stays when only its comments do."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType
from typing import Any


def code_digest(function: Callable[..., Any]) -> str:
    """A digest of a function's code: its syntax tree without comments and docstrings, else its compiled code.

    >>> def one(x): return x + 1
    >>> def two(x):
    ...     "the same, with words"
    ...     return x + 1   # and a comment
    >>> code_digest(one) == code_digest(two).replace("two", "one")
    True
    """
    function = inspect.unwrap(function)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        code = getattr(function, "__code__", None)
        said = _compiled(code) if isinstance(code, CodeType) else f"{type(function).__module__}.{type(function).__qualname__}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.name = ""
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def _compiled(code: CodeType) -> str:
    consts = [_compiled(const) if isinstance(const, CodeType) else repr(const) for const in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, consts))
