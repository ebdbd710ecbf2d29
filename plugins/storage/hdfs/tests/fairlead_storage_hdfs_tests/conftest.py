"""The boundary under test: the provider, and the fetcher over it, against servers on loopback that answer WebHDFS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from fairlead_storage_hdfs import _plugin, configuration
from fairlead_storage_hdfs.provider import HdfsProvider
from fairlead_storage_hdfs_tests.hadoop import Cluster, running

MakeProvider: TypeAlias = "Callable[..., HdfsProvider]"


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the developer's own Hadoop takes part."""
    monkeypatch.setattr(configuration, "DEFAULT_SECRETS", tmp_path / "no secrets")
    for key in (*_plugin.KEYS, configuration.FOLDER_VARIABLE):
        monkeypatch.delenv(key, raising=False)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running(datanodes=2) as cluster:
        yield cluster


@pytest.fixture
def provider() -> Iterator[MakeProvider]:
    """Makes providers with credentials, and closes them."""
    made: list[HdfsProvider] = []

    def make(**credentials: str) -> HdfsProvider:
        made.append(HdfsProvider(credentials=credentials, timeout=60))
        return made[-1]

    yield make
    for one in made:
        one.close()
