"""The Kubernetes files: they render, every object is valid by its schema, and each overlay runs one engine."""

from __future__ import annotations

import base64
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.deploy.tools import (
    DEPLOY,
    KUSTOMIZED,
    OVERLAYS,
    ROOT,
    fetched,
    flink_deployment,
    from_maven,
    objects,
    ran,
    rendered,
    tool,
    yaml,
)

from eddyline.cli.flink_submit import command as submit
from eddyline.cli.retrain import command as retrain

KUBERNETES = "1.37"
OPERATOR = {
    "org.apache.flink:flink-kubernetes-operator-api:1.10.0": "b1f44814e17514fa8395c61b329a3ee9087123a5bda5b21fe1a495d5182c30b6",
    "org.apache.flink:flink-autoscaler:1.10.0": "5185e86960e29dc6b1b94f3ffe02d2a0718a3489b2468e96327513064d6dce60",
}
FLINK = {
    "org.apache.flink:flink-core:2.3.0": "26b63fadf4808727cfbdc5271ee600144dacf15db8aab5a77c1e59005ea140aa",
    "org.apache.flink:flink-python:2.3.0": "0f84bdd0184bc56e6d16422f683eb1516f957e106e754a09a6823d73eab2fd23",
}
NEWER_THAN_1_10 = {"job.autoscaler.utilization.target", "job.autoscaler.utilization.min", "job.autoscaler.utilization.max"}
MODELS = "@kubernetes-models/flink@1.0.1"
ASK = """
import {readFileSync} from "node:fs";
import {validate} from "./node_modules/@kubernetes-models/flink/_schemas/FlinkApacheOrgV1beta1FlinkDeployment.js";
validate(JSON.parse(readFileSync(process.argv[2])));
console.log(JSON.stringify((validate.errors ?? []).map((error) => `${error.instancePath} ${error.keyword}`)));
"""
WITH_FLINK = ("base", "overlays/flink-s3")


