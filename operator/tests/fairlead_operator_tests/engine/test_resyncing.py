"""Listing everything now and then; what it does in a cluster is told by the tests of a running operator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fairlead_operator.cluster.kinds import Kind, Kinds
from fairlead_operator.resyncing import Resync
from fairlead_operator.world import World

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest


class Empty:
    """A cluster without objects."""

    kinds = Kinds()

    async def every(
        self, _kind: Kind, *, labels: str, fields: str, namespace: str | None
    ) -> tuple[list[Manifest], str]:
        return [], "1"


def test_one_that_is_asked_in_the_moment_in_which_it_is_to_end_ends() -> None:
    async def run() -> None:
        world = World("fairlead", lambda _: None)
        resync = Resync(Empty(), world, home="fairlead", namespaces=(), interval=3600)  # type: ignore[arg-type]  # duck-typed here
        running = asyncio.create_task(resync.run())
        await resync.known.wait()
        await asyncio.sleep(0)
        resync.ask()
        running.cancel()
        await asyncio.wait([running], timeout=10)
        assert running.cancelled()

    asyncio.run(run())
