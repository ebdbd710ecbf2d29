"""What models cost that are known, and what models cost that are loaded.

A folder of MODELS copies of one small scikit-learn model is served with ``--load-on-demand``; then some of them are
asked once.

    python benchmarks/many_models.py [MODELS]
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import joblib
from sklearn.datasets import load_iris
from sklearn.svm import SVC

BODY = {"instances": [[6.8, 2.8, 4.8, 1.4]]}


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """A server, its address, and the seconds from its start to the line that says it is ready."""
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", str(folder), "--load-on-demand", "true"]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--http-port", "0", "--log-format", "text", "--log-level", "info"],
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            for line in server.stderr or ():
                if found := re.search(r"ready on (http://[^\s:]+:\d+)", line):
                    break
            else:
                raise RuntimeError("the server did not become ready")
            seconds = time.perf_counter() - began
            # A log that nobody reads would stop the server when the pipe is full.
            reader = threading.Thread(target=lambda: list(server.stderr or ()))
            reader.start()
            yield server, found[1], seconds
        finally:
            server.terminate()
        reader.join()


def resident(server: subprocess.Popen[str]) -> float:
    """MiB of resident memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def measure(models: Path, total: int) -> None:
    """Serve a folder of so many models, and print what some loaded ones cost."""
    folder = models / str(total)
    folder.mkdir()
    for number in range(total):
        (folder / f"m{number:04}").mkdir()
        (folder / f"m{number:04}" / "iris.joblib").hardlink_to(models / "iris.joblib")
    with served(folder) as (server, url, seconds), httpx.Client(base_url=url, timeout=60) as client:
        asked = 0
        for count in (0, 1, 10, 100):
            if count > total:
                break
            began = time.perf_counter()
            for number in range(asked, count):
                client.post(f"/v1/models/m{number:04}:predict", json=BODY).raise_for_status()
            each = (time.perf_counter() - began) / (count - asked) * 1000 if count else 0.0
            asked = count
            memory = resident(server)
            index, scrape = (timed(client, *each) for each in (("POST", "/v2/repository/index"), ("GET", "/metrics")))
            print(  # noqa: T201  # what this script is for
                f"{total:8}{count:8}{seconds * 1000:10.0f}{memory:10.1f}{each:12.1f}{index:10.1f}{scrape:10.1f}"
            )


def timed(client: httpx.Client, method: str, path: str) -> float:
    """Milliseconds of the quickest of three requests."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        client.request(method, path).raise_for_status()
        took.append(time.perf_counter() - began)
    return min(took) * 1000


def main() -> None:
    """Measure and print."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    flowers, kinds = load_iris(return_X_y=True)
    header = ("known", 8), ("loaded", 8), ("start ms", 10), ("MiB", 10), ("ms a load", 12), ("index ms", 10)
    print("".join(f"{title:>{width}}" for title, width in (*header, ("scrape ms", 10))))  # noqa: T201  # as above
    with tempfile.TemporaryDirectory() as name:
        joblib.dump(SVC().fit(flowers, kinds), Path(name, "iris.joblib"))
        for total in dict.fromkeys((1, 100, most)):
            measure(Path(name), total)


if __name__ == "__main__":
    main()
