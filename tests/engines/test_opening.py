"""Hosts of one TaskManager open at the same moment, each in its thread, in one Python."""

from __future__ import annotations

import subprocess
import sys

TYPES = """
import sys, threading, types
import msgspec
from eddyline.engines.flink import hosts

sys.setswitchinterval(1e-6)
raw = msgspec.msgpack.encode([[1], [[2], [[3], [[4], None]]]])


def written(number):
    module = types.ModuleType(f"written_{number}")
    sys.modules[module.__name__] = module
    source = ["import msgspec"]
    for depth in range(6):
        inner = f"C{depth - 1}" if depth else "list[int]"
        source.append(f"class C{depth}(msgspec.Struct, array_like=True):")
        source += [f"    f{field}: '{inner if field % 2 else 'list[int]'} | None' = None" for field in range(6)]
    exec("\\n".join(source), module.__dict__)
    return module.C5


for number in range(60):
    kind = written(number)
    hosts.complete_types()
    together = threading.Barrier(3)
    threads = [threading.Thread(target=lambda: (together.wait(), msgspec.msgpack.decode(raw, type=kind))) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print("survived")
"""


def test_types_that_were_completed_are_decoded_in_many_threads_at_once() -> None:
    """With the call of `complete_types` taken out the process is lost within a few rounds."""
    done = subprocess.run([sys.executable, "-c", TYPES], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "survived\n"), done.stderr
