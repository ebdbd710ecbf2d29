"""Rollouts under load: a canary starts, is promoted or rolled back, a spec changes, and no request is lost."""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead_tests.waiting import eventually
from integration.counting import Counted, load
from integration.platforms import Platform, constant, isvc, platform

BODY = json.dumps({"instances": [[1.0]]})


class Models:
    """Models that answer with their own number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, number: int) -> Path:
        return constant(self.folder / f"v{number}", float(number))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    with platform(folder / "manifests") as made:
        yield made


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


def path(name: str) -> str:
    return f"/serving/default/{name}/v1/models/{name}:predict"


def traffic(running: Platform, name: str) -> dict[str, int]:
    component = running.status(name).get("components", {}).get("predictor", {})
    return {each["revisionName"]: each["percent"] for each in component.get("traffic", [])}


def only_answers(counted: Counted) -> bool:
    assert dict(counted.outcomes) == {"200": counted.answered}
    assert counted.refused == 0
    return True


def more(counted: Counted, count: int = 100) -> None:
    reached = counted.answered
    eventually(lambda: counted.answered > reached + count)


def answers(running: Platform, name: str, count: int) -> collections.Counter[float]:
    found: collections.Counter[float] = collections.Counter()
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    with contextlib.closing(connection):
        for _ in range(count):
            connection.request("POST", path(name), BODY, {"content-type": "application/json"})
            found[json.load(connection.getresponse())["predictions"][0]] += 1
    return found


def test_a_canary_its_promotion_and_a_rollback_lose_no_request(running: Platform, models: Models) -> None:
    running.declare(isvc("iris", models[1]))
    running.wait_ready("iris")
    with load(running.port, path("iris"), BODY) as counted:
        more(counted)
        running.declare(isvc("iris", models[2], canaryTrafficPercent=20))
        eventually(lambda: traffic(running, "iris") == {"iris-predictor-00002": 20, "iris-predictor-00001": 80})
        more(counted)
        running.declare(isvc("iris", models[2]))
        eventually(lambda: traffic(running, "iris") == {"iris-predictor-00002": 100})
        more(counted)
        running.declare(isvc("iris", models[3], canaryTrafficPercent=50))
        eventually(lambda: traffic(running, "iris").get("iris-predictor-00003") == 50)
        more(counted)
        running.declare(isvc("iris", models[2], canaryTrafficPercent=50))
        eventually(lambda: set(traffic(running, "iris")) == {"iris-predictor-00002"})
        more(counted)
    assert only_answers(counted)
    assert set(answers(running, "iris", 50)) == {2.0}


def test_a_changed_spec_takes_traffic_only_once_it_answers(running: Platform, models: Models) -> None:
    running.declare(isvc("changing", models[1]), "changing.yaml")
    running.wait_ready("changing")
    with load(running.port, path("changing"), BODY) as counted:
        more(counted)
        running.declare(isvc("changing", models.folder / "nothing"), "changing.yaml")
        eventually(lambda: running.status("changing")["modelStatus"]["transitionStatus"] == "BlockedByFailedLoad")
        assert traffic(running, "changing") == {"changing-predictor-00001": 100}
        assert running.is_ready("changing")
        running.declare(isvc("changing", models[4]), "changing.yaml")
        eventually(lambda: traffic(running, "changing") == {"changing-predictor-00003": 100})
        more(counted)
    assert only_answers(counted)
    assert set(answers(running, "changing", 20)) == {4.0}


def test_an_earlier_revision_that_answers_is_not_taken_for_the_latest(running: Platform, models: Models) -> None:
    running.declare(isvc("lagging", models[1]), "lagging.yaml")
    assert "default/lagging: Ready at" in running.run("wait", "lagging")
    running.declare(isvc("lagging", models.folder / "nothing"), "lagging.yaml")
    told = (
        "lagging-predictor-00002 does not answer, and lagging-predictor-00001 goes on answering: FetchFailed: "
        f"There is nothing at {models.folder / 'nothing'}."
    )
    failed = running.run("wait", "lagging", check=False)
    assert f"error: default/lagging does not become Ready: {told}" in failed
    assert failed.endswith("See more with: fairlead describe lagging\n")
    assert running.is_ready("lagging")
    assert running.ask("lagging").json() == {"predictions": [1.0]}
    assert f"default/lagging: {told}" in running.run("status", "lagging")
    eventually(lambda: any(told in line for line in running.lines))
    assert sum(told in line for line in running.lines) == 1
    assert any("WARNING" in line and f"RevisionFailed: Revision {told}" in line for line in running.lines)
    wrong = isvc("lagging", models[2]).replace('"sklearn"', '"autogluon"')
    running.declare(wrong, "lagging.yaml")
    assert "does not become Ready: NoSupportingRuntime" in running.run("wait", "lagging", check=False)
    running.declare(isvc("lagging", models.folder / "nowhere"), "lagging.yaml")
    assert "lagging-predictor-00003 does not answer" in running.run("wait", "lagging", check=False)
    running.declare(isvc("lagging", models[2]), "lagging.yaml")
    assert "default/lagging: Ready at" in running.run("wait", "lagging")
    assert running.ask("lagging").json() == {"predictions": [2.0]}
    eventually(lambda: sum("default/lagging: Ready at" in line for line in running.lines) == 2)
    assert sum("NoSupportingRuntime" in line for line in running.lines) == 1
    (running.folder / "lagging.yaml").unlink()


def test_a_canary_that_fails_is_told_and_takes_nothing(running: Platform, models: Models) -> None:
    declared = json.loads(isvc("caged", models[1]))
    declared["spec"]["predictor"]["name"] = "stable"
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": f"file://{models.folder / 'nothing'}"}
    declared["spec"]["canary"] = [{"trafficPercent": 20, "predictor": {"name": "bird", "model": model}}]
    running.declare(json.dumps(declared), "caged.yaml")
    said = "anary bird does not answer: FetchFailed: There is nothing at"
    eventually(lambda: any(f"CanaryFailed: C{said}" in line for line in running.lines))
    assert "default/caged: Ready at" in running.run("wait", "caged")
    assert f"default/caged: c{said}" in running.run("status", "caged")
    assert set(answers(running, "caged", 20)) == {1.0}
    (running.folder / "caged.yaml").unlink()


def test_a_canary_takes_its_part_of_ten_thousand_requests(running: Platform, models: Models) -> None:
    running.declare(isvc("parted", models[1]), "parted.yaml")
    running.wait_ready("parted")
    running.declare(isvc("parted", models[2], canaryTrafficPercent=20), "parted.yaml")
    eventually(lambda: len(traffic(running, "parted")) == 2)
    with ThreadPoolExecutor(4) as pool:
        counted = pool.map(lambda _: answers(running, "parted", 2_500), range(4))
        found = sum(counted, collections.Counter[float]())
    # Four standard deviations of a binomial distribution: one run in 16 000 is outside by chance.
    assert abs(found[2.0] - 2_000) < 4 * (10_000 * 0.2 * 0.8) ** 0.5


def with_canary(name: str, stable: dict[str, Any], *canaries: tuple[int, dict[str, Any]], **annotations: str) -> str:
    said = {"serving.kserve.io/deploymentMode": "Standard", **annotations}
    spec: dict[str, Any] = {"predictor": stable}
    if canaries:
        spec["canary"] = [{"predictor": each, "trafficPercent": percent} for percent, each in canaries]
    metadata = {"name": name, "annotations": said}
    return json.dumps(
        {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata, "spec": spec}
    )


def predictor(name: str | None, model: Path) -> dict[str, Any]:
    made: dict[str, Any] = {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": f"file://{model}"}}
    return made if name is None else {"name": name, **made}


def test_a_canary_predictor_is_promoted_without_a_restart(running: Platform, models: Models) -> None:
    running.declare(with_canary("twin", predictor("v1", models[1])), "twin.yaml")
    running.wait_ready("twin")
    with load(running.port, path("twin"), BODY) as counted:
        more(counted)
        running.declare(with_canary("twin", predictor("v1", models[1]), (30, predictor("v2", models[2]))), "twin.yaml")
        eventually(lambda: running.condition("twin", "CanaryPredictorReady").get("status") == "True")
        (canary,) = [each for each in running.replicas("twin") if each["revision"].startswith("twin-v2-")]
        eventually(lambda: set(answers(running, "twin", 20)) == {1.0, 2.0})
        running.declare(with_canary("twin", predictor("v2", models[2])), "twin.yaml")
        eventually(lambda: [each["revision"] for each in running.replicas("twin")] == [canary["revision"]])
        more(counted)
    assert only_answers(counted)
    assert [each["pid"] for each in running.replicas("twin")] == [canary["pid"]]
    assert set(answers(running, "twin", 20)) == {2.0}


def test_a_canary_without_traffic_gets_copies_of_the_requests(
    running: Platform, tmp_path: Path, models: Models
) -> None:
    shadow = tmp_path / "shadow.py"
    seen = tmp_path / "seen"
    shadow.write_text(
        "from pathlib import Path\nimport numpy as np\nfrom fairlead import CustomModel\n\n"
        "class Shadow(CustomModel):\n    def predict(self, x: np.ndarray) -> np.ndarray:\n"
        f"        with Path({str(seen)!r}).open('a') as file:\n            file.write(f'{{x.tolist()}}\\n')\n"
        "        return x * 0 - 1\n"
    )
    copy = {"name": "shadow", "model": {"modelFormat": {"name": "python"}, "storageUri": f"file://{shadow}"}}
    manifest = with_canary("mirrored", predictor("v1", models[1]), (0, copy), **{"fairlead.io/mirror-percent": "100"})
    running.declare(manifest, "mirrored.yaml")
    running.wait_ready("mirrored")
    eventually(lambda: running.condition("mirrored", "CanaryPredictorReady").get("status") == "True")
    body = json.dumps({"instances": [[5.0]]})
    url = f"{running.url}{path('mirrored')}"

    def copied() -> bool:
        assert httpx.post(url, content=body, trust_env=False, timeout=60).json() == {"predictions": [1.0]}
        return seen.exists() and "5.0" in seen.read_text()

    eventually(copied)
