"""What several workers cost in memory and in time, with models that are loaded once for all and with models in each.

The model is a KNeighborsClassifier that holds MEGABYTES of training data. Memory is the proportional set size (PSS) of
all processes of the server together, after it has answered some requests. Needs Linux.

    python benchmarks/workers.py [MEGABYTES]
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

COLUMNS = 64
REQUESTS = 40
BODY = b'{"instances": [[%s]]}' % b",".join([b"0.5"] * COLUMNS)


def save(path: Path, megabytes: int) -> None:
    """Write a model whose training data has so many megabytes."""
    random = np.random.default_rng(0)
    rows = megabytes * 1024 * 1024 // (8 * COLUMNS)
    x = random.random((rows, COLUMNS))
    joblib.dump(KNeighborsClassifier(algorithm="brute").fit(x, x[:, 0] > 0.5), path)


class Server:
    """A server, and the lines that it writes.

    Args:
        model: what it serves.
        count: how many workers.
        share: ``auto`` or ``off``.
    """

    def __init__(self, model: Path, count: int, share: str) -> None:
        command = [sys.executable, "-m", "fairlead.cli.main", "serve", str(model), "--http-port", "0"]
        command += ["--log-format", "text", "--workers", str(count), "--share-models", share]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.url = re.findall(r"http://\S+:\d+", self.wait("ready on"))[0]

    def wait(self, text: str) -> str:
        """The next line that holds a text."""
        for line in self.process.stderr or ():
            if text in line:
                return line
        raise RuntimeError(f"the server ended before it said {text!r}")

    def processes(self) -> list[int]:
        """The supervisor and all below it."""
        found = [self.process.pid]
        for pid in found:
            found += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found

    def workers(self) -> list[int]:
        """Those that have no children."""
        return [pid for pid in self.processes() if not Path(f"/proc/{pid}/task/{pid}/children").read_text()]

    def memory(self) -> float:
        """Megabytes of memory, each page divided by the number of processes that have it."""
        texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes()]
        return sum(int(re.findall(r"^Pss: +(\d+) kB", text, re.MULTILINE)[0]) for text in texts) / 1024

    def ask(self) -> None:
        """Ask on a new connection."""
        url = f"{self.url}/v1/models/model:predict"
        request = urllib.request.Request(url, BODY, {"content-type": "application/json"})  # noqa: S310  # our own server
        with urllib.request.urlopen(request) as answer:  # noqa: S310  # as above
            answer.read()

    def replacement(self) -> float:
        """Seconds from the death of a worker that had lived for a while until another one is ready."""
        time.sleep(10.5)  # one that dies sooner is replaced after a pause
        began = time.perf_counter()
        os.kill(self.workers()[0], signal.SIGKILL)
        self.wait(") is ready")
        return time.perf_counter() - began


@contextlib.contextmanager
def serving(model: Path, count: int, share: str) -> Iterator[tuple[Server, float]]:
    """A server, and the seconds until it was ready."""
    began = time.perf_counter()
    server = Server(model, count, share)
    ready = time.perf_counter() - began
    try:
        yield server, ready
    finally:
        server.process.terminate()
        server.process.communicate()


def main() -> None:
    """Measure and print."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print("workers  models    memory      ready in  replaced in")  # noqa: T201  # what this script is for
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.joblib")
        save(model, megabytes)
        for count in (2, 3, 4):
            for share in ("off", "auto"):
                with serving(model, count, share) as (server, ready):
                    for _ in range(REQUESTS):
                        server.ask()
                    memory, replaced = server.memory(), server.replacement()
                shown = "in each" if share == "off" else "once"
                print(f"{count:7}  {shown:8}{memory:5.0f} MB  {ready:8.2f} s  {replaced:9.2f} s")  # noqa: T201  # as above


if __name__ == "__main__":
    main()
