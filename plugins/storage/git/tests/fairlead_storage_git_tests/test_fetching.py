from __future__ import annotations

import logging
import random
import shutil
import ssl
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.settings import FetchSettings
from fairlead_storage_git_tests.servers import serving

if TYPE_CHECKING:
    from fairlead_storage_git_tests.conftest import MakeProvider
    from fairlead_storage_git_tests.repositories import Repository
    from fairlead_storage_git_tests.servers import GitServer

SECRET = "s3cret-token"
LOGIN = {"GIT_USERNAME": "me", "GIT_PASSWORD": SECRET}


@pytest.fixture
def uri(repository: Repository, server: GitServer) -> str:
    return f"git+{server.url}/{repository.path.name}"


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1, and what a server uses it with."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    made, key = folder / "server.crt", folder / "server.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    command += [
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(made),
    ]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return made, context


def test_an_address_of_kserve_is_fetched_over_https(
    repository: Repository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"model/weights": b"1", "README.md": b"about"})
    repository.commit({"model/weights": b"2"}, branch="next")
    made, context = certificate(tmp_path)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    settings = FetchSettings(cache=tmp_path / "cache", retries=0)
    with serving(root, "dulwich", context) as server:
        uri = f"{server.url}/{repository.path.name}"
        with pytest.raises(errors.StorageError, match="not trusted"):
            Fetcher(Plugins.discover(), settings).fetch(uri)
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        whole = Fetcher(Plugins.discover(), settings).fetch(uri).path
        part = Fetcher(Plugins.discover(), settings).fetch(f"{uri}@next#subdirectory=model").path
    assert sorted(path.name for path in whole.iterdir()) == ["README.md", "model"]
    assert (part / "weights").read_bytes() == b"2"


def test_history_stays_where_it_is(repository: Repository, server: GitServer, provider: MakeProvider, uri: str) -> None:
    repository.commit({"old": random.Random(1).randbytes(1_000_000)})
    repository.commit({"model": b"1"})
    provider().list(uri)
    assert server.sent < 50_000


def test_a_commit_that_no_ref_names_is_fetched_where_the_server_gives_it(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str
) -> None:
    first = repository.commit({"model": b"1"})
    repository.commit({"model": b"2"})
    try:
        maker = provider()
        (item,) = maker.list(f"{uri}@{first}")
    except errors.ArtifactNotFound as error:
        assert "Name a branch or a tag" in str(error)  # noqa: PT017  # servers may do either
    else:
        assert b"".join(maker.open_range(item)) == b"1"


@pytest.mark.parametrize("given", ["mapping", "environment", "url"])
def test_credentials_open_a_private_repository(
    repository: Repository,
    server: GitServer,
    provider: MakeProvider,
    monkeypatch: pytest.MonkeyPatch,
    uri: str,
    given: str,
) -> None:
    repository.commit({"model": b"1"})
    server.faults.login = ("me", SECRET)
    credentials = LOGIN if given == "mapping" else {}
    if given != "mapping":
        monkeypatch.setenv("GIT_PASSWORD", SECRET)
        monkeypatch.setenv("GIT_USERNAME", "me" if given == "environment" else "another")
    address = uri.replace("://", "://me@") if given == "url" else uri
    assert [item.name for item in provider(**credentials).list(address)] == ["model"]


def test_without_credentials_the_remedy_names_them(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str
) -> None:
    repository.commit({"model": b"1"})
    server.faults.login = ("me", SECRET)
    with pytest.raises(errors.AccessDenied, match="GIT_USERNAME and GIT_PASSWORD"):
        provider().list(uri)


def test_credentials_show_nowhere(
    repository: Repository,
    server: GitServer,
    provider: MakeProvider,
    uri: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    repository.commit({"model": b"1"})
    server.faults.login = ("me", "another password")
    caplog.set_level(logging.DEBUG)
    maker = provider(**LOGIN)
    with pytest.raises(errors.AccessDenied) as raised:
        maker.list(uri)
    encoded = server.requests[-1].authorization
    assert encoded is not None
    for text in (str(raised.value), caplog.text, repr(maker)):
        assert SECRET not in text
        assert encoded.partition(" ")[2] not in text


def test_given_credentials_are_not_mixed_with_those_of_the_environment(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"model": b"1"})
    monkeypatch.setenv("GIT_PASSWORD", SECRET)
    server.faults.login = ("me", SECRET)
    with pytest.raises(errors.AccessDenied):
        provider(GIT_USERNAME="me").list(uri)


def test_a_password_without_a_user_is_refused(
    repository: Repository, provider: MakeProvider, server: GitServer, uri: str
) -> None:
    repository.commit({"model": b"1"})
    with pytest.raises(errors.AccessDenied, match="GIT_USERNAME"):
        provider(GIT_PASSWORD=SECRET).list(uri)
    assert server.requests == []


