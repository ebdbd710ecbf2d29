"""A `fairlead up` process for tests: the real command, a port that the system chooses, and an orderly end."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import joblib
from sklearn.dummy import DummyRegressor

from fairlead.local import client
from fairlead.local.folder import Folder
from fairlead_tests.ports import held_port
from fairlead_tests.waiting import eventually

__all__ = ["Platform", "constant", "isvc", "platform"]

COMMAND = [sys.executable, "-m", "fairlead.cli.main"]
PATIENCE = 60.0


def constant(folder: Path, value: float) -> Path:
    """A model that answers every row with the same number; returns the folder that it is in."""
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(DummyRegressor(strategy="constant", constant=value).fit([[0.0]], [value]), folder / "model.joblib")
    return folder


def isvc(name: str, model: Path, *, annotations: Mapping[str, str] | None = None, **predictor: Any) -> str:
    """The manifest of a scikit-learn model."""
    said = {"name": name, "annotations": dict(annotations or {})}
    spec = {"predictor": {**predictor, "model": {"modelFormat": {"name": "sklearn"}, "storageUri": f"file://{model}"}}}
    manifest = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": said, "spec": spec}
    return json.dumps(manifest, indent=2)


@dataclasses.dataclass
class Platform:
    """A platform in a process of its own.

    Attributes:
        folder: where its manifests are.
        port: the port of its gateway.
        environ: the environment of its commands.
        process: its process.
        lines: what it has printed so far.
    """

    folder: Path
    port: int
    environ: Mapping[str, str]
    process: subprocess.Popen[str]
    lines: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def declare(self, text: str, file: str = "isvc.yaml") -> None:
        """Write a manifest as an editor does; the platform reads it by itself."""
        temporary = self.folder / f".{file}.new"
        temporary.write_text(textwrap.dedent(text))
        temporary.replace(self.folder / file)

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run another command of Fairlead's beside it; returns what it prints."""
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environ, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def view(self, name: str, namespace: str = "default") -> dict[str, Any]:
        """What there is of a service; empty where there is none."""
        found = client.ask(Folder(environ=self.environ), "view", namespace=namespace, name=name)
        return dict(found or {})

    def status(self, name: str) -> dict[str, Any]:
        return dict(self.view(name).get("manifest", {}).get("status", {}))

    def condition(self, name: str, kind: str = "Ready") -> dict[str, Any]:
        found = [each for each in self.status(name).get("conditions", []) if each["type"] == kind]
        return dict(found[0]) if found else {}

    def is_ready(self, name: str) -> bool:
        return self.condition(name).get("status") == "True"

    def wait_ready(self, name: str) -> None:
        eventually(lambda: self.is_ready(name) or self.process.poll() is not None, PATIENCE)
        assert self.is_ready(name), "".join(self.lines)

    def replicas(self, name: str) -> list[dict[str, Any]]:
        return list(self.view(name).get("replicas", []))

    def ask(self, name: str, body: Any = None, *, timeout: float = PATIENCE) -> httpx.Response:
        """Ask a model by the path of its service."""
        content = json.dumps({"instances": [[1.0]]} if body is None else body)
        url = f"{self.url}/serving/default/{name}/v1/models/{name}:predict"
        return httpx.post(url, content=content, timeout=timeout, trust_env=False)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the process to end; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def platform(
    folder: Path, arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None, *, plain: bool = True
) -> Iterator[Platform]:
    """Run ``fairlead up`` over a folder of manifests until the block ends; it watches the folder.

    Args:
        folder: where the manifests are, or will be.
        arguments: further arguments.
        environ: variables on top of this process's environment.
        plain: whether to wait until the gateway listens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runtime = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    runtime.chmod(0o700)
    state = {"FAIRLEAD_STATE": str(folder.parent / "state"), "XDG_RUNTIME_DIR": str(runtime)}
    env = {**os.environ, **state, **(environ or {})}
    with held_port() as port:  # also while its gateway is started again
        command = [*COMMAND, "up", str(folder), "--watch", "--port", str(port), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        lines: list[str] = []
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        made = Platform(folder, port, env, process, lines)
        try:
            if plain:
                eventually(
                    lambda: process.poll() is not None or any("listening on" in line for line in lines), PATIENCE
                )
                assert process.poll() is None, "".join(lines)
            yield made
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            reader.join(10)
            shutil.rmtree(runtime, ignore_errors=True)


def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.append(line)  # noqa: PERF402  # seen by others one by one