@pytest.fixture(scope="module")
def jars(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return from_maven({**OPERATOR, **FLINK}, tmp_path_factory.mktemp("maven"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    fetched(tool("npm"), "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", MODELS, folder=folder)
    (folder / "ask.js").write_text(ASK)
    return folder


@pytest.mark.parametrize("where", KUSTOMIZED)
def test_every_object_of_kubernetes_itself_is_valid_and_has_no_unknown_field(where: str, tmp_path: Path) -> None:
    own = [one for one in objects(where) if one["kind"] != "FlinkDeployment"]
    assert own
    for number, one in enumerate(own):
        (tmp_path / f"{number}.yaml").write_text(json.dumps(one))
    files = sorted(tmp_path.glob("*.yaml"))
    done = ran(tool("kubernetes-validate"), "--strict", "--kubernetes-version", KUBERNETES, *files)
    said = done.stdout + done.stderr
    assert not done.returncode, said
    assert said.count(" passed for resource ") == len(own), said


@pytest.mark.parametrize("where", WITH_FLINK)
def test_the_operator_1_14_takes_all_of_the_flink_deployment_but_its_version(where: str, models: Path, tmp_path: Path) -> None:
    # 1.14 is the newest schema that is packaged; Flink 2.3 needs 1.16. The day a newer one is packaged, this list gets empty.
    (tmp_path / "deployment.json").write_text(json.dumps(flink_deployment(where)))
    done = ran(tool("node"), "ask.js", tmp_path / "deployment.json", folder=models)
    assert json.loads(done.stdout) == ["/spec/flinkVersion enum"], done.stderr


@pytest.mark.parametrize("where", WITH_FLINK)
def test_the_flink_deployment_has_no_field_that_its_definition_does_not_know(
    where: str, jars: list[Path], tmp_path: Path
) -> None:
    # The definition that Apache publishes in a jar ends with 1.10: older, but the only one that can be asked about typos.
    with zipfile.ZipFile(jars[0]) as jar:
        definition = yaml(jar.read("META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"))
    (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1beta1"]
    schema, deployment = tmp_path / "schema.json", tmp_path / "deployment.json"
    schema.write_text(json.dumps(closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])))
    deployment.write_text(json.dumps(flink_deployment(where)["spec"]))
    done = ran(tool("check-jsonschema"), "--output-format", "json", "--schemafile", schema, deployment)
    errors = json.loads(done.stdout)["errors"]
    assert [error["path"] for error in errors] == ["$.flinkVersion"], errors


def closed(schema: Any) -> Any:
    """The schema with every object closed to fields that it does not name."""
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        made["properties"] = {name: closed(inner) for name, inner in schema["properties"].items()}
        made.setdefault("additionalProperties", False)
    return made


@pytest.mark.parametrize("where", WITH_FLINK)
def test_every_option_is_one_that_flink_or_its_operator_reads(where: str, jars: list[Path]) -> None:
    scaler, *others = [constants(jar) for jar in jars[1:]]
    flink = b"".join(others)
    options = flink_deployment(where)["spec"]["flinkConfiguration"]
    scaled = {name for name in options if name.startswith("job.autoscaler.")}
    # In this jar "job.autoscaler." and the rest of a name are two constants.
    unknown = {name for name in scaled if name.removeprefix("job.autoscaler.").encode() not in scaler}
    assert unknown == NEWER_THAN_1_10
    assert [name for name in options if name not in scaled and name.encode() not in flink] == []


def constants(jar: Path) -> bytes:
    """The bytes of every class that declares options; a name of an option stands in them as it is."""
    with zipfile.ZipFile(jar) as opened:
        names = [name for name in opened.namelist() if re.search(r"Options[^/]*\.class$", name)]
        assert names, jar
        return b"".join(opened.read(name) for name in names)


def test_each_overlay_runs_one_engine() -> None:
    kinds = {where: {one["kind"] for one in objects(where)} for where in OVERLAYS}
    assert "StatefulSet" in kinds["overlays/embedded"]
    assert "FlinkDeployment" not in kinds["overlays/embedded"]
    assert "FlinkDeployment" in kinds["overlays/flink-s3"]
    assert "StatefulSet" not in kinds["overlays/flink-s3"]


def test_the_overlays_leave_nothing_of_the_base_out_but_the_shared_volume() -> None:
    def names(where: str) -> set[tuple[str, str]]:
        return {(one["kind"], one["metadata"]["name"]) for one in objects(where)}

    left = names("base") - names(OVERLAYS[0]) - names(OVERLAYS[1])
    assert left == {("PersistentVolumeClaim", "eddyline-flink-state")}


def test_a_store_has_one_writer_on_kubernetes_too() -> None:
    (engine,) = [one for one in objects("overlays/embedded") if one["kind"] == "StatefulSet"]
    assert engine["spec"]["replicas"] == 1
    (claim,) = engine["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


@pytest.mark.parametrize("where", WITH_FLINK)
def test_parallelism_is_bounded_by_the_shards_of_the_stages(where: str) -> None:
    java = (ROOT / "src/eddyline/engines/flink/java/Shards.java").read_text()
    shards = re.search(r"\bCOUNT = (\d+);", java)
    assert shards is not None
    spec = flink_deployment(where)["spec"]
    options = spec["flinkConfiguration"]
    assert options["pipeline.max-parallelism"] == shards[1]
    assert f"pipeline.max-parallelism: {shards[1]}\n" in (DEPLOY / "compose.yaml").read_text()
    assert spec["job"]["parallelism"] <= int(options["job.autoscaler.vertex.max-parallelism"]) <= int(shards[1])


def test_the_argument_of_job_env_is_what_the_job_gets(tmp_path: Path) -> None:
    copied = tmp_path / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", copied)
    (copied / "base/job.env").write_text("argument=eyJuYW1lIjoiZnJhdWQifQ==\n")
    assert "    args:\n    - eyJuYW1lIjoiZnJhdWQifQ==\n" in rendered("overlays/flink-s3", copied)


def test_no_setting_of_the_deployment_is_overruled_by_the_argument_of_the_job() -> None:
    file = DEPLOY / "kubernetes/base/pipeline.py"
    done = CliRunner().invoke(submit, [str(file), "--brokers", "kafka:9092", "--print-argument", "python"])
    assert done.exit_code == 0, done.output
    document = json.loads(base64.urlsafe_b64decode(done.stdout))
    deployed = flink_deployment("base")["spec"]["flinkConfiguration"]
    differing = {name for name, value in document["flink"].items() if name in deployed and deployed[name] != value}
    assert (differing, document["parallelism"], document["serve_parallelism"]) == (set(), 0, 0)


def test_the_trainer_is_beside_the_job_and_never_beside_the_engine_of_one_process() -> None:
    (trainer,) = [one for one in objects("overlays/flink-s3") if one["kind"] == "Deployment"]
    (told,) = trainer["spec"]["template"]["spec"]["containers"]
    with retrain.make_context("retrain", told["args"][1:]) as context:
        assert (context.params["follow"], context.params["brokers"]) == (True, "replace-with-your-brokers:9092")
    assert {one["kind"] for one in objects("overlays/embedded")} & {"Deployment"} == set()


@pytest.mark.parametrize("where", OVERLAYS)
def test_what_is_yours_to_fill_in_says_so(where: str) -> None:
    text = rendered(where)
    images = re.findall(r"^ +(?:- )?image: (\S+)$", text, re.M)
    assert images
    assert all(image.startswith("replace-with-your-registry/") for image in images)
    for bucket in re.findall(r"s3://([^/]+)/", text):
        assert bucket == "replace-with-your-bucket"


@pytest.mark.parametrize("where", OVERLAYS)
def test_no_container_runs_as_root_or_may_become_it(where: str) -> None:
    for one in objects(where):
        pod = one.get("spec", {}).get("template", one.get("spec", {}).get("podTemplate"))
        if pod is None:
            continue
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
