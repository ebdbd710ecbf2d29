"""Which server answers which request, and what a client is told where none does."""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from fairlead.local.gateway.topology import Address, Backend, Internal, Route, Split, Topology
from fairlead_tests.local.gateway.running import GrpcServer, Running, Server, backend, call, listens, route
from fairlead_tests.ports import held_port
from fairlead_tests.waiting import eventually

Serve = Callable[[str], Server]
ServeGrpc = Callable[[str], GrpcServer]


def test_a_host_leads_to_its_service_with_and_without_a_port_and_in_any_case(gateway: Running, serve: Serve) -> None:
    a, b = serve("a"), serve("b")
    gateway.apply(
        Topology(
            routes=(route({"n/a": 100}), route({"n/b": 100}, host="b.test")),
            backends=(backend("n/a", a), backend("n/b", b)),
        )
    )
    assert gateway.ask("/v1/models?x=1").json["path"] == "/v1/models?x=1"
    assert [gateway.ask("/", host=host).json["name"] for host in ("a.test:80", "A.Test", "b.test", "b.test:8080")] == [
        "a",
        "a",
        "b",
        "b",
    ]


def test_a_path_leads_to_its_service_whatever_the_host_is_and_is_taken_off(gateway: Running, serve: Serve) -> None:
    a, b = serve("a"), serve("b")
    gateway.apply(
        Topology(
            routes=(
                route({"n/a": 100}, path="/serving/n/a"),
                route({"n/ab": 100}, host="ab.test", path="/serving/n/ab"),
            ),
            backends=(backend("n/a", a), backend("n/ab", b)),
        )
    )
    answers = [
        gateway.ask(path, host="localhost:1").json
        for path in ("/serving/n/a/v1/models/m:predict?q=/x", "/serving/n/ab/v2", "/serving/n/a", "/serving/n/a/")
    ]
    assert [(each["name"], each["path"]) for each in answers] == [
        ("a", "/v1/models/m:predict?q=/x"),
        ("b", "/v2"),
        ("a", "/"),
        ("a", "/"),
    ]
    assert gateway.ask("/serving/n/abc/v1", host="localhost").status == 404


def test_a_path_with_dots_does_not_lead_from_one_service_to_another(gateway: Running, serve: Serve) -> None:
    a, b = serve("a"), serve("b")
    routes = (route({"n/a": 100}, path="/serving/n/a"), route({"n/b": 100}, host="b.test", path="/serving/n/b"))
    gateway.apply(Topology(routes=routes, backends=(backend("n/a", a), backend("n/b", b))))
    assert gateway.ask("/serving/n/a/../b/v1", host="x").json["name"] == "b"


def test_who_asks_for_an_unknown_service_is_told_where_to_look(gateway: Running) -> None:
    answer = gateway.ask("/v1/models/m?secret=1", host="nobody.test")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "error": "No InferenceService is at host nobody.test and path /v1/models/m. "
        "fairlead status shows what there is."
    }
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway, "nobody.test")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert str(caught.value.details()).startswith("No InferenceService is at host nobody.test and path /inference.")


def test_explanations_go_to_the_explainer_and_nothing_else_does(gateway: Running, serve: Serve) -> None:
    p, e = serve("predictor"), serve("explainer")
    gateway.apply(
        Topology(
            routes=(
                Route(
                    hosts=("a.test",),
                    path="/serving/n/a",
                    entry=Split(weights=(("n/p", 100),)),
                    explain=Split(weights=(("n/e", 100),)),
                ),
            ),
            backends=(backend("n/p", p), backend("n/e", e)),
        )
    )
    explained = ("/v1/models/m:explain", "/v2/models/m/explain", "/v2/models/m/versions/1/explain?x=y")
    others = ("/v1/models/m:predict", "/v2/models/explain", "/v2/models/m/infer?a=/explain", "/v1/models/m:explainer")
    for prefix, host in (("", "a.test"), ("/serving/n/a", "x")):
        answers = [gateway.ask(prefix + path, host=host).json for path in explained]
        assert [(each["name"], each["path"]) for each in answers] == [("explainer", path) for path in explained]
    assert {gateway.ask(path).json["name"] for path in others[:1] + others[2:]} == {"predictor"}


