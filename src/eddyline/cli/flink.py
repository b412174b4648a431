"""`eddyline flink`: the commands about Flink, each in a module of its own that is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

SUBCOMMANDS = ("env", "submit", "status", "savepoint", "stop", "rescale", "upgrade")


class _Subcommands(click.Group):
    """The subcommands by name, in the order in which a job meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        command: click.Command = import_module(f"eddyline.cli.flink_{cmd_name}").command
        return command


@click.group("flink", cls=_Subcommands, short_help="Run a pipeline on Apache Flink.")
def command() -> None:
    """Run a pipeline on Apache Flink: its workers' environment, and its jobs."""
