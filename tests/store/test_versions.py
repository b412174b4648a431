"""Versions: kept as bytes by their digest, rebuilt between, and every change to them found (I6, I8, I14)."""

from __future__ import annotations

import platform
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.store.shop import SHOP, chain_anew, edited, found

from eddyline import Engine
from eddyline.models import adapt
from eddyline.models.fingerprint import fingerprint
from eddyline.records import ModelVersion
from eddyline.records.errors import NotFound, StoreCorrupt
from eddyline.store import blocks
from eddyline.store.database import Store
from eddyline.store.rebuild import StoredLines
from eddyline.views.explain import explain
from eddyline.views.verify import verify


def test_versions_are_kept_at_the_start_and_every_so_many_examples(store: Path) -> None:
    with closing(Store.read(store)) as opened:
        assert [version.position for version in opened.versions()] == [0, 50, 100, 150, 200, 250, 300, 350]
        assert [version.parent for version in opened.versions()[:3]] == [None, "shop@0", "shop@50"]


@pytest.mark.parametrize("position", [0, 49, 50, 51, 180])
def test_any_version_is_rebuilt_to_the_digest_of_a_fold_from_the_start(store: Path, position: int) -> None:
    with closing(Store.read(store)) as opened:
        model = adapt(SHOP.model)
        slots = [row for seq in range(1, opened.seq + 1) for row in opened.examples_of(seq) if row.position > 0]
        for row in slots[:position]:
            first, group = opened.prediction_group(row.slot)
            model.learn(group[row.slot - first].features, row.truth)
        assert StoredLines(opened, SHOP.plan()).rebuild(SHOP.name, position).digest() == model.digest()


def test_a_version_that_was_never_reached_is_not_rebuilt(store: Path) -> None:
    with closing(Store.read(store)) as opened, pytest.raises(StoreCorrupt, match="the examples log ends at"):
        StoredLines(opened, SHOP.plan()).rebuild(SHOP.name, 100_000)


def test_a_position_before_the_first_kept_version_is_not_found(store: Path) -> None:
    with closing(Store.read(store)) as opened, pytest.raises(NotFound, match="no version of shop at or before position -1"):
        opened.nearest_version(-1)


@pytest.mark.parametrize("position", [0, 100, 350])
def test_a_snapshot_that_was_edited_is_found(store: Path, position: int) -> None:
    with edited(store) as db:
        name, state = _snapshot_of(store, position)
        flipped = state[:40] + bytes([state[40] ^ 4]) + state[41:]
        db.execute("UPDATE snapshots SET state=? WHERE hash=?", (flipped, name))
    assert f"the snapshot of shop@{position}" in found(store)[0]


def test_a_snapshot_that_was_replaced_by_that_of_another_version_is_found(store: Path) -> None:
    with edited(store) as db:
        name, _ = _snapshot_of(store, 100)
        _, other = _snapshot_of(store, 150)
        db.execute("UPDATE snapshots SET state=? WHERE hash=?", (other, name))
    assert found(store) == ["store shop.eddyline: the snapshot of shop@100 was changed on disk"]


def test_a_version_that_was_pointed_at_another_snapshot_is_found(store: Path) -> None:
    with edited(store) as db:
        name, _ = _snapshot_of(store, 150)
        db.execute("UPDATE versions SET snapshot=? WHERE position=100", (name,))
    assert "shop@100: its kept bytes has another digest than was recorded" in found(store)


def test_a_snapshot_that_was_deleted_is_found(store: Path) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM snapshots WHERE hash=?", (_snapshot_of(store, 200)[0],))
    assert found(store) == ["store shop.eddyline: the snapshot of shop@200 is missing"]


@pytest.mark.parametrize("position", [0, 200])
def test_a_digest_that_was_edited_is_found(store: Path, position: int) -> None:
    _rewrite(store, position, digest="0" * 32)
    assert any(f"shop@{position}: the fold over the examples has another digest" in fault for fault in found(store))


def test_an_answer_is_not_given_from_a_snapshot_that_was_edited(store: Path) -> None:
    with edited(store) as db:
        name, state = _snapshot_of(store, 50)
        db.execute("UPDATE snapshots SET state=? WHERE hash=?", (blocks.pack(blocks.unpack(state) + b"!"), name))
    with Engine(SHOP, store) as engine:
        before = engine.loop.states.rollout
        with pytest.raises(NotFound, match="the snapshot of shop@50 was changed on disk"):
            engine.rollback("shop@60")
        assert engine.loop.states.rollout == before, "who answers goes on answering"


OTHER = "cp311-np1.0.0-river0.26.1-00000000"


def test_on_another_fingerprint_nothing_is_claimed(store: Path) -> None:
    written_elsewhere(store, OTHER)
    with closing(Store.read(store)) as opened:
        verdict = verify(opened, SHOP)
    assert verdict.written_as == OTHER
    assert not verdict.comparable
    assert not verdict.sound
    assert (verdict.faults, verdict.differences) == ([], 0)


