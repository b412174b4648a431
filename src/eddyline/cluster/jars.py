"""The jars a cluster runs on: named by Maven coordinates, fetched once, and the same bytes every time.

Each jar is pinned by its SHA-256 in `jars.toml`; it is checked when it is fetched and whenever it is used (70 MB
take about a tenth of a second). Refuses to know where jars come from: `mvn` knows, with its own settings and mirrors.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from eddyline.records.errors import EddylineError

_PINS = Path(__file__).with_name("jars.toml")
_FETCH_SECONDS = 600


@dataclass(frozen=True)
class Jar:
    """One pinned jar.

    >>> Jar("org.apache.kafka", "kafka-clients", "4.2.0", "00ff").file
    'kafka-clients-4.2.0.jar'
    """

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Its file name in the cache, the one Maven gives it."""
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def pinned(name: str) -> list[Jar]:
    """The jars of one set of `jars.toml`: "kafka" is a broker, "flink-kafka" the Kafka connector of Flink.

    >>> [jar.file for jar in pinned("kafka") if jar.artifact == "kafka_2.13"]
    ['kafka_2.13-4.3.1.jar']
    """
    table: dict[str, str] = tomllib.loads(_PINS.read_text("utf-8"))[name]
    return [Jar(group, artifact, version, table[it]) for it in table for group, artifact, version in [it.split(":")]]


def root() -> Path:
    """The folder for what can be fetched or made again: `$EDDYLINE_CACHE`, or `~/.cache/eddyline`."""
    chosen = os.environ.get("EDDYLINE_CACHE")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "eddyline"


def cache() -> Path:
    """The folder that keeps fetched jars: `jars` in the root."""
    return root() / "jars"


def ready(name: str) -> list[Path]:
    """The files of a set, fetched where they are missing, each proven to be the pinned bytes.

    Raises `EddylineError` when `mvn` is missing or fails, and when a file is not the one that was pinned.
    """
    folder, jars = cache(), pinned(name)
    missing = [jar for jar in jars if not (folder / jar.file).exists()]
    if missing:
        _fetch(missing, folder)
    for jar in jars:
        _check(jar, folder / jar.file)
    return [folder / jar.file for jar in jars]


def _fetch(missing: list[Jar], folder: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise EddylineError(
            f"{len(missing)} jars are not in {folder} (first: {missing[0]}) and there is no `mvn` on PATH to fetch them\n"
            "install Apache Maven 3.8 or newer, for example: apt-get install maven"
        )
    folder.mkdir(parents=True, exist_ok=True)
    # Into a folder beside the cache and then renamed: a fetch that breaks off leaves no half of a jar.
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        pom, new = Path(work, "pom.xml"), Path(work, "jars")
        pom.write_text(_pom(missing), "utf-8")
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={new}"]
        try:
            done = subprocess.run(
                [mvn, "-B", "-q", "-f", str(pom), *goal], capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise EddylineError(f"mvn has not fetched {len(missing)} jars in {_FETCH_SECONDS} s; try again") from None
        if done.returncode:
            raise EddylineError(
                f"mvn could not fetch {len(missing)} jars (first: {missing[0]}); it needs the network, once\n"
                f"{(done.stdout + done.stderr).strip()[:2000]}"
            )
        for jar in missing:
            _check(jar, new / jar.file)
            (new / jar.file).replace(folder / jar.file)


def _pom(jars: list[Jar]) -> str:
    """A project that depends on exactly these jars and on nothing that they would bring."""
    dependencies = "\n".join(
        f"<dependency><groupId>{escape(jar.group)}</groupId><artifactId>{escape(jar.artifact)}</artifactId>"
        f"<version>{escape(jar.version)}</version>"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
        for jar in jars
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>eddyline</groupId><artifactId>jars</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>\n{dependencies}\n</dependencies></project>\n"
    )


def _check(jar: Jar, path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise EddylineError(f"mvn said that it fetched {jar}, but {path.name} is not there; try again") from None
    if found != jar.sha256:
        raise EddylineError(
            f"jar {jar} is not the one that was pinned: it will not be run\n"
            f"  expected sha256 {jar.sha256}\n"
            f"  found    sha256 {found}\n"
            f"  in {path}\n"
            "if you did not change it, remove that file and try again; if it comes back, ask who runs your Maven mirror"
        )
