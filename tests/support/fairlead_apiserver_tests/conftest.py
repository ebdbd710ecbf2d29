"""One cluster for all of the suite: in memory, or the one that ``KUBECONFIG`` names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fairlead_apiserver.fixtures import apiserver, cluster, clusters, memory, namespace
from fairlead_apiserver_tests import manifests

if TYPE_CHECKING:
    from fairlead_apiserver.cluster import Cluster

__all__ = ["apiserver", "cluster", "clusters", "memory", "namespace", "widgets"]


@pytest.fixture(scope="session")
def widgets(clusters: Cluster) -> Iterator[None]:
    """A kind of the tests' own, with the subresources status and scale."""
    with clusters.installed(manifests.WIDGETS):
        yield
