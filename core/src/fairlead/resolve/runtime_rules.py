"""Rules about ServingRuntimes and ClusterServingRuntimes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
from fairlead.resolve import container_rules, findings, metadata_rules, pod_rules

if TYPE_CHECKING:
    from fairlead.api.servingruntime import SupportedModelFormat
    from fairlead.resolve.config import Config

__all__ = ["AnyRuntime", "check_runtime"]

AnyRuntime: TypeAlias = ServingRuntime | ClusterServingRuntime

_PROTOCOLS: Final = frozenset({"v1", "v2", "grpc-v1", "grpc-v2"})


def check_runtime(found: findings.Findings, runtime: AnyRuntime, others: Sequence[AnyRuntime], config: Config) -> None:
    """A runtime on its own, and beside the others of its kind.

    Nothing but its metadata is looked at while it is disabled.

    Args:
        found: where problems go.
        runtime: the runtime.
        others: other runtimes; one of its own kind, namespace and name is what it was before.
        config: the settings of the platform.
    """
    metadata_rules.check_metadata(found, runtime.metadata)
    metadata_rules.check_object_name(found, runtime.metadata.name, strict=False)
    if runtime.spec.disabled:
        return
    _check_protocols(found, runtime)
    _check_formats(found, runtime)
    beside = [each for each in others if each.kind == runtime.kind and _namespace(each) == _namespace(runtime)]
    for other in beside:
        if other.metadata.name != runtime.metadata.name:
            _check_priorities(found, runtime, other)
        elif other.spec.worker_spec is not None and runtime.spec.worker_spec is None:
            found.problem("spec.workerSpec", "it was there before, and cannot be taken out. Make another runtime.")
    _check_pods(found, runtime, config)


def _namespace(runtime: AnyRuntime) -> str | None:
    return (runtime.metadata.namespace or "default") if isinstance(runtime, ServingRuntime) else None


# -- formats ----------------------------------------------------------------------------------------------


def _check_protocols(found: findings.Findings, runtime: AnyRuntime) -> None:
    for index, name in enumerate(runtime.spec.protocol_versions or ()):
        if name not in _PROTOCOLS:
            found.problem(
                f"spec.protocolVersions[{index}]",
                f"{findings.shown(name)} is not one of {findings.listed(sorted(_PROTOCOLS))}.",
            )


def _check_formats(found: findings.Findings, runtime: AnyRuntime) -> None:
    """Versions of one format have one priority, because the priority of a format is looked up by its name alone."""
    first: dict[str, tuple[int, int | None]] = {}
    for index, each in _selected(runtime):
        other, priority = first.setdefault(each.name, (index, each.priority))
        if priority != each.priority:
            found.problem(
                f"spec.supportedModelFormats[{index}].priority",
                f"{each.name} has the priority {_said(each.priority)} here and {_said(priority)} in "
                f"supportedModelFormats[{other}]. Give both the same.",
            )


def _check_priorities(found: findings.Findings, runtime: AnyRuntime, other: AnyRuntime) -> None:
    """Two runtimes of one priority: which of them is chosen for a model would be chance."""
    if other.spec.disabled or bool(other.spec.multi_model) != bool(runtime.spec.multi_model):
        return
    if not _protocols(runtime) & _protocols(other):
        return
    theirs = {(each.name.lower(), each.version, each.priority) for _, each in _selected(other)}
    for index, each in _selected(runtime):
        if each.priority is not None and (each.name.lower(), each.version, each.priority) in theirs:
            version = f" {each.version}" if each.version else ""
            found.problem(
                f"spec.supportedModelFormats[{index}].priority",
                f"{findings.who(other)} has the priority {each.priority} for {each.name}{version} too. Give one of "
                "them another.",
            )


def _selected(runtime: AnyRuntime) -> Iterator[tuple[int, SupportedModelFormat]]:
    """The formats that the runtime may be chosen for; the priority of others counts nowhere."""
    for index, each in enumerate(runtime.spec.supported_model_formats or ()):
        if each.auto_select:
            yield index, each


def _protocols(runtime: AnyRuntime) -> frozenset[str]:
    return frozenset(runtime.spec.protocol_versions or _PROTOCOLS)


def _said(priority: int | None) -> str:
    return "none" if priority is None else str(priority)


# -- containers -------------------------------------------------------------------------------------------


def _check_pods(found: findings.Findings, runtime: AnyRuntime, config: Config) -> None:
    spec = runtime.spec
    _check_containers(found, "spec.containers", spec.containers)
    if spec.worker_spec is None:
        return
    pod_rules.check_sizes(found, "spec.workerSpec", spec.worker_spec)
    _check_containers(found, "spec.workerSpec.containers", spec.worker_spec.containers)
    known = pod_rules.known_gpus(found, runtime.metadata.annotations or {}, config.gpu_resources)
    for path, containers in (("spec", spec.containers), ("spec.workerSpec", spec.worker_spec.containers)):
        for index, container in enumerate(containers):
            place = f"{path}.containers[{index}]"
            pod_rules.check_gpus(found, place, container, known)
            pod_rules.refuse_sizes(found, place, container)


def _check_containers(found: findings.Findings, path: str, containers: list[dict[str, Any]]) -> None:
    container_rules.check_containers(found, path, containers)
    for index, container in enumerate(containers):
        pod_rules.refuse_python_path(found, f"{path}[{index}]", container)
