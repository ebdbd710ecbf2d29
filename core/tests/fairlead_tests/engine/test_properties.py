"""What a model says of itself beyond its tensors: properties, the memory of its device, unknown versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from fairlead.protocol._pb import messages
from fairlead.testing import RunningServer, running_server
from fairlead_tests.plugins.distributions import Site, planted

PLUGIN: Final = """
from fairlead import Library, ModelFormat, RuntimeSpec, hookimpl

@hookimpl
def fairlead_runtimes():
    return [
        RuntimeSpec(
            name={name!r}, formats=(ModelFormat({name!r}),), factory="{package}.work:Work", artifacts=("*.x",),
            libraries=(Library("numpy", "numpy"),), recognises="{package}.work:recognises",
        )
    ]
"""
WORK: Final = """
from fairlead import InferResponse, Model, ModelMetadata, Runtime

class Loaded(Model):
    def __init__(self, device):
        self._device = device
        self._metadata = ModelMetadata(platform="x", properties={"device": device})
        self.features = ["age", "größe"] if device == "columns" else []

    @property
    def metadata(self):
        return self._metadata

    def device_memory(self):
        if self._device == "broken:0":
            raise RuntimeError("the driver is gone")
        return 4096

    def predict(self, request):
        return InferResponse(model_name="", outputs=request.inputs)

class Work(Runtime):
    def load(self, artifact, settings):
        return Loaded(artifact.only(("*.x",)).read_text())

def recognises(artifact):
    text = artifact.only(("*.x",)).read_text()
    if text == "unreadable":
        raise OSError("the disk is gone")
    return text != "another"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = planted(tmp_path, monkeypatch)
    made.install("devices", plugin=PLUGIN, work=WORK)
    yield made
    made.forget()


def model(folder: Path, device: str) -> Path:
    path = folder / "model.x"
    path.write_text(device)
    return path


def exposed(running: RunningServer, name: str) -> list[str]:
    lines = running.client.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith(name)]


def test_properties_are_told_over_rest_and_grpc(site: Site, tmp_path: Path) -> None:
    with running_server({"m": model(tmp_path, "npu:1")}, grpc=True) as running:
        told = running.client.get("/v2/models/m").json()
        assert told["properties"] == {"device": "npu:1"}
        assert running.grpc_address is not None
        with grpc.insecure_channel(running.grpc_address) as channel:
            ask: Any = channel.unary_unary(
                "/inference.GRPCInferenceService/ModelMetadata",
                request_serializer=messages.ModelMetadataRequest.SerializeToString,
                response_deserializer=messages.ModelMetadataResponse.FromString,
            )
            answer = ask(messages.ModelMetadataRequest(name="m"), timeout=30)
        assert dict(answer.properties) == {"device": "npu:1"}


def test_the_names_of_columns_are_a_property_where_the_inputs_do_not_tell_them(site: Site, tmp_path: Path) -> None:
    with running_server({"m": model(tmp_path, "columns")}) as running:
        told = running.client.get("/v2/models/m").json()["properties"]
        assert json.loads(told["features"]) == ["age", "größe"]


def test_the_memory_of_a_device_is_a_metric(site: Site, tmp_path: Path) -> None:
    with running_server({"m": model(tmp_path, "npu:1")}) as running:
        assert exposed(running, "fairlead_device_memory_bytes{") == [
            'fairlead_device_memory_bytes{model_name="m"} 4096.0'
        ]


def test_a_model_on_the_processor_has_no_such_metric(site: Site, tmp_path: Path) -> None:
    with running_server({"m": model(tmp_path, "cpu")}) as running:
        assert exposed(running, "fairlead_device_memory_bytes{") == []


def test_a_device_that_cannot_be_asked_costs_no_other_metric(site: Site, tmp_path: Path) -> None:
    with running_server({"m": model(tmp_path, "broken:0")}) as running:
        assert exposed(running, "fairlead_device_memory_bytes{") == ['fairlead_device_memory_bytes{model_name="m"} 0.0']
        assert exposed(running, "fairlead_model_ready") == ['fairlead_model_ready{model_name="m"} 1.0']


def test_a_version_that_the_artefact_does_not_record_is_told_in_the_models_state(site: Site, tmp_path: Path) -> None:
    with running_server({"m": model(tmp_path, "cpu")}) as running:
        (entry,) = running.client.post("/v2/repository/index", json={}).json()
        assert entry["state"] == "READY"
        assert "does not record the version of numpy that saved it" in entry["reason"]


@pytest.mark.parametrize(("text", "chosen"), [("mine", "devices"), ("another", "others")])
def test_runtimes_that_share_a_name_are_told_apart_by_what_the_file_holds(
    site: Site, tmp_path: Path, text: str, chosen: str
) -> None:
    site.install("others", plugin=PLUGIN, work=WORK.replace('text != "another"', 'text == "another"'))
    with running_server({"m": model(tmp_path, text)}) as running:
        assert type(running.engine.serving("m").model).__module__.split(".")[0].endswith(chosen)


def test_a_runtime_that_cannot_look_is_as_one_that_does_not(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    knowing = WORK.replace('    if text == "unreadable":\n        raise OSError("the disk is gone")\n', "")
    site.install("others", plugin=PLUGIN, work=knowing)
    with running_server({"m": model(tmp_path, "unreadable")}) as running:
        assert type(running.engine.serving("m").model).__module__.split(".")[0].endswith("others")
    assert "The runtime devices cannot tell whether" in caplog.text
