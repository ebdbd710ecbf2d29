"""Which addresses are reached: judged after they were resolved, and again at every redirect."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.storage.http import addresses
from fairlead.storage.http.addresses import Reach
from fairlead.storage.http.locations import Location
from fairlead.storage.http.provider import HttpProvider
from fairlead.storage.settings import NetworkPolicy
from fairlead_tests.storage.server import Server, contents, serving

if TYPE_CHECKING:
    from fairlead_tests.storage.conftest import MakeFetcher

PUBLIC, PRIVATE, LOOPBACK, FORBIDDEN = Reach.PUBLIC, Reach.PRIVATE, Reach.LOOPBACK, Reach.FORBIDDEN


@pytest.fixture
def provider() -> HttpProvider:
    return HttpProvider(timeout=30)


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
    server.faults.keep_alive = False
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
    before = secure.connections
    for host in ("localhost", "127.0.0.1"):
        (item,) = provider.list(f"https://{host}:{secure.port}/model.bin")
        assert b"".join(provider.open_range(item)) == b"x"
    assert secure.connections == before + 2, "a connection is kept, and for one host only"
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
