"""A model in Python with requirements is run by the platform in an environment of its own, and its status says so."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead_tests import packages
from fairlead_tests.waiting import eventually
from integration.platforms import Platform, platform

pytestmark = pytest.mark.slow

MODEL = """
import numpy as np
import tinyfactor

from fairlead import CustomModel


class Times(CustomModel):
    def predict(self, x: np.ndarray) -> np.ndarray:
        return x * tinyfactor.FACTOR
"""


class Links(http.server.SimpleHTTPRequestHandler):
    """Shows a folder of packages once it is let to."""

    gate: threading.Event

    def do_GET(self) -> None:
        self.gate.wait(60)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class has
        """Say nothing."""


@contextlib.contextmanager
def offered(folder: Path, gate: threading.Event) -> Iterator[str]:
    """An address at which uv finds the packages of a folder."""
    handler = functools.partial(type("Gated", (Links,), {"gate": gate}), directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


def manifest(name: str, folder: Path, requirements: str) -> str:
    """A service of a model in Python, and its files."""
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    (folder / "requirements.txt").write_text(requirements)
    model = {"modelFormat": {"name": "python"}, "storageUri": f"file://{folder}"}
    document: dict[str, Any] = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    return json.dumps({**document, "metadata": {"name": name}, "spec": {"predictor": {"model": model}}})


@pytest.fixture(scope="module")
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture(scope="module")
def running(gate: threading.Event, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    if not packages.index_has("hatchling", "numpy"):
        pytest.skip("the package index does not answer, and Fairlead's own dependencies cannot be had")
    folder = tmp_path_factory.mktemp("environment")
    packages.wheel(folder / "links", "tinyfactor", "1.5", code="FACTOR = 3\n")
    with offered(folder / "links", gate) as address:
        environ = {"UV_FIND_LINKS": address, "FAIRLEAD_CACHE": str(folder / "cache")}
        with platform(folder / "manifests", environ=environ) as made:
            yield made


def test_a_model_with_requirements_runs_in_an_environment_of_its_own_and_the_status_tells_how_far_it_is(
    running: Platform, gate: threading.Event, tmp_path: Path
) -> None:
    running.declare(manifest("times", tmp_path / "times", "tinyfactor>=1\n"), "times.yaml")
    making = "An environment with tinyfactor>=1 (asked for by the model) is made."
    eventually(lambda: making in running.condition("times", "PredictorReady").get("message", ""))
    assert running.condition("times")["status"] == "Unknown"
    gate.set()
    running.wait_ready("times")
    assert running.ask("times", {"instances": [[2.0]]}).json() == {"predictions": [[6.0]]}
    (replica,) = running.replicas("times")
    python = Path(f"/proc/{replica['pid']}/cmdline").read_bytes().split(b"\0")[0].decode()
    assert "/environments/" in python
    logged = running.run("logs", "times")
    assert "Making an environment with tinyfactor>=1" in logged


@pytest.mark.parametrize(
    ("name", "requirements", "reason"),
    [
        ("absent", "tinyfactor>=2\n", "An environment with tinyfactor>=2 (asked for by the model) cannot be made."),
        ("elsewhere", "-r /etc/passwd\n", "requirements.txt:1: '-r /etc/passwd' has an option of pip's"),
    ],
)
def test_an_environment_that_cannot_be_made_is_a_condition_with_the_reason(
    running: Platform, gate: threading.Event, tmp_path: Path, name: str, requirements: str, reason: str
) -> None:
    gate.set()
    running.declare(manifest(name, tmp_path / name, requirements), f"{name}.yaml")
    eventually(lambda: running.condition(name, "PredictorReady").get("reason") == "EnvironmentFailed")
    condition = running.condition(name, "PredictorReady")
    assert condition["status"] == "False"
    assert reason in condition["message"]
    status = running.status(name)["modelStatus"]
    assert status["transitionStatus"] == "BlockedByFailedLoad"
    assert reason in status["lastFailureInfo"]["message"]
