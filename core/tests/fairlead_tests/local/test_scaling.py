"""Scaling: revisions without replicas and without requests cost little, and are there at once when a request comes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fairlead.api import InferenceService
from fairlead.local import catalogues
from fairlead.local.activator.seats import Held
from fairlead.local.config import CONFIG
from fairlead.local.folder import Folder
from fairlead.local.foundry import Foundry
from fairlead.local.gateway.envoy import Measured
from fairlead.local.machine import Machine
from fairlead.local.scaling import Scaling
from fairlead.local.service import Service
from fairlead.plugins import Plugins
from fairlead_tests.local.homes import home

if TYPE_CHECKING:
    from fairlead.local.deployment import Deployment


class World:
    """One service at zero replicas, and a clock that is moved by hand."""

    def __init__(self, folder: Folder) -> None:
        self.now = 1000.0
        plugins, machine = Plugins.discover(), Machine()
        self._catalogue = catalogues.installed(plugins)
        self.scaling = Scaling(plugins, lambda: self.now, machine)
        foundry = Foundry(
            folder, plugins, lambda: self.now, machine, on_change=lambda: None, follow=self.scaling.follow
        )
        self._service = Service(("default", "sleeper"), foundry, {})
        self.declare(least=0)

    def declare(self, *, least: int, **annotations: str) -> None:
        self._service.declare(manifest(least, **annotations), self._catalogue, CONFIG, self.now)

    @property
    def deployment(self) -> Deployment:
        (found,) = self._service.deployments()
        return found

    def replicas(self) -> int:
        """How many there are once what was decided is applied; none of them is started."""
        self.scaling.apply([self.deployment])
        return len(self.deployment.replicas)

    def pass_time(self, seconds: float) -> None:
        """Decide four times a second, as the platform does."""
        for _ in range(int(seconds * 4)):
            self.now += 0.25
            self.scaling.decide()


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    with home() as environ:
        folder = Folder(environ=environ)
        folder.acquire()
        try:
            yield World(folder)
        finally:
            folder.release()


def manifest(least: int, **annotations: str) -> InferenceService:
    container = {"name": "kserve-container", "image": "none", "command": [sys.executable, "-c", "pass"]}
    metadata = {
        "name": "sleeper",
        "namespace": "default",
        "annotations": {
            "autoscaling.knative.dev/initial-scale": "0",
            **{f"serving.kserve.io/{name}": text for name, text in annotations.items()},
        },
    }
    return InferenceService.parse(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": metadata,
            "spec": {"predictor": {"minReplicas": least, "containers": [container]}},
        }
    )


def test_a_request_gets_a_replica_at_once_however_long_nothing_was_asked() -> None:
    async def live() -> None:
        async with world() as made:
            made.pass_time(30)
            assert made.replicas() == 0
            assert not made.scaling.waits(made.deployment)
            made.scaling.wake(made.deployment.backend)
            assert made.replicas() == 1
            assert made.scaling.waits(made.deployment)

    asyncio.run(live())


def test_only_the_revision_that_was_woken_grows_before_the_next_pass() -> None:
    async def live() -> None:
        async with world() as made:
            backend = made.deployment.backend
            made.scaling.wake(backend)
            assert made.scaling.apply([made.deployment], growing="default/another") == []
            assert made.deployment.replicas == []
            (change,) = made.scaling.apply([made.deployment], growing=backend)
            assert change.reason == "ScaledUp"
            assert len(made.deployment.replicas) == 1

    asyncio.run(live())


def test_a_request_that_is_read_of_wakes_as_well() -> None:
    async def live() -> None:
        async with world() as made:
            made.pass_time(30)
            backend = made.deployment.backend
            made.scaling.observe({backend: Measured()}, {backend: Held(waiting=1, arrived=1)})
            made.pass_time(3)
            assert made.replicas() == 1

    asyncio.run(live())


def test_a_least_number_that_is_declared_later_is_followed() -> None:
    async def live() -> None:
        async with world() as made:
            made.pass_time(30)
            assert made.replicas() == 0
            made.declare(least=1)
            made.pass_time(3)
            assert made.replicas() == 1

    asyncio.run(live())


def test_a_strategy_that_only_delegates_scales_nothing_here_and_says_so() -> None:
    async def live() -> None:
        async with world() as made:
            made.declare(least=2, autoscalerClass="keda")
            made.pass_time(5)
            (refused, grown) = made.scaling.apply([made.deployment])
            assert (refused.reason, refused.bad, grown.reason) == ("AutoscalerFailed", True, "ScaledUp")
            assert refused.message == (
                "The strategy keda decides nothing itself: it has objects of a cluster scale. Take kpa or hpa here."
            )
            assert len(made.deployment.replicas) == 2

    asyncio.run(live())
