"""Puts our jar for Flink into the wheel, where it can be compiled; says so in the build's output where it cannot.

It can when `javac` is on PATH and `EDDYLINE_FLINK_JARS` names the folders (":" between them) that hold the jars of Flink and
of its Kafka connector. Without them the wheel is whole too: it carries the sources, and compiles them on first use. An
editable installation never has the jar inside, because its sources change.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLINK = Path("src", "eddyline", "engines", "flink")
SHIPPED_AS = "eddyline/engines/flink/eddyline-flink.jar"


class CustomBuildHook(BuildHookInterface[Any]):
    """Called by hatchling around each build; the name is the one that it looks for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or self.target_name != "wheel":
            return
        folders = os.environ.get("EDDYLINE_FLINK_JARS")
        compiler = shutil.which("javac")
        if not folders or not compiler:
            missing = "there is no javac on PATH" if folders else "EDDYLINE_FLINK_JARS names no folder"
            self._say(f"the wheel has no jar for Flink, and compiles one on first use: {missing}")
            return
        self._work = tempfile.TemporaryDirectory()
        jar = Path(self._work.name, "eddyline-flink.jar")
        self._compile(compiler, folders, jar)
        build_data["force_include"][str(jar)] = SHIPPED_AS
        self._say(f"the wheel has a jar for Flink, {jar.stat().st_size:,} bytes")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_work"):
            self._work.cleanup()

    def _compile(self, compiler: str, folders: str, jar: Path) -> None:
        jars = [found for folder in folders.split(os.pathsep) for found in sorted(Path(folder).glob("*.jar"))]
        versions = [found[1] for file in jars if (found := re.fullmatch(r"flink-dist-(.+)\.jar", file.name))]
        if len(versions) != 1:
            raise SystemExit(f"EDDYLINE_FLINK_JARS={folders} holds {len(versions)} flink-dist-*.jar, and must hold one")
        javac, sources = _javac(Path(self.root) / FLINK / "javac.py"), Path(self.root) / FLINK / "java"
        complaint = javac.compile_jar(compiler, sources, jars, jar, javac.digest(sources, versions[0]))
        if complaint:
            raise SystemExit(f"javac could not compile {sources} against EDDYLINE_FLINK_JARS={folders}:\n{complaint}")

    def _say(self, sentence: str) -> None:
        self.app.display_info(f"eddyline: {sentence}")


def _javac(path: Path) -> ModuleType:
    """Our compiler of jars, loaded from its file: Eddyline and what it needs are not installed while it is built."""
    spec = importlib.util.spec_from_file_location("eddyline_javac", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is missing from the source tree")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
