"""Kafka and Flink together in one folder: brought up, seen and taken down as one, by this process or by another.

What was brought up is noted in `cluster.json`, so `Cluster.found(folder)` is the same cluster in any other command. Refuses to
know how either of them is started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from eddyline.cluster import jars, ports
from eddyline.cluster.flink import Flink
from eddyline.cluster.kafka import Kafka
from eddyline.cluster.overview import connected
from eddyline.cluster.process import Process
from eddyline.records.errors import EddylineError

KAFKA_PORT = 9092
REST_PORT = 8081
_NOTE = "cluster.json"


class Shape(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a cluster consists of. `python` is the worker's interpreter; without it there is Kafka and no Flink."""

    kafka_port: int
    rest_port: int = 0
    python: str | None = None
    taskmanagers: int = 0
    slots: int = 0


class Part(msgspec.Struct, frozen=True):
    """One process of a cluster as it is now. `pid` is None when it does not run; `address` is where clients reach it."""

    name: str
    pid: int | None
    address: str
    ready: bool
    log: str


class Cluster:
    """A broker, and a Flink session cluster where `python` is given; `with Cluster(folder) as cluster:` for tests.

    Ports that are 0 are chosen among the free ones. `python` is the interpreter of a worker's environment, as
    `eddyline flink env` makes it; `libraries` and `settings` go to Flink, see there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        python: Path | None = None,
        taskmanagers: int = 2,
        slots: int = 1,
        kafka_port: int = 0,
        rest_port: int = 0,
        libraries: Sequence[Path] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.kafka = Kafka(self.folder / "kafka", port=kafka_port)
        self._flink: Flink | None = None
        self.shape = Shape(self.kafka.port)
        if python is not None:
            self._flink = Flink(
                self.folder / "flink",
                python=python,
                taskmanagers=taskmanagers,
                slots=slots,
                rest_port=rest_port,
                libraries=libraries,
                settings=settings,
            )
            self.shape = Shape(self.kafka.port, self._flink.rest_port, str(self._flink.python), taskmanagers, slots)

    @classmethod
    def found(cls, folder: Path) -> Cluster | None:
        """The cluster that was last brought up in this folder, running or not; None when there was none."""
        try:
            note = (folder / _NOTE).read_bytes()
        except FileNotFoundError:
            return None
        try:
            shape = msgspec.json.decode(note, type=Shape)
        except msgspec.DecodeError as error:
            raise EddylineError(
                f"{folder / _NOTE} does not say what runs there ({error})\n"
                "find the processes by the pid files in its folders, end them, and remove the file"
            ) from error
        return cls(
            folder,
            python=Path(shape.python) if shape.python else None,
            taskmanagers=shape.taskmanagers,
            slots=shape.slots,
            kafka_port=shape.kafka_port,
            rest_port=shape.rest_port,
        )

    @property
    def brokers(self) -> str:
        """The broker's address, for `--brokers`."""
        return self.kafka.brokers

    @property
    def flink(self) -> Flink:
        """The session cluster; raises `EddylineError` when this cluster is Kafka alone."""
        if self._flink is None:
            raise EddylineError(f"the cluster in {self.folder} is Kafka alone\nbring Flink up too: eddyline cluster up")
        return self._flink

    @property
    def rest(self) -> str:
        """The URL of Flink's REST interface and console."""
        return self.flink.rest

    def __enter__(self) -> Cluster:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Starts what does not run, and waits until all of it is ready; what is ready is left alone.

        Raises `EddylineError` when a port is taken, when something is missing to run it, or when a part runs
        and does not answer.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _NOTE).write_bytes(msgspec.json.encode(self.shape))
        if not self.kafka.ready():
            self.kafka.start()
        if self._flink is None or self.ready():
            return
        if not self._flink.processes():
            self._flink.start()
            return
        if not self._flink.jobmanager.running:
            self._flink.start_jobmanager()
        for number in range(self.shape.taskmanagers):
            if not self._flink.taskmanager(number).running:
                self._flink.start_taskmanager(number)
        self._flink.wait(self.shape.taskmanagers)

    def down(self) -> list[str]:
        """Stops exactly what `up` started, Flink first; data, checkpoints and logs stay. Names what had to be killed."""
        killed = self._flink.stop() if self._flink is not None else []
        return killed if self.kafka.stop() else [*killed, "kafka"]

    def status(self) -> list[Part]:
        """Every process that belongs to it, the missing ones too, and whether each is ready for work."""
        broker = self.kafka.process
        parts = [Part("kafka", broker.pid, self.brokers, self.kafka.ready(), str(broker.log))]
        if self._flink is None:
            return parts
        seen = self._flink.overview()
        jobmanager = self._flink.jobmanager
        parts.append(Part("jobmanager", jobmanager.pid, self.rest, seen is not None, str(jobmanager.log)))
        known = connected(self.rest)
        expected = {f"taskmanager-{number}" for number in range(self.shape.taskmanagers)}
        running = {process.name for process in self._flink.taskmanagers()}
        for name in sorted(expected | running):
            process = Process(self._flink.folder, name)
            parts.append(Part(name, process.pid, "", process.running and name in known, str(process.log)))
        return parts

    def ready(self) -> bool:
        """Whether every part runs and answers."""
        return all(part.ready for part in self.status())


def default_folder() -> Path:
    """Where `eddyline cluster` keeps its cluster: `cluster` in the cache."""
    return jars.root() / "cluster"


def planned(
    folder: Path,
    *,
    python: Callable[[], Path] | None,
    taskmanagers: int | None = None,
    slots: int | None = None,
    kafka_port: int | None = None,
    rest_port: int | None = None,
) -> Cluster:
    """The cluster of a folder as it shall be: what is None stays as it was there, else as usual.

    `python` is asked for the worker's interpreter when Flink is wanted and not known; None wants Kafka alone, which leaves a
    Flink alone that is there. Raises `EddylineError` when what runs there has another port, other workers or slots.
    """
    found = Cluster.found(folder)
    before = found.shape if found is not None else Shape(0)
    running = {part.name for part in found.status() if part.pid is not None} if found is not None else set()
    worker = before.python if running - {"kafka"} else None
    if worker is None and python is not None:
        worker = str(python())
    cluster = Cluster(
        folder,
        python=Path(worker) if worker else None,
        taskmanagers=taskmanagers or before.taskmanagers or 2,
        slots=slots or before.slots or 1,
        kafka_port=_chosen(kafka_port, before.kafka_port, KAFKA_PORT),
        rest_port=_chosen(rest_port, before.rest_port, REST_PORT),
    )
    _refuse_change(before, cluster.shape, running)
    return cluster


def _chosen(asked: int | None, found: int, usual: int) -> int:
    return (found or usual) if asked is None else (asked or ports.any_free())


def _refuse_change(before: Shape, wanted: Shape, running: set[str]) -> None:
    fixed = ["kafka_port"] if running else []
    if running - {"kafka"}:
        fixed += ["rest_port", "taskmanagers", "slots"]
    for name in fixed:
        was, now = getattr(before, name), getattr(wanted, name)
        if was != now:
            option = "--" + name.replace("_", "-")
            raise EddylineError(
                f"the cluster runs with {option} {was}, and {now} was asked for\n"
                f"take it down first: eddyline cluster down, then: eddyline cluster up {option} {now}"
            )
