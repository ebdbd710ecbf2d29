"""The CustomResourceDefinitions of the kinds, generated from their models.

The schemas are structural, as ``apiextensions.k8s.io/v1`` asks: no reference, no choice between objects, and a type for
every value but those that may be a number or a text. Objects of Kubernetes' own API are kept without being described,
so that a definition is small enough to be applied by any client (an annotation holds at most 262144 bytes).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from fairlead.api import base, cel
from fairlead.api.inferencegraph import InferenceGraph
from fairlead.api.inferenceservice import InferenceService
from fairlead.api.kinds import KINDS
from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
from fairlead.api.storagecontainer import ClusterStorageContainer
from fairlead.api.trainedmodel import TrainedModel

if TYPE_CHECKING:
    from fairlead.api.base import Resource

__all__ = ["CATEGORY", "definition", "definitions", "schema"]

CATEGORY: Final = "kserve"
"""What ``kubectl get`` finds objects of every kind by."""

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"


@dataclasses.dataclass(frozen=True, slots=True)
class _Column:
    """A column that ``kubectl get`` prints."""

    name: str
    path: str
    type: str = "string"

    def manifest(self) -> dict[str, str]:
        return {"name": self.name, "type": self.type, "jsonPath": self.path}


@dataclasses.dataclass(frozen=True, slots=True)
class _Facts:
    """What a definition says beside the schema."""

    plural: str
    scope: Literal["Namespaced", "Cluster"]
    columns: Sequence[_Column] = ()
    short_names: Sequence[str] = ()
    status: bool = False


_URL: Final = _Column("URL", ".status.url")
_READY: Final = _Column("Ready", ".status.conditions[?(@.type=='Ready')].status")
_AGE: Final = _Column("Age", ".metadata.creationTimestamp", "date")
_PREVIOUS: Final = ".status.components.predictor.traffic[?(@.tag=='prev')]"
_LATEST: Final = ".status.components.predictor.traffic[?(@.latestRevision==true)]"
_RUNTIME_COLUMNS: Final = (
    _Column("Disabled", ".spec.disabled", "boolean"),
    _Column("ModelType", ".spec.supportedModelFormats[*].name"),
    _Column("Containers", ".spec.containers[*].name"),
    _AGE,
)

_FACTS: Final[Mapping[type[Resource], _Facts]] = {
    InferenceService: _Facts(
        "inferenceservices",
        "Namespaced",
        (
            _URL,
            _READY,
            _Column("Prev", f"{_PREVIOUS}.percent", "integer"),
            _Column("Latest", f"{_LATEST}.percent", "integer"),
            _Column("PrevRolledoutRevision", f"{_PREVIOUS}.revisionName"),
            _Column("LatestReadyRevision", f"{_LATEST}.revisionName"),
            _AGE,
        ),
        short_names=("isvc",),
        status=True,
    ),
    ServingRuntime: _Facts("servingruntimes", "Namespaced", _RUNTIME_COLUMNS),
    ClusterServingRuntime: _Facts("clusterservingruntimes", "Cluster", _RUNTIME_COLUMNS),
    ClusterStorageContainer: _Facts("clusterstoragecontainers", "Cluster"),
    InferenceGraph: _Facts("inferencegraphs", "Namespaced", (_URL, _READY, _AGE), short_names=("ig",), status=True),
    TrainedModel: _Facts("trainedmodels", "Namespaced", (_URL, _READY, _AGE), short_names=("tm",), status=True),
}


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinition of every kind, as plain data that shares nothing."""
    return [definition(kind) for kind in KINDS]


def definition(kind: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind, as plain data."""
    facts = _FACTS[kind]
    api_version, name = kind.identity()
    version: dict[str, Any] = {
        "name": api_version.removeprefix(f"{base.GROUP}/"),
        "served": True,
        "storage": True,
    }
    if facts.status:
        version["subresources"] = {"status": {}}
    if facts.columns:
        version["additionalPrinterColumns"] = [column.manifest() for column in facts.columns]
    version["schema"] = {"openAPIV3Schema": schema(kind)}
    names: dict[str, Any] = {
        "kind": name,
        "listKind": f"{name}List",
        "plural": facts.plural,
        "singular": name.lower(),
        "categories": [CATEGORY],
    }
    if facts.short_names:
        names["shortNames"] = list(facts.short_names)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{facts.plural}.{base.GROUP}"},
        "spec": {"group": base.GROUP, "names": names, "scope": facts.scope, "versions": [version]},
    }


def schema(kind: type[Resource]) -> dict[str, Any]:
    """The structural schema of a kind (OpenAPI 3.0, as Kubernetes restricts it)."""
    generated = kind.model_json_schema(by_alias=True)
    found = _structural(generated, generated.get("$defs", {}))
    # These three are the API server's; a definition may say no more of them.
    found["properties"] |= {
        "apiVersion": {"type": "string", "description": "The group and version of this object's schema."},
        "kind": {"type": "string", "description": "The kind of this object."},
        "metadata": {"type": "object"},
    }
    found["required"] = [name for name in found["required"] if name != "metadata"]
    return cel.with_rules(kind, found)


def _structural(found: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without references, titles and null, which the API server would refuse or does by itself."""
    flat = _flat(found, defs)
    made: dict[str, Any] = {}
    for key, value in flat.items():
        match key:
            case "$defs" | "title":
                pass
            case "default" if value is None:
                pass
            case "const":
                made["enum"] = [value]
            case "additionalProperties" if isinstance(value, bool):
                if value:
                    made[PRESERVE] = True  # a closed object is one whose other fields the API server drops or refuses
            case "properties":
                made[key] = {name: _structural(each, defs) for name, each in value.items()}
            case "additionalProperties" | "items":
                made[key] = _structural(value, defs)
            case _:
                made[key] = _copied(value)
    return made


def _flat(found: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with what it refers to, and the one alternative to null, in its place; what stands beside them wins."""
    flat = dict(found)
    while True:
        if "$ref" in flat:
            target = defs[flat.pop("$ref").rpartition("/")[2]]
            flat = {**target, **flat}
        elif any(each.get("type") == "null" for each in flat.get("anyOf", ())):
            (target,) = (each for each in flat.pop("anyOf") if each.get("type") != "null")
            flat = {**target, **flat}
        else:
            return flat


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value
