"""What TensorFlow prints is logged: standard error is for lines of the log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from fairlead_runtime_tensorflow_tests import models


def test_every_line_of_a_log_for_machines_is_json(tmp_path: Path) -> None:
    folder = models.affine(tmp_path / "model")
    command = [sys.executable, "-m", "fairlead", "serve", str(folder), "--name", "m", "--log-format", "json"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    ports = ["--http_port", "0", "--grpc_port", "0"]
    process = subprocess.Popen([*command, *ports], stderr=subprocess.PIPE, text=True, env=environ)
    said = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if "ready on http" in line:
                break
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    logged = [json.loads(line) for line in (*said, *rest.splitlines())]
    assert process.returncode == 0
    assert {"fairlead.server", "fairlead.models"} <= {each["logger"] for each in logged}
