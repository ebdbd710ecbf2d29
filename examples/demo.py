"""Train a small model, serve it with Fairlead, and ask it over V1 and V2: what `make demo` runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import joblib
from sklearn.datasets import load_iris
from sklearn.svm import SVC

TWO_FLOWERS = [[6.8, 2.8, 4.8, 1.4], [5.1, 3.5, 1.4, 0.2]]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "iris.joblib"
        flowers = load_iris()
        joblib.dump(SVC(gamma="scale").fit(flowers.data, flowers.target), model)
        print(f"Trained an SVC on {len(flowers.data)} iris flowers, saved to {model.name}.\n")
        command = [sys.executable, "-m", "fairlead.cli.main", "serve", str(model), "--http-port", "0"]
        print("$ fairlead serve iris.joblib")
        with subprocess.Popen([*command, "--log-format", "text"], stderr=subprocess.PIPE, text=True) as server:
            try:
                ask(address_of(server))
            finally:
                server.terminate()
                print("\n$ kill %1")
                print("".join(f"  {line}" for line in server.stderr or ()), end="")


def address_of(server: subprocess.Popen[str]) -> str:
    """Echo the server's log until it says where it is ready."""
    for line in server.stderr or ():
        print(f"  {line}", end="")
        if ready := re.search(r"ready on (\S+):", line):
            return ready[1]
    sys.exit("The server did not become ready.")


def ask(url: str) -> None:
    show(url, "GET", "/v2/models/iris")
    show(url, "POST", "/v1/models/iris:predict", {"instances": TWO_FLOWERS})
    flat = [value for flower in TWO_FLOWERS for value in flower]
    tensor = {"name": "input-0", "shape": [2, 4], "datatype": "FP32", "data": flat}
    show(url, "POST", "/v2/models/iris/infer", {"id": "demo", "inputs": [tensor]})


def show(url: str, method: str, path: str, body: Any = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = response.read().decode()
    print(f"\n{method} {path}" + ("" if body is None else f"\n  > {json.dumps(body)}"))
    print(f"  < {answer}")


if __name__ == "__main__":
    main()
