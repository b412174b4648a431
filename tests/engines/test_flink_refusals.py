"""What nobody expects in a topic or a folder, and what the hosts and commands of Flink make of it: said, and never guessed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from hashlib import shake_128
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from river import linear_model
from tests.shops import KeyedVisit, Sale

from eddyline import Join, Pipeline, hours, kafka, memory
from eddyline.connectors.kafka import Connection, wire
from eddyline.connectors.kafka.deltas import Chain, links
from eddyline.engines.flink import job, shipping
from eddyline.engines.flink.batch import DEAD, EXAMPLE, NEVER, PREDICTION, ROLLOUT, VERSION, Given, Saved
from eddyline.engines.flink.declared import By
from eddyline.engines.flink.hosts import host_of
from eddyline.engines.flink.job import Settings
from eddyline.engines.flink.join import JoinedWire
from eddyline.engines.flink.learn import LearnHost
from eddyline.engines.flink.reading import Door
from eddyline.engines.flink.rest import FlinkError, Rest, _innermost
from eddyline.engines.flink.retained import Note, Retained
from eddyline.pipeline.loading import Loaded, load
from eddyline.records import ModelVersion
from eddyline.records.errors import DeclarationError, Rejected, SourceError, StoreMismatch
from eddyline.testing.hosted import Hosted

shop = Pipeline(
    name="shop",
    events=memory([], KeyedVisit),
    labels=memory([], Sale),
    model=linear_model.LogisticRegression(),
    join=Join(wait=hours(1)),
)


def visit(number: int) -> KeyedVisit:
    return KeyedVisit(id=f"v-{number}", who=f"w-{number % 5}", at=number, pages=float(number % 3))


def sale(number: int) -> Sale:
    return Sale(id=f"v-{number}", at=number + 1, bought=number % 2 == 0)


# Topics ------------------------------------------------------------------------------------------------------------------


def test_what_is_neither_a_version_nor_a_rollout_is_a_dead_letter_and_answers_go_on() -> None:
    hosted = Hosted(shop, parallelism=3)
    hosted.take(*(visit(number) for number in range(10)), *(sale(number) for number in range(10)))
    hosted.checkpoint()
    for kind, body in ((VERSION, b"oops"), (VERSION, b""), (ROLLOUT, b'{"revision":"one"}'), (ROLLOUT, b"")):
        hosted.serve.tell(kind, body)
    hosted.take(visit(10))
    hosted.checkpoint()
    hosted.crash()
    hosted.take(visit(11))
    assert [one.version for one in hosted.written.predictions][-2:] == ["shop@10", "shop@10"]
    refused = [(one.stream, one.reason, one.raw) for one in hosted.written.dead]
    assert refused == [
        ("versions", "malformed", b"oops"),
        ("versions", "malformed", b""),
        ("rollouts", "malformed", b'{"revision":"one"}'),
        ("rollouts", "malformed", b""),
    ]
    assert "tombstone" in hosted.written.dead[1].detail


def test_what_is_no_answer_in_the_topic_of_answers_is_a_dead_letter_and_watch_passes_over_it() -> None:
    batch = msgspec.msgpack.encode([(PREDICTION, 0, "", "", NEVER, b"oops", "", None)])
    given = msgspec.msgpack.decode(host_of("join", shop, Saved({}, [])).step(batch, 0))[0]
    assert [one[0] for one in given] == [DEAD]
    letter = wire.decode_dead(given[0][4])
    assert (letter.stream, letter.reason, letter.raw) == ("predictions", "malformed", b"oops")
    assert msgspec.msgpack.decode(host_of("watch", shop, Saved({}, [])).step(batch, 0))[0] == []


def test_a_json_message_that_is_too_long_is_refused_on_flink_as_in_one_process() -> None:
    short = shop.replace(events=kafka("visits", KeyedVisit, max_message=100))
    body = msgspec.json.encode({"id": "v-1", "who": "w" * 100, "at": 1, "pages": 1})
    door = Door(short, "events")
    with pytest.raises(Rejected, match="longer than 100 bytes") as caught:
        door.decode(body)
    letter = door.letter(caught.value, body)
    assert (letter.reason, letter.raw, letter.size) == ("too_large", body, len(body))
    assert Door(shop, "events").decode(body).id == "v-1"
    with pytest.raises(Rejected, match="tombstone"):
        door.decode(b"")


# Versions that no message holds ------------------------------------------------------------------------------------------


def version(position: int) -> ModelVersion:
    return ModelVersion("shop", position, "d", "r", None, "f")


def test_a_version_too_large_for_a_message_is_told_without_its_state_and_the_next_that_fits_is_whole() -> None:
    noise, larger = shake_128(b"one").digest(40_000), shake_128(b"two").digest(90_000)
    chain = Chain(whole_every=20, limit=60_000)
    first, large, again = (chain.told(version(n), state) for n, state in enumerate([noise, larger, noise]))
    assert [wire.peek_version(raw).whole for raw in (first, large, again)] == [True, False, True]
    assert len(large) < 2_000
    with pytest.raises(SourceError, match="told without its state"):
        links(large, lambda line, position: [])
    assert wire.decode_version(again)[1] == noise


def test_the_learner_says_which_version_was_too_large_and_learns_on() -> None:
    hosted = Hosted(shop)
    hosted.take(visit(1))
    body = hosted.written.of("predictions")[0]
    learner = LearnHost(shop, Saved({}, []), By())
    learner.chains["shop"] = Chain(20, limit=10)
    joined = msgspec.msgpack.encode(JoinedWire(body, True, "label", 2_000_000, 0))
    learner.step(msgspec.msgpack.encode([(EXAMPLE, 0, "", "v-1", 2_000_000, joined, "", None)]), 0)
    given = msgspec.msgpack.decode(learner.before_checkpoint(), type=list[Given])
    assert [one[0] for one in given] == [VERSION, DEAD]
    letter = wire.decode_dead(given[1][4])
    assert (letter.stream, letter.reason) == ("versions", "too_large")
    assert letter.detail.startswith("shop@1: with its state it takes")


def test_scorers_stay_with_the_version_before_one_that_nobody_can_read() -> None:
    hosted = Hosted(shop, parallelism=2)
    hosted.take(*(visit(number) for number in range(10)), *(sale(number) for number in range(10)))
    hosted.checkpoint()
    state = linear_model.LogisticRegression()
    left_out = Chain(20, limit=10).told(version(20), repr(state).encode() * 100)
    hosted.serve.tell(VERSION, left_out)
    hosted.take(visit(10))
    hosted.checkpoint()
    hosted.crash()
    hosted.take(visit(11))
    assert [one.version for one in hosted.written.predictions][-2:] == ["shop@10", "shop@10"]


# State -------------------------------------------------------------------------------------------------------------------


def kept(folder: Path, job_id: str, number: int, when: int) -> Path:
    """A retained checkpoint of a job, as old as is said."""
    checkpoint = folder / job_id / f"chk-{number}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "_metadata").touch()
    os.utime(checkpoint / "_metadata", ns=(when, when))
    return checkpoint


def noted(retained: Retained, folder: Path, note: Note, when: int) -> None:
    """A note of a job, as old as is said."""
    retained.write(note)
    os.utime(folder / f"{note.job}.json", ns=(when, when))


def test_the_newest_state_is_not_taken_where_a_later_job_read_on_and_left_none(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    retained = Retained(folder.as_uri())
    noted(retained, folder, Note("a", {}, read={"shop.events": 0}), 10)
    checkpoint = kept(folder, "a", 7, 20)
    assert retained.latest({"shop.events": 500})[0] == checkpoint.as_uri()
    noted(retained, folder, Note("b", {}, read={"shop.events": 500}), 30)
    assert retained.latest({"shop.events": 500})[0] == checkpoint.as_uri()
    with pytest.raises(StoreMismatch, match="job b went on after it and left none here") as caught:
        retained.latest({"shop.events": 501})
    assert "--savepoint PATH" in str(caught.value)
    own = kept(folder, "b", 9, 40)
    assert retained.latest({"shop.events": 900})[0] == own.as_uri()
    retained.forget("b")
    assert retained.note("b") is None


# Settings ----------------------------------------------------------------------------------------------------------------


def document(settings: Settings) -> dict[str, object]:
    loaded = Loaded(shop, Path(__file__), Path("shop.eddyline"))
    return job.specification(loaded, Connection("kafka:9092"), settings, Path("python"), "file:///cp/shop")


def test_an_upgrade_keeps_every_setting_that_nothing_else_is_said_of() -> None:
    settings = Settings(
        parallelism=3,
        checkpoint_ms=7_000,
        parts=("serve",),
        batch=50,
        batch_ms=9,
        idle_ms=77,
        drift_ms=88,
        transaction_timeout_ms=3_600_000,
        flink={"execution.checkpointing.unaligned.enabled": "true", "restart-strategy.type": "fixed-delay"},
    )
    assert job.running_settings(document(settings)) == settings
    assert job.running_settings(document(Settings())) == Settings()


def test_what_was_accepted_for_one_start_is_not_accepted_for_the_next() -> None:
    told = document(Settings(skip_deleted=True))
    assert told["skip_deleted"] is True
    assert (
        job.again(msgspec.convert(told["about"], dict[str, str]), Connection("kafka:9092"), Path("python"))["skip_deleted"]
        is False
    )
    assert job.running_settings(told).skip_deleted is False


def test_a_position_that_its_topic_no_longer_holds_is_said_with_what_to_type() -> None:
    fetched = (
        "java.lang.RuntimeException: One or more fetchers have encountered exception\n\tat org.apache.flink.X\n"
        "Caused by: org.apache.kafka.clients.consumer.OffsetOutOfRangeException: Fetch position FetchPosition{offset=20, "
        "offsetEpoch=Optional.empty, currentLeader=LeaderAndEpoch{leader=Optional[127.0.0.1:1 (id: 1 rack: null)], epoch=0}} "
        "is out of range for partition shop.events-3\n\tat org.apache.kafka.X\n"
    )
    polled = (
        "Caused by: org.apache.kafka.clients.consumer.OffsetOutOfRangeException: Offsets out of range with no configured reset "
        "policy for partitions: {shop.events-3=20}\n\tat org.apache.kafka.X\n"
    )
    for trace in (fetched, polled):
        said = _innermost(trace)
        assert said.startswith("shop.events-3 has to be read from 20 on, and does not hold that any more")
        assert said.endswith("--savepoint latest --skip-deleted")


# A Flink that asks who it is ---------------------------------------------------------------------------------------------


class Guarded(BaseHTTPRequestHandler):
    """Lets ann in, who knows the password, and nobody else."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == "Basic " + b64encode(b"ann:hunter 2").decode()
        body = b'{"slots-total": 3, "slots-available": 1}' if known else b"<html>who is there?</html>"
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Says nothing."""


@pytest.fixture
def guarded() -> Iterator[str]:
    """The address of a Flink behind a proxy that asks for a password, without the scheme."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(30)


