"""The runtimes that a model could be served by: what stands in the way of each, and which comes first."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal

from fairlead.resolve import runtimes

if TYPE_CHECKING:
    from fairlead.api.predictor import ModelSpec
    from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime, SupportedModelFormat
    from fairlead.resolve.catalogue import Catalogue

__all__ = [
    "Contender",
    "Obstacle",
    "formats",
    "label",
    "lowest_protocol",
    "obstacle",
    "of",
    "ranked",
    "serves",
    "why_behind",
]

_NUMBERS: Final = {"v1": 1, "v2": 2, "grpc-v1": 3, "grpc-v2": 4}
_UNKNOWN: Final = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One runtime.

    Attributes:
        runtime: the runtime.
        namespace: the namespace that it is for; None for all.
        plugin: the runtime plugin that it was made from; None for one that a manifest declares.
        shadowed_by: why it counts as not there, where that is so.
    """

    runtime: ServingRuntime | ClusterServingRuntime
    namespace: str | None
    plugin: str | None = None
    shadowed_by: str | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.runtime.metadata.name

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.runtime.kind


@dataclasses.dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a runtime does not serve a model.

    Attributes:
        kind: what stands in the way.
        reason: the same as a part of a sentence.
    """

    kind: Literal["format", "namespace", "shadowed", "disabled", "many", "auto", "version", "protocol", "nodes"]
    reason: str


def of(catalogue: Catalogue, namespace: str) -> tuple[Contender, ...]:
    """Every runtime: those of the namespace, those for all, and those of other namespaces, each by name."""
    declared = {each.metadata.name for each in catalogue.cluster_runtimes}
    own = [Contender(runtime=each, namespace=each.metadata.namespace or "default") for each in catalogue.runtimes]
    for_all = [Contender(runtime=each, namespace=None) for each in catalogue.cluster_runtimes]
    for name, spec in catalogue.plugins.items():
        made = runtimes.cluster_runtime(spec, catalogue.versions.get(name))
        shadow = "a manifest declares another of this name" if made.metadata.name in declared else None
        for_all.append(Contender(runtime=made, namespace=None, plugin=name, shadowed_by=shadow))
    both = [*own, *for_all]
    return tuple(sorted(both, key=lambda each: (each.namespace != namespace, each.namespace is not None, each.name)))


# -- what stands in the way -----------------------------------------------------------------------------


def obstacle(
    contender: Contender,
    model: ModelSpec,
    namespace: str,
    protocol: str | None,
    *,
    named: bool = False,
    nodes: bool = False,
) -> Obstacle | None:
    """Why a runtime does not serve a model; None when it does.

    Args:
        contender: the runtime.
        model: the model; its modelFormat is set.
        namespace: the namespace of its InferenceService.
        protocol: the protocol that it is to be asked in; None for any.
        named: whether the InferenceService names this runtime, so that autoSelect and nodes do not matter.
        nodes: whether a replica of the service is several nodes.
    """
    wanted = model.model_format.name if model.model_format else ""
    spec = contender.runtime.spec
    entries = [each for each in spec.supported_model_formats or () if each.name == wanted]
    if contender.shadowed_by is not None:
        return Obstacle("shadowed", contender.shadowed_by)
    if named and spec.disabled:
        return Obstacle("disabled", "it is disabled")
    if named and (why := _protocol(contender, protocol)):
        return why
    if not entries:
        return Obstacle("format", f"format {wanted} is not among its formats: {formats(contender) or 'none'}")
    if contender.namespace not in (None, namespace):
        return Obstacle("namespace", f"it is in the namespace {contender.namespace}, and the service in {namespace}")
    if spec.disabled:
        return Obstacle("disabled", "it is disabled")
    if not named and spec.multi_model:
        return Obstacle("many", "it is for many models in one pod (multiModel)")
    automatic = [each for each in entries if named or each.auto_select]
    if not automatic:
        return Obstacle("auto", f"autoSelect is off for {wanted}: a service has to name it")
    if not any(_matches(each, model) for each in automatic):
        versions = ", ".join(f"{wanted}:{each.version}" if each.version else wanted for each in automatic)
        return Obstacle("version", f"{label(model)} is not among its versions: {versions}")
    if why := _protocol(contender, protocol):
        return why
    if not named and spec.worker_spec is not None and not nodes:
        return Obstacle("nodes", "it is for models over several nodes (workerSpec)")
    if not named and spec.worker_spec is None and nodes:
        return Obstacle("nodes", "it has no workerSpec, and the service is over several nodes")
    return None


def serves(contender: Contender, model: ModelSpec, *, automatically: bool) -> bool:
    """Whether a runtime lists the format of a model; `automatically`, only where its autoSelect is on."""
    return any(
        _matches(each, model)
        for each in contender.runtime.spec.supported_model_formats or ()
        if each.auto_select or not automatically
    )


def label(model: ModelSpec) -> str:
    """The format of a model, with its version where it has one."""
    if model.model_format is None:
        return ""
    name, version = model.model_format.name, model.model_format.version
    return f"{name}:{version}" if version else name


def formats(contender: Contender) -> str:
    """The names of its formats, for messages."""
    return ", ".join(dict.fromkeys(each.name for each in contender.runtime.spec.supported_model_formats or ()))


def _matches(entry: SupportedModelFormat, model: ModelSpec) -> bool:
    """Versions are compared as texts, and any entry will do for a model without one."""
    wanted = model.model_format
    return wanted is not None and entry.name == wanted.name and wanted.version in (None, "", entry.version)


def _protocol(contender: Contender, protocol: str | None) -> Obstacle | None:
    spoken = contender.runtime.spec.protocol_versions
    if protocol is None or not spoken or protocol in spoken:
        return None
    return Obstacle("protocol", f"protocol {protocol}: it speaks {', '.join(spoken)}")


# -- which comes first ----------------------------------------------------------------------------------


def ranked(fitting: Iterable[Contender], model: ModelSpec) -> list[Contender]:
    """Runtimes of one list, the best first.

    The lowest number of their protocols counts, then the newest, then the name; above all of them the priority.
    """
    by_name = sorted(fitting, key=lambda each: each.name)
    by_age = sorted(by_name, key=_created, reverse=True)
    by_protocol = sorted(by_age, key=_number)
    return sorted(by_protocol, key=lambda each: -(_priority(each, model) or 0))


def lowest_protocol(contender: Contender) -> str | None:
    """The protocol with the lowest number that a runtime lists; None when it lists none."""
    return min(
        contender.runtime.spec.protocol_versions or (), key=lambda each: _NUMBERS.get(each, _UNKNOWN), default=None
    )


def why_behind(contender: Contender, best: Contender, model: ModelSpec) -> str:
    """Why a runtime that serves a model comes behind another one that does."""
    if best.namespace is not None and contender.namespace is None:
        return f"the namespace's own runtimes come first, and {best.name} is one"
    lower, higher = _priority(contender, model), _priority(best, model)
    if lower != higher:
        shown = "it has no priority, and" if lower is None else f"priority {lower} is lower than {higher} of"
        return f"{shown} {best.name}" + (f" has {higher}" if lower is None else "")
    same = f"the same priority as {best.name}"
    if _number(contender) != _number(best):
        return f"{same}, which speaks {lowest_protocol(best)}"
    if _created(contender) != _created(best):
        return f"{same}, which is newer"
    return f"{same}, which comes first by name"


def _priority(contender: Contender, model: ModelSpec) -> int | None:
    """The priority of the first entry of that name, whatever its version."""
    wanted = model.model_format.name if model.model_format else ""
    return next(
        (each.priority for each in contender.runtime.spec.supported_model_formats or () if each.name == wanted), None
    )


def _number(contender: Contender) -> int:
    return _NUMBERS.get(lowest_protocol(contender) or "", _UNKNOWN)


def _created(contender: Contender) -> dt.datetime:
    """When it was made; long ago for one that no cluster stores."""
    oldest = dt.datetime.min.replace(tzinfo=dt.UTC)
    try:
        made = dt.datetime.fromisoformat(contender.runtime.metadata.creation_timestamp or "")
    except ValueError:
        return oldest
    return made if made.tzinfo else made.replace(tzinfo=dt.UTC)
