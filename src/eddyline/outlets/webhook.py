"""Webhooks: alerts and decisions as CloudEvents 1.0, posted one by one to a URL.

At least once, in the order of the journal: the id is the same whenever an event is posted, so a receiver that keeps ids
finds each once. A receiver that is down is waited for, with growing pauses; one that refuses an event for what it is loses
that event after some tries, and it is counted. With a secret, posts are signed as Standard Webhooks (HMAC-SHA256 of id,
time and body). Redirects are not followed: they would take the secret's signature elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.outlets.beside import Beside, Noted, NotTaken, noted
from eddyline.records import Alert
from eddyline.records.errors import DeclarationError
from eddyline.store.database import Store

SECRET = "EDDYLINE_WEBHOOK_SECRET"
TIMEOUT_S = 10.0
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
UNFIT = frozenset((400, 413, 415, 422))
"""Answers that are about the event and not about the moment."""
TRIES = 5
"""How often an event is posted to a receiver that finds it unfit."""


class Webhook:
    """Posts what happened to one URL. Use `delivering`, which gives it a thread.

    `refused` counts the events that the receiver found unfit again and again; they stay in the ledger.
    """

    def __init__(self, url: str, pipeline: str, store: str, secret: bytes | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DeclarationError(f"webhook: {url!r} is not a URL\nwrite --webhook https://HOST/PATH")
        self.url = url
        self.host = parts.hostname
        self.pipeline = pipeline
        self.store = store
        self.secret = secret
        self.refused = 0
        self._unfit = ("", 0)
        self._open = urllib.request.build_opener(_NoRedirect).open

    @property
    def called(self) -> str:
        """Who is told: the host, for a path may hold a secret."""
        return f"the webhook at {self.host}"

    def tell(self, store: Store, after: int, until: int) -> Iterator[tuple[int, int]]:
        """Posts the alerts and decisions of some blocks."""
        for block, found in noted(store, self.store, after, until):
            for one in found:
                self._post(one)
            yield block, len(found)

    def _post(self, one: Noted) -> None:
        body = cloud_event(one, self.pipeline)
        headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "eddyline", **self._signed(one.id, body)}
        request = urllib.request.Request(self.url, body, headers, method="POST")
        try:
            with self._open(request, timeout=TIMEOUT_S) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in UNFIT or not self._give_up(one.id):
                    wait_s = error.headers.get("Retry-After", "")
                    why = f"{self.called} answered {error.code}"
                    raise NotTaken(why, float(wait_s) if wait_s.isdigit() else 0.0) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise NotTaken(f"{self.called} did not answer within {TIMEOUT_S:.0f} s") from error
            raise NotTaken(f"{self.called} cannot be reached ({reason})") from error

    def _give_up(self, name: str) -> bool:
        """Whether an event was found unfit often enough; then it is counted and left behind."""
        known, tries = self._unfit
        self._unfit = (name, tries + 1 if known == name else 1)
        if self._unfit[1] < TRIES:
            return False
        self.refused += 1
        return True

    def _signed(self, name: str, body: bytes) -> dict[str, str]:
        if self.secret is None:
            return {}
        now = str(int(time.time()))
        digest = hmac.new(self.secret, b".".join((name.encode(), now.encode(), body)), hashlib.sha256).digest()
        signature = base64.b64encode(digest).decode()
        return {"webhook-id": name, "webhook-timestamp": now, "webhook-signature": f"v1,{signature}"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other that is not 2xx."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@contextmanager
def delivering(engine: Engine, url: str, *, secret_variable: str = SECRET) -> Iterator[Beside]:
    """Posts an engine's alerts and decisions to `url` from here on, beside it, until the end of the block.

    A new URL begins with what happens next; one that was posted to before goes on where it was. `secret_variable` is the
    environment variable that may hold a secret: text, or `whsec_` and base64. Needs `pip install "eddyline[webhooks]"`.
    """
    try:
        import cloudevents.core  # noqa: F401
    except ImportError as error:
        raise DeclarationError('webhooks need the package cloudevents\ntype: pip install "eddyline[webhooks]"') from error
    secret = os.environ.get(secret_variable)
    hook = Webhook(url, engine.pipeline.name, engine.store_id(), key_of(secret, secret_variable) if secret else None)
    with Beside(engine, hook, f"webhook-{hashlib.sha256(url.encode()).hexdigest()[:12]}") as beside:
        yield beside


def key_of(secret: str, variable: str = SECRET) -> bytes:
    """The bytes that sign: those behind `whsec_` in base64, else the text itself.

    >>> key_of("whsec_c2VjcmV0"), key_of("open sesame")
    (b'secret', b'open sesame')
    """
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise DeclarationError(f"webhook: what is behind whsec_ in {variable} is not base64\nset it again") from error


def cloud_event(one: Noted, pipeline: str) -> bytes:
    """An alert or a decision as a CloudEvent in structured JSON. The same record gives the same bytes.

    >>> alert = Alert("error_drift", "error", 7_000_000, 42, 0.1, 0.4, "the mean error went from 0.1 to 0.4")
    >>> event = msgspec.json.decode(cloud_event(Noted("b1946ac9/3/0", 3, 0.0, alert), "fraud"))
    >>> event["type"], event["source"], event["subject"], event["data"]["after"]
    ('eddyline.alert.v1', '/eddyline/fraud', 'error', 0.4)
    """
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    word = "alert" if isinstance(one.record, Alert) else "decision"
    plain = msgspec.json.decode(msgspec.json.encode(one.record))
    attributes: dict[str, Any] = {
        "id": one.id,
        "source": f"/eddyline/{pipeline}",
        "type": f"eddyline.{word}.v1",
        "time": datetime.fromtimestamp(one.committed_at, UTC),
        "datacontenttype": "application/json",
    }
    if one.record.subject:  # a decision about all, such as to freeze learning, names nobody; CloudEvents knows no empty subject
        attributes["subject"] = one.record.subject
    event = CloudEvent(attributes, {"pipeline": pipeline, "block": one.block, **plain})
    return JSONFormat().write(event)
