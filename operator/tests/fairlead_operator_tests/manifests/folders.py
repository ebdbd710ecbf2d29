"""The manifests as kustomize builds them: as much of it as ours use, so that no program is needed to read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from fairlead_apiserver import Cluster

__all__ = [
    "CHART",
    "IMAGES",
    "MANIFESTS",
    "OPERATOR",
    "OVERLAYS",
    "apply",
    "documents",
    "identity",
    "objects",
    "parsed",
]

OPERATOR: Final = Path(__file__).resolve().parents[3]
MANIFESTS: Final = OPERATOR / "manifests"
CHART: Final = OPERATOR / "charts" / "fairlead"
IMAGES: Final = OPERATOR / "images"
OVERLAYS: Final = {
    "default": MANIFESTS,
    "without-webhooks": MANIFESTS / "overlays" / "without-webhooks",
    "namespaced": MANIFESTS / "overlays" / "namespaced",
    "runtimes": MANIFESTS / "runtimes",
}
"""What a user applies, by a name for tests."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KNOWN: Final = {"apiVersion", "kind", "resources", "namespace", "patches"}
_CLUSTER: Final = {
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterServingRuntime",
    "ClusterStorageContainer",
    "CustomResourceDefinition",
    "Namespace",
}


def documents(file: Path) -> list[dict[str, Any]]:
    """The objects of a file."""
    return parsed(file.read_text(encoding="utf-8"))


def parsed(text: str) -> list[dict[str, Any]]:
    """The objects of a text."""
    return [each for each in yaml.load_all(text, _LOADER) if each is not None]


def objects(folder: Path) -> list[dict[str, Any]]:
    """What ``kubectl kustomize`` makes of a folder, in the order in which it is declared.

    Raises:
        ValueError: the folder uses something of kustomize that is not known here.
    """
    (wanted,) = documents(folder / "kustomization.yaml")
    if unknown := set(wanted) - _KNOWN:
        raise ValueError(f"{folder}: {', '.join(sorted(unknown))} is not known")
    found: list[dict[str, Any]] = []
    for each in wanted["resources"]:
        path = folder / each
        found += objects(path) if path.is_dir() else documents(path)
    for each in found:
        if "namespace" in wanted and each["kind"] not in _CLUSTER:
            each["metadata"]["namespace"] = wanted["namespace"]
    for patch in wanted.get("patches", ()):
        _patch(found, patch["target"], documents(folder / patch["path"])[0])
    return found


def identity(manifest: dict[str, Any]) -> tuple[str, str, str]:
    """Kind, namespace and name of an object."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _patch(found: list[dict[str, Any]], target: dict[str, str], steps: Any) -> None:
    """Append to lists, which is all that our patches do."""
    (manifest,) = (
        each for each in found if (each["kind"], each["metadata"]["name"]) == (target["kind"], target["name"])
    )
    for step in steps:
        *path, last = step["path"].removeprefix("/").split("/")
        if step["op"] != "add" or last != "-":
            raise ValueError(f"{step} is not known")
        place: Any = manifest
        for key in path:
            place = place[int(key) if isinstance(place, list) else key]
        place.append(step["value"])


def apply(cluster: Cluster, overlay: str) -> None:
    """Apply an overlay as its user would."""
    for each in objects(OVERLAYS[overlay]):
        if each["kind"] == "CustomResourceDefinition":
            cluster.install(each)
        else:
            cluster.apply(each, force=True)
