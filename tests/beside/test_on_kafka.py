"""Commands about a job whose topics lie on a real broker: what people type, and what they are told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from tests.beside.test_report import hosted, ruled, three_days
from tests.beside.test_seats import DECIDED, job
from tests.beside.told import messages
from tests.views import contested

from eddyline.cli.main import main
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import watch
from eddyline.engines.flink.job import JobTopics, Settings, specification
from eddyline.engines.flink.operate import Job
from eddyline.engines.flink.standing import Begun, Standing, _on_topics
from eddyline.engines.flink.told import OURS
from eddyline.pipeline.loading import load
from eddyline.records.errors import SourceError
from eddyline.testing.hosted import Hosted
from eddyline.views.facts import ReportData
from eddyline.views.incidents_of_job import incidents_told
from eddyline.views.page import render
from eddyline.views.report_of_job import report_of_job, report_told
from eddyline.views.seats_of_job import seats_told

PARTITIONS = 2
CODE = {
    "nowhere": """from tests.beside.test_report import ruled
pipeline = ruled(name="nowhere")
""",
    "silent": """from tests.beside.test_report import ruled
pipeline = ruled(name="silent")
""",
    "onkafka": """from tests.beside.test_report import ruled
pipeline = ruled(name="onkafka", decide=())
""",
    "troubled": """from tests.views.contested import pipeline as made
pipeline = made(name="troubled")
""",
    "crowded": """from tests.views.contested import pipeline as made
pipeline = made(name="crowded")
""",
    "crowd": """from tests.views.contested import pipeline as made
from eddyline import Challenger
pipeline = made(name="crowd", decide=(), challengers=tuple(Challenger(f"c{n}") for n in range(9)))
""",
    "fraud": """from tests.views.contested import pipeline as made
pipeline = made()
""",
}


def written(name: str, folder: Path) -> str:
    """The file of a pipeline."""
    file = folder / f"{name}_job.py"
    file.write_text(CODE[name])
    return str(file)


def send(done: Hosted, connection: Connection) -> None:
    """Writes what a job told to its topics, as its sinks would: answers and examples over two partitions."""
    from confluent_kafka import Producer

    topics = JobTopics.of(done.pipeline)
    topics.ensure(connection, PARTITIONS)
    names = {word: topics.taken if word == "taken" else getattr(topics.out, word) for word in OURS}
    spread = {"predictions", "examples", "dead_letters"}
    refused, sent = list[object](), Counter[str]()
    producer = Producer(connection.config())
    told = [*done.written.messages, *(("measurements", message) for message in done.written.watched)]
    for stream, message in told:
        sent[stream] += 1
        producer.produce(
            names[stream],
            message.value,
            key=str(sent[stream]),
            partition=sent[stream] % PARTITIONS if stream in spread else 0,
            headers={"place": message.place.encode()},
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not refused


def troubled() -> Hosted:
    """A job that tells of alerts and freezes learning for a while."""
    return hosted(contested.pipeline(name="troubled"), contested.stream(2_500), every=100)


def let_go(connection: Connection, topic: str, offset: int) -> None:
    """Has the broker let go of what is before an offset of each partition, as its retention does."""
    from confluent_kafka import TopicPartition

    parts = [TopicPartition(topic, number, offset) for number in range(PARTITIONS)]
    admin = connection.admin()  # its futures end with it
    for future in admin.delete_records(parts).values():
        future.result(timeout=30)


def figures(report: ReportData) -> ReportData:
    """A report without where it was read, and when."""
    return msgspec.structs.replace(report, job="", received_at=None)


@pytest.fixture(scope="module")
def connection(kafka_broker: Kafka) -> Connection:
    return Connection(kafka_broker.brokers)


@pytest.fixture(scope="module")
def answered(connection: Connection) -> Hosted:
    """A job that answered by a rule for three days, in its topics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "PUBLISH_SECONDS", 0.0)
        done = hosted(ruled(name="onkafka", decide=()), three_days(), every=50)
    send(done, connection)
    return done


