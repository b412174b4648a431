"""`eddyline versions`: which versions are kept, and who answers now."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from eddyline.cli.options import as_json, pipeline_file

if TYPE_CHECKING:
    from eddyline.views.history import Change, KeptVersion, Standing
    from eddyline.views.lines import Stands


@click.command("versions", short_help="Which versions are kept, and who answers now.")
@pipeline_file
@as_json
def command(file: str, store: str | None, as_json: bool) -> None:
    """List the versions that are kept as bytes, and who answers now.

    Any position up to a line's learner can answer or be rebuilt, not only the kept ones. Which lines learn, and since when
    the others have stood still, is told below. With --json also their recipes, and every change of who answers.
    """
    from eddyline.cli import show
    from eddyline.pipeline.loading import load
    from eddyline.store.database import Store
    from eddyline.views.history import changes, kept_versions, standing
    from eddyline.views.lines import lines

    loaded = load(file, store)
    with closing(Store.read(loaded.store)) as opened:
        kept, now, past = kept_versions(opened), standing(opened, loaded.pipeline), changes(opened)
        there = lines(opened, loaded.pipeline)
    if as_json:
        listed = [{"name": one.version.name, **show.plain(one.version), **_beside(one)} for one in kept]
        show.json_document({"answers": now, "lines": there, "versions": listed, "rollouts": past})
    else:
        _page(kept, now, past, there)


def _beside(one: KeptVersion) -> dict[str, object]:
    return {
        "bytes": one.octets,
        "block": one.block,
        "recipe": one.recipe,
        "recipe_digest": one.version.recipe,
    }


def _page(kept: list[KeptVersion], now: Standing, past: list[Change], there: list[Stands]) -> None:
    from eddyline.cli import show

    made = show.table(
        "version",
        "digest",
        "parent",
        "made by",
        "numbers as",
        "size",
        right=("size",),
    )
    for one in kept:
        version = one.version
        name = f"{version.name} *" if version.name == now.version else version.name
        made.add_row(
            name,
            version.digest[:12],
            version.parent or "-",
            version.created_by,
            _short(version.fingerprint),
            show.size(one.octets),
        )
    show.titled("versions kept as bytes", made)
    out = show.console()
    for fingerprint in dict.fromkeys(one.version.fingerprint for one in kept):
        out.print(f"numbers as {_short(fingerprint)}: {fingerprint}", soft_wrap=True)
    rollout = now.rollout
    who = f"the learner, now {now.version}" if now.live else now.version
    reason = f": {rollout.reason}" if rollout.reason else ""
    out.print(f"answers now: {who} (rollout {rollout.revision} by {rollout.author}{reason})", soft_wrap=True)
    if not now.live or len(there) > 1:
        for line in there:
            out.print(line.sentence(), soft_wrap=True)
    if past:
        history = show.table("rollout", "from block", "learner at", "champion", "author", "reason")
        for change in past[-20:]:
            made_by = change.rollout
            champion = made_by.champion or "the learner"
            where = (str(made_by.revision), str(change.block), str(change.learner))
            history.add_row(*where, champion, made_by.author, made_by.reason)
        out.print()
        show.titled("who answered since", history)


def _short(fingerprint: str) -> str:
    """The end of a numeric fingerprint, which tells two of them apart."""
    return fingerprint.rpartition("-")[2]
