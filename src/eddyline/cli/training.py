"""What `test` and `retrain` share: a progress bar, and the reports they write. No command of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eddyline.views.trial import Tried


@contextmanager
def bar(*, silent: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the examples, on a terminal."""
    from rich.progress import Progress

    from eddyline.cli import show

    console = show.console(err=True)
    with Progress(console=console, transient=True, disable=silent or not console.is_terminal) as progress:
        task = progress.add_task("learning", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def make_room(*files: str | None) -> None:
    """Makes the folders of files that are to be written: before the work, so that it is not lost for a missing folder."""
    from pathlib import Path

    from eddyline.records.errors import DeclarationError

    for file in files:
        if file is not None:
            try:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DeclarationError(f"{file} cannot be written: {error.strerror}\nname a file in another folder") from error


def write_reports(tried: Tried, seconds: float, junit_file: str | None, markdown_file: str | None) -> None:
    """Writes the files that were asked for, and adds to the page of a job on GitHub Actions."""
    import os
    from pathlib import Path

    from eddyline.views.trial_report import junit, markdown

    if junit_file is not None:
        Path(junit_file).write_bytes(junit(tried, seconds))
    if markdown_file is not None:
        Path(markdown_file).write_text(markdown(tried), encoding="utf-8")
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page:
        with Path(page).open("a", encoding="utf-8") as file:
            file.write(markdown(tried))
