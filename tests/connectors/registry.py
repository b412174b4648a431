"""A schema registry on 127.0.0.1 that speaks the part of the protocol that the registry's own serializers use."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Registry(BaseHTTPRequestHandler):
    """Keeps schemas by number, as the real one does."""

    schemas: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body not in self.schemas:
            self.schemas.append(body)
        number = self.schemas.index(body) + 1
        self._say(200, {"id": number, "version": 1, "subject": self.path.split("/")[2], **body})

    def do_GET(self) -> None:
        number = self.path.split("?")[0].rsplit("/", 1)[-1]
        if "/schemas/ids/" in self.path and 0 < int(number) <= len(self.schemas):
            self._say(200, self.schemas[int(number) - 1])
        else:
            self._say(404, {"error_code": 40403, "message": "Schema not found"})

    def _say(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@contextmanager
def serving(port: int = 0, schemas: list[dict[str, Any]] | None = None) -> Iterator[str]:
    """The URL of a registry with these schemas; it keeps new ones in the list. Port 0 takes a free one."""
    kept = [] if schemas is None else schemas
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Fresh", (Registry,), {"schemas": kept}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