def test_the_report_of_topics_is_that_of_what_was_written_to_them(
    answered: Hosted, connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report_of_job(answered.pipeline, connection)
    assert found.fates.expired > 100
    assert figures(found) == figures(report_told(answered.pipeline, messages(answered)))
    assert found.received_at is not None
    assert main(["report", written("onkafka", tmp_path), "--brokers", str(connection.brokers)]) == 0
    page = (tmp_path / "onkafka.html").read_text()
    assert page == render(found)
    assert f"topics <code>onkafka.*</code> at <code>{connection.brokers}</code>" in page
    assert "wrote" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.eddyline"))


def test_the_challengers_of_a_job_are_listed_from_its_topics(
    connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(job(500), connection)
    asked = ["challengers", written("fraud", tmp_path), "--brokers", str(connection.brokers)]
    assert main([*asked, "--json"]) == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    known = seats_told(DECIDED, messages(job(500)))
    assert [seat["place"]["who"] for seat in found["seats"]] == [seat.place.who for seat in known.seats]
    assert found["seats"][0]["contests"][0]["verdict"]["pairs"] == known.seats[0].contests[0].verdict.pairs > 100
    assert main(asked) == 0
    said = capsys.readouterr().out
    for seat in known.seats:
        assert seat.place.who in said
        assert f"of its newest {seat.answers:,} answers" in said


def test_the_incidents_of_a_job_are_listed_shown_and_written_from_its_topics(
    connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = troubled()
    send(done, connection)
    asked = ["incidents", written("troubled", tmp_path), "--brokers", str(connection.brokers)]
    assert main([*asked, "--json"]) == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    known = incidents_told(done.pipeline, messages(done))
    assert [(one["kind"], one["subject"], one["closed_by"]) for one in found["incidents"]] == [
        (one.kind, one.subject, one.closed_by) for one in known
    ]
    assert {one.kind for one in known} >= {"freeze", "alert"}
    assert all(one["opened_received_at"] > 1_700_000_000 for one in found["incidents"])
    assert "Bursts of dead letters are not among the incidents" in found["unknown"][0]
    assert main([*asked, "--open"]) == any(one.open for one in known)
    capsys.readouterr()
    page = tmp_path / "1.md"
    assert main([*asked, "1", "--markdown", str(page)]) == 0
    assert page.read_text().startswith(f"# Incident 1 of troubled: {known[0].title.partition(':')[0]}")
    capsys.readouterr()
    assert main([*asked, "1"]) == 0
    assert "mean error" in capsys.readouterr().out
    assert main([*asked, "99"]) == 6
    assert "no incident 99 of the job of troubled" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.eddyline"))


def test_answers_that_the_broker_let_go_of_are_said_on_the_page(
    connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = hosted(ruled(name="forgetful"), three_days(), every=50)
    send(done, connection)
    whole = report_of_job(done.pipeline, connection)
    let_go(connection, "forgetful.predictions", 100)
    late = report_of_job(done.pipeline, connection)
    assert (late.quality, late.delays) == (whole.quality, whole.delays)
    assert late.coverage == whole.coverage[-len(late.coverage) :] != whole.coverage
    assert any("retention.ms of forgetful.predictions" in one for one in late.unknown)
    let_go(connection, "forgetful.examples", 1)
    with pytest.raises(SourceError, match=r"topic forgetful\.examples does not begin at its first message"):
        report_of_job(done.pipeline, connection)


@pytest.mark.parametrize("command", ["report", "challengers", "incidents"])
def test_a_job_that_never_ran_there_is_said_with_what_to_type(
    connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, written("nowhere", tmp_path), "--brokers", str(connection.brokers)]) == 3
    said = capsys.readouterr().err
    assert "there is no topic nowhere.predictions" in said
    assert "eddyline flink status" in said


def test_a_job_without_answers_has_no_report_yet_and_its_champion_sits(
    connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    JobTopics.of(ruled(name="silent")).ensure(connection, PARTITIONS)
    file = written("silent", tmp_path)
    assert main(["report", file, "--brokers", str(connection.brokers)]) != 0
    said = capsys.readouterr().err
    assert "has answered nothing yet: topic silent.predictions is empty" in said
    assert "eddyline flink status" in said
    assert not (tmp_path / "silent.html").exists()
    assert main(["challengers", file, "--brokers", str(connection.brokers)]) == 0
    assert "silent answers, its learner at position 0" in capsys.readouterr().out


def stands(name: str, folder: Path, connection: Connection) -> Standing:
    """What the topics add to what Flink says of a job."""
    loaded = load(written(name, folder))
    told = specification(loaded, connection, Settings(), Path("python"))
    of_flink = Standing(name, name, "1", "RUNNING", 1, "", "", 0.0, 0, 0, Begun(), None, None)
    return _on_topics(of_flink, Job("1", name, "RUNNING", msgspec.convert(told["about"], dict[str, str])), None)


def test_the_newest_version_of_a_job_is_that_of_its_own_line_and_challengers_stand_beside(
    connection: Connection, tmp_path: Path
) -> None:
    """Nine challengers publish after it with each checkpoint, so that the last versions in the topic are all theirs."""
    done = hosted(load(written("crowd", tmp_path)).pipeline, contested.stream(200), every=100)
    send(done, connection)
    found = stands("crowd", tmp_path, connection)
    assert found.version == f"crowd@{found.learner}"
    assert found.learner > 100
    assert found.beside == [f"crowd.c{n}@{found.learner}" for n in range(9)]


def test_beside_the_newest_version_stand_those_who_were_decided_to_be_asked(connection: Connection, tmp_path: Path) -> None:
    done = hosted(contested.pipeline(name="crowded"), contested.stream(2_500), every=100)
    send(done, connection)
    found = stands("crowded", tmp_path, connection)
    now = done.written.rollouts[-1]
    asked = {one for one in (now.champion, *(place.who for place in now.places)) if one}
    assert found.revision == now.revision > 0
    assert len(asked) < 3
    assert {name.partition("@")[0] for name in found.beside} == {who.partition("@")[0] for who in asked} - {"crowded"}
    assert found.version is not None
    assert found.version.startswith("crowded@")
