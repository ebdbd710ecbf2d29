"""Differences: what is asked for is compared, and what others added is left alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fairlead_operator.differences import DIGEST, covers, marked, projected

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "iris-predictor", "namespace": "default", "labels": {"app": "isvc.iris-predictor"}},
    "spec": {
        "selector": {"matchLabels": {"app": "isvc.iris-predictor"}},
        "template": {
            "metadata": {"labels": {"app": "isvc.iris-predictor"}},
            "spec": {
                "securityContext": {},
                "containers": [
                    {
                        "name": "kserve-container",
                        "image": "server:1",
                        "args": ["--a", "--b"],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
                        "ports": [{"containerPort": 8080, "name": "http1"}],
                        "resources": {"requests": {"cpu": "1000m", "memory": "1Gi"}},
                    }
                ],
            },
        },
    },
}


def live(**changes: Any) -> dict[str, Any]:
    """The Deployment as a server has it: with defaults, and what others added."""
    found = copy.deepcopy(DEPLOYMENT)
    found["metadata"] |= {"uid": "1", "generation": 4}
    found["spec"]["replicas"] = 3
    pod = found["spec"]["template"]["spec"]
    del pod["securityContext"]
    container = pod["containers"][0]
    container["resources"]["requests"]["cpu"] = "1"
    container["ports"][0]["protocol"] = "TCP"
    container["env"][1].pop("value")
    container["env"].append({"name": "INJECTED", "value": "x"})
    pod["containers"].insert(0, {"name": "mesh", "image": "proxy"})
    container.update(changes)
    return found


def test_defaults_of_the_server_and_what_others_added_are_no_difference() -> None:
    assert covers(live(), DEPLOYMENT)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "server:2"},
        {"args": ["--b", "--a"]},
        {"args": ["--a", "--b", "--c"]},
        {"args": None},
        {"env": [{"name": "A", "value": "1"}]},
        {"env": [{"name": "A", "value": "2"}, {"name": "B"}]},
        {"resources": {"requests": {"cpu": "2", "memory": "1Gi"}}},
        {"resources": {"requests": {"cpu": "1"}}},
        {"ports": [{"containerPort": 8081, "name": "http1", "protocol": "TCP"}]},
        {"ports": [{"containerPort": 8080, "name": "http1", "protocol": "UDP"}]},
    ],
)
def test_what_is_asked_for_and_is_not_there_is_a_difference(change: dict[str, Any]) -> None:
    assert not covers(live(**change), DEPLOYMENT)


def test_a_field_that_is_not_asked_for_any_more_changes_the_digest() -> None:
    fewer = copy.deepcopy(DEPLOYMENT)
    del fewer["spec"]["template"]["spec"]["containers"][0]["env"][1]
    known = {**live(), "metadata": marked(DEPLOYMENT)["metadata"]}
    assert covers(known, marked(DEPLOYMENT))
    assert not covers(known, marked(fewer))


def test_the_digest_is_that_of_the_content_whatever_the_order() -> None:
    turned = dict(reversed(DEPLOYMENT.items()))
    assert marked(turned)["metadata"]["annotations"][DIGEST] == marked(DEPLOYMENT)["metadata"]["annotations"][DIGEST]


def test_what_a_server_makes_of_an_object_is_the_same_until_somebody_changes_it() -> None:
    wanted = {"spec": {"rules": [{"path": "/a"}], "env": [{"name": "A", "value": "1"}]}}
    made = {"spec": {"rules": [{"path": "/a", "type": "Prefix"}], "env": [{"name": "Z"}, {"name": "A", "value": "01"}]}}
    assert not covers(made, wanted)
    again = copy.deepcopy(made)
    again["spec"]["env"].append({"name": "Y", "value": "others add"})
    assert projected(again, wanted) == projected(made, wanted)
    again["spec"]["env"][1]["value"] = "2"
    assert projected(again, wanted) != projected(made, wanted)
