"""Everything but inference: health, readiness, metadata, the repository and reflection."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import service_pb2 as triton

from fairlead.engine.repository import Repository
from fairlead.protocol._pb import messages
from fairlead.testing import RunningServer, running_server
from fairlead_tests import models
from fairlead_tests.grpc.asking import INFER, SERVICE, ask, body, call, channel_to, infer, open_gate, refused
from fairlead_tests.waiting import eventually

SLOW = """
    import numpy as np
    from fairlead import CustomModel

    class Slow(CustomModel):
        def load(self) -> None:
            (self.artifact / "gate").read_text()  # a named pipe: waits until the test writes to it

        def predict(self, x: np.ndarray) -> np.ndarray:
            return x
"""
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    models.write(tmp_path, models.DOUBLER, "doubler/model.py")
    paths = {"doubler": tmp_path / "doubler"}
    with running_server(paths, repository=Repository(tmp_path), grpc=True) as running:
        yield running


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with channel_to(server) as made:
        yield made


def health(channel: grpc.Channel, service: str = "") -> Any:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30).status


def ready(channel: grpc.Channel, name: str) -> bool:
    answer = ask(channel, "ModelReady", messages.ModelReadyRequest(name=name), messages.ModelReadyResponse)
    return bool(answer.ready)


def test_server_and_model_say_what_they_are(channel: grpc.Channel) -> None:
    assert ask(channel, "ServerLive", messages.ServerLiveRequest(), messages.ServerLiveResponse).live
    server = ask(channel, "ServerMetadata", messages.ServerMetadataRequest(), messages.ServerMetadataResponse)
    assert server.name == "fairlead"
    assert "model_repository_extension" in server.extensions
    asked = messages.ModelMetadataRequest(name="doubler")
    model = ask(channel, "ModelMetadata", asked, messages.ModelMetadataResponse)
    assert [(each.name, each.datatype, list(each.shape)) for each in model.inputs] == [("x", "FP64", [-1, 2])]
    assert [each.name for each in model.outputs] == ["output-0"]


def test_an_unknown_model_is_not_found_and_versions_are_not_supported(channel: grpc.Channel) -> None:
    for method, request in (
        ("ModelReady", messages.ModelReadyRequest),
        ("ModelMetadata", messages.ModelMetadataRequest),
    ):
        path = f"{SERVICE}/{method}"
        assert refused(channel, request(name="x").SerializeToString(), path).code is grpc.StatusCode.NOT_FOUND
        versioned = request(name="doubler", version="1").SerializeToString()
        assert refused(channel, versioned, path).code is grpc.StatusCode.UNIMPLEMENTED
        assert refused(channel, b"\xff", path).code is grpc.StatusCode.INVALID_ARGUMENT


def test_health_follows_the_server_and_its_models(server: RunningServer, channel: grpc.Channel) -> None:
    assert health(channel) == SERVING
    assert health(channel, "inference.GRPCInferenceService") == SERVING
    assert health(channel, "doubler") == SERVING
    unknown = health_pb2.HealthCheckRequest(service="x").SerializeToString()
    assert refused(channel, unknown, "/grpc.health.v1.Health/Check").code is grpc.StatusCode.NOT_FOUND
    server.client.post("/v2/repository/models/doubler/unload").raise_for_status()
    assert health(channel, "doubler") == NOT_SERVING
    assert health(channel) == SERVING
    server.engine.drain()
    assert health(channel) == NOT_SERVING
    assert not ask(channel, "ServerReady", messages.ServerReadyRequest(), messages.ServerReadyResponse).ready


def watch(channel: grpc.Channel, service: str = "") -> Any:
    """The statuses that a client is told, as an iterator that can be cancelled."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=60)


def test_who_watches_is_told_when_something_changes(server: RunningServer, channel: grpc.Channel) -> None:
    whole, model, unknown = watch(channel), watch(channel, "doubler"), watch(channel, "x")
    assert [next(each).status for each in (whole, model, unknown)] == [SERVING, SERVING, UNKNOWN]
    server.client.post("/v2/repository/models/doubler/unload").raise_for_status()
    assert next(model).status == NOT_SERVING
    server.client.post("/v2/repository/models/doubler/load").raise_for_status()
    assert next(model).status == SERVING
    server.engine.drain()
    assert next(whole).status == NOT_SERVING
    whole.cancel()
    assert unknown.is_active()


def test_who_watches_a_server_that_stops_is_told_so_and_the_call_ends(tmp_path: Path) -> None:
    with running_server({"model": models.write(tmp_path, models.ECHO)}, grpc=True) as running:
        channel = grpc.insecure_channel(running.grpc_address or "")
        watched = watch(channel)
        assert next(watched).status == SERVING
    with channel:
        assert [each.status for each in watched] == [NOT_SERVING]
        assert watched.code() is grpc.StatusCode.OK


def test_many_who_watch_hold_up_nobody(channel: grpc.Channel) -> None:
    watched = [watch(channel) for _ in range(200)]
    assert {next(each).status for each in watched} == {SERVING}
    assert health(channel) == SERVING
    for each in watched:
        each.cancel()


