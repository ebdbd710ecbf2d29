"""MLflow's own tracking server, and a proxy before it whose faults can be chosen."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import itertools
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LOG_A_MODEL = """
import sys
import mlflow

class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2

mlflow.set_tracking_uri(sys.argv[1])
with mlflow.start_run() as run:
    logged = mlflow.pyfunc.log_model(
        name="doubler", python_model=Doubler(), pip_requirements=["mlflow"], registered_model_name=sys.argv[2]
    )
print(run.info.run_id, logged.model_id)
"""


class Tracking:
    """A tracking server, asked over its REST API."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        """Where it keeps the artefacts that it hands out."""

    def ask(self, question: str, body: Any = None, method: str | None = None) -> Any:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/2.0/{question}", data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def run(self, tree: Mapping[str, bytes], experiment: str = "0") -> str:
        """A run with artefacts; its id."""
        run = str(self.ask("mlflow/runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"])
        for name, content in tree.items():
            self.put(run, name, content)
        return run

    def put(self, run: str, name: str, content: bytes) -> None:
        path = urllib.parse.quote(f"0/{run}/artifacts/{name}")
        self.ask(f"mlflow-artifacts/artifacts/{path}", content, "PUT")

    def register(self, name: str, run: str, path: str) -> str:
        """A version of a model, from artefacts of a run; its number."""
        with contextlib.suppress(urllib.error.HTTPError):  # it is there
            self.ask("mlflow/registered-models/create", {"name": name})
        version = {"name": name, "run_id": run, "source": f"mlflow-artifacts:/0/{run}/artifacts/{path}"}
        return str(self.ask("mlflow/model-versions/create", version)["model_version"]["version"])

    def log_model(self, name: str) -> tuple[str, str]:
        """Log a model as users do, with MLflow's client, and register it; the ids of the run and of the model."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _LOG_A_MODEL, self.url, name],
            env=_environment(self.folder.parent),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        run, model = done.stdout.split()[-2:]
        return run, model


@contextmanager
def tracking(folder: Path) -> Iterator[Tracking]:
    """Start MLflow's tracking server, and end it."""
    artifacts = folder / "artifacts"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "0", "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'store.db'}", "--artifacts-destination", str(artifacts)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=_environment(folder), stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    try:
        yield Tracking(_url(process, folder / "server.log"), artifacts)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it starts others
        process.wait()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server is, at a port that the system chose: it tells once it listens."""
    until = time.monotonic() + 90
    while not (found := re.search(r"running on (http://127\.0\.0\.1:\d+)\s", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    return found[1]


def _environment(home: Path) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    mine = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return {**others, **mine, "HOME": str(home), "GIT_PYTHON_REFRESH": "quiet"}


@dataclasses.dataclass
class Faults:
    authorization: str | None = None  # what may ask
    statuses: list[int] = dataclasses.field(default_factory=list)  # to answer before the right one
    as_a_bucket: bool = False  # hand artefacts out as a server does that fetches them from a bucket: no range, no tag
    fresh_tags: bool = False  # ... or, as its older versions do, with a tag of each request
    cut_at: int | None = None  # close after so many bytes of an artefact
    redirect: str | None = None
    page: bytes | None = None  # a page for people, in place of JSON
    replies: dict[str, bytes] = dataclasses.field(
        default_factory=dict
    )  # path without query -> JSON, in place of MLflow's
    hold: threading.Event | None = None


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]


class Proxy:
    """Before a tracking server."""

    def __init__(self, target: str, tls: ssl.SSLContext | None = None) -> None:
        self.faults = Faults()
        self.requests: list[Request] = []
        self.target = urllib.parse.urlsplit(target).netloc
        self.numbers = itertools.count()
        outer = self

        class Handler(_Handler):
            state = outer

        self._httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._httpd.daemon_threads = True
        if tls is not None:
            self._httpd.socket = tls.wrap_socket(self._httpd.socket, server_side=True)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._httpd.server_address[1]}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()


@contextmanager
def before(target: str, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    proxy = Proxy(target, tls)
    try:
        yield proxy
    finally:
        proxy.close()


class _Handler(http.server.BaseHTTPRequestHandler):
    state: Proxy
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes | None) -> None:
        with contextlib.suppress(OSError):  # the client went away, which is what several tests do
            self._speak(body)

    def _speak(self, body: bytes | None) -> None:
        faults = self.state.faults
        self.state.requests.append(Request(self.command, self.path, dict(self.headers.items())))
        path = self.path.partition("?")[0]
        if faults.hold is not None:
            faults.hold.wait(30)
        if faults.statuses:
            self._plain(faults.statuses.pop(0), {}, b"")
        elif faults.redirect is not None:
            self._plain(302, {"Location": faults.redirect + self.path}, b"")
        elif faults.authorization not in (None, self.headers.get("Authorization")):
            self._plain(401, {}, b"You are not authenticated.")
        elif faults.page is not None:
            self._plain(200, {"Content-Type": "text/html"}, faults.page)
        elif path in faults.replies:
            self._plain(200, {"Content-Type": "application/json"}, faults.replies[path])
        else:
            self._forward(body)

    def _forward(self, body: bytes | None) -> None:
        faults = self.state.faults
        artifact = "/mlflow-artifacts/artifacts/" in self.path
        sent = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        if artifact and faults.as_a_bucket:
            sent.pop("Range", None)
        connection = http.client.HTTPConnection(self.state.target, timeout=60)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body=body, headers=sent)
            answer = connection.getresponse()
            content = answer.read()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in ("date", "server")}
        if artifact and faults.as_a_bucket:
            headers = {name: value for name, value in headers.items() if name.lower() not in ("etag", "accept-ranges")}
        if artifact and faults.fresh_tags:
            headers["etag"] = f'"{next(self.state.numbers)}"'
        if artifact and faults.cut_at is not None:
            content = content[: faults.cut_at]
        self._plain(answer.status, headers, content)

    def _plain(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
