"""The manifests: valid, as kustomize builds them, and within the restricted standard."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any, Final

import pytest

from fairlead import api
from fairlead.resolve import catalogue, config, validation
from fairlead_operator import cli, webhooks
from fairlead_operator.configuration.fields import CONFIG_MAP
from fairlead_operator.leading import LEASE
from fairlead_operator.options import Options
from fairlead_operator_tests import golden
from fairlead_operator_tests.manifests import folders

BUILT: Final = {name: folders.objects(folder) for name, folder in folders.OVERLAYS.items()}
DISTINCT: Final = {folders.identity(each): each for found in BUILT.values() for each in found}

overlays = pytest.mark.parametrize("overlay", ["default", "without-webhooks", "namespaced"])


def one(overlay: str, kind: str, name: str = "fairlead-operator") -> dict[str, Any]:
    (found,) = (each for each in BUILT[overlay] if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def pod(overlay: str = "default") -> dict[str, Any]:
    template: dict[str, Any] = one(overlay, "Deployment")["spec"]["template"]
    return template


@pytest.mark.parametrize("identity", DISTINCT, ids=lambda each: "-".join(filter(None, each)))
def test_an_object_is_valid(identity: tuple[str, str, str]) -> None:
    golden.valid(DISTINCT[identity])


@pytest.mark.parametrize("overlay", BUILT)
def test_kubectl_builds_what_is_built_here(overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl; the manifests are built by a reader of our own")
    command = [kubectl, "kustomize", str(folders.OVERLAYS[overlay])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    made = {folders.identity(each): each for each in folders.parsed(done.stdout)}
    assert made == {folders.identity(each): each for each in BUILT[overlay]}


@pytest.mark.parametrize("overlay", BUILT)
def test_no_object_is_there_twice(overlay: str) -> None:
    found = [folders.identity(each) for each in BUILT[overlay]]
    assert len(found) == len(set(found))


def test_what_the_runtimes_folder_has_is_accepted_together() -> None:
    resources = [_parsed(each) for each in BUILT["runtimes"]]
    assert validation.check(resources, config.Config(), catalogue.Catalogue()) == []


def _parsed(manifest: dict[str, Any]) -> api.Resource:
    kinds: dict[str, type[api.Resource]] = {each.__name__: each for each in api.KINDS}
    return kinds[manifest["kind"]].parse(manifest)


def test_one_definition_is_there_for_each_kind() -> None:
    names = {each["spec"]["names"]["kind"] for each in BUILT["default"] if each["kind"] == "CustomResourceDefinition"}
    assert names == {each.__name__ for each in api.KINDS}


# -- the operator's pods ----------------------------------------------------------------------------------


@overlays
def test_the_pods_keep_to_the_restricted_standard(overlay: str) -> None:
    spec = pod(overlay)["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all(set(volume) <= {"name", "emptyDir", "secret", "configMap", "projected"} for volume in spec["volumes"])
    namespace = one(overlay, "Namespace", "fairlead")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


@overlays
def test_several_replicas_stand_by_on_different_nodes(overlay: str) -> None:
    deployment = one(overlay, "Deployment")
    labels = deployment["spec"]["selector"]["matchLabels"]
    assert deployment["spec"]["replicas"] == 2
    assert labels.items() <= pod(overlay)["metadata"]["labels"].items()
    (spread,) = pod(overlay)["spec"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["labelSelector"]["matchLabels"]) == ("kubernetes.io/hostname", labels)
    assert one(overlay, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels


@pytest.mark.parametrize(
    ("overlay", "more"),
    [
        ("default", []),
        ("without-webhooks", ["--no-webhooks"]),
        ("namespaced", ["--no-webhooks", "--namespace=models"]),
    ],
)
def test_an_overlay_says_so_on_the_command_line(overlay: str, more: list[str]) -> None:
    (container,) = pod(overlay)["spec"]["containers"]
    ports = ["--webhook-port=9443", "--metrics-port=8080", "--health-port=8081"]
    assert (container["command"], container["args"]) == (["fairlead-operator"], ["run", *ports, *more])


@overlays
def test_the_command_line_is_one_that_the_operator_takes(overlay: str) -> None:
    (container,) = pod(overlay)["spec"]["containers"]
    args = cli._parser().parse_args(container["args"])
    assert (args.webhook_port, args.metrics_port, args.health_port) == (9443, 8080, 8081)
    assert (args.no_webhooks, args.namespace) == (overlay != "default", ["models"] if overlay == "namespaced" else [])


def test_names_are_those_that_the_operator_has() -> None:
    assert one("default", "Namespace", Options().namespace)
    assert one("default", "Service", Options().webhook_service)["metadata"]["namespace"] == Options().namespace
    assert one("default", "ConfigMap", CONFIG_MAP)["metadata"]["namespace"] == Options().namespace
    names = {each["metadata"]["name"]: each["rules"] for each in BUILT["default"] if each["kind"].endswith("Role")}
    assert next(rule["resourceNames"] for rule in names["fairlead-operator"] if "resourceNames" in rule) == [LEASE]
    assert names["fairlead-webhooks"][-1]["resourceNames"] == [webhooks.NAME]


def test_a_port_of_the_command_line_is_one_of_the_container() -> None:
    (container,) = pod()["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"webhooks": 9443, "metrics": 8080, "health": 8081}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}


@pytest.mark.parametrize(
    ("name", "port", "target"),
    [("fairlead-webhooks", 443, "webhooks"), ("fairlead-operator-metrics", 8080, "metrics")],
)
def test_a_service_leads_to_the_pods(name: str, port: int, target: str) -> None:
    spec = one("default", "Service", name)["spec"]
    assert [(each["port"], each["targetPort"]) for each in spec["ports"]] == [(port, target)]
    assert spec["selector"].items() <= pod()["metadata"]["labels"].items()


def test_the_api_server_reaches_the_webhooks_and_scrapers_the_metrics() -> None:
    policies = [each["spec"] for each in BUILT["default"] if each["kind"] == "NetworkPolicy"]
    assert all(each["podSelector"]["matchLabels"].items() <= pod()["metadata"]["labels"].items() for each in policies)
    opened = {rule["ports"][0]["port"]: rule.get("from") for each in policies for rule in each["ingress"]}
    assert opened == {"webhooks": None, "metrics": [{"namespaceSelector": {"matchLabels": {"metrics": "enabled"}}}]}


@pytest.mark.parametrize("overlay", ["without-webhooks", "namespaced"])
def test_nothing_is_left_of_webhooks_where_there_are_none(overlay: str) -> None:
    assert not [each for each in BUILT[overlay] if each["metadata"]["name"] == "fairlead-webhooks"]
