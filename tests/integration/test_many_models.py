"""A folder of many real models, served by the command: on demand, within a budget, by several clients at once."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from integration.processes import ServerProcess, served

MIB = 1 << 20
FLOWER = {"instances": [[6.8, 2.8, 4.8, 1.4]]}
ON_DEMAND = ("--load-on-demand", "true")


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("iris") / "iris.joblib"
    joblib.dump(SVC().fit(*load_iris(return_X_y=True)), path)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 48 MiB: a classifier that keeps what it has learned from."""
    path = tmp_path_factory.mktemp("large") / "large.joblib"
    rows = np.random.default_rng(0).normal(size=(48 * MIB // 8 // 64, 64))
    joblib.dump(KNeighborsClassifier(algorithm="brute").fit(rows, np.arange(len(rows)) % 3), path)
    return path


def folder_of(root: Path, model: Path, names: Sequence[str]) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / model.name).hardlink_to(model)
    return root


def predict(server: ServerProcess, name: str, width: int = 4) -> int:
    body = FLOWER if width == 4 else {"instances": [[0.0] * width]}
    return server.client.post(f"/v1/models/{name}:predict", json=body).status_code


def metric(server: ServerProcess, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", server.client.get("/metrics").text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def states(server: ServerProcess) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in server.client.post("/v2/repository/index").json()}


def test_a_thousand_models_cost_little_until_they_are_asked(tmp_path: Path, iris: Path) -> None:
    few = folder_of(tmp_path / "few", iris, ["m0000"])
    many = folder_of(tmp_path / "many", iris, [f"m{number:04}" for number in range(1000)])
    with served(few, ON_DEMAND) as server:
        before = server.memory()
    with served(many, ON_DEMAND) as server:
        assert server.memory() - before < 16 * MIB
        assert len(server.client.get("/v1/models").json()["models"]) == 1000
        assert 'model_name="m' not in server.client.get("/metrics").text
        threads = len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))
        assert threads < 50
        assert len(server.lines) < 10
        with ThreadPoolExecutor(8) as pool:
            names = [f"m{number:04}" for number in range(0, 1000, 100)]
            assert set(pool.map(lambda name: predict(server, name), names * 3)) == {200}
        assert [name for name, state in states(server).items() if state == "READY"] == names
        assert metric(server, "fairlead_models_loaded") == 10
        shown = server.client.get("/metrics").text
        assert 'fairlead_model_loads_total{cause="demand",outcome="ok"} 10.0' in shown


def test_memory_stays_within_the_budget_and_every_request_is_answered(tmp_path: Path, large: Path) -> None:
    names = [f"large{number}" for number in range(6)]
    folder = folder_of(tmp_path, large, names)
    with served(folder, [*ON_DEMAND, "--model-memory-budget", "160MiB"]) as server:
        assert predict(server, names[0], 64) == 200  # imports what all of them need
        one = server.memory()
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda name: predict(server, name, 64), names * 3)) == {200}
        assert server.memory() - one < 200 * MIB, "all six would take 240 MiB more"
        assert metric(server, "fairlead_model_evictions_total") >= 3
        assert 1 <= metric(server, "fairlead_models_loaded") <= 3
        assert metric(server, "fairlead_models_memory_bytes") <= 160 * MIB
        for name in names:
            server.client.post(f"/v2/repository/models/{name}/unload").raise_for_status()
        assert metric(server, "fairlead_models_memory_bytes") == 0
        assert server.memory() < one + 24 * MIB


def test_a_model_that_exceeds_the_budget_alone_is_told_with_both_sizes(tmp_path: Path, large: Path) -> None:
    folder = folder_of(tmp_path, large, ["large"])
    with served(folder, [*ON_DEMAND, "--model-memory-budget", "20MB"]) as server:
        refused = server.client.post("/v1/models/large:predict", json=FLOWER)
        assert refused.status_code == 503
        assert re.search(r"takes 48\.\d+ MiB of memory, and the budget is 19\.07 MiB", refused.json()["error"])


def test_names_that_no_route_can_hold_are_told_at_start(tmp_path: Path, iris: Path) -> None:
    folder = folder_of(tmp_path, iris, ["good", "not good"])
    with served(folder) as server:
        assert server.client.get("/v1/models").json() == {"models": ["good"]}
        messages = [str(line["message"]) for line in server.logged()]
        assert any("'not good' is not served" in message for message in messages)


def test_a_models_own_file_sets_its_runtime_and_a_wrong_one_harms_it_alone(tmp_path: Path, iris: Path) -> None:
    folder = folder_of(tmp_path, iris, ["good", "wrong"])
    (folder / "good" / "fairlead.json").write_text(json.dumps({"options": {"nthread": 1}, "format": "sklearn"}))
    (folder / "wrong" / "fairlead.json").write_text(json.dumps({"options": {"colour": "red"}}))
    with served(folder) as server:
        assert predict(server, "good") == 200
        assert predict(server, "wrong") == 503
        reasons = {entry["name"]: entry["reason"] for entry in server.client.post("/v2/repository/index").json()}
        assert "has no setting 'colour'" in reasons["wrong"]


def test_each_of_several_workers_loads_on_demand(tmp_path: Path, iris: Path) -> None:
    folder = folder_of(tmp_path, iris, ["a", "b"])
    with served(folder, [*ON_DEMAND, "--workers", "2"]) as server:
        assert {predict(server, name) for name in "ababab"} == {200}
        assert server.client.post("/v2/repository/models/a/load").status_code == 501
        assert server.client.post("/v2/repository/models/a/unload").status_code == 501
