"""Watching a process: it ends when it is told to, whatever the process does in that moment."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time

import pytest

from fairlead.local.replicas.commands import Launch
from fairlead.local.replicas.probes import Asked, Probe, TcpSocket
from fairlead.local.replicas.watching import Watch


@pytest.mark.parametrize("turns", range(6))
def test_a_watch_ends_when_it_is_told_to_though_the_process_writes_just_then(turns: int) -> None:
    async def live() -> None:
        failed = asyncio.Event()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            probe = Probe(action=TcpSocket(port=unused.getsockname()[1]))
            launch = Launch(argv=(sys.executable,), env=os.environ, cwd=None)
            watch = Watch(launch, Asked(ready=probe), lambda _ready, _why: failed.set(), time.monotonic)
            watching = asyncio.ensure_future(watch.run())
            await failed.wait()
            watch.nudge()
            for _ in range(turns):
                await asyncio.sleep(0)
            watching.cancel()
            done, _ = await asyncio.wait((watching,), timeout=10)
            assert done == {watching}

    asyncio.run(live())
