"""Manifests as KServe's documentation writes them choose this runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MANIFEST = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: style
spec:
  predictor:
{predictor}
"""
PREDICTORS = {
    "modelFormat": """
    model:
      modelFormat:
        name: onnx
      storageUri: gs://bucket/models/onnx""",
    "modelFormat, version and protocol": """
    model:
      protocolVersion: v2
      modelFormat:
        name: onnx
        version: "1"
      storageUri: gs://bucket/models/onnx""",
    "shorthand": """
    onnx:
      storageUri: gs://bucket/models/onnx""",
    "runtime of KServe": """
    model:
      runtime: kserve-tritonserver
      modelFormat:
        name: onnx
      storageUri: gs://bucket/models/onnx""",
}


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_the_runtime_is_chosen(tmp_path: Path, predictor: str) -> None:
    path = tmp_path / "isvc.yaml"
    path.write_text(MANIFEST.format(predictor=PREDICTORS[predictor].strip("\n")), encoding="utf-8")
    command = [sys.executable, "-m", "fairlead", "explain", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  * fairlead-onnx" in done.stdout
