"""What kopf calls: watches tell the world, and the start and the end of the process start and end the work."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import kopf

from fairlead_operator.cluster import kinds
from fairlead_operator.resyncing import LABELLED
from fairlead_operator.world import CONFIG_MAP

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

    from fairlead_operator.cluster.kinds import Kind
    from fairlead_operator.running import Operator

__all__ = ["configured", "register"]

_BATCH: Final = 500
_QUIET: Final = ("kopf.objects", "kopf._core.reactor.queueing")


def register(registry: kopf.OperatorRegistry, operator: Operator) -> None:
    """Have kopf tell an operator of everything that bears on services.

    Args:
        registry: where kopf finds what to call.
        operator: who is told.
    """
    for kind in (*kinds.DECLARED, *LABELLED, kinds.BY_KIND["ConfigMap"], kinds.BY_KIND["CustomResourceDefinition"]):
        _watch(registry, operator, kind)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection(await operator.credentials())

    @kopf.on.startup(registry=registry)
    async def start(**_: Any) -> None:
        await operator.start()

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await operator.stop()


def configured() -> kopf.OperatorSettings:
    """How kopf is set up: selectors on the server's side, lists in pages, and no events or marks of its own."""
    settings = kopf.OperatorSettings()
    for kind in LABELLED:
        settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kinds.SELECTOR
    settings.watching.field_selectors["", "v1", "configmaps"] = f"metadata.name={CONFIG_MAP}"
    settings.watching.chunk_size = _BATCH
    settings.posting.enabled = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    return settings


def _watch(registry: kopf.OperatorRegistry, operator: Operator, kind: Kind) -> None:
    where = (kind.group, kind.version, kind.plural)

    # An index is filled before anything else is called: with it, nobody acts on half of the world.
    @kopf.index(*where, id=f"known-{kind.plural}", registry=registry)
    async def know(body: Mapping[str, Any], **_: Any) -> None:
        operator.world.put(_plain(kind, body))

    @kopf.on.event(*where, id=f"tell-{kind.plural}", registry=registry)
    async def tell(event: Mapping[str, Any], body: Mapping[str, Any], **_: Any) -> None:
        operator.known()  # kopf calls this once the indices of all kinds are filled
        if event["type"] == "DELETED":
            operator.world.drop(_plain(kind, body))
        elif event["type"] is None:
            operator.relisted(kind.name)  # what went away before a list was read again, nobody tells of


async def _connection(settings: Configuration) -> kopf.ConnectionInfo:
    """The same credentials as those of the client."""
    key = settings.get_api_key_with_prefix("BearerToken")
    scheme, _, token = ((key if isinstance(key, str) else await key) or "").partition(" ")
    return kopf.ConnectionInfo(
        server=settings.host,
        ca_path=settings.ssl_ca_cert,
        insecure=not settings.verify_ssl,
        username=settings.username or None,
        password=settings.password or None,
        scheme=scheme if token else None,
        token=token or None,
        certificate_path=settings.cert_file,
        private_key_path=settings.key_file,
    )


def _plain(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    return {**dict(body), "apiVersion": kind.api_version, "kind": kind.name}
