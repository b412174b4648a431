"""A receiver of webhooks on 127.0.0.1 that does what a test wants of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec


class Post(NamedTuple):
    """One request, and what was answered."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def event(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Receiver:
    """What came, in order. `answers` gives the status for the number of a request, from 0."""

    url: str = ""
    answers: Callable[[int], int] = lambda number: 204
    headers: dict[str, str] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)

    def taken(self) -> list[Post]:
        return [post for post in self.posts if post.status < 300]

    def ids(self) -> list[str]:
        return [post.event["id"] for post in self.taken()]


@contextmanager
def receiving(answers: Callable[[int], int] = lambda number: 204, *, port: int = 0) -> Iterator[Receiver]:
    """A receiver until the end of the block."""
    receiver = Receiver(answers=answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.answers(len(receiver.posts))
            receiver.posts.append(Post(self.path, dict(self.headers), body, status))
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?token=s3cret"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
