"""Whether objects of the kinds are well-formed: what KServe's admission asks of them, and a little beyond it.

KServe tells the first thing that is wrong; everything is told here. What an object needs from the world beside it, such
as a runtime for its model, is not judged here, except for autoscalers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.api.inferencegraph import InferenceGraph
from fairlead.api.inferenceservice import InferenceService
from fairlead.api.kubernetes import ConfigMap, Secret, ServiceAccount
from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
from fairlead.api.storagecontainer import ClusterStorageContainer
from fairlead.api.trainedmodel import TrainedModel
from fairlead.resolve import config as configs
from fairlead.resolve import (
    defaults,
    findings,
    graph_rules,
    kubernetes_rules,
    model_rules,
    runtime_rules,
    service_rules,
    together_rules,
)

if TYPE_CHECKING:
    from fairlead.api.base import Resource
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.config import Config
    from fairlead.resolve.runtime_rules import AnyRuntime

__all__ = ["check", "examined", "validate", "validate_graph", "validate_runtime", "validate_trained_model"]


def validate(
    service: InferenceService, config: Config, catalogue: Catalogue, previous: InferenceService | None = None
) -> list[str]:
    """Check an InferenceService.

    Args:
        service: the InferenceService, after `fairlead.resolve.defaults.default`.
        config: the settings of the platform.
        catalogue: what is installed and declared beside it.
        previous: what it was before, where it is changed. One that is being deleted is not checked, so that nothing
            keeps it.

    Returns:
        What its user should know although nothing is wrong, each a text that begins with the object.

    Raises:
        InvalidManifest: something is wrong with it. Everything is told, each with the object, the path and a remedy.
    """
    found = findings.Findings(findings.who(defaults.placed(service)))
    service_rules.check_service(found, service, config, catalogue, previous)
    return _judged([found])


def validate_runtime(runtime: AnyRuntime, others: Sequence[AnyRuntime], config: Config | None = None) -> None:
    """Check a ServingRuntime or ClusterServingRuntime.

    Args:
        runtime: the runtime.
        others: other runtimes; those of its kind and namespace may not have its priority for a format. One of its own
            kind, namespace and name is what it was before.
        config: the settings of the platform.

    Raises:
        InvalidManifest: something is wrong with it.
    """
    found = findings.Findings(findings.who(defaults.placed(runtime)))
    runtime_rules.check_runtime(found, runtime, others, config or configs.Config())
    _judged([found])


def validate_graph(graph: InferenceGraph) -> None:
    """Check an InferenceGraph.

    Raises:
        InvalidManifest: something is wrong with it.
    """
    found = findings.Findings(findings.who(defaults.placed(graph)))
    graph_rules.check_graph(found, graph)
    _judged([found])


def validate_trained_model(model: TrainedModel, previous: TrainedModel | None = None) -> None:
    """Check a TrainedModel.

    Args:
        model: the model.
        previous: what it was before, where it is changed.

    Raises:
        InvalidManifest: something is wrong with it.
    """
    found = findings.Findings(findings.who(defaults.placed(model)))
    model_rules.check_trained_model(found, model, previous)
    _judged([found])


def check(resources: Sequence[Resource], config: Config, catalogue: Catalogue) -> list[str]:
    """Default and check objects, each on its own and all beside each other.

    Args:
        resources: the objects, as they were read.
        config: the settings of the platform.
        catalogue: what is installed.

    Returns:
        What their user should know although nothing is wrong, each a text that begins with the object.

    Raises:
        InvalidManifest: something is wrong with one of them. Everything is told.
    """
    return _judged(examined(resources, config, catalogue))


def examined(resources: Sequence[Resource], config: Config, catalogue: Catalogue) -> list[findings.Findings]:
    """What is found in each object, in their order; see `check`, which raises what is wrong."""
    placed = [defaults.placed(each) for each in resources]
    found = [findings.Findings(findings.who(each)) for each in placed]
    runtimes = [each for each in placed if isinstance(each, ServingRuntime | ClusterServingRuntime)]
    for each, into in zip(placed, found, strict=True):
        _check(into, each, runtimes, config, catalogue)
    together_rules.check_together(found, placed, config)
    return found


def _check(
    found: findings.Findings, resource: Resource, runtimes: Sequence[AnyRuntime], config: Config, catalogue: Catalogue
) -> None:
    match resource:
        case InferenceService():
            service_rules.check_service(found, defaults.default(resource, config), config, catalogue, None)
        case ServingRuntime() | ClusterServingRuntime():
            others = [each for each in runtimes if each.metadata.name != resource.metadata.name]
            runtime_rules.check_runtime(found, resource, others, config)
        case InferenceGraph():
            graph_rules.check_graph(found, resource)
        case TrainedModel():
            model_rules.check_trained_model(found, resource, None)
        case ClusterStorageContainer():
            model_rules.check_storage_container(found, resource)
        case Secret() | ConfigMap():
            kubernetes_rules.check_values(found, resource)
        case ServiceAccount():
            kubernetes_rules.check_account(found, resource)
        case _:
            raise TypeError(f"{type(resource).__name__} has no rules")


def _judged(found: Iterable[findings.Findings]) -> list[str]:
    found = tuple(found)
    problems = [text for each in found for text in each.full_problems()]
    if problems:
        raise errors.InvalidManifest(*problems)
    return [text for each in found for text in each.full_warnings()]
