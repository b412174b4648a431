"""A line of a hundred megabytes costs no more memory than one of two (I21)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEGABYTE = 1 << 20
RUN = """
import hashlib, resource, sys
from pathlib import Path
from eddyline import Engine
from eddyline.engines.embedded import replay
from eddyline.views.letters import letters
from tests.poison.stream import pipeline, payment

model, base, size = "StandardScaler|LogisticRegression", Path(sys.argv[1]), int(sys.argv[2])
declared = pipeline(model)
encode, digest = declared.event_schema.encode, hashlib.sha256()
with open(base / "payments.jsonl", "wb") as file:
    file.write(encode(payment(0)) + b"\\n")
    for _ in range(size >> 20):
        file.write(b"x" * (1 << 20))
        digest.update(b"x" * (1 << 20))
    file.write(b"\\n" + encode(payment(1)) + b"\\n")
(base / "truths.jsonl").write_bytes(b"")
with Engine(declared, base / "poisoned.eddyline") as engine:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    replay(engine, base)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (letter,) = letters(engine.store)
    assert (letter.reason, letter.size, letter.sha256) == ("too_large", size, digest.hexdigest()), letter.reason
    assert len(letter.raw) == 64 * 1024
    assert engine.store.slots == 2
print(after - before)
"""


def _kilobytes(base: Path, size: int) -> int:
    """How much the memory of a process grew when it met a line of this size."""
    ran = subprocess.run(
        [sys.executable, "-c", RUN, str(base), str(size)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_a_line_of_a_hundred_megabytes_is_refused_within_twenty_megabytes_of_memory(tmp_path: Path) -> None:
    assert _kilobytes(tmp_path, 100 * MEGABYTE) < 20 * 1024
