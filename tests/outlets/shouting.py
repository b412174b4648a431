"""Raises alerts and delivers them until it is killed: `python -m tests.outlets.shouting FOLDER URL`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.outlets.shop import opened, visit

from eddyline.outlets import beside
from eddyline.outlets.webhook import delivering


def main(folder: Path, url: str) -> None:
    beside.LOOK_S = beside.FIRST_PAUSE_S = 0.02
    with opened(folder) as engine, delivering(engine, url):
        number = engine.store.seq
        while True:
            number += 1
            engine.answer(visit(number, 5_000.0))
            time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
