from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead_apiserver_tests.manifests import APPS, Manifest, deployment

if TYPE_CHECKING:
    from fairlead_apiserver.cluster import Cluster
    from fairlead_apiserver.server import ApiServer


def conditions(given: Manifest) -> dict[str, str]:
    return {each["type"]: each["status"] for each in given["status"]["conditions"]}


def test_a_deployment_rolls_out(cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace, replicas=2))
    given = cluster.roll_out(namespace, "one")
    status = given["status"]
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (2, 2, 2)
    assert status["observedGeneration"] == given["metadata"]["generation"] == 1
    assert conditions(given) == {"Available": "True", "Progressing": "True"}
    assert given["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    pods = cluster.list("v1", "Pod", namespace, labelSelector="app=one")
    assert {each["status"]["phase"] for each in pods} == {"Running"}
    (owner,) = pods[0]["metadata"]["ownerReferences"]
    replica_set = cluster.read(APPS, "ReplicaSet", owner["name"], namespace)
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == given["metadata"]["uid"]


def test_a_deployment_is_not_available_before_its_pods_are_ready(cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace, replicas=1))
    given = cluster.roll_out(namespace, "one", ready=0)
    assert given["status"]["unavailableReplicas"] == 1
    assert "readyReplicas" not in given["status"]
    assert conditions(given) == {"Available": "False", "Progressing": "True"}
    assert conditions(cluster.roll_out(namespace, "one"))["Available"] == "True"


def test_a_second_revision_replaces_the_first(cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace))
    cluster.roll_out(namespace, "one")
    containers = [{"name": "main", "image": "registry.invalid/main:2"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    cluster.patch(APPS, "Deployment", "one", patch, namespace)
    given = cluster.roll_out(namespace, "one")
    assert given["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert given["status"]["observedGeneration"] == 2

    def left() -> bool:
        pods = cluster.list("v1", "Pod", namespace)
        return [each["spec"]["containers"][0]["image"] for each in pods] == ["registry.invalid/main:2"]

    cluster.eventually(left)


def test_a_container_fails(cluster: Cluster, namespace: str) -> None:
    given = deployment(namespace)
    given["spec"]["template"]["spec"]["initContainers"] = [{"name": "fetch", "image": "registry.invalid/fetch:1"}]
    cluster.create(given)
    cluster.roll_out(namespace, "one", ready=0)
    (pod,) = cluster.list("v1", "Pod", namespace)
    name = pod["metadata"]["name"]
    failed = cluster.fail_pod(namespace, name, container="fetch", exit_code=3, message="no such bucket")
    (state,) = failed["status"]["initContainerStatuses"]
    ended = state["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "no such bucket")
    failed = cluster.fail_pod(namespace, name, waiting="CrashLoopBackOff", message="back-off", restarts=4)
    (state,) = failed["status"]["containerStatuses"]
    assert state["state"]["waiting"] == {"reason": "CrashLoopBackOff", "message": "back-off"}
    assert (state["restartCount"], state["lastState"]["terminated"]["exitCode"]) == (4, 1)


def test_what_belongs_to_a_deployment_goes_with_it(cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace))
    cluster.roll_out(namespace, "one")
    cluster.delete(APPS, "Deployment", "one", namespace, propagationPolicy="Background")
    cluster.eventually(lambda: not cluster.list(APPS, "ReplicaSet", namespace))
    cluster.eventually(lambda: not cluster.list("v1", "Pod", namespace))


def test_a_roll_out_fails_for_a_reason(apiserver: ApiServer, cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace))
    given = cluster.roll_out(namespace, "one", ready=0, reason="ProgressDeadlineExceeded")
    progress = next(each for each in given["status"]["conditions"] if each["type"] == "Progressing")
    assert (progress["status"], progress["reason"]) == ("False", "ProgressDeadlineExceeded")
