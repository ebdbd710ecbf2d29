"""A real server in this process, for tests: real sockets, a port that the system chooses, and an orderly end."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from typing import TYPE_CHECKING, Any

import httpx

from fairlead import errors
from fairlead.engine.engine import Engine
from fairlead.engine.explaining import ExplainerSource
from fairlead.engine.registry import ModelSource
from fairlead.plugins import Plugins
from fairlead.predictor.client import Predictor
from fairlead.predictor.forwarding import Forwarded
from fairlead.predictor.target import Target
from fairlead.rest.server import Server, listen
from fairlead.settings import ServerSettings
from fairlead.storage.fetcher import Fetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from fairlead.contracts.runtime import AsyncModel
    from fairlead.engine.repository import Repository

__all__ = ["RunningServer", "running_server"]

PATIENCE = 60.0
"""Seconds that anything here may take before the test fails."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers.

    Attributes:
        url: its base URL.
        engine: its engine, for tests that look inside.
        client: a client with that base URL.
        grpc_address: host and port of its gRPC server; None where it has none.
    """

    url: str
    engine: Engine
    client: httpx.Client
    grpc_address: str | None = None


@contextlib.contextmanager
def running_server(
    models: Mapping[str, Path | str | None],
    *,
    repository: Repository | None = None,
    options: Mapping[str, Any] | None = None,
    wait: bool = True,
    grpc: bool = False,
    explainer: str | None = None,
    explainer_dir: Path | str | None = None,
    explainer_options: Mapping[str, Any] | None = None,
    predictor_host: str | None = None,
    predictor_protocol: str = "v1",
    **settings: Any,
) -> Iterator[RunningServer]:
    """Serve models until the block ends.

    Args:
        models: paths or URIs of artefacts, by model name; None for the explainer as a component, of that name.
        repository: a folder that more models can be loaded from.
        options: settings of the runtimes.
        wait: whether to wait until the server is ready.
        grpc: whether it serves gRPC as well.
        explainer: the explainer of the models.
        explainer_dir: path or URI of its own files.
        explainer_options: its settings.
        predictor_host: host and port of the predictor that a component asks.
        predictor_protocol: how it asks.
        settings: fields of `ServerSettings`.

    Yields:
        The server.

    Raises:
        FairleadError: a model does not load.
        TimeoutError: the server is not ready in time.
    """
    plugins = Plugins.discover()
    engine = Engine(
        plugins,
        Fetcher(plugins).fetch,
        ServerSettings(host="127.0.0.1", http_port=0, grpc_port=0, **settings),
        repository,
    )
    explains = None
    if explainer is not None:
        own = None if explainer_dir is None else str(explainer_dir)
        explains = ExplainerSource(name=explainer, uri=own, options=explainer_options or {})
    sources = [
        ModelSource(name=name, uri=str(uri), options=options or {}, explainer=explains)
        if uri is not None
        else ModelSource(
            name=name, uri="", explainer=explains, make=_forwarded(name, str(predictor_host), predictor_protocol)
        )
        for name, uri in models.items()
    ]
    sock = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    server = _Observed(engine, sources)
    grpc_address = _accompanied(server, engine) if grpc else None
    thread = threading.Thread(target=server.run_and_keep_failure, args=(sock,), name="server", daemon=True)
    thread.start()
    try:
        if wait and not server.settled.wait(PATIENCE):
            raise TimeoutError(f"the server was not ready within {PATIENCE:g} seconds")
        if server.failure is not None:
            raise server.failure
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            yield RunningServer(url, engine, client, grpc_address)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        if thread.is_alive():
            raise TimeoutError(f"the server did not stop within {PATIENCE:g} seconds")


def _forwarded(name: str, host: str, protocol: str) -> Callable[[], AsyncModel]:
    return lambda: Forwarded(Predictor(Target.parse(host, protocol=protocol), name))


def _accompanied(server: Server, engine: Engine) -> str:
    """Give a server a gRPC server beside it; returns where that listens."""
    from fairlead.grpc.server import GrpcServer

    companion = GrpcServer(engine)
    companion.listen()
    server.accompany(companion)
    return companion.address


class _Observed(Server):
    """A server that tells another thread when it is ready or has failed."""

    def __init__(self, engine: Engine, sources: list[ModelSource]) -> None:
        super().__init__(engine, sources)
        self.settled = threading.Event()
        self.failure: errors.FairleadError | None = None

    def run_and_keep_failure(self, sock: Any) -> None:
        try:
            self.run_on(sock)
        except errors.FairleadError as error:
            self.failure = error
        finally:
            self.settled.set()

    async def _load(self) -> None:
        await super()._load()
        if self._failure is None:
            self.settled.set()
