"""The chart: with its own values it installs what kustomize does, and each value does what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
import yaml

from fairlead_operator_tests import golden
from fairlead_operator_tests.manifests import folders, templates

SCHEMA: Final = json.loads((folders.CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES: Final[list[dict[str, Any]]] = [
    {},
    {"webhooks": {"enabled": False}},
    {"namespaces": ["red", "blue"]},
    {
        "image": {"repository": "registry.example/fairlead/operator", "tag": "1.2.3", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "replicas": 1,
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi", "cpu": "1"}},
        "configuration": {"deploy": '{"defaultDeploymentMode": "Standard"}'},
        "runtimes": ["kserve-openvino"],
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "priorityClassName": "high",
    },
]
Objects = dict[tuple[str, str, str], dict[str, Any]]


def installed(values: dict[str, Any] | None = None, namespace: str = "fairlead") -> Objects:
    """The objects of the chart, by their identity."""
    jsonschema_rs.validate(SCHEMA, values or {})
    files = templates.rendered(folders.CHART, values, namespace)
    found = [each for name, text in files.items() if name.endswith(".yaml") for each in folders.parsed(text)]
    objects = {folders.identity(each): each for each in found}
    assert len(objects) == len(found)
    return objects


def built(overlay: str) -> Objects:
    """The objects of an overlay and of the runtimes, without what Helm has other ways for."""
    both = [*folders.objects(folders.OVERLAYS[overlay]), *folders.objects(folders.OVERLAYS["runtimes"])]
    return {
        folders.identity(each): each for each in both if each["kind"] not in ("CustomResourceDefinition", "Namespace")
    }


def operator(objects: Objects, namespace: str = "fairlead") -> dict[str, Any]:
    pod: dict[str, Any] = objects["Deployment", namespace, "fairlead-operator"]["spec"]["template"]["spec"]
    return pod


def test_the_chart_installs_what_kustomize_does() -> None:
    assert installed() == built("default")


def test_the_chart_without_webhooks_installs_what_kustomize_does() -> None:
    assert installed({"webhooks": {"enabled": False}}) == built("without-webhooks")


def test_the_chart_for_a_namespace_installs_what_kustomize_does() -> None:
    assert installed({"namespaces": ["models"]}) == built("namespaced")


def test_the_chart_has_the_definitions_of_the_kinds() -> None:
    made = {path.name: path.read_text(encoding="utf-8") for path in (folders.CHART / "crds").iterdir()}
    there = {path.name: path.read_text(encoding="utf-8") for path in (folders.MANIFESTS / "crd").iterdir()}
    assert made == {name: text for name, text in there.items() if name != "kustomization.yaml"}


def test_everything_is_in_the_namespace_of_the_release() -> None:
    objects = installed(namespace="elsewhere")
    assert {namespace for _, namespace, _ in objects} == {"elsewhere", ""}
    assert '"namespace": "fairlead"' not in json.dumps(list(objects.values()))


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_what_is_installed_is_valid(values: dict[str, Any]) -> None:
    for each in installed(values).values():
        golden.valid(each)


def test_each_namespace_has_a_binding_of_its_own() -> None:
    objects = installed({"namespaces": ["red", "blue"]})
    bound = {identity for identity in objects if identity[2] == "fairlead-operator-services"}
    kinds = {("RoleBinding", "red"), ("RoleBinding", "blue"), ("ClusterRole", "")}
    assert {identity[:2] for identity in bound} == kinds
    assert operator(objects)["containers"][0]["args"][-3:] == ["--no-webhooks", "--namespace=red", "--namespace=blue"]


def test_values_reach_the_deployment() -> None:
    objects = installed(VALUES[-1])
    pod = operator(objects)
    (container,) = pod["containers"]
    assert container["image"] == "registry.example/fairlead/operator:1.2.3"
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"] == VALUES[-1]["resources"]
    assert {key: pod[key] for key in ("imagePullSecrets", "nodeSelector", "tolerations", "priorityClassName")} == {
        key: VALUES[-1][key] for key in ("imagePullSecrets", "nodeSelector", "tolerations", "priorityClassName")
    }
    assert objects["Deployment", "fairlead", "fairlead-operator"]["spec"]["replicas"] == 1


def test_a_key_of_the_configuration_is_replaced_and_the_others_stay() -> None:
    identity = ("ConfigMap", "fairlead", "inferenceservice-config")
    shipped, changed = (objects[identity]["data"] for objects in (installed(), installed(VALUES[-1])))
    assert changed == {**shipped, **VALUES[-1]["configuration"]}


def test_runtimes_are_those_that_are_named() -> None:
    names = {name for kind, _, name in installed(VALUES[-1]) if kind == "ClusterServingRuntime"}
    assert names == {"kserve-openvino"}
    assert not any(kind == "ClusterServingRuntime" for kind, _, _ in installed({"runtimes": []}))


def test_the_placeholders_of_runtimes_are_left_to_the_operator() -> None:
    runtime = installed()["ClusterServingRuntime", "", "kserve-vllmserver"]
    assert "--served-model-name={{.Name}}" in runtime["spec"]["containers"][0]["args"]


def test_a_runtime_that_the_chart_lacks_is_told() -> None:
    with pytest.raises(templates.TemplateError, match="There is no runtime kserve-nothing in this chart"):
        installed({"runtimes": ["kserve-nothing"]})


@pytest.mark.parametrize(
    "values",
    [{"replica": 2}, {"image": {"name": "x"}}, {"namespaces": "models"}, {"configuration": {"deploy": {}}}],
    ids=str,
)
def test_a_value_that_the_chart_does_not_know_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        installed(values)


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_helm_makes_the_same_of_the_chart(values: dict[str, Any], tmp_path: Path) -> None:
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("there is no helm; the templates are filled in by a reader of our own")
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [
        helm,
        "template",
        "fairlead",
        str(folders.CHART),
        "--namespace",
        "fairlead",
        "--values",
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {folders.identity(each): each for each in folders.parsed(done.stdout)} == installed(values)
