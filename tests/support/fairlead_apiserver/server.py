"""The server in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import yaml
from aiohttp import web

from fairlead_apiserver import access, preparing
from fairlead_apiserver.access import Access
from fairlead_apiserver.admission import Webhooks
from fairlead_apiserver.controllers import Controllers
from fairlead_apiserver.faults import Faults, Match
from fairlead_apiserver.reading import Reader
from fairlead_apiserver.resources import Registry
from fairlead_apiserver.store import Store
from fairlead_apiserver.web import Face
from fairlead_apiserver.writing import Writer

if TYPE_CHECKING:
    from fairlead_apiserver.requests import Record

__all__ = ["ApiServer"]

_Result = TypeVar("_Result")
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class ApiServer:
    """A Kubernetes API server in memory, on a port of the loopback that the system chooses.

    Args:
        bookmarks: The seconds between the bookmarks of a watch.
        services: Addresses of the Services that webhooks are behind, by ``namespace/name``.
    """

    def __init__(self, *, bookmarks: float = 60, services: Mapping[str, str] | None = None) -> None:
        self.url = ""
        self.requests: list[Record] = []
        """The requests that were answered, in order."""
        self.services = dict(services or {})
        self._bookmarks = bookmarks
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fairlead-apiserver", daemon=True)
        self._store = Store()
        self._access = Access(self._store)
        self._faults = Faults()
        self._runner: web.AppRunner | None = None
        self._webhooks: Webhooks | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def kubeconfig(self, path: Path, user: str = access.ADMIN.name, namespace: str = "default") -> Path:
        """Write a kubeconfig for a user; every user but the administrator has only what roles give."""
        token = preparing.password()
        known = access.ADMIN if user == access.ADMIN.name else access.known(user)
        self._soon(lambda: self._access.tokens.update({token: known}))
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "memory", "cluster": {"server": self.url}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "memory", "context": {"cluster": "memory", "user": user, "namespace": namespace}}],
            "current-context": "memory",
        }
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def compact(self) -> None:
        """Forget the past, as etcd does: who continues from it is told that it is gone."""
        self._soon(self._store.compact)

    def drop_watches(self) -> None:
        """End every watch."""
        self._soon(self._store.drop_watches)

    def fail(self, match: Match, code: int, times: int = 1, retry_after: int | None = None) -> None:
        """Let requests fail with a status, or with ``faults.RESET`` by cutting the connection."""
        self._soon(lambda: self._faults.plan(match, code, times, retry_after))

    @contextlib.contextmanager
    def hold(self, match: Match) -> Iterator[Callable[[], int]]:
        """Let requests wait until the block ends; gives a function that counts those that wait."""
        number = self._soon(lambda: self._faults.hold(match))
        try:
            yield lambda: self._faults.waiting
        finally:
            self._soon(lambda: self._faults.release(number))

    def heal(self) -> None:
        """Plan no more failures."""
        self._soon(self._faults.clear)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _soon(self, call: Callable[[], _Result]) -> _Result:
        async def done() -> _Result:
            return call()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(30)

    async def _start(self) -> None:
        registry = Registry()
        Controllers(self._store, registry)
        self._webhooks = Webhooks(self._store, self.services)
        reader, writer = Reader(self._store, self._bookmarks), Writer(self._store, self._webhooks)
        face = Face(registry, self._store, reader, writer, self._access, self._faults, self.requests.append)
        for name in _NAMESPACES:
            self._store.put(("", "namespaces"), ("", name), _namespace(name))
        self._runner = web.AppRunner(face.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._faults.clear()
        self._store.drop_watches()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._webhooks is not None:
            await self._webhooks.close()


def _namespace(name: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"kubernetes.io/metadata.name": name}, "creationTimestamp": preparing.now()}
    metadata["uid"] = preparing.uid()
    head = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return head | {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
