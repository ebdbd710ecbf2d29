"""Traces of a server in a process of its own, as a collector receives them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton

from fairlead_tests.tracing.collector import Collector, attributes, collecting
from integration.processes import ServerProcess, served

MODEL = """
import numpy as np
from opentelemetry import trace
from fairlead import CustomModel

class Doubler(CustomModel):
    def predict(self, x: np.ndarray) -> np.ndarray:
        with trace.get_tracer("model").start_as_current_span("inside"):
            return x * 2
"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "doubler.py").write_text(MODEL)
    return tmp_path / "doubler.py"


def traced(collector: Collector) -> Mapping[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "doubler",
        "NO_PROXY": "*",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }


def ask(server: ServerProcess, headers: Mapping[str, str], path: str = "/v1/models/doubler:predict") -> int:
    return server.client.post(path, json={"instances": [[1.0]]}, headers=headers).status_code


@pytest.mark.parametrize(
    "headers",
    [
        TRACEPARENT,
        {"b3": f"{TRACE}-{PARENT}-1"},
        {"X-B3-TraceId": TRACE, "X-B3-SpanId": PARENT, "X-B3-Sampled": "1"},
    ],
    ids=["w3c", "b3", "b3-multi"],
)
def test_a_request_is_a_part_of_its_clients_trace_with_a_span_for_each_of_its_stages(
    model: Path, headers: Mapping[str, str]
) -> None:
    with collecting() as collector:
        with served(model, environ=traced(collector)) as server:
            assert ask(server, headers) == 200
            assert server.end() == 0
        request = collector.span("POST /v1/models/{model_name}:predict")
        assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
        assert attributes(request)["http.response.status_code"] == 200
        for stage in ("decode", "queue", "compute", "encode"):
            assert collector.span(stage).parent_span_id == request.span_id, stage
        assert collector.span("inside").parent_span_id == collector.span("compute").span_id
        assert collector.resource["service.name"] == "doubler"


def test_a_chunked_request_and_one_that_fails_are_traced_too(model: Path) -> None:
    with collecting() as collector:
        with served(model, environ=traced(collector)) as server:
            chunks = iter([b'{"instances":', b"[[1.0]]}"])
            sent = server.client.post("/v1/models/doubler:predict", content=chunks, headers=TRACEPARENT)
            assert sent.status_code == 200
            assert ask(server, {}, "/v1/models/absent:predict") == 404
            assert server.end() == 0
        found = [span for span in collector.spans if span.name == "POST /v1/models/{model_name}:predict"]
        assert sorted(attributes(span)["http.response.status_code"] for span in found) == [200, 404]


def test_a_grpc_call_is_traced_as_one(model: Path) -> None:
    with collecting() as collector:
        with served(model, ["--grpc-port", "0"], environ=traced(collector)) as server:
            tensor = triton.InferInput("input-0", [1, 1], "FP64")
            tensor.set_data_from_numpy(np.ones((1, 1)))
            with triton.InferenceServerClient(server.grpc_address) as client:
                client.infer("doubler", [tensor], headers=TRACEPARENT)
            assert server.end() == 0
        call = collector.span("inference.GRPCInferenceService/ModelInfer")
        assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, PARENT)
        assert attributes(call)["rpc.response.status_code"] == "OK"
        assert collector.span("compute").parent_span_id == call.span_id


def test_the_access_log_names_the_trace(model: Path) -> None:
    with collecting() as collector:
        arguments = ["--access-log", "true", "--log-format", "json"]
        with served(model, arguments, environ=traced(collector)) as server:
            assert ask(server, TRACEPARENT) == 200
            assert server.end() == 0
        line = next(line for line in map(json.loads, server.lines) if line["logger"] == "fairlead.access")
        assert (line["trace_id"], line["status"]) == (TRACE, 200)


def test_workers_export_their_spans_each(model: Path) -> None:
    with collecting() as collector:
        with served(model, ["--workers", "2"], environ=traced(collector)) as server:
            assert [ask(server, TRACEPARENT) for _ in range(4)] == [200] * 4
            assert server.end() == 0
        found = [span for span in collector.spans if span.name == "POST /v1/models/{model_name}:predict"]
        assert len(found) == 4


def test_a_collector_that_is_not_there_slows_nothing_and_ends_with_the_server(model: Path) -> None:
    with collecting() as collector:
        url = collector.url
    with served(model, environ={**traced(collector), "OTEL_EXPORTER_OTLP_ENDPOINT": url}) as server:
        assert [ask(server, TRACEPARENT) for _ in range(10)] == [200] * 10
        assert server.end() == 0
