"""Gateways are real Envoys, and what is behind them are real servers; only the activator is played."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fairlead_tests.local.gateway.running import Activator, GrpcServer, Running, Server


@pytest.fixture
def gateway() -> Iterator[Running]:
    running = Running()
    try:
        running.do(running.gateway.start())
        yield running
    finally:
        running.close()


@pytest.fixture
def serve() -> Iterator[Callable[[str], Server]]:
    servers: list[Server] = []

    def make(name: str) -> Server:
        servers.append(Server(name))
        return servers[-1]

    yield make
    for each in servers:
        each.close()


@pytest.fixture
def serve_grpc() -> Iterator[Callable[[str], GrpcServer]]:
    servers: list[GrpcServer] = []

    def make(name: str) -> GrpcServer:
        servers.append(GrpcServer(name))
        return servers[-1]

    yield make
    for each in servers:
        each.close()


@pytest.fixture
def activate(gateway: Running) -> Iterator[Callable[[Callable[[str], bytes | None]], Activator]]:
    started: list[Activator] = []

    def make(answer: Callable[[str], bytes | None]) -> Activator:
        started.append(Activator(gateway.activator, answer))
        return started[-1]

    yield make
    for each in started:
        each.close()
