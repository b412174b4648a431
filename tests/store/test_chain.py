"""The chain: nothing in the past is changed, removed, added or moved without `verify` seeing it (I14, I22)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from tests.store.shop import SHOP, chain_anew, edited, found, head_of

from eddyline import Engine
from eddyline.records.errors import StoreCorrupt
from eddyline.store import blocks
from eddyline.store.database import Store

COLUMNS = ("seq", "first_slot", "first_example", "deads", "inputs", "predictions", "examples", "dead", "notes", "hash")


def test_an_untouched_store_is_sound(store: Path) -> None:
    assert found(store, head_of(store)) == []


@pytest.mark.parametrize("column", COLUMNS[1:])
@pytest.mark.parametrize("seq", [1, 6, "last"])
def test_a_block_that_was_edited_is_found(store: Path, column: str, seq: int | str) -> None:
    where = "(SELECT max(seq) FROM blocks)" if seq == "last" else seq
    with edited(store) as db:
        (value,) = db.execute(f"SELECT {column} FROM blocks WHERE seq={where}").fetchone()
        changed = value + 1 if isinstance(value, int) else value[:-1] + bytes([value[-1] ^ 1])
        db.execute(f"UPDATE blocks SET {column}=? WHERE seq={where}", (changed,))
    assert found(store)


def test_an_answer_that_was_rewritten_with_all_its_checksums_is_found(store: Path) -> None:
    with edited(store) as db:
        (packed,) = db.execute("SELECT predictions FROM blocks WHERE seq=5").fetchone()
        first, *others = blocks.decode_predictions(packed)
        first.features["pages"] = 1.0
        db.execute("UPDATE blocks SET predictions=? WHERE seq=5", (blocks.encode_predictions([first, *others]),))
    assert found(store) == ["block 5: its bytes, or those of a block before it, were changed"]


def test_a_chain_that_was_written_anew_with_other_answers_is_found_by_answering_again(store: Path) -> None:
    with edited(store) as db:
        (packed,) = db.execute("SELECT predictions FROM blocks WHERE seq=5").fetchone()
        first, *others = blocks.decode_predictions(packed)
        first.features["pages"] += 1.0  # type: ignore[operator]
        db.execute("UPDATE blocks SET predictions=? WHERE seq=5", (blocks.encode_predictions([first, *others]),))
        chain_anew(db)
    assert any(repr(first.event_id) in fault for fault in found(store))


def test_a_chain_that_was_written_anew_does_not_hold_the_head_that_was_noted(store: Path) -> None:
    noted = head_of(store)
    with edited(store) as db:
        (packed,) = db.execute("SELECT notes FROM blocks WHERE seq=5").fetchone()
        notes = blocks.decode_notes(packed)
        notes.positions["events"] += 1
        db.execute("UPDATE blocks SET notes=? WHERE seq=5", (blocks.encode_notes(notes),))
        chain_anew(db)
    assert found(store) == []  # nothing in it contradicts itself
    assert "does not hold the head" in found(store, noted)[0]


def test_the_last_block_that_was_deleted_is_found_by_the_checkpoint_behind_it(store: Path) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM blocks WHERE seq=(SELECT max(seq) FROM blocks)")
    assert "it was cut" in found(store)[0]


@pytest.mark.parametrize("seq", [1, 2, 7])
def test_a_block_that_was_deleted_is_found(store: Path, seq: int) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM blocks WHERE seq=?", (seq,))
    assert f"block {seq} is missing" in found(store)[0]


def test_a_block_that_was_deleted_and_the_rest_moved_up_is_found(store: Path) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM blocks WHERE seq=3")
        for (seq,) in db.execute("SELECT seq FROM blocks WHERE seq>3 ORDER BY seq").fetchall():
            db.execute("UPDATE blocks SET seq=? WHERE seq=?", (seq - 1, seq))
    assert found(store)


def test_a_block_that_was_inserted_is_found(store: Path) -> None:
    with edited(store) as db:
        for (seq,) in db.execute("SELECT seq FROM blocks WHERE seq>3 ORDER BY seq DESC").fetchall():
            db.execute("UPDATE blocks SET seq=? WHERE seq=?", (seq + 1, seq))
        db.execute(f"INSERT INTO blocks SELECT 4, {', '.join(COLUMNS[1:])} FROM blocks WHERE seq=3")
    assert found(store)


def test_blocks_that_changed_places_are_found(store: Path) -> None:
    with edited(store) as db:
        for seq, to in ((3, -1), (4, 3), (-1, 4)):
            db.execute("UPDATE blocks SET seq=? WHERE seq=?", (to, seq))
    assert found(store)


def test_a_cut_at_the_end_is_found_by_the_head_that_was_noted(store: Path) -> None:
    noted = head_of(store)
    with edited(store) as db:
        db.execute("DELETE FROM blocks WHERE seq=(SELECT max(seq) FROM blocks)")
    assert "does not hold the head" in found(store, noted)[-1]


def test_a_head_that_was_noted_earlier_is_still_held_when_the_store_has_grown(store: Path) -> None:
    noted = head_of(store)
    with Engine(SHOP, store) as engine:
        engine.rollback("shop@60")
    assert head_of(store) != noted
    assert found(store, noted) == []


def test_an_engine_refuses_a_journal_that_was_cut_behind_its_checkpoint(store: Path) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM blocks WHERE seq=(SELECT max(seq) FROM blocks)")
    with pytest.raises(StoreCorrupt, match="its checkpoint stands at block"):
        Engine(SHOP, store)


def test_an_engine_refuses_to_replay_a_block_that_was_edited(store: Path) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM checkpoints")
        db.execute("UPDATE blocks SET deads=deads+1 WHERE seq=4")
    with pytest.raises(StoreCorrupt, match="block 4, or one before it, was changed"):
        Engine(SHOP, store)


def test_every_bit_of_a_packed_record_is_checked_when_it_is_read() -> None:
    for raw in (b"small", bytes(range(256)) * 4):
        packed = blocks.pack(raw)
        assert blocks.unpack(packed) == raw
        for bit in range(8 * len(packed)):
            flipped = bytearray(packed)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(StoreCorrupt, match="checksum"):
                blocks.unpack(bytes(flipped))


def test_a_store_says_where_its_chain_ends(store: Path) -> None:
    with closing(Store.read(store)) as opened:
        *_, (seq, stored, computed, _) = opened.chain()
        assert (seq, stored.hex()) == (opened.seq, head_of(store))
        assert stored == computed