def test_an_engine_goes_on_with_a_store_of_another_fingerprint_and_notes_it_in_the_chain(store: Path) -> None:
    written_elsewhere(store, OTHER)
    with Engine(SHOP, store) as engine:
        engine.rollback("shop@60")
        engine.rollback("live")
        changed = engine.store.seq - 1
    with closing(Store.read(store)) as opened:
        verdict = verify(opened, SHOP)
        assert opened.computed_as() == [OTHER, fingerprint()]
    assert verdict.written_as == f"{OTHER}; {fingerprint()} since block {changed}"
    assert (verdict.faults, verdict.comparable) == ([], False)


def test_another_patch_of_python_opens_the_store_and_goes_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = SHOP.digest
    monkeypatch.setattr(platform, "python_version", lambda: "3.11.99")
    assert SHOP.digest == before
    with Engine(SHOP, store) as engine:
        engine.rollback("shop@60")
    assert found(store) == []


def test_a_fingerprint_beside_the_chain_that_was_edited_is_found(store: Path) -> None:
    with edited(store) as db:
        db.execute("UPDATE meta SET value=? WHERE key='fingerprint'", (msgspec.msgpack.encode(OTHER),))
    assert found(store) == [f"the store says that it was written as {OTHER}, its chain says {fingerprint()}"]


@pytest.mark.parametrize("position", [0, 50, 350])
def test_a_version_that_was_deleted_is_found(store: Path, position: int) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM versions WHERE position=?", (position,))
    assert any(f"shop@{position} was kept" in fault or "no version of shop" in fault for fault in found(store))


@pytest.mark.parametrize("field", ["recipe", "parent", "fingerprint", "created_by"])
def test_any_part_of_a_versions_record_that_was_edited_is_found(store: Path, field: str) -> None:
    _rewrite(store, 100, **{field: "another"})
    assert any("shop@100: what is registered about it" in fault for fault in found(store))


def test_a_version_that_no_block_kept_is_found(store: Path) -> None:
    with edited(store) as db:
        db.execute("INSERT INTO versions SELECT model, 60, version, snapshot, seq FROM versions WHERE position=50")
        (packed,) = db.execute("SELECT version FROM versions WHERE position=60").fetchone()
        version = msgspec.structs.replace(msgspec.msgpack.decode(packed, type=ModelVersion), position=60)
        db.execute("UPDATE versions SET version=? WHERE position=60", (msgspec.msgpack.encode(version),))
    assert any("shop@60 is kept as of block" in fault for fault in found(store))


def test_a_recipe_that_was_deleted_is_found(store: Path) -> None:
    with edited(store) as db:
        db.execute("DELETE FROM recipes")
    assert "shop@0: its recipe" in found(store)[0]


def test_an_explanation_on_another_fingerprint_claims_nothing(store: Path) -> None:
    for position in (0, 50, 100):
        _rewrite(store, position, fingerprint="cp311-np1.0.0-river0.26.1-00000000")
    with closing(Store.read(store)) as opened:
        said = explain(opened, SHOP, "v-100")
    assert said.again == "not claimed"
    assert "cp311-np1.0.0-river0.26.1-00000000" in said.again_detail


def test_an_explanation_holds_the_event_the_answer_its_version_and_its_truth(store: Path) -> None:
    with closing(Store.read(store)) as opened:
        said = explain(opened, SHOP, "v-300")
        assert said.event is not None
        assert said.event["id"] == "v-300"
        assert said.prediction.event_id == "v-300"
        assert said.again == "equal"
        (truth,) = said.truths
        assert (truth.known, truth.at, truth.revision) == ("label", (300 * 60 + 600) * 1_000_000, 0)
        assert truth.version is not None


def _snapshot_of(path: Path, position: int) -> tuple[str, bytes]:
    with closing(Store.read(path)) as opened:
        name, state = opened.db.execute(
            "SELECT s.hash, s.state FROM versions v JOIN snapshots s ON s.hash=v.snapshot WHERE v.position=?", (position,)
        ).fetchone()
        return str(name), bytes(state)


def written_elsewhere(path: Path, fingerprint: str) -> None:
    """Makes the store one that was written on another machine, which gave the same answers."""
    with edited(path) as db:
        (packed,) = db.execute("SELECT notes FROM blocks WHERE seq=1").fetchone()
        notes = msgspec.structs.replace(blocks.decode_notes(packed), fingerprint=fingerprint)
        db.execute("UPDATE blocks SET notes=? WHERE seq=1", (blocks.encode_notes(notes),))
        db.execute("UPDATE meta SET value=? WHERE key='fingerprint'", (msgspec.msgpack.encode(fingerprint),))
        chain_anew(db)


def _rewrite(path: Path, position: int, **changes: str) -> None:
    with edited(path) as db:
        (packed,) = db.execute("SELECT version FROM versions WHERE position=?", (position,)).fetchone()
        version = msgspec.structs.replace(msgspec.msgpack.decode(packed, type=ModelVersion), **changes)
        db.execute("UPDATE versions SET version=? WHERE position=?", (msgspec.msgpack.encode(version), position))
