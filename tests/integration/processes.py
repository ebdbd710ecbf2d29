"""A `fairlead serve` process for tests: the real command, a port that the system chooses, and an orderly end."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

__all__ = ["ServerProcess", "served"]

PATIENCE = 60.0


@dataclasses.dataclass
class ServerProcess:
    """A server in a process of its own.

    Attributes:
        process: the process.
        url: its base URL.
        client: a client with that base URL.
        lines: what it has logged so far.
    """

    process: subprocess.Popen[str]
    url: str
    client: httpx.Client
    lines: list[str]

    @property
    def grpc_address(self) -> str:
        """Where it listens for gRPC."""
        found = re.search(r"gRPC on ([\w.:\[\]]+)", "".join(self.lines))
        assert found is not None, self.lines
        return found[1]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def memory(self) -> int:
        """Bytes of its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the process to end; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def logged(self) -> list[dict[str, object]]:
        """Its log lines as objects; only with ``--log-format json``."""
        return [json.loads(line) for line in self.lines]


@contextlib.contextmanager
def served(
    model: Path | str | None,
    arguments: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> Iterator[ServerProcess]:
    """Run ``fairlead serve`` until the block ends, and wait until it is ready.

    Args:
        model: what to serve; None when the arguments say it.
        arguments: further arguments.
        environ: variables on top of this process's environment.
        python: the interpreter to run it with.
    """
    command = [python, "-m", "fairlead.cli.main", "serve", "--http-port", "0", "--grpc-port", "0", *arguments]
    command += [] if model is None else [str(model)]
    env = {**os.environ, **(environ or {})}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=env)
    lines: list[str] = []
    ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process, lines, ready), daemon=True)
    reader.start()
    try:
        url = ready.get(timeout=PATIENCE)
        if url is None:
            raise RuntimeError("the server ended before it was ready:\n" + "".join(lines))
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            yield ServerProcess(process, url, client, lines)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()


def _read(process: subprocess.Popen[str], lines: list[str], ready: queue.SimpleQueue[str | None]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"ready on (http://[^\s:]+:\d+)", line):
            ready.put(found[1])
    ready.put(None)
