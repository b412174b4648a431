"""whole: accepted = answered + dead-lettered, with a reason each; nothing is lost, nothing is invented. I1, I3 and I4."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.drawn import LAW, PIPELINES, PLACES, batches, messy, pipeline

from eddyline.records import Reason
from eddyline.store.blocks import Kind
from eddyline.testing import Voyage, account_of
from eddyline.testing.given import Given
from eddyline.views.summary import summarize

REASONS = {reason.value for reason in Reason}


@pytest.mark.parametrize("name", [*PIPELINES, "shadowed"])
@LAW
@given(messy(), PLACES, st.booleans())
def test_every_record_is_answered_joined_waiting_repeated_or_refused(
    name: str, records: list[Given], places: list[int], drained: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(name), Path(folder)) as voyage:
        for batch in batches(records, places):
            voyage.take(*batch)
        if drained:
            voyage.drain()
        account, summary = account_of(voyage.engine), summarize(voyage.engine)
    early, held, events_again, labels_again = account.waiting
    refused = [(letter.stream, letter.reason) for letter in account.dead]
    received = [one.kind for one in account.inputs]
    told = [row for row in account.examples if row.known == "label"]

    events_refused = sum(stream == "events" and reason != "id_conflict" for stream, reason in refused)
    assert received.count(Kind.EVENT) == len(account.predictions) + events_refused + events_again
    labels_refused = sum(stream == "labels" for stream, _ in refused)
    assert received.count(Kind.LABEL) == len(told) + labels_refused + len(early) + len(held) + labels_again
    commands_refused = sum(stream == "commands" for stream, _ in refused)
    obeyed = sum(decision.author != "eddyline" for decision in account.decisions)
    observed = sum(one.kind == Kind.COMMAND and b'"observe"' in one.raw for one in account.inputs)
    assert received.count(Kind.COMMAND) == obeyed + observed + commands_refused

    assert {reason for _, reason in refused} <= REASONS
    assert len({p.event_id for p in account.predictions}) == len(account.predictions)
    assert len({(row.slot, row.revision) for row in account.examples}) == len(account.examples)

    firsts = [row for row in account.examples if row.revision == 0]
    assert summary.answered == len(account.predictions)
    assert summary.labelled == sum(row.known == "label" for row in firsts)
    assert summary.absent == sum(row.known == "absence" for row in firsts)
    assert summary.waiting == summary.answered - len(firsts) - summary.unlabelled
    assert summary.waiting >= 0
    if drained:
        assert summary.waiting == 0