def test_grpc_and_http_share_a_port_and_a_host(gateway: Running, serve: Serve, serve_grpc: ServeGrpc) -> None:
    gateway.apply(
        Topology(
            routes=(route({"n/a": 100}),),
            backends=(backend("n/a", serve("rest"), calls=(serve_grpc("grpc"),)),),
        )
    )
    assert call(gateway, "a.test") == "grpc"
    assert call(gateway, f"a.test:{gateway.gateway.port}") == "grpc"
    assert gateway.ask("/inference.GRPCInferenceService/ModelInfer").json["name"] == "rest"


def test_a_component_says_so_where_it_does_not_speak_what_it_is_asked_in(
    gateway: Running, serve: Serve, serve_grpc: ServeGrpc
) -> None:
    only_grpc = Backend(name="n/g", rest=None, grpc=(serve_grpc("grpc").address,))
    gateway.apply(
        Topology(
            routes=(route({"n/r": 100}), route({"n/g": 100}, host="g.test")),
            backends=(backend("n/r", serve("rest")), only_grpc),
        )
    )
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway, "a.test")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "This component does not answer gRPC: ask it over HTTP."
    answer = gateway.ask("/v1", host="g.test")
    assert (answer.status, answer.json) == (
        404,
        {"error": "This component does not answer HTTP requests: ask it over gRPC."},
    )
    assert call(gateway, "g.test") == "grpc"


def test_a_call_that_falls_to_a_revision_without_grpc_is_told_so(
    gateway: Running, serve: Serve, serve_grpc: ServeGrpc
) -> None:
    gateway.apply(
        Topology(
            routes=(route({"n/a-1": 50, "n/a-2": 50}),),
            backends=(backend("n/a-1", serve("a"), calls=(serve_grpc("g"),)), backend("n/a-2", serve("b"))),
        )
    )
    seen: set[tuple[grpc.StatusCode | None, str]] = set()
    for _ in range(60):
        try:
            seen.add((None, call(gateway, "a.test")))
        except grpc.RpcError as error:
            seen.add((error.code(), str(error.details())))
    refused = (
        grpc.StatusCode.UNIMPLEMENTED,
        "The revision that this request fell to does not answer this protocol.",
    )
    assert seen == {(None, "g"), refused}


def test_a_split_gives_each_revision_its_share(gateway: Running, serve: Serve) -> None:
    gateway.apply(
        Topology(
            routes=(route({"n/a": 80, "n/b": 20}),), backends=(backend("n/a", serve("a")), backend("n/b", serve("b")))
        )
    )
    count = 2000
    connection = gateway.connect()
    seen: Counter[str] = Counter()
    for _ in range(count):
        connection.request("GET", "/", headers={"host": "a.test"})
        seen[json.loads(connection.getresponse().read())["name"]] += 1
    connection.close()
    # Six standard deviations: one run in five hundred million is outside.
    assert abs(seen["b"] - 0.2 * count) < 6 * math.sqrt(count * 0.2 * 0.8)


def test_a_service_without_a_ready_revision_says_why_and_when_to_come_again(gateway: Running) -> None:
    reason = 'InferenceService n/a is "not" ready yet.'
    gateway.apply(Topology(routes=(route({}, reason=reason),)))
    answer = gateway.ask("/v1")
    assert (answer.status, answer.json, answer.headers["retry-after"]) == (503, {"error": reason}, "1")
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway, "a.test")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAVAILABLE, reason)


def test_a_backend_without_a_ready_replica_is_a_503_and_one_that_is_gone_too(gateway: Running, serve: Serve) -> None:
    gone = serve("gone")
    gone.close()
    gateway.apply(
        Topology(
            routes=(route({"n/a": 100}), route({"n/b": 100}, host="b.test")),
            backends=(Backend(name="n/a"), Backend(name="n/b", rest=(gone.address,))),
        )
    )
    for host, error in (
        ("a.test", "No replica is ready to answer."),
        ("b.test", "No connection to a replica could be made."),
    ):
        answer = gateway.ask("/v1", host=host)
        assert (answer.status, answer.json, answer.headers["retry-after"]) == (503, {"error": error}, "1")


