"""A runtime's containers and pod with those of an InferenceService over them."""

from __future__ import annotations

import copy
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from fairlead.resolve import merge


def test_args_are_concatenated_and_the_command_is_replaced() -> None:
    merged = merge.container({"command": ["a"], "args": ["--x"]}, {"command": ["b", "c"], "args": ["--y"]})
    assert merged == {"command": ["b", "c"], "args": ["--x", "--y"]}


def test_args_of_one_side_alone_stay() -> None:
    assert merge.container({"args": ["--x"]}, {})["args"] == ["--x"]
    assert merge.container({}, {"args": ["--y"]})["args"] == ["--y"]


@pytest.mark.parametrize(
    ("field", "base", "over", "expected"),
    [
        (
            "env",
            [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            [{"name": "C", "value": "3"}, {"name": "A", "value": "9"}],
            [{"name": "A", "value": "9"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
        ),
        (
            "volumeMounts",
            [{"name": "a", "mountPath": "/x", "readOnly": True}],
            [{"name": "b", "mountPath": "/x"}, {"name": "a", "mountPath": "/y"}],
            [{"name": "b", "mountPath": "/x", "readOnly": True}, {"name": "a", "mountPath": "/y"}],
        ),
        (
            "ports",
            [{"containerPort": 80, "name": "http1"}],
            [{"containerPort": 80, "protocol": "TCP", "name": "h2c"}, {"containerPort": 80, "protocol": "UDP"}],
            [{"containerPort": 80, "protocol": "TCP", "name": "h2c"}, {"containerPort": 80, "protocol": "UDP"}],
        ),
        ("envFrom", [{"prefix": "a"}], [{"prefix": "b"}], [{"prefix": "b"}]),
        (
            "resources",
            {"limits": {"cpu": "1", "memory": "2Gi"}},
            {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}},
            {"limits": {"cpu": "2", "memory": "2Gi"}, "requests": {"cpu": "1"}},
        ),
        (
            "securityContext",
            {"runAsUser": 1, "capabilities": {"drop": ["ALL"]}},
            {"capabilities": {"drop": ["NET_RAW"]}},
            {"runAsUser": 1, "capabilities": {"drop": ["NET_RAW"]}},
        ),
        ("image", "a", "", "a"),
        ("command", ["a"], [], ["a"]),
    ],
)
def test_lists_and_objects_of_a_container_merge_as_in_kubernetes(
    field: str, base: Any, over: Any, expected: Any
) -> None:
    assert merge.container({field: base}, {field: over}) == {field: expected}


def test_an_empty_name_keeps_that_of_the_runtime() -> None:
    assert merge.container({"name": "kserve-container"}, {"name": ""}) == {"name": "kserve-container"}


@pytest.mark.parametrize(("lower", "upper"), [("value", "valueFrom"), ("valueFrom", "value")])
def test_a_variable_has_a_value_or_a_source_and_the_upper_form_wins(lower: str, upper: str) -> None:
    forms: dict[str, Any] = {"value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    merged = merge.container(
        {"env": [{"name": "A", lower: forms[lower]}]}, {"env": [{"name": "A", upper: forms[upper]}]}
    )
    assert merged == {"env": [{"name": "A", upper: forms[upper]}]}


def test_a_variable_may_become_empty() -> None:
    merged = merge.container({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": ""}]})
    assert merged == {"env": [{"name": "A", "value": ""}]}


def test_a_probe_has_one_way_to_ask() -> None:
    base = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}}
    assert merge.container(base, {"readinessProbe": {"tcpSocket": {"port": 81}}}) == {
        "readinessProbe": {"tcpSocket": {"port": 81}, "periodSeconds": 5}
    }
    assert merge.container(base, {"readinessProbe": {"httpGet": {"port": 81}, "timeoutSeconds": 1}}) == {
        "readinessProbe": {"httpGet": {"path": "/", "port": 81}, "periodSeconds": 5, "timeoutSeconds": 1}
    }


def test_pods_merge_by_the_keys_of_their_lists() -> None:
    base = {
        "nodeSelector": {"a": "1", "b": "1"},
        "volumes": [{"name": "x", "emptyDir": {}}, {"name": "y", "emptyDir": {}}],
        "imagePullSecrets": [{"name": "s"}],
        "tolerations": [{"key": "a"}],
        "affinity": {"nodeAffinity": {"a": [1]}, "podAffinity": {"b": 1}},
        "schedulerName": "theirs",
    }
    over = {
        "nodeSelector": {"b": "2"},
        "volumes": [{"name": "y", "configMap": {"name": "c"}}, {"name": "z", "emptyDir": {}}],
        "imagePullSecrets": [{"name": "t"}, {"name": "s"}],
        "tolerations": [{"key": "b"}],
        "affinity": {"nodeAffinity": {"a": [2]}},
        "serviceAccountName": "reader",
    }
    assert merge.pod(base, over) == {
        "nodeSelector": {"a": "1", "b": "2"},
        "volumes": [
            {"name": "x", "emptyDir": {}},
            {"name": "y", "configMap": {"name": "c"}},
            {"name": "z", "emptyDir": {}},
        ],
        "imagePullSecrets": [{"name": "s"}, {"name": "t"}],
        "tolerations": [{"key": "b"}],
        "affinity": {"nodeAffinity": {"a": [2]}, "podAffinity": {"b": 1}},
        "schedulerName": "theirs",
        "serviceAccountName": "reader",
    }


def test_containers_of_one_name_in_two_pods_merge() -> None:
    merged = merge.pod(
        {"initContainers": [{"name": "i", "args": ["a"], "image": "x"}]},
        {"initContainers": [{"name": "i", "args": ["b"]}]},
    )
    assert merged == {"initContainers": [{"name": "i", "args": ["a", "b"], "image": "x"}]}


names = st.sampled_from(["A", "B", "C"])
variables = st.lists(
    st.fixed_dictionaries({"name": names, "value": st.text(max_size=3)}),
    max_size=3,
    unique_by=lambda each: each["name"],
)
blocks = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("c"),
        "env": variables,
        "args": st.lists(st.text(max_size=3), max_size=2),
        "image": st.sampled_from(["a", "b"]),
        "resources": st.fixed_dictionaries({"limits": st.dictionaries(names, st.integers(0, 3), max_size=2)}),
    },
)


@hypothesis.given(base=blocks, over=blocks)
def test_a_merge_changes_neither_side_and_keeps_what_the_upper_one_says(base: Any, over: Any) -> None:
    before = copy.deepcopy((base, over))
    merged = merge.container(base, over)
    assert (base, over) == before
    assert {each["name"]: each["value"] for each in merged.get("env", [])} == {
        each["name"]: each["value"] for side in (base, over) for each in side.get("env", [])
    }
    assert merged.get("args", []) == [*base.get("args", []), *over.get("args", [])]
    assert merged.get("image") == over.get("image", base.get("image"))


@hypothesis.given(block=blocks)
def test_a_merge_with_nothing_changes_nothing_that_is_said(block: Any) -> None:
    said = {key: value for key, value in block.items() if value or key == "resources"}
    kept = {key: value for key, value in merge.container(block, {}).items() if value or key == "resources"}
    assert kept == said
    assert {key: value for key, value in merge.container({}, block).items() if value} == {
        key: value for key, value in said.items() if value
    }
