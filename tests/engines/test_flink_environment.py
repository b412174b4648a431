"""The locks of Flink's workers, the environment they build, what is refused to it, and our jar.

The environment itself comes from the cache; where it is not there yet, it is built (a minute or more, 1.1 GB).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from eddyline.cli.flink import command
from eddyline.cluster import jars
from eddyline.engines.flink import environment, javac
from eddyline.engines.flink.environment import PYTHONS, build, here, pins, ready, require_same, versions
from eddyline.engines.flink.jar import jar
from eddyline.records.errors import EddylineError

ROOT = Path(__file__).parents[2]
ALIKE = {"python": "3.11.7", "eddyline": "0.1.0", **{name: pins("3.11")[name] for name in environment.LIBRARIES}}
JOB = """
import sys
from pyflink.common import Configuration, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.functions import KeyedProcessFunction
from river import linear_model, preprocessing

class Learns(KeyedProcessFunction):
    def open(self, context):
        self.model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    def process_element(self, number, context):
        x = {"a": float(number % 7)}
        answer = self.model.predict_proba_one(x).get(True, 0.0)
        self.model.learn_one(x, number % 7 > 3)
        yield f"{number % 7} {answer}"

config = Configuration()
for name, value in {"python.execution-mode": "thread", "python.executable": sys.executable}.items():
    config.set_string(name, value)
env = StreamExecutionEnvironment.get_execution_environment(config)
env.set_parallelism(1)
numbers = env.from_collection(list(range(700)), Types.INT()).key_by(lambda number: 0, Types.INT())
with numbers.process(Learns(), Types.STRING()).execute_and_collect() as answers:
    for answer in answers:
        print("answer", answer)
