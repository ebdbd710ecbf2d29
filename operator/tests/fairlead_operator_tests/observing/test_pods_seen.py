"""Pods: the stage that a replica is at, and why it is not ready."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.resolve.observation import ReplicaStage
from fairlead_operator import pods_seen
from fairlead_operator_tests.observing.objects import AT, LATER, pod, running, waiting

LOST = {"reason": "Error", "exitCode": 1, "message": "s3://models/iris: there is nothing."}
FETCHED = {"name": "storage-initializer", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ({}, "pending"),
        ({"containers": [waiting("kserve-container", "ContainerCreating")]}, "pending"),
        ({"init": [waiting("storage-initializer", "PodInitializing")]}, "pending"),
        ({"init": [running("storage-initializer")]}, "fetching"),
        ({"init": [running("other")]}, "starting"),
        ({"init": [FETCHED], "containers": [running()]}, "starting"),
        ({"init": [FETCHED], "ready": LATER}, "ready"),
        ({"ready": LATER, "metadata": {"deletionTimestamp": LATER}}, "stopping"),
        ({"init": [waiting("storage-initializer", "CrashLoopBackOff", ended=LOST)]}, "failed"),
        ({"init": [{"name": "storage-initializer", "state": {"terminated": LOST}}]}, "failed"),
        ({"containers": [waiting("kserve-container", "ImagePullBackOff", "Back-off pulling x.")]}, "failed"),
        ({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}, "failed"),
    ],
)
def test_a_pod_is_at_the_stage_that_its_containers_are_at(status: dict[str, Any], stage: str) -> None:
    assert pods_seen.replica(pod(**status)).stage == stage


def test_a_model_that_cannot_be_fetched_says_why_in_the_words_of_the_initialiser() -> None:
    found = pods_seen.replica(pod(init=[waiting("storage-initializer", "CrashLoopBackOff", "back-off", LOST)]))
    assert found.fetch_failed
    assert (found.reason, found.exit_code, found.restarts) == ("CrashLoopBackOff", 1, 3)
    assert found.message == "s3://models/iris: there is nothing."


def test_an_initialiser_that_runs_once_more_is_known_to_have_failed() -> None:
    again = running("storage-initializer", restartCount=1, lastState={"terminated": LOST})
    found = pods_seen.replica(pod(init=[again]))
    assert (found.stage, found.fetch_failed, found.exit_code) == (ReplicaStage.FETCHING, True, 1)


def test_a_sidecar_that_runs_beside_the_model_does_not_count_as_initialising() -> None:
    spec = {"initContainers": [{"name": "modelcar", "restartPolicy": "Always"}]}
    found = pods_seen.replica(pod(spec=spec, init=[running("modelcar")], ready=LATER))
    assert found.stage is ReplicaStage.READY


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (
            {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu",
                    }
                ]
            },
            "Unschedulable",
            "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. Ask for less in resources, or give the cluster",
        ),
        (
            {"containers": [waiting("kserve-container", "ErrImagePull", "manifest unknown")]},
            "ErrImagePull",
            "manifest unknown. Check the name and tag of the image",
        ),
        (
            {
                "containers": [
                    waiting("kserve-container", "CrashLoopBackOff", ended={"reason": "OOMKilled", "exitCode": 137})
                ]
            },
            "CrashLoopBackOff",
            "kserve-container ended with exit code 137. It used more memory than its limit: raise",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "Low on memory"}, "Evicted", "Low on memory. Its node"),
    ],
)
def test_what_kubernetes_says_is_told_with_a_remedy(status: dict[str, Any], reason: str, said: str) -> None:
    found = pods_seen.replica(pod(**status))
    assert found.reason == reason
    assert found.message.startswith(said)


def test_the_container_of_the_model_is_told_before_those_beside_it() -> None:
    both = [waiting("agent", "ErrImagePull", "no agent"), waiting("kserve-container", "ErrImagePull", "no server")]
    assert pods_seen.replica(pod(containers=both)).message.startswith("no server")


def test_a_pod_that_was_ready_and_is_no_more_is_unready_and_one_that_starts_is_not() -> None:
    lost = {"type": "Ready", "status": "False", "lastTransitionTime": LATER}
    never = {**lost, "lastTransitionTime": AT}
    containers = [running(since=AT)]
    assert pods_seen.replica(pod(containers=containers, conditions=[lost])).stage is ReplicaStage.UNREADY
    assert pods_seen.replica(pod(containers=containers, conditions=[never])).stage is ReplicaStage.STARTING


def test_a_server_that_was_started_again_carries_how_it_ended() -> None:
    again = running(restartCount=2, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    found = pods_seen.replica(pod(containers=[again]))
    assert (found.stage, found.restarts, found.exit_code) == (ReplicaStage.STARTING, 2, 137)
