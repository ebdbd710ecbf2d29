"""Scale to zero: requests that come while there are no replicas wait, and each is answered once or told why not."""

from __future__ import annotations

import collections
import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton

from fairlead_tests.waiting import eventually
from integration.platforms import Platform, constant, isvc, platform
from integration.servers import custom, pulse

PULSE = {"serving.kserve.io/autoscalerClass": "pulse"}
PULSING = tuple(f"pulsing-{number}" for number in range(5))
ROUNDS = 10  # of each of these


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    with platform(folder / "manifests", environ=pulse(folder / "site")) as made:
        yield made


def at_zero(running: Platform, name: str) -> bool:
    return running.is_ready(name) and running.replicas(name) == []


def test_the_first_request_wakes_a_model_and_is_answered(running: Platform, tmp_path: Path) -> None:
    manifest = isvc("sleeper", constant(tmp_path / "model", 3.0), annotations=PULSE, minReplicas=0)
    running.declare(manifest, "sleeper.yaml")
    eventually(lambda: at_zero(running, "sleeper"))
    assert running.ask("sleeper").json() == {"predictions": [3.0]}
    eventually(lambda: at_zero(running, "sleeper"))
    assert running.status("sleeper")["modelStatus"]["states"]["activeModelState"] == "Standby"


def test_the_first_call_over_grpc_wakes_a_model_and_is_answered(running: Platform, tmp_path: Path) -> None:
    manifest = isvc("caller", constant(tmp_path / "model", 4.0), annotations=PULSE, minReplicas=0)
    running.declare(manifest, "caller.yaml")
    eventually(lambda: at_zero(running, "caller"))
    tensor = triton.InferInput("input-0", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.ones((1, 1), np.float32))
    options = [("grpc.default_authority", "caller-default.localhost")]
    with triton.InferenceServerClient(f"127.0.0.1:{running.port}", channel_args=options) as client:
        assert client.infer("caller", [tensor], client_timeout=60).as_numpy("output-0").tolist() == [4.0]


def test_a_transformer_at_zero_is_woken_before_its_predictor(running: Platform, tmp_path: Path) -> None:
    manifest = json.loads(custom("chained", tmp_path / "predictor", annotations=PULSE, minReplicas=0))
    front = json.loads(custom("chained", tmp_path / "front", label="front", minReplicas=0))
    manifest["spec"]["transformer"] = front["spec"]["predictor"]
    running.declare(json.dumps(manifest), "chained.yaml")
    eventually(lambda: at_zero(running, "chained"))
    assert running.ask("chained").json()["name"] == "front"


@pytest.mark.timeout(240)
def test_fifty_rounds_between_zero_and_one_lose_no_request(running: Platform, tmp_path: Path) -> None:
    for name in PULSING:
        running.declare(custom(name, tmp_path / name, annotations=PULSE, minReplicas=0), f"{name}.yaml")
    for name in PULSING:
        running.wait_ready(name)
    outcomes: collections.Counter[str] = collections.Counter()
    lives: dict[str, set[int]] = {name: set() for name in PULSING}
    stop = threading.Event()

    def ask(name: str, seed: int) -> None:
        mine = random.Random(seed)
        while not stop.is_set():
            answer = running.ask(name)
            outcomes[str(answer.status_code)] += 1
            if answer.status_code == 200:
                assert answer.json()["name"] == name
                lives[name].add(answer.json()["pid"])
            else:
                assert answer.headers["retry-after"]
            # Pauses around the time after which the strategy lets go, so that requests meet every step of the way.
            stop.wait(mine.uniform(0.2, 2.2))

    def done() -> bool:
        return all(len(each) >= ROUNDS for each in lives.values())

    with ThreadPoolExecutor(2 * len(PULSING)) as pool:
        asking = [pool.submit(ask, name, seed) for seed, name in enumerate((*PULSING, *PULSING))]
        try:
            eventually(lambda: done() or any(each.done() for each in asking), patience=200)
        finally:
            stop.set()
        for each in asking:
            each.result(60)
    assert set(outcomes) <= {"200", "503", "504"}
    assert outcomes["200"] == outcomes.total()


def test_a_client_that_gives_up_leaves_the_queue(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "late"
    running.declare(custom("late", folder, annotations=PULSE, minReplicas=0), "late.yaml")
    eventually(lambda: at_zero(running, "late"))
    (folder / "unready").touch()
    with pytest.raises(httpx.TimeoutException):
        running.ask("late", timeout=1)
    (folder / "unready").unlink()
    assert running.ask("late").status_code == 200


def test_a_request_waits_no_longer_than_its_timeout(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "patient"
    manifest = custom("patient", folder, annotations=PULSE, minReplicas=0, timeout=1)
    running.declare(manifest, "patient.yaml")
    eventually(lambda: at_zero(running, "patient"))
    (folder / "unready").touch()
    before = time.monotonic()
    answer = running.ask("patient")
    assert answer.status_code == 504
    assert answer.headers["retry-after"]
    assert "error" in answer.json()
    assert time.monotonic() - before < 30
    (folder / "unready").unlink()
    eventually(lambda: running.ask("patient").status_code == 200)
