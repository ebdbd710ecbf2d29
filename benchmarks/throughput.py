"""What the server adds to a request, against the same work written by hand on uvicorn, in alternating rounds.

Both servers double a list of numbers that came as V1 JSON: one is ``fairlead serve`` with the model of
``examples/custom_model/doubler.py``, the other an ASGI function that knows nothing else. The client shares the machine
with them, so the ratios are what to look at.

    python benchmarks/throughput.py [ROUNDS] [SECONDS]
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MODEL = Path(__file__).resolve().parents[1] / "examples" / "custom_model" / "doubler.py"
BY_HAND = """
import sys
import numpy as np, orjson, uvicorn

async def app(scope, receive, send):
    message = await receive()
    numbers = np.array(orjson.loads(message["body"])["instances"])
    body = orjson.dumps({"predictions": numbers * 2}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="critical", access_log=False)
"""
BODY = b'{"instances":[[1.0,2.0],[3.0,4.0]]}'
REQUEST = (
    b"POST /v1/models/doubler:predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
CONNECTIONS = (1, 16)


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """A server process, once it answers."""
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not asyncio.run(_answers(port)):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[:2]} does not answer")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def _answers(port: int) -> bool:
    try:
        return len(await asked(port, 0)) == 1
    except (OSError, RuntimeError):
        return False


async def asked(port: int, seconds: float) -> list[float]:
    """The seconds of each request on one connection, one after another; one request at least."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    end = time.perf_counter() + seconds
    try:
        while not times or time.perf_counter() < end:
            began = time.perf_counter()
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            await reader.readexactly(int(length))
            times.append(time.perf_counter() - began)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return times


async def load(port: int, connections: int, seconds: float) -> tuple[float, float]:
    """Requests per second, and the median latency in microseconds."""
    began = time.perf_counter()
    times = [each for one in await asyncio.gather(*(asked(port, seconds) for _ in range(connections))) for each in one]
    return len(times) / (time.perf_counter() - began), statistics.median(times) * 1e6


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    ports = (free_port(), free_port())
    serve = ["-m", "fairlead.cli.main", "serve", str(MODEL), "--http-port", str(ports[1])]
    with running(["-c", BY_HAND, str(ports[0])], ports[0]) as by_hand, running(serve, ports[1]) as fairlead:
        print(f"{'connections':14}{'server':14}{'requests/s':>12}{'median us':>12}{'x':>8}")  # noqa: T201  # figures
        for connections in CONNECTIONS:
            found: dict[str, list[tuple[float, float]]] = {"by hand": [], "fairlead": []}
            for _ in range(rounds):
                for name, port in (("by hand", by_hand), ("fairlead", fairlead)):
                    found[name].append(asyncio.run(load(port, connections, seconds)))
            base = statistics.median(rate for rate, _ in found["by hand"])
            for name, measured in found.items():
                rate = statistics.median(rate for rate, _ in measured)
                latency = statistics.median(latency for _, latency in measured)
                print(f"{connections:<14}{name:14}{rate:12.0f}{latency:12.0f}{rate / base:8.2f}")  # noqa: T201  # figures


if __name__ == "__main__":
    main()
