"""Predictors, transformers and explainers as they are to run."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead import errors
from fairlead.resolve import ComponentKind, ResolvedComponent
from fairlead.resolve.config import Config
from fairlead_tests.resolve import worlds
from fairlead_tests.resolve.worlds import cluster_runtime

FORMAT = {"name": "sklearn", "priority": 1}
MODEL = "model: {modelFormat: {name: sklearn}, storageUri: 'file:///m', %s}"


def predictor(text: str, runtime: Any = None, **metadata: Any) -> ResolvedComponent:
    """The predictor of a service, with one runtime in place of the plugin."""
    known = {} if runtime is None else {"plugins": {}, "cluster_runtimes": (runtime,)}
    return worlds.resolved(f"{{predictor: {{{text}}}}}", worlds.catalogue(**known), **metadata).predictor


def refused(text: str, runtime: Any = None) -> errors.Unresolvable:
    known = {} if runtime is None else {"plugins": {}, "cluster_runtimes": (runtime,)}
    with pytest.raises(errors.Unresolvable) as caught:
        worlds.resolved(text, worlds.catalogue(**known))
    return caught.value


def names(component: ResolvedComponent) -> list[str]:
    return [each["name"] for each in component.pod["containers"]]


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container.get("env", [])}


# -- models in runtimes ---------------------------------------------------------------------------------


def test_the_container_of_a_model_is_the_runtimes_with_the_services_over_it() -> None:
    found = predictor(MODEL % "args: [--workers=2], env: [{name: A, value: b}], resources: {limits: {cpu: 2}}")
    [container] = found.pod["containers"]
    assert container["args"] == [
        "--name=iris",
        "--model-dir=/mnt/models",
        "--format=sklearn",
        "--http-port=8080",
        "--grpc-port=8081",
        "--workers=2",
    ]
    assert env(container) == {"A": "b", "INFERENCE_SERVICE_NAME": "iris"}
    assert container["resources"]["limits"] == {"cpu": 2, "memory": "2Gi"}
    assert (container["name"], container["command"]) == ("kserve-container", ["fairlead", "serve"])


def test_containers_come_in_the_order_main_transformer_runtime_service() -> None:
    runtime = cluster_runtime(
        "a",
        FORMAT,
        containers=[
            {"name": "sidecar", "image": "s"},
            {"name": "transformer-container", "image": "t", "args": ["--a"]},
            {"name": "kserve-container", "image": "k"},
        ],
    )
    found = predictor(
        f"{MODEL % ''}, containers: [{{name: extra, image: e}}, {{name: transformer-container, args: [--b]}}]", runtime
    )
    assert names(found) == ["kserve-container", "transformer-container", "sidecar", "extra"]
    assert found.pod["containers"][1]["args"] == ["--a", "--b"]
    assert all(env(each)["INFERENCE_SERVICE_NAME"] == "iris" for each in found.pod["containers"])


def test_placeholders_are_rendered_in_two_containers_alone_over_the_service() -> None:
    args = {"args": ["{{.Name}}/{{.Namespace}}/{{.Labels.team}}/{{.Annotations.modelFormat}}/{{.Labels.no}}"]}
    runtime = cluster_runtime(
        "a",
        FORMAT,
        containers=[
            {"name": "kserve-container", **args},
            {"name": "transformer-container", **args},
            {"name": "sidecar", **args},
        ],
    )
    found = predictor(MODEL % "", runtime, namespace="flowers", labels={"team": "botany"})
    rendered = ["iris/flowers/botany/sklearn/<no value>"]
    assert [each["args"] for each in found.pod["containers"]] == [rendered, rendered, args["args"]]


def test_placeholders_that_are_unknown_stop_the_service() -> None:
    runtime = cluster_runtime("a", FORMAT, containers=[{"name": "kserve-container", "args": ["{{.Spec}}"]}])
    error = refused(f"{{predictor: {{{MODEL % ''}}}}}", runtime)
    assert error.condition == "InvalidPredictorSpec"
    assert "The container kserve-container of the runtime a" in error.reason


def test_a_runtime_without_the_main_container_is_refused() -> None:
    runtime = cluster_runtime("a", FORMAT, containers=[{"name": "server", "image": "x"}])
    error = refused(f"{{predictor: {{{MODEL % ''}}}}}", runtime)
    assert error.condition == "InvalidPredictorSpec"
    assert "has no container kserve-container" in error.reason


def test_a_model_beside_a_main_container_of_ones_own_is_refused() -> None:
    error = refused(f"{{predictor: {{{MODEL % ''}, containers: [{{name: kserve-container, image: x}}]}}}}")
    assert error.condition == "InvalidPredictorSpec"


def test_pods_of_runtime_and_service_merge_except_for_the_hosts_memory() -> None:
    runtime = cluster_runtime(
        "a",
        FORMAT,
        nodeSelector={"a": "1"},
        volumes=[{"name": "v", "emptyDir": {}}],
        hostIPC=True,
    )
    resolved = worlds.resolved(
        f"{{predictor: {{{MODEL % ''}, nodeSelector: {{b: '2'}}, serviceAccountName: reader}}}}",
        worlds.catalogue(plugins={}, cluster_runtimes=(runtime,)),
    )
    pod = {key: value for key, value in resolved.predictor.pod.items() if key != "containers"}
    assert pod == {
        "nodeSelector": {"a": "1", "b": "2"},
        "volumes": [{"name": "v", "emptyDir": {}}],
        "serviceAccountName": "reader",
    }
    assert resolved.warnings == ("hostIPC of the runtime a has no effect; set it in spec.predictor.",)


def test_the_runtime_version_becomes_the_tag_of_the_image() -> None:
    found = predictor(MODEL % "runtimeVersion: '9'")
    assert found.pod["containers"][0]["image"] == "fairlead/sklearnserver:9"
    assert found.model is not None
    assert found.model.runtime_version == "9"


def test_an_image_of_the_service_takes_the_place_of_the_runtimes() -> None:
    assert predictor(MODEL % "image: 'mine:1'").pod["containers"][0]["image"] == "mine:1"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("storageUri: /m", {"MLSERVER_MODEL_NAME": "iris", "MLSERVER_MODEL_URI": "/mnt/models"}),
        (
            "storageUri: /m, env: [{name: MLSERVER_MODEL_NAME, value: mine}]",
            {"MLSERVER_MODEL_NAME": "mine", "MLSERVER_MODEL_URI": "/mnt/models"},
        ),
        ("env: []", {"MLSERVER_LOAD_MODELS_AT_STARTUP": "false"}),
    ],
)
def test_mlserver_is_told_of_its_model_unless_the_service_says_it(fields: str, expected: dict[str, str]) -> None:
    implementation = {"name": "IMPLEMENTATION", "value": "{{.Labels.modelClass}}"}
    runtime = cluster_runtime(
        "kserve-mlserver", FORMAT, containers=[{"name": "kserve-container", "env": [implementation]}]
    )
    found = predictor(f"model: {{modelFormat: {{name: sklearn}}, {fields}}}", runtime)
    assert found.model is not None
    assert (found.model.runtime.server_type, found.model.protocol) == ("mlserver", "v2")
    assert env(found.pod["containers"][0]) == {
        "IMPLEMENTATION": "mlserver_sklearn.SKLearnModel",
        "INFERENCE_SERVICE_NAME": "iris",
        **expected,
    }
    assert found.labels["modelClass"] == "mlserver_sklearn.SKLearnModel"


@pytest.mark.parametrize(("protocol", "envelope"), [("v1", "kserve"), ("v2", "kservev2"), ("grpc-v2", "kservev2")])
def test_torchserve_is_told_its_protocol(protocol: str, envelope: str) -> None:
    runtime = cluster_runtime(
        "kserve-torchserve",
        {"name": "pytorch", "priority": 1},
        protocolVersions=["v1", "v2", "grpc-v2"],
        containers=[{"name": "kserve-container", "args": ["{{.Labels.serviceEnvelope}}"]}],
    )
    found = predictor(f"pytorch: {{storageUri: /m, protocolVersion: {protocol}}}", runtime)
    assert env(found.pod["containers"][0])["PROTOCOL_VERSION"] == protocol
    assert found.pod["containers"][0]["args"] == [envelope]


def test_triton_without_a_model_loads_what_it_is_told_to() -> None:
    runtime = cluster_runtime("kserve-tritonserver", {"name": "triton"}, protocolVersions=["v2", "grpc-v2"])
    assert predictor("triton: {}", runtime).pod["containers"][0]["args"] == ["--model-control-mode=explicit"]
    assert "args" not in predictor("triton: {storageUri: /m}", runtime).pod["containers"][0]


def test_a_plugin_without_a_model_is_a_warning() -> None:
    text = "{predictor: {model: {modelFormat: {name: sklearn}, %s}}}"
    [warning] = worlds.resolved(text % "").warnings
    assert "has no storageUri" in warning
    assert worlds.resolved(text % "volumeMounts: [{name: v, mountPath: /mnt/models}]").warnings == ()


# -- labels and annotations -----------------------------------------------------------------------------


def test_labels_are_the_runtimes_then_the_services_then_the_components_then_the_systems() -> None:
    runtime = cluster_runtime("a", FORMAT, labels={"a": "runtime", "b": "runtime", "c": "runtime", "component": "x"})
    found = predictor(
        f"{MODEL % ''}, labels: {{c: component}}", runtime, labels={"b": "service", "c": "service", "component": "y"}
    )
    assert dict(found.labels) == {
        "a": "runtime",
        "b": "service",
        "c": "component",
        "component": "predictor",
        "serving.kserve.io/inferenceservice": "iris",
    }


def test_annotations_are_the_runtimes_then_the_services_then_the_components() -> None:
    runtime = cluster_runtime("a", FORMAT, pod_annotations={"a": "r", "b": "r", "c": "r"})
    found = predictor(f"{MODEL % ''}, annotations: {{c: component}}", runtime, annotations={"b": "service", "c": "s"})
    assert dict(found.annotations) == {"a": "r", "b": "service", "c": "component"}


def test_what_is_disallowed_is_dropped_from_each() -> None:
    found = predictor(
        f"{MODEL % ''}, annotations: {{autoscaling.knative.dev/min-scale: '1', x: y}}, "
        "labels: {networking.knative.dev/visibility: cluster-local}",
        annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}", "modelFormat": "mine"},
        labels={"networking.knative.dev/visibility": "cluster-local"},
    )
    assert set(found.annotations) == {"prometheus.kserve.io/port", "prometheus.kserve.io/path", "x"}
    assert set(found.labels) == {"component", "serving.kserve.io/inferenceservice"}


# -- containers of one's own ----------------------------------------------------------------------------


def test_a_predictor_of_ones_own_is_told_its_name_and_not_rendered() -> None:
    found = predictor("containers: [{name: a, image: x, args: ['{{.Name}}']}, {name: kserve-container, image: y}]")
    assert names(found) == ["kserve-container", "a"]
    assert found.pod["containers"][1]["args"] == ["{{.Name}}"]
    assert found.model is None
    assert env(found.pod["containers"][1]) == {"INFERENCE_SERVICE_NAME": "iris"}


BESIDE = "{predictor: {sklearn: {storageUri: /m}%s}, %s: {containers: [{name: a, image: x, %s}, {name: b}]%s}}"


def test_a_transformer_is_told_its_model_its_predictor_and_its_port() -> None:
    found = worlds.resolved(BESIDE % ("", "transformer", "args: [--own]", ", containerConcurrency: 4"))
    first, other = found.components[ComponentKind.TRANSFORMER].pod["containers"]
    assert first["args"] == [
        "--own",
        "--model_name",
        "iris",
        "--predictor_host",
        "iris-predictor.default",
        "--http_port",
        "8080",
        "--workers",
        "4",
    ]
    assert env(first) == {"INFERENCE_SERVICE_NAME": "iris"}
    assert (first["name"], "env" in other) == ("kserve-container", False)
    assert found.entry.name == "iris-transformer"


def test_arguments_that_a_transformer_says_itself_are_left_alone() -> None:
    args = "args: [--model_name=a, --predictor-host, b, --http_port=1]"
    found = worlds.resolved(BESIDE % ("", "transformer", args, ""))
    assert found.entry.pod["containers"][0]["args"] == ["--model_name=a", "--predictor-host", "b", "--http_port=1"]


def test_the_predictor_that_is_asked_has_its_version_in_its_name() -> None:
    config = Config(predictor_host="{{.Name}}.{{.Namespace}}.svc")
    found = worlds.resolved(BESIDE % (", name: v2", "transformer", "args: []", ""), config=config)
    assert "iris-v2-predictor.default.svc" in found.entry.pod["containers"][0]["args"]
    assert found.predictor.name == "iris-v2-predictor"


def test_an_explainer_of_ones_own_is_told_the_same_and_its_port_once() -> None:
    found = worlds.resolved(BESIDE % ("", "explainer", "args: [--http_port, '1']", ", containerConcurrency: 2"))
    [first, _] = found.components[ComponentKind.EXPLAINER].pod["containers"]
    assert first["args"] == [
        "--http_port",
        "1",
        "--model_name",
        "iris",
        "--predictor_host",
        "iris-predictor.default",
        "--workers",
        "2",
    ]
    assert env(first) == {}
    assert found.entry.name == "iris-predictor"


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("{predictor: {minReplicas: 1}}", "InvalidPredictorSpec"),
        ("{predictor: {sklearn: {storageUri: /m}}, transformer: {minReplicas: 1}}", "InvalidTransformerSpec"),
    ],
)
def test_what_cannot_run_here_is_refused_with_a_remedy(text: str, condition: str) -> None:
    error = refused(text)
    assert error.condition == condition
    assert error.remedy
