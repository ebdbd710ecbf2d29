from __future__ import annotations

import contextlib
import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.http import addresses, headers
from fairlead.storage.http.addresses import Reach
from fairlead.storage.http.locations import Location
from fairlead.storage.http.provider import HttpProvider
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings, NetworkPolicy
from fairlead_tests.storage.server import Server, contents, serving

if TYPE_CHECKING:
    from fairlead_tests.storage.conftest import MakeFetcher

PUBLIC, PRIVATE, LOOPBACK, FORBIDDEN = Reach.PUBLIC, Reach.PRIVATE, Reach.LOOPBACK, Reach.FORBIDDEN


@pytest.fixture
def provider() -> HttpProvider:
    return HttpProvider(timeout=5)


def answering(*texts: str) -> Callable[..., list[tuple[Any, ...]]]:
    """A resolver that answers these addresses, whatever the name."""

    def resolve(_host: str, port: int, **_options: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 0, "", (text, port)) for text in texts]

    return resolve


# -- addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", PUBLIC),
        ("2606:4700::1111", PUBLIC),
        ("10.1.2.3", PRIVATE),
        ("172.16.0.1", PRIVATE),
        ("192.168.1.1", PRIVATE),
        ("100.64.0.1", PRIVATE),
        ("fd00::1", PRIVATE),
        ("127.0.0.1", LOOPBACK),
        ("127.8.8.8", LOOPBACK),
        ("::1", LOOPBACK),
        ("::ffff:127.0.0.1", LOOPBACK),
        ("::ffff:10.0.0.1", PRIVATE),
        ("::ffff:0:10.0.0.1", PRIVATE),
        ("::ffff:0:169.254.169.254", FORBIDDEN),
        ("64:ff9b:1::127.0.0.1", LOOPBACK),
        ("64:ff9b:1::169.254.169.254", FORBIDDEN),
        ("fd00:ec2::254%1", FORBIDDEN),
        ("fd00:ec2::23", FORBIDDEN),
        ("fec0::1", PRIVATE),
        ("5f00::1", PRIVATE),
        ("::ffff:169.254.169.254", FORBIDDEN),
        ("64:ff9b::a9fe:a9fe", FORBIDDEN),
        ("2002:a9fe:a9fe::", FORBIDDEN),
        ("::169.254.169.254", FORBIDDEN),
        ("169.254.169.254", FORBIDDEN),
        ("169.254.0.1", FORBIDDEN),
        ("fe80::1", FORBIDDEN),
        ("fe80::1%eth0", FORBIDDEN),
        ("fd00:ec2::254", FORBIDDEN),
        ("100.100.100.200", FORBIDDEN),
        ("168.63.129.16", FORBIDDEN),
        ("0.0.0.0", FORBIDDEN),
        ("0.1.2.3", FORBIDDEN),
        ("::", FORBIDDEN),
        ("::ffff:0.0.0.0", FORBIDDEN),
        ("224.0.0.1", FORBIDDEN),
        ("ff02::1", FORBIDDEN),
        ("255.255.255.255", FORBIDDEN),
    ],
)
def test_an_address_is_judged_by_where_it_reaches(address: str, reach: Reach) -> None:
    assert addresses.classify(address) is reach


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",  # the same in decimal
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[::]",
        "0",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_a_forbidden_address_is_refused_however_it_is_spelled(provider: HttpProvider, host: str) -> None:
    with pytest.raises(errors.UnsafeArtifact, match="must not be connected to"):
        provider.list(f"http://{host}/latest/meta-data/x")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "localhost."]
)
def test_loopback_is_reached_when_the_user_names_it_and_not_under_the_public_policy(server: Server, host: str) -> None:
    server.put("/model.bin", b"x")
    uri = f"http://{host}:{server.port}/model.bin"
    assert HttpProvider().list(uri)[0].size == 1
    with pytest.raises(errors.UnsafeArtifact, match="by FAIRLEAD_STORAGE_NETWORK=public"):
        HttpProvider(credentials={"FAIRLEAD_STORAGE_NETWORK": "public"}).list(uri)


