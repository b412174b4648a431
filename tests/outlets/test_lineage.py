"""OpenLineage's events, judged by the classes that its project generates from its published schemas."""

from __future__ import annotations

import enum
import json
import os
import types
import typing
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attr
import pytest
from openlineage.client import event_v2, facet_v2
from tests.outlets.prometheus import until
from tests.outlets.receiver import receiving
from tests.outlets.shop import SHOP, Sale, Visit, opened, trade

from eddyline import jsonl
from eddyline.outlets import beside
from eddyline.outlets.lineage import FACET, dataset_of, tracing, transport_to
from eddyline.records.errors import DeclarationError

SPEC = "EDDYLINE_OPENLINEAGE_SPEC"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LOOK_S", 0.05)
    monkeypatch.setattr(beside, "FIRST_PAUSE_S", 0.02)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The events of a run of 450 sales, and those of a second run that fails."""
    folder = tmp_path_factory.mktemp("lineage")
    target = folder / "lineage.jsonl"
    with opened(folder) as engine, tracing(engine, str(target), folder):
        trade(engine, range(450))
    with pytest.raises(OSError, match="the shop burned"):
        burn(folder, target)
    return lines(target)


def burn(folder: Path, target: Path) -> None:
    """A run that does not end well."""
    with opened(folder) as engine, tracing(engine, str(target), folder):
        trade(engine, range(450, 650))
        raise OSError("the shop burned")


def facet_classes() -> dict[str, type]:
    """The generated facets by the URL of their schema."""
    modules = [getattr(facet_v2, name) for name in dir(facet_v2) if isinstance(getattr(facet_v2, name), types.ModuleType)]
    found = [
        one for module in modules for one in vars(module).values() if isinstance(one, type) and hasattr(one, "_get_schema")
    ]
    return {one._get_schema(): one for one in found}


FACETS = facet_classes()


def conform(value: Any, kind: Any, where: str) -> None:
    """Asserts that a JSON value is what a generated class says: fields that must be there, none that must not, types."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            assert type(None) in typing.get_args(kind), where
            return
        (kind,) = [one for one in typing.get_args(kind) if one is not type(None)]
        origin = typing.get_origin(kind)
    if origin is list:
        assert isinstance(value, list), where
        for number, one in enumerate(value):
            conform(one, typing.get_args(kind)[0], f"{where}[{number}]")
    elif origin is dict:
        for name, one in value.items():
            facet = FACETS.get(one["_schemaURL"], event_v2.BaseEvent)
            assert urlsplit(one["_producer"]).scheme, f"{where}.{name}"
            assert urlsplit(one["_schemaURL"]).scheme, f"{where}.{name}"
            if facet is not event_v2.BaseEvent:
                conform(one, facet, f"{where}.{name}")
    elif attr.has(kind):
        hints, fields = typing.get_type_hints(kind), {field.name: field for field in attr.fields(kind)}
        assert set(value) <= set(fields), f"{where}: {set(value) - set(fields)}"
        for name, field in fields.items():
            if name in value:
                conform(value[name], hints[name], f"{where}.{name}")
            else:
                assert field.default is not attr.NOTHING, f"{where}.{name} is missing"
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        kind(value)
    else:
        assert isinstance(value, kind), f"{where}: {value!r} is no {kind}"


def test_every_event_has_what_the_generated_classes_demand_and_nothing_they_do_not_know(told: list[Any]) -> None:
    assert len(FACETS) > 20
    for event in told:
        conform(event, event_v2.RunEvent, "event")
        assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
        uuid.UUID(event["run"]["runId"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda event: event.pop("run"),
        lambda event: event.update(eventType="DONE"),
        lambda event: event["job"].update(owner="me"),
        lambda event: event["inputs"][0].pop("namespace"),
        lambda event: event["inputs"][0]["facets"]["schema"]["fields"][0].pop("name"),
        lambda event: event["job"]["facets"]["jobType"].update(integration=7),
    ],
)
def test_an_event_that_is_spoiled_does_not_pass(told: list[Any], spoil: Any) -> None:
    event = json.loads(json.dumps(told[0]))
    spoil(event)
    with pytest.raises((AssertionError, ValueError)):
        conform(event, event_v2.RunEvent, "event")


