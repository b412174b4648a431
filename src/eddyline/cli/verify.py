"""`eddyline verify`: proves the store."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.cli.load import Loaded
    from eddyline.views.verify import Verdict

SOUND, FAULTS, NOT_CLAIMED = 0, 1, 7


@click.command("verify", short_help="Prove the chain, every kept version and every answer.")
@pipeline_file
@click.option("--head", metavar="HASH", help="A chain head noted earlier: what was there then must still be there.")
@as_json
def command(file: str, store: str | None, head: str | None, as_json: bool) -> int:
    """Prove that nothing in the store was changed: the chain, every kept version, and every answer once more.

    Exit code 0 when it is sound, 1 when faults were found, 7 when this machine computes otherwise than the
    one that wrote the store: then nothing is claimed about equal answers.
    """
    from eddyline.cli import show
    from eddyline.cli.load import load

    loaded = load(file, store)
    verdict = _verify(loaded, head, silent=as_json)
    if as_json:
        show.json_document({**show.plain(verdict), "comparable": verdict.comparable, "sound": verdict.sound})
    else:
        _page(verdict)
    if verdict.faults:
        return FAULTS
    return SOUND if verdict.sound else NOT_CLAIMED


def _verify(loaded: Loaded, head: str | None, *, silent: bool) -> Verdict:
    """The verdict, with a progress bar on a terminal; a store too damaged to be opened has one too."""
    import sqlite3

    from rich.progress import Progress

    from eddyline.cli import show
    from eddyline.records.errors import StoreCorrupt
    from eddyline.store.database import Store
    from eddyline.views.verify import Verdict, verify

    console = show.console(err=True)
    with Progress(console=console, transient=True, disable=silent or not console.is_terminal) as bar:
        task = bar.add_task("verifying", total=None)
        try:
            with closing(Store.read(loaded.store)) as opened:
                return verify(
                    opened,
                    loaded.pipeline,
                    head=head,
                    on_progress=lambda done, of: bar.update(task, completed=done, total=of),
                )
        except StoreCorrupt as error:
            return Verdict(faults=[str(error)])
        except sqlite3.DatabaseError as error:
            return Verdict(faults=[f"store {loaded.store.name}: the file is damaged ({error})"])


def _page(verdict: Verdict) -> None:
    from eddyline.cli import show

    out = show.console()
    rows = [
        ("blocks in the chain", f"{verdict.blocks:,}"),
        ("inputs", f"{verdict.inputs:,}"),
        ("predictions answered again", f"{verdict.predictions:,}"),
        ("examples learned again", f"{verdict.examples:,}"),
        ("kept versions", f"{verdict.versions:,}"),
        ("dead letters", f"{verdict.dead:,}"),
        ("answers that differ", f"{verdict.differences:,}"),
        ("written as", verdict.written_as or None),
        ("this machine", verdict.fingerprint or None),
    ]
    show.facts("verified", rows)
    for fault in verdict.faults:
        out.print(f"fault: {fault}", soft_wrap=True)
    if verdict.faults:
        out.print(f"NOT SOUND: {show.count(len(verdict.faults), 'fault')}")
    elif verdict.sound:
        out.print("sound: nothing was changed, and every answer is equal, bit for bit")
    else:
        out.print(
            "not claimed: the chain is whole; this machine computes otherwise than the writer of the store,\n"
            f"{verdict.differences:,} of {verdict.predictions:,} answers differ here; none is called wrong"
        )
    if verdict.head:
        out.print(f"chain head to note down: {verdict.head}", soft_wrap=True)
