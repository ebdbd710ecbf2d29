"""What is rendered, compared with files that a person has read, and with the schemas of Kubernetes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import yaml

__all__ = ["VERSION", "check", "valid"]

VERSION: Final = "1.34"
"""The Kubernetes whose schemas manifests are held to."""

_WRITES: Final = "FAIRLEAD_GOLDEN"
_FOREIGN: Final = (
    "keda.sh",
    "gateway.networking.k8s.io",
    "opentelemetry.io",
    "serving.kserve.io",
    "monitoring.coreos.com",
)


def check(file: Path, manifests: Iterable[Mapping[str, Any]]) -> None:
    """Compare objects with the YAML file that holds what they should be.

    With ``FAIRLEAD_GOLDEN=write`` in the environment the file is written, to be read by whoever made the change.
    """
    found = [json.loads(json.dumps(each)) for each in manifests]
    for each in found:
        valid(each)
    if os.environ.get(_WRITES) == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump_all(found, sort_keys=False, width=120), encoding="utf-8")
    assert found == list(yaml.safe_load_all(file.read_text(encoding="utf-8"))), f"{file.name} has other objects"


def valid(manifest: Mapping[str, Any]) -> None:
    """Hold an object of Kubernetes' own to its schema; kinds of other groups have theirs elsewhere."""
    if manifest["apiVersion"].partition("/")[0] not in _FOREIGN:
        kubernetes_validate.validate(dict(manifest), VERSION, strict=True)
