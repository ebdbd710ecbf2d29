"""What the platform without a cluster costs: to start, to come from zero replicas, and to hold many services.

Run it with ``.venv/bin/python benchmarks/up.py [start] [zero] [many] [herd]``. It needs Linux. The model is a small one
of scikit-learn.

- ``start``: from the start of the process ``fairlead up`` to the first right answer through the gateway, in turns with
  the same of ``fairlead serve``.
- ``zero``: from a request for a service without replicas to its answer, in turns with the start of ``fairlead serve``
  to its first answer. Each round has a service of its own, which was never asked before.
- ``many``: services at zero replicas: the time until all have their routes, the memory and the CPU time of all
  processes of the platform while nothing is asked, and the time from a written file to what comes of it.
- ``herd``: services that each start one replica, as they do where no annotation says otherwise, and let it go when
  nobody asks: how many run at once, and how much memory of the machine that takes.

Both ways of a ratio are measured in one run, since the figures themselves depend on the machine and on what else it
does. The first round is not counted: it brings the files into memory.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import yaml
from sklearn.datasets import load_iris
from sklearn.svm import SVC

from fairlead.local import client
from fairlead.local.folder import Folder

_COMMAND = (sys.executable, "-m", "fairlead.cli.main")
_BODY = json.dumps({"instances": [[6.8, 2.8, 4.8, 1.4]]})
_PATIENCE = 120.0
_PAUSE = 0.005
_LONGEST_HERD = 600.0
_TICKS = os.sysconf("SC_CLK_TCK")
_AT_ZERO = {"autoscaling.knative.dev/initial-scale": "0"}
_STOP = "serving.kserve.io/stop"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a platform is: the folder of its manifests, its port, and the environment of its commands."""

    manifests: Path
    port: int
    environ: Mapping[str, str]

    def declare(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest of a service as an editor does."""
        name = manifest["metadata"]["name"]
        temporary = self.manifests / f".{name}"
        temporary.write_text(yaml.safe_dump(manifest))
        temporary.replace(self.manifests / f"{name}.yaml")

    def said(self, command: str, **more: Any) -> Any:
        """What the platform answers to a command."""
        return client.ask(Folder(environ=self.environ), command, **more)

    def status(self, name: str) -> Mapping[str, Any]:
        """The status of a service."""
        view = self.said("view", namespace="default", name=name) or {}
        return dict(view.get("manifest", {}).get("status", {}))

    def stages(self) -> list[str]:
        """What each replica does."""
        return [replica["stage"] for view in self.said("views") for replica in view["replicas"]]

    def routed(self) -> int:
        """How many services have their routes."""
        return sum(has_routes(view["manifest"].get("status", {})) for view in self.said("views"))


def service(name: str, model: Path, annotations: Mapping[str, str] | None = None, **predictor: Any) -> dict[str, Any]:
    """An InferenceService of a scikit-learn model."""
    runs = {"modelFormat": {"name": "sklearn"}, "storageUri": f"file://{model}"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": {**(annotations or {})}},
        "spec": {"predictor": {**predictor, "model": runs}},
    }


def has_routes(status: Mapping[str, Any]) -> bool:
    """Whether requests for a service are taken; it is Ready once it has answered one."""
    found = [each["status"] for each in status.get("conditions", []) if each["type"] == "RoutesReady"]
    return found == ["True"]


# -- processes ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def place(folder: Path) -> Iterator[Place]:
    """A folder for manifests and one for what a platform keeps."""
    manifests, runtime = folder / "manifests", Path(tempfile.mkdtemp(prefix="fl"))
    shutil.rmtree(manifests, ignore_errors=True)
    shutil.rmtree(folder / "state", ignore_errors=True)
    manifests.mkdir(parents=True)
    environ = {**os.environ, "FAIRLEAD_STATE": str(folder / "state"), "XDG_RUNTIME_DIR": str(runtime)}
    try:
        yield Place(manifests, free_port(), environ)
    finally:
        shutil.rmtree(runtime, ignore_errors=True)


@contextlib.contextmanager
def up(where: Place) -> Iterator[int]:
    """Run ``fairlead up``; its process."""
    command = [*_COMMAND, "up", str(where.manifests), "--watch", "--port", str(where.port), "--log-level", "warning"]
    with running(command, where.environ, where.manifests.with_name("up.log")) as pid:
        yield pid


@contextlib.contextmanager
def serve(model: Path, port: int) -> Iterator[int]:
    """Run ``fairlead serve``; its process."""
    command = [*_COMMAND, "serve", str(model), "--http-port", str(port), "--grpc-port", str(free_port())]
    with running(command, os.environ, model.with_name("serve.log")) as pid:
        yield pid


@contextlib.contextmanager
def running(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run a command until the block ends; its process."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environ) as process:
        try:
            yield process.pid
            if process.poll() is not None:
                sys.exit(f"{' '.join(command)} ended:\n{log.read_text(errors='replace')}")
        finally:
            process.send_signal(signal.SIGTERM)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


# -- what is measured ---------------------------------------------------------------------------------------------


def ask(port: int, path: str) -> int:
    """Ask once; the status of the answer, and 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("POST", path, _BODY, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return answer.status
    finally:
        connection.close()


def answered(port: int, path: str, began: float) -> float:
    """Seconds from then on until a request is answered with 200."""
    while ask(port, path) != http.HTTPStatus.OK:
        if time.perf_counter() - began > _PATIENCE:
            sys.exit(f"{path} was not answered within {_PATIENCE:g} s.")
        time.sleep(_PAUSE)
    return time.perf_counter() - began


def until(done: Any, what: str) -> float:
    """Seconds until something is true."""
    began = time.perf_counter()
    while not done():
        if time.perf_counter() - began > _PATIENCE:
            sys.exit(f"{what}: not within {_PATIENCE:g} s.")
        time.sleep(_PAUSE)
    return time.perf_counter() - began


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def memory(pid: int) -> float:
    """MiB of a process, pages that it shares with others counted in part."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def spent(pid: int) -> float:
    """Seconds of CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def name_of(pid: int) -> str:
    """What a process of a platform is."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return {"up": "fairlead up", "fairlead.local.activator": "activator"}.get(words[3], Path(words[0]).name)


# -- the parts ----------------------------------------------------------------------------------------------------


def served(model: Path) -> float:
    """Seconds from the start of ``fairlead serve`` to its first answer."""
    port, began = free_port(), time.perf_counter()
    with serve(model, port):
        return answered(port, f"/v1/models/{model.name}:predict", began)


def start(folder: Path, model: Path, arguments: argparse.Namespace) -> None:
    """From the start of the process to the first answer."""
    bare, platform = [], []
    for _ in range(arguments.rounds + 1):
        bare.append(served(model))
        with place(folder) as where:
            where.declare(service("iris", model))
            began = time.perf_counter()
            with up(where):
                platform.append(answered(where.port, path_of("iris"), began))
    compare("from the start of the process to the first answer", "fairlead up", bare, platform)


def zero(folder: Path, model: Path, arguments: argparse.Namespace) -> None:
    """From a request at zero replicas to its answer."""
    bare, platform = [], []
    with place(folder) as where:
        names = [f"iris-{number}" for number in range(arguments.rounds + 1)]
        for name in names:
            where.declare(service(name, model, _AT_ZERO, minReplicas=0))
        with up(where):
            until(lambda: listens(where) and where.routed() == len(names), "Services at zero have their routes")
            for name in names:
                bare.append(served(model))
                began = time.perf_counter()
                platform.append(answered(where.port, path_of(name), began))
                (where.manifests / f"{name}.yaml").unlink()
                until(lambda name=name: not where.status(name), "A service without a manifest is gone")
    compare("to the first answer, from zero replicas", "fairlead up", bare, platform)


def many(folder: Path, model: Path, arguments: argparse.Namespace) -> None:
    """Many services at zero replicas."""
    count = arguments.services
    with place(folder) as where:
        names = [f"iris-{number}" for number in range(count)]
        for name in names:
            where.declare(service(name, model, _AT_ZERO, minReplicas=0))
        began = time.perf_counter()
        with up(where) as pid:
            until(lambda: listens(where), "The platform answers")
            until(lambda: where.routed() == count, "Services at zero have their routes")
            say(f"{count} services at zero replicas")
            say(f"  all routed {time.perf_counter() - began:.2f} s after the start")
            idle(pid, arguments.seconds)
            changes(where, model, arguments.rounds)


def herd(folder: Path, model: Path, arguments: argparse.Namespace) -> None:
    """Services that all start a replica, and let it go."""
    count = arguments.herd
    with place(folder) as where:
        for number in range(count):
            where.declare(service(f"iris-{number}", model, minReplicas=0))
        began, free = time.perf_counter(), available()
        with up(where):
            until(lambda: listens(where), "The platform answers")
            most, least, ready = 0, free, 0.0
            while time.perf_counter() - began < _LONGEST_HERD:
                stages = where.stages()
                most, least = max(most, len(stages)), min(least, available())
                if not ready and where.routed() == count:
                    ready = time.perf_counter() - began
                elif ready and not stages:
                    break
                time.sleep(1)
            gone = time.perf_counter() - began
    say(f"{count} services that each start one replica")
    say(f"  all have answered after {ready:.0f} s, and all are at zero again after {gone:.0f} s")
    say(f"  at most {most} replicas at once, which take {(free - least) / 1024:.1f} GiB of memory")


def available() -> float:
    """MiB of memory that the machine has free."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def idle(pid: int, seconds: float) -> None:
    """What the platform uses while nothing happens."""
    time.sleep(3)  # the start is over
    pids = family(pid)
    before, began = {each: spent(each) for each in pids}, time.perf_counter()
    time.sleep(seconds)
    minutes = (time.perf_counter() - began) / 60
    used = {each: (spent(each) - before[each]) / minutes for each in pids}
    sizes = {each: memory(each) for each in pids}
    for each in pids:
        say(f"  {name_of(each):12} PSS {sizes[each]:6.1f} MiB, CPU {used[each]:6.2f} s a minute")
    say(f"  {'together':12} PSS {sum(sizes.values()):6.1f} MiB, CPU {sum(used.values()):6.2f} s a minute")


def changes(where: Place, model: Path, rounds: int) -> None:
    """From a written file to what comes of it."""
    status, route = [], []
    for number in range(rounds):
        seconds = 30 + number
        before = where.status("iris-0")
        where.declare(service("iris-0", model, _AT_ZERO, minReplicas=0, timeout=seconds, containerConcurrency=seconds))
        status.append(until(lambda before=before: rolled_out(where.status("iris-0"), before), "A change is rolled out"))
        name = f"more-{number}"
        where.declare(service(name, model, {_STOP: "true"}))
        route.append(until(lambda name=name: is_known(where.port, name), "A new service is routed"))
    say(f"  a changed file to the status of the new revision: {spread(status)}")
    say(f"  a new file to the answer of the gateway: {spread(route)}")


def rolled_out(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether another revision has the traffic, and the service takes requests."""
    told = [each.get("components", {}).get("predictor", {}).get("latestRolledoutRevision") for each in (now, before)]
    return told[0] != told[1] and has_routes(now)


def is_known(port: int, name: str) -> bool:
    """Whether the gateway knows a service."""
    return ask(port, path_of(name)) != http.HTTPStatus.NOT_FOUND


def listens(where: Place) -> bool:
    """Whether the platform answers commands."""
    try:
        return where.said("info") is not None
    except Exception:  # noqa: BLE001  # whatever it is: it does not answer
        return False


def path_of(name: str) -> str:
    """Where a service is asked."""
    return f"/serving/default/{name}/v1/models/{name}:predict"


def compare(what: str, name: str, bare: list[float], platform: list[float]) -> None:
    """Print two ways and their ratio, without the first round."""
    bare, platform = bare[1:], platform[1:]
    say(f"{what}; medians of {len(bare)} rounds")
    say(f"  {'fairlead serve':16} {spread(bare)}")
    say(f"  {name:16} {spread(platform)}")
    ratios = [one / other for one, other in zip(platform, bare, strict=True)]
    say(f"  {'ratio':16} {statistics.median(ratios):.2f}")


def spread(seconds: list[float]) -> str:
    """The median and the ends."""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201  # the figures are what this script is for


_PARTS = {"start": start, "zero": zero, "many": many, "herd": herd}


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *_PARTS], help="what to measure (all)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which medians are printed (7)")
    parser.add_argument("--services", type=int, default=200, help="services at zero replicas (200)")
    parser.add_argument("--herd", type=int, default=60, help="services that start a replica each (60)")
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds in which nothing is asked (30)")
    arguments = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("It needs Linux: memory and CPU time are read from /proc.")
    with tempfile.TemporaryDirectory(prefix="fairlead-") as name:
        folder = Path(name)
        model = folder / "iris"
        model.mkdir()
        flowers, kinds = load_iris(return_X_y=True)
        joblib.dump(SVC().fit(flowers, kinds), model / "model.joblib")
        for part in arguments.parts or _PARTS:
            _PARTS[part](folder / "platform", model, arguments)


if __name__ == "__main__":
    main()
