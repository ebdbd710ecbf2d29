"""A cluster as loops reach it: what the watches told, the API server, and the pods themselves over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp

from fairlead import errors
from fairlead_operator.cluster import kinds
from fairlead_operator.desired.model import APP_LABEL

if TYPE_CHECKING:
    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.desired.model import Manifest
    from fairlead_operator.scaling.reach import Subject
    from fairlead_operator.world import World

__all__ = ["LiveReach", "page"]

_TIMEOUT: Final = 3.0
_LIMIT: Final = 8 * 1024 * 1024
_DEPLOYMENT: Final = kinds.BY_KIND["Deployment"]
_USAGE: Final = kinds.BY_KIND["PodMetrics"]


class LiveReach:
    """A cluster; as `fairlead_operator.scaling.reach.Reach`.

    Args:
        cluster: its API server.
        world: what is known of it.
        session: asks pods; whoever made it closes it.
    """

    def __init__(self, cluster: Cluster, world: World, session: aiohttp.ClientSession) -> None:
        self._cluster, self._world, self._session = cluster, world, session

    def pods(self, subject: Subject) -> Sequence[Manifest]:
        """The pods of a component, as the watch has told of them."""
        found = self._world.pods((subject.namespace, subject.service))
        app = _app(subject)
        return [each for each in found if (each["metadata"].get("labels") or {}).get(APP_LABEL) == app]

    def replicas(self, subject: Subject) -> int | None:
        """How many replicas the Deployment is told to have; None where there is none."""
        found = self._world.get(_DEPLOYMENT.name, subject.namespace, subject.name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return None
        return int((found.get("spec") or {}).get("replicas", 1))

    async def scrape(self, url: str) -> str:
        """The page of metrics at an address; as `page`."""
        return await page(self._session, url)

    async def podmetrics(self, subject: Subject) -> Sequence[Manifest] | None:
        """What the pods use; None where the cluster does not serve ``metrics.k8s.io``."""
        selector = f"{APP_LABEL}={_app(subject)}"
        try:
            return (await self._cluster.every(_USAGE, labels=selector, namespace=subject.namespace))[0]
        except errors.ObjectNotFound:
            return None

    async def scale(self, namespace: str, name: str, replicas: int) -> None:
        """Write the subresource ``scale`` of a Deployment."""
        await self._cluster.patch(_DEPLOYMENT, name, namespace, {"spec": {"replicas": replicas}}, "scale")


async def page(session: aiohttp.ClientSession, url: str) -> str:
    """The body at an address, which is to answer at once, with no more than 8 MiB, and without leading elsewhere.

    Raises:
        OSError: it does not.
    """
    headers = {"Accept": "text/plain"}
    try:
        async with asyncio.timeout(_TIMEOUT), session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.OK:
                raise ConnectionError(f"status {answer.status}")
            body = bytearray()
            async for part in answer.content.iter_any():
                body += part
                if len(body) > _LIMIT:
                    raise ConnectionError(f"more than {_LIMIT} bytes")
            return body.decode(errors="replace")
    except TimeoutError:
        raise TimeoutError(f"nothing within {_TIMEOUT:g} s") from None
    except aiohttp.ClientError as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _app(subject: Subject) -> str:
    return f"isvc.{subject.name}"
