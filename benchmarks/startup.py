"""What it takes to start: importing the package, and a server until its model is ready.

Each figure is the median of RUNS processes.

    python benchmarks/startup.py [RUNS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.svm import SVC

STATEMENTS = ("pass", "import fairlead", "import fairlead.rest.server", "import sklearn.svm")


def importing(statement: str) -> float:
    """Seconds of one Python process that runs a statement."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


def ready(model: Path) -> float:
    """Seconds from the start of a server process to the line that says it is ready."""
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", str(model), "--http-port", "0"]
    began = time.perf_counter()
    with subprocess.Popen([*command, "--log-format", "text"], stderr=subprocess.PIPE, text=True) as server:
        try:
            for line in server.stderr or ():
                if "ready on http" in line:
                    return time.perf_counter() - began
        finally:
            server.terminate()
    raise RuntimeError("the server did not become ready")


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for statement in STATEMENTS:
        shown(f"python -c {statement!r}", [importing(statement) for _ in range(runs)])
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "iris.joblib")
        flowers, kinds = load_iris(return_X_y=True)
        joblib.dump(SVC().fit(flowers, kinds), model)
        shown("fairlead serve iris.joblib, until ready", [ready(model) for _ in range(runs)])


def shown(title: str, seconds: list[float]) -> None:
    """Print one line."""
    print(f"{title:45}{statistics.median(seconds) * 1000:8.0f} ms")  # noqa: T201  # what this script is for


if __name__ == "__main__":
    main()
