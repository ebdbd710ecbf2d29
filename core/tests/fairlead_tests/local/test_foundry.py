"""The foundry: which replicas start at once, and which wait for others or for memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.api import InferenceService
from fairlead.local import catalogues
from fairlead.local.config import CONFIG
from fairlead.local.folder import Folder
from fairlead.local.foundry import Foundry
from fairlead.local.machine import Machine
from fairlead.local.service import Service
from fairlead.plugins import Plugins
from fairlead.resolve.observation import ReplicaStage
from fairlead_tests.local.homes import home

if TYPE_CHECKING:
    from fairlead.local.deployment import Deployment

GIB = 1024 * 1024  # in KiB, as the system counts
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def says(root: Path, *, total: int, available: int) -> None:
    """Have the system say how much memory there is."""
    file = root / "proc" / "meminfo"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"MemTotal: {total} kB\nMemAvailable: {available} kB\n")


@contextlib.asynccontextmanager
async def deployments(root: Path, count: int) -> AsyncIterator[tuple[Foundry, list[Deployment]]]:
    """Services with one replica each that is to be started; what was started ends with the block."""
    plugins = Plugins.discover()
    with home() as environ:
        folder = Folder(environ=environ)
        folder.acquire()
        foundry = Foundry(
            folder, plugins, time.time, Machine(root=root), on_change=lambda: None, follow=lambda _made: None
        )
        found = []
        for number in range(count):
            service = Service(("default", f"sleeper-{number}"), foundry, {})
            service.declare(manifest(f"sleeper-{number}"), catalogues.installed(plugins), CONFIG, 0.0)
            found += list(service.deployments())
        for each in found:
            each.scale(1)
        try:
            yield foundry, found
        finally:
            await asyncio.gather(*(replica.stop(1) for each in found for replica in each.replicas))
            folder.release()


def manifest(name: str) -> InferenceService:
    container = {"name": "kserve-container", "image": "none", "command": SLEEP}
    return InferenceService.parse(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"predictor": {"containers": [container]}},
        }
    )


async def started(found: list[Deployment]) -> int:
    """How many replicas were started."""
    for _ in range(50):
        await asyncio.sleep(0)
    return sum(replica.observation.stage is not ReplicaStage.PENDING for each in found for replica in each.replicas)


def never(_deployment: Deployment) -> bool:
    return False


def test_replicas_wait_for_memory_say_so_and_start_once_there_is_some(tmp_path: Path) -> None:
    async def live() -> None:
        says(tmp_path, total=20 * GIB, available=GIB)
        async with deployments(tmp_path, 1) as (foundry, found):
            foundry.start(found, never)
            assert await started(found) == 0
            assert "while less than 2 GiB of memory are free" in found[0].limited
            says(tmp_path, total=20 * GIB, available=3 * GIB)
            foundry.start(found, never)
            assert not foundry.waits
            assert await started(found) == 1

    asyncio.run(live())


def test_a_replica_that_requests_wait_for_starts_however_little_memory_there_is(tmp_path: Path) -> None:
    async def live() -> None:
        says(tmp_path, total=20 * GIB, available=GIB)
        async with deployments(tmp_path, 3) as (foundry, found):
            foundry.start(found, lambda each: each is found[1])
            assert await started(found) == 1
            assert await started(found[1:2]) == 1
            assert found[1].limited == ""

    asyncio.run(live())


@pytest.mark.parametrize(("total", "available", "starts"), [(2, 0.6, 1), (2, 0.4, 0), (6, 1.1, 1), (6, 0.9, 0)])
def test_what_is_kept_free_is_a_gib_or_a_quarter_of_a_small_machine(
    tmp_path: Path, total: int, available: float, starts: int
) -> None:
    async def live() -> None:
        says(tmp_path, total=total * GIB, available=int(available * GIB))
        async with deployments(tmp_path, 1) as (foundry, found):
            foundry.start(found, never)
            assert await started(found) == starts

    asyncio.run(live())


def test_a_few_replicas_start_at_a_time(tmp_path: Path) -> None:
    async def live() -> None:
        says(tmp_path, total=20 * GIB, available=10 * GIB)
        many = 2 * bound() + 1
        async with deployments(tmp_path, many) as (foundry, found):
            foundry.start(found, never)
            assert await started(found) == bound()
            foundry.start(found, never)
            assert await started(found) == bound()
            assert foundry.waits

    asyncio.run(live())


def bound() -> int:
    """Two for each core that may be used."""
    return 2 * len(os.sched_getaffinity(0))
