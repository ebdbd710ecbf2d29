"""The `fairlead serve` command as users type it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from fairlead_tests.waiting import eventually
from integration.processes import ServerProcess, served

DOUBLER = """
import numpy as np
from fairlead import CustomModel

class Doubler(CustomModel):
    def predict(self, x: np.ndarray) -> np.ndarray:
        return x * 2
"""


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "iris.v2.joblib"
    flowers = load_iris()
    joblib.dump(LogisticRegression(max_iter=500).fit(flowers.data, flowers.target), path)
    return path


def refused(*arguments: str, environ: dict[str, str] | None = None) -> str:
    """What a command that does not start says on standard error."""
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", "--http-port", "0", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **(environ or {})}
    )
    assert done.returncode not in (0, -11), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


FLOWER = {"instances": [[5.1, 3.5, 1.4, 0.2]]}


def test_the_name_comes_from_the_file_and_the_choice_of_the_runtime_is_explained(iris: Path) -> None:
    with served(iris) as server:
        assert server.client.post("/v1/models/iris:predict", json=FLOWER).json() == {"predictions": [0]}
        messages = [line["message"] for line in server.logged()]
        assert "model iris: runtime sklearn, because of iris.v2.joblib" in messages


def test_the_arguments_of_kserves_serving_runtimes_work(iris: Path) -> None:
    arguments = ["--model_name=flowers", f"--model_dir={iris}", "--workers=1", "--nthread=1", "--enable_docs_url=true"]
    arguments += ["--enable_latency_logging=true", "--grpc_port=0", "--max_threads=2", "--max_asyncio_workers=4"]
    with served(None, arguments) as server:
        assert server.client.post("/v1/models/flowers:predict", json=FLOWER).json() == {"predictions": [0]}
        assert server.client.get("/docs").status_code == 200
        messages = [line["message"] for line in server.logged()]
        assert "--max_asyncio_workers has no effect: models are not called in a pool of threads" in messages
        assert not any("grpc_port" in str(message) or "max_threads" in str(message) for message in messages)
        eventually(lambda: any(line["logger"] == "fairlead.access" for line in server.logged()))


def test_model_dir_alone_is_served_by_kserves_default_name(iris: Path) -> None:
    with served(None, ["--model_dir", str(iris)]) as server:
        assert server.client.get("/v1/models").json() == {"models": ["model"]}


def test_predict_proba_by_setting_by_kserves_variable_and_by_request(iris: Path) -> None:
    def classes(server: ServerProcess) -> int:
        return len(server.client.post("/v1/models/iris:predict", json=FLOWER).json()["predictions"][0])

    with served(iris, ["--set", "method=predict_proba"]) as server:
        assert classes(server) == 3
    with served(iris, environ={"PREDICT_PROBA": "true"}) as server:
        assert classes(server) == 3
        tensor = {"name": "input-0", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}
        body = {"inputs": [tensor], "parameters": {"method": "predict"}}
        response = server.client.post("/v2/models/iris/infer", json=body).json()
        assert response["outputs"][0]["data"] == [0]


def test_a_folder_of_models_serves_each_by_its_folders_name(iris: Path, tmp_path: Path) -> None:
    (tmp_path / "doubler").mkdir()
    (tmp_path / "doubler" / "model.py").write_text(DOUBLER)
    (tmp_path / "iris").mkdir()
    (tmp_path / "iris" / "model.joblib").write_bytes(iris.read_bytes())
    with served(tmp_path) as server:
        assert server.client.get("/v2/models").json() == {"models": ["doubler", "iris"]}
        assert server.client.post("/v1/models/doubler:predict", json={"instances": [1]}).json() == {"predictions": [2]}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "No model is given."),
        (["a", "--model_dir", "b"], "The model is given twice"),
        (["{folder}/none.joblib"], "There is nothing at"),
        (["{iris}", "--format", "hyperlog"], "fairlead-runtime-hyperlog"),
        (["{iris}", "--set", "methd=predict"], "no setting 'methd' (it has: method, nthread)"),
        (["{iris}", "--set", "method=guess"], "'guess' is not one of predict"),
        (["{iris}", "--set", "method"], "--set name=value"),
        (["{iris}", "--nthread", "many"], "nthread"),
        (["{iris}", "--no-such-flag"], "--no-such-flag"),
        (["{iris}", "--worker", "1"], "--worker"),
        (["{iris}", "--predictor_host", "x"], "has no setting 'predictor_host' (it has: method, nthread)"),
        (["{iris}", "--predictor_host", "x"], "It is a setting of the runtime python."),
        (["{iris}", "--enable_predictor_health_check"], "A transformer is ready once it has loaded"),
        (["{iris}", "--unpickling", "deny"], "the unpickling policy is deny"),
        (["{iris}", "--unpickling", "sha256:" + "0" * 64], "is not trusted"),
        (["{iris}", "--host", "203.0.113.1"], "Cannot listen on 203.0.113.1"),
        (["{iris}", "--host", "203.0.113.1"], "Choose another --host"),
        (["{iris}", "--host", "no-such-host.invalid"], "Choose another --host"),
        (["ftp://host/model"], "ftp"),
        (["{folder}/empty"], "holds no files"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_served_is_refused_with_the_reason(
    iris: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert expected in refused(*(argument.format(iris=iris, folder=tmp_path) for argument in arguments))


def test_a_port_in_use_is_refused_with_what_to_do(iris: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        text = refused(str(iris), "--http-port", str(taken.getsockname()[1]))
    assert "Address already in use" in text
    assert "Choose another port with --http-port" in text


def test_a_blocked_runtime_is_named_with_the_allow_list(iris: Path) -> None:
    text = refused(str(iris), "--format", "sklearn", environ={"FAIRLEAD_PLUGINS": "file"})
    assert "sklearn" in text


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_server_that_is_asked_for_predictions_probes_and_metrics_never_imports_fastapi(iris: Path) -> None:
    with served(iris) as server:
        maps = Path(f"/proc/{server.process.pid}/maps")
        assert server.client.post("/v1/models/iris:predict", json={"instances": [[6.8, 2.8, 4.8, 1.4]]}).is_success
        for path in ("/", "/v2/health/live", "/v2/health/ready", "/v2/models/iris/ready", "/metrics"):
            assert server.client.get(path).is_success
        assert "pydantic_core" not in maps.read_text()
        assert server.client.get("/v2").json()["name"] == "fairlead"
        assert "pydantic_core" in maps.read_text()


def test_a_variable_that_is_nearly_a_setting_is_told(iris: Path) -> None:
    environ = {"FAIRLEAD_ACESS_LOG": "true", "FAIRLEAD_SERVICE_HOST": "10.0.0.1", "FAIRLEAD_CACHE": "/nowhere"}
    with served(iris, environ=environ) as server:
        told = [line["message"] for line in server.logged() if "has no effect" in str(line["message"])]
    assert told == ["the variable FAIRLEAD_ACESS_LOG has no effect; did you mean FAIRLEAD_ACCESS_LOG?"]


def test_an_error_that_ends_the_command_is_a_line_like_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.joblib").write_bytes(b"no pickle")
    lines = [json.loads(line) for line in refused(str(tmp_path / "bad.joblib"), "--grpc-port", "0").splitlines()]
    assert lines[-1]["level"] == "error"
    assert "bad.joblib does not load" in lines[-1]["message"]
    assert lines[-1]["remedy"]
    text = refused(str(tmp_path / "bad.joblib"), "--grpc-port", "0", "--log-format", "text").splitlines()
    assert text[-2].startswith("error: ")
