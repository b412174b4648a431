"""Several threads may read and write blocks at once, as an engine and a page that shows its store do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random

from eddyline.store import blocks


def survives(seed: int) -> bool:
    random = Random(seed)
    texts = [b"%d," % seed * 100_000 + random.randbytes(100_000) for _ in range(40)]
    return all(blocks.unpack(blocks.pack(text)) == text for text in texts)


def test_four_threads_pack_and_unpack_at_once_and_get_their_own_bytes_back() -> None:
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(survives, range(4)))
