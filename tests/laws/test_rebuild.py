"""rebuild: replaying to a position gives that version's digest, and replaying a prediction gives its bytes. I6, I7, I22."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import LAW, PIPELINES, PLACES, batches, messy, pipeline

from eddyline.store.rebuild import StoredLines
from eddyline.testing import Voyage
from eddyline.testing.given import Given
from eddyline.views.explain import explain
from eddyline.views.verify import verify


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy(), st.data())
def test_every_position_is_rebuilt_to_the_digest_it_had(name: str, records: list[Given], data: st.DataObject) -> None:
    digests: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        learn = voyage.engine.loop.states.learn
        digests[0] = learn.model.digest()
        for batch in batches(records, range(len(records))):
            voyage.take(*batch)
            digests[learn.position] = learn.model.digest()
        store, lines = voyage.engine.store, StoredLines(voyage.engine.store, pipeline(name).plan())
        for position in data.draw(st.lists(st.sampled_from(sorted(digests)), max_size=4)):
            assert lines.rebuild(store.pipeline, position).digest() == digests[position]
        for version in store.versions():
            assert version.digest == digests.get(version.position, version.digest)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy(), PLACES, st.data())
def test_every_answer_is_given_again_to_the_byte(
    name: str, records: list[Given], places: list[int], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        for batch in batches(records, places):
            voyage.take(*batch)
        voyage.crash()
        store = voyage.engine.store
        verdict = verify(store, pipeline(name))
        assert (verdict.faults, verdict.differences, verdict.blocks) == ([], 0, store.seq)
        answered = [p.event_id for block in store.blocks() for p in block.predictions]
        for event_id in data.draw(st.lists(st.sampled_from(answered), max_size=2)) if answered else []:
            assert explain(store, pipeline(name), event_id).again == "equal"


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy(), st.data())
def test_no_byte_of_the_past_can_be_changed_unseen(name: str, records: list[Given], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        for batch in batches(records, [3, 9]):
            voyage.take(*batch)
        store = voyage.engine.store
        seq = data.draw(st.integers(1, store.seq))
        part = data.draw(st.sampled_from(["inputs", "predictions", "examples", "dead", "notes"]))
        (octets,) = store.db.execute(f"SELECT {part} FROM blocks WHERE seq=?", (seq,)).fetchone()
        place = data.draw(st.integers(0, len(octets) - 1))
        changed = octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]
        store.db.execute(f"UPDATE blocks SET {part}=? WHERE seq=?", (changed, seq))
        assert any(f"block {seq}" in fault for fault in verify(store, pipeline(name)).faults)