def test_copies_go_to_the_mirror_and_nobody_waits_for_them(gateway: Running, serve: Serve) -> None:
    a, copy = serve("a"), serve("copy")
    split = Split(weights=(("n/a", 100),), mirrors=(("n/c", 100),))
    gateway.apply(
        Topology(
            routes=(Route(hosts=("a.test",), path=None, entry=split),),
            backends=(backend("n/a", a), backend("n/c", copy)),
        )
    )
    copy.go.clear()
    threading.Timer(0.5, a.go.set).start()
    answer = gateway.ask("/hold", method="POST", body=b"x" * 5000)
    assert answer.json["name"] == "a"
    assert copy.held.acquire(timeout=10)
    assert copy.asked == [("POST", "/hold")]


def test_a_component_that_takes_too_long_is_a_504_in_either_protocol(
    gateway: Running, serve: Serve, serve_grpc: ServeGrpc
) -> None:
    slow = serve_grpc("slow")
    slow.go.clear()
    gateway.apply(
        Topology(
            routes=(route({"n/a": 100}, timeout=0.2),),
            backends=(backend("n/a", serve("a"), calls=(slow,)),),
        )
    )
    answer = gateway.ask("/hold")
    assert (answer.status, answer.json) == (504, {"error": "No answer within the time limit of the component."})
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway, "a.test")
    assert caught.value.details() == "No answer within the time limit of the component."
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_request_is_sent_to_another_replica_where_no_connection_can_be_made(gateway: Running, serve: Serve) -> None:
    gone, here = serve("gone"), serve("here")
    gone.close()
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", gone, here),)))
    assert {gateway.ask("/v1", method="POST", body=b"x").json["name"] for _ in range(20)} == {"here"}


def test_a_request_that_was_sent_is_never_repeated(gateway: Running, serve: Serve) -> None:
    a, b = serve("a"), serve("b")
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", a, b),)))
    asking = {"x-envoy-retry-on": "5xx,reset", "x-envoy-max-retries": "5", "x-envoy-retriable-status-codes": "503"}
    answers = [gateway.ask("/break", method="POST", body=b"x", headers=asking) for _ in range(5)]
    assert [each.status for each in answers] == [503] * 5
    assert answers[0].json == {"error": "The replica ended the connection before it had answered."}
    assert len(a.asked) + len(b.asked) == 5


def test_a_client_does_not_tell_the_gateway_where_to_go_nor_how_long_to_wait(gateway: Running, serve: Serve) -> None:
    a, secret = serve("a"), serve("secret")
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", a),)))
    spoofed = {
        "x-envoy-original-dst-host": str(secret.address),
        "X-Envoy-Upstream-Rq-Timeout-Ms": "1",
        "x-fairlead-way": "internal/n/a",
        "x-request-id": "mine",
    }
    said = gateway.ask("/v1", headers=spoofed).json
    assert said["name"] == "a"
    assert secret.asked == []
    assert said["headers"]["x-request-id"] == "mine"
    assert [name for name in said["headers"] if name.startswith(("x-envoy", "x-fairlead"))] == []


def test_a_reply_is_the_replicas_own(gateway: Running, serve: Serve) -> None:
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", serve("a")),)))
    headers = gateway.ask("/v1").headers
    assert headers["server"].startswith("BaseHTTP")
    assert [name for name in headers if name.lower().startswith("x-")] == []


def test_a_bound_on_requests_in_flight_refuses_more(gateway: Running, serve: Serve) -> None:
    a = serve("a")
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", a, max_requests=1),)))
    first = threading.Thread(target=gateway.ask, args=("/hold",))
    first.start()
    assert a.held.acquire(timeout=10)
    answer = gateway.ask("/v1")
    a.go.set()
    first.join()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json == {"error": "As many requests as may be are in flight; try again later."}
    assert gateway.ask("/v1").status == 200


