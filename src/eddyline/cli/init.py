"""`eddyline init`: a pipeline to start from, with data to run it on."""

from __future__ import annotations

import re
from pathlib import Path

import click

from eddyline.cli.options import as_json


@click.command("init", short_help="Write a pipeline to start from, with data.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="The pipeline's name.  [default: parcels]")
@as_json
def command(folder: Path, name: str | None, as_json: bool) -> None:
    """Write a working pipeline into DIR (this folder by default): pipeline.py, made-up data, and a README.

    It overwrites nothing. Afterwards: cd DIR && eddyline replay pipeline.py
    """
    from eddyline.cli import show
    from eddyline.cli.starter import starter
    from eddyline.records.errors import DeclarationError, EddylineError

    name = name or "parcels"
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", name):
        raise DeclarationError(
            f"--name {name!r}: a pipeline's name is lower-case letters, digits, - and _, a letter first\n"
            "for example: --name parcels"
        )
    files = starter(name)
    there = [word for word in files if (folder / word).exists()]
    if there:
        raise EddylineError(
            f"{folder} has {', '.join(there)} already; nothing was written\ngive a new folder: eddyline init DIR"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for word, content in files.items():
        with (folder / word).open("x", encoding="utf-8", newline="\n") as file:
            file.write(content)
    if as_json:
        show.json_document({"folder": folder, "pipeline": name, "files": list(files)})
        return
    out = show.console()
    out.print(f"wrote {', '.join(files)} into {folder}", soft_wrap=True)
    first = "" if folder == Path(".") else f"cd {folder} && "
    out.print(f"next: {first}eddyline replay pipeline.py", soft_wrap=True)
