"""The conformance kit: with the namenode in the URI, and with KServe's configuration and a namenode that stands by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.testing.storage import Change, Place, StorageContract
from fairlead_storage_hdfs_tests.hadoop import Cluster, running


class TestNamedInTheUri(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "hdfs"

    @pytest.fixture
    def place(self, cluster: Cluster) -> Place:
        return lambda tree: f"webhdfs://{cluster.authority}{cluster.place(tree)}"

    @pytest.fixture
    def change(self, cluster: Cluster) -> Change:
        return lambda uri, content: cluster.put(uri.partition(cluster.authority)[2], content)


class TestConfigured(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "hdfs"

    @pytest.fixture
    def cluster(self) -> Iterator[Cluster]:
        with running(namenodes=2, datanodes=2) as cluster:
            cluster.active = 1
            cluster.faults.page = 2
            yield cluster

    @pytest.fixture
    def credentials(self, cluster: Cluster) -> dict[str, str]:
        return {"HDFS_NAMENODE": ";".join(cluster.urls), "HDFS_ROOTPATH": "/places"}

    @pytest.fixture
    def place(self, cluster: Cluster) -> Place:
        return lambda tree: f"hdfs://{cluster.place(tree).removeprefix('/places/')}"

    @pytest.fixture
    def change(self, cluster: Cluster) -> Change:
        return lambda uri, content: cluster.put(f"/places/{uri.removeprefix('hdfs://')}", content)
