"""Manifests that are made of code: the definitions of the kinds, and the runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fairlead.api import crds
from fairlead.plugins import Plugins
from fairlead_operator.runtimes import images, rendering
from fairlead_operator_tests.manifests import folders

__all__ = ["definitions", "runtimes"]

_NOT_BY_DEFAULT = frozenset({"kserve-openvino"})
"""Runtimes that would change who serves what."""


def definitions() -> dict[Path, str]:
    """The files of ``manifests/crd``."""
    folder = folders.MANIFESTS / "crd"
    found = {f"{each['spec']['names']['plural']}.yaml": _yaml(each) for each in crds.definitions()}
    return {folder / name: text for name, text in {**found, "kustomization.yaml": _kustomization(found)}.items()}


def runtimes() -> dict[Path, str]:
    """The files of ``manifests/runtimes`` that the plugins that are installed here come to."""
    folder = folders.MANIFESTS / "runtimes"
    by_image = images.texts()
    found = {
        each["metadata"]["name"]: _yaml(each)
        for each in rendering.render(Plugins.discover())
        if each["metadata"]["name"] not in by_image
    }
    return {folder / f"{name}.yaml": text for name, text in sorted({**found, **by_image}.items())} | {
        folder / "kustomization.yaml": _kustomization(
            path.name
            for path in sorted({*folder.glob("*.yaml"), *(folder / f"{name}.yaml" for name in (*found, *by_image))})
            if path.stem not in _NOT_BY_DEFAULT and path.name != "kustomization.yaml"
        )
    }


def _kustomization(resources: Any) -> str:
    kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return _yaml({**kind, "resources": sorted(resources)})


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=120)
