"""Small servers and strategies that tests of the platform run: light enough to start fifty times."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["custom", "pulse", "server"]

SERVER = '''
"""Answers every POST with its own name; slow, deaf or dead when its folder says so."""
import http.server
import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if (HERE / "unready").exists():
            return self.answer(503, {"error": "not yet"})
        self.answer(200, {"ready": True})

    def do_POST(self):
        asked = self.rfile.read(int(self.headers.get("content-length", 0)))
        while (HERE / "slow").exists():
            time.sleep(0.02)
        self.answer(200, {"name": sys.argv[2], "pid": os.getpid(), "bytes": len(asked), "path": self.path})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if (HERE / "broken").exists():
    sys.exit("the weights are of another model")
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.daemon_threads = True
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever(0.02)
'''

PULSE_PLUGIN = """
from fairlead import AutoscalerMode, AutoscalerSpec, hookimpl


@hookimpl
def fairlead_autoscalers():
    modes = frozenset({AutoscalerMode.DECIDES})
    return [AutoscalerSpec(name="pulse", factory="planted_pulse.strategy:Pulse", modes=modes, interval=0.25)]
"""

PULSE = '''
"""Lets go as soon as nothing is asked for a moment."""
from fairlead import Autoscaler, Decision

MOMENT = 0.5


class Pulse(Autoscaler):
    def decide(self, spec, window, now):
        busy = any(sample.value > 0 for sample in window.samples.get("concurrency", ()))
        last = now if busy or not isinstance(window.memory, float) else window.memory
        if not window.ready_replicas:
            return Decision(replicas=None, reason="Nothing answers yet.", memory=now)
        if now - last < MOMENT:
            return Decision(replicas=1, reason="Requests come.", memory=last)
        return Decision(replicas=spec.min_replicas, reason="No requests come.", memory=last)
'''


def server(folder: Path) -> Path:
    """Write the program of a small server; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "server.py"
    path.write_text(SERVER)
    return path


def custom(
    name: str, folder: Path, *, label: str = "", annotations: Mapping[str, str] | None = None, **predictor: Any
) -> str:
    """The manifest of a service whose predictor is a small server in a folder."""
    command = [sys.executable, str(server(folder)), str(folder), label or name]
    container: dict[str, Any] = {"name": "kserve-container", "image": "none", "command": command}
    container["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}}
    spec = {"predictor": {**predictor, "containers": [container]}}
    said = {"name": name, "annotations": dict(annotations or {})}
    manifest = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": said, "spec": spec}
    return json.dumps(manifest, indent=2)


def pulse(folder: Path) -> Mapping[str, str]:
    """Install a strategy that scales to zero within a second; returns the environment that it is found in."""
    package = folder / "planted_pulse"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "_plugin.py").write_text(textwrap.dedent(PULSE_PLUGIN))
    (package / "strategy.py").write_text(textwrap.dedent(PULSE))
    info = folder / "fairlead_autoscaler_pulse-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fairlead-autoscaler-pulse\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[fairlead.autoscalers]\npulse = planted_pulse._plugin\n")
    return {"PYTHONPATH": str(folder)}
