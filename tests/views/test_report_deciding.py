"""The report of a pipeline with challengers and policies says what the journal says: seats, verdicts, decisions, lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from html import escape
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.decide import test_retraining as retraining
from tests.views import contested
from tests.views.test_report import EVIL, read

from eddyline import Engine, Promote, RollBack, Watch
from eddyline.records import Alert, Example
from eddyline.stages.commands import Command
from eddyline.store.database import Store
from eddyline.views.current import current
from eddyline.views.incidents import incidents
from eddyline.views.ledger import Entered, decisions, tenures
from eddyline.views.page import render
from eddyline.views.report import ReportData, report_data, write_report
from eddyline.views.seats import seats

HEADS = ("Who answers, and who is asked beside", "Incidents", "Decisions")
DECIDED = contested.pipeline()
WAITING = contested.pipeline(decide=(Promote(evidence=50, approval=True), RollBack(evidence=20)))


class Ranker:
    """Alerts three times, each with an effect and a segment; the second is the worst."""

    def __init__(self) -> None:
        self.seen = 0

    def update(self, record: Any) -> Alert | None:
        self.seen += type(record) is Example
        effects = {10: 0.125, 20: 0.75, 30: 0.25}
        if type(record) is not Example or self.seen not in effects:
            return None
        where = EVIL if self.seen == 20 else "north"
        at, place = record.at, record.prediction.position
        return Alert("Ranker", "a", at, place, 0.0, 1.0, f"example {self.seen}", where, effects[self.seen])


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two challengers, one promoted, one retired; learning was frozen; somebody with evil words rolled it back."""
    path = tmp_path_factory.mktemp("store") / "fraud.eddyline"
    given = list(contested.stream())
    back = Command(do="roll_out", to="fraud", author=f"ann {EVIL}", reason=f"let us see {EVIL}")
    contested.run(DECIDED, path, [*given[:3_000], back, *given[3_000:]])
    return path


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two challengers that still have their seats; a promotion waits for approval."""
    path = tmp_path_factory.mktemp("store") / "fraud.eddyline"
    contested.run(WAITING, path, contested.stream(500))
    return path


@pytest.fixture
def store(decided: Path) -> Iterator[Store]:
    with closing(Store.read(decided)) as opened:
        yield opened


def page_of(path: Path, pipeline: Any, out: Path) -> str:
    with closing(Store.read(path)) as store:
        return write_report(store, pipeline, out / "report.html").read_text(encoding="utf-8")


def of(store: Store, pipeline: Any = DECIDED) -> ReportData:
    data = report_data(store, pipeline)
    assert data.deciding is not None
    return data


def test_who_answered_and_sat_beside_is_what_the_rollouts_say(store: Store) -> None:
    found = of(store).deciding
    assert found is not None
    past = tenures(store, DECIDED)
    assert len(past) > 3
    for tenure in past:
        began = tenure.at if tenure.at is not None else -1
        now = {
            (one.who, one.mode, one.share)
            for one in found.spells
            if (one.since if one.since is not None else -1) <= began and (one.until is None or began < one.until)
        }
        places = {(place.who, place.mode, place.share) for place in tenure.rollout.places}
        assert now == places | {(tenure.champion, "champion", 0.0)}


def test_quality_by_line_is_what_was_measured_by_line(store: Store) -> None:
    found = of(store).deciding
    assert found is not None
    plan = DECIDED.plan()
    state = current(store, DECIDED, plan).states.watch.quality
    measured = {name: row[0] for name, row in state.lines.rows()}
    assert {line.name: (line.value, line.count) for line in found.lines} == measured
    assert set(measured) == {"fraud", "fraud.deep", "fraud.tree"}
    for line in found.lines:
        assert sum(day.count for day in line.days) == line.count
        assert sum((day.value or 0.0) * day.count for day in line.days) / line.count == pytest.approx(line.value)


def test_decisions_and_incidents_are_those_of_the_ledger(store: Store) -> None:
    found = of(store).deciding
    assert found is not None
    assert found.decisions == decisions(store)
    assert found.decided == len(found.decisions) > 3
    assert found.incidents == incidents(store, DECIDED)
    assert found.happened == len(found.incidents) > 0


def test_each_decision_is_on_the_page_and_its_evidence_is_folded(decided: Path, store: Store, tmp_path: Path) -> None:
    page = page_of(decided, DECIDED, tmp_path)
    part = page.partition("<h2>Decisions</h2>")[2].partition("</section>")[0]
    made = [one.decision for one in decisions(store)]
    for one in made:
        assert f"<strong>{one.action}</strong>" in part
        assert escape(one.reason.replace("\u202e", "\\u202e"), quote=True) in part
    assert part.count("<summary>evidence</summary>") == sum(bool(one.evidence) for one in made) > 2
    promoted = next(one for one in made if one.action == "promote")
    assert f"<br>e_better: {promoted.evidence['e_better']}<br>" in part


def test_the_page_says_since_when_and_why_the_champion_answers(decided: Path, store: Store, tmp_path: Path) -> None:
    past = tenures(store, DECIDED)
    came = next(one for one in reversed(past) if one.champion != past[-1].champion)
    came = past[past.index(came) + 1]
    head = page_of(decided, DECIDED, tmp_path).partition("</header>")[0]
    assert f"(rollout {came.rollout.revision} by {came.rollout.author}" in head


def test_a_challenger_stands_with_its_seat_its_verdict_and_its_health(waiting: Path, tmp_path: Path) -> None:
    page = page_of(waiting, WAITING, tmp_path)
    with closing(Store.read(waiting)) as store:
        found = seats(store, WAITING)
    assert [seat.place.who for seat in found.seats] == ["fraud.deep", "fraud.tree"]
    for seat in found.seats:
        _, _, part = page.partition(f"<h3>{seat.place.who}</h3>")
        part = part.partition("<h3>")[0]
        assert ("canary for 20 % of keys" if seat.place.mode == "canary" else "shadow, since") in part
        assert seat.contests
        assert all(escape(contest.sentence) in part for contest in seat.contests)
        assert all(f"{one.verdict.low:.3g} to {one.verdict.high:.3g}" in part for one in seat.contests)
        assert f"Of its newest {seat.answers} answers {seat.exceptions} raised" in part


def test_what_waits_for_approval_is_said_with_what_to_type(waiting: Path, tmp_path: Path) -> None:
    page = page_of(waiting, WAITING, tmp_path)
    with closing(Store.read(waiting)) as store:
        (proposed, *_) = seats(store, WAITING).waiting
    assert f"Decision {proposed.number} waits for approval: {proposed.action} {proposed.subject}" in page
    assert f"eddyline approve FILE {proposed.number}" in page


def test_frozen_learning_and_a_quarantine_are_said(tmp_path: Path) -> None:
    path, given = tmp_path / "fraud.eddyline", list(contested.stream(100))
    apart = Command(do="quarantine", to=EVIL, author="ann")
    contested.run(WAITING, path, [*given, apart, Command(do="freeze", author="ann")])
    page = page_of(path, WAITING, tmp_path)
    assert "Learning is frozen since 1970-01-01 00:1" in page
    assert "In quarantine since 1970-01-01 00:1" in page
    assert "script" not in read(page).tags


def test_whatever_anybody_says_stays_text_and_the_page_stays_whole(decided: Path, tmp_path: Path) -> None:
    page = page_of(decided, DECIDED, tmp_path)
    reader = read(page)
    assert not {"script", "link", "img", "form", "a"} & set(reader.tags)
    assert not {"src", "href", "style"} & {name for name, _ in reader.attributes}
    assert page.count("&lt;script&gt;alert(") >= 3  # head or rollouts, decisions, timeline
    assert "\u202e" not in page
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 0


def test_alerts_are_ranked_by_what_they_cost_and_say_where(tmp_path: Path) -> None:
    path, watched = tmp_path / "fraud.eddyline", contested.pipeline(watch=Watch(monitors=(Ranker,)))
    contested.run(watched, path, contested.stream(60))
    with closing(Store.read(path)) as store:
        data = of(store, watched)
    assert [alert.effect for alert in data.worst] == [0.75, 0.25, 0.125]
    ranked = render(data).partition("<h3>Alerts by effect</h3>")[2].partition("<h3>")[0]
    places = [ranked.index(f">example {number}<") for number in (20, 30, 10)]
    assert places == sorted(places)
    assert ">north<" in ranked
    assert "&lt;script&gt;" in ranked


def test_a_retrained_line_says_which_examples_made_it(tmp_path: Path) -> None:
    loaded = retraining.write(tmp_path)
    retraining.run(loaded)
    with closing(Store.read(loaded.store)) as store:
        data = of(store, loaded.pipeline)
        first = store.versions("shop.r1")[0]
    assert data.deciding is not None
    (descent,) = data.deciding.descents
    assert (descent.version, descent.digest, descent.created_by) == (first.name, first.digest, "retrain")
    assert descent.learned == first.position
    page = render(data)
    part = page.partition("<h3>Lines that were made on the way</h3>")[2].partition("</table>")[0]
    assert descent.examples is not None
    assert descent.examples_digest is not None
    assert escape(descent.examples) in part
    assert descent.examples_digest in part


def test_a_page_of_very_many_decisions_is_bounded_and_says_how_many_there_are(store: Store) -> None:
    data = of(store)
    assert data.deciding is not None
    one = data.deciding.decisions[0]
    many = [Entered(msgspec.structs.replace(one.decision, number=number), 1, 0.0) for number in range(1, 501)]
    full = msgspec.structs.replace(data.deciding, decisions=many, decided=70_000, incidents=data.deciding.incidents * 90)
    full = msgspec.structs.replace(full, happened=9_000)
    page = render(msgspec.structs.replace(data, deciding=full))
    _, _, part = page.partition("<h2>Decisions</h2>")
    part = part.partition("</section>")[0]
    assert "70,000 decisions, the newest first" in part
    assert part.count("<tr>") <= 302
    assert "of 69,988." in part
    assert page.partition("<h2>Incidents</h2>")[2].partition("</section>")[0].count("<tr>") <= 102
    read(page)


def test_the_data_is_json_and_the_same_store_gives_the_same_page(store: Store) -> None:
    data = of(store)
    assert msgspec.json.decode(msgspec.json.encode(data), type=ReportData) == data
    assert render(data) == render(of(store))


def test_each_chart_of_lines_has_a_description_and_its_numbers_beside_it(decided: Path, tmp_path: Path) -> None:
    page = page_of(decided, DECIDED, tmp_path)
    for name in ("seats", "lines"):
        assert f'id="{name}-wide-d"' in page
        assert f'id="{name}-narrow-d"' in page
    assert "the seats as a table" in page
    assert "the numbers by line and day" in page


def test_a_pipeline_of_one_line_where_nobody_decides_says_nothing_of_them(tmp_path: Path) -> None:
    path, plain = tmp_path / "fraud.eddyline", contested.pipeline(challengers=(), decide=())
    contested.run(plain, path, contested.stream(60))
    with closing(Store.read(path)) as store:
        data = report_data(store, plain)
    assert data.deciding is None
    page = render(data)
    assert not [head for head in (*HEADS, "By line", "Alerts by effect", "Lines that were made") if head in page]


def test_a_pipeline_with_policies_that_has_not_run_has_a_page(tmp_path: Path) -> None:
    path = tmp_path / "fraud.eddyline"
    Engine(DECIDED, path).close()
    page = page_of(path, DECIDED, tmp_path)
    read(page)
    assert all(f"<h2>{head}</h2>" in page for head in HEADS)
    assert "Nothing was decided yet." in page


def test_lines_of_an_empty_metric_are_not_measured(tmp_path: Path) -> None:
    path, blind = tmp_path / "fraud.eddyline", contested.pipeline(watch=Watch(metrics=()))
    contested.run(blind, path, contested.stream(60))
    with closing(Store.read(path)) as store:
        data = of(store, blind)
    assert data.deciding is not None
    assert data.deciding.lines == []
    counted: dict[str, int] = defaultdict(int)
    for spell in data.deciding.spells:
        counted[spell.who] += 1
    assert counted == {"fraud": 1, "fraud.deep": 1, "fraud.tree": 1}
    read(render(data))
