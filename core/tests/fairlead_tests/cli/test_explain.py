"""``fairlead explain``: what services come to on this machine, and why each other runtime lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command
    from fairlead_tests.plugins import distributions

PLUGIN = """\
from fairlead import ModelFormat, RuntimeSpec, hookimpl

@hookimpl
def fairlead_runtimes():
    return (RuntimeSpec(name="frame", formats=(ModelFormat("frame"),), factory="nowhere:Runtime", artifacts=("*.bin",),
                        aliases=("kserve-frameserver",)),)
"""

IRIS = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: iris, annotations: {serving.kserve.io/autoscalerClass: none}}
spec:
  predictor:
    minReplicas: 2
    containerConcurrency: 4
    timeout: 30
    model: {modelFormat: {name: frame}, storageUri: "file:///models/iris", args: [--workers=2]}
  transformer:
    containers: [{name: mine, command: [python, transform.py]}]
"""

UNSERVED = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: unserved}
spec:
  predictor:
    model: {modelFormat: {name: autogluon}, storageUri: "file:///models/other"}
"""

RUNTIME = """\
apiVersion: serving.kserve.io/v1alpha1
kind: ServingRuntime
metadata: {name: mine}
spec:
  supportedModelFormats: [{name: frame, autoSelect: true}]
  protocolVersions: [v2]
  containers: [{name: kserve-container, image: "example/mine:1"}]
"""


@pytest.fixture
def folder(site: distributions.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to write manifests to, on a machine with the runtime plugin frame."""
    site.install("frame", plugin=PLUGIN)
    made = tmp_path / "manifests"
    made.mkdir()
    monkeypatch.setenv("COLUMNS", "100")
    return made


def test_what_runs_is_told_with_every_candidate(fairlead: Command, folder: Path) -> None:
    (folder / "iris.yaml").write_text(f"{IRIS}---\n{RUNTIME}")
    ran = fairlead("explain", str(folder / "iris.yaml"))
    assert (ran.status, ran.errors) == (0, "")
    lines = ran.output.splitlines()
    assert lines[0] == "InferenceService default/iris"
    assert "  asked at     http://iris-default.localhost or /serving/default/iris" in lines
    assert "predictor: iris-predictor" in lines
    assert "  model        frame, asked over v1" in lines
    assert "  runtime      fairlead-frame (the plugin frame)" in lines
    assert "  artefacts    file:///models/iris in /mnt/models" in lines
    assert "  replicas     2, and nothing scales" in lines
    table = [line.split(maxsplit=2) for line in lines if line.startswith(("  * ", "  - "))]
    assert ["*", "fairlead-frame", "it serves frame over v1, and no other runtime does"] in table
    assert ["-", "mine", "protocol v1: it speaks v2"] in table
    assert "--workers=2" in ran.output
    assert "python transform.py --model_name iris --predictor_host iris-predictor.default" in ran.output


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ("{}", "2 for each replica, with 1 nvidia.com/gpu on the first, and 1 on each other one"),
        ("{pipelineParallelSize: 1}", "1 for each replica, with 1 nvidia.com/gpu on the first"),
    ],
)
def test_the_nodes_of_a_replica_are_told(fairlead: Command, folder: Path, sizes: str, told: str) -> None:
    workers = "  workerSpec: {pipelineParallelSize: 2, containers: [{name: worker-container, image: x}]}"
    service = IRIS.replace("minReplicas: 2", f"workerSpec: {sizes}").replace("file:///models/iris", "pvc://claim/iris")
    (folder / "all.yaml").write_text(f"{service}---\n{RUNTIME.replace('[v2]', '[v1, v2]')}{workers}\n")
    ran = fairlead("explain", str(folder))
    assert f"  nodes        {told}\n" in ran.output


