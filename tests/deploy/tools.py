"""The tools that judge deployment files, and the files as they see them; a tool that is not here is a skip with its name.

`kubectl`, `hadolint`, `kubernetes-validate` and `check-jsonschema` come with the development dependencies; Node, npm and Maven
with the machine. What is fetched has a pinned version, and a checksum where we fetch it ourselves.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = ("overlays/embedded", "overlays/flink-s3")
KUSTOMIZED = ("base", *OVERLAYS)


def tool(name: str) -> str:
    """The path of a program: beside this Python first, then on PATH. Skips the test when there is none."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"could not run: there is no `{name}` here; make setup brings Python's tools, the machine Node and Maven")
    return found


def ran(*command: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=False, cwd=folder)


def fetched(*command: str | Path, folder: Path | None = None) -> None:
    """Runs what needs a network once. Skips the test with the tool's own words when it fails."""
    done = ran(*command, folder=folder)
    if done.returncode:
        pytest.skip(f"could not run: {Path(command[0]).name} fetched nothing: {(done.stdout + done.stderr).strip()[:300]}")


def yaml(text: str | bytes) -> Any:
    """One YAML document. Skips the test when PyYAML is missing."""
    if find_spec("yaml") is None:
        pytest.skip("could not run: PyYAML is not installed; make setup brings it")
    return msgspec.yaml.decode(text)


@cache
def rendered(where: str, folder: Path = DEPLOY / "kubernetes") -> str:
    """What `kubectl apply --kustomize` would send, as text. No cluster is asked."""
    done = ran(tool("kubectl"), "kustomize", folder / where)
    assert not done.returncode, done.stderr
    return done.stdout


def objects(where: str) -> list[dict[str, Any]]:
    """The objects of a rendered folder."""
    return [yaml(text) for text in rendered(where).split("\n---\n")]


def flink_deployment(where: str) -> dict[str, Any]:
    """The one FlinkDeployment of a rendered folder."""
    (found,) = [one for one in objects(where) if one["kind"] == "FlinkDeployment"]
    return found


def from_maven(pins: dict[str, str], folder: Path) -> list[Path]:
    """The jars of Maven coordinates, each checked against its SHA-256. Skips the test when they cannot be fetched."""
    split = [coordinates.split(":") for coordinates in pins]
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
        for group, artifact, version in split
    )
    (folder / "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>eddyline</groupId><artifactId>deploy-tests</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
    fetched(
        tool("mvn"), "-B", "-q", "-f", folder / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars"
    )
    files = [folder / "jars" / f"{artifact}-{version}.jar" for _, artifact, version in split]
    for file, sha256 in zip(files, pins.values(), strict=True):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256, f"{file.name} is not the file that was pinned"
    return files
