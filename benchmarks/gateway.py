"""What the gateway costs: time added to a request, requests a second on one core, memory, and the time of a change.

Run it with ``.venv/bin/python benchmarks/gateway.py``. It needs Linux, two cores and h2load (Debian:
``nghttp2-client``).

The server behind the gateway is a second Envoy that answers by itself, so that next to nothing of the time is its own.
The gateway has the first core, and the load and the server have the others. Both ways, direct and through the gateway,
are measured in turns in one run; what counts is the difference and the ratio between them, because the figures
themselves depend on the machine and on what else it does. The activator is not asked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairlead.local.gateway import process
from fairlead.local.gateway.envoy import Gateway
from fairlead.local.gateway.topology import Address, Backend, Route, Split, Topology

_HOST = "127.0.0.1"
_BODY = json.dumps({"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]})
_CONNECTIONS = 10


def services(count: int, *, behind: bool, one: int | None = None) -> Topology:
    """Services as the platform routes them: two hosts and a path each, REST and gRPC.

    Args:
        count: how many there are.
        behind: whether they are at zero replicas, behind the activator.
        one: the port of the server that one more service has, if any.
    """
    routes: list[Route] = []
    backends: list[Backend] = []
    for number in range(count):
        name = f"default/model-{number}-predictor-00001"
        split = Split(weights=((name, 100),))
        routes.append(Route(hosts=(f"model-{number}.test",), path=f"/serving/default/model-{number}", entry=split))
        routes.append(Route(hosts=(f"model-{number}-predictor.test",), path=None, entry=split))
        here = () if behind else (Address("127.0.0.1", 9),)
        backends.append(Backend(name=name, rest=here, grpc=here, through_activator=behind))
    if one is not None:
        split = Split(weights=(("default/one", 100),))
        routes.append(Route(hosts=(_HOST,), path="/serving/default/one", entry=split))
        backends.append(Backend(name="default/one", rest=(Address("127.0.0.1", one),)))
    return Topology(routes=tuple(routes), backends=tuple(backends))


@contextlib.contextmanager
def server(folder: Path, cores: set[int]) -> Iterator[int]:
    """An Envoy that answers every request with a short body; its port."""
    port = process.free_port("127.0.0.1", 0)
    manager: dict[str, Any] = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager"
        ".v3.HttpConnectionManager",
        "stat_prefix": "server",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200, "body": {"inline_string": '{"predictions":[1,1]}'}},
                        }
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    settings = folder / "server.json"
    settings.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    command = [process.executable(), "-c", str(settings), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    with subprocess.Popen(command) as running:
        os.sched_setaffinity(running.pid, cores)
        try:
            deadline = time.monotonic() + 20
            while not _listens(port):
                if time.monotonic() > deadline:
                    sys.exit("The server behind the gateway does not start.")
                time.sleep(0.05)
            yield port
        finally:
            running.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def h2load(port: int, folder: Path, cores: set[int], *arguments: str) -> str:
    """Ask for the one service; what h2load says."""
    body = folder / "body.json"
    body.write_text(_BODY)
    url = f"http://127.0.0.1:{port}/v1/models/one:predict"
    headers = ["-H", "content-type: application/json"]
    done = subprocess.run(
        ["h2load", "--h1", "-c", str(_CONNECTIONS), "-d", str(body), *headers, *arguments, url],  # noqa: S607  # wherever it is
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),  # this program has one thread then
    )
    succeeded = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
    if succeeded is None or succeeded[2] != "0" or succeeded[3] != "0":
        sys.exit(f"Some requests failed:\n{done.stdout}")
    return done.stdout


def latencies(port: int, folder: Path, cores: set[int], rate: int, seconds: float) -> list[float]:
    """Milliseconds that each request took at a constant rate."""
    log = folder / "requests.log"
    log.unlink(missing_ok=True)
    # The connections begin one after the other, so that their requests do not come all at once.
    spread = ["--rate", "1", "--rate-period", f"{max(1, 1000 // rate)}ms"]
    pace = ["--rps", str(rate // _CONNECTIONS), "-n", str(int(rate * seconds)), "--log-file", str(log), *spread]
    h2load(port, folder, cores, *pace)
    return [int(line.split("\t")[2]) / 1000 for line in log.read_text().splitlines()]


def throughput(port: int, folder: Path, cores: set[int], count: int) -> float:
    """Requests a second when each connection asks again as soon as it is answered."""
    said = h2load(port, folder, cores, "-n", str(count))
    found = re.search(r"([\d.]+) req/s", said)
    if found is None:
        sys.exit(f"h2load says nothing of requests a second:\n{said}")
    return float(found[1])


def memory(pid: int) -> str:
    """Resident memory of a process, and the part of it that is not in files."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kib = {name: int(size) for name, size in re.findall(r"^(Rss|Pss_Anon):\s+(\d+) kB", text, re.MULTILINE)}
    return f"RSS {kib['Rss'] / 1024:.0f} MiB, of it anonymous {kib['Pss_Anon'] / 1024:.0f} MiB"


