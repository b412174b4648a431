"""The Dockerfiles and the compose file: linted, valid, pinned, and of one mind with the rest of the repository."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.deploy.tools import DEPLOY, ROOT, ran, tool, yaml

from eddyline.cluster.jars import pinned
from eddyline.pipeline.loading import load

DOCKERFILES = sorted((DEPLOY / "docker").glob("*.Dockerfile"), key=str)
LOCK = (ROOT / "src/eddyline/engines/flink/locks/py311.txt").read_text()


def compose() -> Any:
    return yaml((DEPLOY / "compose.yaml").read_bytes())


def bases(text: str) -> list[str]:
    """The images a Dockerfile starts from, without its own stages."""
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.M))
    return [image for image in re.findall(r"^FROM (\S+)", text, re.M) if image not in stages]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Any) -> None:
    done = ran(tool("hadolint"), "--no-color", file)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_compose_file_is_valid_by_the_schema_of_compose() -> None:
    done = ran(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert not done.returncode, done.stdout + done.stderr


def test_every_port_is_bound_to_this_machine_only() -> None:
    ports = [port for service in compose()["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_every_service_has_a_health_check_of_its_own_or_of_its_image() -> None:
    for name, service in compose()["services"].items():
        built = service.get("build", {}).get("dockerfile")
        assert "healthcheck" in service or "HEALTHCHECK" in (ROOT / built).read_text(), name


def test_every_image_is_pinned_to_a_full_version() -> None:
    images = [image for file in DOCKERFILES for image in bases(file.read_text())]
    images += [service["image"] for service in compose()["services"].values()]
    assert len(images) > 4
    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+(-[a-z0-9]+)*$", image)] == []


def test_the_images_have_the_versions_of_the_lock_and_of_the_pinned_jars() -> None:
    flink = re.search(r"^apache-flink==(\S+)", LOCK, re.M)
    assert flink is not None
    text = (DEPLOY / "docker/flink.Dockerfile").read_text()
    assert f"FROM flink:{flink[1]}-java17\n" in text
    (broker,) = [jar for jar in pinned("kafka") if jar.artifact == "kafka_2.13"]
    assert compose()["services"]["kafka"]["image"] == f"apache/kafka:{broker.version}"
    pythons = {image for file in DOCKERFILES for image in bases(file.read_text()) if image.startswith("python:")}
    assert len(pythons) == 1, "a model learned by one Python is answered by another"
    assert pythons.pop().startswith("python:3.11.")


def test_what_the_dockerfiles_take_from_the_repository_is_there_and_not_ignored() -> None:
    for file in DOCKERFILES:
        text = file.read_text()
        taken = re.findall(r"^COPY (?!--)(\S+) ", text, re.M) + re.findall(r"type=bind,source=([^,]+),", text)
        kept = [line[1:] for line in file.with_name(f"{file.name}.dockerignore").read_text().splitlines() if line[0] == "!"]
        assert taken
        for source in taken:
            assert any(line.startswith(source) for line in kept), (
                f"{file.name} takes {source}, which its ignore file leaves out"
            )
            assert source == "dist" or (ROOT / source).exists(), source


def test_the_health_check_looks_at_the_store_that_the_engine_writes() -> None:
    text = (DEPLOY / "docker/engine.Dockerfile").read_text()
    written = re.search(r'"--store", "([^"]+)"', text)
    looked_at = re.search(r'alive\.py", "([^"]+)"', text)
    assert written is not None
    assert looked_at is not None
    assert written[1] == looked_at[1]


def test_the_pipeline_that_is_deployed_is_a_pipeline() -> None:
    assert load(str(DEPLOY / "kubernetes/base/pipeline.py")).pipeline.name == "fraud"
