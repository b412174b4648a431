"""What a script sees when a command fails: one message, no traceback, and an exit code that tells why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
DECLARED = """
from river import linear_model
from eddyline import EpochSeconds, Event, Id, Label, Pipeline, Truth, jsonl

class Visit(Event):
    id: Id
    at: EpochSeconds
    pages: float

class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]

def made(name):
    return Pipeline(name=name, events=jsonl("visits.jsonl", Visit), labels=jsonl("sales.jsonl", Sale),
                    model=linear_model.LogisticRegression())
"""


def _written(folder: Path, text: str, name: str = "shop.py") -> Path:
    path = folder / name
    path.write_text(DECLARED + text)
    for source in ("visits.jsonl", "sales.jsonl"):
        (folder / source).touch()
    return path


def test_a_file_that_is_not_there_is_named_with_the_one_that_was_meant(tmp_path: Path, run: Run) -> None:
    _written(tmp_path, "")
    ran = run("check", tmp_path / "shp.py")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"error: there is no file shp.py in {tmp_path}\ndid you mean shop.py?\n"
    assert "is a folder, not a file" in run("check", tmp_path).err


def test_a_file_without_a_pipeline_says_what_to_write(tmp_path: Path, run: Run) -> None:
    ran = run("check", _written(tmp_path, ""))
    assert ran.code == 2
    assert ran.err.startswith("error: shop.py has no Pipeline at its top level\nwrite one there: shop = Pipeline(")


def test_of_several_pipelines_one_is_chosen_by_name(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, 'first = made("first")\nsecond = made("second")\nagain = first\nnumber = 7\n')
    refused = run("check", file)
    assert refused.code == 2
    assert refused.err == "error: shop.py has 2 pipelines: first, second\nsay which: shop.py:first\n"
    assert run("check", f"{file}:second", "--json").json["pipeline"] == "second"
    assert run("check", f"{file}:third").err == "error: shop.py has no third\nthe pipelines in it: first, second\n"
    assert "shop.py has a int called number" in run("check", f"{file}:number").err


def test_an_error_in_the_file_shows_the_users_line(tmp_path: Path, run: Run) -> None:
    ran = run("check", _written(tmp_path, "\nshop = made(nmae)\n"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: shop.py, line 19: NameError: name 'nmae' is not defined\n    shop = made(nmae)\n"


def test_an_error_in_the_syntax_shows_the_users_line(tmp_path: Path, run: Run) -> None:
    ran = run("check", _written(tmp_path, "\nshop = made(\n"))
    assert ran.code == 2
    assert ran.err.startswith("error: shop.py, line 19: ")


def test_an_error_in_a_module_beside_the_file_shows_that_line(tmp_path: Path, run: Run) -> None:
    (tmp_path / "rates_of_shop.py").write_text('RATES = {"chf": 1}\nEUR = RATES["eur"]\n')
    ran = run("check", _written(tmp_path, "\nimport rates_of_shop\n"))
    assert ran.err == "error: rates_of_shop.py, line 2: KeyError: 'eur'\n    EUR = RATES[\"eur\"]\n"


def test_a_wrong_declaration_says_where_and_what_to_write(tmp_path: Path, run: Run) -> None:
    ran = run("replay", _written(tmp_path, '\nshop = made("My Shop")\n'))
    assert ran.code == 2
    first, line, *rest = ran.err.splitlines()
    assert first.startswith("error: shop.py, line 16: name='My Shop': a pipeline's name is lower-case")
    assert line.startswith('    return Pipeline(name=name, events=jsonl("visits.jsonl", Visit)')
    assert rest == ['write name="my-shop"']


def test_a_file_that_ends_the_program_is_told_how_not_to(tmp_path: Path, run: Run) -> None:
    ran = run("check", _written(tmp_path, "\nraise SystemExit(0)\n"))
    assert ran.code == 2
    assert 'put what shall only run as a script under if __name__ == "__main__":' in ran.err


def test_a_source_that_is_not_there_ends_with_3(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, 'shop = made("shop")\n')
    (tmp_path / "sales.jsonl").unlink()
    ran = run("replay", file)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("error: there is no file sales.jsonl\n")


def test_a_store_of_another_pipeline_ends_with_4(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, 'one = made("one")\ntwo = made("two")\n')
    store = tmp_path / "both.eddyline"
    assert run("replay", f"{file}:one", "--store", store).code == 0
    ran = run("replay", f"{file}:two", "--store", store)
    assert ran.code == 4
    assert "belongs to the pipeline 'one', not 'two'" in ran.err


@pytest.mark.parametrize(
    "command",
    [
        ["explain", "FILE", "v-1"],
        ["versions", "FILE"],
        ["verify", "FILE"],
        ["rollback", "FILE", "live"],
        ["dead-letters", "FILE"],
        ["dead-letters", "FILE", "--redrive"],
        ["report", "FILE"],
    ],
)
def test_looking_at_a_store_that_is_not_there_ends_with_6_and_makes_none(tmp_path: Path, run: Run, command: list[str]) -> None:
    file = _written(tmp_path, 'shop = made("shop")\n')
    ran = run(*[str(file) if word == "FILE" else word for word in command])
    assert (ran.code, ran.out) == (6, "")
    assert ran.err.startswith("error: no store at ")
    assert "a job on Flink keeps none" in ran.err
    assert "--brokers HOST:PORT asks them" in ran.err
    assert not list(tmp_path.glob("*.eddyline*"))


def test_ctrl_c_ends_with_130(tmp_path: Path, run: Run) -> None:
    ran = run("check", _written(tmp_path, "\nraise KeyboardInterrupt\n"))
    assert (ran.code, ran.out) == (130, "")
    assert "Traceback" not in ran.err


def test_what_nobody_expected_keeps_its_traceback_and_ends_with_70(tmp_path: Path, run: Run) -> None:
    own = """
class Tape:
    type = Visit
    def describe(self): return "a tape"
    def open(self, base, *, follow=False): raise RuntimeError("the tape is torn")

shop = made("shop").replace(events=Tape())
"""
    ran = run("replay", _written(tmp_path, own))
    assert ran.code == 70
    assert "Traceback (most recent call last)" in ran.err
    assert "RuntimeError: the tape is torn" in ran.err


def test_a_command_that_does_not_exist_ends_with_2(run: Run) -> None:
    ran = run("rollbak", "x.py")
    assert ran.code == 2
    assert "rollbak" in ran.err


def test_what_a_model_is_made_of_is_found_under_the_name_that_import_gives_it(tmp_path: Path, run: Run) -> None:
    own = """
from river import compose
def doubled(x): return {name: 2 * value for name, value in x.items()}
shop = made("shop").replace(model=compose.FuncTransformer(doubled) | linear_model.LogisticRegression())
"""
    file = _written(tmp_path, own, "shop_of_two.py")
    (tmp_path / "visits.jsonl").write_text('{"id": "v-1", "at": 1, "pages": 2}\n')
    (tmp_path / "sales.jsonl").write_text('{"id": "v-1", "at": 2, "bought": true}\n')
    assert run("replay", file).code == 0
    assert sys.modules["shop_of_two"].__file__ == str(file)
    assert run("explain", file, "v-1", "--json").json["again"] == "equal"
    assert run("verify", file).code == 0
