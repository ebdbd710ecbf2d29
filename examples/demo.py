"""Run an InferenceService without a cluster, from its first answer to zero and back: what `make demo` runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import tritonclient.grpc as triton
from sklearn.datasets import load_iris
from sklearn.svm import SVC

FAIRLEAD = [sys.executable, "-m", "fairlead.cli.main"]
TWO_FLOWERS = [[6.8, 2.8, 4.8, 1.4], [5.1, 3.5, 1.4, 0.2]]
SERVICE = "/serving/default/iris"
FIRST = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: iris
spec:
  predictor:
    model:
      modelFormat: {name: sklearn}
      storageUri: numbers.joblib
"""
CANARY = FIRST.replace("predictor:\n", "predictor:\n    canaryTrafficPercent: 20\n").replace("numbers", "names")
PROMOTED = CANARY.replace("    canaryTrafficPercent: 20\n", "")
TO_ZERO = PROMOTED.replace("predictor:\n", "predictor:\n    minReplicas: 0\n").replace(
    "name: iris\n",
    "name: iris\n"
    "  annotations:\n"
    "    autoscaling.knative.dev/window: 6s                # by default 60s, as in Knative\n"
    "    kpa.autoscaling/scale-to-zero-grace-period: 6s    # by default 30s\n",
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="fl-") as folder:
        os.chdir(folder)
        Path("run").mkdir(0o700)
        os.environ.update(FAIRLEAD_STATE=f"{folder}/state", XDG_RUNTIME_DIR=f"{folder}/run", FAIRLEAD_HTTP_PORT="0")
        os.environ.update(FAIRLEAD_LOG_FORMAT="text", FAIRLEAD_LOG_LEVEL="info", NO_PROXY="*", no_proxy="*")
        try:
            show()
        finally:
            os.chdir("/")  # a folder that one is in cannot be removed everywhere


def show() -> None:
    flowers = load_iris()
    joblib.dump(SVC().fit(flowers.data, flowers.target), "numbers.joblib")
    joblib.dump(SVC().fit(flowers.data, flowers.target_names[flowers.target]), "names.joblib")
    print("Trained an SVC on 150 iris flowers, twice: one model answers numbers, the other the names of kinds.")

    declare(FIRST, "An InferenceService, as KServe has it")
    with platform() as address:
        fairlead("wait", "iris")
        say("It is asked over V1, V2 and gRPC, all on one port.")
        ask_v1(address)
        ask_v2(address)
        ask_grpc(address)

        declare(CANARY, "The other model, as a canary of 20 %", since=FIRST)
        fairlead("wait", "iris", "--for", "jsonpath={.status.components.predictor.traffic[0].percent}=20")
        fairlead("status")
        count(address)

        declare(PROMOTED, "Without the percentage, the canary is promoted", since=CANARY)
        fairlead("wait", "iris", "--for", "jsonpath={.status.components.predictor.traffic[0].percent}=100")
        count(address)

        declare(TO_ZERO, "With minReplicas: 0, nothing runs while nobody asks", since=PROMOTED)
        fairlead("wait", "iris", "--for", "jsonpath={.status.modelStatus.states.activeModelState}=Standby")
        fairlead("status")
        say("The next request starts a replica, and waits for it.")
        wake(address)

        say("All of it ends with one command.")
        fairlead("down")


# -- the platform -----------------------------------------------------------------------------------------


@contextmanager
def platform() -> Iterator[str]:
    """A platform in the background; gives where it listens, and ends it and all that it started."""
    print("\n$ fairlead up isvc.yaml --watch &")
    command = [*FAIRLEAD, "up", "isvc.yaml", "--watch"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        print(f"  | {first}", end="")
        echo = threading.Thread(target=lambda: [print(f"  | {line}", end="") for line in process.stderr or ()])
        echo.start()
        try:
            if (listening := re.search(r"http://(\S+?);", first)) is None:
                sys.exit("The platform did not start.")
            yield listening[1]
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()
            echo.join()


def fairlead(*arguments: str) -> None:
    print(f"\n$ {shlex.join(['fairlead', *arguments])}", flush=True)
    done = subprocess.run([*FAIRLEAD, *arguments], capture_output=True, text=True, check=False)
    print("".join(f"  {line}\n" for line in (done.stdout + done.stderr).splitlines()), end="", flush=True)
    if done.returncode != 0:
        sys.exit(f"fairlead {arguments[0]} failed.")


def declare(manifest: str, what: str, since: str = "") -> None:
    """Write the manifest, and show it; of one that was there before, what is new."""
    before = since.splitlines()
    print(f"\n# {what}: isvc.yaml")
    for line in manifest.splitlines():
        if not since or line not in before:
            print(f"  {'+ ' if since else ''}{line}")
    for line in before:
        if line not in manifest.splitlines():
            print(f"  - {line}")
    Path("new.yaml").write_text(manifest)
    Path("new.yaml").replace("isvc.yaml")  # in one step, so that half a file is never read


def say(text: str) -> None:
    print(f"\n# {text}", flush=True)


# -- its clients ------------------------------------------------------------------------------------------


def ask_v1(address: str) -> None:
    body = {"instances": TWO_FLOWERS}
    told(f"POST {SERVICE}/v1/models/iris:predict", body, post(address, "/v1/models/iris:predict", body))


def ask_v2(address: str) -> None:
    flat = [value for flower in TWO_FLOWERS for value in flower]
    body = {"id": "demo", "inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP64", "data": flat}]}
    told(f"POST {SERVICE}/v2/models/iris/infer", body, post(address, "/v2/models/iris/infer", body))


def ask_grpc(address: str) -> None:
    """gRPC has no place for a path before its method: the host tells which service is meant."""
    rows = np.array(TWO_FLOWERS)
    flowers = triton.InferInput("input-0", rows.shape, "FP64")
    flowers.set_data_from_numpy(rows)
    host = "iris-default.localhost"
    with triton.InferenceServerClient(address, channel_args=[("grpc.default_authority", host)]) as client:
        answer = client.infer("iris", [flowers], client_timeout=30)
    told(f"gRPC {host} ModelInfer", {"input-0": TWO_FLOWERS}, {"output-0": answer.as_numpy("output-0").tolist()})


def count(address: str) -> None:
    """Ask 100 times, and tell which model answered."""
    answers = (post(address, "/v1/models/iris:predict", {"instances": TWO_FLOWERS[:1]}) for _ in range(100))
    models = Counter("names" if isinstance(each["predictions"][0], str) else "numbers" for each in answers)
    print(
        f"\n100 requests: {', '.join(f'{number} answered by {name}.joblib' for name, number in models.most_common())}"
    )


def wake(address: str) -> None:
    for which in ("first", "second"):
        start = time.perf_counter()
        answer = post(address, "/v1/models/iris:predict", {"instances": TWO_FLOWERS})
        print(f"\nThe {which} answer, after {time.perf_counter() - start:.3f} s:\n  < {json.dumps(answer)}", flush=True)


def post(address: str, path: str, body: Any) -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://{address}{SERVICE}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def told(what: str, question: Any, answer: Any) -> None:
    print(f"\n{what}\n  > {json.dumps(question)}\n  < {json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
