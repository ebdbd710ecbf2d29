"""What InferenceServices cost the operator: to come, to be there, and to change.

Run it with ``.venv/bin/python benchmarks/operator_scale.py [SERVICES]``. It needs Linux. An API server in memory runs
in a process of its own; with ``KUBECONFIG`` it is the one of that cluster, which needs the kinds of
``operator/manifests`` and no other operator. There, the services are made in a namespace that is deleted afterwards.

- **At once**: all services are made as fast as the API server takes them, until each has its Deployment, its Ingress
  and a status. The CPU time and the memory are those of the operator alone.
- **At rest**: what is written while nothing changes: every object of the namespace has the version that it had.
- **Changes**: from the answer to a changed spec to the Deployment that has it, one after the other.
- **A start**: what an operator writes and uses that starts where everything is there.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from fairlead.api import crds
from fairlead_apiserver import ApiServer, Cluster
from fairlead_apiserver.cluster import Refused

_OPERATOR: Final = (sys.executable, "-m", "fairlead_operator.cli", "run", "--no-lease", "--no-webhooks")
_FLAGS: Final = ("--metrics-port", "0", "--health-port", "0", "--log-format", "plain")
_HOME: Final = "fairlead"
_SERVING: Final = "serving.kserve.io/v1beta1"
_RUNTIME: Final = "benchmark-sklearn"
_PATIENCE: Final = 900.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KINDS: Final = (
    (_SERVING, "InferenceService"),
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io/v1", "Ingress"),
    ("v1", "Event"),
)
_Result = TypeVar("_Result")


def runtime() -> dict[str, Any]:
    """The runtime of all services."""
    container = {"name": "kserve-container", "image": "example/sklearn:1", "args": ["--model-dir=/mnt/models"]}
    formats = [{"name": "sklearn", "version": "1", "autoSelect": True, "priority": 1}]
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": _RUNTIME},
        "spec": {"supportedModelFormats": formats, "protocolVersions": ["v1"], "containers": [container]},
    }


def service(name: str, namespace: str) -> dict[str, Any]:
    """An InferenceService that comes to a Deployment, a Service, an autoscaler and an Ingress."""
    model = {"modelFormat": {"name": "sklearn"}, "runtime": _RUNTIME, "storageUri": "s3://bucket/model"}
    return {
        "apiVersion": _SERVING,
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"predictor": {"model": model, "minReplicas": 1, "maxReplicas": 3}},
    }


# -- processes ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """The cluster of ``KUBECONFIG``, or a server in memory in a process of its own."""
    if os.environ.get("KUBECONFIG"):
        yield Cluster(Path(os.environ["KUBECONFIG"]), real=True, patience=_PATIENCE)
        return
    file = folder / "kubeconfig"
    with subprocess.Popen([sys.executable, __file__, "--serve", str(file)], stdin=subprocess.PIPE) as server:
        try:
            until(lambda: file.exists() or server.poll() is not None)
            found = Cluster(file, patience=_PATIENCE)
            for each in crds.definitions():
                found.install(each)
            yield found
        finally:
            server.communicate()


def serve(file: Path) -> None:
    """Be the server in memory, until standard input ends."""
    with ApiServer() as server:
        server.kubeconfig(file.with_suffix(".new")).replace(file)
        sys.stdin.read()


@contextlib.contextmanager
def operator(found: Cluster, log: Path) -> Iterator[int]:
    """Run an operator; its process."""
    environ = {**os.environ, "KUBECONFIG": str(found.kubeconfig), "POD_NAMESPACE": _HOME}
    with (
        log.open("wb") as output,
        subprocess.Popen([*_OPERATOR, *_FLAGS], stdout=output, stderr=output, env=environ) as process,
    ):
        try:
            yield process.pid
            if process.poll() is not None:
                sys.exit(f"The operator ended:\n{log.read_text(errors='replace')[-4000:]}")
        finally:
            process.send_signal(signal.SIGTERM)


def memory(pid: int) -> int:
    """KiB of memory that a process has."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def spent(pid: int) -> float:
    """Seconds of CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def settled(pid: int) -> float:
    """Wait until a process has next to nothing to do; how much CPU time it has used until then."""
    while True:
        before = spent(pid)
        time.sleep(2.0)
        after = spent(pid)
        if after - before < 0.1:
            return before


# -- what is measured ---------------------------------------------------------------------------------------------


def at_once(found: Cluster, namespace: str, count: int, pid: int) -> None:
    """Make all services, and wait until there is everything that they come to."""
    settled(pid)
    memory_before, cpu_before, began = memory(pid), spent(pid), time.perf_counter()
    local = threading.local()

    def make(number: int) -> None:
        if not hasattr(local, "cluster"):
            local.cluster = Cluster(found.kubeconfig, real=found.real)
        local.cluster.create(service(f"s{number}", namespace))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(count)))
    made = time.perf_counter() - began
    until(lambda: complete(found, namespace, count), pause=0.5)
    seconds = time.perf_counter() - began
    used = settled(pid) - cpu_before
    grown = memory(pid) - memory_before
    say(f"{count} services at once, made within {made:.0f} s")
    say(f"  {count / seconds:.1f} a second, {count / used:.1f} for each second of CPU time")
    say(f"  {grown / count:.0f} KiB of memory each, beside {memory_before / 1024:.0f} MiB without any")


def complete(found: Cluster, namespace: str, count: int) -> bool:
    """Whether each service has its last object and a status."""
    return len(found.list("networking.k8s.io/v1", "Ingress", namespace)) == count and all(
        "status" in each for each in found.list(_SERVING, "InferenceService", namespace)
    )


def at_rest(found: Cluster, namespace: str, pid: int, seconds: float) -> None:
    """What is written while nothing changes."""
    before, used = versions(found, namespace), spent(pid)
    time.sleep(seconds)
    used = spent(pid) - used
    after = versions(found, namespace)
    changed = {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}
    say(f"At rest for {seconds:.0f} s: {len(changed)} of {len(after)} objects written, {used:.2f} s of CPU time")


def versions(found: Cluster, namespace: str) -> dict[str, str]:
    """The version of each object of the namespace, by its identity."""
    objects = (each for kind in _KINDS for each in found.list(*kind, namespace))
    return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in objects}


def changes(found: Cluster, namespace: str, count: int, rounds: int) -> None:
    """From a changed spec to the Deployment that has it."""
    took = []
    for number in range(rounds):
        name, argument = f"s{random.randrange(count)}", f"--round={number}"  # noqa: S311  # any of them
        patch = {"spec": {"predictor": {"model": {"args": [argument]}}}}
        found.patch(_SERVING, "InferenceService", name, patch, namespace)
        began = time.perf_counter()
        until(functools.partial(has_argument, found, namespace, name, argument), pause=0.005)
        took.append(time.perf_counter() - began)
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    say(f"A changed spec to the applied Deployment, {rounds} rounds")
    say(f"  p50 {p50:.3f} s, p95 {p95:.3f} s, at most {max(took):.3f} s")


def has_argument(found: Cluster, namespace: str, name: str, argument: str) -> bool:
    """Whether the pods of a service are to have an argument."""
    deployment = found.read("apps/v1", "Deployment", f"{name}-predictor", namespace)
    return argument in deployment["spec"]["template"]["spec"]["containers"][0]["args"]


def start(found: Cluster, namespace: str, log: Path) -> None:
    """What an operator does that starts where everything is there."""
    before = versions(found, namespace)
    with operator(found, log) as pid:
        time.sleep(2.0)
        used = settled(pid)
        size = memory(pid)
    after = versions(found, namespace)
    changed = {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}
    say(f"A start among them: {len(changed)} objects written, {used:.1f} s of CPU time, {size / 1024:.0f} MiB")


def until(check: Callable[[], _Result], *, pause: float = 0.05) -> _Result:
    """What a call gives once it is true."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := check()):
        if time.monotonic() > deadline:
            sys.exit(f"It did not come true within {_PATIENCE:.0f} s.")
        time.sleep(pause)
    return found


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201  # the figures are what this script is for


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("services", nargs="?", type=int, default=1000, help="how many services (1000)")
    parser.add_argument("--rounds", type=int, default=100, help="changes that are measured (100)")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds at rest (20)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve)
        return
    if sys.platform != "linux":
        sys.exit("It needs Linux: memory and CPU time are read from /proc.")
    with tempfile.TemporaryDirectory(prefix="fairlead-") as name, cluster(Path(name)) as found:
        measure(found, Path(name), arguments)


def measure(found: Cluster, folder: Path, arguments: argparse.Namespace) -> None:
    """Everything, in a namespace of its own."""
    with contextlib.suppress(Refused):
        found.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _HOME}})
    found.apply(copy.deepcopy(runtime()), force=True)
    try:
        with found.namespace("scale") as namespace:
            with operator(found, folder / "operator.log") as pid:
                at_once(found, namespace, arguments.services, pid)
                at_rest(found, namespace, pid, arguments.seconds)
                changes(found, namespace, arguments.services, arguments.rounds)
            start(found, namespace, folder / "start.log")
    finally:
        found.delete("serving.kserve.io/v1alpha1", "ClusterServingRuntime", _RUNTIME)


if __name__ == "__main__":
    main()
