"""A cluster, and an operator that runs in it: in memory, or the cluster that ``KUBECONFIG`` names."""

from __future__ import annotations

from fairlead_apiserver.fixtures import apiserver, cluster, clusters, memory, namespace

__all__ = ["apiserver", "cluster", "clusters", "memory", "namespace"]
