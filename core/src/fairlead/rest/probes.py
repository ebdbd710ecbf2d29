"""What is asked of a server all the time: whether it lives, whether it and its models are ready, and its metrics.

Each answer is made here once. `fairlead.rest.app` gives it without a framework; `fairlead.rest.control` declares the
same routes for the OpenAPI document, and answers those that are asked in another way.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from fairlead import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.engine.engine import Engine

__all__ = ["Probe", "exposition", "live", "model_ready", "probe_of", "server_live", "server_ready"]

Probe: TypeAlias = Callable[[], Awaitable[tuple[bytes, str]]]
"""Makes the body and its content type."""

_V1: Final = "/v1/models/"
_V2: Final = "/v2/models/"
_READY: Final = "/ready"


def live() -> dict[str, Any]:
    """That the process answers, as V1 says it."""
    return {"status": "alive"}


def server_live() -> dict[str, Any]:
    """That the process answers, as V2 says it."""
    return {"live": True}


def server_ready(engine: Engine) -> dict[str, Any]:
    """That the server should be sent requests.

    Raises:
        ServerNotReady: it should not.
    """
    if not engine.ready:
        raise errors.ServerNotReady
    return {"ready": True}


async def model_ready(engine: Engine, name: str) -> dict[str, Any]:
    """That a request to a model would be answered.

    Raises:
        ModelNotFound: no model of that name is known.
        ModelNotReady: it does not answer.
    """
    await engine.check(name)
    return {"name": name, "ready": True}


async def exposition(engine: Engine, accept: str) -> tuple[bytes, str]:
    """All metrics, and the content type of the format that is accepted."""
    # In a thread: of many loaded models it takes longer than other requests should wait.
    return await asyncio.to_thread(engine.metrics.expose, accept)


def probe_of(path: str, headers: Mapping[str, str], engine: Engine) -> Probe | None:
    """What answers a GET of this path; None when it is no probe."""
    if path == "/metrics":
        return functools.partial(exposition, engine, headers.get("accept", ""))
    if path in _OF_SERVER:
        return functools.partial(_json_now, functools.partial(_OF_SERVER[path], engine))
    name = ""
    if path.startswith(_V2) and path.endswith(_READY):
        name = path[len(_V2) : -len(_READY)]
    elif path.startswith(_V1):
        name = path[len(_V1) :]
    return functools.partial(_json, engine, name) if name and "/" not in name else None


_OF_SERVER: Final[Mapping[str, Callable[[Engine], dict[str, Any]]]] = {
    "/": lambda _: live(),
    "/v2/health/live": lambda _: server_live(),
    "/v2/health/ready": server_ready,
}


async def _json_now(answer: Callable[[], dict[str, Any]]) -> tuple[bytes, str]:
    return orjson.dumps(answer()), "application/json"


async def _json(engine: Engine, name: str) -> tuple[bytes, str]:
    return orjson.dumps(await model_ready(engine, name)), "application/json"
