"""Flink's REST interface, as far as operating a job needs it. Knows nothing of pipelines.

Every failure is a `FlinkError` that says what was asked, what Flink answered, and what to type next.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eddyline.records.errors import EddylineError

_ASK_SECONDS = 30.0
ENDED = frozenset({"FINISHED", "FAILED", "CANCELED"})


class FlinkError(EddylineError):
    """Flink is not there, or refused."""

    exit_code = 6


@dataclass(frozen=True)
class Rest:
    """A session cluster by its address, such as `http://127.0.0.1:8081`."""

    url: str

    def get(self, path: str) -> Any:
        """What Flink says."""
        return self._ask("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """What Flink says to a request."""
        return self._ask("POST", path, None if body is None else msgspec.json.encode(body), "application/json")

    def upload(self, jar: Path) -> str:
        """Hands over a jar; gives the id that Flink knows it by."""
        edge = uuid.uuid4().hex
        head = (
            f'--{edge}\r\nContent-Disposition: form-data; name="jarfile"; filename="{jar.name}"\r\n'
            "Content-Type: application/x-java-archive\r\n\r\n"
        )
        body = head.encode() + jar.read_bytes() + f"\r\n--{edge}--\r\n".encode()
        found = self._ask("POST", "/jars/upload", body, f"multipart/form-data; boundary={edge}")
        return str(found["filename"]).rpartition("/")[2]

    def run(self, jar_id: str, main: str, arguments: list[str], savepoint: str | None = None) -> str:
        """Starts a job; gives its id."""
        body: dict[str, Any] = {"entryClass": main, "programArgsList": arguments}
        if savepoint is not None:
            body |= {"savepointPath": savepoint, "allowNonRestoredState": False}
        return str(self.post(f"/jars/{jar_id}/run", body)["jobid"])

    def state(self, job: str) -> str:
        """RUNNING, RESTARTING, FAILED, ..."""
        return str(self.get(f"/jobs/{job}")["state"])

    def wait_until_running(self, job: str, seconds: float = 120.0) -> None:
        """Until every task of the job runs. Raises `FlinkError` with the job's own error when it ends instead."""
        until = time.monotonic() + seconds
        while True:
            found = self.get(f"/jobs/{job}")
            if found["state"] == "RUNNING" and all(vertex["status"] == "RUNNING" for vertex in found["vertices"]):
                return
            if found["state"] in ENDED or time.monotonic() > until:
                raise FlinkError(f"job {job} does not run: it is {found['state']}\n{self.problem(job)}")
            time.sleep(0.2)

    def problem(self, job: str) -> str:
        """The last error of a job, in the words of its innermost cause."""
        history = self.get(f"/jobs/{job}/exceptions").get("exceptionHistory", {}).get("entries", [])
        if not history:
            return "it reported no error; see the logs of the JobManager"
        lines = [line for line in history[0]["stacktrace"].splitlines() if not line.startswith("\tat ")]
        causes = [line for line in lines if line.startswith("Caused by: ")]
        return "\n".join(causes[-1:] or lines[:3])

    def stop(self, job: str, *, drain: bool, seconds: float = 300.0) -> str:
        """Stops a job with a savepoint; gives where that is."""
        trigger = self.post(f"/jobs/{job}/stop", {"drain": drain})["request-id"]
        return self._savepoint(job, trigger, seconds)

    def savepoint(self, job: str, seconds: float = 300.0) -> str:
        """Takes a savepoint of a running job; gives where it is."""
        trigger = self.post(f"/jobs/{job}/savepoints", {"cancel-job": False})["request-id"]
        return self._savepoint(job, trigger, seconds)

    def cancel(self, job: str) -> None:
        """Ends a job without a savepoint. Its last checkpoint is retained."""
        self._ask("PATCH", f"/jobs/{job}?mode=cancel")

    def checkpoint(self, job: str) -> str | None:
        """Where the last complete checkpoint of a job is, also after it ended."""
        latest = self.get(f"/jobs/{job}/checkpoints")["latest"]
        found = latest.get("completed") or latest.get("restored")
        return None if found is None else str(found["external_path"])

    def about(self, job: str) -> dict[str, str]:
        """What the job was told about itself when it was submitted."""
        config = self.get(f"/jobs/{job}/config")["execution-config"]["user-config"]
        return {name: value for name, value in config.items() if name.startswith("eddyline.")}

    def jobs(self) -> list[dict[str, Any]]:
        """Every job the cluster knows, the newest first."""
        found: list[dict[str, Any]] = self.get("/jobs/overview")["jobs"]
        return sorted(found, key=lambda job: -job["start-time"])

    def _savepoint(self, job: str, trigger: str, seconds: float) -> str:
        until = time.monotonic() + seconds
        while True:
            found = self.get(f"/jobs/{job}/savepoints/{trigger}")
            if found["status"]["id"] == "COMPLETED":
                operation = found["operation"]
                if "location" in operation:
                    return str(operation["location"])
                said = operation["failure-cause"].get("stack-trace", "").splitlines()
                causes = [line for line in said if line.startswith("Caused by: ")]
                raise FlinkError(f"job {job}: no savepoint was made\n" + "\n".join(causes[-1:] or said[:2]))
            if time.monotonic() > until:
                raise FlinkError(
                    f"job {job}: the savepoint was not complete after {seconds:.0f} s\nask again: eddyline flink status"
                )
            time.sleep(0.2)

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> Any:
        request = urllib.request.Request(self.url + path, data=body, method=method)
        if kind is not None:
            request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            raise FlinkError(f"Flink at {self.url} refused {method} {path}: {_first_cause(error.read())}") from error
        except OSError as error:
            raise FlinkError(f"no Flink answers at {self.url} ({error})\nstart one: eddyline cluster up") from error
        return msgspec.json.decode(said) if said else None


def _first_cause(said: bytes) -> str:
    """The line that tells most in an error of Flink's."""
    try:
        errors = "\n".join(map(str, msgspec.json.decode(said)["errors"]))
    except (msgspec.MsgspecError, KeyError, TypeError):
        return said.decode(errors="replace")[:500]
    causes = [line for line in errors.splitlines() if line.startswith("Caused by: ")]
    return "\n".join(causes[-1:] or errors.splitlines()[:2])