def test_another_host_gets_no_credentials(
    repository: Repository, root: Path, server: GitServer, provider: MakeProvider, uri: str
) -> None:
    repository.commit({"model": b"1"})
    with serving(root, "dulwich") as other:
        server.faults.redirect = other.url
        assert [item.name for item in provider(**LOGIN).list(uri)] == ["model"]
        assert server.requests[0].authorization is not None
        assert len(other.requests) > 1
        assert {request.authorization for request in other.requests} == {None}


def test_the_policy_public_refuses_a_server_of_this_machine(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str
) -> None:
    repository.commit({"model": b"1"})
    with pytest.raises(errors.UnsafeArtifact, match="FAIRLEAD_STORAGE_NETWORK"):
        provider(FAIRLEAD_STORAGE_NETWORK="public").list(uri)
    assert server.requests == []


@pytest.mark.parametrize("name", ["missing.git", "a/b.git"])
def test_a_repository_that_is_not_there_is_not_found(server: GitServer, provider: MakeProvider, name: str) -> None:
    with pytest.raises(errors.ArtifactNotFound):
        provider().list(f"git+{server.url}/{name}")


def test_a_page_is_no_repository(repository: Repository, server: GitServer, provider: MakeProvider, uri: str) -> None:
    repository.commit({"model": b"1"})
    server.faults.page = b"<html>Sign in</html>"
    with pytest.raises(errors.StorageError, match="git clone") as raised:
        provider().list(uri)
    assert "Sign in" not in str(raised.value)


@pytest.mark.parametrize("cut_at", [0, 3, 11, 12, 100, 5_000, 99_000])
def test_a_pack_that_is_cut_off_may_pass(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str, cut_at: int
) -> None:
    repository.commit({"model": random.Random(2).randbytes(100_000)})
    server.faults.cut_at = cut_at
    with pytest.raises(errors.StorageUnavailable):
        provider().list(uri)


@pytest.mark.parametrize("flip_at", [200, 40_000])
def test_a_pack_with_a_wrong_byte_is_refused(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str, flip_at: int
) -> None:
    repository.commit({"model": random.Random(3).randbytes(100_000)})
    server.faults.flip_at = flip_at
    with pytest.raises(errors.StorageError):
        provider().list(uri)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_fault_of_the_server_may_pass(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str, status: int
) -> None:
    repository.commit({"model": b"1"})
    server.faults.statuses = [status]
    maker = provider()
    with pytest.raises(errors.StorageUnavailable):
        maker.list(uri)
    assert [item.name for item in maker.list(uri)] == ["model"]


@pytest.mark.parametrize("most", ["50000", "150000"])
def test_a_repository_is_no_larger_than_it_may_be(
    repository: Repository, provider: MakeProvider, uri: str, most: str
) -> None:
    repository.commit({"model": random.Random(4).randbytes(100_000), "zeros": bytes(1_000_000)})
    with pytest.raises(errors.StorageLimitExceeded, match="GIT_MAX_BYTES"):
        provider(GIT_MAX_BYTES=most).list(uri)


def test_a_limit_that_is_no_number_is_refused(provider: MakeProvider) -> None:
    with pytest.raises(errors.ConfigurationError, match="GIT_MAX_BYTES"):
        provider(GIT_MAX_BYTES="1 GiB")


def test_closing_ends_a_list_that_waits(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str
) -> None:
    repository.commit({"model": b"1"})
    server.faults.hold = threading.Event()
    maker = provider(timeout=60.0)

    def close() -> None:
        while not server.requests:
            pass
        maker.close()

    closing = threading.Thread(target=close)
    closing.start()
    try:
        with pytest.raises(errors.StorageUnavailable):
            maker.list(uri)
    finally:
        server.faults.hold.set()
        closing.join()


def test_a_server_that_stalls_is_given_up(
    repository: Repository, server: GitServer, provider: MakeProvider, uri: str
) -> None:
    repository.commit({"model": b"1"})
    server.faults.hold = threading.Event()
    try:
        with pytest.raises(errors.StorageUnavailable):
            provider(timeout=0.2).list(uri)
    finally:
        server.faults.hold.set()


def test_a_branch_that_moves_is_fetched_anew_and_nothing_else(repository: Repository, tmp_path: Path, uri: str) -> None:
    fetcher = Fetcher(Plugins.discover(), FetchSettings(cache=tmp_path / "cache"))
    repository.commit({"model": b"1", "same": b"same"})
    first = fetcher.fetch(uri).path
    assert (first / "model").read_bytes() == b"1"
    assert fetcher.fetch(uri).path == first
    repository.commit({"model": b"2", "same": b"same"})
    second = fetcher.fetch(uri).path
    assert (second / "model").read_bytes() == b"2"
    assert (second / "same").read_bytes() == b"same"
