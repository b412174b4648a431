"""`eddyline verify`: proves the store, or with --brokers a run on Flink by its topics."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json, kafka_for, pipeline_file

if TYPE_CHECKING:
    from eddyline.engines.flink.audit import Audit
    from eddyline.pipeline.loading import Loaded
    from eddyline.views.verify import Verdict

SOUND, FAULTS, NOT_CLAIMED = 0, 1, 7


@click.command("verify", short_help="Prove the chain, every kept version and every answer.")
@pipeline_file
@click.option("--head", metavar="HASH", help="A chain head noted earlier: what was there then must still be there.")
@kafka_for("Audit the topics <name>.* of a run on Flink instead of a store.")
@as_json
def command(
    file: str, store: str | None, head: str | None, brokers: str | None, kafka_config: str | None, as_json: bool
) -> int:
    """Prove that nothing in the store was changed: the chain, every kept version, and every answer once more.

    With --brokers, prove that a run on Flink is the embedded logic: every event answered once, every answer given
    again from the topics, every version learned again, every label joined again. Stop the job first, or let it
    come to rest. Whether each decision follows from the journal: `eddyline history FILE --check`.

    Exit code 0 when it is sound, 1 when faults were found, 7 when this machine computes otherwise than the
    one that wrote: then nothing is claimed about equal answers.
    """
    from eddyline.cli import show
    from eddyline.pipeline.loading import load

    loaded = load(file, store)
    if brokers is not None:
        return _audit(loaded, brokers, kafka_config, as_json=as_json)
    verdict = _verify(loaded, head, silent=as_json)
    if as_json:
        show.json_document({**show.plain(verdict), "comparable": verdict.comparable, "sound": verdict.sound})
    else:
        _page(verdict)
    if verdict.faults:
        return FAULTS
    return SOUND if verdict.sound else NOT_CLAIMED


def _audit(loaded: Loaded, brokers: str, kafka_config: str | None, *, as_json: bool) -> int:
    """The audit of a run on Flink, with a progress bar on a terminal."""
    from pathlib import Path

    from rich.progress import Progress

    from eddyline.cli import show
    from eddyline.connectors.kafka.connection import Connection, read_properties
    from eddyline.engines.flink.audit import audit

    connection = Connection(brokers, read_properties(Path(kafka_config)) if kafka_config else {})
    console = show.console(err=True)
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task("auditing", total=None)
        done = audit(loaded.pipeline, connection, on_progress=lambda done, of: bar.update(task, completed=done, total=of))
    if as_json:
        show.json_document({**show.plain(done), "comparable": done.comparable, "sound": done.sound})
    else:
        _audit_page(done)
    if done.found:
        return FAULTS
    return SOUND if done.sound else NOT_CLAIMED


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
        ("decisions", f"{verdict.decisions:,}" if verdict.decisions else None),
        ("dead letters", f"{verdict.dead:,}"),
        ("answers that differ", f"{verdict.differences:,}"),
        ("written as", verdict.written_as or None),
        ("this machine", verdict.fingerprint or None),
    ]
    show.facts("verified", rows)
    for fault in verdict.faults:
        out.print(f"fault: {fault}", soft_wrap=True)
    for why, many in verdict.left_out.items():
        out.print(f"not given again: {show.count(many, 'answer')}: {why}", soft_wrap=True)
    if verdict.faults:
        out.print(f"NOT SOUND: {show.count(len(verdict.faults), 'fault')}")
    elif verdict.sound and verdict.left_out:
        out.print("sound as far as it was looked at: nothing was changed, and every answer that was given again is equal")
    elif verdict.sound:
        out.print("sound: nothing was changed, and every answer is equal, bit for bit")
    else:
        out.print(
            "not claimed: the chain is whole; this machine computes otherwise than the writer of the store,\n"
            f"{verdict.differences:,} of {verdict.predictions:,} answers differ here; none is called wrong"
        )
    if verdict.head:
        out.print(f"chain head to note down: {verdict.head}", soft_wrap=True)


def _audit_page(done: Audit) -> None:
    from eddyline.cli import show

    out = show.console()
    rows = [
        ("events", f"{done.events:,}"),
        ("answered once", f"{done.predictions:,}"),
        ("came again, left out", f"{done.repeats:,}"),
        ("answered for each of two keys", f"{done.shared:,}" if done.shared else None),
        ("answered or refused again", f"{done.answered_again:,}"),
        ("examples", f"{done.examples:,}"),
        ("examples learned again", f"{done.learned:,}"),
        ("versions learned again", f"{done.versions:,}"),
        ("rollouts", f"{done.rollouts:,}"),
        ("labels joined again", f"{done.labels:,}"),
        ("ids that differ by what still waits", f"{done.waiting:,}"),
        ("ids whose label came too disordered", f"{done.disordered:,}"),
        ("ids that event time overtook", f"{done.overtaken:,}"),
        ("dead letters", f"{done.dead:,}"),
        ("answers and versions that differ", f"{done.differences:,}"),
        ("written as", done.written_as or None),
        ("this machine", done.fingerprint),
    ]
    show.facts("audited", rows)
    for fault in done.faults:
        out.print(f"fault: {fault}", soft_wrap=True)
    if done.found:
        out.print(f"NOT SOUND: {show.count(done.found, 'fault')}")
    elif done.sound:
        out.print("sound: the run on Flink is the embedded logic, every answer and version bit for bit")
    elif done.written_as:
        out.print(
            "not claimed: the records are whole; this machine computes otherwise than the one that ran the job,\n"
            f"{done.differences:,} answers and versions differ here; none is called wrong"
        )
    else:
        out.print("not claimed: no version was published, so nothing says which machine computed the answers")
