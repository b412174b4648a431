"""The parts of a command line that every command shares: FILE, --store and --json, spelled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def pipeline_file(function: F) -> F:
    """FILE, the Python file with the pipeline in it, and where its store is."""
    function = click.option(
        "--store", metavar="PATH", help="The store.  [default: <name of the pipeline>.eddyline beside FILE]"
    )(function)
    return click.argument("file", metavar="FILE")(function)


def as_json(function: F) -> F:
    """--json: one JSON document on stdout instead of tables."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")(function)
