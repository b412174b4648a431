"""still, named, stop: what a version is does not depend on how it travelled, whole or as what changed since the one before.

The model has some thousand weights, of which an example changes a few, in the hosts that Flink calls.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model
from tests.laws.drawn import LAW, Chargeback, Payment, us

from eddyline import Challenger, Event, Join, Label, Pipeline, Versions, every, memory
from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.deltas import WORTH
from eddyline.engines.flink.audit import examine
from eddyline.engines.flink.batch import COMMAND, DEAD, NEVER, VERSION, Saved, pack
from eddyline.engines.flink.declared import By
from eddyline.engines.flink.learn import LearnHost, Request
from eddyline.engines.flink.serve import ServeHost
from eddyline.records import Features
from eddyline.stages.commands import Command
from eddyline.testing.hosted import Hosted, name_of, run_hosted

WORDS = 1_200
ROUND = 4


def features(payment: Payment) -> Features:
    """The first event says every word; the others a few of them."""
    said = range(WORDS) if payment.amount == 0 else [int(payment.amount) * 7 % WORDS, int(payment.amount) * 31 % WORDS]
    return {f"{word * 2_654_435_761 % 2**32:x}": 1.0 / (1 + word) for word in said}


@lru_cache
def wide(*, deltas: bool = True, timed: bool = False) -> Pipeline:
    return Pipeline(
        name="wide",
        events=memory([], Payment),
        labels=memory([], Chargeback),
        features=features,
        model=linear_model.LogisticRegression(),
        challengers=(Challenger("slow", model=linear_model.LogisticRegression(l2=0.01)),),
        join=Join(wait=us(20_000), absent=False, lateness=us(10_000)),
        publish=every(3, us(8_000)) if timed else None,
        versions=Versions(every=5, deltas=deltas, whole_every=ROUND),
    )


def stream(many: int) -> list[Event | Label]:
    """Events a millisecond apart, each with its truth two later."""
    given: list[Event | Label] = []
    for number in range(many):
        given.append(Payment(id=f"p-{number}", card="c-1", at=number * 1000, amount=float(number), shop="north"))
        if number >= 2:
            given.append(Chargeback(id=f"p-{number - 2}", at=number * 1000, fraud=number % 3 == 0))
    return given


def bases(hosted: Hosted, line: str = "wide") -> list[int | None]:
    told = map(wire.peek_version, hosted.written.of("versions"))
    return [one.base for one in told if one.model == line]


def own(hosted: Hosted) -> list[bytes]:
    """The versions of the pipeline's own line, as they were told."""
    return [raw for raw in hosted.written.of("versions") if wire.peek_version(raw).model == "wide"]


def meanings(hosted: Hosted) -> list[Any]:
    """What was published, and what was answered by it."""
    return [[one for one, _ in hosted.written.versions], hosted.written.predictions]


@pytest.mark.parametrize("timed", [False, True])
def test_answers_and_versions_are_the_same_with_deltas_and_without(timed: bool) -> None:
    parted, whole = (run_hosted(wide(deltas=deltas, timed=timed), stream(30), every=3) for deltas in (True, False))
    assert parted.pipeline.digest == whole.pipeline.digest
    for line in ("wide", "wide.slow"):
        assert len([base for base in bases(parted, line) if base is not None]) >= 6
        assert set(bases(whole, line)) == {None}
    assert meanings(parted)[1] == meanings(whole)[1]
    assert [one.digest for one in meanings(parted)[0]] == [one.digest for one in meanings(whole)[0]]
    sizes = [sum(map(len, hosted.written.of("versions"))) for hosted in (parted, whole)]
    assert sizes[0] < 0.6 * sizes[1]


def test_the_first_version_is_worth_a_patch() -> None:
    hosted = run_hosted(wide(), stream(8), every=3)
    assert all(len(state) > WORTH for version, state in hosted.written.versions if version.position > 0)


@pytest.mark.parametrize("timed", [False, True])
@LAW
@given(st.sets(st.integers(2, 50), max_size=4), st.sets(st.integers(2, 50), max_size=12))
def test_a_crash_anywhere_changes_no_version_and_the_audit_is_sound(timed: bool, crashes: set[int], marks: set[int]) -> None:
    crashing, steady = Hosted(wide(timed=timed), 2), Hosted(wide(timed=timed), 2)
    for number, record in enumerate(stream(28)):
        for hosted in (crashing, steady):
            hosted.take(record)
            if number in marks:
                hosted.checkpoint()
        if number in crashes:
            crashing.crash()
    for hosted in (crashing, steady):
        hosted.checkpoint()
    assert meanings(crashing) == meanings(steady)
    done = examine(crashing.pipeline, crashing.recorded())
    assert (done.faults, done.sound) == ([], True)
    assert done.versions == len(crashing.written.versions)


