"""Connections that are kept, shared by threads, replaced, and ended from outside."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fairlead import errors
from fairlead.storage.http import addresses
from fairlead.storage.http.addresses import Reach
from fairlead.storage.http.client import Client
from fairlead.storage.http.provider import HttpProvider
from fairlead_tests.storage.server import CHUNK, Server, etag_of, serving

MIB = 1 << 20


@pytest.fixture
def provider() -> Iterator[HttpProvider]:
    provider = HttpProvider(timeout=60)
    yield provider
    provider.close()


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(timeout=60)
    yield client
    client.close()


def read(provider: HttpProvider, uri: str, start: int = 0, end: int | None = None) -> bytes:
    (item,) = provider.list(uri)
    return b"".join(provider.open_range(item, start, end))


def get(client: Client, url: str, method: str = "GET", **options: Any) -> bytes:
    with contextlib.closing(client.send(method, url, **options)) as answer:
        return answer.whole(MIB)


def until(condition: Callable[[], bool]) -> bool:
    """Whether something comes true within some seconds."""
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


# -- keeping ------------------------------------------------------------------------------------------------


def test_requests_one_after_another_use_one_connection(server: Server, provider: HttpProvider) -> None:
    uri = server.put("/model.bin", b"0123456789")
    for start in range(10):
        assert read(provider, uri, start) == b"0123456789"[start:]
    assert server.connections == 1


def test_threads_need_no_more_connections_than_they_are(server: Server, provider: HttpProvider) -> None:
    files = {f"/{number}.bin": os.urandom(number) for number in range(1, 201)}
    for path, content in files.items():
        server.put(path, content)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        read_all = list(threads.map(lambda path: read(provider, server.url + path), files))
    assert read_all == list(files.values())
    assert server.connections <= 8


def test_ranges_read_by_several_threads_make_the_file(server: Server, provider: HttpProvider) -> None:
    content = os.urandom(3 * MIB + 17)
    (item,) = provider.list(server.put("/model.bin", content))
    step = 300_000
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        starts = range(0, len(content), step)
        parts = threads.map(lambda start: b"".join(provider.open_range(item, start, start + step)), starts)
    assert b"".join(parts) == content


def test_redirects_within_a_host_use_its_connection(server: Server, provider: HttpProvider) -> None:
    server.faults.redirects["/model.bin"] = "/model.bin"
    with pytest.raises(errors.StorageError, match="redirects more than"):
        provider.list(f"{server.url}/model.bin")
    assert (len(server.requests), server.connections) == (11, 1)


def test_a_body_that_was_not_read_to_its_end_spoils_no_later_answer(server: Server, provider: HttpProvider) -> None:
    content = os.urandom(20 * MIB)
    (item,) = provider.list(server.put("/model.bin", content))
    chunks = provider.open_range(item)
    first = next(chunks)
    del chunks
    assert content.startswith(first)
    assert b"".join(provider.open_range(item, 5, 10)) == content[5:10]


def test_a_server_that_says_close_is_believed(server: Server, provider: HttpProvider) -> None:
    server.faults.keep_alive = False
    uri = server.put("/model.bin", b"x")
    assert read(provider, uri) + read(provider, uri) == b"xx"
    assert server.connections == 4


def test_connections_that_wait_are_bounded_and_closed_with_the_client(server: Server, client: Client) -> None:
    url = server.put("/model.bin", b"x")
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.callback(client.send("GET", url).close)
        assert until(lambda: server.open_connections == 40)
    assert until(lambda: server.open_connections == 32)
    client.close()
    assert until(lambda: server.open_connections == 0)


def test_connections_end_with_a_client_that_nobody_holds_any_more(server: Server) -> None:
    assert get(Client(timeout=60), server.put("/model.bin", b"x")) == b"x"
    assert until(lambda: server.open_connections == 0)


# -- replacing ----------------------------------------------------------------------------------------------


def test_a_kept_connection_that_the_server_closed_is_replaced(server: Server, provider: HttpProvider) -> None:
    uri = server.put("/model.bin", b"x")
    provider.list(uri)
    server.hang_up()
    assert read(provider, uri) == b"x"
    assert server.connections == 2


def test_a_kept_connection_that_is_closed_at_the_next_request_is_replaced_once(
    server: Server, provider: HttpProvider
) -> None:
    uri = server.put("/model.bin", b"x")
    provider.list(uri)
    server.faults.unanswered = 1
    assert provider.list(uri)[0].size == 1
    assert (server.methods(), server.connections) == (["HEAD"] * 3, 2)
    server.faults.unanswered = 2
    with pytest.raises(errors.StorageUnavailable):
        provider.list(uri)
    assert (server.methods(), server.connections) == (["HEAD"] * 5, 3)


def test_a_request_that_changes_something_is_sent_once(server: Server, client: Client) -> None:
    url = server.put("/model.bin", b"x")
    get(client, url)
    server.faults.unanswered = 1
    with pytest.raises(errors.StorageUnavailable):
        client.send("POST", url, body=b"y")
    assert server.methods() == ["GET", "POST"]


# -- closing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no_length", [False, True])
def test_closing_ends_the_reading_of_all_threads(server: Server, provider: HttpProvider, no_length: bool) -> None:
    """Also of a body that only the end of its connection ends: it is not taken as whole."""
    (item,) = provider.list(server.put("/model.bin", bytes(10 * CHUNK)))
    server.faults.no_length = no_length
    arrived = threading.Barrier(9)
    released = threading.Event()

    def hold(_sent: int) -> None:
        if not released.is_set():
            arrived.wait(20)
            released.wait(20)

    server.faults.on_chunk = hold
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        reading = [threads.submit(lambda: b"".join(provider.open_range(item))) for _ in range(8)]
        arrived.wait(20)
        provider.close()
        failures = [future.exception(20) for future in reading]
    released.set()
    assert {type(failure) for failure in failures} == {errors.StorageUnavailable}
    with pytest.raises(errors.StorageUnavailable, match="given up"):
        provider.list(item.key)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_closing_ends_waiting_for_an_answer_and_for_a_handshake(client: Client, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, concurrent.futures.ThreadPoolExecutor(1) as threads:
        asking = threads.submit(client.send, "GET", f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/")
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1)
            client.close()
            with pytest.raises(errors.StorageUnavailable, match="given up"):
                asking.result(30)


def test_closing_ends_waiting_for_a_connection(client: Client) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        place = listener.getsockname()
        for _ in range(4):  # nobody accepts, and the queue is full after a few
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(place)
        others = _connecting(place[1])
        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
        asking = threads.submit(client.send, "GET", f"http://127.0.0.1:{place[1]}/")
        assert until(lambda: _connecting(place[1]) > others)
        client.close()
        with pytest.raises(errors.StorageUnavailable, match="given up"):
            asking.result(30)


def test_a_client_that_is_closed_before_its_connection_begins_to_be_made_asks_nobody(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.socket.connect

    def closed_first(wire: socket.socket, place: Any) -> None:
        client.close()  # there is a socket, and nothing of it that could be broken yet
        connect(wire, place)

    monkeypatch.setattr(socket.socket, "connect", closed_first)
    with pytest.raises(errors.StorageUnavailable, match="given up"):
        client.send("GET", server.put("/model.bin", b"content"))
    assert server.requests == []


def test_a_kept_connection_is_given_to_nobody_once_the_client_is_closed(server: Server, client: Client) -> None:
    assert get(client, server.put("/model.bin", b"content")) == b"content"
    client._pool.closed = True  # as it is in the midst of being closed
    with pytest.raises(errors.StorageUnavailable, match="given up"):
        client.send("GET", f"{server.url}/model.bin")
    assert server.methods() == ["GET"]


def _connecting(port: int) -> int:
    """Connections to a port that were begun and not answered, as Linux tells (``02`` is SYN_SENT)."""
    if not os.path.exists("/proc/net/tcp"):  # noqa: PTH110  # a question to the system
        pytest.skip("no /proc/net/tcp tells when the connection is being made")
    with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123  # the same
        lines = [line.split() for line in table]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == "02" for line in lines[1:])


# -- judging ------------------------------------------------------------------------------------------------


def resolving(*answers: str) -> Callable[..., list[tuple[Any, ...]]]:
    """A resolver whose answers are these, one after another."""
    following = iter(answers)

    def resolve(_host: str, port: int, **_options: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 0, "", (next(following), port))]

    return resolve


def test_a_kept_connection_goes_on_to_the_address_that_was_judged(server: Server) -> None:
    url = server.put("/model.bin", b"x").replace("127.0.0.1", "model.invalid")
    client = Client(timeout=60, resolve=resolving("127.0.0.1", "169.254.169.254"))
    assert [get(client, url) for _ in range(3)] == [b"x"] * 3
    server.hang_up()
    with pytest.raises(errors.UnsafeArtifact, match=r"169\.254\.169\.254"):
        get(client, url)
    assert server.connections == 1


def test_a_replacement_of_a_connection_is_judged_anew(server: Server) -> None:
    url = server.put("/model.bin", b"x").replace("127.0.0.1", "model.invalid")
    client = Client(timeout=60, resolve=resolving("127.0.0.1", "169.254.169.254"))
    get(client, url)
    server.faults.unanswered = 1
    with pytest.raises(errors.UnsafeArtifact, match=r"169\.254\.169\.254"):
        get(client, url)


def test_a_redirect_from_outside_reaches_no_connection_that_is_kept_to_inside(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaches = {"127.0.0.1": Reach.PRIVATE, "127.0.0.2": Reach.PUBLIC}
    monkeypatch.setattr(addresses, "classify", reaches.__getitem__)
    inside = server.put("/secret.bin", b"x")
    assert get(client, inside) == b"x"
    with serving("127.0.0.2") as outside:
        outside.faults.redirects["/model.bin"] = inside
        with pytest.raises(errors.UnsafeArtifact, match="redirect from a public address"):
            get(client, f"{outside.url}/model.bin")
    assert len(server.requests) == 1


def test_every_hop_is_admitted_or_not(server: Server) -> None:
    seen: list[str] = []

    def admit(url: str) -> None:
        seen.append(url)
        if "forbidden" in url:
            raise errors.UnsafeArtifact("No.")

    client = Client(timeout=60, admit=admit)
    server.faults.redirects = {"/model.bin": "/other.bin?signature=secret", "/other.bin": "/forbidden.bin"}
    with pytest.raises(errors.UnsafeArtifact, match="No"):
        get(client, f"{server.url}/model.bin")
    assert seen == [f"{server.url}/{name}.bin" for name in ("model", "other", "forbidden")]
    assert len(server.requests) == 2


# -- headers and bodies that are sent -----------------------------------------------------------------------


def test_a_secret_goes_to_the_first_origin_and_harmless_headers_everywhere(server: Server, client: Client) -> None:
    with serving() as second:
        server.faults.redirects = {"/a": "/b", "/b": second.put("/c", b"x")}
        get(client, f"{server.url}/a", fields={"Accept": "text/plain"}, secret={"Authorization": "Bearer secret"})
        sent = [*server.requests, *second.requests]
    assert [request.headers.get("Authorization") for request in sent] == ["Bearer secret"] * 2 + [None]
    assert {request.headers["Accept"] for request in sent} == {"text/plain"}


def test_a_secret_takes_the_place_of_the_headers_that_a_user_sets(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("127.0.0.1-headers", '{"X-Api-Key": "key"}')
    url = server.put("/model.bin", b"x")
    get(client, url)
    get(client, url, secret={})
    assert [request.headers.get("X-Api-Key") for request in server.requests] == ["key", None]


def test_a_secret_that_is_no_header_is_refused_and_not_shown(server: Server, client: Client) -> None:
    with pytest.raises(errors.ConfigurationError, match="Authorization") as caught:
        client.send("GET", server.url, secret={"Authorization": "Bearer secret\r\nX: y"})
    assert "secret" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(("status", "sent"), [(303, ("GET", b"")), (307, ("POST", b"body")), (308, ("POST", b"body"))])
def test_a_body_is_sent_again_where_the_redirect_says_so(
    server: Server, client: Client, status: int, sent: tuple[str, bytes]
) -> None:
    server.faults.redirects["/a"] = server.put("/b", b"x")
    server.faults.redirect_status = status
    assert get(client, f"{server.url}/a", "POST", body=b"body") == b"x"
    assert (server.requests[0].method, server.requests[0].body) == ("POST", b"body")
    assert (server.requests[1].method, server.requests[1].body) == sent


@pytest.mark.parametrize(("status", "elsewhere"), [(301, False), (302, False), (307, True), (308, True)])
def test_a_body_is_not_sent_to_another_origin_nor_turned_into_a_question(
    server: Server, client: Client, status: int, elsewhere: bool
) -> None:
    with serving() as second:
        server.faults.redirects["/a"] = (second if elsewhere else server).put("/b", b"x")
        server.faults.redirect_status = status
        with pytest.raises(errors.StorageError, match="redirects a POST request"):
            get(client, f"{server.url}/a", "POST", body=b"body")
        assert len(server.requests) + len(second.requests) == 1


# -- bodies that arrive -------------------------------------------------------------------------------------


def test_chunks_are_gathered_to_a_quarter_of_a_mebibyte(server: Server, provider: HttpProvider) -> None:
    content = os.urandom(8 * MIB)
    (item,) = provider.list(server.put("/model.bin", content))
    chunks = list(provider.open_range(item))
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) == MIB // 4


def test_a_body_in_the_chunked_coding_is_read_and_its_connection_kept(client: Client) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener, concurrent.futures.ThreadPoolExecutor(1) as threads:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for _ in range(2):
                    connection.recv(65536)
                    connection.sendall(answer)
                connection.recv(1)

        serving_both = threads.submit(serve)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert get(client, url) + get(client, url) == b"abcde" * 2
        client.close()
        serving_both.result(20)


def test_what_arrived_before_a_break_is_given_first(server: Server, client: Client) -> None:
    content = os.urandom(10 * CHUNK)
    url = server.put("/model.bin", content)
    server.faults.truncate_at = 3 * CHUNK + 7
    with contextlib.closing(client.send("GET", url)) as answer:
        received = bytearray()
        while len(received) < 3 * CHUNK + 7:  # what comes late is not waited for
            received += answer.read(MIB)
        assert received == content[: 3 * CHUNK + 7]
        for _ in range(2):
            with pytest.raises(errors.StorageUnavailable, match=f"closed after {3 * CHUNK + 7} of {10 * CHUNK}"):
                answer.read(MIB)


def test_an_answer_that_is_longer_than_it_may_be_is_not_held(server: Server, client: Client) -> None:
    url = server.put("/model.bin", bytes(2 * MIB))
    with (
        contextlib.closing(client.send("GET", url)) as answer,
        pytest.raises(errors.StorageError, match="more than 1048576 bytes"),
    ):
        answer.whole(MIB)


# -- ranges -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize(("start", "end"), [(0, 4), (3, 7), (9, 10), (0, 10), (5, None), (7, 99), (4, 4), (6, 2)])
def test_a_range_ends_where_it_is_to_end(
    server: Server, provider: HttpProvider, start: int, end: int | None, ignored: bool
) -> None:
    """Also when the server ignores ranges."""
    server.faults.ignore_range = ignored
    assert read(provider, server.put("/model.bin", b"0123456789"), start, end) == b"0123456789"[start:end]


def test_a_change_between_two_ranges_is_seen(server: Server, provider: HttpProvider) -> None:
    (item,) = provider.list(server.put("/model.bin", b"0123456789"))
    assert b"".join(provider.open_range(item, 0, 5)) == b"01234"
    server.put("/model.bin", b"9876543210")
    for start, end in ((0, 5), (5, 10), (5, None)):
        with pytest.raises(errors.IntegrityError, match="another content"):
            b"".join(provider.open_range(item, start, end))


def test_the_condition_of_a_range_is_the_listed_tag(server: Server, provider: HttpProvider) -> None:
    read(provider, server.put("/model.bin", b"0123456789"), 0, 5)
    assert server.requests[-1].headers["Range"] == "bytes=0-4"
    assert server.requests[-1].headers["If-Range"] == etag_of(b"0123456789")