def test_every_event_and_facet_is_valid_by_the_published_json_schemas(told: list[Any]) -> None:
    folder = os.environ.get(SPEC)
    if folder is None:
        pytest.skip(f"did not run: {SPEC} does not say where the folder spec/ of OpenLineage's project is")
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing")
    schemas = [json.loads(path.read_text()) for path in Path(folder).rglob("*.json")]
    resources = [(one["$id"], referencing.Resource.from_contents(one)) for one in schemas if "$id" in one]
    registry = referencing.Registry().with_resources(resources)
    judged = set()
    for event in told:
        for what, url in [(event, event["schemaURL"]), *((facet, facet["_schemaURL"]) for facet in facets_in(event))]:
            if urlsplit(url).scheme != "urn":  # a facet of our own has a name, and no document
                validator = jsonschema.Draft202012Validator
                validator({"$ref": url}, registry=registry, format_checker=jsonschema.FormatChecker()).validate(what)
                judged.add(url)
    assert len(judged) == 5


def facets_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every facet within, however deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and "_schemaURL" in value:
        yield value
    for one in inner:
        yield from facets_in(one)


def test_a_run_starts_makes_versions_and_completes(told: list[Any]) -> None:
    first = [event for event in told if event["run"] == told[0]["run"] or event["run"]["runId"] == told[0]["run"]["runId"]]
    assert [event["eventType"] for event in first] == ["START", "RUNNING", "RUNNING", "RUNNING", "COMPLETE"]
    assert {(event["job"]["namespace"], event["job"]["name"]) for event in first} == {("eddyline", "shop")}
    assert [one["name"] for one in first[0]["inputs"]] == ["shop.events", "shop.labels"]
    made = [event["outputs"][0] for event in first[1:4]]
    assert [one["facets"]["version"]["datasetVersion"] for one in made] == ["shop@0", "shop@200", "shop@400"]
    assert first[-1]["outputs"] == [made[-1]]


def test_a_version_says_how_it_was_made_and_from_which_examples(told: list[Any], tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        trade(engine, range(450))
        kept = engine.store.versions()[-1]
    facet = told[3]["outputs"][0]["facets"][FACET]
    assert (facet["name"], facet["digest"], facet["recipeDigest"]) == (kept.name, kept.digest, kept.recipe)
    assert facet["parent"] == "shop@200"
    assert facet["examples"] == {"from": 200, "to": 400}
    assert facet["recipe"]["pipeline"] == SHOP.digest


def test_a_run_that_raises_fails_with_what_was_raised_and_tells_no_version_twice(told: list[Any]) -> None:
    second = told[5:]
    assert [event["eventType"] for event in second] == ["START", "RUNNING", "FAIL"]
    assert second[0]["run"]["runId"] != told[0]["run"]["runId"]
    assert second[1]["outputs"][0]["facets"]["version"]["datasetVersion"] == "shop@600"
    assert second[2]["run"]["facets"]["errorMessage"]["message"] == "OSError: the shop burned"


def test_a_lineage_server_gets_the_same_events_and_one_that_is_down_holds_up_nothing(tmp_path: Path) -> None:
    with receiving(lambda number: 503 if number < 3 else 201) as server, opened(tmp_path) as engine:
        with tracing(engine, server.url.partition("/hook")[0], tmp_path) as telling:
            trade(engine, range(60))
            until("the first version is taken", lambda: len(server.taken()) == 2)
            assert telling.fault is None
        assert [post.event["eventType"] for post in server.taken()] == ["START", "RUNNING", "COMPLETE"]
        assert {post.path for post in server.posts} == {"/api/v1/lineage"}


def test_files_are_named_as_openlineage_names_files(tmp_path: Path) -> None:
    events = dataset_of("shop.events", jsonl("visits.jsonl", Visit), tmp_path)
    assert (events.namespace, events.name) == ("file", str(tmp_path / "visits.jsonl"))
    labels = dataset_of("shop.labels", jsonl(str(tmp_path / "x" / "sales.jsonl"), Sale), tmp_path)
    assert labels.name == str(tmp_path / "x" / "sales.jsonl")


def test_a_target_that_is_neither_a_server_nor_a_file_is_refused() -> None:
    with pytest.raises(DeclarationError, match="neither a URL of the web nor a file"):
        transport_to("s3://bucket/lineage")
