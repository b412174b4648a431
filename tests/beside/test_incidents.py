"""The incidents of a job from its topics: what a store says of the same stream, when each was committed, and how they read."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from tests.beside.test_report import hosted, outside
from tests.beside.told import messages
from tests.views import contested

from eddyline import Engine, Event, Join, minutes, seconds
from eddyline.cli.incidents import _all, _one
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.told import Told
from eddyline.records.errors import NotFound
from eddyline.store.database import Store
from eddyline.views.incident_page import markdown
from eddyline.views.incidents import Incident, incidents, numbered
from eddyline.views.incidents_of_job import incidents_told

DECLARED = contested.pipeline(lateness=seconds(0), join=Join(wait=minutes(10), lateness=seconds(0)))
RECORDS = contested.stream(1_500)
JOB = "FILE --brokers HOST:PORT"
WALL = 1_800_000_000.0


@cache
def told() -> Told:
    """A job with a version after every record, which answers as one process does, so that it decides the same."""
    return messages(hosted(DECLARED, RECORDS, every=1, parallelism=1))


@cache
def found() -> list[Incident]:
    """Its incidents, each decision committed by when it was made: a second later for each record that was taken before."""
    return incidents_told(DECLARED, told(), {number: WALL + record for number, record in made().items()})


def made() -> dict[int, int]:
    """After how many records each decision was made."""
    decisions = (wire.decode_decision(message.value) for message in told().streams["decisions"])
    return {one.number: one.record for one in decisions}


def test_a_job_has_the_incidents_that_a_store_of_the_same_stream_has(tmp_path: Path) -> None:
    path = tmp_path / "fraud.eddyline"
    with Engine(DECLARED, path) as engine:
        for record in RECORDS:
            if isinstance(record, Event):
                engine.answer(record)
            else:
                engine.tell(record)
    with closing(Store.read(path)) as store:
        theirs = incidents(store, DECLARED)
    assert len(theirs) > 1
    assert any(one.closed_by for one in theirs)
    assert [outside(one) for one in found()] == [outside(one) for one in theirs]


def test_an_incident_was_committed_when_the_broker_took_its_decision() -> None:
    for one in found():
        assert one.decision is not None
        assert one.opened_received_at == WALL + made()[one.decision]
        for moment in one.timeline:
            if moment.what == "decision":
                assert moment.received_at > WALL
    assert all(one.opened_received_at == 0 for one in incidents_told(DECLARED, told()))


def test_what_the_topics_do_not_tell_is_said_and_not_shown_as_if_it_were_known(capsys: pytest.CaptureFixture[str]) -> None:
    one = found()[0]
    _one(one, "fraud", JOB, None, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "committed 2027-01-15T08:" in said
    assert "block" not in said
    assert "1970-01-01T00:00:00Z" not in said.partition("timeline")[0]
    _all(found(), False, False, of_job=True)
    said = " ".join(capsys.readouterr().out.split())
    assert all(each.title in said for each in found())
    assert "Bursts of dead letters are not among the incidents" in said
    assert "eddyline dead-letters FILE --brokers HOST:PORT" in said
    _all([], True, False, of_job=False)
    assert capsys.readouterr().out == "no incident is open\n"


def test_the_page_of_an_incident_of_a_job_names_the_job_in_what_to_type() -> None:
    page = markdown(found()[0], "fraud", JOB)
    assert "eddyline history FILE --brokers HOST:PORT --check" in page
    assert "in block" not in page
    assert ", block" not in page
    alerts = [line for line in page.splitlines() if "| alert |" in line]
    assert alerts
    assert all("| - | - | alert |" in line for line in alerts)


def test_a_number_that_is_not_there_says_how_to_list_those_of_the_job() -> None:
    with pytest.raises(NotFound, match=r"no incident 99 of the job of fraud\nthere are: 1 to .*incidents FILE --brokers"):
        numbered(found(), 99, "of the job of fraud", JOB)