def test_large_bodies_pass(gateway: Running, serve: Serve) -> None:
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", serve("a")),)))
    size = 64 << 20
    assert gateway.ask("/v1", method="POST", body=bytes(size)).json["size"] == size


def test_a_port_of_its_own_leads_to_a_component_whatever_the_host_is(gateway: Running, serve: Serve) -> None:
    t, p = serve("transformer"), serve("predictor")
    with held_port() as one, held_port() as other:
        _leads_to_a_component(gateway, t, p, (one, other))


def _leads_to_a_component(gateway: Running, t: Server, p: Server, ports: tuple[int, int]) -> None:
    weights = (("n/p", 100),)
    gateway.apply(
        Topology(
            routes=(route({"n/t": 100}, path="/serving/n/a"),),
            internals=tuple(Internal(name=f"n/A{port}", port=port, split=Split(weights=weights)) for port in ports),
            backends=(backend("n/t", t), backend("n/p", p)),
        )
    )
    for port in ports:
        connection = gateway.connect()
        connection.port = port
        with contextlib.closing(connection):
            for host in ("a.test", f"127.0.0.1:{port}", "a-predictor.n"):
                connection.request("POST", "/serving/n/a/v1", b"x", {"host": host})
                said = json.loads(connection.getresponse().read())
                assert (said["name"], said["path"], said["headers"]["host"]) == ("predictor", "/serving/n/a/v1", host)
    assert gateway.ask("/", host=f"internal/n/A{ports[0]}").status == 400
    gateway.apply(Topology(routes=(route({"n/t": 100}),), backends=(backend("n/t", t),)))
    eventually(lambda: not any(listens(port) for port in ports))  # Envoy closes them in threads of its own


def test_the_access_log_has_a_line_for_each_request(tmp_path: Path, serve: Serve) -> None:
    running = Running(access_log=tmp_path / "access.log")
    try:
        running.do(running.gateway.start())
        running.apply(
            Topology(routes=(route({"n/a": 100}, path="/serving/n/a"),), backends=(backend("n/a", serve("a")),))
        )
        running.ask("/serving/n/a/v1?q=1", host="x", headers={"x-request-id": "r1"})
    finally:
        running.do(running.gateway.stop(5.0))
        running.close()
    line = json.loads((tmp_path / "access.log").read_text())
    seen = {name: line[name] for name in ("method", "host", "path", "status", "destination", "request_id")}
    assert seen == {
        "method": "GET",
        "host": "x",
        "path": "/serving/n/a/v1?q=1",
        "status": 200,
        "destination": "n/a/rest",
        "request_id": "r1",
    }


def test_what_passes_through_is_counted_by_backend_and_by_replica(
    gateway: Running, serve: Serve, serve_grpc: ServeGrpc
) -> None:
    a, calls = serve("a"), serve_grpc("g")
    topology = Topology(routes=(route({"n/a.b": 100}),), backends=(backend("n/a.b", a, calls=(calls,)),))
    gateway.apply(topology)
    assert gateway.do(gateway.gateway.measure()) == {}
    call(gateway, "a.test")
    held = threading.Thread(target=gateway.ask, args=("/hold",))
    held.start()
    assert a.held.acquire(timeout=10)
    measured = gateway.do(gateway.gateway.measure())["n/a.b"]
    assert (measured.active, measured.total) == (1, 2)
    assert gateway.do(gateway.gateway.active("n/a.b", a.address)) == 1
    assert gateway.do(gateway.gateway.active("n/a.b", Address("127.0.0.1", 1))) == 0
    gateway.apply(Topology(routes=topology.routes, backends=(Backend(name="n/a.b", grpc=(calls.address,)),)))
    assert gateway.do(gateway.gateway.active("n/a.b", a.address)) == 1
    a.go.set()
    held.join()
    eventually(lambda: not gateway.do(gateway.gateway.active("n/a.b", a.address)))
    assert gateway.do(gateway.gateway.measure())["n/a.b"].active == 0
