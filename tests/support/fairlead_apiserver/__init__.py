"""A Kubernetes API server in memory: what an operator relies on, and nothing that needs a node."""

from __future__ import annotations

from fairlead_apiserver.cluster import Cluster
from fairlead_apiserver.server import ApiServer

__all__ = ["ApiServer", "Cluster"]
