"""How an operator is started: what its command line and its environment say."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["Options"]

_NAMESPACE: Final = "fairlead"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an operator is started.

    Attributes:
        namespace: its own namespace, which has the ConfigMap, the Lease and the certificate.
        namespaces: those whose services it runs; none of them for all.
        identity: what tells it from the other operators of the Lease.
        workers: how many services are worked on at the same time.
        resync: seconds after which everything is listed and looked at again.
        elects: whether it writes only while it holds the Lease.
        webhooks: whether it serves webhooks.
        webhook_port: their port.
        webhook_service: the Service that leads to them.
        webhook_url: where API servers ask them instead, with ``{port}`` for the port; empty for the Service.
        kubeconfig: the file that names the API server; None for the one of this pod, or of the environment.
    """

    namespace: str = _NAMESPACE
    namespaces: tuple[str, ...] = ()
    identity: str = "operator"
    workers: int = 8
    resync: float = 300.0
    elects: bool = True
    webhooks: bool = True
    webhook_port: int = 9443
    webhook_service: str = "fairlead-webhooks"
    webhook_url: str = ""
    kubeconfig: Path | None = None

    @staticmethod
    def own(environ: Mapping[str, str] | None = None) -> tuple[str, str]:
        """The namespace and the identity of this process: those of its pod, where it runs in one."""
        known = os.environ if environ is None else environ
        return known.get("POD_NAMESPACE") or _NAMESPACE, known.get("POD_NAME") or socket.gethostname()
