"""Closed-loop load: wrk for HTTP, h2load for gRPC, each on one thread, so that the client is not the bottleneck."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from comparison.calls import Call, framed

__all__ = ["TOOLS", "Sample", "missing_tools", "send", "summed_up"]

TOOLS: Final = {"wrk": "apt-get install wrk", "h2load": "apt-get install nghttp2-client"}
"""The load generators, and how Debian and Ubuntu install each."""

_CONNECTIONS: Final = 8
_SCRIPT: Final = """\
local file = io.open({body}, "rb")
wrk.method = "POST"
wrk.path = {path}
wrk.body = file:read("*a")
file:close()
{headers}
done = function(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('\\n{{"requests": %d, "us": %d, "failed": %d, "p50": %d, "p99": %d}}\\n',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """What one run of a load generator found.

    Attributes:
        rate: right answers per second.
        p50: half of the answers took at most this, in milliseconds.
        p99: 99 of 100 did.
        failed: requests without an answer, or with one that is an error.
        others: the share of the server's core that other processes had, from 0 to 1.
    """

    rate: float
    p50: float
    p99: float
    failed: int
    others: float = 0.0


def missing_tools(wanted: Sequence[str]) -> list[str]:
    """The load generators that are wanted and not installed."""
    return [tool for tool in wanted if shutil.which(tool) is None]


def send(call: Call, port: int, concurrency: int, seconds: int, answer: int, folder: Path) -> Sample:
    """Send a call again and again.

    Args:
        call: what to send.
        port: where to.
        concurrency: requests that are in flight at any time.
        seconds: how long.
        answer: the size of the right answer in bytes.
        folder: where to write files.
    """
    if call.is_grpc:
        return _h2load(call, port, concurrency, seconds, answer, folder)
    return _wrk(call, port, concurrency, seconds, folder)


def _wrk(call: Call, port: int, concurrency: int, seconds: int, folder: Path) -> Sample:
    body, script = folder / "body", folder / "script.lua"
    body.write_bytes(call.body)
    headers = "\n".join(f"wrk.headers[{_quoted(name)}] = {_quoted(value)}" for name, value in call.headers.items())
    script.write_text(_SCRIPT.format(body=_quoted(str(body)), path=_quoted(call.path), headers=headers))
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--timeout", "60s", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    found = json.loads(done.stdout.strip().splitlines()[-1])
    right = found["requests"] - found["failed"]
    return Sample(right / (found["us"] / 1e6), found["p50"] / 1e3, found["p99"] / 1e3, found["failed"])


def _quoted(text: str) -> str:
    """A text as Lua has it; ours have no control characters, for which JSON differs."""
    return json.dumps(text)


def _h2load(call: Call, port: int, concurrency: int, seconds: int, answer: int, folder: Path) -> Sample:
    body, log = folder / "message", folder / "log"
    body.write_bytes(framed(call.body))
    log.unlink(missing_ok=True)
    connections = min(concurrency, _CONNECTIONS)
    command = ["h2load", "-t1", f"-c{connections}", f"-m{concurrency // connections}", f"-D{seconds}"]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", str(body), f"--log-file={log}"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{call.path}"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return summed_up(done.stdout, log.read_text(encoding="ascii"), answer, seconds, concurrency)


def summed_up(printed: str, log: str, answer: int, seconds: int, concurrency: int) -> Sample:
    """What h2load printed and logged.

    h2load knows the status of HTTP, which is 200 for errors of gRPC too. These have no message, so that they are
    found by the bytes that are missing.

    Args:
        printed: its output.
        log: its log: a line with the start, the status and the microseconds of each request.
        answer: the size of the right answer in bytes.
        seconds: how long it ran.
        concurrency: requests that were in flight at any time, of which the last have no answer yet.
    """
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", printed)
    data = re.search(r"\((\d+)\) data", printed)
    if counts is None or data is None:
        raise ValueError(f"h2load printed something unknown:\n{printed}")
    succeeded, *failures = map(int, counts.groups())
    without_message = max(0, succeeded - concurrency - int(data[1]) // (answer + 5))
    times = sorted(int(line.split("\t")[2]) for line in log.splitlines()) or [0]
    p50, p99 = (times[min(len(times) - 1, len(times) * percent // 100)] / 1e3 for percent in (50, 99))
    return Sample((succeeded - without_message) / seconds, p50, p99, sum(failures) + without_message)