def test_credentials_are_told_by_their_names(fairlead: Command, folder: Path) -> None:
    iris = IRIS.replace("file:///models/iris", "http://h/iris.bin").replace(
        "minReplicas", "serviceAccountName: ml\n    minReplicas"
    )
    secret = (
        '{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {https-host: h, headers: \'{"A": "t0ken"}\'}}'
    )
    account = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: ml}, secrets: [{name: s}]}"
    (folder / "iris.yaml").write_text(f"{iris}---\n{secret}\n---\n{account}\n")
    ran = fairlead("explain", str(folder))
    assert (ran.status, ran.errors) == (0, "")
    assert "  credentials  the ServiceAccount ml" in ran.output.splitlines()
    text, data = (fairlead("explain", str(folder), "-o", output).output for output in ("yaml", "json"))
    assert "t0ken" not in text + data
    (source,) = json.loads(data)[0]["components"]["predictor"]["sources"]
    assert source["credentials"]["account"] == "ml"
    (folder / "iris.yaml").write_text(f"{iris}---\n{account}\n")
    ran = fairlead("explain", str(folder))
    assert ran.status == 1
    assert "cannot run   SecretNotFound: The ServiceAccount ml names the Secret 's'" in ran.output


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_lines_fit_the_terminal(fairlead: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    (folder / "all.yaml").write_text(f"{IRIS}---\n{UNSERVED}---\n{RUNTIME}")
    ran = fairlead("explain", str(folder))
    assert ran.output
    assert max(len(line) for line in ran.output.splitlines()) <= columns


def test_a_service_that_cannot_run_is_told_with_the_remedy_and_the_candidates(fairlead: Command, folder: Path) -> None:
    (folder / "all.yaml").write_text(f"{UNSERVED}---\n{IRIS}")
    ran = fairlead("explain", str(folder))
    assert (ran.status, ran.errors) == (1, "")
    unserved, iris = ran.output.split("\n\nInferenceService default/iris\n")
    assert "cannot run   NoSupportingRuntime: No runtime serves the format autogluon" in unserved
    assert "pip install fairlead-runtime-autogluon" in unserved
    assert "format autogluon is not among its formats: frame" in unserved
    assert "predictor: iris-predictor" in iris


def test_a_broken_plugin_is_a_candidate(fairlead: Command, folder: Path, site: distributions.Site) -> None:
    site.install("broken", plugin="raise RuntimeError('no luck')\n")
    (folder / "iris.yaml").write_text(IRIS)
    output = " ".join(fairlead("explain", str(folder)).output.split())
    assert "- fairlead-broken installed but broken:" in output


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_the_same_is_told_as_data(fairlead: Command, folder: Path, output: str) -> None:
    (folder / "all.yaml").write_text(f"{IRIS}---\n{UNSERVED}")
    ran = fairlead("explain", str(folder), "-o", output, "-n", "flowers")
    assert ran.status == 1
    iris, unserved = json.loads(ran.output) if output == "json" else yaml.safe_load(ran.output)
    assert (iris["namespace"], iris["resolvable"], iris["path"]) == ("flowers", True, "/serving/flowers/iris")
    predictor = iris["components"]["predictor"]
    assert predictor["pod"]["containers"][0]["env"] == [{"name": "INFERENCE_SERVICE_NAME", "value": "iris"}]
    assert predictor["scaling"]["spec"]["minReplicas"] == 2
    assert predictor["annotations"]["serving.kserve.io/autoscalerClass"] == "none"
    assert predictor["model"]["candidates"][0] == {
        "name": "fairlead-frame",
        "kind": "ClusterServingRuntime",
        "chosen": True,
        "reason": "it serves frame over v1, and no other runtime does",
    }
    assert len(predictor["digest"]) == 64
    assert unserved["error"]["condition"] == "NoSupportingRuntime"
    assert "fairlead-frame" in [each["name"] for each in unserved["error"]["candidates"]]


def test_a_wrong_manifest_is_an_error_and_nothing_is_told(fairlead: Command, folder: Path) -> None:
    (folder / "iris.yaml").write_text(IRIS.replace("minReplicas: 2", "minReplicas: -2"))
    ran = fairlead("explain", str(folder))
    assert (ran.status, ran.output) == (2, "")
    assert "minReplicas" in ran.errors


def test_manifests_without_a_service_are_an_error(fairlead: Command, folder: Path) -> None:
    (folder / "runtime.yaml").write_text(RUNTIME)
    ran = fairlead("explain", str(folder))
    assert (ran.status, ran.output) == (2, "")
    assert "There is no InferenceService" in ran.errors
