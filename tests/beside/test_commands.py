"""What people type for work beside a job, and what they are told when it makes no sense."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.beside.shop import Easy, shop

from eddyline import Pipeline, days
from eddyline.cli.beside import seat_of, trainer_hint
from eddyline.cli.main import main
from eddyline.pipeline.loading import Loaded
from eddyline.records import Place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("shadow", Place("", "shadow")),
        ("canary:0.1", Place("", "canary", 0.1)),
        ("split:0.5", Place("", "split", 0.5)),
        ("champion", None),
    ],
)
def test_a_seat_is_typed_in_a_word(text: str, place: Place | None) -> None:
    assert seat_of(text) == place


@pytest.mark.parametrize("text", ["canary", "shadow:0.1", "canary:much", "throne", ""])
def test_what_is_no_seat_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is no seat; write shadow, canary:0\.1"):
        seat_of(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--follow"], "add --brokers"),
        (["--work", "somewhere"], "add --brokers"),
        (["--brokers", "127.0.0.1:1", "--out", "somewhere"], "write --work instead of --out"),
        (["--brokers", "127.0.0.1:1", "--follow", "--seat", "champion"], "takes a seat beside the champion"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "beside_shop.py"
    file.write_text("from tests.beside.shop import shop as make\nshop = make()\n")
    assert main(["retrain", str(file), "--nice", "0", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_brokers_that_do_not_answer_are_named(tmp_path: Path) -> None:
    def file(word: str) -> str:
        place = tmp_path / word / "beside_shop.py"  # who works beside a job has a folder there
        place.parent.mkdir()
        place.write_text("from tests.beside.shop import shop as make\nshop = make()\n")
        return str(place)

    asking = (["history"], ["report"], ["challengers"], ["incidents"])
    commands = (["retrain", "--nice", "0"], ["forget", "--events", "v-1"], *asking)
    asked = {
        word: subprocess.Popen(
            [sys.executable, "-m", "eddyline", word, file(word), *more, "--brokers", "127.0.0.1:1"],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for word, *more in commands  # all at once: each waits eight seconds for an answer
    }
    for word, process in asked.items():
        _, said = process.communicate(timeout=120)
        assert (word, process.returncode) == (word, 3)
        assert "127.0.0.1:1" in said


def test_who_submits_a_pipeline_that_retrains_is_told_who_trains(tmp_path: Path) -> None:
    def hint(pipeline: Pipeline) -> str | None:
        return trainer_hint(Loaded(pipeline, tmp_path / "shop.py", tmp_path / "shop.eddyline"))

    assert "eddyline retrain shop.py --follow --brokers" in str(hint(shop(decide=(Easy(every=days(7)),))))
    assert hint(shop()) is None
