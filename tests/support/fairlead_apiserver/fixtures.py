"""What tests of the operator ask for: a server in memory, or the cluster that ``KUBECONFIG`` names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_apiserver.cluster import Cluster
from fairlead_apiserver.server import ApiServer

__all__ = ["apiserver", "cluster", "clusters", "memory", "namespace"]


@pytest.fixture(scope="session")
def memory() -> Iterator[ApiServer | None]:
    """The server of all tests, or None where there is a real one."""
    if os.environ.get("KUBECONFIG"):
        yield None
        return
    with ApiServer() as server:
        yield server


@pytest.fixture
def apiserver(memory: ApiServer | None) -> Iterator[ApiServer]:
    """The server in memory, for tests of what a real one cannot be told to do."""
    if memory is None:
        pytest.skip("a real API server cannot be told to fail")
    memory.requests.clear()
    yield memory
    memory.heal()


@pytest.fixture(scope="session")
def clusters(memory: ApiServer | None, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster, for fixtures that outlive a test."""
    if memory is None:
        # Its garbage collector looks twice a minute for kinds that are new to it.
        return Cluster(Path(os.environ["KUBECONFIG"]), real=True, patience=100)
    return Cluster(memory.kubeconfig(tmp_path_factory.mktemp("apiserver") / "kubeconfig"))


@pytest.fixture
def cluster(clusters: Cluster) -> Cluster:
    """The cluster as its administrator."""
    return clusters


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    with cluster.namespace() as name:
        yield name
