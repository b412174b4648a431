"""Flink's REST interface, as far as operating a job needs it. Knows nothing of pipelines.

Every failure is a `FlinkError` that says what was asked, what Flink answered, and what to type next.
"""

from __future__ import annotations

import base64
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import msgspec

from eddyline.records.errors import EddylineError

DEFAULT = "http://127.0.0.1:8081"
ENDED = frozenset({"FINISHED", "FAILED", "CANCELED"})
_ASK_SECONDS = 30.0
_SHORT_SECONDS = 5.0
_POLL_SECONDS = 0.2
_FORMAT = "NATIVE"
"""A savepoint is RocksDB's files as they are. Flink's own format is read back row by row: hours, where many answers wait."""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows no 127.0.0.1 of ours
_USUAL = urllib.request.build_opener()


class FlinkError(EddylineError):
    """Flink is not there, refused, or a job does not run."""

    exit_code = 7


@dataclass(frozen=True, repr=False)
class Rest:
    """A cluster by its address: `http://127.0.0.1:8081`, or `https://USER:PASSWORD@HOST` where a proxy asks who it is.

    Errors and `repr` show the address without the password.
    """

    url: str = DEFAULT

    @property
    def place(self) -> str:
        """The address without who asks.

        >>> Rest("https://ann:hunter2@flink.example:8081")
        Rest(https://flink.example:8081)
        """
        parts = urllib.parse.urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")

    def __repr__(self) -> str:
        return f"Rest({self.place})"

    def get(self, path: str) -> Any:
        """What Flink says."""
        return self._ask("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """What Flink says to a request."""
        return self._ask("POST", path, None if body is None else msgspec.json.encode(body), "application/json")

    # Jobs ------------------------------------------------------------------------------------------------------------

    def start(self, jar: Path, main: str, arguments: list[str], savepoint: str | None = None, *, leaving: bool = False) -> str:
        """Starts a job from a jar, which the cluster forgets afterwards; gives the job's id. `leaving` as in `run`."""
        jar_id = self.upload(jar)
        try:
            return self.run(jar_id, main, arguments, savepoint, leaving=leaving)
        finally:
            self._ask("DELETE", f"/jars/{jar_id}")

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

    def run(self, jar_id: str, main: str, arguments: list[str], savepoint: str | None = None, *, leaving: bool = False) -> str:
        """Starts a job; gives its id. `leaving` lets it leave state behind that no operator of it has a name for."""
        body: dict[str, Any] = {"entryClass": main, "programArgsList": arguments}
        if savepoint is not None:
            body |= {"savepointPath": savepoint, "allowNonRestoredState": leaving}
        return str(self.post(f"/jars/{jar_id}/run", body)["jobid"])

    def jobs(self) -> list[dict[str, Any]]:
        """Every job the cluster knows, the newest first."""
        found: list[dict[str, Any]] = self.get("/jobs/overview")["jobs"]
        return sorted(found, key=lambda job: -job["start-time"])

    def state(self, job: str) -> str:
        """RUNNING, RESTARTING, FAILED, ..."""
        return str(self.get(f"/jobs/{job}")["state"])

    def about(self, job: str) -> dict[str, str]:
        """What the job was told about itself when it was submitted; nothing before it is initialized."""
        config = self.get(f"/jobs/{job}/config").get("execution-config") or {}
        return {name: value for name, value in config.get("user-config", {}).items() if name.startswith("eddyline.")}

    def wait_until_running(
        self,
        job: str,
        seconds: float = 120.0,
        before: tuple[int, int] | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Until every task of the job runs. Raises `FlinkError` with the job's own error when it does not come to that.

        `before` is what `slots` gave; `say` is told after some seconds when too few were free.
        """
        began, told = time.monotonic(), False
        while True:
            found = self.get(f"/jobs/{job}")
            if found["state"] == "RUNNING" and found["vertices"] and all(v["status"] == "RUNNING" for v in found["vertices"]):
                return
            waited, short = time.monotonic() - began, _shortage(found["vertices"], before)
            if found["state"] in ENDED or self._fails_alike(job):
                raise FlinkError(f"job {job} does not run\n{short or self.problem(job)}")
            if short and not told and waited > _SHORT_SECONDS:
                say(short)
                told = True
            if waited > seconds:
                why = short or self.problem(job)
                raise FlinkError(f"job {job} does not run after {seconds:.0f} s: it is {found['state']}\n{why}")
            time.sleep(_POLL_SECONDS)

    def problem(self, job: str) -> str:
        """The last error of a job, in the words of its innermost cause."""
        history = self._failures(job)
        return _innermost(history[0]) if history else "it reported no error; see the log of the JobManager"

    def cancel(self, job: str, seconds: float = 60.0) -> None:
        """Ends a job without a savepoint, and waits until it has ended. Its last checkpoint is retained."""
        self._ask("PATCH", f"/jobs/{job}?mode=cancel")
        until = time.monotonic() + seconds
        while self.state(job) not in ENDED:
            if time.monotonic() > until:
                raise FlinkError(f"job {job} has not ended after {seconds:.0f} s\nask again: eddyline flink status")
            time.sleep(_POLL_SECONDS)

    # State -----------------------------------------------------------------------------------------------------------

    def stop(self, job: str, *, drain: bool, folder: str | None = None, seconds: float = 300.0) -> str:
        """Stops a job with a savepoint, and waits until it has ended; gives where the savepoint is."""
        asked = {"drain": drain, "formatType": _FORMAT} | ({} if folder is None else {"targetDirectory": folder})
        until = time.monotonic() + seconds
        path = self._savepoint(job, self.post(f"/jobs/{job}/stop", asked)["request-id"], seconds)
        while self.state(job) not in ENDED and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        return path

    def savepoint(self, job: str, folder: str | None = None, seconds: float = 300.0) -> str:
        """Takes a savepoint of a running job; gives where it is."""
        asked = {"cancel-job": False, "formatType": _FORMAT} | ({} if folder is None else {"target-directory": folder})
        return self._savepoint(job, self.post(f"/jobs/{job}/savepoints", asked)["request-id"], seconds)

    def checkpoint(self, job: str) -> str | None:
        """Where the last complete checkpoint of a job is, also after it ended."""
        latest = self.get(f"/jobs/{job}/checkpoints")["latest"]
        found = latest.get("completed") or latest.get("restored")
        return None if found is None else str(found["external_path"])

    def completed(self, job: str) -> int:
        """How many checkpoints and savepoints a job has completed since it was started."""
        return int(self.get(f"/jobs/{job}/checkpoints")["counts"]["completed"])

    def settings(self) -> dict[str, str]:
        """The cluster's own settings."""
        return {one["key"]: one["value"] for one in self.get("/jobmanager/config")}

    def slots(self) -> tuple[int, int]:
        """How many slots there are, and how many are free."""
        seen = self.get("/overview")
        return int(seen["slots-total"]), int(seen["slots-available"])

    def _savepoint(self, job: str, trigger: str, seconds: float) -> str:
        until = time.monotonic() + seconds
        while True:
            found = self.get(f"/jobs/{job}/savepoints/{trigger}")
            if found["status"]["id"] == "COMPLETED":
                operation = found["operation"]
                if "location" in operation:
                    return str(operation["location"])
                said = _innermost(operation["failure-cause"].get("stack-trace", ""))
                raise FlinkError(f"job {job}: no savepoint was made, and it goes on\n{said}\nask again: eddyline flink status")
            if time.monotonic() > until:
                raise FlinkError(
                    f"job {job}: the savepoint was not complete after {seconds:.0f} s\nask again: eddyline flink status"
                )
            time.sleep(_POLL_SECONDS)

    def given_up(self, job: str, vertices: Iterable[Mapping[str, Any]]) -> int:
        """How many transactions the broker had ended before they could be committed, since the tasks of a job last started.

        Flink goes on without them, and says so in its log and by this counter only, which it looks at every ten seconds.
        """
        name, found = "topics__Committer.failedCommittables", 0.0
        for vertex in vertices:
            told = self.get(f"/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics?get={name}&agg=sum")
            found += sum(one["sum"] for one in told)
        return int(found)

    # Failures --------------------------------------------------------------------------------------------------------

    def _failures(self, job: str) -> list[str]:
        """The stack traces of a job's failures, the last one first."""
        said = self.get(f"/jobs/{job}/exceptions")
        return [one["stacktrace"] for one in (said.get("exceptionHistory") or {}).get("entries", [])]

    def _fails_alike(self, job: str) -> bool:
        """Whether the last two failures were the same: then the third one will be too."""
        history = self._failures(job)
        return len(history) > 1 and _alike(history[0]) == _alike(history[1])

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> Any:
        request, parts = urllib.request.Request(self.place + path, data=body, method=method), urllib.parse.urlsplit(self.url)
        if parts.username is not None:
            who = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            request.add_header("Authorization", f"Basic {base64.b64encode(who.encode()).decode()}")
        if kind is not None:
            request.add_header("Content-Type", kind)
        opener = _DIRECT if parts.hostname in ("127.0.0.1", "localhost") else _USUAL
        try:
            with opener.open(request, timeout=_ASK_SECONDS) as answer:
                said = answer.read()
            return msgspec.json.decode(said) if said else None
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise FlinkError(
                    f"Flink at {self.place} does not let us in ({error.code} to {method} {path})\n"
                    "say who asks: --rest https://USER:PASSWORD@HOST, or set EDDYLINE_FLINK_REST"
                ) from error
            raise FlinkError(f"Flink at {self.place} refused {method} {path}\n{_first_cause(error.read())}") from error
        except (OSError, HTTPException, ValueError, msgspec.DecodeError) as error:
            raise FlinkError(
                f"no Flink answers at {self.place} ({error})\n"
                "start one: eddyline cluster up; or say where it is: --rest URL, or set EDDYLINE_FLINK_REST"
            ) from error


def _shortage(vertices: list[dict[str, Any]], before: tuple[int, int] | None) -> str:
    """In words, that a job waits for slots; nothing when it does not."""
    needed = max((vertex["parallelism"] for vertex in vertices), default=0)
    begun = all(vertex["status"] in ("RUNNING", "INITIALIZING", "DEPLOYING") for vertex in vertices)
    if before is None or before[1] >= needed or begun:
        return ""
    total, free = before
    return (
        f"it needs {needed} {'slot' if needed == 1 else 'slots'}, and {free} {'is' if free == 1 else 'are'} free of {total}\n"
        "stop another job, or give the cluster more: "
        f"eddyline cluster down, then eddyline cluster up --taskmanagers {total - free + needed}"
    )


_GONE = re.compile(r"(?s).*OffsetOutOfRangeException: .*(?:offset=(\d+), .*partition ([\w.-]+)|partitions: \{([\w.-]+)=(\d+))")
_WORKER = re.compile(r"^pemja\.core\.PythonException: <class '(?:[\w.]*\.)?(\w+)'>: ")


def _innermost(trace: str) -> str:
    """The words of the innermost cause of a stack trace of Java's; an error of Python's on the worker as Python says it."""
    lines = [line for line in trace.splitlines() if not line.lstrip().startswith(("at ", "... "))]
    last = max((number for number, line in enumerate(lines) if line.lstrip().startswith("Caused by: ")), default=0)
    said = "\n".join(line.strip() for line in lines[last : last + 6]).removeprefix("Caused by: ")
    if gone := _GONE.match(said):
        offset, partition = gone[1] or gone[4], gone[2] or gone[3]
        return (
            f"{partition} has to be read from {offset} on, and does not hold that any more: it was deleted before it was read, "
            "or the topic was made again\n"
            "put it back; or lose it and go on with what is there, once the job has ended (eddyline flink stop NAME "
            "--no-savepoint): eddyline flink submit FILE --savepoint latest --skip-deleted"
        )
    return _WORKER.sub(r"on the worker: \1: ", said)


def _alike(trace: str) -> str:
    """The innermost cause without paths and numbers, which differ from one attempt to the next."""
    return re.sub(r"\S*[/\\@]\S*|\d+", "", _innermost(trace))


def _first_cause(said: bytes) -> str:
    """The words that tell most in an error of Flink's."""
    try:
        return _innermost("\n".join(map(str, msgspec.json.decode(said)["errors"])))
    except (msgspec.MsgspecError, KeyError, TypeError):
        return said.decode(errors="replace")[:500]
