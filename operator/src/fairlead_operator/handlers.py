"""What kopf calls: watches tell the world, and the start and the end of the process start and end the work."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import kopf

from fairlead import errors
from fairlead_operator.cluster import kinds
from fairlead_operator.world import CONFIG_MAP

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

    from fairlead_operator.cluster.kinds import Kind, Kinds
    from fairlead_operator.running import Operator

__all__ = ["configured", "register"]

_BATCH: Final = 500
_BACKOFF: Final = 2.0
"""Seconds before the operator tries again to start, where the API server does not answer."""
_QUIET: Final = {
    "aiohttp.access": logging.WARNING,  # every probe
    "kopf.objects": logging.WARNING,
    "kopf._core.reactor.queueing": logging.WARNING,
    "kopf._core.reactor.observation": logging.ERROR,  # kinds that a cluster need not have
}


def register(registry: kopf.OperatorRegistry, operator: Operator) -> None:
    """Have kopf tell an operator of everything that bears on services.

    Args:
        registry: where kopf finds what to call.
        operator: who is told.
    """
    for kind in (*operator.kinds.listed, kinds.BY_KIND["CustomResourceDefinition"]):
        _watch(registry, operator, kind)

    @kopf.on.login(id="login", registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection(await operator.credentials())

    @kopf.on.startup(id="start", registry=registry, backoff=_BACKOFF)
    async def start(**_: Any) -> None:
        try:
            await operator.start()
        except errors.ClusterError as error:
            raise kopf.TemporaryError(str(error), delay=_BACKOFF) from error

    @kopf.on.cleanup(id="stop", registry=registry)
    async def stop(**_: Any) -> None:
        await operator.stop()


def configured(known: Kinds) -> kopf.OperatorSettings:
    """How kopf is set up: selectors on the server's side, lists in pages, and no events or marks of its own.

    Args:
        known: the kinds of the operator.
    """
    settings = kopf.OperatorSettings()
    for kind in known.labelled:
        settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kinds.SELECTOR
    settings.watching.field_selectors["", "v1", "configmaps"] = f"metadata.name={CONFIG_MAP}"
    settings.watching.chunk_size = _BATCH
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDifferences()
    settings.networking.error_backoffs = _Backoffs()
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    return settings


class _NoDifferences(kopf.DiffBaseStorage):
    """What kopf would compare objects with; its copy of every object takes long, and nobody asks for it."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Nothing of the object."""
        return {}

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Nothing."""
        return None

    def store(self, **_: Any) -> None:
        """Store nothing."""


class _Backoffs(Iterable[float]):
    """Seconds before each new attempt to ask the API server: there is no last one, after which no watch would run."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.2, 0.5, 1.0, 2.0, 5.0), itertools.repeat(10.0))


def _watch(registry: kopf.OperatorRegistry, operator: Operator, kind: Kind) -> None:
    where = (kind.group, kind.version, kind.plural)

    @kopf.on.event(*where, id=f"tell-{kind.plural}", registry=registry)
    async def tell(event: Mapping[str, Any], body: Mapping[str, Any], **_: Any) -> None:
        manifest = _plain(kind, body)
        if event["type"] == "DELETED":
            operator.world.drop(manifest)
        else:
            operator.world.put(manifest)
        if event["type"] is None:
            operator.relisted()  # what went away before a list was read again, nobody tells of


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
