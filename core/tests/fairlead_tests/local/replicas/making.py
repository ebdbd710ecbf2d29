"""Orders and replicas for tests."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.local.replicas.orders import Order
from fairlead.local.replicas.replica import Replica, Tools
from fairlead.plugins import Plugins
from fairlead.resolve.service import ResolvedModel, ResolvedRuntime, Source

if TYPE_CHECKING:
    from fairlead.resolve.observation import ReplicaStage

__all__ = ["changed", "container", "order", "running", "script", "serving", "tools", "until"]

SERVER = """
    import http.server, os, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.status(), "")
            self.send_header("Content-Length", "0")
            self.end_headers()
        def status(self):
            return 404
        def log_message(self, *_):
            pass
    {more}
    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def container(**fields: Any) -> dict[str, Any]:
    """A main container."""
    return {"name": "kserve-container", **fields}


def order(folder: Path, *, pod: Mapping[str, Any] | None = None, **fields: Any) -> Order:
    """An order of a container of one's own; fields of the container, or of the order where it has them."""
    known = {field.name for field in dataclasses.fields(Order)}
    of_order = {name: value for name, value in fields.items() if name in known}
    of_container = {name: value for name, value in fields.items() if name not in known}
    given: dict[str, Any] = {
        "name": "iris-predictor-00001-x7k2p",
        "namespace": "default",
        "service": "iris",
        "component": "predictor",
        "revision": "iris-predictor-00001",
        "pod": {"containers": [container(**of_container)], **(pod or {})},
        "sources": (),
        "model": None,
        "predictor": None,
        "predictor_name": None,
        "folder": folder / "replica",
        "logs": folder / "logs" / "replica.log",
    }
    return Order(**{**given, **of_order})


def serving(folder: Path, uri: str, **fields: Any) -> Order:
    """An order of a scikit-learn model, with the container that the runtime plugin has."""
    runtime = ResolvedRuntime(name="fairlead-sklearn", kind="ClusterServingRuntime", plugin="sklearn")
    version = fields.pop("runtime_version", None)
    model = ResolvedModel(
        format="sklearn", format_version=None, protocol="v2", runtime=runtime, runtime_version=version
    )
    given: dict[str, Any] = {
        "command": ["fairlead", "serve"],
        "args": ["--name=iris", "--model-dir=/mnt/models", "--http-port=8080", "--grpc-port=8081"],
        "ports": [{"containerPort": 8080, "name": "http1"}, {"containerPort": 8081, "name": "h2c"}],
        "model": model,
        "sources": (Source(uri=uri),),
    }
    return order(folder, **{**given, **fields})


def script(folder: Path, source: str) -> list[str]:
    """A command that runs a Python script."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(source))
    return [sys.executable, str(path)]


def server(folder: Path, more: str = "") -> list[str]:
    """A command that serves HTTP on ``PORT``; lines of Python before it does."""
    source = textwrap.dedent(SERVER).replace("{more}", textwrap.dedent(more))
    path = folder / "server.py"
    path.write_text(source)
    return [sys.executable, str(path)]


def tools(**fields: Any) -> Tools:
    """Tools whose pauses are short."""
    made = Tools.of(Plugins.discover())
    return dataclasses.replace(made, **{"backoff": 0.01, "max_backoff": 0.05, **fields})


class changed:  # noqa: N801  # it reads as a verb
    """Wakes whoever waits for a replica to change, and remembers what was seen of it."""

    def __init__(self) -> None:
        self.replica: Replica
        self.seen: list[tuple[ReplicaStage, str]] = []
        self._event = asyncio.Event()

    def __call__(self) -> None:
        seen = self.replica.observation
        self.seen.append((seen.stage, seen.reason))
        self._event.set()

    async def until(self, condition: Callable[[], object], patience: float = 60.0) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(patience):
            while not condition():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._event.wait()
                self._event.clear()


async def until(condition: Callable[[], object], patience: float = 60.0) -> None:
    """Wait until a condition holds that nobody tells of."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(
    wanted: Order, made: Tools | None = None, grace: float = 5.0
) -> AsyncIterator[tuple[Replica, changed]]:
    """A replica that was started, and is stopped at the end."""
    changes = changed()
    replica = Replica(wanted, made or tools(), changes)
    changes.replica = replica
    replica.start()
    try:
        yield replica, changes
    finally:
        await replica.stop(grace)
        assert replica.pid is None
