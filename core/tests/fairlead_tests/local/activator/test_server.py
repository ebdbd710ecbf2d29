"""What the activator's process answers over its socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairlead.local.activator.seats import Held, Seats
from fairlead.local.activator.server import Limits, Server
from fairlead_tests.local.activator.asking import at, client, eventually, running

NAME = "default/iris-predictor-00001"
REST = "/hold/rest/default%2Firis-predictor-00001/v1/models/iris:predict"
GRPC = "/hold/grpc/default%2Firis-predictor-00001/inference.GRPCInferenceService/ModelInfer"


@contextlib.asynccontextmanager
async def serving(folder: Path, limits: Limits | None = None) -> AsyncIterator[tuple[Server, Path, list[str]]]:
    """A server in this process, for what a test sets itself."""
    wakes: list[str] = []
    path = folder / "a.sock"
    server = Server(wakes.append, limits)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        await server.listen(listener)
        try:
            yield server, path, wakes
        finally:
            server.close("It ends.")
            await server.wait_closed()


def test_a_held_request_is_answered_when_a_replica_is_ready(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform, platform.client() as rest, platform.client() as grpc:
            await platform.assign(NAME, Seats(grpc=()))
            rest.ask(REST)
            assert await platform.wakes.get() == NAME
            grpc.ask(GRPC)
            await platform.until_waiting(NAME, 2)
            await platform.assign(NAME, Seats(rest=at(8080), grpc=at(9000)))
            assert (await rest.reply()).address == "127.0.0.1:8080"
            assert (await grpc.reply()).address == "127.0.0.1:9000"
            assert await platform.activator.measure() == {NAME: Held(0, 2, 2)}

    asyncio.run(run())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_any_method_is_answered_and_the_connection_serves_the_next(tmp_path: Path, method: str) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as gateway:
            server.holding.assign(NAME, Seats(rest=at(1)), 0.0)
            for _ in range(3):
                assert (await gateway.get(REST, method=method)).address == "127.0.0.1:1"

    asyncio.run(run())


@pytest.mark.parametrize(
    "path", ["/hold/rest/a%2Fb", "/hold/rest/a%2Fb?x=/y", "/hold/rest/a%2Fb//", "/hold/rest/a%2fb/%2"]
)
def test_whatever_follows_the_backend_does_not_matter(tmp_path: Path, path: str) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, place, _), client(place) as gateway:
            server.holding.assign("a/b", Seats(rest=at(1)), 0.0)
            assert (await gateway.get(path)).address == "127.0.0.1:1"

    asyncio.run(run())


def test_a_full_queue_a_deadline_and_what_cannot_start_are_told_apart(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform, platform.client() as gateway, platform.client() as other:
            await platform.assign(NAME, Seats(max_waiting=0))
            full = await gateway.get(REST)
            await platform.assign(NAME, Seats(deadline=0.1))
            late = await gateway.get(REST)
            await platform.assign(NAME, Seats())
            gateway.ask(REST)
            await platform.until_waiting(NAME, 1)
            await platform.assign(NAME, Seats(refusal="The model “iris” cannot be loaded."))
            waited, broken = await gateway.reply(), await other.get(REST)
            unknown = await gateway.get("/hold/rest/nobody/")
        assert [reply.status for reply in (full, late, waited, broken, unknown)] == [460, 461, 462, 462, 462]
        assert full.error == f"0 requests wait for {NAME} already, and no more may."
        assert late.error == f"No replica of {NAME} could take the request within 0.1 s."
        assert waited.error == broken.error == "The model “iris” cannot be loaded."
        assert unknown.error == "nobody is not known here."
        assert all(int(reply.headers["retry-after"]) >= 1 for reply in (full, late, waited, broken, unknown))

    asyncio.run(run())


def test_a_refusal_of_head_has_no_body(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (_, path, _), client(path) as gateway:
            assert (await gateway.get(REST, method="HEAD")).status == 462
            assert (await gateway.get(REST)).error == f"{NAME} is not known here."

    asyncio.run(run())


def test_a_client_that_has_gone_leaves_the_queue_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform, platform.client() as stays:
            await platform.assign(NAME, Seats(max_waiting=2))
            async with platform.client() as gone:
                gone.ask(REST)
                await platform.until_waiting(NAME, 1)
                stays.ask(REST)
                await platform.until_waiting(NAME, 2)
            await platform.until_waiting(NAME, 1)
            await platform.assign(NAME, Seats(rest=at(1)))
            assert (await stays.reply()).address == "127.0.0.1:1"
            assert await platform.activator.measure() == {NAME: Held(0, 2, 1)}

    asyncio.run(run())


def test_two_thousand_wait_at_once_and_all_are_answered(tmp_path: Path) -> None:
    count = 2000

    async def run() -> None:
        async with running(tmp_path) as platform, contextlib.AsyncExitStack() as stack:
            await platform.assign(NAME, Seats())
            clients = [await stack.enter_async_context(platform.client()) for _ in range(count)]
            for each in clients:
                each.ask(REST)
            await platform.until_waiting(NAME, count)
            await platform.assign(NAME, Seats(rest=at(1)))
            assert {(await each.reply()).address for each in clients} == {"127.0.0.1:1"}
            assert await platform.activator.measure() == {NAME: Held(0, count, count)}

    asyncio.run(run())


def test_those_that_wait_follow_as_others_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform, contextlib.AsyncExitStack() as stack:
            await platform.assign(NAME, Seats(capacity=1))
            clients = [await stack.enter_async_context(platform.client()) for _ in range(3)]
            for number, each in enumerate(clients, 1):
                each.ask(REST)
                await platform.until_waiting(NAME, number)
            await platform.assign(NAME, Seats(rest=at(1, 2), capacity=1))
            assert [(await each.reply()).address for each in clients[:2]] == ["127.0.0.1:1", "127.0.0.1:2"]
            last = asyncio.create_task(clients[2].reply())
            while not last.done():
                assert (await platform.activator.measure())[NAME].released <= 3
                platform.activator.report({NAME: 1})
                await asyncio.sleep(0.02)
            assert last.result().address == "127.0.0.1:1"

    asyncio.run(run())


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /hold/rest/ HTTP/1.1\r\n\r\n",
        b"GET /hold/soap/a/ HTTP/1.1\r\n\r\n",
        b"GET /hold/rest/%ff/ HTTP/1.1\r\n\r\n",
        b"GET http://x/hold/rest/a/ HTTP/1.1\r\n\r\n",
        b"POST /hold/rest/a/ HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST /hold/rest/a/ HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /hold/rest/a/ HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"GET /hold/rest/a/ HTTP/1.1\r\nx: " + b"x" * 200_000,
        b"GET /" + b"x" * 200_000,
    ],
    ids=lambda garbage: repr(garbage[:30]),
)
def test_what_is_no_request_is_answered_400_and_the_connection_closes(tmp_path: Path, garbage: bytes) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as good, client(path) as bad:
            server.holding.assign("a", Seats(), 0.0)
            good.ask("/hold/rest/a/")
            await eventually(lambda: server.holding.waiting == 1)
            bad.writer.write(garbage)
            assert (await bad.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n")
            assert server.holding.waiting == 1
            server.answer(server.holding.assign("a", Seats(rest=at(1)), 0.0))
            assert (await good.reply()).address == "127.0.0.1:1"

    asyncio.run(run())


def test_garbage_behind_a_request_that_waits_takes_it_out_of_the_queue(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as gateway:
            server.holding.assign("a", Seats(), 0.0)
            gateway.ask("/hold/rest/a/")
            await eventually(lambda: server.holding.waiting == 1)
            gateway.writer.write(b"nonsense\r\n\r\n")
            assert (await gateway.rest()).startswith(b"HTTP/1.1 400")
            assert server.holding.waiting == 0

    asyncio.run(run())


@pytest.mark.parametrize("part", ["POST /hold/re", "POST /hold/rest/a/ HTTP/1.1\r\ncontent-length: 9\r\n\r\nbody"])
def test_a_request_that_does_not_become_whole_is_given_up(tmp_path: Path, part: str) -> None:
    async def run() -> None:
        async with serving(tmp_path, Limits(seconds=0.05)) as (server, path, _), client(path) as slow:
            server.holding.assign("a", Seats(), 0.0)
            slow.writer.write(part.encode())
            assert (await slow.rest()).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert server.holding.measure()["a"] == Held()

    asyncio.run(run())


def test_a_request_that_comes_byte_by_byte_is_understood(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as slow:
            server.holding.assign("a/b", Seats(rest=at(1)), 0.0)
            for byte in b"POST /hold/rest/a%2Fb/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc":
                slow.writer.write(bytes([byte]))
                await slow.writer.drain()
                await asyncio.sleep(0)
            assert (await slow.reply()).address == "127.0.0.1:1"

    asyncio.run(run())


def test_a_large_body_is_read_and_no_part_of_the_next_request(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as gateway:
            server.holding.assign("a", Seats(rest=at(1)), 0.0)
            body = "GET /hold/rest/b/ HTTP/1.1\r\n\r\n" * 20_000
            gateway.ask("/hold/rest/a/", more=f"content-length: {len(body)}\r\n")
            gateway.writer.write(body.encode())
            assert (await gateway.reply()).address == "127.0.0.1:1"
            assert (await gateway.get("/hold/rest/a/", more="transfer-encoding: chunked\r\n\r\n0\r\n")).status == 200
            assert server.holding.measure()["a"] == Held(0, 2, 2)

    asyncio.run(run())


def test_requests_behind_one_that_waits_are_answered_after_it_and_in_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, wakes), client(path) as gateway:
            server.holding.assign("a", Seats(), 0.0)
            server.holding.assign("b", Seats(rest=at(2)), 0.0)
            for name in "abba":
                gateway.ask(f"/hold/rest/{name}/")
            await eventually(lambda: server.holding.waiting == 1)
            server.answer(server.holding.assign("a", Seats(rest=at(1)), 0.0))
            assert [(await gateway.reply()).address[-1] for _ in range(4)] == ["1", "2", "2", "1"]
            assert wakes == ["a"]

    asyncio.run(run())


def test_too_many_requests_behind_one_that_waits_are_an_error(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as gateway:
            server.holding.assign("a", Seats(), 0.0)
            for _ in range(100):
                gateway.ask("/hold/rest/a/")
            assert (await gateway.rest()).startswith(b"HTTP/1.1 400")
            assert server.holding.waiting == 0

    asyncio.run(run())


@pytest.mark.parametrize("more", ["connection: close\r\n", ""])
def test_a_connection_closes_when_the_client_asks_for_it(tmp_path: Path, more: str) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as gateway:
            server.holding.assign("a", Seats(rest=at(1)), 0.0)
            version = "1.1" if more else "1.0"
            gateway.writer.write(f"GET /hold/rest/a/ HTTP/{version}\r\n{more}\r\n".encode())
            answer = await gateway.rest()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"connection: close\r\n" in answer

    asyncio.run(run())


def test_who_reads_no_answers_is_cut_off(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as gateway:
            server.holding.assign("a", Seats(rest=at(1)), 0.0)
            gateway.writer.transport.pause_reading()  # type: ignore[attr-defined]  # StreamWriter hides what it has
            with contextlib.suppress(OSError):
                while not gateway.writer.is_closing():
                    gateway.ask("/hold/rest/a/")
                    await gateway.writer.drain()
            await server.wait_closed()

    asyncio.run(run())


def test_at_the_end_those_that_wait_are_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, _), client(path) as gateway, client(path) as idle:
            server.holding.assign("a", Seats(), 0.0)
            gateway.ask("/hold/rest/a/")
            await eventually(lambda: server.holding.waiting == 1)
            server.close("The platform has ended.")
            reply = await gateway.reply()
            assert (reply.status, reply.error) == (462, "The platform has ended.")
            assert await idle.rest() == b""

    asyncio.run(run())


def test_the_server_wakes_again_for_a_request_within_the_second(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, path, wakes), client(path) as one, client(path) as other:
            server.holding.assign("a", Seats(), 0.0)
            for each in (one, other):
                each.ask("/hold/rest/a/")
            await eventually(lambda: wakes == ["a", "a"])
            assert server.holding.waiting == 2

    asyncio.run(run())
