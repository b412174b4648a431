"""The Java that Kafka and Flink run on: which program, and how their logs look."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from eddyline.records.errors import EddylineError

_LOGGING = """\
appenders = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
"""


def program() -> str:
    """The `java` program: of `$JAVA_HOME`, or the first on PATH. Raises `EddylineError` when there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        where = f"$JAVA_HOME ({home})" if home else "PATH"
        raise EddylineError(
            f"Kafka and Flink run on Java, and there is no `java` on {where}\n"
            "install Java 17, for example: apt-get install openjdk-17-jre-headless"
        )
    return found


def class_path(files: list[Path]) -> str:
    """Files as the JVM's -cp wants them; where two hold one class, the first wins."""
    return os.pathsep.join(str(file) for file in files)


def logging(folder: Path) -> str:
    """Writes settings that log lines to stdout, and gives the JVM option that names them."""
    settings = folder / "log4j2.properties"
    settings.write_text(_LOGGING, "utf-8")
    return f"-Dlog4j2.configurationFile={settings}"
