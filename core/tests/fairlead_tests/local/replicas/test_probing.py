from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fairlead import errors
from fairlead.local.replicas import probes, probing
from fairlead.local.replicas.commands import Launch
from fairlead.local.replicas.listening import listening
from fairlead.local.replicas.orders import Ports
from fairlead.local.replicas.probes import Action, Exec, Grpc, HttpGet, Probe, Serves, TcpSocket
from fairlead.resolve.runtimes import PROBES
from fairlead_tests.local.replicas.making import order, serving

Answer = Callable[[bytes], bytes]
PORTS = Ports(http=7001, grpc=7002)


def ask(action: Action, timeout: float = 30.0) -> str | None:
    launch = Launch(argv=("x",), env=dict(os.environ))
    return asyncio.run(probing.ask(Probe(action=action, timeout=timeout), launch))


def asked(answer: Answer, made: Callable[[int], Action], timeout: float = 30.0) -> tuple[str | None, list[bytes]]:
    """What a probe finds at a server that answers the head of a request so; and the heads."""
    heads: list[bytes] = []

    serving: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        head = await reader.read(65536)
        heads.append(head)
        writer.write(answer(head))
        if answer(head) == b"wait":
            await reader.read()
        writer.close()

    async def scenario() -> str | None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            launch = Launch(argv=("x",), env={})
            found = await probing.ask(Probe(action=made(port), timeout=timeout), launch)
            await asyncio.gather(*(each for each in serving if each))
            return found

    return asyncio.run(scenario()), heads


def status(code: int) -> Answer:
    return lambda _head: f"HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(("code", "good"), [(200, True), (302, True), (399, True), (400, False), (503, False)])
