"""Rules about InferenceGraphs."""

from __future__ import annotations

from typing import Any

from fairlead import errors
from fairlead.api import InferenceGraph
from fairlead.resolve import validation
from fairlead_tests.resolve.validating import ALPHA


def graph(nodes: dict[str, Any], name: str = "pets", **spec: Any) -> list[str]:
    """What is wrong with a graph, without its name."""
    whole = {"nodes": nodes, **spec}
    declared = InferenceGraph.parse(
        {"apiVersion": ALPHA, "kind": "InferenceGraph", "metadata": {"name": name}, "spec": whole}
    )
    try:
        validation.validate_graph(declared)
    except errors.InvalidManifest as error:
        return [text.removeprefix(f"InferenceGraph default/{name}: ") for text in error.problems]
    return []


def node(*steps: dict[str, Any], kind: str = "Sequence") -> dict[str, Any]:
    return {"routerType": kind, "steps": list(steps)}


def test_a_graph_has_a_name_of_kserve() -> None:
    assert len(graph({"root": node({"serviceName": "a"})}, name="2pets")) == 1


def test_a_graph_has_a_root() -> None:
    assert graph({"other": node({"serviceName": "a"})}) == [
        "spec.nodes: there is no node root, at which requests enter. Name one so."
    ]


def test_steps_of_a_node_have_names_of_their_own() -> None:
    assert graph({"root": node({"name": "a", "serviceName": "a"}, {"name": "a", "serviceName": "b"})}) == [
        'spec.nodes.root.steps[1].name: "a" is the name of steps[0] too. Change it.'
    ]
    assert graph({"root": node({"serviceName": "a"}, {"serviceName": "b"})}) == []


def test_a_step_leads_to_one_place() -> None:
    assert graph({"root": node({"name": "a"})}) == [
        "spec.nodes.root.steps[0]: it leads nowhere. Set one of nodeName, serviceName or serviceUrl."
    ]
    assert graph({"root": node({"serviceName": "a", "serviceUrl": "http://a"})}) == [
        "spec.nodes.root.steps[0]: it has serviceName and serviceUrl, and may have one of them. Keep one."
    ]


def test_a_splitter_divides_all_requests() -> None:
    first, second = {"serviceName": "a", "weight": 80}, {"serviceName": "b", "weight": 20}
    assert graph({"root": node(first, second, kind="Splitter")}) == []
    assert graph({"root": node(first, kind="Splitter")}) == [
        "spec.nodes.root.steps: the weights are 80 together. Make them 100."
    ]
    assert graph({"root": node(first, {"serviceName": "b"}, kind="Splitter")}) == [
        "spec.nodes.root.steps[1].weight: it is missing. Write the percentage of requests."
    ]
    negative = [{"serviceName": "a", "weight": 120}, {"serviceName": "b", "weight": -20}]
    assert len(graph({"root": node(*negative, kind="Splitter")})) == 1


def test_a_step_leads_to_a_node_that_is_there() -> None:
    assert graph({"root": node({"nodeName": "bread"}), "breed": node({"serviceName": "a"})}) == [
        'spec.nodes.root.steps[0].nodeName: there is no node "bread". Did you mean breed?'
    ]
    assert len(graph({"root": node()})) == 1


def test_a_graph_goes_round_in_no_circle() -> None:
    def leads(*names: str) -> dict[str, Any]:
        return node(*({"nodeName": name} for name in names))

    end = node({"serviceName": "x"})
    assert graph({"root": leads("a", "b"), "a": leads("b", "c"), "b": leads("c"), "c": end}) == []
    assert graph({"root": leads("a"), "a": leads("b"), "b": leads("c", "a"), "c": end}) == [
        "spec.nodes: a -> b -> a goes round in a circle. Take one of these steps out."
    ]
    assert len(graph({"root": leads("root")})) == 1
    chain = {f"n{index}": leads(f"n{index + 1}") for index in range(5_000)}
    assert graph({"root": leads("n0"), **chain, "n5000": end}) == []


def test_the_routers_of_a_graph_are_counted_from_zero() -> None:
    nodes = {"root": node({"serviceName": "a"})}
    assert graph(nodes, minReplicas=0, maxReplicas=1) == []
    assert len(graph(nodes, minReplicas=-1)) == 1
    assert len(graph(nodes, minReplicas=3, maxReplicas=2)) == 1
