"""gRPC clients that exist today, unchanged, against `fairlead serve`; and its life from start to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from comparison.environments import environment
from fairlead_tests.waiting import eventually
from integration import arrays
from integration.processes import ServerProcess, served

HERE = Path(__file__).parent
FLOWERS = np.array([[6.8, 2.8, 4.8, 1.4], [5.1, 3.5, 1.4, 0.2]], dtype=np.float32)
GATED = """
import numpy as np
from fairlead import CustomModel

class Gated(CustomModel):
    def predict(self, x: np.ndarray) -> np.ndarray:
        with (self.artifact / "calls").open("a") as calls:
            calls.write("called\\n")
        if (self.artifact / "gate").exists():
            (self.artifact / "gate").read_text()  # a named pipe: waits until the test writes to it
        return x
"""


# -- KServe's client ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answers(iris_and_echo: ServerProcess) -> Any:
    python = environment("kserve", HERE / "kserve-constraints.txt")
    command = [str(python), "-m", "integration.kserve_grpc_client", iris_and_echo.grpc_address]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(300)  # the first test of this kind makes the environment
def test_kserves_client_finds_server_and_model_ready(answers: Any) -> None:
    assert [answers[asked] for asked in ("live", "ready", "model ready")] == [True, True, True]


@pytest.mark.parametrize("encoding", ["raw", "typed"])
def test_kserves_client_infers(answers: Any, encoding: str) -> None:
    assert answers[encoding] == ["7", "iris", "output-0", "INT64", [1, 0]]


@pytest.mark.parametrize(("encoding", "count"), [("raw echo", 13), ("typed echo", 12)])
def test_kserves_client_gets_every_datatype_back_as_it_sent_it(answers: Any, encoding: str, count: int) -> None:
    assert len(answers[encoding]) == count
    assert all(answers[encoding].values()), answers[encoding]


def test_kserves_client_shows_our_error_texts(answers: Any) -> None:
    assert answers["unknown"] == ["NOT_FOUND", "Model with name unknown does not exist."]


def test_kserves_repository_calls_answer(answers: Any) -> None:
    assert answers["unloaded"] == ["echo", True, False]
    assert answers["loaded"] == ["echo", True, True]


# -- NVIDIA's client ------------------------------------------------------------------------------------


@pytest.fixture
def client(iris_and_echo: ServerProcess) -> Iterator[Any]:
    with triton.InferenceServerClient(iris_and_echo.grpc_address) as made:
        yield made


def test_tritons_client_finds_server_and_models(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.get_server_metadata().name == "fairlead"
    assert list(client.get_model_metadata("iris").inputs[0].shape) == [-1, 4]


def test_tritons_client_infers(client: Any) -> None:
    tensor = triton.InferInput("input-0", FLOWERS.shape, "FP32")
    tensor.set_data_from_numpy(FLOWERS)
    response = client.infer("iris", [tensor], outputs=[triton.InferRequestedOutput("output-0")], request_id="7")
    assert response.as_numpy("output-0").tolist() == [1, 0]
    assert response.get_response().id == "7"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_tritons_client_may_compress_its_requests(client: Any, algorithm: str) -> None:
    tensor = triton.InferInput("input-0", FLOWERS.shape, "FP32")
    tensor.set_data_from_numpy(FLOWERS)
    response = client.infer("iris", [tensor], compression_algorithm=algorithm)
    assert response.as_numpy("output-0").tolist() == [1, 0]


ARRAYS = {**arrays.ARRAYS, "BF16": np.array([[0.5, -3.0]], ml_dtypes.bfloat16)}


@pytest.mark.parametrize("datatype", ARRAYS)
def test_tritons_client_gets_every_datatype_back_as_it_sent_it(client: Any, datatype: str) -> None:
    array = ARRAYS[datatype]
    tensor = triton.InferInput("x", array.shape, datatype)
    tensor.set_data_from_numpy(array)
    response = client.infer("echo", [tensor])
    assert response.get_output("x").datatype == datatype
    np.testing.assert_array_equal(response.as_numpy("x").astype(array.dtype), array)


def test_typed_contents_are_answered_with_typed_contents(iris_and_echo: ServerProcess) -> None:
    asked = service_pb2.ModelInferRequest(model_name="echo")
    tensor = asked.inputs.add(name="x", datatype="FP32", shape=[2])
    tensor.contents.fp32_contents.extend([0.5, 1.5])
    with grpc.insecure_channel(iris_and_echo.grpc_address) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(asked, timeout=30)
    assert list(answer.outputs[0].contents.fp32_contents) == [0.5, 1.5]
    assert not answer.raw_output_contents


def test_tritons_client_shows_our_error_texts(client: Any) -> None:
    tensor = triton.InferInput("input-0", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 3), np.float32))
    with pytest.raises(InferenceServerException, match="4") as raised:
        client.infer("iris", [tensor])
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    with pytest.raises(InferenceServerException, match="Model with name unknown does not exist"):
        client.infer("unknown", [tensor])


def test_tritons_client_gives_up_at_its_timeout(tmp_path: Path) -> None:
    (tmp_path / "gated.py").write_text(GATED)
    with served(tmp_path / "gated.py") as server, triton.InferenceServerClient(server.grpc_address) as client:
        (tmp_path / "calls").unlink(missing_ok=True)
        os.mkfifo(tmp_path / "gate")
        tensor = triton.InferInput("x", FLOWERS.shape, "FP32")
        tensor.set_data_from_numpy(FLOWERS)
        with pytest.raises(InferenceServerException) as raised:
            client.infer("gated", [tensor], client_timeout=0.3)
        assert raised.value.status() == "StatusCode.DEADLINE_EXCEEDED"
        assert server.client.get("/v2/health/live").status_code == 200
        (tmp_path / "gate").write_text("go")


def test_tritons_client_uses_the_repository(client: Any) -> None:
    assert {entry.name for entry in client.get_model_repository_index().models} == {"iris", "echo"}
    client.unload_model("echo")
    assert not client.is_model_ready("echo")
    client.load_model("echo")
    assert client.is_model_ready("echo")


# -- from start to end ----------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "gated.py"
    path.write_text(GATED)
    return path


def question() -> service_pb2.ModelInferRequest:
    made = service_pb2.ModelInferRequest(model_name="gated")
    made.inputs.add(name="x", datatype="FP32", shape=FLOWERS.shape)
    made.raw_input_contents.append(FLOWERS.tobytes())
    return made


def test_a_server_without_grpc_does_not_load_it(model: Path) -> None:
    with served(model, ["--enable-grpc", "false"]) as server:
        assert "gRPC" not in "".join(server.lines)
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "cygrpc" not in maps
        assert "google/_upb" not in maps


def test_importing_the_package_loads_neither_grpc_nor_protobuf() -> None:
    code = (
        "import sys, fairlead.rest.server, fairlead.engine.engine;"
        "print([name for name in ('grpc', 'google.protobuf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_port_that_is_taken_ends_the_command_with_what_to_do(iris_and_echo: ServerProcess, model: Path) -> None:
    port = iris_and_echo.grpc_address.rpartition(":")[2]
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", "--http-port", "0", "--grpc-port", port, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port} for gRPC" in done.stderr
    assert "--grpc-port" in done.stderr.splitlines()[-1]


def test_what_is_in_flight_is_answered_before_the_server_ends(model: Path) -> None:
    gate = model.with_name("gate")
    with served(model) as server, grpc.insecure_channel(server.grpc_address) as channel:
        model.with_name("calls").unlink(missing_ok=True)
        os.mkfifo(gate)
        asked = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer.future(question(), timeout=60)
        eventually(model.with_name("calls").exists)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "draining" in "".join(server.lines))
        gate.write_text("go")
        assert asked.result(30).model_name == "gated"
        assert server.process.wait(30) == 0


def test_readiness_fails_first_and_calls_are_accepted_during_the_delay(model: Path) -> None:
    with served(model, ["--drain-delay", "3"]) as server, grpc.insecure_channel(server.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=30).ready
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=30).ready)
        assert stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=30).live
        assert stub.ModelInfer(question(), timeout=30).model_name == "gated"
        assert server.process.wait(30) == 0


def test_no_accepted_call_is_lost_when_the_server_stops_under_load(model: Path) -> None:
    outcomes: Counter[str] = Counter()

    def load(address: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        with grpc.insecure_channel(address, options=options) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            while True:
                try:
                    stub.ModelInfer(question(), timeout=30)
                    outcomes["OK"] += 1
                except grpc.RpcError as error:
                    failed: Any = error  # it is the call as well, which the types do not say
                    outcomes[failed.code().name] += 1
                    return

    with served(model, ["--drain-delay", "0.5"]) as server, ThreadPoolExecutor(8) as pool:
        model.with_name("calls").unlink(missing_ok=True)
        address = server.grpc_address
        workers = [pool.submit(load, address) for _ in range(8)]
        eventually(lambda: outcomes["OK"] > 200)
        answered = outcomes["OK"]
        assert server.end(signal.SIGTERM) == 0
        for worker in workers:
            worker.result(30)
    assert outcomes["OK"] > answered
    # Refused, when the listener was closed; cancelled by grpcio, when sent in the moment in which it stopped.
    assert set(outcomes) <= {"OK", "UNAVAILABLE", "CANCELLED"}
    # Whatever reached the model was answered: what was refused had not been accepted.
    assert model.with_name("calls").read_text().count("called") == outcomes["OK"]


def test_a_second_signal_ends_a_server_whose_model_hangs(model: Path) -> None:
    with served(model) as server, grpc.insecure_channel(server.grpc_address) as channel:
        model.with_name("calls").unlink(missing_ok=True)
        os.mkfifo(model.with_name("gate"))
        asked = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer.future(question(), timeout=60)
        eventually(model.with_name("calls").exists)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "draining" in "".join(server.lines))
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        assert isinstance(asked.exception(30), grpc.RpcError)


def test_a_model_that_hangs_does_not_keep_a_server_past_its_drain_timeout(model: Path) -> None:
    with served(model, ["--drain-timeout", "1"]) as server, grpc.insecure_channel(server.grpc_address) as channel:
        model.with_name("calls").unlink(missing_ok=True)
        os.mkfifo(model.with_name("gate"))
        asked = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer.future(question(), timeout=60)
        eventually(model.with_name("calls").exists)
        assert server.end(signal.SIGTERM) in (0, 1)
        assert isinstance(asked.exception(30), grpc.RpcError)


@pytest.mark.parametrize("threads", [1, 8])
def test_answers_go_to_who_asked(iris_and_echo: ServerProcess, threads: int) -> None:
    address = iris_and_echo.grpc_address
    local = threading.local()

    def ask(value: int) -> bool:
        if not hasattr(local, "stub"):
            local.stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))
        made = service_pb2.ModelInferRequest(model_name="echo", id=str(value))
        made.inputs.add(name="x", datatype="INT64", shape=[1]).contents.int64_contents.append(value)
        answer = local.stub.ModelInfer(made, timeout=30)
        return (answer.id, list(answer.outputs[0].contents.int64_contents)) == (str(value), [value])

    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(ask, range(300)))
