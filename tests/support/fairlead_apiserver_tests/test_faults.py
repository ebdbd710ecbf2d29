"""What only the server in memory does: fail when it is told to, and tell what it was asked."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver.faults import RESET
from fairlead_apiserver_tests.manifests import config

if TYPE_CHECKING:
    from fairlead_apiserver.server import ApiServer


@pytest.mark.parametrize(
    ("code", "reason"), [(409, "Conflict"), (410, "Expired"), (429, "TooManyRequests"), (500, "InternalError")]
)
def test_requests_fail_as_often_as_planned(
    apiserver: ApiServer, cluster: Cluster, namespace: str, code: int, reason: str
) -> None:
    apiserver.fail({"verb": "create", "resource": "configmaps"}, code, times=2)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            cluster.create(config(namespace))
        assert (refused.value.code, refused.value.reason) == (code, reason)
    cluster.create(config(namespace))


def test_a_failure_says_when_to_come_back(apiserver: ApiServer, cluster: Cluster, namespace: str) -> None:
    apiserver.fail(lambda record: record.verb == "list", 429, retry_after=7)
    with pytest.raises(Refused) as refused:
        cluster.list("v1", "ConfigMap", namespace)
    assert refused.value.status["details"] == {"retryAfterSeconds": 7}


def test_a_connection_is_cut(apiserver: ApiServer, cluster: Cluster, namespace: str) -> None:
    apiserver.fail({"verb": "create"}, RESET)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        cluster.create(config(namespace))
    assert cluster.get("v1", "ConfigMap", "one", namespace) is None
    cluster.create(config(namespace))


def test_requests_are_told_in_order(apiserver: ApiServer, cluster: Cluster, namespace: str) -> None:
    cluster.create(config(namespace))
    cluster.get("v1", "ConfigMap", "none", namespace)
    first, second = apiserver.requests[-2:]
    assert (first.verb, first.group, first.resource, first.namespace, first.name) == (
        "create",
        "",
        "configmaps",
        namespace,
        "one",
    )
    assert (first.user, first.code, first.agent) == ("kubernetes-admin", 201, "fairlead-tests/1")
    assert (second.verb, second.name, second.code) == ("get", "none", 404)


def test_requests_wait_while_they_are_held(apiserver: ApiServer, cluster: Cluster, namespace: str) -> None:
    thread = threading.Thread(target=cluster.create, args=(config(namespace),))
    with apiserver.hold({"verb": "create"}) as waiting:
        thread.start()
        cluster.eventually(lambda: waiting() == 1)
        assert cluster.get("v1", "ConfigMap", "one", namespace) is None
    thread.join(10)
    assert cluster.get("v1", "ConfigMap", "one", namespace) is not None


def test_a_user_of_a_kubeconfig_has_what_roles_give(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    robot = Cluster(apiserver.kubeconfig(tmp_path / "robot", user="robot"))
    with pytest.raises(Refused, match='User "robot" cannot list resource "configmaps"'):
        robot.list("v1", "ConfigMap", namespace)


def test_a_page_after_the_past_is_forgotten_is_gone(apiserver: ApiServer, cluster: Cluster, namespace: str) -> None:
    for name in ("one", "two", "three"):
        cluster.create(config(namespace, name))
    path = cluster.path("v1", "ConfigMap", namespace)
    token = cluster.request("GET", path, query={"limit": 1})["metadata"]["continue"]
    apiserver.compact()
    with pytest.raises(Refused, match="continue parameter is too old") as refused:
        cluster.request("GET", path, query={"limit": 1, "continue": token})
    assert (refused.value.code, refused.value.reason) == (410, "Expired")
