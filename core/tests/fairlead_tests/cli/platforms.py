"""A platform for tests of the commands: it keeps what is declared and runs nothing; the rest around it is real."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead import errors
from fairlead.api import InferenceService, Resource
from fairlead.cli import manifests
from fairlead.cli.session import Session
from fairlead.cli.world import World
from fairlead.local.watching import Watcher

if TYPE_CHECKING:
    from fairlead.cli.viewing import View
    from fairlead.local.folder import Folder
    from fairlead_tests.cli.conftest import Ran

__all__ = ["ADDRESS", "Memory", "Recorder", "Stage", "beside", "latest", "manifest", "running", "until", "world"]

ADDRESS = "127.0.0.1:8080"


def manifest(name: str, *, namespace: str | None = None, uri: str = "file:///model") -> str:
    """The YAML of an InferenceService."""
    space = "" if namespace is None else f", namespace: {namespace}"
    return (
        "apiVersion: serving.kserve.io/v1beta1\n"
        "kind: InferenceService\n"
        f"metadata: {{name: {name}{space}}}\n"
        f"spec: {{predictor: {{model: {{modelFormat: {{name: sklearn}}, storageUri: {uri}}}}}}}\n"
    )


class Memory:
    """A platform that keeps what is declared.

    Args:
        folder: where the logs of its replicas are.
        on_change: called after each change.
    """

    def __init__(self, folder: Folder, on_change: Callable[[], None]) -> None:
        self.folder, self.on_change = folder, on_change
        self.address = ADDRESS
        self.declared: list[list[str]] = []
        self.services: dict[tuple[str, str], dict[str, Any]] = {}
        self.conditions: dict[str, tuple[str, str, str]] = {}
        self.events: list[dict[str, Any]] = []
        self.latest: list[dict[str, Any]] = []
        self.current = True
        self.stopped = False
        self.refusal: errors.FairleadError | None = None
        self.patience = asyncio.Event()
        self.patience.set()

    async def start(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def declare(self, resources: Sequence[Resource]) -> None:
        found = [each for each in resources if isinstance(each, InferenceService)]
        self.declared.append([each.metadata.name for each in found])
        self.services = {(each.metadata.namespace or "default", each.metadata.name): each.manifest() for each in found}
        self.on_change()

    def remove(self, namespace: str, name: str) -> bool:
        self.on_change()
        return self.services.pop((namespace, name), None) is not None

    def views(self) -> list[dict[str, Any]]:
        return [self._view(*key) for key in sorted(self.services)]

    async def stop(self) -> None:
        await self.patience.wait()
        self.stopped = True

    def _view(self, namespace: str, name: str) -> dict[str, Any]:
        status, reason, message = self.conditions.get(name, ("True", "", ""))
        replica = f"{name}-predictor-00001-abcde"
        condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
        declared = self.services[namespace, name]
        return {
            "manifest": {
                **declared,
                "metadata": {**declared["metadata"], "namespace": namespace},
                "status": {
                    "url": f"http://{name}-{namespace}.localhost:8080",
                    "conditions": [{key: value for key, value in condition.items() if value}],
                },
            },
            "replicas": [
                {
                    "name": replica,
                    "component": "predictor",
                    "revision": f"{name}-predictor-00001",
                    "stage": "ready",
                    "reason": "",
                    "message": "",
                    "restarts": 0,
                    "http": 9001,
                    "grpc": None,
                    "pid": 4711,
                    "log": str(self.folder.log(namespace, replica)),
                    "started_at": 1700000000.0,
                }
            ],
            "events": list(self.events),
            "scaling": {
                f"{name}-predictor": {
                    "component": "predictor",
                    "strategy": "kpa",
                    "desired": 1,
                    "ready": 1,
                    "reason": "",
                }
            },
            "canaries": {},
            "latest": list(self.latest),
            "current": self.current,
        }


class Recorder:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.address = ""
        self.shown: list[list[View]] = []
        self.ended = False

    def begin(self, address: str) -> None:
        self.address = address

    def show(self, views: Sequence[View]) -> None:
        self.shown.append(list(views))

    def end(self) -> None:
        self.ended = True


def world(*paths: Path) -> World:
    """A world of files; a service named ``wrong`` is a mistake that is found after they are read."""

    def check(resources: Sequence[Resource]) -> Sequence[str]:
        if any(each.metadata.name == "wrong" for each in resources):
            raise errors.InvalidManifest("InferenceService default/wrong: spec: this is wrong.")
        return []

    made = World([str(path) for path in paths], read=manifests.read, check=check)
    made.read()
    return made


@dataclasses.dataclass(slots=True)
class Stage:
    """A session that runs.

    Attributes:
        session: the session.
        platform: what it runs.
        display: what it shows.
        ended: its exit status, once it has ended.
    """

    session: Session
    platform: Memory
    display: Recorder
    ended: asyncio.Future[int]


@contextlib.asynccontextmanager
async def running(folder: Folder, declared: World, *, watch: bool = False) -> AsyncIterator[Stage]:
    """A session in this thread's event loop, ended afterwards if it has not."""
    made: list[Memory] = []

    def make(on_change: Callable[[], None]) -> Memory:
        made.append(Memory(folder, on_change))
        return made[-1]

    display = Recorder()
    watcher = Watcher(declared.files, interval=0.001) if watch else None
    session = Session(folder, declared, display, make, watcher=watcher)
    ended = asyncio.ensure_future(session.run())
    try:
        await until(lambda: ended.done() or (display.address and made[0].declared))
        yield Stage(session, made[0], display, ended)
    finally:
        if not ended.done():
            ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)


def beside(folder: Folder, declared: World, asks: Callable[[Stage], Ran], *, watch: bool = False) -> Ran:
    """What a command is answered, which runs in a thread beside a session; the folder is released as that ends."""

    async def live() -> Ran:
        async with running(folder, declared, watch=watch) as stage:
            asking = asyncio.create_task(asyncio.to_thread(asks, stage))
            await asyncio.wait((asking, stage.ended), return_when=asyncio.FIRST_COMPLETED)
            if stage.ended.done():
                folder.release()
            return await asking

    return asyncio.run(live())


async def until(condition: Callable[[], object], patience: float = 60.0) -> None:
    """Let others run until a condition holds; fail when it does not within ``patience`` seconds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"the condition did not hold within {patience:g} seconds"
        await asyncio.sleep(0.005)


def latest(state: str, **more: Any) -> dict[str, Any]:
    """What a platform says of a revision in whose place the one before answers."""
    return {
        "component": "predictor",
        "canary": False,
        "revision": "wine-predictor-00002",
        "state": state,
        "before": ["wine-predictor-00001"],
        "reason": "Starting" if state == "coming" else "FetchFailed",
        "message": "Nothing is there.",
        "failures": 0,
        **more,
    }
