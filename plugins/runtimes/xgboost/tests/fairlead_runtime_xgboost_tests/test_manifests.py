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
  name: iris
spec:
  predictor:
{predictor}
"""
PREDICTORS = {
    "modelFormat": """
    model:
      modelFormat:
        name: xgboost
      storageUri: gs://bucket/models/iris""",
    "modelFormat, version and protocol": """
    model:
      protocolVersion: v2
      modelFormat:
        name: xgboost
        version: "1"
      storageUri: gs://bucket/models/iris""",
    "shorthand": """
    xgboost:
      storageUri: gs://bucket/models/iris""",
    "runtime of KServe": """
    model:
      runtime: kserve-xgbserver
      modelFormat:
        name: xgboost
        version: "2"
      storageUri: gs://bucket/models/iris""",
}


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_the_runtime_is_chosen(tmp_path: Path, predictor: str) -> None:
    path = tmp_path / "isvc.yaml"
    path.write_text(MANIFEST.format(predictor=PREDICTORS[predictor].strip("\n")), encoding="utf-8")
    command = [sys.executable, "-m", "fairlead", "explain", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  * fairlead-xgboost" in done.stdout
