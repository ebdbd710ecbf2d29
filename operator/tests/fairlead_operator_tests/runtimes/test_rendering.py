"""Runtimes as manifests: every one is valid, alone and beside the others."""

from __future__ import annotations

from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from fairlead import errors
from fairlead.api.servingruntime import ClusterServingRuntime
from fairlead.plugins import Plugins
from fairlead.resolve import server_types, validation
from fairlead_operator.runtimes import images, rendering
from fairlead_operator_tests.golden import VERSION

PLUGINS: Final = Plugins.discover()
RENDERED: Final = {each["metadata"]["name"]: each for each in rendering.render(PLUGINS)}
PARSED: Final = {name: ClusterServingRuntime.parse(each) for name, each in RENDERED.items()}
IMAGES: Final = list(images.texts())

every_runtime = pytest.mark.parametrize("name", RENDERED)
every_image = pytest.mark.parametrize("name", IMAGES)


def container(name: str) -> dict[str, Any]:
    (found,) = RENDERED[name]["spec"]["containers"]
    return dict(found)


def test_there_is_one_runtime_for_each_plugin_and_each_image() -> None:
    assert set(RENDERED) == {*(f"fairlead-{name}" for name in PLUGINS.runtimes()), *IMAGES}
    assert [f"kserve-{each}" for each in ("mlserver", "openvino", *_LAST)] == IMAGES


_LAST: Final = ("tensorflow-serving", "torchserve", "tritonserver", "vllmserver")


@every_image
def test_a_file_is_named_for_its_runtime(name: str) -> None:
    assert yaml.safe_load(images.texts()[name])["metadata"]["name"] == name


@every_runtime
def test_a_runtime_is_valid_beside_all_others(name: str) -> None:
    validation.validate_runtime(PARSED[name], list(PARSED.values()))
    assert PARSED[name].manifest() == RENDERED[name]


@every_runtime
def test_the_pod_of_a_runtime_is_one_that_kubernetes_takes(name: str) -> None:
    spec = {key: value for key, value in RENDERED[name]["spec"].items() if key in ("containers", "volumes")}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "m"}, "spec": spec}
    kubernetes_validate.validate(pod, VERSION, strict=True)


@every_runtime
def test_requests_go_to_port_8080_and_to_grpc_beside_it(name: str) -> None:
    first, *others = container(name)["ports"]
    assert (first["containerPort"], first["name"]) == (8080, "http1")
    speaks_grpc = any(each.startswith("grpc") for each in PARSED[name].spec.protocol_versions or ())
    assert [each["name"] for each in others] == ["h2c"] * (speaks_grpc or name == "kserve-mlserver")


@every_runtime
def test_nobody_gains_privileges_in_a_runtime(name: str) -> None:
    context = container(name)["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    as_root = {"kserve-tensorflow-serving", "kserve-vllmserver"}
    assert context.get("runAsNonRoot", False) is (name not in as_root)


@every_runtime
def test_a_runtime_requests_what_it_is_limited_to(name: str) -> None:
    resources = container(name)["resources"]
    assert resources["requests"] == resources["limits"] == {"cpu": "1", "memory": "2Gi"}


@every_image
def test_an_image_has_a_version(name: str) -> None:
    assert container(name)["image"].rpartition(":")[2] not in ("", "latest")


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("kserve-mlserver", "mlserver"),
        ("kserve-openvino", "ovms"),
        ("kserve-tensorflow-serving", "tensorflow-serving"),
        ("kserve-torchserve", "torchserve"),
        ("kserve-tritonserver", "tritonserver"),
        ("kserve-vllmserver", "vllmserver"),
    ],
)
def test_a_runtime_says_which_server_is_in_its_image(name: str, server: str) -> None:
    assert server_types.server_type(PARSED[name]) == server
    assert RENDERED[name]["metadata"]["annotations"] == {server_types.ANNOTATION: server}


@pytest.mark.parametrize("only", ["sklearn", "fairlead-sklearn"])
def test_one_runtime_is_rendered_by_its_name_or_its_plugins(only: str) -> None:
    assert list(yaml.safe_load_all(rendering.rendered(only, PLUGINS))) == [RENDERED["fairlead-sklearn"]]


def test_all_are_rendered_when_none_is_named() -> None:
    assert list(yaml.safe_load_all(rendering.rendered(None, PLUGINS))) == list(RENDERED.values())


def test_a_runtime_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"no runtime 'nothing'.*kserve-tritonserver"):
        rendering.rendered("nothing", PLUGINS)
