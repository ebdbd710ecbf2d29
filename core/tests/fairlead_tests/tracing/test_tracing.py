"""Spans as a collector gets them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from fairlead import errors
from fairlead.engine.metrics import Metrics
from fairlead.tracing.tracer import Tracing
from fairlead_tests.tracing.collector import Collector, attributes, collecting

ROUTE = "/v2/models/{model_name}/infer"
PATH = "/v2/models/iris/infer"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
Make = Callable[..., Tracing]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture
def tracing(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes traces that go to the collector, with further variables."""
    with contextlib.ExitStack() as stack:

        def make(**variables: str) -> Tracing:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            made = Tracing.from_environment()
            assert made is not None
            stack.callback(made.close)
            stack.callback(collector.hold.set)
            return made

        yield make


def ask(tracing: Tracing, status: int = 200, error: BaseException | None = None, **headers: str) -> None:
    span = tracing.start(headers, "v2", route=ROUTE, model="iris", path=PATH)
    span.end(status, error)


def test_a_request_is_a_span_with_the_conventions_attributes(tracing: Make, collector: Collector) -> None:
    made = tracing()
    span = made.start({}, "v2", route=ROUTE, model="iris", path=PATH)
    span.note(version="3", rows=2)
    span.end(200)
    made.close()
    found = collector.span(f"POST {ROUTE}")
    assert collector.paths == ["/v1/traces"]
    assert found.kind == Span.SPAN_KIND_SERVER
    assert found.status.code == Status.STATUS_CODE_UNSET
    assert found.parent_span_id == b""
    assert attributes(found) == {
        "http.request.method": "POST",
        "http.route": ROUTE,
        "http.response.status_code": 200,
        "url.path": PATH,
        "fairlead.protocol": "v2",
        "fairlead.model.name": "iris",
        "fairlead.model.version": "3",
        "fairlead.rows": 2,
    }


def test_a_call_of_grpc_has_those_of_rpc(tracing: Make, collector: Collector) -> None:
    made = tracing()
    route = "/inference.GRPCInferenceService/ModelInfer"
    made.start({}, "grpc", route=route, model="iris").end("INVALID_ARGUMENT", errors.InvalidInput("no"))
    made.start({}, "grpc", route=route, model="iris").end("UNAVAILABLE", errors.ServerNotReady())
    made.close()
    wrong, unavailable = collector.spans
    assert wrong.name == route[1:]
    assert attributes(wrong) == {
        "rpc.system.name": "grpc",
        "rpc.method": route[1:],
        "rpc.response.status_code": "INVALID_ARGUMENT",
        "fairlead.protocol": "grpc",
        "fairlead.model.name": "iris",
    }
    assert wrong.status.code == Status.STATUS_CODE_UNSET
    assert unavailable.status.code == Status.STATUS_CODE_ERROR
    assert attributes(unavailable)["error.type"] == "ServerNotReady"


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": f"00-{TRACE}-{PARENT}-01"},
        {"b3": f"{TRACE}-{PARENT}-1"},
        {"x-b3-traceid": TRACE, "x-b3-spanid": PARENT, "x-b3-sampled": "1"},
        {"traceparent": f"00-{TRACE}-{PARENT}-01", "b3": f"{'1' * 32}-{'2' * 16}-1"},
    ],
    ids=["W3C", "B3 in one header", "B3 in several", "W3C before B3"],
)
def test_a_request_belongs_to_the_trace_that_its_headers_name(
    headers: dict[str, str], tracing: Make, collector: Collector
) -> None:
    made = tracing()
    span = made.start(headers, "v2", route=ROUTE, model="iris", path=PATH)
    outgoing = span.headers()
    span.end(200)
    made.close()
    (found,) = collector.spans
    assert found.trace_id.hex() == TRACE
    assert found.parent_span_id.hex() == PARENT
    assert span.ids == {"trace_id": TRACE, "span_id": found.span_id.hex()}
    assert outgoing["traceparent"] == f"00-{TRACE}-{found.span_id.hex()}-01"
    assert (outgoing["x-b3-traceid"], outgoing["x-b3-spanid"]) == (TRACE, found.span_id.hex())