def test_the_public_policy_comes_from_the_environment_or_the_settings(
    server: Server, fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = server.put("/model.bin", b"x")
    with pytest.raises(errors.UnsafeArtifact):
        fetcher(network=NetworkPolicy.PUBLIC).fetch(uri)
    monkeypatch.setenv("FAIRLEAD_STORAGE_NETWORK", "public")
    with pytest.raises(errors.UnsafeArtifact):
        fetcher().fetch(uri)
    assert fetcher(network=NetworkPolicy.ANY).fetch(uri).uri == uri
    monkeypatch.setenv("FAIRLEAD_STORAGE_NETWORK", "privat")
    with pytest.raises(errors.ConfigurationError, match="'privat' is not one of any, public"):
        fetcher()


def test_a_cluster_service_name_is_judged_by_its_address() -> None:
    resolve = answering("10.96.0.1")
    assert addresses.allowed("minio.models.svc", 80, NetworkPolicy.ANY, None, resolve) == [("10.96.0.1", PRIVATE)]
    with pytest.raises(errors.UnsafeArtifact):
        addresses.allowed("minio.models.svc", 80, NetworkPolicy.PUBLIC, None, resolve)


def test_the_connection_goes_to_the_address_that_was_judged(server: Server) -> None:
    answers = iter([answering("127.0.0.1"), answering("127.0.0.1"), answering("169.254.169.254")])
    lookups = 0

    def rebinding(host: str, port: int, **options: object) -> list[tuple[Any, ...]]:
        nonlocal lookups
        lookups += 1
        return next(answers)(host, port, **options)

    server.put("/model.bin", b"x")
    provider = HttpProvider(resolve=rebinding)
    # No system resolver knows this name, so a second lookup by the client library could not succeed.
    (item,) = provider.list(f"http://model.invalid:{server.port}/model.bin")
    assert b"".join(provider.open_range(item)) == b"x"
    assert lookups == 2
    with pytest.raises(errors.UnsafeArtifact):
        b"".join(provider.open_range(item))
    assert server.requests[0].headers["Host"] == f"model.invalid:{server.port}"


def test_of_several_addresses_only_allowed_ones_are_tried(server: Server) -> None:
    server.put("/model.bin", b"x")
    provider = HttpProvider(resolve=answering("169.254.169.254", "127.0.0.2", "127.0.0.1"))
    assert provider.list(f"http://model.invalid:{server.port}/model.bin")[0].size == 1


# -- redirects ----------------------------------------------------------------------------------------------


def test_a_redirect_is_followed(server: Server, fetcher: MakeFetcher) -> None:
    server.put("/real/other-name.bin", b"content")
    server.faults.redirects["/model.bin"] = "/real/other-name.bin"
    assert contents(fetcher().fetch(f"{server.url}/model.bin").path) == {"model.bin": b"content"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_in_a_circle_end(server: Server, provider: HttpProvider, status: int) -> None:
    server.faults.redirects["/model.bin"] = "/model.bin"
    server.faults.redirect_status = status
    with pytest.raises(errors.StorageError, match="redirects more than 10 times"):
        provider.list(f"{server.url}/model.bin")
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("http://10.0.0.1/x", "redirect from a loopback address leads to 10.0.0.1"),
        ("file:///etc/passwd", "neither http nor https"),
        ("gopher://127.0.0.1/x", "neither http nor https"),
        ("http://user:password@127.0.0.1/x", "user name or password"),
        ("//[::]/x", "must not be connected to"),
    ],
)
def test_a_redirect_to_where_it_must_not_lead_is_refused(
    server: Server, provider: HttpProvider, target: str, match: str
) -> None:
    server.faults.redirects["/model.bin"] = target
    with pytest.raises(errors.UnsafeArtifact, match=match):
        provider.list(f"{server.url}/model.bin")


@pytest.mark.parametrize(
    ("came_from", "target", "fine"),
    [
        (PUBLIC, "8.8.8.8", True),
        (PUBLIC, "10.0.0.1", False),
        (PUBLIC, "127.0.0.1", False),
        (PRIVATE, "10.0.0.1", True),
        (PRIVATE, "127.0.0.1", False),
        (PRIVATE, "8.8.8.8", True),
        (LOOPBACK, "::1", True),
        (LOOPBACK, "10.0.0.1", False),
        (LOOPBACK, "169.254.169.254", False),
    ],
)
def test_a_redirect_stays_in_its_class_of_addresses_or_leads_to_public_ones(
    came_from: Reach, target: str, fine: bool
) -> None:
    def judge() -> object:
        return addresses.allowed("host", 80, NetworkPolicy.ANY, came_from, answering(target))

    if fine:
        assert judge()
    else:
        with pytest.raises(errors.UnsafeArtifact):
            judge()


def test_a_redirect_from_https_to_http_is_refused() -> None:
    secure = Location.parse("https://host/a/model.bin")
    with pytest.raises(errors.UnsafeArtifact, match="not encrypted"):
        secure.follow("http://host/a/model.bin")
    assert str(secure.follow("../b/model.bin")) == "https://host/b/model.bin"
    assert str(Location.parse("http://host/x").follow("https://host/x")) == "https://host/x"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so no certificate can be made")
    path = tmp_path / "localhost.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", path, "-out", tmp_path / "c"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (tmp_path / "c").read_bytes())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving("127.0.0.1", context) as server:
        yield server


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_https_is_verified_by_host_name_though_an_address_is_connected_to(
    secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch, provider: HttpProvider, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    secure.put("/model.bin", b"x")
    with pytest.raises(errors.StorageError, match="is not trusted") as caught:
        provider.list(f"https://localhost:{secure.port}/model.bin")
    assert not isinstance(caught.value, errors.StorageUnavailable)
    monkeypatch.setenv(variable, str(certificate))
    for host in ("localhost", "127.0.0.1"):
        (item,) = provider.list(f"https://{host}:{secure.port}/model.bin")
        assert b"".join(provider.open_range(item)) == b"x"
    other = HttpProvider(resolve=answering("127.0.0.1"))
    with pytest.raises(errors.StorageError, match=r"model\.invalid is not trusted"):
        other.list(f"https://model.invalid:{secure.port}/model.bin")


def test_a_downgrade_by_a_real_server_is_refused(
    secure: Server, server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch, provider: HttpProvider
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    secure.faults.redirects["/model.bin"] = server.put("/model.bin", b"x")
    with pytest.raises(errors.UnsafeArtifact, match="not encrypted"):
        provider.list(f"https://localhost:{secure.port}/model.bin")
    assert server.requests == []


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


def test_a_length_that_is_no_length_counts_as_not_announced(cache: Path) -> None:
    answer = _OK + b"Connection: close\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"

    def reply(connection: socket.socket) -> None:
        with connection:
            method = connection.recv(65536).partition(b" ")[0]
            connection.sendall(answer + (b"" if method == b"HEAD" else b"hello"))

    with answered(reply) as port:
        artifact = impatient(cache).fetch(f"http://127.0.0.1:{port}/model.bin")
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
        assert contents(impatient(cache).fetch(uri).path) == {"model.bin": b"hello"}


def impatient(cache: Path) -> Fetcher:
    return Fetcher(Plugins.discover(), FetchSettings(cache=cache, deadline=1, timeout=30), SilentProgress())


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
