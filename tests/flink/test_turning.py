"""Another declaration for a running job on the real Flink and Kafka: what goes on, what begins, and that all plays again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.flink.conftest import Run
from tests.flink.flowing import Flow

from eddyline.cli.main import main
from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.engines.flink import operate
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.audit_topics import Message
from eddyline.engines.flink.job import JobTopics, Settings
from eddyline.engines.flink.looking import FIRST, spans, stored
from eddyline.pipeline.loading import Loaded, load
from eddyline.records import Decision, Example, Measurement
from eddyline.records.errors import StoreMismatch
from eddyline.views.ledger_of_job import check_recorded

SEED = 20_261_130
SETTINGS = Settings(parallelism=2, checkpoint_ms=500, idle_ms=600_000)
DECIDES = "decide=(Promote(evidence=100), RollBack(evidence=100)),"
WATCHES = 'watch=Watch(drift=("noise",)),'
STRICT = "decide=(Promote(evidence=1e12, better_by=0.9), RollBack(evidence=100)),"
WATCHES_MORE = 'watch=Watch(metrics=(Accuracy(), F1()), drift=("noise",), monitors=(Psi("noise"),)),'
MORE_NAMES = "from eddyline import Psi\nfrom river.metrics import F1, Accuracy\n"


class Turned(NamedTuple):
    """A job that was upgraded: under which files, what it recorded, what was said, and how its metrics stood at the end."""

    old: Loaded
    new: Loaded
    recorded: dict[str, list[Message]]
    said: str
    before: int
    """how many examples had an answer when it was stopped to be upgraded"""
    numbers: list[Measurement]
    examples: list[Message]
    """those that had been measured by then"""


def written(folder: Path, name: str, change: Callable[[str], str]) -> Loaded:
    """The duel under another name, changed: a user's file is alone in its folder."""
    file = folder / name
    file.write_text(change(Path(__file__).with_name("duel.py").read_text()))
    return load(str(file))


def first(text: str) -> str:
    return text.replace('name="duel"', 'name="turned"').replace(DECIDES, STRICT)


def second(text: str) -> str:
    renamed = text.replace('name="duel"', 'name="turned"').replace("look_every=50", "look_every=40")
    return renamed.replace(WATCHES, WATCHES_MORE).replace("from river import", f"{MORE_NAMES}from river import")


def numbers(run: Run) -> list[Measurement]:
    """What watch published over all answers, in order."""
    topic = JobTopics.of(run.loaded.pipeline).out.measurements
    messages = stored(run.connection, dict.fromkeys(spans(run.connection, [topic]), FIRST))
    bodies = [message.value() or b"" for message in messages if b'"measurement"' in (message.value() or b"")]
    found = [wire.decode_measurement(body)[0] for body in bodies]
    return [one for one in found if one.version is None and one.day is None and one.segment is None]


@pytest.fixture(scope="module")
def turned(kafka_broker: Kafka, flink_cluster: Flink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turned]:
    """A job whose policy promotes nobody; from the upgrade on another one does, under other metrics and one monitor more."""
    print("seed", SEED)
    folder = tmp_path_factory.mktemp("turned")
    old, new = written(folder, "turned_old.py", first), written(folder, "turned_new.py", second)
    fewer = written(folder, "turned_fewer.py", lambda text: first(text).replace('        Challenger("blind"),\n', ""))
    run = Run.of(old, kafka_broker, flink_cluster, SETTINGS)
    flows = Flow(run, SEED)

    def promoted() -> bool:
        flows(2.0)
        return bool(run.of_stream("rollouts"))

    def measured() -> bool:
        last = [one for one in numbers(run) if one.metric == "Accuracy"][-1:]
        return bool(last) and last[0].count == len(scored(run.of_stream("examples")))

    try:
        flows(6.0)
        run.taken()
        with pytest.raises(StoreMismatch, match="it changed in challengers"):
            operate.upgrade(fewer, run.connection, None, run.rest.url)
        would = operate.upgrade(new, run.connection, None, run.rest.url, dry_run=True)
        assert (would.job, would.savepoint, run.rest.state(run.id)) == (run.id, "", "RUNNING")
        command = ["flink", "upgrade", str(new.file), "--brokers", str(run.connection.brokers), "--rest", run.rest.url]
        assert main([*command, "--author", "ada", "--reason", "a calm week"]) == 0
        before = len(scored(run.of_stream("examples")))
        run.loaded, run.id = new, operate.the_job(run.rest, "turned").id
        run.until(promoted, "promoted anybody")
        run.taken()
        run.until(measured, "measured all that was sent")
        last, examples = numbers(run), run.of_stream("examples")
        run.stop(drain=True)
        yield Turned(old, new, run.recorded(), "\n".join(would.says), before, last, examples)
    finally:
        run.end()


def scored(messages: list[Message]) -> list[Example]:
    """The examples whose answer said something: the first ones of a model that has learned nothing do not."""
    examples = [wire.decode_example(message.value)[0] for message in messages]
    return [example for example in examples if example.prediction.value is not None]


def decisions(run: Turned) -> list[Decision]:
    return sorted((wire.decode_decision(one.value) for one in run.recorded["decisions"]), key=lambda one: one.number)


def test_the_ledger_of_the_job_tells_the_change(turned: Turned) -> None:
    (made,) = [one for one in decisions(turned) if one.action == "change"]
    assert (made.author, made.reason, made.subject) == ("ada", "a calm week", turned.new.pipeline.digest)
    assert made.evidence["was"] == turned.old.pipeline.digest
    assert made.evidence["changes"] == turned.said.splitlines()
    for words in ("metric F1: counted from here on", "monitor Psi", "policy promote", "look_every: was 50, now 40"):
        assert words in turned.said


def test_the_new_policy_promotes_on_evidence_of_its_own(turned: Turned) -> None:
    change, promotion = decisions(turned)[:2]
    assert (promotion.policy, promotion.action, promotion.subject) == ("promote", "promote", "turned.seeing")
    assert promotion.evidence["pairs"] <= promotion.record - change.record
    assert promotion.record % 40 == 0


def test_a_metric_of_both_goes_on_to_the_bit_and_a_new_one_begins(turned: Turned) -> None:
    accuracy = [one for one in turned.numbers if one.metric == "Accuracy"]
    counts = [one.count for one in accuracy]
    assert counts == sorted(counts)
    examples = scored(turned.examples)
    right = sum(one.prediction.value == one.truth for one in examples)
    assert (accuracy[-1].count, accuracy[-1].value) == (len(examples), right / len(examples))
    newer = [one.count for one in turned.numbers if one.metric == "F1"]
    assert newer[-1] == len(examples) - turned.before


def test_every_event_is_answered_once_across_the_upgrade(turned: Turned) -> None:
    answered = sorted(
        int(wire.decode_prediction(one.value).event_id.removeprefix("v-")) for one in turned.recorded["predictions"]
    )
    assert answered == list(range(len(turned.recorded["events"])))


def test_the_audit_plays_the_upgraded_job_again(turned: Turned) -> None:
    done = examine(turned.new.pipeline, turned.recorded)
    assert done.faults == []
    assert done.sound, done
    assert done.decisions == len(decisions(turned)) >= 2
    assert done.versions == len(turned.recorded["versions"])
    assert done.answered_again == len(turned.recorded["events"])
    assert check_recorded(turned.new.pipeline, turned.recorded).sound


def test_the_file_before_the_upgrade_is_not_taken_for_the_one_that_runs(turned: Turned) -> None:
    done = examine(turned.old.pipeline, turned.recorded)
    assert any("give the file that runs" in fault for fault in done.faults)
