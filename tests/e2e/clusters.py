"""The cluster that a page asks: an API server in memory with our definitions, and who writes statuses."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fairlead.api import crds
from fairlead_apiserver import ApiServer, Cluster
from fairlead_apiserver.cluster import Refused

__all__ = ["GRAPH", "ISVC", "beside", "operated"]

ISVC: Final = ("serving.kserve.io/v1beta1", "InferenceService")
GRAPH: Final = ("serving.kserve.io/v1alpha1", "InferenceGraph")


@contextlib.contextmanager
def beside(page: Path, folder: Path) -> Iterator[Mapping[str, str]]:
    """The variables by which the blocks of a page find the cluster; none where it asks none."""
    if "fairlead.Client(" not in page.read_text(encoding="utf-8"):
        yield {}
        return
    with ApiServer() as server:
        kubeconfig = server.kubeconfig(folder / "kubeconfig")
        cluster = Cluster(kubeconfig)
        for definition in crds.definitions():
            cluster.install(definition)
        with operated(cluster, "default"):
            yield {"KUBECONFIG": str(kubeconfig)}


@contextlib.contextmanager
def operated(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Say of everything that it is ready as it is declared, as an operator does once it is."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.02):
            for kind in (ISVC, GRAPH):
                for found in cluster.list(*kind, namespace):
                    _tell(cluster, kind, found)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tell(cluster: Cluster, kind: tuple[str, str], found: Mapping[str, Any]) -> None:
    """Write the status of one object, where it is about an older spec."""
    metadata = found["metadata"]
    if (found.get("status") or {}).get("observedGeneration") == metadata["generation"]:
        return
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    url = f"http://{metadata['name']}-{metadata['namespace']}.example.com"
    said = {"observedGeneration": metadata["generation"], "conditions": [ready], "url": url}
    with contextlib.suppress(Refused):  # it is deleted at this moment
        cluster.patch_status(*kind, metadata["name"], said, metadata["namespace"])
