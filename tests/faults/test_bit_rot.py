"""A flipped byte in the file of a store is loud where it matters: never another answer in silence (I14).

`EDDYLINE_ROT=9000` flips that many bytes, `EDDYLINE_ROT_SEED=7` draws others.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from tests.store.shop import SHOP, VISITS, Visit, fill, found, head_of, visits

from eddyline import Engine, Prediction
from eddyline.records.errors import StoreError
from eddyline.store.database import Store

SAMPLE = 200
NEW = [Visit(id=f"new-{n}", who=f"w-{n % 5}", at=60 * (VISITS + n), pages=1.0 + n) for n in range(20)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "shop.eddyline"
    fill(path)
    return path


def _answers(path: Path) -> list[Prediction]:
    """Every answer once more, and twenty new ones."""

    async def ask(engine: Engine) -> list[Prediction]:
        return await asyncio.gather(*(engine.aanswer(visit) for visit in [*visits(), *NEW]))

    with Engine(SHOP, path) as engine:
        return asyncio.run(ask(engine))


def _flipped(made: Path, to: Path, place: int, mask: int) -> Path:
    for old in to.parent.glob(f"{to.name}*"):
        old.unlink()
    shutil.copy(made, to)
    with open(to, "r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ mask]))
    return to


def test_a_flipped_byte_is_refused_or_found_or_harms_nothing(made: Path, tmp_path: Path) -> None:
    seed = int(os.environ.get("EDDYLINE_ROT_SEED", "1"))
    print(f"seed {seed}")
    dice, size = random.Random(seed), made.stat().st_size
    expected = _answers(Path(shutil.copy(made, tmp_path / "expected.eddyline")))
    refused, reported, harmless = 0, 0, 0
    for _ in range(int(os.environ.get("EDDYLINE_ROT", SAMPLE))):
        place, mask = dice.randrange(size), 1 << dice.randrange(8)
        here = f"byte {place} with {mask}, seed {seed}"
        faults = found(_flipped(made, tmp_path / "shop.eddyline", place, mask))
        try:
            answers = _answers(_flipped(made, tmp_path / "shop.eddyline", place, mask))
        except StoreError:
            refused += 1
            continue
        assert answers == expected, f"{here}: another answer, in silence; verify said {faults}"
        reported, harmless = reported + bool(faults), harmless + (not faults)
    print(f"{refused} refused, {reported} answered right and reported, {harmless} harmless")
    assert refused


def test_a_journal_whose_log_lost_its_end_is_sound_and_lacks_the_head_that_was_noted(tmp_path: Path) -> None:
    path, left = tmp_path / "shop.eddyline", tmp_path / "left.eddyline"
    with Engine(SHOP, path) as engine:
        for visit in visits(30):
            engine.answer(visit)
        shutil.copy(path, left)
        log = Path(f"{path}-wal").read_bytes()
        noted = engine.store.head.hex()
    Path(f"{left}-wal").write_bytes(log[: len(log) // 2])
    with closing(Store.read(left)) as store:
        assert 0 < store.seq < 30
    assert found(left) == []
    assert "does not hold the head" in found(left, noted)[-1]
    with Engine(SHOP, left) as engine:
        for visit in visits(30):
            engine.answer(visit)
    assert found(left) == []


def test_a_whole_log_beside_the_file_is_taken_to_its_end(tmp_path: Path) -> None:
    path, left = tmp_path / "shop.eddyline", tmp_path / "left.eddyline"
    with Engine(SHOP, path) as engine:
        for visit in visits(30):
            engine.answer(visit)
        shutil.copy(path, left)
        shutil.copy(f"{path}-wal", f"{left}-wal")
        noted = engine.store.head.hex()
    assert head_of(left) == noted
    assert found(left, noted) == []
