"""Scenarios as aligned tables: what arrives, line by line, and what must come of it.

    when  event  label   do     expect
    0     a
    3            a=yes          a is yes

Each line is a batch of its own. `when` is when the records of the line happened, in seconds, or with a unit: 90, 2m, 1h,
7d. Cells belong to the column under whose title they begin.

    event   `a`             something happened, by this id; `a at 5` happened at 5, whatever the line says
    label   `a=yes`         the truth about a became known; `a=yes at 5` became known at 5
    do      `drain`         the streams are complete
            `stop` `crash`  the engine is opened again, after a proper end or none
            `answer @3`     version 3 answers from here on; `answer live` the learner again
    expect  `a is yes`              an example; add `by absence`, `revision 1`, or `not learned`
            `a unlabelled`          its horizon passed without a truth
            `a refused label_late`  a dead letter and its reason
            `a answered @2`         which version answered, checked on lines that say so

Several cells of one kind are separated by commas. A line comes to what it says and to nothing else.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from river import dummy

from eddyline.connectors import memory
from eddyline.engines.loop import Outcome
from eddyline.pipeline import Pipeline
from eddyline.records import EpochSeconds, Event, Example, Id, Key, Label, Prediction, Truth, Unlabelled
from eddyline.stages.commands import Command
from eddyline.testing.given import Given
from eddyline.testing.memory import Journey
from eddyline.testing.voyage import Voyage

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class Case(Event):
    """An event of a scenario. Its key is its id, unless it says otherwise."""

    id: Id
    at: EpochSeconds
    key: Key = ""


class Verdict(Label):
    """A label of a scenario; the truth is a word."""

    id: Id
    at: EpochSeconds
    truth: Truth[str]


class Runner(Protocol):
    """What plays a scenario: a `Journey`, a `Voyage`, or an engine of yours behind these two."""

    def take(self, *given: Given) -> Outcome: ...
    def drain(self) -> Outcome: ...


def play(table: str, *, disk: bool = False, **fields: Any) -> None:
    """Plays a scenario and compares each line with what it expects. With `disk` it runs on a real store.

    `fields` are those of `Pipeline` that matter here: `join`, `lateness`, `publish`. The model says what it learned last.
    Raises AssertionError with the line, what was expected and what came.

    >>> from eddyline import Join, seconds
    >>> play('''
    ...     when  event  label   do     expect
    ...     0     a
    ...     1            a=yes          a is yes
    ...     2            a=yes
    ...     3            a=no           a is no revision 1 not learned
    ...     4     b                     b answered @1
    ...     30    c                     b unlabelled
    ... ''', join=Join(wait=seconds(20)))
    >>> play('''
    ...     when  event  label   expect
    ...     0     a              a is yes
    ... ''')
    Traceback (most recent call last):
    AssertionError: line 1: 0     a              a is yes
      expected  a is yes
      came      nothing
    """
    fields = {"model": dummy.NoChangeClassifier(), **fields}
    pipeline = Pipeline(name="scenario", events=memory([], Case), labels=memory([], Verdict), **fields)
    if not disk:
        _play(table, Journey(pipeline))
        return
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline, Path(folder)) as voyage:
        _play(table, voyage)


def _play(table: str, runner: Runner) -> None:
    for number, (line, cells) in enumerate(_rows(table), 1):
        outcome = _do(runner, cells) if cells.get("do") else runner.take(*_given(cells))
        wanted = _listed(cells.get("expect", ""))
        came = list(_said(outcome, answers=any(" answered " in f"{one} " for one in wanted)))
        assert sorted(came) == sorted(wanted), (
            f"line {number}: {line}\n  expected  {', '.join(wanted) or 'nothing'}\n  came      {', '.join(came) or 'nothing'}"
        )


def _rows(table: str) -> Iterator[tuple[str, dict[str, str]]]:
    head, *lines = [line for line in table.splitlines() if line.strip()]
    titles = [(found.start(), found.group()) for found in re.finditer(r"\S+", head)]
    unknown = [title for _, title in titles if title not in ("when", "event", "label", "do", "expect")]
    assert not unknown, f"columns {unknown} mean nothing; write when, event, label, do, expect"
    for line in lines:
        cells: dict[str, str] = {}
        for found in re.finditer(r"\S+(?: \S+)*", line):
            owner = [title for start, title in titles if start <= found.start()]
            assert owner, f"{found.group()!r} begins before the first column"
            assert owner[-1] not in cells, f"two cells under {owner[-1]!r} in {line.strip()!r}"
            cells[owner[-1]] = found.group()
        yield line.strip(), cells


def _given(cells: dict[str, str]) -> list[Given]:
    when, given = cells["when"], list[Given]()
    for cell in _listed(cells.get("label", "")):
        what, _, at = cell.partition(" at ")
        name, _, truth = what.partition("=")
        given.append(Verdict(id=name, at=_seconds(at or when), truth=truth))
    for cell in _listed(cells.get("event", "")):
        name, _, at = cell.partition(" at ")
        given.append(Case(id=name, at=_seconds(at or when), key=name))
    return given


def _do(runner: Runner, cells: dict[str, str]) -> Outcome:
    match cells["do"].split():
        case ["drain"]:
            return runner.drain()
        case ["answer", who]:
            return runner.take(Command(to=f"scenario{who}" if who.startswith("@") else who, author="a test"))
        case ["stop" | "crash" as how] if hasattr(runner, how):
            getattr(runner, how)()
            return Outcome()
    raise AssertionError(f"{cells['do']!r} cannot be done here; write drain, answer @N, and on a disk stop, crash")


def _said(outcome: Outcome, *, answers: bool) -> Iterator[str]:
    """What came out, in the words of the table."""
    for example, position in zip(outcome.examples, outcome.positions, strict=True):
        yield _example(example) + (" not learned" if position < 0 else "")
    for letter in outcome.dead:
        if letter.stream != "examples":
            yield f"{letter.event_id} refused {letter.reason}"
    for record in outcome.watched:
        if type(record) is Unlabelled:
            yield f"{record.prediction.event_id} unlabelled"
        elif answers and type(record) is Prediction:
            yield f"{record.event_id} answered @{record.position}"


def _example(example: Example) -> str:
    how = " by absence" if example.known == "absence" else ""
    revision = f" revision {example.revision}" if example.revision else ""
    return f"{example.prediction.event_id} is {example.truth}{how}{revision}"


def _listed(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(",") if part.strip()]


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(-?\d+)([smhd]?)", text)
    assert found, f"{text!r} is no time; write seconds, or 2m, 1h, 7d"
    return int(found[1]) * _UNITS[found[2]]
