"""InferenceServices without a cluster: declared in a folder, answered through the gateway, and gone with their file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tritonclient.grpc as triton

from fairlead_tests.waiting import eventually
from integration.platforms import Platform, constant, isvc, platform
from integration.servers import custom


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    manifests = folder / "manifests"
    manifests.mkdir()
    (manifests / "iris.yaml").write_text(isvc("iris", constant(folder / "iris", 7.0)))
    (manifests / "plain.yaml").write_text(custom("plain", folder / "plain"))
    with platform(manifests) as made:
        made.wait_ready("iris")
        made.wait_ready("plain")
        yield made


BODY = {"instances": [[1.0]]}


def test_a_model_answers_by_the_path_of_its_service(running: Platform) -> None:
    answer = running.ask("iris")
    assert (answer.status_code, answer.json()) == (200, {"predictions": [7.0]})


def test_a_model_answers_by_the_host_of_its_service(running: Platform) -> None:
    for host in (
        "iris-default.localhost",
        f"iris-default.localhost:{running.port}",
        "iris-predictor-default.localhost",
    ):
        url = f"{running.url}/v1/models/iris:predict"
        answer = httpx.post(url, json=BODY, headers={"host": host}, timeout=60, trust_env=False)
        assert (host, answer.status_code) == (host, 200), answer.text


def test_a_model_answers_over_grpc_at_the_same_port(running: Platform) -> None:
    tensor = triton.InferInput("input-0", [1, 1], "FP32")
    tensor.set_data_from_numpy(__import__("numpy").ones((1, 1), "float32"))
    options = [("grpc.default_authority", "iris-default.localhost")]
    with triton.InferenceServerClient(f"127.0.0.1:{running.port}", channel_args=options) as client:
        assert client.infer("iris", [tensor]).as_numpy("output-0").tolist() == [7.0]


def test_a_server_of_ones_own_answers_at_the_port_that_it_is_given(running: Platform) -> None:
    answer = running.ask("plain")
    assert answer.json()["name"] == "plain"
    assert answer.json()["path"] == "/v1/models/plain:predict"


def test_where_there_is_no_service_the_answer_says_so(running: Platform) -> None:
    answer = httpx.get(f"{running.url}/serving/default/nobody/v1/models", timeout=60, trust_env=False)
    assert answer.status_code == 404
    assert "No InferenceService is at" in answer.json()["error"]


def test_the_status_is_that_of_a_cluster(running: Platform) -> None:
    status = json.loads(running.run("status", "iris", "-o", "json"))["status"]
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    assert conditions["Ready"] == conditions["PredictorReady"] == conditions["IngressReady"] == "True"
    assert status["url"] == f"http://iris-default.localhost:{running.port}"
    assert status["modelStatus"]["states"] == {"activeModelState": "Loaded", "targetModelState": "Loaded"}
    assert status["clusterServingRuntimeName"] == "fairlead-sklearn"
    (traffic,) = status["components"]["predictor"]["traffic"]
    assert (traffic["revisionName"], traffic["percent"]) == ("iris-predictor-00001", 100)


def test_commands_show_the_services(running: Platform) -> None:
    assert "iris" in running.run("status")
    described = running.run("describe", "iris")
    assert "PredictorReady" in described
    assert "InferenceServiceReady" in described
    assert "model iris is ready" in running.run("logs", "iris")


def test_a_service_that_is_not_declared_any_more_goes(running: Platform, tmp_path: Path) -> None:
    running.declare(custom("passing", tmp_path / "passing"), "passing.yaml")
    running.wait_ready("passing")
    (replica,) = running.replicas("passing")
    (running.folder / "passing.yaml").unlink()
    eventually(lambda: running.view("passing") == {})
    assert running.ask("passing").status_code == 404
    assert not Path(f"/proc/{replica['pid']}").exists()


def test_delete_lets_a_service_go(running: Platform, tmp_path: Path) -> None:
    running.declare(custom("unloved", tmp_path / "unloved"), "unloved.yaml")
    running.wait_ready("unloved")
    running.run("delete", "unloved")
    eventually(lambda: running.view("unloved") == {})
    assert "There is no service unloved" in running.run("delete", "unloved", check=False)


def test_a_manifest_that_is_wrong_changes_nothing_and_is_told(running: Platform) -> None:
    running.declare('{"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceServise"}', "wrong.yaml")
    eventually(lambda: any("InferenceServise" in line for line in running.lines))
    assert running.ask("iris").status_code == 200
    (running.folder / "wrong.yaml").unlink()


def test_a_service_that_nothing_can_run_says_what_to_do(running: Platform, tmp_path: Path) -> None:
    text = isvc("boosted", tmp_path).replace('"sklearn"', '"autogluon"')
    running.declare(text, "boosted.yaml")
    eventually(lambda: running.condition("boosted").get("status") == "False")
    assert running.condition("boosted", "PredictorReady")["reason"] == "NoSupportingRuntime"
    assert "fairlead-runtime-autogluon" in running.run("describe", "boosted")
    (running.folder / "boosted.yaml").unlink()


def test_stop_ends_its_replicas_and_its_removal_starts_them(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "paused"
    running.declare(custom("paused", folder), "paused.yaml")
    running.wait_ready("paused")
    running.declare(custom("paused", folder, annotations={"serving.kserve.io/stop": "true"}), "paused.yaml")
    eventually(lambda: running.replicas("paused") == [] and not running.is_ready("paused"))
    assert running.condition("paused", "Stopped")["status"] == "True"
    assert running.ask("paused").status_code == 503
    running.declare(custom("paused", folder), "paused.yaml")
    running.wait_ready("paused")
    assert running.ask("paused").status_code == 200
    (running.folder / "paused.yaml").unlink()


def test_down_ends_everything(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "a.yaml").write_text(custom("a", tmp_path / "a"))
    with platform(manifests) as made:
        made.wait_ready("a")
        (replica,) = made.replicas("a")
        made.run("down")
        assert made.process.wait(60) == 0
        assert not Path(f"/proc/{replica['pid']}").exists()
        assert "No platform" in made.run("status", check=False)


def test_two_platforms_run_side_by_side(running: Platform, tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "iris.yaml").write_text(isvc("iris", constant(tmp_path / "other", 9.0)))
    with platform(manifests) as second:
        second.wait_ready("iris")
        assert second.ask("iris").json() == {"predictions": [9.0]}
        assert running.ask("iris").json() == {"predictions": [7.0]}


def test_a_port_in_use_ends_the_command_with_what_to_do(running: Platform, tmp_path: Path) -> None:
    environ = {**os.environ, "FAIRLEAD_STATE": str(tmp_path / "state"), "XDG_RUNTIME_DIR": ""}
    other = Platform(tmp_path, running.port, environ, running.process, [])
    said = other.run("up", str(running.folder), "--port", str(running.port), "--name", "second", check=False)
    assert str(running.port) in said
    assert "--port" in said


def test_kinds_that_nothing_runs_here_are_told(running: Platform) -> None:
    graph = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": {"name": "chain"},
        "spec": {"nodes": {"root": {"routerType": "Sequence", "steps": [{"serviceName": "iris"}]}}},
    }
    running.declare(json.dumps(graph), "graph.yaml")
    eventually(lambda: any("InferenceGraph chain has no effect here" in line for line in running.lines))
    (running.folder / "graph.yaml").unlink()