def test_a_rescaled_scorer_answers_with_what_it_was_told_as_patches() -> None:
    rescaled, steady = Hosted(wide(), 1), Hosted(wide(), 1)
    for number, record in enumerate(stream(30)):
        for hosted in (rescaled, steady):
            hosted.take(record)
            if number % 3 == 0:
                hosted.checkpoint()
        if number % 3 == 0:
            rescaled.rescale(1 + number % 2)
            steady.checkpoint()
    assert rescaled.written.predictions == steady.written.predictions


def answering(host: ServeHost) -> tuple[str, str]:
    """Who answers now, and the digest of the model that does."""
    host.settle()
    voice = host.voices.now()
    return f"{voice.name}@{voice.position}", voice.model.digest()


@pytest.mark.parametrize("begins", range(12))
def test_a_scorer_that_begins_in_the_middle_answers_as_published_or_not_at_all(begins: int) -> None:
    hosted = run_hosted(wide(), stream(30), every=3)
    digests = {version.name: version.digest for version, _ in hosted.written.versions} | {"wide@0": answering(fresh())[1]}
    host, last, heard = fresh(), "wide@0", []
    for raw in own(hosted)[begins:]:
        host.told(VERSION, raw)
        who, digest = answering(host)
        assert digests[who] == digest
        told = wire.peek_version(raw)
        heard.append(told)
        if any(one.whole for one in heard):
            assert who == f"wide@{told.position}", "from the first whole version on nothing is missed"
        else:
            assert who == last
        last = who


def fresh() -> ServeHost:
    return ServeHost(wide(), Saved({}, []))


def test_versions_in_any_order_come_to_the_newest() -> None:
    told = own(run_hosted(wide(), stream(16), every=3))
    newest = max(wire.peek_version(raw).position for raw in told)
    for order in (told, told[::-1], told[1:] + told[:1], told[3:] + told[:3]):
        host = fresh()
        for raw in order:
            host.told(VERSION, raw)
        assert answering(host)[0] == f"wide@{newest}"


def test_a_rollback_to_a_version_that_was_told_as_a_patch_brings_it_whole() -> None:
    hosted = run_hosted(wide(), stream(30), every=3)
    name = next(
        one.name for (one, _), base in zip(hosted.written.versions, told_bases(hosted), strict=True) if base is not None
    )
    hosted.take(Command(to=name, author="a test", reason="back"))
    hosted.checkpoint()
    hosted.take(Payment(id="after", card="c-1", at=31_000, amount=3.0, shop="north"))
    assert [letter.detail for letter in hosted.written.dead] == []
    assert any(wire.peek_version(raw).whole for raw in hosted.written.of("versions") if name_of(raw) == name)
    assert hosted.written.predictions[-1].version == name
    hosted.checkpoint()
    done = examine(hosted.pipeline, hosted.recorded())
    assert (done.faults, done.sound) == ([], True)


def told_bases(hosted: Hosted) -> list[int | None]:
    return [wire.peek_version(raw).base for raw in hosted.written.of("versions")]


def test_a_command_that_brings_a_patch_is_refused_in_words() -> None:
    patch = next(raw for raw in own(run_hosted(wide(), stream(30), every=3)) if not wire.peek_version(raw).whole)
    request = msgspec.json.encode(Request.of(Command(to="wide@3", author="a test"), patch))
    given = LearnHost(wide(), Saved({}, []), By()).step(pack([(COMMAND, 0, "", "", NEVER, request, "", None)]), 0)
    ((kind, *_, body, _),) = msgspec.msgpack.decode(given)[0]
    assert kind == DEAD
    assert "as what changed since another version; bring it whole" in wire.decode_dead(body).detail


def test_the_audit_says_which_version_a_lost_base_leaves_unread() -> None:
    hosted = run_hosted(wide(), stream(30), every=3)
    run = hosted.recorded()
    base = next(told.base for told in map(wire.peek_version, own(hosted)) if told.base)
    run["versions"] = [message for message in run["versions"] if name_of(message.value) != f"wide@{base}"]
    done = examine(hosted.pipeline, run)
    assert not done.sound
    assert any(f"as what changed since wide@{base}, which is not there" in fault for fault in done.faults), done.faults
