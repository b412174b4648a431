"""Webhooks against a real receiver that fails at times."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat
from tests.outlets.prometheus import free_port, until
from tests.outlets.receiver import receiving
from tests.outlets.shop import WATCHED, opened, trade, visit

from eddyline import Engine
from eddyline.outlets import beside
from eddyline.outlets.webhook import CONTENT_TYPE, delivering
from eddyline.records.errors import DeclarationError, StoreMismatch
from eddyline.stages.commands import Command


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and no secret from outside."""
    monkeypatch.setattr(beside, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(beside, "LOOK_S", 0.02)
    monkeypatch.delenv("EDDYLINE_WEBHOOK_SECRET", raising=False)


def shout(engine: Engine, *numbers: int) -> None:
    """Visits that each raise one alert."""
    for number in numbers:
        engine.answer(visit(number, 5_000.0))


def test_an_alert_arrives_as_a_cloud_event_that_the_library_reads(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, receiving() as receiver:
        with delivering(engine, receiver.url):
            shout(engine, 1)
            until("it arrives", lambda: bool(receiver.posts))
        (post,) = receiver.posts
        assert post.headers["Content-Type"] == CONTENT_TYPE
        assert post.path == "/hook?token=s3cret"
        event = JSONFormat().read(None, post.body)
        assert (event.get_specversion(), event.get_type(), event.get_source()) == ("1.0", "eddyline.alert.v1", "/eddyline/shop")
        assert event.get_id() == f"{engine.store.get('id')}/1/0"
        assert post.event["data"]["reason"] == "v-1 has very many pages"
        assert "webhook-signature" not in post.headers


def test_a_decision_arrives_with_its_evidence_after_the_alert_that_it_is_about(tmp_path: Path) -> None:
    with opened(tmp_path, WATCHED) as engine, receiving() as receiver:
        with delivering(engine, receiver.url):
            shout(engine, 1)
            trade(engine, range(2, 8))
            until("both arrive", lambda: len(receiver.posts) == 2)
        (written,) = [one for block in engine.store.blocks() for one in block.notes.decisions]
        alert, decision = (JSONFormat().read(None, post.body) for post in receiver.posts)
        assert alert.get_type() == "eddyline.alert.v1"
        assert (decision.get_type(), decision.get_subject()) == ("eddyline.decision.v1", "pages")
        data = receiver.posts[1].event["data"]
        assert (data["action"], data["status"], data["policy"]) == ("alert", "done", "notify")
        assert data["evidence"] == written.evidence
        assert data["evidence"]


def test_a_decision_that_names_nobody_arrives_and_what_comes_after_it_too(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, receiving() as receiver:
        with delivering(engine, receiver.url):
            engine.command(Command(do="freeze", author="ana", reason="labels look wrong"))
            shout(engine, 1)
            until("both arrive", lambda: len(receiver.posts) == 2)
        frozen, alert = (JSONFormat().read(None, post.body) for post in receiver.posts)
        assert (frozen.get_type(), frozen.get_subject()) == ("eddyline.decision.v1", None)
        assert receiver.posts[0].event["data"]["action"] == "freeze"
        assert alert.get_subject() == "pages"


def test_a_receiver_that_fails_at_times_gets_every_event_in_order(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, receiving(lambda number: 503 if number % 3 else 200) as receiver:
        with delivering(engine, receiver.url):
            shout(engine, *range(12))
            until("all arrive", lambda: len(receiver.taken()) >= 12)
        name = engine.store.get("id")
        assert receiver.ids() == [f"{name}/{block}/0" for block in range(1, 13)]
        assert len(receiver.posts) > 20


def test_a_restart_goes_on_where_it_was_and_loses_nothing(tmp_path: Path) -> None:
    port = free_port()
    with receiving(port=port) as receiver:
        url = receiver.url
        with opened(tmp_path) as engine, delivering(engine, url):
            shout(engine, 1, 2)
            until("two arrive", lambda: len(receiver.posts) == 2)
    with opened(tmp_path) as engine:
        shout(engine, 3)
        with delivering(engine, url) as gone:
            shout(engine, 4)
            until("it is seen that nobody listens", lambda: gone.told.trouble is not None)
            assert "127.0.0.1 cannot be reached" in str(gone.told.trouble)
            assert "s3cret" not in str(gone.told.trouble)
            gone._closing_at = time.monotonic() - beside.CLOSE_S
    with receiving(port=port) as again, opened(tmp_path) as engine, delivering(engine, url):
        shout(engine, 5)
        until("the rest arrives", lambda: len(again.posts) == 3)
        told = [post.event["data"]["reason"].split()[0] for post in again.posts]
        assert told == ["v-3", "v-4", "v-5"]


def test_a_process_that_is_killed_in_the_middle_of_a_backlog_loses_nothing_and_doubles_few(tmp_path: Path) -> None:
    def slowly(number: int) -> int:
        time.sleep(0.02)
        return 503 if number % 7 == 3 else 200

    with receiving(slowly) as receiver:
        with opened(tmp_path) as engine, delivering(engine, receiver.url):
            assert engine.store.seq == 0
        with opened(tmp_path) as engine:
            shout(engine, *range(1, 150))
        for life in (1, 2, 3):
            command = [sys.executable, "-m", "tests.outlets.shouting", str(tmp_path), receiver.url]
            process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
            until(f"life {life} has told a few", lambda want=40 * life: len(receiver.posts) > want)  # type: ignore[misc]
            process.kill()
            process.wait()
        with opened(tmp_path) as engine, delivering(engine, receiver.url):
            name, last = engine.store.get("id"), engine.store.seq
            until("the rest is told", lambda: f"{name}/{last}/0" in receiver.ids())
    ids = receiver.ids()
    assert list(dict.fromkeys(ids)) == [f"{name}/{block}/0" for block in range(1, last + 1)]
    assert len(ids) - last <= 3


def test_the_past_is_not_told_to_somebody_new(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, receiving() as receiver:
        shout(engine, 1, 2, 3)
        with delivering(engine, receiver.url):
            shout(engine, 4)
            until("one arrives", lambda: bool(receiver.posts))
        assert [post.event["data"]["at"] for post in receiver.posts] == [40_000_000]


def test_an_event_that_is_found_unfit_again_and_again_is_counted_and_does_not_block_the_rest(tmp_path: Path) -> None:
    with opened(tmp_path) as engine, receiving(lambda number: 422 if number < 5 else 200) as receiver:
        with delivering(engine, receiver.url) as delivery:
            shout(engine, 1, 2)
            until("the second arrives", lambda: bool(receiver.taken()))
            assert delivery.teller.refused == 1  # type: ignore[attr-defined]
        assert [post.event["data"]["at"] for post in receiver.taken()] == [20_000_000]


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_not_followed(tmp_path: Path, status: int) -> None:
    with opened(tmp_path) as engine, receiving() as elsewhere, receiving(lambda _: status) as receiver:
        receiver.headers["Location"] = elsewhere.url
        with delivering(engine, receiver.url) as delivery:
            shout(engine, 1)
            until("it is tried again", lambda: len(receiver.posts) > 2)
            assert delivery.told.trouble == f"the webhook at 127.0.0.1 answered {status}"
            delivery._closing_at = time.monotonic() - beside.CLOSE_S
        assert elsewhere.posts == []


def test_posts_are_signed_with_the_secret_as_standard_webhooks_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDDYLINE_WEBHOOK_SECRET", f"whsec_{base64.b64encode(b'open sesame').decode()}")
    with opened(tmp_path) as engine, receiving() as receiver:
        with delivering(engine, receiver.url):
            shout(engine, 1)
            until("it arrives", lambda: bool(receiver.posts))
        (post,) = receiver.posts
        headers = {name.lower(): value for name, value in post.headers.items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + post.body
        digest = hmac.new(b"open sesame", signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert headers["webhook-id"] == post.event["id"]
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


def test_a_receiver_that_hangs_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    def slowly(_: int) -> int:
        time.sleep(1.5)
        return 200

    with opened(tmp_path) as engine, receiving(slowly) as receiver, delivering(engine, receiver.url):
        shout(engine, 1)
        until("it is being told", lambda: engine.store.seq == 1)
        started = time.perf_counter()
        for number in range(2, 52):
            engine.answer(visit(number))
        assert time.perf_counter() - started < 1.0
        assert not receiver.taken()


def test_a_stop_does_not_wait_for_a_receiver_that_hangs_and_the_next_run_tells_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def hanging(number: int) -> int:
        if number == 0:
            asked.set()
            let_go.wait()
        return 200

    monkeypatch.setattr(beside, "CLOSE_S", 0.2)
    with receiving(hanging) as receiver:
        with opened(tmp_path) as engine:
            name = engine.store_id()
            with delivering(engine, receiver.url) as delivery:
                shout(engine, 1, 2)
                assert asked.wait(30)
            assert delivery.given_up
            assert delivery.told.trouble == "the webhook at 127.0.0.1 had not taken everything 0 s after the stop"
            assert not receiver.posts
        let_go.set()
        until("its answer comes, too late", lambda: len(receiver.posts) == 1)
        delivery._thread.join()
        with opened(tmp_path) as engine, delivering(engine, receiver.url):
            until("both are told", lambda: len(receiver.posts) == 3)
        assert receiver.ids() == [f"{name}/{place}/0" for place in (1, 1, 2)]


def test_the_mark_of_another_store_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    url = "http://127.0.0.1:9/hook"
    for folder in (tmp_path, tmp_path / "other"):
        with opened(folder) as engine, delivering(engine, url):
            pass
    (mark,) = tmp_path.glob("shop.eddyline.webhook-*")
    mark.replace(tmp_path / "other" / mark.name)
    with (
        opened(tmp_path / "other") as engine,
        pytest.raises(StoreMismatch, match="remove that file to begin at the end"),
        delivering(engine, url),
    ):
        raise AssertionError("it was told")


@pytest.mark.parametrize("url", ["ftp://example.org/x", "example.org", "http://"])
def test_what_is_not_a_url_of_the_web_is_refused(tmp_path: Path, url: str) -> None:
    with opened(tmp_path) as engine, pytest.raises(DeclarationError, match="is not a URL"), delivering(engine, url):
        raise AssertionError("it was told")
