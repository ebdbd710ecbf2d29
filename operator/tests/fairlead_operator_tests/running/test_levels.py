"""What the cluster, a namespace and a service say of the configuration, and who wins."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator_tests.running.services import HOME, isvc

if TYPE_CHECKING:
    from fairlead_apiserver.cluster import Cluster
    from fairlead_operator_tests.running.services import Services

CONFIG_MAP = "inferenceservice-config"


def rollout(surge: str) -> dict[str, Any]:
    return {"deploymentRolloutStrategy": {"defaultRollout": {"maxSurge": surge, "maxUnavailable": "0"}}}


@contextlib.contextmanager
def configured(cluster: Cluster, **keys: Any) -> Iterator[None]:
    """The cluster with a ConfigMap of the operator."""
    data = {key: json.dumps(value) for key, value in keys.items()}
    metadata = {"name": CONFIG_MAP, "namespace": HOME}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, force=True)
    try:
        yield
    finally:
        cluster.delete("v1", "ConfigMap", CONFIG_MAP, HOME)


def surges(services: Services, surge: int | str) -> None:
    services.becomes(
        "Deployment", "iris-predictor", lambda each: each["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == surge
    )


def test_the_nearest_level_wins_and_each_gives_way_when_it_goes(services: Services) -> None:
    annotation = "config.fairlead.io/deploy.deploymentRolloutStrategy.defaultRollout.maxSurge"
    services.declare(isvc("iris"))
    surges(services, "25%")
    with configured(services.cluster, deploy=rollout("10%")):
        surges(services, "10%")
        services.configure(deploy=rollout("20%"))
        surges(services, "20%")
        services.change("iris", {"metadata": {"annotations": {annotation: "3"}}})
        surges(services, 3)
        services.change("iris", {"metadata": {"annotations": {annotation: None}}})
        surges(services, "20%")
        services.delete("ConfigMap", CONFIG_MAP)
        surges(services, "10%")
    surges(services, "25%")


def test_a_service_says_by_annotations_how_requests_come_to_it(foreign_kinds: Cluster, services: Services) -> None:
    own = {"config.fairlead.io/ingress.enableGatewayApi": "true"}
    services.declare(isvc("iris", annotations=own))
    services.declare(isvc("beside"))
    services.appears("HTTPRoute", "iris")
    services.appears("Ingress", "beside")
    assert (services.names("Ingress"), services.names("HTTPRoute")) == ({"beside"}, {"iris", "iris-predictor"})


@pytest.mark.parametrize("level", ["namespace", "service"])
def test_a_mistake_is_told_with_its_place_and_the_rest_counts(services: Services, level: str) -> None:
    manifest = isvc("iris")
    if level == "namespace":
        services.configure(deploy=rollout("30%"), ingress={"ingresDomain": "example.org"})
    else:
        services.configure(deploy=rollout("30%"))
        manifest["metadata"]["annotations"] = {"config.fairlead.io/ingress.ingresDomain": "example.org"}
    services.declare(manifest)
    surges(services, "30%")
    said = services.condition("iris", "ConfigurationReady", "False", "InvalidConfiguration")
    assert "ingress.ingresDomain" in said["message"]
    assert "ingressDomain" in said["message"].replace("ingresDomain", "")
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")


def test_what_the_cluster_does_not_let_be_laid_over_stays(services: Services) -> None:
    with configured(services.cluster, fairlead={"overrides": {"namespace": ["ingress.*"], "service": []}}):
        services.configure(deploy=rollout("30%"))
        services.declare(isvc("iris"))
        services.condition("iris", "ConfigurationReady", "False")
        surges(services, "25%")
    surges(services, "30%")
    services.status("iris", lambda each: "ConfigurationReady" not in {it["type"] for it in each["conditions"]})
