"""Rules about InferenceGraphs: nodes that are there, steps that lead to one place, and no way round in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from fairlead.resolve import findings, metadata_rules

if TYPE_CHECKING:
    from fairlead.api.inferencegraph import InferenceGraph, InferenceRouter, InferenceStep

__all__ = ["check_graph"]

_ROOT: Final = "root"
_WHOLE: Final = 100


def check_graph(found: findings.Findings, graph: InferenceGraph) -> None:
    """A graph."""
    metadata_rules.check_metadata(found, graph.metadata)
    metadata_rules.check_object_name(found, graph.metadata.name, strict=True)
    spec, nodes = graph.spec, graph.spec.nodes
    if _ROOT not in nodes:
        found.problem("spec.nodes", f"there is no node {_ROOT}, at which requests enter. Name one so.")
    for name, node in nodes.items():
        _check_node(found, f"spec.nodes.{name}", node, nodes)
    circle = _circle(nodes)
    if circle:
        found.problem("spec.nodes", f"{' -> '.join(circle)} goes round in a circle. Take one of these steps out.")
    for field, number in (("minReplicas", spec.min_replicas), ("maxReplicas", spec.max_replicas)):
        if number is not None and number < 0:
            found.problem(f"spec.{field}", f"{number} is below 0. Write 0 or more.")
    if spec.max_replicas and spec.max_replicas < (1 if spec.min_replicas is None else spec.min_replicas):
        found.problem("spec.maxReplicas", f"{spec.max_replicas} is below minReplicas. Raise it, or lower minReplicas.")


def _check_node(
    found: findings.Findings, path: str, node: InferenceRouter, nodes: Mapping[str, InferenceRouter]
) -> None:
    steps = node.steps or []
    if not steps:
        found.problem(f"{path}.steps", "there are none, so nothing answers. List a step.")
    names: dict[str, int] = {}
    for index, step in enumerate(steps):
        place = f"{path}.steps[{index}]"
        if step.name and names.setdefault(step.name, index) != index:
            found.problem(
                f"{place}.name", f"{findings.shown(step.name)} is the name of steps[{names[step.name]}] too. Change it."
            )
        _check_target(found, place, step, nodes)
    if node.router_type == "Splitter" and steps:
        _check_weights(found, path, steps)


def _check_target(
    found: findings.Findings, path: str, step: InferenceStep, nodes: Mapping[str, InferenceRouter]
) -> None:
    targets = {"nodeName": step.node_name, "serviceName": step.service_name, "serviceUrl": step.service_url}
    named = [field for field, value in targets.items() if value]
    if not named:
        found.problem(path, f"it leads nowhere. Set one of {findings.listed(targets)}.")
    elif len(named) > 1:
        found.problem(path, f"it has {findings.listed(named, 'and')}, and may have one of them. Keep one.")
    if step.node_name and step.node_name not in nodes:
        found.problem(
            f"{path}.nodeName",
            f"there is no node {findings.shown(step.node_name)}.{findings.nearest(step.node_name, nodes)}",
        )


def _check_weights(found: findings.Findings, path: str, steps: list[InferenceStep]) -> None:
    missing = [index for index, step in enumerate(steps) if step.weight is None]
    for index in missing:
        found.problem(f"{path}.steps[{index}].weight", "it is missing. Write the percentage of requests.")
    for index, step in enumerate(steps):
        if step.weight is not None and step.weight < 0:
            found.problem(f"{path}.steps[{index}].weight", f"{step.weight} is below 0. Write 0 or more.")
    total = sum(step.weight or 0 for step in steps)
    if not missing and total != _WHOLE:
        found.problem(f"{path}.steps", f"the weights are {total} together. Make them {_WHOLE}.")


def _circle(nodes: Mapping[str, InferenceRouter]) -> list[str]:
    """Nodes that lead back to where they began, the first of them at both ends; empty where there are none."""
    below = {
        name: [step.node_name for step in node.steps or () if step.node_name in nodes and step.node_name is not None]
        for name, node in nodes.items()
    }
    done: set[str] = set()
    for start, following in below.items():
        way: dict[str, Iterator[str]] = {} if start in done else {start: iter(following)}
        while way:  # not recursive: a chain may have more nodes than Python nests calls
            here = next(reversed(way))
            after = next((each for each in way[here] if each not in done), None)
            if after is None:
                del way[here]
                done.add(here)
            elif after in way:
                names = list(way)
                return [*names[names.index(after) :], after]
            else:
                way[after] = iter(below[after])
    return []
