"""Our jar for Flink: the one that came with the wheel, or one compiled from the Java sources on first use.

Compiled against the jars of the worker's own `apache-flink`, so that it fits the Flink that will run it. Refuses to know
what is in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from eddyline.engines.flink import javac
from eddyline.engines.flink.environment import cache, package_folder, versions
from eddyline.records.errors import EddylineError

_SOURCES = Path(__file__).with_name("java")
_SHIPPED = Path(__file__).with_name("eddyline-flink.jar")


def jar(python: str | Path, extra: Sequence[Path] = ()) -> Path:
    """The jar for the Flink of an environment, `python` being its interpreter; compiled when there is none yet.

    `extra` are jars that the sources need besides Flink's own: the Kafka connector. Compiling takes a few seconds and
    `javac` on PATH, and is kept in the cache until the sources or the version of Flink change.

    Raises `EddylineError` when there is no `javac`, when it complains, or when the environment has no Flink.
    """
    flink = versions(python)["apache-flink"]
    if flink == "none":
        raise EddylineError(f"{python} has no apache-flink\nbuild the worker's environment, type: eddyline flink env")
    named = javac.digest(_SOURCES, flink)
    if _SHIPPED.exists() and javac.digest_of(_SHIPPED) == named:
        return _SHIPPED
    made = cache() / f"eddyline-flink-{flink}-{named}.jar"
    if made.exists():
        return made
    program = shutil.which("javac")
    if program is None:
        raise EddylineError(
            f"there is no jar of Eddyline for Flink {flink}, and no `javac` on PATH to compile it\n"
            f"install a JDK, {javac.RELEASE} or newer, for example: apt-get install openjdk-{javac.RELEASE}-jdk-headless"
        )
    class_path = [*javac.flink_jars(package_folder(python, "pyflink")), *extra]
    complaint = javac.compile_jar(program, _SOURCES, class_path, made, named)
    if complaint:
        raise EddylineError(f"{program} could not compile Eddyline's Java for Flink {flink}:\n{complaint[:4000]}")
    return made
