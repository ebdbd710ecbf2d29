"""Open-loop load: requests are sent when they are due, whether or not earlier ones have been answered.

Arrivals are a Poisson process with a fixed seed. Every request has a keep-alive connection to itself while it is in
flight; a new one is opened when none is free. Latency counts from the moment that a request was due. A request that
is not answered within the patience is given up, and its connection closed, as clients do. Every arrival ends in
exactly one outcome: a status, ``timeout``, ``reset``, ``refused`` (no connection was made), or ``unsent`` (all
connections that this client may open were in use).

    python -m comparison.openloop '{"port": 8080, "path": "/", "headers": {}, "body": "", "rate": 100, ...}'
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import json
import random
import sys
from typing import Any, cast

import httptools
import uvloop

__all__ = ["Plan"]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to send.

    Attributes:
        port: where to, on this machine.
        path: the path.
        headers: the headers.
        body: the body, which is text.
        rate: arrivals per second, on average.
        seconds: how long they arrive.
        patience: seconds after which a client gives up.
        connections: the most connections that are open at a time.
    """

    port: int
    path: str
    headers: dict[str, str]
    body: str
    rate: float
    seconds: float
    patience: float
    connections: int

    def request(self) -> bytes:
        """The bytes of one request."""
        body = self.body.encode()
        headers = {"host": "127.0.0.1", **self.headers, "content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Connection(asyncio.Protocol):
    """A connection with at most one request in flight."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.due: float | None = None
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._client.open += 1

    def send(self, due: float) -> None:
        """Send the request that was due at this moment."""
        self._parser = httptools.HttpResponseParser(self)
        self.due = due
        self.timer = asyncio.get_running_loop().call_at(due + self._client.plan.patience, self._give_up)
        self.transport.write(self._client.request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        stays = self._parser.should_keep_alive()
        self._finish(str(self._parser.get_status_code()))
        if stays:
            self._client.idle.append(self)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._client.open -= 1
        if self in self._client.idle:
            self._client.idle.remove(self)
        self._finish("reset")

    def _give_up(self) -> None:
        self._finish("timeout")
        self.transport.abort()

    def _finish(self, outcome: str) -> None:
        if self.due is None:
            return
        self._client.count(outcome, self.due)
        self.due = None
        if self.timer is not None:
            self.timer.cancel()


class Client:
    """All connections, and what became of the requests."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.request = plan.request()
        self.idle: collections.deque[Connection] = collections.deque()
        self.open = 0
        self.latencies: dict[str, list[float]] = collections.defaultdict(list)
        self.late: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._left = 0
        self._sent = False
        self._over = asyncio.Event()

    async def run(self) -> dict[str, Any]:
        """Send everything, and wait for what becomes of it."""
        random.seed(0)
        begin = due = self._loop.time()
        while (due := due + random.expovariate(self.plan.rate)) < begin + self.plan.seconds:
            if (wait := due - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            self._left += 1
            self.late.append(max(0.0, self._loop.time() - due))
            self._arrive(due)
        self._sent = True
        if self._left:
            await self._over.wait()
        return {
            "seconds": self.plan.seconds,
            "late_p99_ms": _percentile(self.late, 99),
            "outcomes": {
                outcome: {"count": len(times), "p50_ms": _percentile(times, 50), "p99_ms": _percentile(times, 99)}
                for outcome, times in sorted(self.latencies.items())
            },
        }

    def _arrive(self, due: float) -> None:
        if self.idle:
            self.idle.pop().send(due)
        elif self.open + len(self._opening) < self.plan.connections:
            task = self._loop.create_task(self._connect(due))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self.count("unsent", due)

    async def _connect(self, due: float) -> None:
        try:
            async with asyncio.timeout_at(due + self.plan.patience):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self), "127.0.0.1", self.plan.port
                )
        except OSError:  # the timeout's TimeoutError is one
            self.count("refused", due)
        else:
            connection.send(due)

    def count(self, outcome: str, due: float) -> None:
        """Note what became of a request."""
        self.latencies[outcome].append(self._loop.time() - due)
        self._left -= 1
        if self._sent and not self._left:
            self._over.set()


def _percentile(times: list[float], percent: int) -> float:
    ordered = sorted(times) or [0.0]
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1e3


async def _main() -> None:
    print(json.dumps(await Client(Plan(**json.loads(sys.argv[1]))).run()))  # noqa: T201  # its answer


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
