"""Models per key in the hosts that Flink calls, without a cluster: what comes back, in which order, and what an audit sees."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from river import linear_model, preprocessing

from eddyline import (
    Challenger,
    CustomModel,
    DeclarationError,
    EpochSeconds,
    Event,
    Id,
    Join,
    Key,
    Label,
    Pipeline,
    Promote,
    Sum,
    Truth,
    every,
    hours,
    memory,
)
from eddyline.connectors.kafka import wire
from eddyline.engines.flink import per_key_version
from eddyline.engines.flink.audit import Audit, examine
from eddyline.engines.flink.audit_topics import Message
from eddyline.engines.flink.lost_examples import gaps
from eddyline.engines.flink.per_key import Numbers, Returned, Shelf, require_servable, shard_of, words
from eddyline.engines.flink.per_key_version import made_again, number_of
from eddyline.models import PerKey
from eddyline.records import KEY_FEATURE, Example, Features, Place, Prediction, Task
from eddyline.records.errors import EddylineError, NotFound, StoreMismatch
from eddyline.stages.commands import Command
from eddyline.testing import run_in_memory
from eddyline.testing.hosted import Hosted, run_hosted


class Batch(Event):
    id: Id
    oven: Key
    at: EpochSeconds
    heat: float
    flour: str = "rye"


class Burnt(Label):
    id: Id
    at: EpochSeconds
    burnt: Truth[bool]


class Fussy(CustomModel):
    """Answers the share of burnt batches; refuses to learn a heat of exactly 13, after it has counted it."""

    task = Task.CLASSIFICATION

    def __init__(self) -> None:
        self.seen, self.burnt = 0, 0

    def predict(self, features: Features) -> bool | None:
        if features["heat"] == 14.0:
            raise ValueError("nothing is baked at 14")
        return self.burnt * 2 > self.seen if self.seen else None

    def learn(self, features: Features, truth: Any) -> None:
        self.seen += 1
        self.burnt += truth
        if features["heat"] == 13.0:
            raise ValueError("nothing is baked at 13")


LINEAR = preprocessing.StandardScaler() | linear_model.LogisticRegression()


def ovens(**changes: Any) -> Pipeline:
    fields: dict[str, Any] = {
        "name": "ovens",
        "events": memory([], Batch),
        "labels": memory([], Burnt),
        "features": lambda batch: {"heat": batch.heat},
        "model": LINEAR,
        "per": "key",
        "join": Join(wait=hours(1), absent=False, revisions="learn"),
    }
    return Pipeline(**(fields | changes))


def records(count: int, seed: int = 1) -> list[Event | Label]:
    random, found = Random(seed), list[Event | Label]()
    for number in range(count):
        oven = f"o-{random.randrange(5)}"
        heat = random.choice([13.0, 14.0, 150.0, 180.0, 210.0, 240.0])
        found.append(Batch(id=f"b-{number}", oven=oven, at=number * 10, heat=heat))
        found.append(Burnt(id=f"b-{number}", at=number * 10 + 5, burnt=heat > 160 + 10 * int(oven[-1])))
    return found


def audited(hosted: Hosted) -> Audit:
    hosted.drain()
    hosted.checkpoint()
    return examine(hosted.pipeline, hosted.recorded())


# Coming back ---------------------------------------------------------------------------------------------------------


def returned(count: int) -> list[Returned]:
    """Examples of two keys of one shard, as learn numbers them."""
    numbers, found = Numbers(ovens(), everybody=True, last={}), []
    for position in range(1, count + 1):
        key = f"o-{position % 2}"
        prediction = Prediction(
            f"b-{position}", key, position, {KEY_FEATURE: key, "heat": 1.0 * position}, None, None, None, "ovens", 0, 0
        )
        example = Example(prediction, position % 3 == 0, "label", position)
        place = numbers.place(example, position, {"ovens": None})
        found.append(Returned.of(0, wire.encode_example(example, position), f"|{place}"))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_examples_that_come_back_in_any_order_and_twice_are_learned_once_in_theirs(seed: int) -> None:
    given = returned(30)
    steady, shuffled = Shelf.made(ovens().plan()), Shelf.made(ovens().plan())
    for one in given:
        steady.take(one)
    for one in Random(seed).sample(given * 2, 60):
        shuffled.take(one)
    assert (shuffled.reached, shuffled.positions, shuffled.waiting) == (30, {"o-0": 30, "o-1": 29}, {})
    assert shuffled.state.model.digest() == steady.state.model.digest()


def test_what_waits_for_an_earlier_example_is_kept_with_the_shard() -> None:
    given = returned(9)
    shelf = Shelf.made(ovens().plan())
    for one in (*given[:3], *given[4:]):
        shelf.take(one)
    assert shelf.reached == 3
    again = Shelf.made(ovens().plan(), shelf.save())
    again.take(given[3])
    assert again.reached == 9


@pytest.mark.parametrize("seed", range(5))
def test_a_shard_gets_past_examples_that_the_broker_gave_up_where_it_is_told_and_never_else(seed: int) -> None:
    given, random = returned(30), Random(seed)
    lost = set(random.sample(range(29), 6))
    left = [one for number, one in enumerate(given) if number not in lost]
    over = gaps((number_of(one.body), f"0.{one.before}.0") for one in random.sample(left, len(left)))
    waiting, told, steady = Shelf.made(ovens().plan()), Shelf.made(ovens().plan(), None, over[0]), Shelf.made(ovens().plan())
    for one in random.sample(left, len(left)):
        told.take(one)
        if one is not left[-1]:
            waiting.take(one)
    assert waiting.reached == min(lost)
    assert (told.reached, told.waiting) == (30, {})
    for one in left:
        example, position = wire.decode_example(one.body)
        steady.learned(example, position, words(example, one.saw))
    assert told.state.model.digest() == steady.state.model.digest()
    again = Shelf.made(ovens().plan(), waiting.save(), over[0])
    again.take(left[-1])
    assert (again.reached, again.state.model.digest()) == (30, told.state.model.digest())


# Serving -------------------------------------------------------------------------------------------------------------


def test_hosts_to_which_examples_come_back_at_once_answer_as_one_process() -> None:
    hosted, total = run_hosted(ovens(), records(60), parallelism=3, every=1), run_in_memory(ovens(), records(60)).total
    assert [(p.event_id, p.value, p.scores, p.features) for p in hosted.written.predictions] == [
        (p.event_id, p.value, p.scores, p.features) for p in total.predictions
    ]


def test_the_learner_numbers_and_holds_no_model() -> None:
    hosted = run_hosted(ovens(), records(60))
    host: Any = hosted.learn.hosts[0]
    assert host.learners.states["ovens"].model.save() == b""
    assert host.learners.states["ovens"].position == len(hosted.written.examples)
    assert [version.name for version, _ in hosted.written.versions] == ["ovens@0"]


def test_after_rescaling_each_instance_holds_the_models_of_its_own_shards() -> None:
    hosted = run_hosted(ovens(), records(80), parallelism=1)
    hosted.rescale(4)
    held: list[Any] = list(hosted.serve.hosts)
    keys = [key for host in held for shelf in host.shelves.by_shard.values() for key in shelf.state.model.learned()]
    assert sorted(keys) == [f"o-{number}" for number in range(5)]
    for host in held:
        for shard, shelf in host.shelves.by_shard.items():
            assert {shard_of(key) for key in shelf.state.model.learned()} == {shard}


def test_a_truth_that_a_keys_model_refuses_is_a_dead_letter_and_leaves_the_model_as_it_was() -> None:
    hosted = run_hosted(ovens(model=Fussy()), records(80), parallelism=2)
    done = audited(hosted)
    assert done.faults == []
    refused = [letter for letter in hosted.written.dead if letter.stream == "examples"]
    spoilt = [e.prediction.event_id for e, _ in hosted.written.examples if e.prediction.features["heat"] == 13.0]
    assert sorted(letter.event_id or "" for letter in refused) == sorted(spoilt) != []
    named = {position: example.prediction.key for example, position in hosted.written.examples}
    bad = {position for example, position in hosted.written.examples if example.prediction.features["heat"] == 13.0}
    for p in hosted.written.predictions:
        assert p.position == 0 or named[p.position] == p.key
        assert p.position not in bad


def test_other_challengers_answer_and_learn_beside_models_per_key() -> None:
    pipeline = ovens(
        challengers=(Challenger("shared", model=LINEAR), Challenger("too")), decide=(Promote(evidence=1.5),), look_every=5
    )
    hosted = run_hosted(pipeline, records(120), parallelism=2)
    done = audited(hosted)
    assert done.faults == []
    assert done.sound
    lines = {said.model for p in hosted.written.predictions for said in p.others or ()}
    assert {"ovens.shared", "ovens.too"} <= lines


def test_where_windows_go_by_several_fields_one_instance_holds_every_keys_model() -> None:
    windows = {"baked": Sum("heat", over=hours(1), by="flour"), "own": Sum("heat", over=hours(1))}
    hosted = run_hosted(ovens(aggregates=windows), records(60), parallelism=2)
    done = audited(hosted)
    assert done.faults == []
    assert done.sound
    held: list[Any] = list(hosted.serve.hosts)
    assert [sorted(host.shelves.by_shard) for host in held] == [[0], []]


def test_the_fresh_models_can_be_named_and_answer_every_key_until_the_line_answers_again() -> None:
    hosted, given = Hosted(ovens(), 2), records(60)
    for number, record in enumerate(given):
        hosted.take(record)
        if number % 5 == 4:
            hosted.checkpoint()
        if number in (40, 80):
            hosted.take(Command(to="ovens@0" if number == 40 else "live", author="a test"))
    done = audited(hosted)
    assert done.faults == []
    answers = [p for p in hosted.written.predictions if p.revision == 1]
    assert answers
    assert {p.position for p in answers} == {0}
    assert any(p.position for p in hosted.written.predictions if p.revision == 2)


# Going back ----------------------------------------------------------------------------------------------------------


def gone_back(to: str, pipeline: Pipeline | None = None, *, then: dict[str, int] | None = None) -> Hosted:
    """A run of 80 batches that goes back to `to` after 40, and does what else is told: `crash`, `rescale`, `live`."""
    hosted, then = Hosted(pipeline or ovens(), 2), then or {}
    for number, record in enumerate(records(80)):
        hosted.take(record)
        if number % 5 == 4:
            hosted.checkpoint()
        if number == 80:
            hosted.take(Command(to=to, author="a test"))
        if then.get("crash") == number:
            hosted.crash()
        if then.get("rescale") == number:
            hosted.rescale(3)
        if then.get("live") == number:
            hosted.take(Command(to="live", author="a test"))
    return hosted


def in_one_process(hosted: Hosted, position: int) -> Any:
    """The models of all keys after so many examples, learned one after the other."""
    plan = ovens().plan()
    model: Any = plan.model
    model = model.restored(model.save())
    for example, at in sorted(hosted.written.examples, key=lambda one: one[1]):
        if 0 < at <= position:
            model.learn(example.prediction.features, example.truth)
    return model


def test_a_job_goes_back_to_any_position_and_each_key_answers_as_it_did_there() -> None:
    hosted = gone_back("ovens@23")
    done = audited(hosted)
    assert done.faults == []
    assert done.sound
    was = in_one_process(hosted, 23)
    answers = [p for p in hosted.written.predictions if p.revision == 1]
    assert len({p.key for p in answers}) > 3
    for p in answers:
        output = was.predict(p.features)
        assert (p.version, p.value, p.scores) == ("ovens@23", output.value, output.scores)


def test_the_version_that_a_rollback_brings_is_that_of_one_process_to_the_bit() -> None:
    hosted = gone_back("ovens@23")
    version, state = hosted.written.versions[-1]
    assert (version.name, version.parent) == ("ovens@23", "ovens@0")
    was = in_one_process(hosted, 23)
    assert version.digest == was.digest() == was.restored(state).digest()


def test_learning_goes_on_behind_a_version_and_live_answers_by_all_of_it() -> None:
    hosted = gone_back("ovens@23", then={"live": 120})
    assert audited(hosted).faults == []
    later = [p for p in hosted.written.predictions if p.revision == 2]
    assert max(p.position for p in later) > 40
    keys = {position: example.prediction.key for example, position in hosted.written.examples}
    assert {p.key == keys.get(p.position, p.key) for p in later} == {True}


@pytest.mark.parametrize("then", [{"crash": 92}, {"rescale": 92}, {"crash": 82}, {"crash": 92, "rescale": 112, "live": 131}])
def test_a_crash_and_other_parallelism_change_no_answer_of_a_version(then: dict[str, int]) -> None:
    hosted = gone_back("ovens@23", then=then)
    done = audited(hosted)
    assert done.faults == []
    assert done.sound
    answered = {p.event_id for p in hosted.written.predictions}
    assert len(answered) == len(hosted.written.predictions) == 80
    was = in_one_process(hosted, 23)
    pinned = [p for p in hosted.written.predictions if p.revision == 1]
    assert pinned
    assert {(p.version, str(p.scores)) for p in pinned} == {("ovens@23", str(was.predict(p.features).scores)) for p in pinned}


def test_truths_that_were_refused_are_refused_again_and_change_no_version() -> None:
    hosted = gone_back("ovens@30", ovens(model=Fussy()))
    done = audited(hosted)
    assert done.faults == []
    named = {position: example.prediction.features["heat"] for example, position in hosted.written.examples}
    assert any(named[position] == 13.0 for position in range(1, 31))
    assert [version.name for version, _ in hosted.written.versions] == ["ovens@0", "ovens@30"]


def test_a_version_of_models_per_key_is_no_newest_that_live_would_be_made_of() -> None:
    hosted = gone_back("ovens@23", then={"live": 120})
    host: Any = hosted.serve.hosts[0]
    assert host.voices.newest["ovens"] == 0
    assert set(host.voices.models) == {("ovens", 0)}


def test_a_version_can_sit_beside_the_models_of_now() -> None:
    pipeline = ovens(decide=(Promote(evidence=1e9),), look_every=5)
    hosted = Hosted(pipeline, 2)
    for number, record in enumerate(records(80)):
        hosted.take(record)
        if number % 5 == 4:
            hosted.checkpoint()
        if number == 80:
            hosted.take(Command(do="enter", place=Place("ovens@23"), author="a test"))
    assert audited(hosted).faults == []
    was = in_one_process(hosted, 23)
    beside = [(p, said) for p in hosted.written.predictions for said in p.others or ()]
    assert beside
    for p, said in beside:
        assert (said.model, said.position, said.scores) == ("ovens", 23, was.predict(p.features).scores)
    assert any(p.position > 23 for p, _ in beside)


def test_an_answer_by_a_version_that_is_not_what_its_keys_had_learned_is_a_fault() -> None:
    hosted = gone_back("ovens@23")
    number = next(n for n, raw in enumerate(hosted.written.of("versions")) if wire.peek_version(raw).position == 23)
    other = in_one_process(hosted, 22)
    version, _ = wire.decode_version(hosted.written.of("versions")[number])
    lying = msgspec.structs.replace(version, digest=other.digest())
    faults = changed(hosted, "versions", number, wire.encode_version(lying, other.save()))
    assert any("ovens@23: the fold over the examples of every key has another digest" in fault for fault in faults)


# What is refused, in words


def asked(hosted: Hosted, position: int, examples: list[tuple[bytes, str]] | None = None, **changes: Any) -> bytes:
    """What a rollback to a position brings along, from the topics of a run."""
    given = [(one.value, one.place) for one in hosted.recorded()["examples"]] if examples is None else examples
    return made_again(ovens(**changes), position, given, hosted.written.whole("ovens@0"))


def test_examples_in_any_order_give_the_same_bytes() -> None:
    hosted = run_hosted(ovens(), records(60))
    given = [(one.value, one.place) for one in hosted.recorded()["examples"]]
    assert asked(hosted, 30, Random(1).sample(given, len(given))) == asked(hosted, 30)


def test_a_position_that_was_not_reached_is_told_where_the_examples_end() -> None:
    hosted = run_hosted(ovens(), records(60))
    last = max(position for _, position in hosted.written.examples)
    with pytest.raises(NotFound, match=rf"no version ovens@900: the examples in ovens\.examples end at ovens@{last}\nname a"):
        asked(hosted, 900)


def test_examples_that_the_broker_let_go_of_are_counted_and_not_guessed() -> None:
    hosted = run_hosted(ovens(), records(60))
    given = [(one.value, one.place) for one in hosted.recorded()["examples"]]
    with pytest.raises(NotFound, match=r"of its 30 examples 4 are not in ovens\.examples \(the first is number 1\)"):
        asked(hosted, 30, given[4:])


def test_the_examples_of_two_jobs_in_one_topic_make_no_version() -> None:
    one, other = (run_hosted(ovens(), records(60, seed)) for seed in (1, 2))
    first, second = ([(m.value, m.place) for m in run.recorded()["examples"]] for run in (one, other))
    with pytest.raises(NotFound, match="holds the examples of two jobs"):
        asked(one, 50, first[:20] + second)
    with pytest.raises(NotFound, match="holds the examples of two jobs"):
        asked(one, 50, first[:20] + second[20:])


def test_a_file_that_makes_other_models_is_refused() -> None:
    with pytest.raises(StoreMismatch, match="this file's fresh model is not ovens@0\ngive the file that the job runs"):
        asked(run_hosted(ovens(), records(60)), 30, model=Fussy())


def test_a_machine_that_computes_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hosted = run_hosted(ovens(), records(60))
    monkeypatch.setattr(per_key_version, "fingerprint", lambda models: "eddy1-cp399-np9-river9-00000000")
    with pytest.raises(StoreMismatch, match=r"the job's workers and this machine differ in Python \d+ and 399"):
        asked(hosted, 30)


def test_a_version_that_is_larger_than_a_command_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hosted = run_hosted(ovens(), records(60))
    monkeypatch.setattr(per_key_version, "ROOM", 700)
    with pytest.raises(EddylineError, match="ovens@30 holds the models of 5 keys: with its state it takes"):
        asked(hosted, 30)


# What an audit sees --------------------------------------------------------------------------------------------------


def changed(hosted: Hosted, stream: str, number: int, body: bytes | None) -> list[str]:
    """The faults of a run in whose topic one message is another, or is missing."""
    run = {name: list(messages) for name, messages in hosted.recorded().items()}
    was = run[stream][number]
    run[stream][number : number + 1] = [] if body is None else [Message(body, was.partition, was.offset, was.place)]
    return examine(hosted.pipeline, run).faults


def test_an_answer_that_names_a_position_which_is_not_its_keys_is_a_fault() -> None:
    hosted = run_hosted(ovens(), records(60))
    hosted.checkpoint()
    keys = {position: example.prediction.key for example, position in hosted.written.examples}
    number, last = next((n, p) for n, p in enumerate(hosted.written.predictions) if keys.get(p.position - 1, p.key) != p.key)
    body = wire.encode_prediction(last).replace(b'"position":%d' % last.position, b'"position":%d' % (last.position - 1))
    faults = changed(hosted, "predictions", number, body)
    assert any(f"ovens@{last.position - 1} is not what key '{last.key}' had learned" in fault for fault in faults)


def test_a_refused_truth_without_a_dead_letter_is_a_fault() -> None:
    hosted = run_hosted(ovens(model=Fussy()), records(80))
    hosted.checkpoint()
    assert examine(hosted.pipeline, hosted.recorded()).faults == []
    first = next(n for n, letter in enumerate(hosted.written.dead) if letter.stream == "examples")
    assert any(
        "has 0 dead letters, and learning it again gives 1" in fault for fault in changed(hosted, "dead_letters", first, None)
    )


# What Flink cannot do ------------------------------------------------------------------------------------------------


def test_published_versions_are_refused_where_models_learn_where_they_answer() -> None:
    with pytest.raises(DeclarationError, match="leave publish out"):
        require_servable(ovens(publish=every(10)))


def test_windows_that_all_go_by_another_field_are_refused_with_what_to_do() -> None:
    by_flour = {"baked": Sum("heat", over=hours(1), by="flour")}
    with pytest.raises(DeclarationError, match="all aggregates go by flour, so events meet by it, and the models go by oven"):
        require_servable(ovens(aggregates=by_flour))
    require_servable(ovens(aggregates=by_flour | {"own": Sum("heat", over=hours(1))}))  # then one instance answers


def test_the_model_that_lives_in_serve_is_the_one_of_one_process() -> None:
    hosted, journey = run_hosted(ovens(), records(60), every=1), run_in_memory(ovens(), records(60))
    one: Any = journey.loop.states.learn.model
    assert isinstance(one, PerKey)
    (host,) = hosted.serve.hosts
    shelves: Any = host
    for shelf in shelves.shelves.by_shard.values():
        for key in shelf.state.model.learned():
            assert shelf.state.model.of(key).digest() == one.of(key).digest()
