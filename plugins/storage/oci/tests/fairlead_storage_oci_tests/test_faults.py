"""What registries, and the places that they redirect to, do wrong; and what is never said to whom."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, cast

import pytest

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_storage_oci.provider import OciProvider
from fairlead_storage_oci_tests import images
from fairlead_storage_oci_tests.double import Double, Guard, bearer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fairlead import RemoteObject

_Make = Callable[..., OciProvider]
_CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def uri(double: Double) -> str:
    images.files(double, "iris", "1", {"model.bin": _CONTENT})
    return f"oci://{double.host}/iris:1"


@pytest.fixture
def elsewhere(double: Double) -> Iterator[Double]:
    """Where the registry keeps its blobs."""
    made = Double()
    made.blobs = double.blobs
    double.faults.redirect = made.url
    yield made
    made.close()


def _read(provider: OciProvider, item: RemoteObject, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(provider.open_range(item, start, end))


def test_blobs_come_from_where_the_registry_redirects_to_which_gets_no_token(
    make: _Make, double: Double, uri: str, elsewhere: Double, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    double.token = lambda _: (200, {"token": "t0k3n"})
    double.guard = bearer(double, "t0k3n")
    provider = make({".dockerconfigjson": json.dumps({"auths": {double.host: {"username": "a", "password": "pw"}}})})
    (item,) = provider.list(uri)
    assert _read(provider, item) == _CONTENT
    assert _read(provider, item, 1000, 2000) == _CONTENT[1000:2000]
    assert len(elsewhere.requests) == 2
    assert all("authorization" not in request.headers for request in elsewhere.requests)
    assert elsewhere.requests[1].headers["range"] == "bytes=1000-1999"
    assert "t0k3n" not in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_place_of_blobs_that_denies_is_named_without_its_signature(
    make: _Make, double: Double, uri: str, elsewhere: Double
) -> None:
    provider = make()
    (item,) = provider.list(uri)
    elsewhere.blobs = {}
    with pytest.raises(errors.ArtifactNotFound) as caught:
        _read(provider, item)
    assert "s3cr3t" not in str(caught.value)


def test_a_range_is_one_request_for_no_more_than_it(make: _Make, double: Double, uri: str) -> None:
    provider = make()
    (item,) = provider.list(uri)
    double.requests.clear()
    assert _read(provider, item, 10, 20) == _CONTENT[10:20]
    assert _read(provider, item, len(_CONTENT) - 5) == _CONTENT[-5:]
    assert _read(provider, item, len(_CONTENT)) == b""
    assert _read(provider, item) == _CONTENT
    ranges = [request.headers.get("range") for request in double.requests]
    assert ranges == ["bytes=10-19", f"bytes={len(_CONTENT) - 5}-{len(_CONTENT) - 1}", None]


def test_a_registry_without_ranges_is_read_from_the_start(make: _Make, double: Double, uri: str) -> None:
    double.faults.ignore_range = True
    provider = make()
    (item,) = provider.list(uri)
    assert _read(provider, item, 300_000, 300_010) == _CONTENT[300_000:300_010]


@pytest.mark.parametrize("swapped", [b"short", b"", _CONTENT + b"more"])
def test_a_blob_of_another_length_is_a_change(make: _Make, double: Double, uri: str, swapped: bytes) -> None:
    provider = make()
    (item,) = provider.list(uri)
    double.faults.swapped = {str(item.digest): swapped}
    for start in (0, 1000):
        with pytest.raises(errors.IntegrityError):
            _read(provider, item, start)


def test_a_blob_of_another_content_is_found_out_by_its_digest(double: Double, uri: str, tmp_path: Path) -> None:
    digest = next(digest for digest, content in double.blobs.items() if content == _CONTENT)
    double.faults.swapped = {digest: _CONTENT[::-1]}
    settings = FetchSettings(cache=tmp_path / "cache", retries=0)
    with pytest.raises(errors.IntegrityError):
        Fetcher(Plugins.discover(), settings, SilentProgress()).fetch(uri)
    double.faults.swapped = {}
    artifact = Fetcher(Plugins.discover(), settings, SilentProgress()).fetch(uri)
    assert (artifact.path / "model.bin").read_bytes() == _CONTENT


@pytest.mark.parametrize("after", [0, 1, 100_000])
def test_a_connection_that_breaks_off_may_be_tried_again(make: _Make, double: Double, uri: str, after: int) -> None:
    provider = make()
    (item,) = provider.list(uri)
    double.faults.drop_after = after
    received: list[bytes] = []
    with pytest.raises(errors.StorageUnavailable):
        received.extend(provider.open_range(item))
    have = b"".join(received)
    assert have + _read(provider, item, len(have)) == _CONTENT


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_fault_that_may_pass_is_said_to_be_one(make: _Make, double: Double, uri: str, status: int) -> None:
    provider = make()
    double.faults.broken = [status]
    with pytest.raises(errors.StorageUnavailable):
        provider.list(uri)
    (item,) = provider.list(uri)
    double.faults.broken = [status]
    with pytest.raises(errors.StorageUnavailable):
        _read(provider, item)
    assert _read(provider, item) == _CONTENT


def test_a_registry_that_stalls_is_given_up(make: _Make, double: Double, uri: str) -> None:
    (item,) = make().list(uri)
    double.faults.stall = threading.Event()
    with pytest.raises(errors.StorageUnavailable):
        _read(make(timeout=0.2), item)


def test_closing_ends_those_who_wait(make: _Make, double: Double, uri: str) -> None:
    provider = make(timeout=60.0)
    (item,) = provider.list(uri)
    double.faults.stall = threading.Event()
    timer = threading.Timer(0.1, provider.close)
    timer.start()
    with pytest.raises(errors.StorageUnavailable):
        _read(provider, item)
    timer.join()
    with pytest.raises(errors.StorageUnavailable):
        provider.list(uri)


def test_a_reader_that_stops_early_gives_its_connection_back(make: _Make, double: Double, uri: str) -> None:
    provider = make()
    (item,) = provider.list(uri)
    chunks = cast("Generator[bytes, None, None]", provider.open_range(item))
    assert next(chunks)
    chunks.close()
    assert _read(provider, item) == _CONTENT


def test_a_forbidden_repository_is_denied_with_a_remedy(make: _Make, double: Double, uri: str) -> None:
    double.faults.broken = [403]
    with pytest.raises(errors.AccessDenied, match="answered 403") as caught:
        make().list(uri)
    assert "KSERVE_OCI_DOCKER_CONFIG" in (caught.value.remedy or "")


def test_the_login_goes_to_the_registry_that_it_is_for_alone(
    make: _Make, double: Double, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before it is asked for, not to another registry, and no headers that are set for plain downloads."""
    monkeypatch.setenv("127.0.0.1-headers", '{"Authorization": "Bearer other"}')
    basic = f"Basic {base64.b64encode(b'ada:pw').decode()}"
    credentials = {".dockerconfigjson": json.dumps({"auths": {double.host: {"username": "ada", "password": "pw"}}})}
    double.guard = Guard(challenge='Basic realm="x"', good={basic})
    make(credentials).list(uri)
    assert [request.headers.get("authorization") for request in double.requests] == [None, basic]
    other = Double()
    try:
        images.files(other, "iris", "1", {"model.bin": b""})
        other.guard = Guard(challenge='Basic realm="x"', good={basic})
        with pytest.raises(errors.AccessDenied):
            make(credentials).list(f"oci://{other.host}/iris:1")
        assert all("authorization" not in request.headers for request in other.requests)
    finally:
        other.close()


def test_where_only_public_addresses_are_allowed_a_registry_of_this_machine_is_refused(
    make: _Make, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        make({"FAIRLEAD_STORAGE_NETWORK": "public"}).list(uri)
    monkeypatch.setenv("FAIRLEAD_STORAGE_NETWORK", "public")
    with pytest.raises(errors.UnsafeArtifact):
        make().list(uri)


def test_where_hosts_are_listed_no_redirect_leaves_them(
    make: _Make, double: Double, uri: str, elsewhere: Double
) -> None:
    provider = make({"FAIRLEAD_STORAGE_HOSTS": double.host})
    (item,) = provider.list(uri)
    with pytest.raises(errors.UnsafeArtifact):
        _read(provider, item)
    assert not elsewhere.requests


def test_docker_hub_is_asked_where_it_keeps_its_manifests(make: _Make) -> None:
    asked = []

    def resolve(host: str, port: int, **options: Any) -> Any:
        asked.append((host, port))
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(errors.StorageUnavailable):
        make({"FAIRLEAD_STORAGE_HOSTS": "docker.io"}, resolve=resolve).list("oci://docker.io/iris:1")
    assert asked == [("registry-1.docker.io", 443)]
