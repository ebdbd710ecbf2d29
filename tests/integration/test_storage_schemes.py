"""Models wherever they live: `fairlead serve` of every kind of address, and InferenceServices with one of each."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.dummy import DummyRegressor

from fairlead_tests.storage.server import CHUNK, Server, serving
from integration.platforms import Platform, platform
from integration.processes import served
from integration.storages import SCHEMES, SECRET, Place, Storages, packed

pytestmark = pytest.mark.timeout(300)

ROW = {"instances": [[1.0]]}


@pytest.fixture(scope="module")
def storages(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Storages]:
    with contextlib.ExitStack() as stack:
        made = Storages(tmp_path_factory.mktemp("storages"), stack)
        if any("mlflow" in item.name for item in request.session.items):
            made.begin("mlflow")  # which takes as long as all others
        yield made


@pytest.fixture(params=SCHEMES)
def place(storages: Storages, request: pytest.FixtureRequest) -> Place:
    return storages.place(request.param)


@pytest.fixture(scope="module")
def running(storages: Storages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a service for each kind of address whose server can be started."""
    folder = tmp_path_factory.mktemp("platform")
    (folder / "manifests").mkdir()
    for name in SCHEMES:
        with contextlib.suppress(pytest.skip.Exception):
            (folder / "manifests" / f"{name}.yaml").write_text(manifest(name, storages.place(name)))
    with platform(folder / "manifests", environ={"FAIRLEAD_CACHE": str(folder / "cache")}) as made:
        yield made


def manifest(name: str, place: Place) -> str:
    """A service with a ServiceAccount of its own, and its Secret where there is one."""
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": place.uri}
    account: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"serviceAccountName": name, "model": model}},
    }
    if not place.secret:
        return "\n---\n".join(map(json.dumps, (account, service)))
    pulls = place.kind == "kubernetes.io/dockerconfigjson"
    account["imagePullSecrets" if pulls else "secrets"] = [{"name": name}]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": place.kind}
    return "\n---\n".join(map(json.dumps, ({**secret, "stringData": dict(place.secret)}, account, service)))


@pytest.mark.usefixtures("running")  # which gets ready meanwhile
def test_a_model_is_served_from_its_address_with_credentials_of_the_environment(place: Place, tmp_path: Path) -> None:
    environ = {**place.environ, "FAIRLEAD_CACHE": str(tmp_path / "cache")}
    with served(place.uri, ["--name", "iris"], environ) as server:
        assert server.client.post("/v1/models/iris:predict", json=ROW).json() == {"predictions": [place.value]}
        assert SECRET not in "".join(server.lines)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_service_is_ready_with_the_credentials_of_its_account_alone(
    running: Platform, storages: Storages, scheme: str
) -> None:
    place = storages.place(scheme)
    assert not set(place.environ) & set(os.environ), "nothing of the process may help"
    running.wait_ready(scheme)
    assert running.ask(scheme).json() == {"predictions": [place.value]}
    assert SECRET not in running.run("describe", scheme) + running.run("logs", scheme) + "".join(running.lines)


# -- faults ---------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.mark.parametrize(("stalls", "said"), [(False, "closed after"), (True, "did not answer within")])
def test_a_fetch_that_fails_half_way_shows_nothing_and_the_next_start_goes_on(
    server: Server, tmp_path: Path, stalls: bool, said: str
) -> None:
    joblib.dump(DummyRegressor(strategy="constant", constant=5.0).fit([[0.0]], [5.0]), tmp_path / "model")
    content = packed({"model.joblib": (tmp_path / "model").read_bytes(), "labels.bin": os.urandom(8 * CHUNK)})
    uri = server.put("/iris.tar.gz", content)
    cache, gate = tmp_path / "cache", threading.Event()
    environ = {"FAIRLEAD_CACHE": str(cache)}
    hasty = {**environ, "FAIRLEAD_STORAGE_RETRIES": "0", "FAIRLEAD_STORAGE_TIMEOUT": "5" if stalls else "60"}

    def stall(sent: int) -> None:
        if sent >= 4 * CHUNK:
            gate.wait(60)

    if stalls:
        server.faults.on_chunk = stall
    else:
        server.faults.truncate_at, server.faults.truncate_always = 4 * CHUNK, True
    with pytest.raises(RuntimeError, match="ended before it was ready") as caught, served(uri, environ=hasty):
        pass
    gate.set()
    assert said in str(caught.value)
    assert not list(cache.glob("artifacts/*/versions")), "nothing is there that could be served"
    server.faults.on_chunk, server.faults.truncate_at = None, None
    server.requests.clear()
    with served(uri, ["--name", "iris"], environ) as running:
        assert running.client.post("/v1/models/iris:predict", json=ROW).json() == {"predictions": [5.0]}
    (asked,) = [request.headers.get("Range") for request in server.requests if request.method == "GET"]
    assert asked is not None, "it goes on where it stopped"
