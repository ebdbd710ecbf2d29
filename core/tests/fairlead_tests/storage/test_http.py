"""Secrets, statuses and slowness of real HTTP servers."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.http import headers
from fairlead.storage.http.locations import Location
from fairlead.storage.http.provider import HttpProvider
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_tests.storage.server import Server, contents, serving

if TYPE_CHECKING:
    from fairlead_tests.storage.conftest import MakeFetcher


@pytest.fixture
def provider() -> HttpProvider:
    return HttpProvider(timeout=30)


# -- secrets ------------------------------------------------------------------------------------------------

SECRET = json.dumps({"Authorization": "Bearer secret-token", "X-Api-Key": "secret-key"})


def test_headers_of_a_host_are_sent_to_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = server.put("/model.bin", b"x")
    monkeypatch.setenv("127.0.0.1-headers", SECRET)
    HttpProvider().list(uri)
    assert server.requests[-1].headers["Authorization"] == "Bearer secret-token"
    HttpProvider(credentials={"127.0.0.1-headers": '{"Authorization": "Basic given"}'}).list(uri)
    assert server.requests[-1].headers["Authorization"] == "Basic given"
    HttpProvider().list(uri.replace("127.0.0.1", "localhost"))
    assert "Authorization" not in server.requests[-1].headers


def test_credentials_of_the_settings_reach_the_provider(server: Server, fetcher: MakeFetcher) -> None:
    fetcher(credentials={"127.0.0.1-headers": SECRET, "UNRELATED": "x"}).fetch(server.put("/model.bin", b"x"))
    assert {request.headers["X-Api-Key"] for request in server.requests} == {"secret-key"}


@pytest.mark.parametrize("elsewhere", ["host", "port", "and back"])
def test_headers_are_not_sent_after_a_redirect_to_elsewhere(
    server: Server, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    monkeypatch.setenv("127.0.0.1-headers", SECRET)
    with serving() as second:
        second.put("/model.bin", b"x")
        server.put("/real.bin", b"x")
        name = "localhost" if elsewhere == "host" else "127.0.0.1"
        server.faults.redirects["/model.bin"] = f"http://{name}:{second.port}/model.bin"
        if elsewhere == "and back":
            second.faults.redirects["/model.bin"] = f"{server.url}/real.bin"
        HttpProvider().list(f"{server.url}/model.bin")
        assert server.requests[0].headers["Authorization"] == "Bearer secret-token"
        for request in [*second.requests, *server.requests[1:]]:
            assert not {"Authorization", "X-Api-Key"} & request.headers.keys()


def test_headers_stay_on_a_redirect_within_the_host(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("127.0.0.1-headers", SECRET)
    server.put("/real.bin", b"x")
    server.faults.redirects["/model.bin"] = "/real.bin"
    HttpProvider().list(f"{server.url}/model.bin")
    assert [request.headers.get("X-Api-Key") for request in server.requests] == ["secret-key"] * 2


@pytest.mark.parametrize(
    "text",
    ["secret", '["secret"]', '{"A": 1}', '{"A": "secret\\r\\nB: x"}', '{"A b": "secret"}', '{"host": "secret"}'],
)
def test_headers_that_are_none_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        headers.of_host("host", {"host-headers": text})
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None or "secret" not in str(caught.value.__context__)


def _provoke(server: Server, kind: str) -> None:
    server.put("/model.bin", b"content")
    if kind == "status":
        server.faults.broken = [418]
    elif kind == "unavailable":
        server.faults.broken = [503] * 9
    elif kind == "denied":
        server.faults.broken = [403] * 9
    elif kind == "missing":
        server.files.clear()
    elif kind == "truncated":
        server.faults.no_etag = True
        server.faults.truncate_at = 3
    elif kind == "redirect":
        server.faults.redirects["/model.bin"] = "http://10.0.0.1/x?signature=secret"
    elif kind == "circle":
        server.faults.redirects["/model.bin"] = "/model.bin?signature=secret"
    elif kind == "encoding":
        server.faults.headers = {"Content-Encoding": "br"}
    elif kind == "digest":
        server.faults.headers = {"Content-MD5": "A" * 22 + "=="}


@pytest.mark.parametrize(
    "kind",
    ["status", "unavailable", "denied", "missing", "truncated", "redirect", "circle", "encoding", "digest", "none"],
)
def test_secrets_are_in_no_error_and_no_log(
    server: Server,
    fetcher: MakeFetcher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    from fairlead.storage.progress import LineProgress

    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("127.0.0.1-headers", SECRET)
    _provoke(server, kind)
    shown = ""
    try:
        fetcher(LineProgress(), retries=0).fetch(f"{server.url}/model.bin?signature=secret")
    except errors.StorageError as error:
        chain: BaseException | None = error
        while chain is not None:
            shown += f"{chain!r} {chain}"
            chain = chain.__cause__ or chain.__context__
    assert ("secret" in shown, "secret" in caplog.text, "secret" in "".join(capfd.readouterr())) == (False,) * 3
    assert bool(shown) == (kind != "none")


@pytest.mark.parametrize("mark", ["/", "?", "#"])
def test_a_password_that_is_not_quoted_is_not_shown_either(fetcher: MakeFetcher, mark: str) -> None:
    with pytest.raises(errors.StorageError) as caught:
        fetcher().fetch(f"http://user:first{mark}second@127.0.0.1/model.bin")
    assert "first" not in str(caught.value)
    assert "second" not in str(caught.value)


def test_a_password_in_the_url_is_refused_with_what_to_do(fetcher: MakeFetcher) -> None:
    with pytest.raises(errors.UnsafeArtifact, match="<hostname>-headers") as caught:
        fetcher().fetch("https://user:secret@host/model.bin")
    assert "secret" not in str(caught.value)


# -- statuses and names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, errors.ArtifactNotFound),
        (410, errors.ArtifactNotFound),
        (401, errors.AccessDenied),
        (403, errors.AccessDenied),
        (408, errors.StorageUnavailable),
        (425, errors.StorageUnavailable),
        (429, errors.StorageUnavailable),
        (500, errors.StorageUnavailable),
        (503, errors.StorageUnavailable),
        (418, errors.StorageError),
        (204, errors.StorageError),
        (300, errors.StorageError),
    ],
)
def test_a_status_becomes_the_error_that_tells_what_to_do(
    server: Server, provider: HttpProvider, status: int, kind: type[errors.StorageError]
) -> None:
    server.faults.broken = [status] * 2
    with pytest.raises(kind, match=f"answered {status}") as caught:
        provider.list(f"{server.url}/model.bin")
    assert type(caught.value) is kind


def test_a_length_that_is_no_length_counts_as_not_announced(fetcher: MakeFetcher) -> None:
    answer = _OK + b"Connection: close\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"

    def reply(connection: socket.socket) -> None:
        with connection:
            method = connection.recv(65536).partition(b" ")[0]
            connection.sendall(answer + (b"" if method == b"HEAD" else b"hello"))

    with answered(reply) as port:
        artifact = fetcher().fetch(f"http://127.0.0.1:{port}/model.bin")
    assert contents(artifact.path) == {"model.bin": b"hello"}


@pytest.mark.parametrize("status", [400, 403, 405, 501])
def test_a_server_that_refuses_head_is_asked_for_one_byte(server: Server, fetcher: MakeFetcher, status: int) -> None:
    server.faults.no_head = status
    server.put("/empty.bin", b"")
    assert contents(fetcher().fetch(server.put("/model.bin", b"content")).path) == {"model.bin": b"content"}
    assert contents(fetcher().fetch(f"{server.url}/empty.bin").path) == {"empty.bin": b""}


def test_a_content_encoding_that_was_not_asked_for_is_refused(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", b"\x1f\x8b")
    server.faults.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(errors.StorageError, match="encoded as gzip"):
        fetcher().fetch(uri)
    assert {request.headers["Accept-Encoding"] for request in server.requests} == {"identity"}


def test_a_stored_gzip_file_that_is_marked_as_encoded_is_taken_as_it_is(server: Server, fetcher: MakeFetcher) -> None:
    import gzip

    packed = gzip.compress(b"{}")
    uri = server.put("/model.json.gz", packed)
    server.faults.headers = {"Content-Encoding": "gzip"}
    assert contents(fetcher().fetch(uri).path) == {"model.json.gz": packed}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a/model.bin", "model.bin"),
        ("http://h/model%20v1.bin?x=y.zip", "model v1.bin"),
        ("http://h/download?name=model.zip", "model.zip"),
        ("http://h/download?x=1", "download"),
        ("http://h/?file=model.tar.gz", "model.tar.gz"),
    ],
)
def test_a_file_is_named_by_the_path_or_else_by_the_query(url: str, name: str) -> None:
    assert Location.parse(url).file_name == name


def test_a_url_without_a_file_name_is_refused(provider: HttpProvider) -> None:
    with pytest.raises(errors.StorageError, match="names no file"):
        provider.list("http://127.0.0.1/folder/")


def test_an_encoded_name_that_leaves_the_target_is_refused(server: Server, fetcher: MakeFetcher) -> None:
    server.files["/../../evil.bin"] = server.files["/a/../../evil.bin"] = b"evil"
    with pytest.raises(errors.UnsafeArtifact, match=r"'\.\.'"):
        fetcher().fetch(f"{server.url}/a%2F..%2F..%2Fevil.bin")


@pytest.mark.parametrize("url", ["http://", "http:///x", "http://h:99999/x", "http://h/x#part", "http://h/x\n"])
def test_a_url_that_is_none_is_refused(provider: HttpProvider, url: str) -> None:
    with pytest.raises(errors.StorageError):
        provider.list(url)


def test_a_host_that_cannot_be_resolved_is_unavailable(provider: HttpProvider) -> None:
    with pytest.raises(errors.StorageUnavailable, match=r"model\.invalid cannot be resolved"):
        provider.list("http://model.invalid/model.bin")


def test_retry_after_is_a_number_or_a_date() -> None:
    assert headers.retry_after("12") == 12.0
    assert headers.retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=50.0) == 10.0
    assert headers.retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=70.0) == 0.0
    assert headers.retry_after("soon") is None
    assert headers.retry_after(None) is None


# -- slow servers -------------------------------------------------------------------------------------------

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "get", "drop"),
    [
        (None, _OK + b"X-Name: ", b"a"),
        (None, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (_CHUNKED, _CHUNKED + b"5;", b"a"),
    ],
    ids=["header", "continue", "chunk size"],
)
def test_a_server_that_drips_does_not_hold_a_fetch_past_its_deadline(
    cache: Path, head: bytes | None, get: bytes, drop: bytes
) -> None:
    with dripping(head, get, drop) as uri, pytest.raises(errors.StorageTimeout):
        impatient(cache).fetch(uri)


def test_a_trailer_without_end_does_not_hold_a_file_that_is_there(cache: Path) -> None:
    with dripping(_CHUNKED, _CHUNKED + b"5\r\nhello\r\n0\r\n", b"X-Name: a\r\n") as uri:
        assert contents(impatient(cache, 5).fetch(uri).path) == {"model.bin": b"hello"}  # it is there long before


def impatient(cache: Path, deadline: float = 1) -> Fetcher:
    return Fetcher(Plugins.discover(), FetchSettings(cache=cache, deadline=deadline, timeout=30), SilentProgress())


@contextlib.contextmanager
def dripping(head: bytes | None, get: bytes, drop: bytes) -> Iterator[str]:
    """The URI of a server that begins to answer, and then sends ``drop`` now and then."""
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            method = connection.recv(65536).partition(b" ")[0]
            if method == b"HEAD" and head is not None:
                connection.sendall(head)
                return
            connection.sendall(get)
            while not ended.wait(0.05):
                connection.sendall(drop)

    with answered(answer) as port:
        try:
            yield f"http://127.0.0.1:{port}/model.bin"
        finally:
            ended.set()


@contextlib.contextmanager
def answered(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of which every connection is answered in a thread of its own."""
    threads: list[threading.Thread] = []

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                threads.append(threading.Thread(target=answer, args=(listener.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, args=(listener,))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()
