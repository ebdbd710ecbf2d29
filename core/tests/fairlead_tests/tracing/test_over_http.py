"""Traces over a real server, in a process of its own, as a client and a collector see them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping

import httpx
import pytest

from fairlead_tests.tracing.collector import Collector, attributes, collecting

SERVER = """
import asyncio, concurrent.futures, json, logging, sys, time
import uvicorn
from fairlead.cli import logs
from fairlead.engine import accesslog
from fairlead.tracing.tracer import Tracing

tracing = Tracing.from_environment()
tracing.install()
from opentelemetry import trace  # as a model's own code finds it

writer = logs.configure("json", "info")
writer.addFilter(tracing.log_filter())
thread = concurrent.futures.ThreadPoolExecutor(1)

def model(span):
    with tracing.computation([span], rows=1), trace.get_tracer("model").start_as_current_span("look up"):
        logging.getLogger("model").info("computing")

async def app(scope, receive, send):
    started = time.perf_counter()
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    span = tracing.start(headers, "v1", route="/v1/models/{model_name}:predict", model="iris", path=scope["path"],
                         started=started)
    await asyncio.get_running_loop().run_in_executor(thread, model, span)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
    span.end(200)
    accesslog.log(protocol="v1", method="POST", path=scope["path"], model="iris", status=200,
                  seconds=time.perf_counter() - started, request_id="1", ids=span.ids)

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
    def handle_exit(self, sig, frame):
        self.should_exit = True

Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False)).run()
tracing.close()
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


def environ(collector: Collector) -> Mapping[str, str]:
    return {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/own/path", "OTEL_SERVICE_NAME": "iris"}


def test_a_request_is_traced_from_its_client_to_the_models_own_code_and_its_log_lines(collector: Collector) -> None:
    trace, client = "a" * 32, "b" * 16
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        env=environ(collector),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            url = f"http://127.0.0.1:{port}/v1/models/iris:predict"
            sent = {"X-B3-TraceId": trace, "X-B3-SpanId": client, "X-B3-Sampled": "1"}
            assert httpx.post(url, headers=sent, timeout=60, trust_env=False).status_code == 200
        finally:
            process.terminate()
            _, shown = process.communicate(timeout=60)
    request = collector.span("POST /v1/models/{model_name}:predict")
    compute, own = collector.span("compute"), collector.span("look up")
    assert collector.paths == ["/own/path"]
    assert collector.resource["service.name"] == "iris"
    assert {span.trace_id.hex() for span in (request, compute, own)} == {trace}
    assert request.parent_span_id.hex() == client
    assert compute.parent_span_id == request.span_id
    assert own.parent_span_id == compute.span_id
    assert attributes(request)["url.path"] == "/v1/models/iris:predict"
    lines = {line["logger"]: line for line in map(json.loads, shown.splitlines())}
    assert (lines["model"]["trace_id"], lines["model"]["span_id"]) == (trace, own.span_id.hex())
    access = lines["fairlead.access"]
    assert (access["trace_id"], access["span_id"]) == (trace, request.span_id.hex())
    assert (access["model"], access["protocol"], access["status"]) == ("iris", "v1", 200)
