"""Requests to a backend at zero replicas: the activator is asked about each, and names an address or refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from fairlead.local.gateway.topology import Backend, Topology
from fairlead_tests.local.gateway.running import (
    Activator,
    GrpcServer,
    Running,
    Server,
    backend,
    call,
    load,
    refusal,
    route,
    to,
)

Serve = Callable[[str], Server]
ServeGrpc = Callable[[str], GrpcServer]
Activate = Callable[[Callable[[str], bytes | None]], Activator]


def _asleep(gateway: Running, **options: Any) -> None:
    gateway.apply(
        Topology(
            routes=(route({"n/a-00001": 100}, path="/serving/n/a", **options),),
            backends=(Backend(name="n/a-00001", grpc=(), through_activator=True),),
        )
    )


def test_the_activator_is_asked_with_the_head_alone_and_the_body_goes_to_the_address_it_names(
    gateway: Running, serve: Serve, activate: Activate
) -> None:
    woken = serve("woken")
    activator = activate(lambda _: to(woken.address))
    _asleep(gateway)
    said = gateway.ask("/v1/models/m:predict", method="POST", body=bytes(64 << 20), headers={"x-request-id": "r"}).json
    assert (said["name"], said["path"], said["size"]) == ("woken", "/v1/models/m:predict", 64 << 20)
    assert activator.checks[0].startswith("POST /hold/rest/n%2Fa-00001/v1/models/m:predict HTTP/1.1\r\n")
    assert "content-length: 0\r\n" in activator.checks[0]
    assert gateway.ask("/serving/n/a/v1", host="x").json["path"] == "/v1"
    assert gateway.do(gateway.gateway.measure())["n/a-00001"].total == 2


def test_a_call_of_grpc_is_held_too(gateway: Running, serve_grpc: ServeGrpc, activate: Activate) -> None:
    woken = serve_grpc("woken")
    activator = activate(lambda _: to(woken.address))
    _asleep(gateway)
    assert call(gateway, "a.test") == "woken"
    assert activator.checks[0].startswith("POST /hold/grpc/n%2Fa-00001/inference.GRPCInferenceService/ModelInfer ")


def test_the_time_that_a_request_is_held_is_not_part_of_its_timeout(
    gateway: Running, serve: Serve, activate: Activate
) -> None:
    woken = serve("woken")
    go = threading.Event()

    def answer(_: str) -> bytes:
        go.wait(30)
        return to(woken.address)

    activator = activate(answer)
    _asleep(gateway, timeout=3.0)
    threading.Timer(4.0, go.set).start()
    assert gateway.ask("/v1").json["name"] == "woken"
    assert len(activator.checks) == 1


@pytest.mark.parametrize(("status", "shown"), [(460, 503), (461, 504), (462, 503)])
def test_a_refusal_of_the_activator_reaches_the_client_in_its_words(
    gateway: Running, activate: Activate, status: int, shown: int
) -> None:
    activate(lambda _: refusal(status, 'the "queue" is full'))
    _asleep(gateway)
    answer = gateway.ask("/v1", method="POST", body=b"x" * 100000)
    assert (answer.status, answer.json) == (shown, {"error": 'the "queue" is full'})
    assert (answer.headers["retry-after"], answer.headers["content-type"]) == ("7", "application/json")
    assert [name for name in answer.headers if name.startswith(("x-", "grpc-"))] == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (460, grpc.StatusCode.UNAVAILABLE),
        (461, grpc.StatusCode.DEADLINE_EXCEEDED),
        (462, grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_a_refusal_of_the_activator_is_a_status_of_grpc_with_its_words(
    gateway: Running, activate: Activate, status: int, code: grpc.StatusCode
) -> None:
    activate(lambda _: refusal(status, "no room"))
    _asleep(gateway)
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway, "a.test")
    assert caught.value.code() is code
    assert "no room" in str(caught.value.details())


@pytest.mark.parametrize("dead", [True, False])
def test_an_activator_that_is_gone_or_goes_is_a_503(gateway: Running, activate: Activate, dead: bool) -> None:
    if not dead:
        activate(lambda _: None)
    _asleep(gateway)
    answer = gateway.ask("/v1")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json == {"error": "The activator does not answer; try again later."}


def test_a_client_that_leaves_takes_its_question_to_the_activator_with_it(gateway: Running, activate: Activate) -> None:
    activator = activate(lambda _: b"")
    _asleep(gateway)
    connection = gateway.connect()
    connection.request("GET", "/v1", headers={"host": "a.test"})
    assert activator.came.acquire(timeout=10)
    connection.close()
    assert activator.left.acquire(timeout=10)


def test_a_client_does_not_choose_the_address_where_the_activator_names_none(
    gateway: Running, serve: Serve, activate: Activate
) -> None:
    secret = serve("secret")
    activate(lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    _asleep(gateway)
    for name in ("x-envoy-original-dst-host", "X-Envoy-Original-Dst-Host"):
        assert gateway.ask("/v1", headers={name: str(secret.address)}).status == 503
    assert secret.asked == []


def test_a_split_may_hold_the_requests_of_one_revision_alone(
    gateway: Running, serve: Serve, activate: Activate
) -> None:
    awake, woken = serve("awake"), serve("woken")
    activator = activate(lambda _: to(woken.address))
    gateway.apply(
        Topology(
            routes=(route({"n/a-1": 50, "n/a-2": 50}),),
            backends=(backend("n/a-1", awake), Backend(name="n/a-2", through_activator=True)),
        )
    )
    names = [gateway.ask("/v1").json["name"] for _ in range(60)]
    assert set(names) == {"awake", "woken"}
    assert len(activator.checks) == names.count("woken")


def test_a_backend_goes_to_zero_and_back_and_each_request_is_answered(
    gateway: Running, serve: Serve, activate: Activate
) -> None:
    a = serve("a")
    activator = activate(lambda _: to(a.address))
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", a),)))
    with load(gateway) as seen:
        for _ in range(20):
            for asleep in (backend("n/a", a, through_activator=True), Backend(name="n/a", through_activator=True)):
                gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(asleep,)))
            gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", a),)))
    assert set(seen) == {200}
    assert activator.checks