async def timed(gateway: Gateway, topology: Topology) -> float:
    """Seconds until Envoy works by a topology."""
    before = time.perf_counter()
    await gateway.apply(topology)
    return time.perf_counter() - before


async def loads(gateway: Gateway, port: int, folder: Path, others: set[int], arguments: argparse.Namespace) -> None:
    """Compare asking directly with asking through the gateway."""
    ways = {"direct": port, "gateway": gateway.port}
    for services_beside in (0, arguments.services):
        await gateway.apply(services(services_beside, behind=True, one=port))
        p50: dict[str, list[float]] = {way: [] for way in ways}
        p99: dict[str, list[float]] = {way: [] for way in ways}
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way, at in ways.items():
                taken = await asyncio.to_thread(latencies, at, folder, others, arguments.rate, arguments.seconds)
                cuts = statistics.quantiles(taken, n=100)
                p50[way].append(cuts[49])
                p99[way].append(cuts[98])
                rates[way].append(await asyncio.to_thread(throughput, at, folder, others, arguments.requests))
        say(f"{services_beside} other services; medians of {arguments.rounds} rounds")
        for way in ways:
            half, most, rate = (statistics.median(each[way]) for each in (p50, p99, rates))
            say(f"  {way:8} p50 {half:.3f} ms, p99 {most:.3f} ms at {arguments.rate}/s; at most {rate:,.0f}/s")
        added = statistics.median(p50["gateway"]) - statistics.median(p50["direct"])
        ratio = statistics.median(rates["gateway"]) / statistics.median(rates["direct"])
        say(f"  the gateway adds {added:.3f} ms at p50, and has {ratio:.2f} of the direct rate on one core")


async def changes(gateway: Gateway, count: int) -> None:
    """What many services cost: memory, changes and measurements."""
    pid = gateway.pid
    assert pid is not None
    say(f"no services: {memory(pid)}")
    for behind in (True, False):
        took = await timed(gateway, services(count, behind=behind))
        state = "with a replica each" if not behind else "at zero replicas"
        say(f"{count} services {state}: applied in {took * 1000:.0f} ms; {memory(pid)}")
    took = await timed(gateway, services(count, behind=False, one=9))
    say(f"one service more: {took * 1000:.0f} ms")
    before = time.perf_counter()
    for _ in range(20):
        await gateway.measure()
    say(f"counts of all: {(time.perf_counter() - before) / 20 * 1000:.1f} ms")
    before = time.perf_counter()
    await gateway.active("default/model-0-predictor-00001", Address("127.0.0.1", 9))
    say(f"requests in flight to one replica: {(time.perf_counter() - before) * 1000:.1f} ms")


def pin(pid: int, core: int) -> None:
    """Keep the threads of a process, of which all were started, to a core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201  # the figures are what this script is for


async def run(arguments: argparse.Namespace) -> None:
    """Measure, and print what came out."""
    cores = sorted(os.sched_getaffinity(0))
    others = set(cores[1:])
    with tempfile.TemporaryDirectory(prefix="fairlead-") as name:
        folder = Path(name)
        activator = folder / "activator.sock"
        gateway = Gateway(folder, host="127.0.0.1", port=0, activator=activator, on_exit=_ended)
        await gateway.start()
        try:
            await changes(gateway, arguments.services)
            assert gateway.pid is not None
            pin(gateway.pid, cores[0])
            with server(folder, others) as port:
                await loads(gateway, port, folder, others, arguments)
        finally:
            await gateway.stop(0.0)


def _ended(code: int) -> None:
    sys.exit(f"The gateway ended with code {code}.")


def main() -> None:
    """Read the arguments, and say why nothing can be measured where that is so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000, help="requests a second for the time added (1000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds at that rate, for each round and way (5)")
    parser.add_argument("--requests", type=int, default=60000, help="requests for the highest rate (60000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which medians are printed (3)")
    parser.add_argument("--services", type=int, default=200, help="services beside the one that is asked (200)")
    arguments = parser.parse_args()
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        say("Skipped: it takes Linux and two cores to keep the gateway and the load apart.")
    elif shutil.which("h2load") is None:
        say("Skipped: h2load is not installed (Debian: apt-get install nghttp2-client).")
    else:
        asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
