"""The loops of all components, and how they reach a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest
from aiohttp import web

from fairlead import errors
from fairlead.engine.metrics import Metrics
from fairlead_operator.scaling.live import LiveReach, page
from fairlead_operator.scaling.loops import Loops
from fairlead_operator.world import World
from fairlead_operator_tests.scaling.clusters import Ground, pod, subject

if TYPE_CHECKING:
    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.cluster.kinds import Kind
    from fairlead_operator.scaling.reach import Subject, Told

KEY = ("models", "iris")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 -- what it waits for has no event
            await asyncio.sleep(0.005)


async def turns() -> None:
    """Let everything that can run do so, a few times."""
    for _ in range(10):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(loops: Loops) -> AsyncIterator[None]:
    task = asyncio.create_task(loops.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def paced(ground: Ground) -> Callable[[float], Awaitable[None]]:
    """Time passes as fast as it can."""

    async def pause(seconds: float) -> None:
        ground.now += seconds
        await asyncio.sleep(0)

    return pause


def test_what_is_followed_is_scaled_while_it_runs_and_not_otherwise() -> None:
    async def run() -> None:
        ground = Ground(deployed=1).with_pods(30)
        loops = Loops(ground, lambda: ground.now, ground.tell, paced(ground))
        loops.follow(*KEY, [subject()])
        await turns()
        assert ground.asked == []
        async with running(loops):
            await until(lambda: ground.deployed == 3)
        asked = len(ground.asked)
        await turns()
        assert len(ground.asked) == asked
        ground.with_pods(50)
        async with running(loops):
            await until(lambda: ground.deployed == 5)

    asyncio.run(run())


def test_a_component_may_come_change_and_go_meanwhile() -> None:
    async def run() -> None:
        ground = Ground(deployed=1).with_pods(30)
        loops = Loops(ground, lambda: ground.now, ground.tell, paced(ground))
        async with running(loops):
            loops.follow(*KEY, [subject(annotations={"refuse": "yes"})])
            await until(lambda: bool(loops.problems(*KEY)))
            loops.follow(*KEY, [subject()])
            await until(lambda: ground.deployed == 3 and not loops.problems(*KEY))
            loops.follow(*KEY, [])
            await turns()
            asked = len(ground.asked)
            await turns()
            assert len(ground.asked) == asked
            assert loops.problems(*KEY) == ()

    asyncio.run(run())


# -- a real socket --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """The address of a server with one handler for everything."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


class Recorded:
    """An API server that takes what it is told."""

    def __init__(self, world: World) -> None:
        self.patches: list[tuple[str, str, str | None, Any, str | None]] = []
        self.queries: list[tuple[str, str, str | None]] = []
        self._world = world

    async def patch(self, kind: Kind, name: str, namespace: str | None, patch: Any, subresource: str | None) -> None:
        self.patches.append((kind.name, name, namespace, patch, subresource))
        self._world.put(deployment(patch["spec"]["replicas"], 1 + len(self.patches)))

    async def every(self, kind: Kind, *, labels: str, namespace: str) -> tuple[list[Any], str]:
        self.queries.append((kind.name, labels, namespace))
        raise errors.ObjectNotFound("There is no such kind.")


def deployment(replicas: int, version: int) -> dict[str, Any]:
    labels = {"serving.kserve.io/inferenceservice": "iris"}
    metadata = {"name": "iris-predictor", "namespace": "models", "uid": "d", "resourceVersion": str(version)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "labels": labels},
        "spec": {"replicas": replicas},
    }


def known_pod(address: str) -> dict[str, Any]:
    host, port = address.removeprefix("http://").split(":")
    made = pod(ip=host, annotations={"prometheus.kserve.io/port": port})
    made["metadata"] |= {"namespace": "models", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "Pod", **made}


def test_a_deployment_is_scaled_by_what_its_server_says_over_http() -> None:
    metrics, told = Metrics(), []
    metrics.of("iris").watch(in_flight=lambda: 40, waiting=lambda: 0)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics.expose("")[0])

    async def tell(each: Told) -> None:
        told.append(each.reason)

    async def run() -> None:
        world = World("fairlead", lambda _: None)
        server = Recorded(world)
        clock = Ground()
        async with serving(answer) as address, aiohttp.ClientSession() as session:
            world.put(deployment(1, 1))
            world.put(known_pod(address))
            world.put({**known_pod(address), "metadata": {**known_pod(address)["metadata"], "name": "x", "labels": {}}})
            reach = LiveReach(cast("Cluster", server), world, session)
            loops = Loops(reach, lambda: clock.now, tell, paced(clock))
            loops.follow(*KEY, [subject()])
            async with running(loops):
                await until(lambda: bool(server.patches))
        assert server.patches[0] == ("Deployment", "iris-predictor", "models", {"spec": {"replicas": 4}}, "scale")
        assert told[:1] == ["ScaledUp"]

    asyncio.run(run())


def test_a_cluster_without_metrics_of_pods_measures_none() -> None:
    async def run() -> None:
        world = World("fairlead", lambda _: None)
        server = Recorded(world)
        async with aiohttp.ClientSession() as session:
            reach = LiveReach(cast("Cluster", server), world, session)
            scaled: Subject = subject()
            assert await reach.podmetrics(scaled) is None
            assert (reach.replicas(scaled), reach.pods(scaled)) == (None, [])
        assert server.queries == [("PodMetrics", "app=isvc.iris-predictor", "models")]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "said"),
    [("/gone", "status 404"), ("/moved", "status 302"), ("/endless", "more than"), ("/cut", "payload|closed|length")],
)
def test_what_is_no_page_of_metrics_is_an_error(path: str, said: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/moved":
            raise web.HTTPFound("/metrics")
        if request.path == "/gone":
            raise web.HTTPNotFound
        response = web.StreamResponse()
        if request.path == "/cut":
            response.content_length = 1000
        await response.prepare(request)
        if request.path == "/cut":
            assert request.transport is not None
            request.transport.close()
            return response
        with contextlib.suppress(ConnectionError):
            for _ in range(9):
                await response.write(b"x" * 2**20)
        return response

    async def run() -> None:
        async with serving(answer) as address, aiohttp.ClientSession() as session:
            with pytest.raises(OSError, match=f"(?i){said}"):
                await page(session, f"{address}{path}")

    asyncio.run(run())


def test_an_address_where_nobody_listens_is_an_error() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    async def run() -> None:
        async with serving(answer) as address:
            pass
        async with aiohttp.ClientSession() as session:
            with pytest.raises(OSError, match="annot connect"):
                await page(session, address)

    asyncio.run(run())
