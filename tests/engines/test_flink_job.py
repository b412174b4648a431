"""What a job is told and tells again, what may change under its state, and where that state is found: without a Flink."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from river import linear_model, metrics, preprocessing
from tests.shops import Chargeback

from eddyline import (
    Challenger,
    Count,
    EpochSeconds,
    Event,
    Id,
    Join,
    Key,
    Pipeline,
    RollBack,
    Sum,
    Versions,
    Watch,
    hours,
    jsonl,
)
from eddyline.connectors.kafka import Connection, avro, kafka
from eddyline.engines.flink import job
from eddyline.engines.flink.declared import TAKEN_UP
from eddyline.engines.flink.fitting import FREE, WHY, means, require_fitting
from eddyline.engines.flink.job import LAYOUT, Settings
from eddyline.engines.flink.reading import is_coded, source_of
from eddyline.engines.flink.retained import Note, Retained
from eddyline.pipeline.loading import Loaded
from eddyline.pipeline.meaning import meaning
from eddyline.records.errors import DeclarationError, NotFound, StoreMismatch

PYTHON = Path("python")
EMPTY: Mapping[str, str] = {}
SECRET = {"security.protocol": "SASL_SSL", "sasl.username": "ann", "sasl.password": "hunter2"}


class Payment(Event):
    """What happens."""

    id: Id
    card: Key
    shop: str
    at: EpochSeconds
    amount: float


pay = Pipeline(
    name="pay",
    events=jsonl("payments.jsonl", Payment),
    labels=jsonl("chargebacks.jsonl", Chargeback),
    aggregates={"spent": Sum("amount", over=hours(1))},
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=hours(5)),
)
both = pay.replace(aggregates={"a": Sum("amount", over=hours(1)), "b": Count(over=hours(1), by="shop")})
deep = pay.replace(challengers=(Challenger("deep"),))


def loaded(pipeline: Pipeline = pay) -> Loaded:
    return Loaded(pipeline, Path(__file__), Path("pay.eddyline"))


def document(settings: Settings | None = None, security: Mapping[str, str] = EMPTY) -> dict[str, object]:
    return job.specification(loaded(), Connection("kafka:9092", security), settings or Settings(), PYTHON, "file:///cp/pay")


def about(told: dict[str, object]) -> dict[str, str]:
    return msgspec.convert(told["about"], dict[str, str])


def test_a_job_tells_what_it_was_told_so_that_it_can_be_started_again() -> None:
    told = document(Settings(parallelism=2))
    assert job.again(about(told), Connection("kafka:9092"), PYTHON) == told


def test_checkpoints_go_to_the_folder_of_the_pipelines_name_whatever_folder_is_set() -> None:
    told = document(Settings(flink={job.CHECKPOINTS: "file:///cp"}))
    assert job.remembered(about(told))["flink"][job.CHECKPOINTS] == "file:///cp/pay"


def test_a_wider_job_differs_in_its_parallelism_alone() -> None:
    told = document()
    wider = job.again(about(told), Connection("kafka:9092"), PYTHON, 4)
    differ = {name for name in told if told[name] != wider[name]} - {"about"}
    assert differ == {"parallelism", "serve_parallelism"}
    assert job.remembered(about(wider))["parallelism"] == 4


def test_a_job_does_not_tell_a_secret_and_wants_it_again() -> None:
    told = document(security=SECRET)
    assert "hunter2" in str(told["kafka"])
    assert set(job.remembered(about(told))["kafka"].values()) == {""}
    with pytest.raises(DeclarationError, match=r"security.protocol[\s\S]*--kafka-config FILE"):
        job.again(about(told), Connection("kafka:9092"), PYTHON)
    assert job.again(about(told), Connection("kafka:9092", SECRET), PYTHON) == told


def test_security_that_java_would_pass_over_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"ssl\.certificate\.location[\s\S]*ssl\.keystore\.location"):
        document(security={"security.protocol": "SSL", "ssl.certificate.location": "me.pem"})


def test_a_job_of_another_eddyline_cannot_be_started_again() -> None:
    with pytest.raises(StoreMismatch, match="another Eddyline submitted it"):
        job.remembered({"eddyline.pipeline": "pay"})


def test_a_pipeline_that_is_not_in_its_file_cannot_travel() -> None:
    with pytest.raises(DeclarationError, match=r"not at the top of test_flink_job\.py"):
        job.specification(loaded(pay.replace(name="other")), Connection("kafka:9092"), Settings(), PYTHON)


def test_windows_by_several_fields_leave_one_instance_to_answer() -> None:
    told = job.specification(loaded(both), Connection("kafka:9092"), Settings(parallelism=2), PYTHON, "file:///cp/pay")
    assert (told["serve_by"], told["parallelism"], told["serve_parallelism"]) == ("NOBODY", 2, 1)
    assert job.again(about(told), Connection("kafka:9092"), PYTHON, 3)["serve_parallelism"] == 1


def test_a_job_decodes_the_topics_that_are_not_json_and_no_others() -> None:
    topic = kafka("payments", Payment, codec=avro("http://127.0.0.1:1"), brokers="kafka:9092")
    told = job.specification(loaded(), Connection("kafka:9092"), Settings(), PYTHON)
    assert told["decoded"] == []
    given = pay.replace(events=topic)
    assert [is_coded(source_of(given, stream)) for stream in ("events", "labels")] == [True, False]


def test_every_part_of_the_meaning_either_may_change_or_says_why_not() -> None:
    contested = pay.replace(challengers=(Challenger("deep"),), decide=(RollBack(),))
    assert set(TAKEN_UP) | set(WHY) == {*meaning(contested), "segment"}
    assert not set(TAKEN_UP) & set(WHY)
    assert set(FREE) < set(TAKEN_UP)


def test_what_leaves_no_trace_in_state_may_change() -> None:
    newer = pay.replace(versions=Versions(every=7))
    assert require_fitting(about(document()), newer, "job 1") == ["versions"]
    assert require_fitting(about(document()), pay, "job 1") == []
    assert means(about(document()), pay) == []


def test_other_metrics_and_policies_are_taken_up_and_said() -> None:
    was = about(job.specification(loaded(deep), Connection("kafka:9092"), Settings(), PYTHON))
    newer = deep.replace(decide=(RollBack(evidence=33),), watch=Watch(metrics=(metrics.F1(),)), look_every=7)
    assert require_fitting(was, newer, "job 1") == ["watch", "decide", "look_every"]
    said = "\n".join(means(was, newer))
    for words in ("metric F1: counted from here on", "counted no more", "policy roll_back: begins here"):
        assert words in said


def test_state_without_the_words_of_its_declaration_asks_for_one_upgrade_more() -> None:
    told = about(job.specification(loaded(deep), Connection("kafka:9092"), Settings(), PYTHON))
    was = {name: text for name, text in told.items() if name != LAYOUT} | {"eddyline.state": "2"}
    assert require_fitting(was, deep.replace(versions=Versions(every=7)), "job 1") == ["versions"]
    assert means(was, deep.replace(versions=Versions(every=7))) == []
    with pytest.raises(StoreMismatch, match=r"decide, look_every cannot be taken up yet\n[\s\S]*eddyline flink upgrade OLD.py"):
        require_fitting(was, deep.replace(decide=(RollBack(),)), "job 1")


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"aggregates": {"spent": Sum("amount", over=hours(2))}}, "aggregates"),
        ({"model": linear_model.LogisticRegression()}, "model"),
        ({"join": Join(wait=hours(6))}, "join"),
        ({"lateness": hours(1)}, "lateness"),
        ({"name": "other"}, "name"),
        ({"challengers": (Challenger("deep"),)}, "challengers"),
    ],
)
def test_what_state_would_not_fit_is_refused_with_the_reason(changed: dict[str, object], part: str) -> None:
    with pytest.raises(StoreMismatch, match=rf"changed in {part}\n[\s\S]*{re.escape(WHY[part])}"):
        require_fitting(about(document()), pay.replace(**changed), "job 1")


def test_what_state_would_not_fit_is_refused_with_durations_in_words() -> None:
    with pytest.raises(StoreMismatch, match=r"join: was .*wait=5 hours[^\n]*\n *now .*wait=6 hours"):
        require_fitting(about(document()), pay.replace(join=Join(wait=hours(6))), "job 1")


def test_a_challenger_that_is_not_declared_any_more_is_not_dropped_in_silence() -> None:
    was = about(job.specification(loaded(deep), Connection("kafka:9092"), Settings(), PYTHON))
    with pytest.raises(StoreMismatch, match="changed in challengers"):
        require_fitting(was, pay, "job 1")


def test_state_of_another_layout_is_refused() -> None:
    with pytest.raises(StoreMismatch, match="layout 0, and this Eddyline reads"):
        require_fitting(about(document()) | {"eddyline.state": "0"}, pay, "job 1")


def completed(folder: Path, name: str, at: int) -> Path:
    """A checkpoint as Flink leaves it, made at a time."""
    checkpoint = folder / name
    checkpoint.mkdir(parents=True)
    (checkpoint / "_metadata").write_bytes(b"")
    os.utime(checkpoint / "_metadata", (at, at))
    return checkpoint


def test_the_newest_state_is_a_checkpoint_or_the_savepoint_that_ended_a_job(tmp_path: Path) -> None:
    folder = tmp_path / "pay"
    retained = Retained(folder.as_uri())
    retained.write(Note("a", {"eddyline.state": "1"}))
    completed(folder, "a/chk-1", 1_000)
    newest = completed(folder, "a/chk-2", 2_000)
    (folder / "a" / "chk-3").mkdir()
    assert retained.latest() == (newest.as_uri(), {"eddyline.state": "1"})
    assert retained.add("a", {}, "file:/sp/on-the-way", stopped=False)
    assert retained.latest()[0] == newest.as_uri()
    assert retained.add("a", {}, "file:/sp/last", stopped=True)
    assert retained.latest() == ("file:/sp/last", {"eddyline.state": "1"})
    assert retained.about("file:/sp/on-the-way/") == {"eddyline.state": "1"}
    assert retained.about(newest.as_uri()) == {"eddyline.state": "1"}
    assert retained.about("file:/sp/unknown") == {}


def test_where_nothing_was_left_nothing_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="neither a checkpoint nor a savepoint"):
        Retained((tmp_path / "pay").as_uri()).latest()
    with pytest.raises(NotFound, match="cannot be seen from here"):
        Retained("s3://bucket/pay").latest()
    assert not Retained("s3://bucket/pay").write(Note("a", {}))