def test_a_get_is_answered_well_below_400(code: int, good: bool) -> None:
    why, heads = asked(status(code), lambda port: HttpGet(port=port, path="/healthz", headers=(("X-Probe", "me"),)))
    assert (why is None) is good
    assert why is None or str(code) in why
    assert heads[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-Probe: me\r\n" in heads[0]


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n", b"", b"HTTP/2 200\r\n"])
def test_what_does_not_speak_http_fails_a_get(answer: bytes) -> None:
    why, _ = asked(lambda _head: answer, lambda port: HttpGet(port=port))
    assert why is not None
    assert "not HTTP/1" in why


def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    why, _ = asked(lambda _head: b"wait", lambda port: HttpGet(port=port), timeout=0.05)
    assert why is not None
    assert "within 0.05 s" in why


def test_nobody_who_listens_is_told_as_that() -> None:
    why = ask(TcpSocket(port=1))
    assert why is not None
    assert "127.0.0.1:1" in why


def test_a_connection_is_enough_for_a_tcp_probe() -> None:
    assert asked(lambda _head: b"", lambda port: TcpSocket(port=port))[0] is None


@pytest.mark.parametrize(
    ("v2", "v1", "good"),
    [(200, 500, True), (503, 200, False), (404, 200, True), (404, 503, False), (404, 404, True), (405, 404, True)],
)
def test_a_server_that_says_whether_it_is_ready_is_believed(v2: int, v1: int, good: bool) -> None:
    def answer(head: bytes) -> bytes:
        return status(v2 if head.startswith(b"GET /v2/health/ready ") else v1)(head)

    why, heads = asked(answer, lambda port: Serves(port=port, model="iris"))
    assert (why is None) is good
    if v2 == 404:
        assert heads[1].startswith(b"GET /v1/models/iris ")


def test_a_server_of_another_protocol_is_ready_once_it_accepts() -> None:
    assert asked(lambda _head: b"\x00\x01garbage\n", lambda port: Serves(port=port, model="iris"))[0] is None


@pytest.mark.parametrize(("command", "good"), [(("true",), True), (("false",), False), (("/nowhere",), False)])
def test_a_command_is_to_end_with_0(command: tuple[str, ...], good: bool) -> None:
    assert (ask(Exec(command=command)) is None) is good


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    pid, why, patience = tmp_path / "pid", None, 0.25
    while not (pid.exists() and pid.read_text().endswith("\n")):  # one that had no time to begin shows nothing
        patience *= 2
        why = ask(Exec(command=("sh", "-c", f"echo $$ > {pid}; sleep 1000")), timeout=patience)
    assert why is not None
    assert f"within {patience:g} s" in why
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def grpc_server(states: dict[str, Any] | None) -> tuple[grpc.Server, int]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    if states is not None:
        servicer = health.HealthServicer()
        for service, state in states.items():
            servicer.set(service, state)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


@pytest.mark.parametrize(
    ("states", "service", "lenient", "expected"),
    [
        ({"": health_pb2.HealthCheckResponse.SERVING}, "", False, None),
        ({"iris": health_pb2.HealthCheckResponse.SERVING}, "iris", False, None),
        ({"": health_pb2.HealthCheckResponse.NOT_SERVING}, "", True, "NOT_SERVING"),
        ({}, "unknown", False, "UNKNOWN"),
        (None, "", False, "health service"),
        (None, "", True, None),
    ],
)
def test_the_health_of_a_real_grpc_server_is_known(
    states: dict[str, Any] | None, service: str, lenient: bool, expected: str | None
) -> None:
    server, port = grpc_server(states)
    try:
        why = ask(Grpc(port=port, service=service, lenient=lenient))
    finally:
        server.stop(None).wait()
    assert why is None if expected is None else why is not None and expected in why


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\xff" * 100])
def test_what_does_not_speak_http_2_fails_a_grpc_probe(answer: bytes) -> None:
    why, _ = asked(lambda _head: answer, lambda port: Grpc(port=port, lenient=True))
    assert why is not None
    assert "not HTTP/2" in why


def declared(tmp_path: Path, **fields: Any) -> Probe:
    made = order(tmp_path, command=["x"], **fields)
    return probes.readiness(made, listening(made), PORTS)


def test_a_probe_is_asked_at_the_replicas_ports_and_as_often_as_it_says(tmp_path: Path) -> None:
    ports = [{"containerPort": 9000, "name": "web"}, {"containerPort": 9001, "name": "h2c"}, {"containerPort": 9002}]
    found = declared(
        tmp_path,
        ports=ports,
        readinessProbe={"httpGet": {"port": "web", "path": "/ok"}, "initialDelaySeconds": 3, "failureThreshold": 5},
    )
    assert found == Probe(
        action=HttpGet(port=7001, path="/ok"), initial_delay=3, period=10, timeout=1, failure_threshold=5
    )
    assert declared(tmp_path, ports=ports, readinessProbe={"tcpSocket": {"port": 9001}}).action == TcpSocket(port=7002)
    assert declared(tmp_path, ports=ports, readinessProbe={"grpc": {"port": 9002}}).action == Grpc(port=9002)
    assert declared(tmp_path, ports=ports, readinessProbe={"tcpSocket": {"port": 0}}).action == TcpSocket(port=7001)
    assert declared(tmp_path, readinessProbe={"exec": {"command": ["ok"]}}).action == Exec(command=("ok",))


def test_a_probe_of_a_port_that_an_argument_names_follows_it(tmp_path: Path) -> None:
    found = declared(tmp_path, args=["--http_port=8085"], readinessProbe={"httpGet": {"port": 8085}})
    assert found.action == HttpGet(port=7001)


@pytest.mark.parametrize("probe", [{"httpGet": {"port": "metrics"}}, {"periodSeconds": 5}])
def test_a_probe_that_cannot_be_asked_is_refused(tmp_path: Path, probe: dict[str, Any]) -> None:
    with pytest.raises(errors.Unresolvable):
        declared(tmp_path, readinessProbe=probe)


def test_a_container_without_probes_is_asked_whether_it_serves(tmp_path: Path) -> None:
    assert declared(tmp_path).action == Serves(port=7001, model="iris")
    model = serving(tmp_path, "file:///m")
    assert probes.readiness(model, listening(model), PORTS).action == HttpGet(port=7001, path="/v2/health/ready")
    speaks_grpc = order(tmp_path, command=["x"], ports=[{"containerPort": 9001, "name": "h2c"}])
    alone = Ports(http=None, grpc=7002)
    assert probes.readiness(speaks_grpc, listening(speaks_grpc), alone).action == Grpc(port=7002, lenient=True)


def test_probes_of_a_runtime_plugin_are_for_a_cluster_and_ones_own_are_asked(tmp_path: Path) -> None:
    brought = serving(tmp_path, "file:///m", **PROBES)
    found = probes.asked(brought, listening(brought), PORTS)
    assert (found.alive, found.startup, found.ready.period) == (None, None, probes.READY_PERIOD)
    own = serving(tmp_path, "file:///m", **{**PROBES, "livenessProbe": {"tcpSocket": {"port": 8080}}})
    asked_of_own = probes.asked(own, listening(own), PORTS)
    assert asked_of_own.alive == Probe(action=TcpSocket(port=7001), period=10, timeout=1)
    assert asked_of_own.startup is None
