"""Java sources to a jar, the same bytes each time: what the first submit and the build of the wheel share.

Imports the standard library only, because the wheel is built where nothing of ours is installed. Refuses to know where
the sources and the class path come from, and what its caller says when javac complains.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

RELEASE = 17
"""The oldest Java that runs the jar: what Flink 2.3 asks for."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SECONDS = 300


def flink_jars(pyflink: Path) -> list[Path]:
    """The jars of an `apache-flink` wheel that our sources are compiled against, `pyflink` being its package folder."""
    return sorted([*pyflink.glob("lib/*.jar"), *pyflink.glob("opt/flink-python-*.jar")])


def digest(sources: Path, flink: str) -> str:
    """Names what would be compiled: the sources and the version of Flink."""
    whole = hashlib.blake2b(f"{flink} {RELEASE}\n".encode(), digest_size=8)
    for source in sorted(sources.glob("*.java")):
        content = source.read_bytes()
        whole.update(f"{source.name} {len(content)}\n".encode() + content)
    return whole.hexdigest()


def digest_of(jar: Path) -> str:
    """The digest that `compile_jar` wrote into a jar."""
    with zipfile.ZipFile(jar) as archive:
        lines = archive.read("META-INF/MANIFEST.MF").decode().splitlines()
    return dict(line.split(": ", 1) for line in lines if line).get("Eddyline-Digest", "")


def compile_jar(javac: str, sources: Path, class_path: Iterable[Path], into: Path, named: str) -> str:
    """Compiles every source of a folder into the jar `into`; gives what javac complained of, and "" when the jar is made.

    `named` is the digest to write into it. The jar appears whole or not at all.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as work:
        classes, new = Path(work, "classes"), Path(work, "new.jar")
        files = sorted(str(source) for source in sources.glob("*.java"))
        options = ["--release", str(RELEASE), "-encoding", "UTF-8", "-proc:none", "-nowarn", "-d", str(classes)]
        paths = os.pathsep.join(map(str, class_path))
        try:
            done = subprocess.run(
                [javac, *options, "-cp", paths, *files], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"it did not end in {_SECONDS} s"
        if done.returncode:
            return (done.stderr or done.stdout).strip() or f"it ended with {done.returncode}"
        _pack(classes, new, named)
        new.replace(into)
    return ""


def _pack(classes: Path, jar: Path, named: str) -> None:
    manifest = f"Manifest-Version: 1.0\nEddyline-Digest: {named}\n\n".encode()
    entries = {path.relative_to(classes).as_posix(): path.read_bytes() for path in classes.rglob("*.class")}
    # Not compressed: zlib's output differs between machines, and the jar is small.
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_STORED) as archive:
        for name, content in [("META-INF/MANIFEST.MF", manifest), *sorted(entries.items())]:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
