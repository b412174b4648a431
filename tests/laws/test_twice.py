"""twice: a redelivered record changes nothing, and a re-sent event gets its first answer. I2, I3 and I4."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import LAW, PIPELINES, Chargeback, Payment, interleaved, pipeline, roomy, sources

from eddyline import Rejected
from eddyline.engines.flink.serve import Answered, digest_of
from eddyline.records import Reason
from eddyline.records.schema import Schema
from eddyline.stages.serve import says_the_same
from eddyline.store.blocks import Input, Kind
from eddyline.testing import Voyage, account_of
from eddyline.testing.given import Given
from eddyline.testing.stream import cut

COUNTS = ("inputs", "waiting", "dead")
"""What may tell that something came twice: the journal, the counts of repeated records, a refusal once more."""


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False), st.lists(st.sampled_from(["", "stop", "crash"]), min_size=3, max_size=3))
def test_a_stream_that_is_redelivered_from_the_start_changes_nothing(
    name: str, given: tuple[list[Payment], list[Chargeback]], random: Random, between: list[str]
) -> None:
    records = interleaved(name, given, random)
    with tempfile.TemporaryDirectory() as folder, Voyage(roomy(name), Path(folder)) as voyage:
        for batch in cut(records, [random.randint(0, len(records)) for _ in range(3)]):
            voyage.take(*batch)
        once = account_of(voyage.engine)
        for how in between:
            if how:
                getattr(voyage, how)()
            for batch in cut(records[: random.randint(0, len(records))], [random.randint(0, len(records))]):
                voyage.take(*batch)
            assert account_of(voyage.engine).differences(once, ignoring=COUNTS) == []


@pytest.mark.parametrize("name", PIPELINES)
@LAW
@given(sources(), st.randoms(use_true_random=False))
def test_an_event_sent_again_gets_its_first_answer_to_the_byte(
    name: str, given: tuple[list[Payment], list[Chargeback]], random: Random
) -> None:
    with tempfile.TemporaryDirectory() as folder, Voyage(roomy(name), Path(folder)) as voyage:
        first = voyage.take(*interleaved(name, given, random)).predictions
        voyage.crash()
        for event in random.choices(given[0], k=5):
            answer = next(p for p in first if p.event_id == event.id)
            assert msgspec.msgpack.encode(voyage.engine.answer(event)) == msgspec.msgpack.encode(answer)


P1 = Payment(id="p-1", card="c-1", at=0, amount=1.0, shop="north")
OTHER = Payment(id="p-1", card="c-1", at=0, amount=2.0, shop="north")
REFUSED = Payment(id="p-1", card="c-1", at=0, amount=3.0, shop="closed")
UNREADABLE = Input(Kind.EVENT, b'{"id":"p-1"', 0)


@pytest.mark.parametrize("restart", ["stop", "crash", "go on"])
@pytest.mark.parametrize(
    "before",
    [[P1], [UNREADABLE, P1], [REFUSED, P1], [P1, OTHER], [P1, REFUSED], [REFUSED, REFUSED, UNREADABLE, P1, OTHER, P1]],
    ids=["alone", "after bytes", "after a refusal", "and another", "and a refusal", "in a crowd"],
)
def test_the_same_id_with_other_fields_is_refused_and_the_first_answer_stands(
    before: list[Given], restart: str, tmp_path: Path
) -> None:
    with Voyage(pipeline("live"), tmp_path) as voyage:
        first = voyage.take(*before).predictions
        assert [(p.event_id, p.features["amount"]) for p in first] == [("p-1", 1.0)]
        if restart != "go on":
            getattr(voyage, restart)()
        for other in (OTHER, REFUSED):
            with pytest.raises(Rejected) as refused:
                voyage.engine.answer(other)
            assert refused.value.reason == Reason.ID_CONFLICT.value
        assert voyage.engine.answer(P1) == first[0]
        assert voyage.take(OTHER, P1, OTHER).predictions == []


def test_an_id_and_a_key_are_one_whether_they_are_written_as_numbers_or_as_text(tmp_path: Path) -> None:
    number = Payment(id=7, card=1, at=0, amount=1.0, shop="north")
    text = Payment(id="7", card="1", at=0, amount=1.0, shop="north")
    with Voyage(pipeline("live"), tmp_path) as voyage:
        first = voyage.take(number).predictions
        assert voyage.take(text).dead == []
        assert [voyage.engine.answer(text)] == first
    schema, other = Schema.of(Payment), Payment(id="7", card="1", at=0, amount=2.0, shop="north")
    event, answered = schema.arrival(number), Answered(schema)
    for kept in (event, digest_of(schema.identity(event))):  # what Flink's operator knows of an id: in its batch, and after it
        answered.of(0)["7"] = kept
        slot = answered.find("7")
        assert slot is not None
        assert says_the_same(answered.arrival(slot), schema.arrival(text))
        assert not says_the_same(answered.arrival(slot), schema.arrival(other))


def test_labels_with_one_truth_and_other_fields_are_one_label_while_they_are_held(tmp_path: Path) -> None:
    with Voyage(pipeline("patient"), tmp_path) as voyage:
        told = [Chargeback(id="p-1", at=1, fraud=True, note=note) for note in ("b", "a", "b")]
        voyage.take(P1, *told)
        voyage.crash()
        found = voyage.take(Payment(id="p-2", card="c-1", at=9, amount=1.0, shop="north"))
        assert [(example.truth, example.revision) for example in found.examples] == [(True, 0)]
