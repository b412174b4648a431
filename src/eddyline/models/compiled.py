"""Which form of the arithmetic in `river_direct.py` runs: the one that was compiled when Eddyline was installed, or that file.

There is one source. Where a C compiler was there, a copy of it was compiled beside it (`hatch_build.py`), and says from which
text; another text than the one that stands here now is not used. Both forms give the same bits (tests/models/
test_river_direct.py, decision 34). The compiled one takes every number for a double, so that it gets a scaler only where all
numbers are plain: the first step, whose features Eddyline made, with nothing but floats in its memory.
`EDDYLINE_PYTHON_ONLY=1` leaves it out. It knows no arithmetic.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path
from typing import Any

from eddyline.models import river_direct


def chosen() -> Any:
    """The compiled form, where there is one of this text; otherwise the file itself."""
    if os.environ.get("EDDYLINE_PYTHON_ONLY") == "1":
        return river_direct
    try:
        made = importlib.import_module("eddyline.models._river_direct")
    except ImportError:  # nobody compiled it, or for another Python
        return river_direct
    text = hashlib.blake2b(Path(river_direct.__file__).read_bytes(), digest_size=16).hexdigest()
    return made if text == made.SOURCE else river_direct


direct: Any = chosen()
"""The form that runs: the functions of `river_direct.py`."""


def form() -> str:
    """Which form runs, in a word: "compiled" or "python".

    >>> form() in ("compiled", "python")
    True
    """
    return "python" if direct is river_direct else "compiled"


def first_scaler(step: Any) -> Any:
    """Who does the arithmetic of the first step of a pipeline; None where that is not a scaler of plain numbers."""
    if not river_direct.is_scaler(step):
        return None
    tables = (step.means, step.vars)
    plain = all(type(number) is float for table in tables for number in table.values())
    return direct if plain and all(type(count) is int for count in step.counts.values()) else None