def test_a_server_that_loads_answers_probes_and_is_not_serving(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    path = models.write(tmp_path, SLOW)
    with running_server({"slow": path}, grpc=True, wait=False) as running, channel_to(running) as channel:
        assert ask(channel, "ServerLive", messages.ServerLiveRequest(), messages.ServerLiveResponse).live
        eventually(lambda: "slow" in index(channel))
        assert health(channel) == NOT_SERVING
        assert not ready(channel, "slow")
        assert refused(channel, body("slow")).code is grpc.StatusCode.UNAVAILABLE
        (tmp_path / "gate").write_text("go")
        eventually(lambda: health(channel) == SERVING)
        assert ready(channel, "slow")


def test_probes_answer_while_every_inference_hangs(tmp_path: Path, interface: str) -> None:
    path = models.write(tmp_path, models.GATED)
    gate = tmp_path / "gate"
    with running_server({"gated": path}, grpc=True, max_threads=4) as running, channel_to(running) as channel:
        (tmp_path / "calls").unlink(missing_ok=True)
        os.mkfifo(gate)
        held = [call(channel, INFER).future(body("gated"), timeout=60) for _ in range(8)]
        eventually(lambda: running.engine.serving("gated").in_flight >= 4)
        eventually((tmp_path / "calls").exists)
        assert ask(channel, "ServerLive", messages.ServerLiveRequest(), messages.ServerLiveResponse).live
        assert ask(channel, "ServerReady", messages.ServerReadyRequest(), messages.ServerReadyResponse).ready
        ask(channel, "ServerMetadata", messages.ServerMetadataRequest(), messages.ServerMetadataResponse)
        asked = messages.ModelMetadataRequest(name="gated")
        ask(channel, "ModelMetadata", asked, messages.ModelMetadataResponse)
        assert ready(channel, "gated")
        assert health(channel) == SERVING
        assert not any(each.done() for each in held)
        for each in held:
            each.cancel()
        open_gate(gate)


# -- the repository -------------------------------------------------------------------------------------


def index(channel: grpc.Channel, **fields: Any) -> dict[str, str]:
    asked = messages.RepositoryIndexRequest(**fields)
    found = ask(channel, "RepositoryIndex", asked, messages.RepositoryIndexResponse)
    return {entry.name: entry.state for entry in found.models}


def test_models_are_loaded_and_unloaded_in_kserves_messages(tmp_path: Path, channel: grpc.Channel) -> None:
    models.write(tmp_path, models.ECHO, "echo/model.py")
    asked = messages.RepositoryModelLoadRequest(model_name="echo")
    answer = ask(channel, "RepositoryModelLoad", asked, messages.RepositoryModelLoadResponse)
    assert (answer.model_name, answer.isLoaded) == ("echo", True)
    assert infer(channel, body("echo")).model_name == "echo"
    assert index(channel) == {"doubler": "READY", "echo": "READY"}
    gone = messages.RepositoryModelUnloadRequest(model_name="echo")
    unloaded = ask(channel, "RepositoryModelUnload", gone, messages.RepositoryModelUnloadResponse)
    assert (unloaded.model_name, unloaded.isUnloaded) == ("echo", True)
    assert not ready(channel, "echo")
    assert index(channel, ready=True) == {"doubler": "READY"}


def test_models_are_loaded_and_unloaded_in_tritons_messages(tmp_path: Path, channel: grpc.Channel) -> None:
    models.write(tmp_path, models.ECHO, "echo/model.py")
    load = triton.RepositoryModelLoadRequest(model_name="echo")
    ask(channel, "RepositoryModelLoad", load, triton.RepositoryModelLoadResponse)
    assert ready(channel, "echo")
    unload = triton.RepositoryModelUnloadRequest(model_name="echo")
    unload.parameters["unload_dependents"].bool_param = False
    ask(channel, "RepositoryModelUnload", unload, triton.RepositoryModelUnloadResponse)
    assert not ready(channel, "echo")


def test_what_the_repository_does_not_have_is_refused(channel: grpc.Channel, tmp_path: Path) -> None:
    code = grpc.StatusCode
    path = f"{SERVICE}/RepositoryModelLoad"
    unknown = messages.RepositoryModelLoadRequest(model_name="x").SerializeToString()
    assert refused(channel, unknown, path).code is code.NOT_FOUND
    other = triton.RepositoryModelLoadRequest(model_name="doubler", repository_name="other").SerializeToString()
    assert refused(channel, other, path).code is code.UNIMPLEMENTED
    configured = triton.RepositoryModelLoadRequest(model_name="doubler")
    configured.parameters["config"].string_param = "{}"
    assert "config" in refused(channel, configured.SerializeToString(), path).details
    (tmp_path / "broken").mkdir()
    broken = refused(channel, messages.RepositoryModelLoadRequest(model_name="broken").SerializeToString(), path)
    assert broken.code is code.UNAVAILABLE
    assert "holds no files" in broken.details


def test_the_repository_can_be_turned_off(tmp_path: Path) -> None:
    path = models.write(tmp_path, models.ECHO)
    with (
        running_server({"echo": path}, grpc=True, enable_repository_api=False) as running,
        channel_to(running) as channel,
    ):
        for name in ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"):
            refusal = refused(channel, b"", f"{SERVICE}/{name}")
            assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
            assert "turned off" in refusal.details


# -- reflection -----------------------------------------------------------------------------------------


def test_a_client_learns_services_and_messages_by_reflection(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(database.get_services())
    file = database.FindFileContainingSymbol("inference.ModelInferRequest")
    assert isinstance(file, descriptor_pb2.FileDescriptorProto)
    methods = {method.name for service in file.service for method in service.method}
    assert methods == {
        *("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelInfer"),
        *("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"),
    }


def test_reflection_calls_that_stay_open_hold_up_nothing_else(channel: grpc.Channel) -> None:
    def silence() -> Iterator[Any]:
        eventually(lambda: done)
        yield from ()

    done = False
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    open_calls = [stub.ServerReflectionInfo(silence()) for _ in range(8)]
    assert infer(channel, body("doubler")).model_name == "doubler"
    assert health(channel) == SERVING
    done = True
    for each in open_calls:
        each.cancel()


def test_the_second_version_of_reflection_has_the_same_messages(channel: grpc.Channel) -> None:
    asked = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answer = next(asked(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=30))
    assert "inference.GRPCInferenceService" in {each.name for each in answer.list_services_response.service}
