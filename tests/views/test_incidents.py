"""Incidents are what the journal tells: when they open, what joins them, what ends them, and how they read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from tests.views import contested

from eddyline import Event, Label, Notify, Pipeline
from eddyline.records.errors import NotFound
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.views.incident_page import markdown
from eddyline.views.incidents import STABLE, Incident, incident, incidents

STREAM = contested.stream()


def _of(path: Path, declared: Pipeline) -> list[Incident]:
    with closing(Store.read(path)) as store:
        return incidents(store, declared)


def _ordered(*commands: tuple[int, Command], declared: Pipeline, path: Path, batch: int = 100) -> list[Incident]:
    """The incidents of a quiet stream in which somebody asks for something at some places."""
    records = list(STREAM[:4_000])
    for place, command in sorted(commands, key=lambda one: -one[0]):
        records.insert(place, command)  # type: ignore[arg-type]
    contested.run(declared, path, records, batch=batch)
    return _of(path, declared)


def _shifted(record: Event | Label) -> Event | Label:
    """A payment whose `a` is another quantity from the last third on."""
    if not isinstance(record, contested.Payment) or int(str(record.id)[2:]) < 2_000:
        return record
    return contested.Payment(id=record.id, card=record.card, at=record.at, a=record.a + 4, b=record.b)


QUIET = contested.pipeline(challengers=(), decide=())


def test_learning_that_was_frozen_is_an_incident_until_it_goes_on(tmp_path: Path) -> None:
    freeze, resume = Command(do="freeze", author="ada", reason="odd"), Command(do="resume", author="bob", reason="fine")
    (one,) = _ordered((1_000, freeze), (1_400, resume), declared=QUIET, path=tmp_path / "a.eddyline")
    assert (one.kind, one.reason, one.closed_by) == ("freeze", "odd", "resume by bob (decision 2)")
    assert one.mitigation == ["freeze by ada (decision 1): odd"]
    (still,) = _ordered((1_000, freeze), declared=QUIET, path=tmp_path / "b.eddyline")
    assert still.open


def test_each_segment_has_an_incident_of_its_own(tmp_path: Path) -> None:
    found = _ordered(
        (500, Command(do="quarantine", to="north")),
        (600, Command(do="quarantine", to="south")),
        (700, Command(do="quarantine", to="north")),
        (900, Command(do="release", to="north")),
        declared=QUIET,
        path=tmp_path / "fraud.eddyline",
    )
    assert [(one.subject, one.open) for one in found] == [("north", False), ("south", True)]


def test_an_alert_is_over_when_nothing_more_came_for_a_while(tmp_path: Path) -> None:
    declared = contested.pipeline(challengers=(), decide=(Notify(on="error_drift"),))
    path = tmp_path / "fraud.eddyline"
    contested.run(declared, path, STREAM)
    found = _of(path, declared)
    assert found
    assert {one.kind for one in found} == {"alert"}
    assert found[0].closed_by == f"nothing more in {STABLE:,} inputs"
    assert any(moment.what == "alert" for moment in found[0].timeline)


def test_a_timeline_is_in_the_order_of_event_time_and_tells_of_its_own_subject_only(tmp_path: Path) -> None:
    path = tmp_path / "fraud.eddyline"
    told_of = (Notify(on="feature_drift"), Notify(on="error_drift", name="errors"))
    declared = contested.pipeline(challengers=(), decide=told_of)
    records = [_shifted(one) for one in STREAM]
    contested.run(declared, path, records, batch=2_000)
    found = _of(path, declared)
    assert {one.subject for one in found} == {"a", "error"}
    for one in found:
        times = [moment.at for moment in one.timeline if moment.at is not None]
        assert times == sorted(times)
        monitor = "feature_drift" if one.subject == "a" else "error_drift"
        told = [moment.said for moment in one.timeline if moment.what == "alert"]
        assert told
        assert all(said.startswith(monitor) for said in told)


def test_the_same_journal_gives_the_same_incidents_and_others_are_not_found(tmp_path: Path) -> None:
    declared, path = contested.pipeline(), tmp_path / "fraud.eddyline"
    contested.run(declared, path, STREAM)
    assert _of(path, declared) == _of(path, declared)
    with closing(Store.read(path)) as store:
        assert incident(store, declared, 1).number == 1
        with pytest.raises(NotFound, match="there are: 1 to"):
            incident(store, declared, 100)


def test_a_page_tells_what_happened_and_takes_no_text_for_markup(tmp_path: Path) -> None:
    reason = "see <script> | *now*\n# really"
    (one,) = _ordered((1_000, Command(do="freeze", reason=reason)), declared=QUIET, path=tmp_path / "fraud.eddyline")
    page = markdown(one, "fraud")
    assert "<script>" not in page
    assert "\n# really" not in page
    assert r"see &lt;script&gt; \| \*now\* # really" in page
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        "# Incident 1 of fraud: learning was frozen",
        "## What was done",
        "## Timeline",
        "## Evidence",
    ]
