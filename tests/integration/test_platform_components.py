"""Components of one service: a transformer before the predictor, an explainer beside it, and limits of the machine."""

from __future__ import annotations

import collections
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead_tests.waiting import eventually
from integration.platforms import Platform, constant, isvc, platform
from integration.servers import custom

FRONT = '''
"""A transformer: asks the predictor that its arguments name, and puts its own mark on the answer."""
import argparse
import http.client
import http.server
import json

parser = argparse.ArgumentParser()
parser.add_argument("--model_name")
parser.add_argument("--predictor_host")
parser.add_argument("--http_port", type=int)
given, _ = parser.parse_known_args()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_error(404)

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["content-length"]))
        predictor = http.client.HTTPConnection(given.predictor_host, timeout=60)
        predictor.request("POST", f"/v1/models/{given.model_name}:predict", asked)
        answer = predictor.getresponse()
        body = json.dumps({"status": answer.status, "mark": MARK, "inner": json.loads(answer.read())}).encode()
        predictor.close()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", given.http_port), Handler).serve_forever()
'''


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    with platform(folder / "manifests") as made:
        yield made


def front(folder: Path, mark: str) -> dict[str, Any]:
    program = folder / f"{mark}.py"
    program.write_text(FRONT.replace("MARK", repr(mark)))
    return {"containers": [{"name": "front", "image": "none", "command": [sys.executable, str(program)]}]}


def with_component(manifest: str, kind: str, component: dict[str, Any]) -> str:
    value = json.loads(manifest)
    value["spec"][kind] = component
    return json.dumps(value)


def test_a_canary_never_bypasses_the_transformer(running: Platform, tmp_path: Path) -> None:
    transformer = front(tmp_path, "front")
    running.declare(with_component(isvc("iris", constant(tmp_path / "v1", 1.0)), "transformer", transformer))
    running.wait_ready("iris")
    canary = isvc("iris", constant(tmp_path / "v2", 2.0), canaryTrafficPercent=50)
    running.declare(with_component(canary, "transformer", transformer))
    eventually(lambda: len(running.status("iris")["components"]["predictor"]["traffic"]) == 2)
    answers = [running.ask("iris").json() for _ in range(40)]
    assert {(each["mark"], each["status"]) for each in answers} == {("front", 200)}
    assert len(collections.Counter(each["inner"]["predictions"][0] for each in answers)) == 2
    conditions = {each["type"] for each in running.status("iris")["conditions"]}
    assert "TransformerReady" in conditions


def test_explain_goes_to_the_explainer_and_predict_does_not(running: Platform, tmp_path: Path) -> None:
    manifest = isvc("clear", constant(tmp_path / "v1", 1.0))
    running.declare(with_component(manifest, "explainer", front(tmp_path, "explainer")), "clear.yaml")
    running.wait_ready("clear")
    base = f"{running.url}/serving/default/clear/v1/models/clear"
    body = {"instances": [[1.0]]}
    explained = httpx.post(f"{base}:explain", json=body, trust_env=False, timeout=60).json()
    assert (explained["mark"], explained["inner"]) == ("explainer", {"predictions": [1.0]})
    assert httpx.post(f"{base}:predict", json=body, trust_env=False, timeout=60).json() == {"predictions": [1.0]}


def test_the_machine_caps_the_replicas_and_says_so(running: Platform, tmp_path: Path) -> None:
    manifest = json.loads(custom("greedy", tmp_path / "greedy", minReplicas=3))
    container = manifest["spec"]["predictor"]["containers"][0]
    container["resources"] = {"requests": {"cpu": str(len(os.sched_getaffinity(0)))}}
    running.declare(json.dumps(manifest), "greedy.yaml")
    running.wait_ready("greedy")
    assert len(running.replicas("greedy")) == 1
    limited = running.condition("greedy", "ReplicasLimited")
    assert (limited["status"], limited["reason"]) == ("True", "MachineLimit")
    assert "1 of 3 replicas" in limited["message"]


def test_a_strategy_is_swapped_by_an_annotation(running: Platform, tmp_path: Path) -> None:
    running.declare(custom("swapped", tmp_path / "swapped"), "swapped.yaml")
    running.wait_ready("swapped")
    (before,) = running.replicas("swapped")
    assert {each["strategy"] for each in running.view("swapped")["scaling"].values()} == {"kpa"}
    annotations = {"serving.kserve.io/autoscalerClass": "hpa"}
    running.declare(custom("swapped", tmp_path / "swapped", annotations=annotations), "swapped.yaml")
    eventually(lambda: {each["strategy"] for each in running.view("swapped")["scaling"].values()} == {"hpa"})
    (after,) = running.replicas("swapped")
    assert after["pid"] == before["pid"]


def test_more_requests_than_a_replica_carries_make_more_replicas(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "busy"
    annotations = {"autoscaling.knative.dev/target-burst-capacity": "0"}
    manifest = custom("busy", folder, annotations=annotations, scaleMetric="concurrency", scaleTarget=1, maxReplicas=3)
    running.declare(manifest, "busy.yaml")
    running.wait_ready("busy")
    (folder / "slow").touch()
    with httpx.Client(trust_env=False, timeout=60) as client, ThreadPoolExecutor(6) as pool:
        url = f"{running.url}/serving/default/busy/v1/models/busy:predict"
        asked = [pool.submit(client.post, url, content=b"{}") for _ in range(6)]
        eventually(lambda: sum(each["stage"] == "ready" for each in running.replicas("busy")) == 3)
        (folder / "slow").unlink()
        assert {each.result(60).status_code for each in asked} == {200}
