"""Tells the API server of the webhooks, or that there are none any more."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead_operator import webhooks
from fairlead_operator.certificates import names_of
from fairlead_operator.cluster import kinds
from fairlead_operator.cluster.client import MANAGER
from fairlead_operator.configuration.reading import read
from fairlead_operator.keeping import Keeper
from fairlead_operator.webhook_server import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kopf import WebhookClientConfig

    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.config import Config
    from fairlead_operator.catalogues import Catalogues
    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.options import Options
    from fairlead_operator.world import World

__all__ = ["SECRET", "KnownView", "server", "withdraw"]

SECRET: Final = "fairlead-webhooks"  # noqa: S105  # the name of a Secret
"""The Secret with the certificate, in the operator's namespace."""

_LABEL: Final = "app.kubernetes.io/managed-by"


class KnownView:
    """What objects are judged against: the cluster as the watches tell of it.

    Args:
        world: what is known.
        catalogues: what services are resolved against.
    """

    def __init__(self, world: World, catalogues: Catalogues) -> None:
        self._world = world
        self._catalogues = catalogues

    def config(self, namespace: str, annotations: Mapping[str, str]) -> Config:
        """The settings that count for an object."""
        return read(*self._world.settings(namespace), annotations).config.resolve

    def catalogue(self) -> Catalogue:
        """The runtimes, storage providers and strategies that there are."""
        return self._catalogues.catalogue()


def server(cluster: Cluster, options: Options) -> WebhookServer:
    """The server of the webhooks, which tells the API server where it is."""

    async def announce(client: WebhookClientConfig) -> None:
        for each in webhooks.configurations(client):
            await cluster.apply(each, force=True)

    service, namespace = options.webhook_service, options.namespace
    names = names_of(service, namespace)
    client: dict[str, Any] = {"service": {"name": service, "namespace": namespace, "port": 443}}
    if options.webhook_url:
        names = (urllib.parse.urlsplit(options.webhook_url.replace("{port}", "443")).hostname or "",)
        client = {"url": options.webhook_url}
    return WebhookServer(
        Keeper(cluster, SECRET, namespace, names), client, port=options.webhook_port, announce=announce
    )


async def withdraw(cluster: Cluster) -> None:
    """Delete the configurations of an operator that had webhooks: each question would wait for nobody.

    Raises:
        ClusterUnavailable: the API server cannot be asked.
    """
    for name in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        kind = kinds.BY_KIND[name]
        try:
            found = await cluster.get(kind, webhooks.NAME)
            if (found["metadata"].get("labels") or {}).get(_LABEL) == MANAGER:
                await cluster.delete(kind, webhooks.NAME, None, uid=found["metadata"]["uid"])
        except (errors.ObjectNotFound, errors.ObjectRefused):
            continue
