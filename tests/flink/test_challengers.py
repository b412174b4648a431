"""A challenger in a running job on the real Flink and Kafka: it earns its place, and the audit plays it again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flink.conftest import Run
from tests.flink.flowing import Flow

from eddyline.cli.main import main
from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import steering, taken
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.audit_topics import Message
from eddyline.engines.flink.job import Settings
from eddyline.pipeline.loading import Loaded, load
from eddyline.records import Decision, Place
from eddyline.records.errors import NotFound
from eddyline.stages.commands import Command
from eddyline.stages.lines import Entry
from eddyline.views.report_of_job import report_of_job
from eddyline.views.seats_of_job import seats_of_job

SEED = 20_261_122
SETTINGS = Settings(parallelism=2, checkpoint_ms=500, idle_ms=600_000)
Messages = dict[str, list[Message]]


@pytest.fixture(scope="module")
def fought(
    kafka_broker: Kafka, flink_cluster: Flink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Loaded, Messages, list[str]]]:
    """A run in which the seeing one is promoted, the blind one leaves, and another line enters; and who was refused."""
    print("seed", SEED)
    file = tmp_path_factory.mktemp("duel") / "duel_shop.py"
    shutil.copy(Path(__file__).with_name("duel.py"), file)  # a user's file is alone in its folder
    loaded = load(str(file))
    run = Run.of(loaded, kafka_broker, flink_cluster, SETTINGS)
    job = run.id
    flows = Flow(run, SEED)

    def promoted() -> bool:
        flows(2.0)
        return bool(run.of_stream("rollouts"))

    try:
        run.until(promoted, "promoted anybody")
        flows(2.0)
        refused = list(_asked(run))
        flows(4.0)
        assert seats_of_job(loaded.pipeline, run.connection).counted  # while it runs
        run.taken()
        assert run.id == job
        assert run.rest.state(job) == "RUNNING"
        run.stop(drain=True)
        yield loaded, run.recorded(), refused
    finally:
        run.end()


def _asked(run: Run) -> Iterator[str]:
    """What operators ask for while it runs; gives the refusals."""
    pipeline, connection = run.loaded.pipeline, run.connection

    def asked(**fields: Any) -> Decision:
        return steering.ask(pipeline, connection, Command(author="ann", reason="a test", **fields))

    versions = [wire.decode_version(message.value)[0] for message in run.of_stream("versions")]
    start = [version for version in versions if version.model == "duel.seeing"][-1]
    entry = Entry("duel.copy", "duel.seeing", start.name)
    made = asked(do="enter", entry=entry, place=Place("duel.copy", "canary", 0.3))
    assert (made.action, made.subject, made.author) == ("enter", "duel.copy", "ann")
    brokers = str(connection.brokers)
    assert main(["quarantine", str(run.loaded.file), "nobody's segment", "--brokers", brokers, "--author", "ann"]) == 0
    late = Entry("duel.late", "duel.seeing", start.name, after="duel@1")
    for fields in ({"do": "approve", "number": 77}, {"do": "enter", "entry": late}):
        with pytest.raises(NotFound) as refused:
            asked(**fields)
        yield str(refused.value)


def test_a_better_challenger_is_promoted_in_the_running_job(fought: tuple[Loaded, Messages, list[str]]) -> None:
    _, run, _ = fought
    first = _decisions(run)[0]
    assert (first.action, first.subject, first.status) == ("promote", "duel.seeing", "done")
    assert first.evidence["e_better"] >= 100
    answers = [wire.decode_prediction(message.value) for message in run["predictions"]]
    assert {answer.model for answer in answers if answer.revision == 0} == {"duel"}
    after = {answer.model for answer in answers if answer.revision > 0}
    assert {"duel.seeing"} <= after <= {"duel.seeing", "duel.copy"}
    assert all(answer.others for answer in answers)


def test_the_report_of_the_job_is_what_its_topics_hold(
    fought: tuple[Loaded, Messages, list[str]], kafka_broker: Kafka, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded, run, _ = fought
    examples = [wire.decode_example(message.value)[0] for message in run["examples"]]
    right = [e.prediction.value == e.truth for e in examples if e.prediction.value is not None]
    found = report_of_job(loaded.pipeline, Connection(kafka_broker.brokers))
    quality, deciding = found.quality, found.deciding
    assert quality is not None
    assert deciding is not None
    assert quality.overall[0].name == "Accuracy"
    assert quality.overall[0].count == len(right)
    assert quality.overall[0].value == pytest.approx(sum(right) / len(right))
    fates = found.fates
    assert (fates.answered, fates.labelled, fates.absent) == (
        len(run["predictions"]),
        sum(example.known == "label" for example in examples),
        sum(example.known == "absence" for example in examples),
    )
    rollout = wire.decode_rollout(run["rollouts"][-1].value)
    assert deciding.seats.counted
    assert deciding.seats.champion == rollout.champion == "duel.seeing"
    assert [seat.place for seat in deciding.seats.seats] == list(rollout.places)
    assert [one.decision for one in deciding.decisions] == _decisions(run)
    assert [one.version.partition("@")[0] for one in deciding.descents] == ["duel.copy"]
    assert main(["challengers", str(loaded.file), "--brokers", kafka_broker.brokers]) == 0
    assert "duel.seeing answers" in capsys.readouterr().out


def test_a_line_that_enters_answers_its_share_and_learns_on(fought: tuple[Loaded, Messages, list[str]]) -> None:
    _, run, _ = fought
    mine = [wire.decode_prediction(m.value) for m in run["predictions"] if b'"model":"duel.copy"' in m.value]
    assert any(answer.model == "duel.copy" for answer in mine), "it answered nobody"
    positions = {version.position for version in _versions(run) if version.model == "duel.copy"}
    assert len(positions) > 1
    assert any("duel.copy" in wire.decode_also(message.value) for message in run["examples"])


def test_what_cannot_be_done_is_refused_in_words(fought: tuple[Loaded, Messages, list[str]]) -> None:
    nothing, late = fought[2]
    assert "decision 77 does not wait for approval" in nothing
    assert "duel.late would have to catch up with duel from duel@1" in late


def test_a_command_reaches_the_job(fought: tuple[Loaded, Messages, list[str]]) -> None:
    made = [(one.action, one.subject, one.policy) for one in _decisions(fought[1]) if one.author == "ann"]
    assert made == [("enter", "duel.copy", "operator"), ("quarantine", "nobody's segment", "operator")]


def test_nothing_is_lost_or_doubled_by_a_promotion(fought: tuple[Loaded, Messages, list[str]]) -> None:
    _, run, _ = fought
    answered = sorted(int(wire.decode_prediction(m.value).event_id.removeprefix("v-")) for m in run["predictions"])
    assert answered == list(range(len(run["events"])))


def test_the_audit_plays_the_run_again_and_decides_the_same(fought: tuple[Loaded, Messages, list[str]]) -> None:
    loaded, run, _ = fought
    done = examine(loaded.pipeline, run)
    assert done.faults == []
    assert done.sound, done
    assert done.decisions == len(_decisions(run)) >= 2
    assert done.versions == len(run["versions"])
    assert done.answered_again == len(run["events"])


# Planted faults -----------------------------------------------------------------------------------------------------


def _decisions(run: Messages) -> list[Decision]:
    return sorted((wire.decode_decision(message.value) for message in run["decisions"]), key=lambda one: one.number)


def _versions(run: Messages) -> list[wire.Told]:
    return [wire.peek_version(message.value) for message in run["versions"]]


def _other_evidence(run: Messages) -> str:
    decision = wire.decode_decision(run["decisions"][0].value)
    changed = msgspec.structs.replace(decision, evidence=decision.evidence | {"wins": 1_000})
    run["decisions"][0] = run["decisions"][0]._replace(value=wire.encode_decision(changed))
    return f"decision {decision.number} was recorded otherwise: evidence"


def _a_decision_elsewhere(run: Messages) -> str:
    decision = wire.decode_decision(run["decisions"][0].value)
    moved = msgspec.structs.replace(decision, record=decision.record + 50)
    run["decisions"][0] = run["decisions"][0]._replace(value=wire.encode_decision(moved))
    return f"decision {decision.number} was recorded otherwise: record"


def _a_lost_decision(run: Messages) -> str:
    number = wire.decode_decision(run["decisions"].pop().value).number
    return f"decision {number} "


def _an_invented_decision(run: Messages) -> str:
    last = _decisions(run)[-1]
    invented = msgspec.structs.replace(last, number=last.number + 1)
    run["decisions"].append(run["decisions"][0]._replace(value=wire.encode_decision(invented)))
    return f"decision {invented.number} was recorded, and deciding again ends at {last.number}"


def _another_order(run: Messages) -> str:
    """Two answers exchanged across a look, so that it saw another pair; or two truths, so that lines learned otherwise."""
    one = next(n for n, m in enumerate(run["taken"]) if sum(type(i) is taken.Truth for i in taken.decode(m.value).inputs) > 1)
    message = taken.decode(run["taken"][one].value)
    here, there = [n for n, i in enumerate(message.inputs) if type(i) is taken.Truth][:2]
    message.inputs[here], message.inputs[there] = message.inputs[there], message.inputs[here]
    run["taken"][one] = run["taken"][one]._replace(value=taken.encode(message))
    return "learning it again gives"


def _an_order_with_a_gap(run: Messages) -> str:
    del run["taken"][len(run["taken"]) // 2]
    return "the order in which inputs were taken is not whole"


def _an_end_that_was_cut_off(run: Messages) -> str:
    ordered = sorted(run["taken"], key=lambda message: taken.decode(message.value).first)
    run["taken"] = ordered[:-1]
    truths = any(type(one) is taken.Truth for one in taken.decode(ordered[-1].value).inputs)
    return "was never taken to be learned" if truths else "decide never heard of it"


def _other_words_of_a_challenger(run: Messages) -> str:
    prediction = wire.decode_prediction(run["predictions"][300].value)
    assert prediction.others
    said = msgspec.structs.replace(prediction.others[0], value=not prediction.others[0].value)
    changed = msgspec.structs.replace(prediction, others=[said, *prediction.others[1:]])
    run["predictions"][300] = run["predictions"][300]._replace(value=wire.encode_prediction(changed))
    return "others recorded"


def _another_champion(run: Messages) -> str:
    one = next(n for n, m in enumerate(run["rollouts"]) if wire.decode_rollout(m.value).revision == 1)
    rollout = wire.decode_rollout(run["rollouts"][one].value)
    other = msgspec.structs.replace(rollout, champion="duel.blind")
    run["rollouts"][one] = run["rollouts"][one]._replace(value=wire.encode_rollout(other))
    return "rollout 1 put duel.blind in force, and deciding again gives duel.seeing"


PLANTED: list[Callable[[Messages], str]] = [
    _other_evidence,
    _a_decision_elsewhere,
    _a_lost_decision,
    _an_invented_decision,
    _another_order,
    _an_order_with_a_gap,
    _an_end_that_was_cut_off,
    _other_words_of_a_challenger,
    _another_champion,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__.strip("_"))
def test_a_planted_fault_is_found(fought: tuple[Loaded, Messages, list[str]], plant: Callable[[Messages], str]) -> None:
    loaded, run, _ = fought
    tampered = {name: list(messages) for name, messages in run.items()}
    words = plant(tampered)
    done = examine(loaded.pipeline, tampered)
    assert not done.sound
    assert any(words in fault for fault in done.faults), (words, done.faults)
