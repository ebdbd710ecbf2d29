"""Rules in the definitions of the kinds, for API servers to hold objects to where no webhook is asked.

They are those of `fairlead.resolve.validation` that the Common Expression Language can say of one object, as far as an
API server can bound their cost: it multiplies the cost of a rule by the number of places that it could stand at. So no
rule stands within a list or a map, and none compares each item of a list with each.

Objects are seen before defaulting, so that a rule knows frameworks by their short names as well as ``model``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead.api.inferencegraph import InferenceGraph
from fairlead.api.inferenceservice import InferenceService
from fairlead.api.predictor import FRAMEWORKS
from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
from fairlead.api.trainedmodel import TrainedModel

if TYPE_CHECKING:
    from fairlead.api.base import Resource

__all__ = ["Rule", "with_rules"]

Path: TypeAlias = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A rule about what is at one place of an object.

    Attributes:
        rule: the expression, of ``self`` and, where only changes are judged, of ``oldSelf``.
        message: what to do where it does not hold.
    """

    rule: str
    message: str

    def manifest(self) -> dict[str, str]:
        """The rule as a definition has it."""
        return {"rule": self.rule, "message": self.message}


def with_rules(kind: type[Resource], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a kind with its rules at their places; the schema itself is changed."""
    for path, rules in _RULES.get(kind, {}).items():
        place = schema
        for name in path:
            place = place["properties"][name]
        place["x-kubernetes-validations"] = [each.manifest() for each in rules]
    return schema


def _at_least(field: str, least: int) -> Rule:
    return Rule(f"!has(self.{field}) || self.{field} >= {least}", f"{field} is below {least}. Write {least} or more.")


def _given(*fields: str) -> str:
    """How many of some fields are there."""
    return " + ".join(f"(has(self.{each}) ? 1 : 0)" for each in fields)


_MIN_AND_MAX: Final = Rule(
    "!has(self.maxReplicas) || self.maxReplicas <= 0 || "
    "(has(self.minReplicas) ? self.minReplicas : 1) <= self.maxReplicas",
    "maxReplicas is below minReplicas, which counts as 1 where it is not set. Raise maxReplicas, or lower minReplicas.",
)
_SERVICE_NAME: Final = Rule(
    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "The name has lower case letters, digits and hyphens, with a letter first and no hyphen last.",
)

# -- InferenceService -----------------------------------------------------------------------------------

_COMPONENT: Final = (
    _MIN_AND_MAX,
    *(_at_least(each, 0) for each in ("minReplicas", "maxReplicas", "containerConcurrency", "timeout")),
    Rule(
        "!has(self.canaryTrafficPercent) || (self.canaryTrafficPercent >= 0 && self.canaryTrafficPercent <= 100)",
        "canaryTrafficPercent is no percentage from 0 to 100.",
    ),
)
_LOGGER: Final = (
    Rule("has(self.mode)", "mode is missing. Write all, request or response."),
    Rule(
        "!has(self.storage) || (has(self.storage.path) && has(self.storage.parameters) && has(self.storage.key))",
        "storage needs path, parameters and key.",
    ),
)
_BATCHER: Final = (_at_least("maxBatchSize", 0), _at_least("maxLatency", 0))
_SIZES: Final = (
    _at_least("pipelineParallelSize", 1),
    _at_least("tensorParallelSize", 1),
    Rule("!has(self.containers) || size(self.containers) <= 1", "There may be one container. Take the others out."),
)
_BLOCKS: Final = ("model", *FRAMEWORKS)
_PREDICTOR: Final = (
    Rule(
        f"({_given(*_BLOCKS)}) > 0 || (has(self.containers) && size(self.containers) > 0)",
        "There is nothing that answers requests. Set model or containers.",
    ),
    Rule(f"({_given(*_BLOCKS)}) <= 1", "There are several models or frameworks, and may be one. Keep one."),
    Rule(
        "!has(self.storageUris) || "
        f"!({' || '.join(f'(has(self.{each}) && has(self.{each}.storageUri))' for each in _BLOCKS)})",
        "storageUri and storageUris are both set. Keep one of them.",
    ),
    Rule(
        "!has(self.model) || (has(self.model.modelFormat) && size(self.model.modelFormat.name) > 0)",
        "model.modelFormat is missing. Name the format of the model, such as sklearn.",
    ),
    Rule(
        "!has(self.workerSpec) || !has(self.model) || (has(self.model.storageUri) && "
        "(self.model.storageUri.startsWith('pvc://') || self.model.storageUri.startsWith('oci://')))",
        "All nodes of a replica read the same model. Set model.storageUri to one that begins with pvc:// or oci://.",
    ),
    Rule(
        "(has(self.name) ? self.name : '') == (has(oldSelf.name) ? oldSelf.name : '') || "
        "!has(self.model) || !has(oldSelf.model) || has(self.model.storage) || has(oldSelf.model.storage) || "
        "has(self.storageUris) || has(oldSelf.storageUris) || "
        "(has(self.model.storageUri) ? self.model.storageUri : '') != "
        "(has(oldSelf.model.storageUri) ? oldSelf.model.storageUri : '')",
        "The name changes, and the model stays the same. Change storageUri too, or leave the name.",
    ),
)
_TRANSFORMER: Final = (
    Rule(
        "has(self.containers) && size(self.containers) > 0",
        "There is nothing that answers requests. Set containers.",
    ),
)
_EXPLAINER: Final = (
    Rule(
        "has(self.art) != (has(self.containers) && size(self.containers) > 0)",
        "An explainer is either art or containers. Set one of them.",
    ),
)
_OF_THE_STABLE: Final = (
    "workerSpec", "maxReplicas", "scaleTarget", "scaleMetric", "autoScaling", "canaryTrafficPercent",
)  # fmt: skip
_CANARIES: Final = (
    Rule(
        "!has(self.canary) || self.canary.all(each, has(each.predictor.name))",
        "A canary has no name. Name each canary, such as v2; it is promoted by this name.",
    ),
    Rule(
        "!has(self.canary) || size(self.canary) == 0 || !has(self.predictor.canaryTrafficPercent)",
        "canary and predictor.canaryTrafficPercent both divide the traffic. Keep one of them.",
    ),
    Rule(
        "!has(self.canary) || self.canary.all(each, "
        f"!({' || '.join(f'has(each.predictor.{name})' for name in _OF_THE_STABLE)}))",
        f"A canary has {', '.join(_OF_THE_STABLE)} of the stable predictor. Take them out of the canary.",
    ),
)
_LENGTH: Final = Rule(
    "size(self.metadata.name) + (has(self.spec.predictor.name) ? size(self.spec.predictor.name) + 1 : 0) <= 53 && "
    "(!has(self.spec.transformer) || size(self.metadata.name) <= 51) && "
    "(!has(self.spec.explainer) || size(self.metadata.name) <= 53)",
    "The name and the name of a component make the name of a Service, which may have 63 characters. Choose a shorter "
    "name.",
)


def _of_services() -> Iterator[tuple[Path, Sequence[Rule]]]:
    yield (), (_SERVICE_NAME, _LENGTH)
    yield ("spec",), _CANARIES
    own = {"predictor": _PREDICTOR, "transformer": _TRANSFORMER, "explainer": _EXPLAINER}
    for component, rules in own.items():
        yield ("spec", component), (*rules, *_COMPONENT)
        yield ("spec", component, "logger"), _LOGGER
        yield ("spec", component, "batcher"), _BATCHER
    yield ("spec", "predictor", "workerSpec"), _SIZES


# -- the others -----------------------------------------------------------------------------------------

_RUNTIME: Final[Mapping[Path, Sequence[Rule]]] = {
    ("spec",): (
        Rule(
            "!has(oldSelf.workerSpec) || has(self.workerSpec) || (has(self.disabled) && self.disabled)",
            "workerSpec was there before, and cannot be taken out. Make another runtime.",
        ),
    ),
}
_GRAPH: Final[Mapping[Path, Sequence[Rule]]] = {
    (): (_SERVICE_NAME,),
    ("spec",): (
        Rule("'root' in self.nodes", "There is no node root, at which requests enter. Name one so."),
        _MIN_AND_MAX,
        _at_least("minReplicas", 0),
        _at_least("maxReplicas", 0),
    ),
}
_SCHEMES: Final = ("s3", "gs", "https", "http")
_MODEL: Final[Mapping[Path, Sequence[Rule]]] = {
    ("spec", "model"): (
        Rule("self.memory == oldSelf.memory", "memory cannot be changed. Make another TrainedModel."),
        Rule(
            " || ".join(f"self.storageUri.startsWith('{each}://')" for each in _SCHEMES),
            f"storageUri does not begin with {', '.join(f'{each}://' for each in _SCHEMES)}.",
        ),
    ),
}

_RULES: Final[Mapping[type[Resource], Mapping[Path, Sequence[Rule]]]] = {
    InferenceService: dict(_of_services()),
    ServingRuntime: _RUNTIME,
    ClusterServingRuntime: _RUNTIME,
    InferenceGraph: _GRAPH,
    TrainedModel: _MODEL,
}
