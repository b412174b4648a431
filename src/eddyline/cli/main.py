"""The `eddyline` command: which commands there are, and what a script sees when one fails.

A command's module is imported when it is asked for, and imports what it needs when it runs, so that help
comes at once. Every error that Eddyline raises on purpose becomes a message that starts with "error: " on
stderr and its exit code; Ctrl-C is 130; anything else is our bug, keeps its traceback and is 70. Knows
nothing of pipelines.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from eddyline.records.errors import EddylineError, StoreWarning

COMMANDS = (
    "init",
    "check",
    "replay",
    "run",
    "change",
    "explain",
    "versions",
    "challengers",
    "history",
    "incidents",
    "rollback",
    "approve",
    "reject",
    "freeze",
    "resume",
    "quarantine",
    "release",
    "backtest",
    "retrain",
    "test",
    "forget",
    "verify",
    "dead-letters",
    "report",
    "metrics",
    "mlflow",
    "cluster",
    "flink",
)
INTERRUPTED = 130
OUR_BUG = 70


class _Commands(click.Group):
    """The commands by name, in the order in which a newcomer meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"eddyline.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from eddyline import __version__

        click.echo(f"eddyline {__version__}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def eddyline() -> None:
    """Models that answer a stream of events and learn from the truth when it arrives.

    Start with `eddyline init DIR`. FILE is a Python file with a Pipeline in it; FILE.py:name chooses one of
    several. Every command takes --json, for programs.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and gives its exit code."""
    with warnings.catch_warnings():
        warnings.showwarning = _warned
        return _ran(arguments)


def _warned(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """What the store warns of is a line for a person; other people's warnings are shown as Python does."""
    if issubclass(category, StoreWarning):
        click.echo(f"warning: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, *place[:2]), err=True, nl=False)


def _ran(arguments: Sequence[str] | None) -> int:
    try:
        code = eddyline.main(args=arguments, prog_name="eddyline", standalone_mode=False)
    except EddylineError as error:
        from eddyline.cli.show import harmless

        click.echo(harmless(f"error: {error}"), err=True)
        return error.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception:
        traceback.print_exc()
        click.echo("error: this was not expected; where the last line above is not yours, please report all of it", err=True)
        return OUR_BUG
    return code if isinstance(code, int) else 0
