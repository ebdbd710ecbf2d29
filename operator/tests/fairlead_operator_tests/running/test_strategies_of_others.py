"""A strategy that somebody else publishes: it scales by objects of a kind that no manifest of the operator names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead import Autoscaler, AutoscalerMode, AutoscalerSpec, Decision, MetricsWindow, ObjectKind, ScalingSpec
from fairlead.plugins import Plugins
from fairlead_apiserver import ApiServer, Cluster, foreign
from fairlead_operator.catalogues import Installed
from fairlead_operator.desired.model import Strategy
from fairlead_operator_tests.manifests import folders, permissions
from fairlead_operator_tests.running import shapes
from fairlead_operator_tests.running.operating import operating
from fairlead_operator_tests.running.services import Services, isvc, runtime

if TYPE_CHECKING:
    from pathlib import Path

GROUP: Final = "balloons.example"
VERSION: Final = f"{GROUP}/v1"
PLURAL: Final = "balloonery"
HOME: Final = permissions.ACCOUNT[0]
USER: Final = ":".join(("system:serviceaccount", *permissions.ACCOUNT))


class Balloons(Autoscaler):
    """Has a Balloon scale."""

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        raise NotImplementedError

    def manifests(self, spec: ScalingSpec, target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        name = target["metadata"]["name"]
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        told = {"scaleTargetRef": reference, "most": spec.max_replicas}
        return [{"apiVersion": VERSION, "kind": "Balloon", "metadata": {"name": name}, "spec": told}]


def strategy(kind: str = "Balloon") -> Strategy:
    spec = AutoscalerSpec(
        name="balloons",
        factory="balloons:Balloons",
        modes=frozenset({AutoscalerMode.DELEGATES}),
        kinds=(ObjectKind(api_version=VERSION, kind=kind, plural=PLURAL),),
    )
    return Strategy(spec, Balloons())


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def services(server: ApiServer, tmp_path: Path) -> Iterator[Services]:
    """A cluster that serves Balloons, where an operator with the strategy has the rules of its manifests alone."""
    cluster = Cluster(server.kubeconfig(tmp_path / "admin"))
    folders.apply(cluster, "without-webhooks")
    cluster.install(foreign.defined("Balloon", GROUP, "v1", PLURAL))
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}})
    cluster.create(runtime("tests-sklearn"))
    found = Installed.discover(Plugins.discover())
    installed = dataclasses.replace(found, strategies={**found.strategies, "balloons": strategy()})
    with operating(server.kubeconfig(tmp_path / "operator", user=USER), installed, namespace=HOME):
        yield Services(cluster, "models")


def permit(cluster: Cluster) -> None:
    """Let the operator have Balloons, as its documentation says."""
    verbs = ["get", "list", "watch", "create", "patch", "delete"]
    metadata = {"name": "fairlead-operator-balloons"}
    api = "rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [GROUP], "resources": [PLURAL], "verbs": verbs}]
    cluster.create({"apiVersion": api, "kind": "ClusterRole", "metadata": metadata, "rules": rules})
    account = {"kind": "ServiceAccount", "namespace": HOME, "name": permissions.ACCOUNT[1]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **metadata}
    binding = {"metadata": metadata, "roleRef": role, "subjects": [account]}
    cluster.create({"apiVersion": api, "kind": "ClusterRoleBinding", **binding})


def balloon(services: Services) -> dict[str, Any] | None:
    return services.cluster.get(VERSION, "Balloon", "iris-predictor", "models")


def heal(services: Services) -> None:
    """Change a Balloon as no one should, and wait until it is what it was."""
    services.cluster.patch(VERSION, "Balloon", "iris-predictor", {"spec": {"most": 1}}, "models")
    services.cluster.eventually(lambda: (balloon(services) or {"spec": {}})["spec"].get("most") == 7)


def test_its_objects_are_made_and_healed_and_deleted_when_another_takes_over(services: Services) -> None:
    permit(services.cluster)
    services.declare(shapes.scaled("iris", "balloons", maxReplicas=7))
    eventually = services.cluster.eventually
    assert (eventually(lambda: balloon(services)) or {})["spec"]["most"] == 7
    heal(services)
    services.cluster.delete(VERSION, "Balloon", "iris-predictor", "models")
    eventually(lambda: balloon(services))
    services.annotate("iris", autoscalerClass="hpa")
    services.appears("HorizontalPodAutoscaler", "iris-predictor")
    eventually(lambda: balloon(services) is None)


def test_without_a_rule_for_its_kind_its_services_say_so_and_others_are_served(services: Services) -> None:
    services.declare(shapes.scaled("iris", "balloons", maxReplicas=7))
    services.declare(isvc("other"))
    services.appears("HorizontalPodAutoscaler", "other-predictor")
    said = services.condition("iris", "AutoscalerReady", "False", "ObjectRefused")["message"]
    assert "403" in said
    assert "fairlead-operator" in said
    services.appears("Deployment", "iris-predictor")
    permit(services.cluster)
    services.annotate("iris", fairlead="again")
    services.cluster.eventually(lambda: balloon(services))
    heal(services)
