"""`eddyline change`: go on in the same store under another declaration of how the pipeline is watched and decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eddyline.cli.asking import by

if TYPE_CHECKING:
    from eddyline.engines.embedded.change import Change


@click.command("change", short_help="Go on in the store with other metrics, monitors, challengers or policies.")
@by
@click.option("--dry-run", is_flag=True, help="Say what it would mean, and change nothing.")
def command(file: str, store: str | None, dry_run: bool, author: str | None, reason: str, as_json: bool) -> None:
    """Take up FILE as it is now, from here on: its metrics, monitors, challengers, policies, look_every, publish and versions.

    What the declaration before had, too, goes on with its memory: metrics to the bit, policies with their evidence. What is
    new begins here; what is no more ends here, and its past stays in the journal. The change is one record of the
    journal, with an author and a reason. Stop whoever runs on the store first: code that runs cannot change. Events,
    features, the model, join and whatever else decides about answers stay as they are.
    """
    from eddyline.cli import show
    from eddyline.cli.asking import who
    from eddyline.engines.embedded.change import change
    from eddyline.pipeline.loading import load

    loaded = load(file, store)
    done = change(loaded.pipeline, loaded.store, author=who(author), reason=reason, dry_run=dry_run)
    if as_json:
        show.json_document(done)
    else:
        _page(done, loaded.file.name, dry_run=dry_run)


def _page(done: Change, file: str, *, dry_run: bool) -> None:
    from eddyline.cli import show

    out = show.console()
    if not done.says:
        out.print(f"nothing changes: the store holds this declaration ({done.digest})")
        return
    for line in done.says:
        out.print(f"- {line}", soft_wrap=True)
    if dry_run:
        out.print(f"it would hold from here on, after {done.answers:,} answers; nothing was changed")
        if any(line.startswith("challenger ") and " enters " in line for line in done.says):
            out.print(f"a name is one recipe for ever: try who enters on the first event before, eddyline check {file}")
        return
    out.print(f"{done.digest} holds from block {done.block:,} on, after {done.answers:,} answers (it was {done.was})")
    for decision in done.decisions:
        out.print(f"decision {decision.number}: {decision.action} {decision.subject}, {decision.status}", soft_wrap=True)
    if done.rollout is not None:
        beside = ", ".join(f"{place.who} ({place.mode})" for place in done.rollout.places) or "nobody"
        champion = done.rollout.champion or "the learner"
        out.print(f"rollout {done.rollout.revision}: {champion} answers, beside it {beside}", soft_wrap=True)
