"""What somebody is told whose pipeline runs and does nothing useful: no dead letter says it, so the run has to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]
DECLARED = """
from river import linear_model, preprocessing
from eddyline import Count, EpochSeconds, Event, Id, Key, Label, Pipeline, Promote, Retrain, Truth, Watch, csv, hours, jsonl


class Visit(Event):
    id: Id
    who: Key
    at: EpochSeconds
    pages: float


class Sale(Label):
    id: Id
    at: EpochSeconds
    bought: Truth[bool]


def features(visit, often):
    return {"pages": visit.pages, "often": often}


def half(y_true):
    return 0.5


HAS = dict(name="shop", events=jsonl("visits.jsonl", Visit), labels=jsonl("sales.jsonl", Sale), features=features,
           aggregates={"often": Count(over=hours(1))}, model=preprocessing.StandardScaler() | linear_model.LogisticRegression())
"""
VISITS = [f'{{"id": "v-{n}", "who": "c", "at": {n * 60}, "pages": {n}}}' for n in range(10)]
SALES = [f'{{"id": "v-{n}", "at": {n * 60 + 30}, "bought": {"true" if n % 2 else "false"}}}' for n in range(10)]


def _written(folder: Path, text: str, visits: list[str] = VISITS, sales: list[str] = SALES) -> Path:
    file = folder / "shop.py"
    file.write_text(f"{DECLARED}\n{text}\n")
    (folder / "visits.jsonl").write_text("".join(f"{line}\n" for line in visits))
    (folder / "sales.jsonl").write_text("".join(f"{line}\n" for line in sales))
    return file


def test_labels_whose_ids_are_those_of_no_event_are_told_with_both(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, "shop = Pipeline(**HAS)", sales=[line.replace("v-", "order-") for line in SALES])
    said = run("replay", file).out
    assert "early labels" in said
    assert "warning: no label found its event: labels have ids such as 'order-0', events such as 'v-0'\n" in said
    assert run("replay", file, "--json").json["early"] == 10
    assert "warning: no label found its event: labels have ids such as 'order-" in run("replay", file, "--drain").out


def test_labels_that_find_their_events_raise_no_warning(tmp_path: Path, run: Run) -> None:
    said = run("replay", _written(tmp_path, "shop = Pipeline(**HAS)")).out
    assert "warning" not in said
    assert "early labels" not in said
    assert "late events" not in said


def test_a_file_that_is_not_in_the_order_of_time_is_told_with_what_to_do(tmp_path: Path, run: Run) -> None:
    said = run("replay", _written(tmp_path, "shop = Pipeline(**HAS)", visits=VISITS[::-1])).out
    assert "warning: 9 of 10 events are older than what came before them, and enter no aggregate\nsort the source" in said
    (tmp_path / "shop.eddyline").unlink()
    late = _written(tmp_path, "shop = Pipeline(**HAS, lateness=hours(1))", visits=VISITS[::-1]).rename(tmp_path / "late.py")
    assert "late events" not in run("replay", late, "--store", tmp_path / "late.eddyline").out


def test_a_metric_that_raises_is_told_with_what_it_said(tmp_path: Path, run: Run) -> None:
    said = run("replay", _written(tmp_path, "shop = Pipeline(**HAS, watch=Watch(metrics=(half,)))")).out
    assert "half raised" in said
    assert "warning: half raised TypeError: half() takes 1 positional argument but 2 were given on event 'v-0'" in said


def test_a_model_that_cannot_learn_fails_check_and_is_told_by_a_run(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, 'shop = Pipeline(**{**HAS, "features": lambda visit: {"who": visit.who}})')
    checked = run("check", file)
    assert checked.code == 5
    assert "shop  FAILS: it cannot learn: TypeError: unsupported operand type(s) for -: 'str' and 'float'" in checked.out
    assert "unsupported operand" in run("check", file, "--json").json["learns"]["failed"]
    said = run("replay", file).out
    assert f"nothing was learned: the model refused every example\nsee why: eddyline dead-letters {file} --reason model" in said


def test_features_that_a_model_cannot_take_are_named_with_what_to_write(tmp_path: Path, run: Run) -> None:
    made = "def features(visit, often):\n    return {'pages': visit.pages, 'who': visit.who, 'past': None}\n"
    file = _written(tmp_path, f"{made}HAS['features'] = features\nshop = Pipeline(**HAS)")
    said = run("check", file).out.replace("\n", " ")
    assert "`past` is None: say in features what a missing value means" in " ".join(said.split())
    run("replay", file)
    letter = run("dead-letters", file, "--reason", "model_failed", "--show", "1").out
    assert "next" in letter
    assert "0.0 if past is None else past" in " ".join(letter.split())


def test_a_label_whose_name_is_nearly_that_of_the_record_is_told_it_by_check_and_letter(tmp_path: Path, run: Run) -> None:
    sales = [line.replace('"bought"', '"boughts"') for line in SALES]
    file = _written(tmp_path, "shop = Pipeline(**HAS)", sales=sales)
    said = (
        'the record has `boughts`: call the field so, or say it in the class: class Sale(Label, rename={"bought": "boughts"})'
    )
    assert said in " ".join(run("check", file).out.split())
    assert run("check", file, "--json").json["records"][1]["refused"]["next"] == said
    run("replay", file)
    assert said in " ".join(run("dead-letters", file, "--stream", "labels", "--show", "1").out.split())


def test_a_field_that_may_be_missing_and_has_another_name_in_the_data_is_noted_by_check(tmp_path: Path, run: Run) -> None:
    more = "class Longer(Visit):\n    minutes: float = 0.0\n"
    lines = [line.replace("}", ', "Minutes": 4.5}') for line in VISITS]
    file = _written(tmp_path, f"{more}HAS['events'] = jsonl('visits.jsonl', Longer)\nshop = Pipeline(**HAS)", visits=lines)
    said = "the first record has no 'minutes', which may be missing; it has 'Minutes', which no field takes\n"
    assert f'{said}      if that is meant: class Longer(Event, rename={{"minutes": "Minutes"}})' in run("check", file).out
    table = "id,who,at,pages,Minutes\nv-1,c,60,1,4.5\n"
    (tmp_path / "visits.csv").write_text(table)
    rows = tmp_path / "rows.py"
    rows.write_text(file.read_text().replace("jsonl('visits.jsonl', Longer)", "csv('visits.csv', Longer)"))
    assert f'{said}      if that is meant: columns={{"minutes": "Minutes"}}' in run("check", rows).out
    (tmp_path / "visits.csv").write_text(table.replace("Minutes", "minutes"))
    assert "which no field takes" not in run("check", rows).out


def test_metrics_over_silence_alone_are_told_to_say_nothing(tmp_path: Path, run: Run) -> None:
    silent = "from eddyline import Join, memory\nHAS['labels'] = memory([], Sale)\n"
    file = _written(tmp_path, f"{silent}shop = Pipeline(**HAS, join=Join(wait=hours(1), absent=False))")
    assert "warning: every truth was told by silence, and all of them are the same" in run("replay", file, "--drain").out


def test_a_model_that_can_learn_passes_check(tmp_path: Path, run: Run) -> None:
    checked = run("check", _written(tmp_path, "shop = Pipeline(**HAS)"), "--json")
    assert checked.code == 0
    assert checked.json["learns"] == {"failed": ""}


def test_answers_of_a_model_that_says_nothing_yet_are_counted(tmp_path: Path, run: Run) -> None:
    silent = 'from river import dummy\nshop = Pipeline(**{**HAS, "model": dummy.NoChangeClassifier()})'
    ran = run("replay", _written(tmp_path, silent), "--json").json
    assert (ran["labelled"], ran["silent"], ran["metrics"][0]["count"]) == (10, 1, 9)
    assert "answered None" in run("replay", tmp_path / "shop.py").out


def test_sources_without_a_record_are_called_so(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, "shop = Pipeline(**HAS)", [], [])
    assert run("replay", file).out.startswith("shop: the sources hold no record yet\n")


def test_a_refused_record_says_what_to_write_where_it_is_looked_at(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, "shop = Pipeline(**HAS)", visits=[VISITS[0].replace('"pages": 0', '"pages": null')])
    advised = "where it may be missing, declare it so in class Visit: pages: float | None = None"
    assert advised in " ".join(run("check", file).out.split())
    run("replay", file)
    assert advised in " ".join(run("dead-letters", file, "--show", 1).out.split())


def test_seconds_that_are_declared_as_milliseconds_are_noted_by_check(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, "shop = Pipeline(**HAS)", visits=['{"id": "v-1", "who": "c", "at": 1767225600, "pages": 1}'])
    assert "note: events" not in run("check", file).out
    millis = tmp_path / "millis.py"
    millis.write_text(file.read_text().replace("EpochSeconds", "EpochMillis"))
    said = run("check", millis).out
    assert "note: events: the first record happened at 1970-01-21T10:53:45.600000Z: its at is 1767225600\n" in said
    assert "declare at: EpochSeconds" in said


def test_a_model_of_numbers_for_a_truth_of_two_classes_is_noted_by_check(tmp_path: Path, run: Run) -> None:
    numbers = 'shop = Pipeline(**{**HAS, "model": linear_model.LinearRegression()})'
    assert "note: model: it answers numbers, and the truth is true or false" in run("check", _written(tmp_path, numbers)).out


def test_retrained_models_that_nothing_ends_are_noted_by_check(tmp_path: Path, run: Run) -> None:
    policies = 'decide=(Promote(), Retrain(on="error_drift"))'
    said = run("check", _written(tmp_path, f"shop = Pipeline(**HAS, {policies})")).out
    assert "note: retrain: each model that it makes takes a seat in the shadow" in said
    ending = tmp_path / "ending.py"
    ending.write_text((tmp_path / "shop.py").read_text().replace("Promote()", "Promote(deadline=hours(12))"))
    assert "note: retrain" not in run("check", ending).out


def test_an_argument_with_a_typo_is_told_the_one_that_was_meant(tmp_path: Path, run: Run) -> None:
    refused = run("check", _written(tmp_path, "shop = Pipeline(**HAS, chalengers=())"))
    assert refused.code == 2
    assert refused.err.endswith("did you mean challengers=?\n")


def test_an_argument_that_is_missing_is_told_with_those_that_there_are(tmp_path: Path, run: Run) -> None:
    refused = run("check", _written(tmp_path, 'shop = Pipeline(**{**HAS, "events": jsonl("visits.jsonl")})'))
    assert refused.err.endswith("jsonl takes path, type, max_line; see: python -c 'import eddyline; help(eddyline.jsonl)'\n")
    mine = run("check", _written(tmp_path, "shop = features()"))
    assert "eddyline.features" not in mine.err


def test_no_labels_at_all_are_told_how_to_declare_that(tmp_path: Path, run: Run) -> None:
    refused = run("check", _written(tmp_path, 'shop = Pipeline(**{**HAS, "labels": None})'))
    assert "where no truth ever comes, labels=memory([], YourType)" in refused.err


def test_a_model_given_as_a_challenger_is_told_in_one_line(tmp_path: Path, run: Run) -> None:
    refused = run("check", _written(tmp_path, "shop = Pipeline(**HAS, challengers=(linear_model.Perceptron(),))"))
    assert refused.err.count("\n") == 3
    assert refused.err.endswith('write challengers=(Challenger("deep", model=...),)\n')


def test_a_table_with_another_separator_or_name_is_told_which(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, 'shop = Pipeline(**{**HAS, "events": csv("visits.csv", Visit)})')
    table = tmp_path / "visits.csv"
    for header, said in (
        ("id;who;at;pages", "they are separated by ';': csv(..., delimiter=';')"),
        ("id,who,at,Pages", "say which one it is: columns={\"pages\": 'Pages'}"),
        ("who,at,pages", 'or make it of the row: columns={"id": RowId()}'),
        ("1,2,3,4", "none is a field of Visit: name them in the first line of a CSV file"),
    ):
        table.write_text(f"{header}\n")
        refused = run("check", file)
        assert refused.code == 3
        assert said in refused.err


def test_a_row_with_too_many_cells_is_told_by_check_as_by_a_run(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, 'shop = Pipeline(**{**HAS, "events": csv("visits.csv", Visit)})')
    (tmp_path / "visits.csv").write_text("id,who,at,pages\nv-1,c,0,1,2\n")
    assert "line 2: 5 cells, and the header has 4" in run("check", file).out


def test_an_event_that_was_forgotten_is_explained_as_such(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, "shop = Pipeline(**HAS)")
    run("replay", file)
    assert "forgotten" not in run("explain", file, "v-3").out
    assert run("forget", file, "--events", "v-3").code == 0
    assert "forgotten: no line that answers now has learned it; the journal keeps it" in run("explain", file, "v-3").out
    assert run("explain", file, "v-3", "--json").json["forgotten"] is True
    assert run("explain", file, "v-4", "--json").json["forgotten"] is False


def test_an_id_that_is_not_there_is_told_what_ids_look_like(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, "shop = Pipeline(**HAS)")
    run("replay", file)
    refused = run("explain", file, "3")
    assert (refused.code, refused.err.splitlines()[1]) == (6, "ids are compared as text, exactly; the first one is 'v-0'")


def test_a_candidate_that_can_learn_nothing_is_told_what_its_model_said(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, "shop = Pipeline(**HAS)")
    run("replay", file)
    candidate = tmp_path / "candidate.py"
    candidate.write_text(
        "from river import linear_model, preprocessing\nfrom eddyline import Candidate\n"
        "def features(visit):\n    return {'who': visit.who}\n"
        "model = preprocessing.StandardScaler() | linear_model.LogisticRegression()\n"
        f"candidate = Candidate(pipeline={file.name!r}, model=model, features=features)\n"
    )
    refused = run("test", candidate)
    assert refused.code == 6
    assert "examples could be learned: while learning: TypeError: unsupported operand type(s)" in refused.err
    assert "the model refused each of them" in refused.err


def test_metrics_tell_positions_of_sources_and_not_their_marks(tmp_path: Path, run: Run) -> None:
    file = _written(tmp_path, "shop = Pipeline(**HAS)")
    run("replay", file)
    said = [line for line in run("metrics", file).out.splitlines() if line.startswith("eddyline_source_position{")]
    assert sorted(line.split('source="')[1].split('"')[0] for line in said) == ["events", "labels"]


def test_the_package_itself_runs_as_a_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "eddyline", "--version"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.split()[0]) == (0, "eddyline")
