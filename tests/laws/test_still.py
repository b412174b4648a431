"""still: predicting changes nothing; published bytes never change. Every family of models is in tests/models."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import LAW, PIPELINES, PLACES, Payment, batches, messy, pipeline

from eddyline.records import KEY_FEATURE, Features
from eddyline.store.database import Store
from eddyline.testing import Journey, Voyage, account_of
from eddyline.testing.given import Given

ODD: st.SearchStrategy[Features] = st.dictionaries(
    st.sampled_from(["amount", "often", "north", "unseen"]), st.floats(-1e6, 1e6) | st.booleans()
)


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy(), st.lists(ODD, max_size=20))
def test_answering_leaves_every_bit_of_the_learner_alone(name: str, records: list[Given], asked: list[Features]) -> None:
    journey = Journey(pipeline(name))
    for batch in batches(records, []):
        journey.take(*batch)
    model = journey.loop.states.learn.model
    before = model.digest()
    own: Features = {KEY_FEATURE: "never learned"} if pipeline(name).per == "key" else {}
    for seen in [*({**own, **odd} for odd in asked), *(p.features for p in journey.total.predictions)]:
        given = dict(seen)
        assert model.predict(seen) == model.predict(seen)
        assert seen == given
    assert model.digest() == before


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy())
def test_an_event_that_is_refused_leaves_no_trace_but_its_letter(name: str, records: list[Given]) -> None:
    refused = Payment(id="refused", card="c-1", at=10_000, amount=0.0, shop="broken")
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        for batch in batches(records, []):
            voyage.take(*batch)
        before = account_of(voyage.engine)
        assert len(voyage.take(refused).dead) == 1
        assert account_of(voyage.engine).differences(before, ignoring=("inputs", "dead")) == []


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(messy(), PLACES)
def test_versions_and_blocks_that_were_kept_never_change(name: str, records: list[Given], places: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        kept = kept_bytes(voyage.engine.store)
        for batch in batches(records, places):
            voyage.take(*batch)
            now = kept_bytes(voyage.engine.store)
            assert {key: now[key] for key in kept} == kept
            kept = now


def kept_bytes(store: Store) -> dict[tuple[str, object], object]:
    """Every block and every version by its number, with its bytes."""
    blocks = store.db.execute("SELECT seq, inputs, predictions, examples, dead, notes, hash FROM blocks").fetchall()
    versions = store.db.execute(
        "SELECT model || '@' || position, version, state FROM versions JOIN snapshots ON snapshots.hash=versions.snapshot"
    ).fetchall()
    assert len(versions) == sum(len(store.versions(line)) for line in store.lines())
    return {("block", row[0]): row for row in blocks} | {("version", row[0]): row for row in versions}
