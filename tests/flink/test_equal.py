"""A run on the real Flink and Kafka is the embedded logic, shown by the audit; and the audit finds every planted fault."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flink.conftest import Run
from tests.flink.generated import Arriving, stream

from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit import audit, examine
from eddyline.engines.flink.audit_topics import Message
from eddyline.engines.flink.job import Settings
from eddyline.pipeline.loading import Loaded, load
from eddyline.records import DeadLetter, Prediction, Value

HERE = Path(__file__).parent
FLIGHTS = HERE.parents[1] / "examples" / "flights"
ALL = os.environ.get("EDDYLINE_FLINK_ALL") == "1"
SEED = 20_261_122
ORDERS = 4_000
PATIENT = Settings(parallelism=2, idle_ms=600_000)
"""A quiet topic is waited for, so that no label is overtaken by event time."""

Messages = dict[str, list[Message]]


@pytest.fixture(scope="module")
def generated(
    kafka_broker: Kafka, flink_cluster: Flink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Loaded, Messages]]:
    """A run over the generated stream with two rollouts in its middle, at rest."""
    print("seed", SEED)
    file = tmp_path_factory.mktemp("generated") / "generated_shop.py"
    shutil.copy(HERE / "generated.py", file)  # a user's file is alone in its folder
    loaded = load(str(file))
    run, sent = Run.of(loaded, kafka_broker, flink_cluster, PATIENT), stream(SEED, ORDERS)
    third = len(sent) // 3
    try:
        run.send(_message(one) for one in sent[:third])
        run.taken()
        run.until(lambda: len(run.of_stream("versions")) >= 1, "published a version")
        older = run.of_stream("versions")[0].value
        run.command(wire.decode_version(older)[0].name, older)
        run.command("generated@99999999")
        run.until(lambda: len(run.of_stream("rollouts")) == 1, "recorded the rollout")
        run.send(_message(one) for one in sent[third : 2 * third])
        run.taken()
        run.command("live")
        run.until(lambda: len(run.of_stream("rollouts")) == 2, "recorded the second rollout")
        run.send(_message(one) for one in sent[2 * third :])
        run.taken()
        run.stop(drain=True)
        yield loaded, run.recorded()
    finally:
        run.end()


def test_a_disordered_stream_with_rollouts_is_answered_and_joined_as_by_the_embedded_logic(
    generated: tuple[Loaded, Messages],
) -> None:
    loaded, run = generated
    done = examine(loaded.pipeline, run)
    assert done.faults == []
    assert done.sound, done
    assert done.answered_again >= done.predictions > 0.9 * ORDERS
    assert done.learned > 1_000
    assert done.versions == len(run["versions"]) > 2
    assert done.repeats > 0
    assert done.shared > 0
    # Event time moves in leaps. Where one takes it past the wait of a label and its copy, both held back for an event that was
    # refused, each is a letter, and in one process the second is a repeat.
    assert done.overtaken <= 5
    letters = {(letter.stream, letter.reason) for letter in _letters(run)}
    assert letters >= {
        ("events", "malformed"),
        ("events", "invalid"),
        ("events", "features_failed"),
        ("events", "id_conflict"),
        ("labels", "malformed"),
        ("labels", "label_late"),
        ("labels", "label_unmatched"),
        ("predictions", "id_conflict"),
        ("commands", "unknown_version"),
    }


def test_every_rollout_of_the_stream_answered_events(generated: tuple[Loaded, Messages]) -> None:
    _, run = generated
    by_rollout: dict[int, set[int]] = {}
    for message in run["predictions"]:
        prediction = wire.decode_prediction(message.value)
        by_rollout.setdefault(prediction.revision, set()).add(prediction.position)
    assert sorted(by_rollout) == [0, 1, 2]
    assert len(by_rollout[1]) == 1
    assert len(by_rollout[2]) >= 1  # as many as there were checkpoints while events came
    assert max(by_rollout[2]) > max(by_rollout[1])


def test_flights_on_flink_are_answered_learned_and_joined_as_by_the_embedded_logic(
    kafka_broker: Kafka, flink_cluster: Flink
) -> None:
    if not (FLIGHTS / "data" / "departures.jsonl").exists():
        subprocess.run([sys.executable, FLIGHTS / "prepare.py"], check=True)
    loaded, many = load(str(FLIGHTS / "pipeline.py")), None if ALL else 20_000
    run = Run.of(loaded, kafka_broker, flink_cluster, PATIENT)
    try:
        run.send(_flights(loaded, many))
        run.taken()
        run.stop(drain=True)
        done = audit(loaded.pipeline, run.connection)
    finally:
        run.end()
    assert done.faults == []
    assert done.sound, done
    assert done.events == done.predictions == done.answered_again == (many or 336_776)
    assert done.examples > 0.9 * done.events
    assert (done.waiting, done.disordered, done.overtaken) == (0, 0, 0)


# Planted faults -----------------------------------------------------------------------------------------------------


def _a_changed_answer(run: Messages) -> str:
    one, prediction = _prediction(run, 700)
    _put(run, one, msgspec.structs.replace(prediction, value=not prediction.value))
    return f"event {prediction.event_id!r}, place"


def _a_changed_last_digit(run: Messages) -> str:
    one, prediction = _prediction(run, 701)
    assert prediction.scores is not None
    scores = {name: share + 2**-52 for name, share in prediction.scores.items()}
    _put(run, one, msgspec.structs.replace(prediction, scores=scores))
    return f"event {prediction.event_id!r}, place"


def _a_changed_aggregate(run: Messages) -> str:
    one, prediction = _prediction(run, 702)
    counted: dict[str, Value] = dict(prediction.aggregates or {}) | {"often": 999}
    _put(run, one, msgspec.structs.replace(prediction, aggregates=counted))
    return "aggregates recorded"


def _another_version_named(run: Messages) -> str:
    one, prediction = _prediction(run, len(run["predictions"]) - 5)
    _put(run, one, msgspec.structs.replace(prediction, position=prediction.position + 1))
    return "which was never published"


def _another_rollout_named(run: Messages) -> str:
    one, prediction = _prediction(run, len(run["predictions"]) - 5)
    _put(run, one, msgspec.structs.replace(prediction, revision=1))
    return "in rollout 1, which chose"


def _a_doubled_answer(run: Messages) -> str:
    one, prediction = _prediction(run, 500)
    run["predictions"].append(run["predictions"][one])
    return f"event {prediction.event_id!r} was answered 2 times"


def _a_lost_answer(run: Messages) -> str:
    one, prediction = _prediction(run, 500)
    del run["predictions"][one]
    return f"event {prediction.event_id!r}"


def _an_answer_nobody_asked_for(run: Messages) -> str:
    one, prediction = _prediction(run, 500)
    made = msgspec.structs.replace(prediction, event_id="nobody")
    run["predictions"].append(run["predictions"][one]._replace(value=wire.encode_prediction(made), place="3.99999"))
    return "event 'nobody' was answered"


def _two_places_exchanged(run: Messages) -> str:
    one, prediction = _prediction(run, 900)
    for other in range(one + 1, len(run["predictions"])):
        two = wire.decode_prediction(run["predictions"][other].value)
        if two.key == prediction.key and two.position == prediction.position and two.revision == prediction.revision:
            break
    here, there = run["predictions"][one], run["predictions"][other]
    run["predictions"][one], run["predictions"][other] = here._replace(place=there.place), there._replace(place=here.place)
    return "aggregates recorded"


def _a_lost_example(run: Messages) -> str:
    one = next(n for n, m in enumerate(run["examples"]) if wire.decode_example(m.value)[1] == 50)
    del run["examples"][one]
    return "has position 51, expected 50"


def _a_doubled_example(run: Messages) -> str:
    run["examples"].append(run["examples"][10])
    return "a truth was applied twice"


def _a_changed_truth(run: Messages) -> str:
    example, position = wire.decode_example(run["examples"][60].value)
    changed = wire.encode_example(msgspec.structs.replace(example, truth=not example.truth), position)
    run["examples"][60] = run["examples"][60]._replace(value=changed)
    return "no order in which its labels could arrive"


def _an_example_of_another_answer(run: Messages) -> str:
    example, position = wire.decode_example(run["examples"][60].value)
    answer = msgspec.structs.replace(example.prediction, segment="elsewhere")
    changed = wire.encode_example(msgspec.structs.replace(example, prediction=answer), position)
    run["examples"][60] = run["examples"][60]._replace(value=changed)
    return "holds another answer than was given"


def _two_positions_exchanged(run: Messages) -> str:
    (one, here), (other, there) = (wire.decode_example(run["examples"][n].value) for n in (60, 61))
    run["examples"][60] = run["examples"][60]._replace(value=wire.encode_example(one, there))
    run["examples"][61] = run["examples"][61]._replace(value=wire.encode_example(other, here))
    return "and learning it again gives"


def _a_wrong_digest(run: Messages) -> str:
    version, state = wire.decode_version(run["versions"][1].value)
    changed = wire.encode_version(msgspec.structs.replace(version, digest="0" * 32), state)
    run["versions"][1] = run["versions"][1]._replace(value=changed)
    return f"{version.name}: the fold over the examples has another digest"


def _the_state_of_another_version(run: Messages) -> str:
    version, _ = wire.decode_version(run["versions"][1].value)
    _, other = wire.decode_version(run["versions"][0].value)
    run["versions"][1] = run["versions"][1]._replace(value=wire.encode_version(version, other))
    return f"{version.name}: its recorded state has another digest"


def _a_lost_dead_letter_of_an_event(run: Messages) -> str:
    del run["dead_letters"][_letter(run, "events", "features_failed")]
    return "never answered"


def _a_lost_dead_letter_of_a_label(run: Messages) -> str:
    del run["dead_letters"][_letter(run, "labels", "label_late")]
    return "no order in which its labels could arrive"


def _a_dead_letter_with_another_reason(run: Messages) -> str:
    one = _letter(run, "events", "features_failed")
    letter = msgspec.structs.replace(wire.decode_dead(run["dead_letters"][one].value), reason="model_failed")
    run["dead_letters"][one] = run["dead_letters"][one]._replace(value=wire.encode_dead(letter))
    return "refused (model_failed"


def _an_event_changed_afterwards(run: Messages) -> str:
    one = next(n for n, m in enumerate(run["events"]) if b'"o-1500"' in m.value)
    run["events"] = [m for m in run["events"] if b'"o-1500"' not in m.value or m is run["events"][one]]
    one = next(n for n, m in enumerate(run["events"]) if b'"o-1500"' in m.value)
    order: dict[str, Any] = msgspec.json.decode(run["events"][one].value)
    run["events"][one] = run["events"][one]._replace(value=msgspec.json.encode(order | {"amount": 77.25}))
    return "event 'o-1500'"


def _a_lost_rollout(run: Messages) -> str:
    del run["rollouts"][0]
    return "the rollouts have the revisions [2], expected 1 to 1"


PLANTED: list[Callable[[Messages], str]] = [
    _a_changed_answer,
    _a_changed_last_digit,
    _a_changed_aggregate,
    _another_version_named,
    _another_rollout_named,
    _a_doubled_answer,
    _a_lost_answer,
    _an_answer_nobody_asked_for,
    _two_places_exchanged,
    _a_lost_example,
    _a_doubled_example,
    _a_changed_truth,
    _an_example_of_another_answer,
    _two_positions_exchanged,
    _a_wrong_digest,
    _the_state_of_another_version,
    _a_lost_dead_letter_of_an_event,
    _a_lost_dead_letter_of_a_label,
    _a_dead_letter_with_another_reason,
    _an_event_changed_afterwards,
    _a_lost_rollout,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__.strip("_"))
def test_a_planted_fault_is_found(generated: tuple[Loaded, Messages], plant: Callable[[Messages], str]) -> None:
    loaded, run = generated
    tampered = {name: list(messages) for name, messages in run.items()}
    words = plant(tampered)
    done = examine(loaded.pipeline, tampered)
    assert not done.sound
    assert any(words in fault for fault in done.faults), (words, done.faults)


def test_another_numeric_fingerprint_is_said_and_no_equality_is_claimed(generated: tuple[Loaded, Messages]) -> None:
    loaded, run = generated
    moved = dict(run)
    moved["versions"] = [_written_elsewhere(message) for message in run["versions"]]
    done = examine(loaded.pipeline, moved)
    assert done.faults == []
    assert not done.comparable
    assert not done.sound


def _written_elsewhere(message: Message) -> Message:
    version, state = wire.decode_version(message.value)
    return message._replace(
        value=wire.encode_version(msgspec.structs.replace(version, fingerprint="eddy1-cp39-00000000"), state)
    )


def _prediction(run: Messages, number: int) -> tuple[int, Prediction]:
    return number, wire.decode_prediction(run["predictions"][number].value)


def _put(run: Messages, number: int, prediction: Prediction) -> None:
    run["predictions"][number] = run["predictions"][number]._replace(value=wire.encode_prediction(prediction))


def _letters(run: Messages) -> list[DeadLetter]:
    return [wire.decode_dead(message.value) for message in run["dead_letters"]]


def _letter(run: Messages, of: str, reason: str) -> int:
    return next(n for n, letter in enumerate(_letters(run)) if letter.stream == of and letter.reason == reason)


def _message(one: Arriving) -> tuple[str, str, bytes]:
    return one.topic, one.key, one.value


def _flights(loaded: Loaded, many: int | None) -> Iterator[tuple[str, str, bytes]]:
    """Departures and arrivals as they happened, as many of each."""
    sources = {"events": loaded.pipeline.events, "labels": loaded.pipeline.labels}
    schemas = {"events": loaded.pipeline.event_schema, "labels": loaded.pipeline.label_schema}
    lines: list[tuple[int, str, str, bytes]] = []
    for name, source in sources.items():
        opened, position = source.open(loaded.base), 0
        left = many if many is not None else 10**9
        while left and (some := opened.read(position, min(left, 4_000))):
            position, left = some[-1].position, left - len(some)
            for line in some:
                arrival = schemas[name].decode(line.raw)
                lines.append((arrival.at, name, arrival.key or arrival.id, line.raw))
    yield from (line[1:] for line in sorted(lines, key=lambda line: line[0]))
