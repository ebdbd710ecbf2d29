"""Clients that exist today, unchanged, against `fairlead serve`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from comparison.environments import environment
from integration import arrays

if TYPE_CHECKING:
    from integration.processes import ServerProcess

HERE = Path(__file__).parent
FLOWERS = np.array([[6.8, 2.8, 4.8, 1.4], [5.1, 3.5, 1.4, 0.2]], dtype=np.float32)


# -- KServe's client ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answers(iris_and_echo: ServerProcess) -> Any:
    python = environment("kserve", HERE / "kserve-constraints.txt")
    command = [str(python), str(HERE / "kserve_client.py"), iris_and_echo.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(300)  # the first test of this kind makes the environment
def test_kserves_client_finds_server_and_model_ready(answers: Any) -> None:
    for asked in ("v1 live", "v1 model ready", "v2 live", "v2 server ready", "v2 model ready"):
        assert answers[asked] is True
    assert answers["v2 unknown model ready"] is False


def test_kserves_client_infers_over_v1(answers: Any) -> None:
    assert answers["v1 infer"] == {"predictions": [1, 0]}


@pytest.mark.parametrize("encoding", ["v2 json", "v2 binary in", "v2 binary in and out"])
def test_kserves_client_infers_over_v2(answers: Any, encoding: str) -> None:
    assert answers[encoding] == ["7", "iris", "output-0", "INT64", [1, 0]]


def test_kserves_client_shows_our_error_texts(answers: Any) -> None:
    status, text = answers["v2 error"]
    assert status in (400, 422)
    assert "inputs" in text


# -- NVIDIA's client ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(iris_and_echo: ServerProcess) -> Iterator[Any]:
    made = triton.InferenceServerClient(iris_and_echo.url.removeprefix("http://"))
    yield made
    made.close()


def test_tritons_client_finds_server_and_models(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert not client.is_model_ready("unknown")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata("iris")["inputs"][0]["shape"] == [-1, 4]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tritons_client_infers_with_binary_on_and_off(client: Any, binary_in: bool, binary_out: bool) -> None:
    tensor = triton.InferInput("input-0", FLOWERS.shape, "FP32")
    tensor.set_data_from_numpy(FLOWERS, binary_data=binary_in)
    wanted = [triton.InferRequestedOutput("output-0", binary_data=binary_out)]
    response = client.infer("iris", [tensor], outputs=wanted, request_id="7")
    assert response.as_numpy("output-0").tolist() == [1, 0]
    assert response.get_response()["id"] == "7"


def test_tritons_client_infers_without_naming_outputs(client: Any) -> None:
    tensor = triton.InferInput("input-0", FLOWERS.shape, "FP32")
    tensor.set_data_from_numpy(FLOWERS)
    assert client.infer("iris", [tensor]).as_numpy("output-0").tolist() == [1, 0]


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_tritons_client_may_compress_its_requests(client: Any, compression: str) -> None:
    tensor = triton.InferInput("input-0", FLOWERS.shape, "FP32")
    tensor.set_data_from_numpy(FLOWERS)
    response = client.infer("iris", [tensor], request_compression_algorithm=compression)
    assert response.as_numpy("output-0").tolist() == [1, 0]


ARRAYS = {**arrays.ARRAYS, "BF16": np.array([[0.5, -3.0]], ml_dtypes.bfloat16)}


@pytest.mark.parametrize("datatype", ARRAYS)
def test_tritons_client_gets_every_datatype_back_as_it_sent_it(client: Any, datatype: str) -> None:
    array = ARRAYS[datatype]
    tensor = triton.InferInput("x", array.shape, datatype)
    tensor.set_data_from_numpy(array)
    response = client.infer("echo", [tensor])
    assert response.get_output("x")["datatype"] == datatype
    np.testing.assert_array_equal(response.as_numpy("x").astype(array.dtype), array)


def test_tritons_client_shows_our_error_texts(client: Any) -> None:
    tensor = triton.InferInput("input-0", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 3), np.float32))
    with pytest.raises(InferenceServerException, match="4"):
        client.infer("iris", [tensor])
    with pytest.raises(InferenceServerException, match="Model with name unknown does not exist"):
        client.infer("unknown", [tensor])


def test_tritons_client_uses_the_repository(client: Any) -> None:
    assert {entry["name"] for entry in client.get_model_repository_index()} == {"iris", "echo"}
    client.unload_model("echo")
    assert not client.is_model_ready("echo")
    client.load_model("echo")
    assert client.is_model_ready("echo")
