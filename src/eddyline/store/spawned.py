"""A training in a process of its own: started with low priority, asked how it is, stopped. It outlives a crash of its starter.

The child is `eddyline retrain`, so that what the engine starts is what a person can type. Its numbers are those of the
starter: it inherits the environment, threads of the BLAS library included. Refuses to know what the result is for.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eddyline.records.errors import EddylineError


@dataclass(frozen=True)
class Spawned:
    """A training that runs elsewhere. Its folder is all there is to know: another process can go on with it."""

    process: subprocess.Popen[bytes]
    out_dir: Path

    def done(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def result(self) -> dict[str, Any]:
        """What it found: the document of `eddyline retrain --json`. Raises EddylineError with its words when it failed."""
        code = self.process.wait()
        if code not in (0, 1):  # 1: a gate stayed closed, which is a result
            said = (self.out_dir / "stderr.txt").read_text(errors="replace").strip() or f"exit code {code}"
            raise EddylineError(
                f"retraining in {self.out_dir} failed: {said}\ngo on there: eddyline retrain --out {self.out_dir}"
            )
        found: dict[str, Any] = msgspec.json.decode((self.out_dir / "result.json").read_bytes())
        return found

    def stop(self) -> None:
        """Ends it; what it has learned so far is kept in its folder."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()


def spawn(
    file: str,
    store: Path,
    out_dir: Path,
    *,
    name: str | None = None,
    challenger: str | None = None,
    continues: str | None = None,
    from_at: int | None = None,
    examples: int | None = None,
    seed: int | None = None,
    more: tuple[str, ...] = (),
) -> Spawned:
    """Starts `eddyline retrain FILE` on a store, with its result in `out_dir`; the same call again goes on where it was.

    `file` is the pipeline's, as FILE.py or FILE.py:name. `from_at` is event time in µs, `examples` the newest so many,
    `challenger` whose recipe is taken, `continues` the version it goes on from, `name` what the new line is called.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    options = {
        "--name": name,
        "--challenger": challenger,
        "--continue-from": continues,
        "--from-at": from_at,
        "--examples": examples,
        "--seed": seed,
    }
    given = [part for word, value in options.items() if value is not None for part in (word, str(value))]
    where = ["--store", str(store), "--out", str(out_dir), "--json"]
    with (out_dir / "result.json").open("wb") as out, (out_dir / "stderr.txt").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "eddyline.cli", "retrain", file, *where, *given, *more],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,  # Ctrl-C at the engine is not meant for it
        )
    return Spawned(process, out_dir)