def test_a_flink_behind_a_password_is_asked_with_the_one_in_its_address(guarded: str) -> None:
    assert Rest(f"http://ann:hunter%202@{guarded}").slots() == (3, 1)


def test_who_is_not_let_in_is_told_so_and_no_error_shows_a_password(guarded: str) -> None:
    with pytest.raises(FlinkError, match="does not let us in") as refused:
        Rest(f"http://ann:hunter3@{guarded}").slots()
    with pytest.raises(FlinkError, match="no Flink answers") as away:
        Rest("http://ann:hunter3@127.0.0.1:1").slots()
    shown = f"{refused.value} {away.value} {Rest('http://ann:hunter3@flink:8081')!r}"
    assert guarded in shown
    assert "hunter" not in shown


# Workers -----------------------------------------------------------------------------------------------------------------

ABROAD = """
from river import linear_model
from eddyline import EpochSeconds, Event, Id, Label, Pipeline, Truth, memory

class Café(Event):
    id: Id
    at: EpochSeconds
    größe: float

class Urteil(Label):
    id: Id
    at: EpochSeconds
    gut: Truth[bool]

cafés = Pipeline(name="cafes", events=memory([], Café), labels=memory([], Urteil), model=linear_model.LogisticRegression())
"""
UNPACK = "import sys; from eddyline.engines.flink.shipping import unpacked; print(ascii(unpacked(sys.stdin.buffer.read())))"


@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1"])
def test_a_worker_of_another_locale_reads_the_same_pipeline(tmp_path: Path, locale: str) -> None:
    file = tmp_path / "cafes.py"
    file.write_text(ABROAD, "utf-8")
    parcel = shipping.packed(load(str(file)))
    abroad = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", UNPACK], input=parcel, capture_output=True, env=os.environ | abroad, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"gr\\xf6" in done.stdout or b"Caf\\xe9" in done.stdout


def test_a_file_that_is_not_utf_8_is_refused_in_words_before_it_travels(tmp_path: Path) -> None:
    file = tmp_path / "cafes.py"
    file.write_text("# coding: latin-1\n" + ABROAD, "latin-1")
    with pytest.raises(DeclarationError, match=r"cafes\.py is not UTF-8"):
        shipping.packed(load(str(file)))
