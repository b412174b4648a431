"""Compiles what can be compiled while Eddyline is built or installed, and says so in the build's output where it cannot.

The arithmetic of `river_direct.py` is compiled by Cython and a C compiler: into the wheel, and for an editable installation
beside its source. Without a compiler the same file runs as Python (`eddyline.models.compiled`), and so it does where
`EDDYLINE_PYTHON_ONLY` is 1.

Our jar for Flink is put into the wheel. It can be compiled when `javac` is on PATH and `EDDYLINE_FLINK_JARS` names the folders
(":" between them) that hold the jars of Flink and of its Kafka connector. Without them the wheel is whole too: it carries the
sources, and compiles them on first use. An editable installation never has the jar inside, because its sources change.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ARITHMETIC = Path("src", "eddyline", "models", "river_direct.py")
COMPILED = f"_river_direct{sysconfig.get_config_var('EXT_SUFFIX')}"
TO_C = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup
flags = [] if sys.platform == "win32" else ["-O2", "-g0", "-ffp-contract=off"]
made = Extension("eddyline.models._river_direct", ["eddyline/models/_river_direct.py"], extra_compile_args=flags)
made = cythonize([made], language_level=3, compiler_directives={"cpow": True})
setup(name="arithmetic", packages=[], ext_modules=made, script_args=["-q", "build_ext", "--inplace"])
"""
"""Multiplying and adding in one step would round once where River rounds twice: hence no contraction."""
FLINK = Path("src", "eddyline", "engines", "flink")
SHIPPED_AS = "eddyline/engines/flink/eddyline-flink.jar"


class CustomBuildHook(BuildHookInterface[Any]):
    """Called by hatchling around each build; the name is the one that it looks for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        self._arithmetic(version == "editable", build_data)
        if version == "editable":
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
        for work in ("_work", "_c"):
            if hasattr(self, work):
                getattr(self, work).cleanup()

    def _arithmetic(self, editable: bool, build_data: dict[str, Any]) -> None:
        """Compiles a copy of the arithmetic that says which text it is a copy of."""
        source = Path(self.root) / ARITHMETIC
        self._c = tempfile.TemporaryDirectory()
        folder = Path(self._c.name, "eddyline", "models")
        folder.mkdir(parents=True)
        for package in (folder, folder.parent):
            (package / "__init__.py").touch()
        text = source.read_bytes()
        of = hashlib.blake2b(text, digest_size=16).hexdigest()
        (folder / "_river_direct.py").write_bytes(text + f'\nSOURCE = "{of}"\n'.encode())
        if os.environ.get("EDDYLINE_PYTHON_ONLY") == "1":
            self._say("the arithmetic is not compiled: EDDYLINE_PYTHON_ONLY is 1")
            return
        done = subprocess.run([sys.executable, "-c", TO_C], cwd=self._c.name, capture_output=True, text=True, check=False)
        made = folder / COMPILED
        if done.returncode or not made.exists():
            why = (done.stderr.strip() or "there is no such file afterwards").splitlines()[-1]
            self._say(f"the arithmetic is not compiled, and runs as Python, somewhat slower: {why}")
            return
        if editable:
            beside = source.with_name(COMPILED)
            shutil.copyfile(made, beside.with_suffix(".new"))
            beside.with_suffix(".new").replace(beside)
        else:
            build_data["force_include"][str(made)] = f"eddyline/models/{COMPILED}"
            # The wheel stays one for all: its file's name says for which Python and machine it is, and others pass it by.
        self._say(f"the arithmetic is compiled, {made.stat().st_size:,} bytes")

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
