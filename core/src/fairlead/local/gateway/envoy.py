"""The gateway at work: Envoy as a child process, told what to route by files, and asked what passes through it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.errors import ConfigurationError, PlatformError
from fairlead.local.gateway import admin, clusters, connections, process
from fairlead.local.gateway.bootstrap import bootstrap
from fairlead.local.gateway.files import Files, replace
from fairlead.local.gateway.rendering import render

if TYPE_CHECKING:
    from fairlead.local.gateway.topology import Address, Topology

__all__ = ["Gateway", "Measured"]

_START_SECONDS: Final = 60.0
_KILL_SECONDS: Final = 2.0
_PAUSE: Final = 0.02

_COUNTED: Final = r"^cluster\..*/(rest|grpc)(/held)?\.upstream_rq_(active|pending_active|total|timeout)$"
_FIELD: Final = re.compile(r"cluster\.(.*)\.upstream_rq_(active|pending_active|total|timeout)")
_PLACES: Final = {"total": 1, "timeout": 2}


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """What passes through the gateway to a backend, over all protocols.

    Attributes:
        active: requests that were sent to its replicas, or wait for a connection to one, and are not answered.
        total: requests sent to its replicas since Envoy was started, copies and repetitions included.
        timed_out: those of them that were given up because no answer came in time.
    """

    active: int = 0
    total: int = 0
    timed_out: int = 0


class Gateway:
    """Runs Envoy, and has it route what it is told to.

    Its methods are called in the event loop that `start` ran in.

    Args:
        folder: a folder of its own, by an absolute path, for its files and its log.
        host: the IP address that it listens at.
        port: its port; 0 for a free one, see `port`.
        activator: the unix socket of the activator.
        access_log: the file that gets a line of JSON for each request, ``/dev/stdout`` included; None for none.
        concurrency: threads that requests are handled in.
        on_exit: told the exit code when Envoy ends and nobody stopped it; negative for the number of a signal. `start`
            starts it again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str,
        port: int,
        activator: Path,
        access_log: Path | None = None,
        concurrency: int = 1,
        on_exit: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._discovery = folder / "discovery"
        self._admin = folder / "envoy.sock"
        self._host, self._port = host, port
        self._activator = activator
        self._access_log = access_log
        self._concurrency = concurrency
        self._on_exit = on_exit
        self._process: Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._applying = asyncio.Lock()
        self._files = Files(self._discovery, socket=self._admin, log=self.log)

    @property
    def admin(self) -> Path:
        """The unix socket on which Envoy is asked how it is."""
        return self._admin

    @property
    def pid(self) -> int | None:
        """The process id of Envoy; None while it does not run."""
        return None if self._process is None else self._process.pid

    @property
    def port(self) -> int:
        """The port that it listens on; known once it was started, where a free one was asked for."""
        return self._port

    @property
    def log(self) -> Path:
        """Where Envoy writes what goes wrong."""
        return self._folder / "envoy.log"

    async def start(self) -> None:
        """Start Envoy and wait until it takes requests; after it has ended, with what was last applied.

        Raises:
            ConfigurationError: the port is in use, Envoy is not installed, or the path of the folder is too long.
            PlatformError: it does not start.
            RuntimeError: it runs already.
        """
        if self._process is not None:
            raise RuntimeError("the gateway runs already")
        program = process.executable()
        for path in (self._admin, self._activator):
            _check_length(path)
        self._port = process.free_port(self._host, self._port)
        try:
            settings = await asyncio.to_thread(self._prepare)
            command = [program, "-c", str(settings), "--concurrency", str(self._concurrency), *_ARGUMENTS]
            stdout = self._access_log == process.STDOUT
            self._process = started = await process.launch(command, self.log, stdout=stdout)
        except OSError as error:
            raise PlatformError(f"The gateway cannot be started in {self._folder}: {error}.") from error
        try:
            await self._live(started)
        except BaseException:
            self._process = None
            await _end(started, 0.0)
            raise
        self._watcher = asyncio.create_task(self._watch(started))

    async def apply(self, topology: Topology) -> tuple[str, ...]:
        """Route these from now on. No request is lost by it: what goes is taken away after nothing leads there.

        Args:
            topology: everything that is to be routed.

        Returns:
            Hosts and paths that more than one route claims, one sentence each; the first route has them.

        Raises:
            PlatformError: Envoy does not run, does not answer or does not take it; what it routes is then what it
                routed before, or a part of both.
            ValueError: a split names a backend that there is not, or one name is there twice.
        """
        if self._process is None:
            raise PlatformError("The gateway does not run, and routes nothing.")
        async with self._applying:
            wanted = await asyncio.to_thread(render, topology, folder=self._discovery)
            await self._files.apply(wanted)
            return wanted.conflicts

    async def measure(self) -> dict[str, Measured]:
        """What passes through, by the name of the backend; without those that nothing was ever sent to.

        Counts begin anew with each start of Envoy.

        Raises:
            PlatformError: Envoy does not answer.
        """
        counts: dict[str, list[int]] = {}
        for name, value in (await admin.statistics(self._admin, _COUNTED, used=True)).items():
            found = _FIELD.fullmatch(name)
            backend = None if found is None else clusters.backend_of(found[1])
            if found is not None and backend is not None:
                counts.setdefault(backend, [0, 0, 0])[_PLACES.get(found[2], 0)] += int(value)
        return {backend: Measured(*each) for backend, each in counts.items()}

    async def active(self, backend: str, address: Address) -> int:
        """Requests in flight to one replica.

        Of a replica that nothing leads to any more, the connections to it count, on Linux: they are closed with the
        last answer.

        Args:
            backend: the backend that it is a replica of.
            address: where it listens.

        Raises:
            PlatformError: Envoy does not answer.
        """
        page = await admin.ask(self._admin, "/clusters")
        count = 0
        listed = False
        for protocol in clusters.Protocol:
            for name in (clusters.name_of(backend, protocol), clusters.held(backend, protocol)):
                found = re.search(f"^{re.escape(f'{name}::{address}::rq_active::')}([0-9]+)$", page, re.MULTILINE)
                listed = listed or (found is not None and not name.endswith(clusters.HELD))
                count += int(found[1]) if found is not None else 0
        pid = self.pid
        return (
            count if listed or pid is None else max(count, await asyncio.to_thread(connections.open_to, address, pid))
        )

    async def stop(self, grace: float) -> None:
        """Take no more connections, wait for the answers to what is in flight, and end; nothing when it is not up.

        Args:
            grace: seconds that answers have.
        """
        if self._process is None:
            return
        ending, self._process = self._process, None
        if self._watcher is not None:
            self._watcher.cancel()
        with contextlib.suppress(PlatformError, TimeoutError):
            async with asyncio.timeout(grace):
                await admin.ask(self._admin, "/drain_listeners", method="POST")
                while await self._in_flight():  # noqa: ASYNC110  # another process counts
                    await asyncio.sleep(_PAUSE)
        await _end(ending, _KILL_SECONDS)
        self._admin.unlink(missing_ok=True)

    async def _in_flight(self) -> bool:
        counts = await admin.statistics(self._admin, _IN_FLIGHT)
        return any(int(each) for each in counts.values())

    # -- its process --------------------------------------------------------------------------------------

    def _prepare(self) -> Path:
        """Write the files that Envoy starts with; where the first of them is."""
        self._files.prepare()
        self._admin.unlink(missing_ok=True)
        settings = self._folder / "envoy.json"
        text = bootstrap(
            admin=self._admin,
            activator=self._activator,
            discovery=self._discovery,
            host=self._host,
            port=self._port,
            access_log=self._access_log,
        )
        replace(settings, text)
        return settings

    async def _live(self, started: Process) -> None:
        """Wait until Envoy takes requests."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_SECONDS
        while loop.time() < deadline:
            if started.returncode is not None:
                raise PlatformError(
                    f"The gateway ended with code {started.returncode}. The end of {self.log}: {self._last_words()}"
                )
            with contextlib.suppress(PlatformError):
                await admin.ask(self._admin, "/ready", seconds=1.0)
                return
            await asyncio.sleep(_PAUSE)
        raise PlatformError(f"The gateway does not start. The end of {self.log}: {self._last_words()}")

    async def _watch(self, watched: Process) -> None:
        code = await watched.wait()
        if self._process is watched:
            self._process = None
            self._on_exit(code)

    def _last_words(self) -> str:
        return process.last_words(self.log) or "(nothing)"


_ARGUMENTS: Final = ("--disable-hot-restart", "--log-level", "warning", "--drain-strategy", "immediate")
_IN_FLIGHT: Final = r"^http[.]gateway[.]downstream_rq_active$"


def _check_length(path: Path) -> None:
    if (size := len(os.fsencode(path))) > process.LONGEST_SOCKET:
        raise ConfigurationError(
            f"{path} cannot be a unix socket: its path has {size} bytes, and may have {process.LONGEST_SOCKET}.",
            remedy="Use a folder with a shorter path.",
        )


async def _end(ending: Process, patience: float) -> None:
    """End a process: SIGTERM first, and SIGKILL when it has not ended in time."""
    with contextlib.suppress(ProcessLookupError):
        if patience > 0:
            ending.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await ending.wait()
        if ending.returncode is None:
            ending.kill()
    await ending.wait()