def test_propagators_that_are_named_are_the_only_ones(tracing: Make, collector: Collector) -> None:
    made = tracing(OTEL_PROPAGATORS="b3")
    span = made.start({"traceparent": f"00-{TRACE}-{PARENT}-01"}, "v2", route=ROUTE, model="iris")
    assert span.ids["trace_id"] != TRACE
    assert list(span.headers()) == ["b3"]
    span.end(200)


@pytest.mark.parametrize("value", ["", "nonsense", "00-0-0-0", f"00-{'0' * 32}-{PARENT}-01", "x" * 10_000])
def test_headers_that_name_no_trace_begin_a_new_one_and_say_nothing(
    value: str, tracing: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    made = tracing()
    ask(made, traceparent=value, b3=value, baggage=value)
    made.close()
    assert collector.span(f"POST {ROUTE}").parent_span_id == b""
    assert caplog.messages == []


def test_stages_are_spans_below_it_at_their_own_times(tracing: Make, collector: Collector) -> None:
    made = tracing()
    started = time.perf_counter()
    span = made.start({}, "v2", route=ROUTE, model="iris", started=started)
    span.stage("decode", started, started + 0.25)
    span.stage("queue", started + 0.25, started + 0.5)
    span.end(200)
    made.close()
    request = collector.span(f"POST {ROUTE}")
    decode, queue = collector.span("decode"), collector.span("queue")
    assert decode.parent_span_id == queue.parent_span_id == request.span_id
    assert decode.start_time_unix_nano == request.start_time_unix_nano
    assert decode.end_time_unix_nano - decode.start_time_unix_nano == pytest.approx(250_000_000, abs=1000)
    assert queue.start_time_unix_nano == decode.end_time_unix_nano
    assert abs(request.start_time_unix_nano - time.time_ns()) < 60e9


def test_a_fault_of_the_server_is_an_error_with_its_traceback_and_one_of_the_client_is_none(
    tracing: Make, collector: Collector
) -> None:
    made = tracing()
    try:
        raise ZeroDivisionError("of the model")
    except ZeroDivisionError as error:
        failed = errors.InferenceFailed("the model raised")
        failed.__cause__ = error
    ask(made, 500, failed)
    ask(made, 503, errors.ServerNotReady())
    ask(made, 400, errors.InvalidInput("no"))
    made.close()
    fault, busy, wrong = collector.spans
    assert fault.status.code == Status.STATUS_CODE_ERROR
    assert fault.status.message == "the model raised"
    assert attributes(fault)["error.type"] == "InferenceFailed"
    (event,) = fault.events
    assert attributes(event)["exception.type"] == "ZeroDivisionError"
    assert "test_tracing.py" in attributes(event)["exception.stacktrace"]
    assert busy.status.code == Status.STATUS_CODE_ERROR
    assert not busy.events
    assert wrong.status.code == Status.STATUS_CODE_UNSET
    assert "error.type" not in attributes(wrong)


def test_a_call_for_several_requests_is_in_each_ones_trace_and_links_them(tracing: Make, collector: Collector) -> None:
    made = tracing()
    first, second = (made.start({}, "v2", route=ROUTE, model="iris") for _ in range(2))
    seen = []

    def compute() -> None:
        with made.computation([None, first, second], rows=5):
            seen.append(trace.get_current_span().get_span_context().span_id)
        seen.append(trace.get_current_span().get_span_context().span_id)

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    for span in (first, second):
        span.end(200)
    made.close()
    calls = {span.trace_id.hex(): span for span in collector.spans if span.name == "compute"}
    one, other = calls[first.ids["trace_id"]], calls[second.ids["trace_id"]]
    assert one.parent_span_id.hex() == first.ids["span_id"]
    assert other.parent_span_id.hex() == second.ids["span_id"]
    assert attributes(one) == attributes(other) == {"fairlead.batch.requests": 3, "fairlead.batch.rows": 5}
    assert [link.span_id.hex() for link in one.links] == [second.ids["span_id"]]
    assert [link.span_id for link in other.links] == [one.span_id]
    assert (other.start_time_unix_nano, other.end_time_unix_nano) == (
        one.start_time_unix_nano,
        one.end_time_unix_nano,
    )
    assert seen == [int.from_bytes(one.span_id, "big"), 0]


def test_what_a_model_logs_while_it_computes_carries_the_ids_of_the_call(tracing: Make) -> None:
    made = tracing()
    span = made.start({}, "v2", route=ROUTE, model="iris")
    inside, outside = (logging.makeLogRecord({}) for _ in range(2))
    filtering = made.log_filter()
    with made.computation([span], rows=1):
        assert filtering.filter(inside)
    assert filtering.filter(outside)
    assert inside.__dict__["trace_id"] == span.ids["trace_id"]
    assert not hasattr(outside, "trace_id")


def test_what_is_not_sampled_is_not_exported_and_what_it_calls_is_told_so(tracing: Make, collector: Collector) -> None:
    made = tracing(OTEL_TRACES_SAMPLER="always_off")
    span = made.start({"traceparent": f"00-{TRACE}-{PARENT}-01"}, "v2", route=ROUTE, model="iris")
    assert not span.sampled
    with made.computation([span], rows=1):
        inner = trace.get_current_span().get_span_context()
    assert f"{inner.trace_id:032x}" == TRACE
    assert span.headers()["traceparent"] == f"00-{TRACE}-{span.ids['span_id']}-00"
    span.stage("decode", 0.0, 1.0)
    span.end(200)
    made.close()
    assert collector.spans == []


def test_the_decision_of_the_client_is_followed(tracing: Make, collector: Collector) -> None:
    made = tracing()
    ask(made, traceparent=f"00-{TRACE}-{PARENT}-00")
    ask(made, b3="0")
    ask(made, traceparent=f"00-{TRACE}-{PARENT}-01")
    made.close()
    assert [span.trace_id.hex() == TRACE for span in collector.spans] == [False, True]


@pytest.mark.parametrize(
    ("variables", "name", "version"),
    [
        ({}, "fairlead", "0.1.0"),
        ({"OTEL_SERVICE_NAME": "iris"}, "iris", None),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=iris,service.version=7"}, "iris", "7"),
    ],
)
def test_the_service_is_named_by_the_environment(
    variables: dict[str, str], name: str, version: str | None, tracing: Make, collector: Collector
) -> None:
    made = tracing(**variables)
    ask(made)
    made.close()
    assert collector.resource["service.name"] == name
    assert collector.resource.get("service.version") == version


# -- collectors that are slow or fail -------------------------------------------------------------------


def dropped(metrics: Metrics, reason: str) -> float | None:
    return metrics.registry.get_sample_value("fairlead_dropped_spans_total", {"reason": reason})


def test_a_collector_that_does_not_answer_costs_spans_and_they_are_counted(tracing: Make, collector: Collector) -> None:
    collector.hold.clear()
    made = tracing(OTEL_BSP_MAX_QUEUE_SIZE="4", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="2", OTEL_BSP_SCHEDULE_DELAY="10")
    metrics = Metrics()
    made.report_drops(metrics.count_dropped_spans)
    ask(made)
    assert collector.asked.wait(60)  # from here on, the exporter waits for its answer
    for _ in range(10):
        ask(made)
    assert made.dropped == {"queue_full": 6}
    assert dropped(metrics, "queue_full") == 6
    collector.hold.set()
    made.close()
    assert len(collector.spans) == 5


def test_spans_that_a_collector_refuses_are_counted(
    tracing: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 400
    made = tracing()
    metrics = Metrics()
    made.report_drops(metrics.count_dropped_spans)
    ask(made)
    made.close()
    assert dropped(metrics, "export_failed") == 1
    assert "400" in caplog.text


def test_a_collector_that_does_not_answer_holds_no_server_up_that_stops(
    tracing: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.hold.clear()
    made = tracing(OTEL_BSP_SCHEDULE_DELAY="10")
    ask(made)
    assert collector.asked.wait(60)
    ask(made)
    made.close(patience=0.05)
    assert made.dropped == {"shutdown": 2}
    assert caplog.messages == ["2 spans were not exported within 0.05 seconds, and are lost"]
    ask(made)
    assert made.dropped == {"shutdown": 3}
