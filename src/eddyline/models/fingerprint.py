"""The numeric fingerprint of this installation: whether it computes the same last bits as another one.

`math.exp` differs with and without FMA, a matrix product with the number of BLAS threads, everything with
versions. A replay on another fingerprint says so instead of claiming equality (law *rebuild*). Of models it knows
only which libraries they say compute their answers.
"""

from __future__ import annotations

import functools
import hashlib
import math
import struct
import sys
from collections.abc import Iterable

import numpy as np
from river.__version__ import __version__ as RIVER_VERSION  # noqa: N812

ADAPTERS = 1
"""Our own part in the arithmetic: raised whenever an adapter would answer or learn in other bits."""

_NAMES = ("eddy", "cp", "np", "river", "sklearn", "skops", "ort")
"""What a fingerprint calls our adapters, Python and the libraries."""
_BESIDE = {"skops": "skops", "onnxruntime": "ort"}
"""Libraries that count where a model of the pipeline says it is answered by them, and how the fingerprint calls them."""


def fingerprint(models: Iterable[object] = ()) -> str:
    """Versions and a hash over fixed computations, such as `eddy1-cp311-np2.4.6-river0.26.1-1f2e3d4c`.

    `models` are those of a pipeline (`plan.models`): where one of them is an ONNX file, ONNX Runtime's version is part of
    it, where one is a skops file that of skops; others need neither. scikit-learn's is part of it once it is imported. The
    first call costs about 10 ms, the others nothing.

    >>> fingerprint() == fingerprint()
    True
    >>> fingerprint().split("-")[1].startswith("cp3")
    True
    """
    parts = [f"eddy{ADAPTERS}", f"cp{sys.version_info[0]}{sys.version_info[1]}", f"np{np.__version__}", f"river{RIVER_VERSION}"]
    sklearn = sys.modules.get("sklearn")
    if sklearn is not None:
        parts.append(f"sklearn{sklearn.__version__}")
    used = {name: version for model in models for name, version in getattr(model, "libraries", {}).items()}
    parts += [f"{short}{used[name].replace('-', '+')}" for name, short in _BESIDE.items() if name in used]
    return "-".join([*parts, _numeric()])


def same_numbers(one: str, other: str) -> bool:
    """Whether two fingerprints of one pipeline stand for the same bits.

    They may differ in scikit-learn where one of the two processes had not imported it: then no model of that pipeline did.

    >>> same_numbers("cp311-np2.4.6-sklearn1.9.0-aaaaaaaa", "cp311-np2.4.6-aaaaaaaa")
    True
    >>> same_numbers("cp311-np2.4.6-aaaaaaaa", "cp312-np2.4.6-aaaaaaaa")
    False
    """
    here, there = _parts(one), _parts(other)
    if "sklearn" not in here or "sklearn" not in there:
        here.pop("sklearn", None)
        there.pop("sklearn", None)
    return here == there


def covers(written: str, here: str) -> bool:
    """Whether an installation with the fingerprint `here` computes whatever one with `written` did: it may know more libraries.

    >>> covers("cp311-np2.4.6-aaaaaaaa", "cp311-np2.4.6-ort1.22-aaaaaaaa")
    True
    >>> covers("cp311-np2.4.6-ort1.22-aaaaaaaa", "cp311-np2.4.6-aaaaaaaa")
    False
    """
    there, mine = _parts(written), _parts(here)
    if "sklearn" not in mine:
        there.pop("sklearn", None)  # no model of this pipeline needs it, or it would be here
    return all(mine.get(name) == part for name, part in there.items())


def _parts(text: str) -> dict[str, str]:
    *versions, numeric = text.split("-")
    found = {"": numeric}
    for part in versions:
        name = next((name for name in _NAMES if part.startswith(name)), part)
        found[name] = part.removeprefix(name)
    return found


@functools.cache
def _numeric() -> str:
    """Eight hex digits over results whose last bits depend on the processor and the libraries."""
    taken = hashlib.sha256()
    points = [0.1 + 0.37 * i for i in range(200)]
    for function in (math.exp, math.log, math.sqrt, math.sin, math.tanh, math.erf, math.lgamma):
        taken.update(struct.pack("<200d", *map(function, points)))
    taken.update(struct.pack("<200d", *(math.pow(x, 1.7) for x in points)))
    taken.update(struct.pack("<200d", *(x**-0.3 for x in points)))
    vector = np.array(points * 20)
    for array in (np.exp(-vector), np.log(vector), np.power(vector, 0.7), np.sin(vector), np.tanh(vector)):
        taken.update(array.tobytes())
    wave = np.sin(np.arange(300 * 300) * 0.1).reshape(300, 300)
    taken.update(struct.pack("<3d", vector @ np.cos(vector), vector.sum(), float(np.linalg.norm(wave))))
    taken.update((wave @ wave.T).tobytes())
    taken.update((wave @ vector[:300]).tobytes())
    return taken.hexdigest()[:8]
