"""The servers that are compared: how each is started, and what it does not speak."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from comparison import environments, models

__all__ = ["SERVERS", "Ports", "Server"]

CONSTRAINTS: Final = Path(__file__).resolve().parents[1] / "constraints"

_NO_GRPC: Final = dict.fromkeys(("grpc", "grpc-raw", "grpc-typed"), "it does not speak gRPC")
_NO_V1: Final = dict.fromkeys(("v1", "cost-v1"), "it does not speak V1")
_NO_V2: Final = dict.fromkeys(("v2", "json-in", "json-echo", "binary-in", "binary-echo", "cost-v2"), "it has no V2")
_NO_BOOSTER: Final = dict.fromkeys(("boosted-v1", "boosted-v2"), "LightGBM is compared with KServe's alone")
_ROOMS: Final = ("core", "plugins/runtimes/sklearn", "plugins/runtimes/lightgbm")


@dataclasses.dataclass(frozen=True, slots=True)
class Ports:
    """Where a server is to listen."""

    http: int
    grpc: int
    metrics: int

    def fill(self, text: str) -> str:
        """A text with ``{http}``, ``{grpc}`` and ``{metrics}`` filled in."""
        for port, number in dataclasses.asdict(self).items():
            text = text.replace(f"{{{port}}}", str(number))
        return text


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A server that is compared.

    Attributes:
        name: its name in the tables.
        about: what it is, and how it is set up.
        command: the command that serves a folder on these ports.
        prepare: lays the models of these names out in a folder.
        packages: the file that pins its environment; None for Fairlead's, with the runtimes that are compared alone.
        lacks: the calls that it does not answer, each with the reason.
        paths: its own paths of calls, where they are not those of V1 and V2.
        environ: variables of its own; ``{http}`` and the like become ports.
        overload: the call of the overload workload; None when it is left out there.
        without: the models that it is not given.
    """

    name: str
    about: str
    command: Callable[[Path, Path, Ports], Sequence[str]]
    prepare: Callable[[Path, Path, Sequence[str]], None]
    packages: str | None = None
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    paths: Mapping[str, str] = dataclasses.field(default_factory=dict)
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)
    overload: str | None = "cost-v1"
    without: tuple[str, ...] = ("boosted",)

    def models(self, names: Sequence[str]) -> Sequence[str]:
        """Those of these models that it serves."""
        return [name for name in names if name not in self.without]

    def python(self) -> Path:
        """The interpreter of its environment, which is made when it is not there."""
        if self.packages is None:
            return environments.environment("compare-fairlead", environments.ROOT / "constraints.txt", _ROOMS)
        return environments.environment(f"compare-{self.packages}", CONSTRAINTS / f"{self.packages}.txt")


# -- how models are laid out ----------------------------------------------------------------------------


def _trained(python: Path, file: Path) -> None:
    file.parent.mkdir()
    command = [str(python), "-m", "comparison.train", str(file)]
    subprocess.run(command, check=True, cwd=Path(__file__).resolve().parents[1])


def _plain(python: Path, folder: Path, names: Sequence[str]) -> None:
    """What is trained; the other models are functions that the server's script imports."""
    if "iris" in names:
        _trained(python, folder / "iris" / "model.joblib")
    if "boosted" in names:
        _trained(python, folder / "boosted" / "model.bst")


_PYTHON_MODEL: Final = """\
import numpy as np

from comparison import models
from fairlead import CustomModel


class Served(CustomModel):
    def predict(self, x: np.ndarray) -> np.ndarray:
        return models.{name}(x)
"""


def _fairlead(python: Path, folder: Path, names: Sequence[str]) -> None:
    _plain(python, folder, names)
    for name in models.ARRAYS.keys() & set(names):
        (folder / name).mkdir()
        (folder / name / "model.py").write_text(_PYTHON_MODEL.format(name=name), encoding="utf-8")


def _mlserver(python: Path, folder: Path, names: Sequence[str]) -> None:
    _plain(python, folder, names)
    for name in names:
        implementation = f"comparison.servers.mlserver_models.{name.title()}"
        found = {"name": name, "implementation": implementation}
        if name == "iris":
            found |= {"implementation": "mlserver_sklearn.SKLearnModel"}
            found["parameters"] = {"uri": "./model.joblib"}  # type: ignore[assignment]  # a document
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "model-settings.json").write_text(json.dumps(found), encoding="utf-8")


# -- the servers ----------------------------------------------------------------------------------------


def _run(module: str, *arguments: str) -> Callable[[Path, Path, Ports], Sequence[str]]:
    """A command that runs a module; ``{http}``, ``{folder}`` and the like in the arguments are filled in."""

    def command(python: Path, folder: Path, ports: Ports) -> Sequence[str]:
        return [str(python), "-m", module, *(ports.fill(each).format(folder=folder) for each in arguments)]

    return command


SERVERS: Final[Mapping[str, Server]] = {
    server.name: server
    for server in (
        Server(
            name="fairlead",
            about="fairlead serve, default settings",
            command=_run("fairlead.cli.main", "serve", "{folder}", "--http-port", "{http}", "--grpc-port", "{grpc}"),
            prepare=_fairlead,
            without=(),
        ),
        Server(
            name="kserve",
            about="kserve.ModelServer, the published package, default flags",
            command=_run("comparison.servers.kserve_models", "--http_port", "{http}", "--grpc_port", "{grpc}"),
            prepare=_plain,
            packages="kserve",
            without=(),
        ),
        Server(
            name="floor",
            about="asyncio.Protocol on httptools and uvloop, without a framework, checks or errors",
            command=_run("comparison.servers.floor", "{http}"),
            prepare=_plain,
            lacks=_NO_GRPC | _NO_BOOSTER,
            overload=None,
        ),
        Server(
            name="mlserver",
            about="mlserver start, models in its own process, which is its fastest on one core",
            command=_run("mlserver.cli.main", "start", "{folder}"),
            prepare=_mlserver,
            packages="mlserver",
            lacks=_NO_V1 | _NO_BOOSTER,
            environ={
                "MLSERVER_HOST": "127.0.0.1",
                "MLSERVER_PARALLEL_WORKERS": "0",
                "MLSERVER_HTTP_PORT": "{http}",
                "MLSERVER_GRPC_PORT": "{grpc}",
                "MLSERVER_METRICS_PORT": "{metrics}",
            },
            overload="cost-v2",
        ),
        Server(
            name="mosec",
            about="mosec, no batching, JSON of its own in the form of V1",
            command=_run("comparison.servers.mosec_workers", "--address", "127.0.0.1", "--port", "{http}"),
            prepare=_plain,
            packages="mosec",
            lacks=_NO_V2 | _NO_GRPC | _NO_BOOSTER,
            paths={"v1": "/iris", "cost-v1": "/cost"},
        ),
        Server(
            name="mosec-batch",
            about="mosec, batches of up to 64 within 1 ms",
            command=_run("comparison.servers.mosec_workers", "--address", "127.0.0.1", "--port", "{http}"),
            prepare=_plain,
            packages="mosec",
            lacks=_NO_V2 | _NO_GRPC | _NO_BOOSTER,
            paths={"v1": "/iris", "cost-v1": "/cost"},
            environ={"COMPARE_BATCH": "64"},
            overload=None,
        ),
    )
}
"""All servers, by name."""
