"""Pods as strategies see them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from fairlead import ReplicaPhase, errors
from fairlead_operator.scaling import pods
from fairlead_operator_tests.scaling.clusters import pod

STARTED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("made", "url"),
    [
        (pod(), "http://10.0.0.1:8080/metrics"),
        (pod(ip="fd00::7"), "http://[fd00::7]:8080/metrics"),
        (pod(ports=[9001]), "http://10.0.0.1:9001/metrics"),
        (pod(ports=[9001], annotations={"prometheus.kserve.io/port": "8002"}), "http://10.0.0.1:8002/metrics"),
        (pod(annotations={"prometheus.kserve.io/path": "stats"}), "http://10.0.0.1:8080/stats"),
        (pod(ip=None), None),
    ],
)
def test_metrics_are_where_the_annotations_or_the_ports_say(made: dict[str, Any], url: str | None) -> None:
    assert pods.address(made) == url


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "80/x"])
def test_a_port_that_is_none_is_an_error(port: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"prometheus\.kserve\.io/port"):
        pods.address(pod(annotations={"prometheus.kserve.io/port": port}))


@pytest.mark.parametrize(
    ("made", "phase", "ready"),
    [
        (pod(), ReplicaPhase.RUNNING, True),
        (pod(ready=False), ReplicaPhase.RUNNING, False),
        (pod(phase="Pending", ready=False), ReplicaPhase.PENDING, False),
        (pod(phase="Failed", ready=False), ReplicaPhase.FAILED, False),
        (pod(deleted=True), ReplicaPhase.STOPPING, False),
    ],
)
def test_a_pod_is_a_replica_with_a_phase(made: dict[str, Any], phase: ReplicaPhase, *, ready: bool) -> None:
    found = pods.replica(made, {})
    assert (found.name, found.phase, found.ready) == ("iris-predictor-1", phase, ready)
    assert found.started_at == (None if phase is ReplicaPhase.PENDING else STARTED)


def test_what_all_containers_request_is_added_up() -> None:
    assert pods.replica(pod(), {}).requests == {"cpu": 1.5, "memory": 3 * 2.0**30}
    assert pods.replica(pod(resources={"requests": {"cpu": "1"}}), {}).requests == {"cpu": 1.5}


def measured(*usage: dict[str, str], window: str = "30s") -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "window": window, "containers": [{"usage": each} for each in usage]}


@pytest.mark.parametrize(
    ("window", "seconds"), [("30s", 30.0), ("1m0.5s", 60.5), ("1h2m3s", 3723.0), ("250ms", 0.25), ("soon", 0.0)]
)
def test_usage_is_of_all_containers_over_the_window(window: str, seconds: float) -> None:
    found = pods.usage(
        measured({"cpu": "250m", "memory": "1Gi"}, {"cpu": "1500000n", "memory": "1Ki"}, window=window), 9.0
    )
    assert found["cpu"].value == pytest.approx(0.2515)
    assert (found["cpu"].span, found["cpu"].at) == (seconds, 9.0)
    assert (found["memory"].value, found["memory"].span) == (2.0**30 + 1024, 0.0)


def test_usage_that_lacks_a_container_is_none() -> None:
    assert set(pods.usage(measured({"cpu": "1", "memory": "1Gi"}, {"cpu": "1"}), 9.0)) == {"cpu"}
    assert pods.usage({"metadata": {"name": "x"}}, 9.0) == {}
