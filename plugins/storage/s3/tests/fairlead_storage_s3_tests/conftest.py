"""The boundary under test: the provider against a real S3 server, and a proxy before it where that cannot fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import pytest

from fairlead_storage_s3.provider import S3Provider
from fairlead_storage_s3_tests import bucket as buckets
from fairlead_storage_s3_tests import proxy as proxies

if TYPE_CHECKING:
    from fairlead_storage_s3_tests.bucket import Bucket, Server
    from fairlead_storage_s3_tests.proxy import Proxy

Connect: TypeAlias = "Callable[..., S3Provider]"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """No identity of this machine: neither variables, files, nor the metadata of an instance."""
    import os

    for name in [name for name in os.environ if name.startswith(("AWS_", "S3_", "FAIRLEAD_STORAGE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/credentials")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with buckets.serving() as server:
        yield server


@pytest.fixture
def bucket(server: Server) -> Bucket:
    return server.bucket()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxies.before(server.port) as proxy:
        yield proxy


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    """Makes providers, of this server unless the credentials name another endpoint."""
    made: list[S3Provider] = []

    def connect(*, url: str = server.url, timeout: float = 20.0, **more: str) -> S3Provider:
        made.append(S3Provider(credentials=buckets.credentials(url, **more), timeout=timeout))
        return made[-1]

    yield connect
    for provider in made:
        provider.close()