"""


@pytest.fixture(scope="module")
def worker() -> Path:
    """The interpreter of the real environment, for this Python."""
    return build(say=print)


@pytest.mark.parametrize("python", PYTHONS)
def test_every_line_of_a_lock_is_one_exact_version(python: str) -> None:
    lines = [line for line in environment._lock(python).read_text("utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) > 70
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])
    assert len(lines) == len(pins(python))


def test_the_locks_name_the_same_packages_but_for_one_that_only_the_oldest_python_needs() -> None:
    assert set(pins("3.11")) ^ set(pins("3.12")) == {"async-timeout"}


@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_keeps_every_requirement_of_eddyline(python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [Requirement(line) for line in project["dependencies"] + extras["kafka"] + extras["registry"] + extras["sklearn"]]
    locked = pins(python)
    named = [one for one in wanted if one.marker is None]
    assert {"river", "numpy", "confluent-kafka", "scikit-learn"} <= {one.name for one in named}
    assert [str(one) for one in named if not one.specifier.contains(locked.get(one.name, "0"))] == []


@pytest.mark.parametrize(
    ("name", "ours", "mend"),
    [
        ("river", "0.25.0", 'pip install "river==0.26.1"'),
        ("numpy", "2.3.0", f'pip install "numpy=={ALIKE["numpy"]}"'),
        ("eddyline", "0.2.0", "eddyline flink env"),
        ("python", "3.12.1", "eddyline flink env"),
        ("python", "3.13.0", "python3.11 -m pip install eddyline"),
    ],
)
def test_each_difference_is_refused_with_the_command_that_mends_it(name: str, ours: str, mend: str) -> None:
    with pytest.raises(EddylineError) as refusal:
        require_same(ALIKE | {name: ours}, ALIKE)
    first, second = str(refusal.value).splitlines()
    assert "would not give the same answers" in first
    assert second.startswith(f"{name} is {ours if name != 'python' else ours[:4]} here and ")
    assert mend in second


def test_a_worker_that_left_its_lock_is_mended_not_the_submitting_process() -> None:
    with pytest.raises(EddylineError, match=r"river is .* in the worker; type: eddyline flink env"):
        require_same(ALIKE, ALIKE | {"river": "0.23.0"})


def test_all_differences_are_named_at_once() -> None:
    with pytest.raises(EddylineError, match=r"eddyline is (.|\n)*river is (.|\n)*numpy is"):
        require_same(ALIKE | {"eddyline": "9", "river": "9", "numpy": "9"}, ALIKE)


def test_a_difference_that_changes_no_answer_is_allowed() -> None:
    require_same(ALIKE | {"apache-flink": "none", "msgspec": "0.21.0", "python": "3.11.9"}, ALIKE)


def test_without_an_environment_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDDYLINE_CACHE", str(tmp_path))
    monkeypatch.delenv("EDDYLINE_FLINK_PYTHON", raising=False)
    with pytest.raises(EddylineError, match=r"there is no worker environment(.|\n)*type: eddyline flink env"):
        ready()


def test_an_interpreter_of_ones_own_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDDYLINE_FLINK_PYTHON", sys.executable)
    assert ready() == Path(sys.executable)
    monkeypatch.setenv("EDDYLINE_FLINK_PYTHON", str(tmp_path / "python"))
    with pytest.raises(EddylineError, match=r"EDDYLINE_FLINK_PYTHON is .* no such file"):
        ready()


def test_a_python_without_a_lock_is_refused(tmp_path: Path) -> None:
    newer = tmp_path / "python3.13"
    newer.write_text("#!/bin/sh\necho '" + json.dumps({"python": "3.13.0"}) + "'\n", "utf-8")
    newer.chmod(0o755)
    with pytest.raises(EddylineError, match=r"3\.11 and 3\.12, and this is Python 3\.13\.0"):
        build(tmp_path / "env", newer)
    assert not (tmp_path / "env").exists()


def test_an_interpreter_that_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EddylineError, match="cannot be run: No such file"):
        build(python=tmp_path / "python")


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(EddylineError, match="has something else in it"):
        build(tmp_path)
    assert (tmp_path / "letter.txt").read_text("utf-8") == "dear"


def test_a_build_that_broke_off_is_not_ready_and_the_next_one_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "locks" / f"py{sys.version_info[0]}{sys.version_info[1]}.txt"
    lock.parent.mkdir()
    monkeypatch.setenv("EDDYLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDDYLINE_FLINK_PYTHON", raising=False)
    monkeypatch.setattr(environment, "_LOCKS", lock.parent)
    lock.write_text("apache-flink==0.0.0\n", "utf-8")
    with pytest.raises(EddylineError, match=r"apache-flink==0\.0\.0"):
        build()
    with pytest.raises(EddylineError, match="there is no worker environment"):
        ready()
    # A lock that can be installed, of one small package.
    lock.write_text("six==1.17.0\n", "utf-8")
    home = tmp_path / "small"
    steps: list[str] = []
    interpreter = build(home, say=steps.append)
    assert subprocess.run([interpreter, "-I", "-c", "import six, eddyline"], check=False).returncode == 0
    (home / "eddyline.json").unlink()
    assert build(home, say=steps.append) == interpreter
    assert steps[2:] == steps[:2]
    build(home, say=steps.append)
    assert len(steps) == 4


def test_the_environment_keeps_every_requirement_but_the_one_that_made_the_lock_necessary(worker: Path) -> None:
    told = subprocess.run([worker, "-m", "pip", "check"], capture_output=True, text=True, check=False).stdout
    assert [line.split(" ")[:5] for line in told.splitlines()] == [
        ["apache-beam", pins(_minor())["apache-beam"], "has", "requirement", "numpy<2.2.0,>=1.14.3,"]
    ]


def test_the_environment_holds_the_lock_and_this_eddyline(worker: Path) -> None:
    has = versions(worker)
    assert {name: has[name] for name in environment.LIBRARIES} == {name: pins(_minor())[name] for name in environment.LIBRARIES}
    assert ready() == worker or os.environ.get("EDDYLINE_FLINK_PYTHON")
    assert environment.package_folder(worker, "eddyline") == environment.package_folder(sys.executable, "eddyline")
    require_same(here(), has)


def test_building_again_changes_nothing_and_takes_no_time(worker: Path) -> None:
    stamp = worker.parents[1] / "eddyline.json"
    before, began = stamp.stat().st_mtime_ns, time.monotonic()
    assert build() == worker
    assert (stamp.stat().st_mtime_ns, time.monotonic() - began < 10) == (before, True)


def test_the_command_prints_the_interpreter_and_its_versions(worker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(["env", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == {"interpreter": str(worker), "versions": versions(worker)}


def test_river_learns_inside_flink_in_thread_mode(worker: Path, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB, "utf-8")
    paths = {**os.environ, "PATH": f"{worker.parent}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run([worker, "job.py"], cwd=tmp_path, env=paths, capture_output=True, text=True, timeout=240, check=False)
    answers = [line.split()[1:] for line in ran.stdout.splitlines() if line.startswith("answer ")]
    assert len(answers) == 700, ran.stderr[-2000:]
    assert {digit: float(answer) > 0.5 for digit, answer in answers[-7:]} == {str(digit): digit > 3 for digit in range(7)}


def test_our_jar_compiles_against_the_environment_and_is_kept(
    worker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _needs_javac()
    connector = jars.ready("flink-kafka")
    monkeypatch.setenv("EDDYLINE_CACHE", str(tmp_path))
    made = jar(worker, connector)
    with zipfile.ZipFile(made) as archive:
        assert "eddyline/Job.class" in archive.namelist()
    before = made.stat().st_mtime_ns
    assert (jar(worker, connector), made.stat().st_mtime_ns) == (made, before)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert jar(worker) == made
    made.unlink()
    with pytest.raises(EddylineError, match="no `javac` on PATH"):
        jar(worker)


def test_the_same_sources_give_the_same_jar_and_others_another_name(tmp_path: Path) -> None:
    _needs_javac()
    (tmp_path / "Hello.java").write_text('package eddyline; class Hello { String said = "one"; }', "utf-8")
    compiler = str(shutil.which("javac"))
    named = javac.digest(tmp_path, "2.3.0")
    for name in ("one.jar", "two.jar"):
        assert javac.compile_jar(compiler, tmp_path, [], tmp_path / name, named) == ""
    assert (tmp_path / "one.jar").read_bytes() == (tmp_path / "two.jar").read_bytes()
    assert javac.digest_of(tmp_path / "one.jar") == named
    assert javac.digest(tmp_path, "2.4.0") != named
    (tmp_path / "Hello.java").write_text("package eddyline; class Hello { String said = 1; }", "utf-8")
    assert javac.digest(tmp_path, "2.3.0") != named
    assert "Hello.java:1" in javac.compile_jar(compiler, tmp_path, [], tmp_path / "three.jar", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Hello.java", "one.jar", "two.jar"]


def test_a_wheel_without_java_carries_the_sources_and_says_so(tmp_path: Path) -> None:
    wheel, said = _built(tmp_path, {"EDDYLINE_FLINK_JARS": ""})
    assert "the wheel has no jar for Flink, and compiles one on first use: EDDYLINE_FLINK_JARS names no folder" in said
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"eddyline/engines/flink/java/Job.java", "eddyline/engines/flink/locks/py312.txt"} <= names
    assert "eddyline/engines/flink/eddyline-flink.jar" not in names


def test_an_installed_wheel_is_put_into_the_worker_as_it_is(tmp_path: Path, worker: Path) -> None:
    """With the jar that was compiled into it, which is the one that a job gets."""
    _needs_javac()
    pyflink = environment.package_folder(worker, "pyflink")
    connector = tmp_path / "connector"
    connector.mkdir()
    for file in jars.ready("flink-kafka"):
        (connector / file.name).symlink_to(file)
    folders = os.pathsep.join(map(str, (pyflink / "lib", pyflink / "opt", connector)))
    wheel, said = _built(tmp_path, {"EDDYLINE_FLINK_JARS": folders})
    assert "the wheel has a jar for Flink" in said
    installed = _installed(wheel, tmp_path / "elsewhere")
    again = tmp_path / "again"
    again.mkdir()
    asked = (
        "import sys; from pathlib import Path; from eddyline.engines.flink import jar, ourselves\n"
        "assert ourselves.source_tree() is None\n"
        "print(ourselves.wheel(Path(sys.argv[1])), jar.jar(sys.argv[2]))"
    )
    made, shipped = _python(installed, "-c", asked, str(again), str(worker)).split()
    assert Path(shipped).is_relative_to(tmp_path / "elsewhere")
    copied = _installed(Path(made), tmp_path / "copied")
    identity = "from eddyline.engines.flink import ourselves; print(ourselves.identity())"
    assert _python(copied, "-c", identity) == _python(installed, "-c", identity)
    assert _python(copied, "-m", "eddyline.cli", "--version").startswith("eddyline ")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(made) as second:
        contents = [{name: one.read(name) for name in one.namelist() if "RECORD" not in name} for one in (first, second)]
    assert contents[0] == contents[1]


def _minor() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _needs_javac() -> None:
    if shutil.which("javac") is None:
        pytest.skip("DID NOT RUN: there is no javac on PATH to compile with")


def _built(folder: Path, variables: dict[str, str]) -> tuple[Path, str]:
    """A wheel of this source tree, and what its build said."""
    ran = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder / "dist"), str(ROOT)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel, ran.stdout + ran.stderr


def _installed(wheel: Path, folder: Path) -> Path:
    """The interpreter of a new environment with only this wheel in it."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    return python


def _python(interpreter: Path, *arguments: str) -> str:
    """Runs an environment with this one's libraries behind its own, but not with this one's Eddyline, which is linked."""
    libraries = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    return subprocess.run([interpreter, *arguments], env=libraries, capture_output=True, text=True, check=True).stdout.strip()
