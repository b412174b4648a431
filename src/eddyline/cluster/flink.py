"""A real Flink session cluster on 127.0.0.1, made of the jars inside the `apache-flink` wheel: one JobManager, TaskManagers.

Every JVM is started directly, so each has one pid that can be killed or paused alone. There is no high availability (Flink has
it with ZooKeeper or Kubernetes only): a JobManager that ends forgets its jobs, their last checkpoints stay in `checkpoints`,
and who submitted a job submits it again from there. Refuses to know what the jobs do.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eddyline.cluster import jars, java, ports
from eddyline.cluster.overview import Overview, connected, overview
from eddyline.cluster.process import Process
from eddyline.cluster.settings import JOBMANAGER_JVM, PROMETHEUS, TASKMANAGER_JVM, flink_settings, module_options
from eddyline.records.errors import EddylineError

READY_SECONDS = 180.0
"""How long the JobManager and all TaskManagers may take until every slot is offered."""

_POLL_SECONDS = 0.2
_JOBMANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASKMANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"


class Flink:
    """A session cluster; `with Flink(folder, python=...) as flink:` starts it, waits for every slot and stops it.

    `python` is the interpreter of a worker's environment, with `apache-flink` in it. `taskmanagers` processes offer `slots`
    slots each. `rest_port` 0 takes a free one. `libraries` are jars every job finds, `settings` are Flink's own, by their names
    in Flink's manual; they win over ours. A TaskManager takes about 1.5 GB, the JobManager 0.7 GB.

    Metrics are read through REST. `prometheus=True` makes each process answer scrapes too, at `metrics`; Flink's reporter
    listens on every address of the machine, so it is not the default.
    """

    def __init__(
        self,
        folder: Path,
        *,
        python: Path,
        taskmanagers: int = 2,
        slots: int = 1,
        rest_port: int = 0,
        libraries: Sequence[Path] = (),
        settings: Mapping[str, str] | None = None,
        prometheus: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.python = python.absolute()  # not resolved: through a link to the system's Python, the environment would be lost
        self.slots = slots
        self.rest_port = rest_port or ports.any_free()
        self.jobmanager = Process(self.folder, "jobmanager")
        self.checkpoints = self.folder / "checkpoints"
        self.savepoints = self.folder / "savepoints"
        self._wanted = taskmanagers
        self._libraries = [library.absolute() for library in libraries]
        self._settings = (PROMETHEUS if prometheus else {}) | dict(settings or {})
        self._prometheus = prometheus
        self._conf = self.folder / "conf"
        self._lib = self.folder / "lib"

    @property
    def rest(self) -> str:
        """The URL of the REST interface, which also shows Flink's console."""
        return f"http://{ports.HOST}:{self.rest_port}"

    @property
    def wheel(self) -> Path:
        """The folder of PyFlink in the worker's environment: Flink's home, with `bin`, `lib`, `opt` and `plugins`."""
        found = sorted(self.python.parent.parent.glob("lib*/python3*/site-packages/pyflink"))
        if not found:
            raise EddylineError(
                f"flink: there is no apache-flink in the environment of {self.python}\n"
                "make a worker's environment with: eddyline flink env"
            )
        return found[0]

    def environment(self) -> dict[str, str]:
        """The environment variables with which `bin/flink` and PyFlink speak to this cluster."""
        return os.environ | {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "FLINK_HOME": str(self.wheel),
            "FLINK_CONF_DIR": str(self._conf),
            "FLINK_LIB_DIR": str(self._lib),
            "FLINK_PLUGINS_DIR": str(self.wheel / "plugins"),
            "FLINK_LOG_DIR": str(self.folder),
        }

    def __enter__(self) -> Flink:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the JobManager and the TaskManagers and waits until every slot is offered.

        Raises `EddylineError` when the port is taken, Java, a jar or the wheel is missing, or a process ends or is not
        there within three minutes; the message then ends with the last lines of its log.
        """
        if self.processes():
            names = ", ".join(f"{process.name} {process.pid}" for process in self.processes())
            raise EddylineError(f"flink runs already ({names}) in {self.folder}\nstop it first: eddyline cluster down")
        ports.demand(self.rest_port, what="flink", option="--rest-port")
        self._prepare()
        try:
            self.start_jobmanager()
            for number in range(self._wanted):
                self._start_taskmanager(number)
            self.wait(self._wanted)
        except BaseException:
            self.kill()  # a start that failed leaves nothing behind
            raise

    def stop(self) -> list[str]:
        """Stops all of it in order; names the processes that had to be killed. Checkpoints and savepoints are kept."""
        return [process.name for process in reversed(self.processes()) if not process.stop()]

    def kill(self) -> None:
        """Ends every process at once (SIGKILL)."""
        for process in self.processes():
            process.kill()

    def start_jobmanager(self) -> None:
        """Starts the JobManager and waits until it answers. It knows no job: submit them again from their checkpoints."""
        self._java(self.jobmanager, _JOBMANAGER, JOBMANAGER_JVM, {})
        self._until(lambda: self.overview() is not None, "does not answer", [self.jobmanager])

    def restart_jobmanager(self) -> None:
        """Stops the JobManager where it runs, starts it and waits for the slots of the TaskManagers that run.

        Its jobs are gone with it; `checkpoints` holds their last completed checkpoints.
        """
        self.jobmanager.stop()
        self.start_jobmanager()
        self.wait(len(self.taskmanagers()))

    def taskmanager(self, number: int) -> Process:
        """TaskManager `number`, from 0: kill, pause, resume or stop it."""
        return Process(self.folder, f"taskmanager-{number}")

    def taskmanagers(self) -> list[Process]:
        """The TaskManagers that run, ready or not, paused or not."""
        names = sorted(file.stem for file in self.folder.glob("taskmanager-*.pid"))
        return [process for process in (Process(self.folder, name) for name in names) if process.running]

    def processes(self) -> list[Process]:
        """Every process that runs; the JobManager first."""
        return [process for process in [self.jobmanager, *self.taskmanagers()] if process.running]

    def start_taskmanager(self, number: int | None = None) -> int:
        """Starts TaskManager `number`, else the first that does not run, waits until it is connected and gives its number."""
        if number is None:
            number = next(free for free in range(10_000) if not self.taskmanager(free).running)
        process, before = self.taskmanager(number), connected(self.rest)
        self._start_taskmanager(number)

        def arrived() -> bool:
            address = connected(self.rest).get(process.name)
            return address is not None and address != before.get(process.name)

        self._until(arrived, f"does not see {process.name}", [self.jobmanager, process])
        return number

    def metrics(self) -> dict[str, str]:
        """Where each running process answers a scrape, by its name; empty without `prometheus`."""
        files = {process.name: self._scrape(process) for process in self.processes()}
        return {name: file.read_text("utf-8") for name, file in files.items() if file.exists()}

    def _scrape(self, process: Process) -> Path:
        return self.folder / f"{process.name}.metrics"

    def overview(self) -> Overview | None:
        """What the JobManager sees now, or None when it does not answer."""
        return overview(self.rest) if self.jobmanager.running else None

    def wait(self, taskmanagers: int) -> None:
        """Waits until at least this many TaskManagers offer all their slots; raises `EddylineError` after three minutes."""
        slots = taskmanagers * self.slots

        def complete() -> bool:
            seen = self.overview()
            return seen is not None and seen.taskmanagers >= taskmanagers and seen.slots >= slots

        self._until(complete, f"does not see {taskmanagers} TaskManagers with {slots} slots", self.processes())

    def _until(self, enough: Callable[[], bool], problem: str, involved: list[Process]) -> None:
        until = time.monotonic() + READY_SECONDS
        while not enough():
            for process in involved:
                if not process.running:
                    raise EddylineError(f"flink: {process.name} ended; its log {process.log} ends\n{process.last_words()}")
            if time.monotonic() >= until:
                raise EddylineError(
                    f"flink: the JobManager {problem} after {READY_SECONDS:.0f} s (it sees {self.overview()}); "
                    f"its log {self.jobmanager.log} ends\n{self.jobmanager.last_words()}"
                )
            time.sleep(_POLL_SECONDS)

    def _prepare(self) -> None:
        """Makes the folders that Flink reads: its settings, and links to the jars it runs on."""
        wheel, connector = self.wheel, jars.ready("flink-kafka")
        for stale in (self._conf, self._lib):
            shutil.rmtree(stale, ignore_errors=True)
        for folder in (self._conf, self._lib, self.checkpoints, self.savepoints, self.folder / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        python_jars = sorted((wheel / "opt").glob("flink-python-*.jar"))
        # flink-python sits with the libraries: loaded per job, a second job in one TaskManager could not load its library.
        for file in [*sorted((wheel / "lib").glob("*.jar")), *python_jars, *connector, *self._libraries]:
            (self._lib / file.name).symlink_to(file)
        for file in (wheel / "conf").glob("log4j*"):
            shutil.copy(file, self._conf)
        values = flink_settings(self.folder, python=self.python, rest_port=self.rest_port, slots=self.slots) | self._settings
        lines = [f"{key}: {value}\n" for key, value in values.items()]
        lines.append(f"env.java.opts.all: {' '.join(module_options(wheel))}\n")
        (self._conf / "config.yaml").write_text("".join(lines), "utf-8")

    def _start_taskmanager(self, number: int) -> None:
        process = self.taskmanager(number)
        # A name that stays lets the JobManager see at once that the old process of this name is gone.
        self._java(process, _TASKMANAGER, TASKMANAGER_JVM, {"taskmanager.resource-id": process.name})

    def _java(self, process: Process, main: str, memory: Sequence[str], settings: Mapping[str, str]) -> None:
        libraries = sorted(self._lib.glob("*.jar"), key=lambda jar: (jar.name.startswith("flink-dist"), jar.name))
        own = dict(settings)
        if self._prometheus:
            own["metrics.reporter.prom.port"] = port = str(ports.any_free())
            self._scrape(process).write_text(f"http://{ports.HOST}:{port}/metrics", "utf-8")
        process.start(
            [
                java.program(),
                *memory,
                *module_options(self.wheel),
                java.logging(self.folder),
                f"-Dlog.file={process.log}",
                *("-cp", java.class_path(libraries), main),
                *("--configDir", str(self._conf)),
                *(f"-D{key}={value}" for key, value in own.items()),
            ],
            environment=self.environment(),
        )
