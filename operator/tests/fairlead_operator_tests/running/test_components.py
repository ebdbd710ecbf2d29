"""What components of a service come to, and what an edit of each field reaches.

What KServe tests, and where that is tested here:

- predictor: Service, Deployment, autoscaler: test_a_predictor_comes_to_its_objects_and_is_asked_at_its_hosts
- with deploymentStrategy; rolling update, surge: test_the_strategy_of_a_component_is_that_of_its_deployment
- variables of the environment, added and taken out: test_an_edit_of_a_predictor_reaches_its_pods
- transformer; explainer: test_every_component_has_objects_and_all_are_asked_for_ready
- collocation: in the service, the runtime, both, own: test_a_transformer_may_stand_beside_the_model
- several container ports, one of them for gRPC: test_every_port_is_asked_at_its_service
- batcher, logger: test_an_agent_stands_before_a_predictor_that_is_logged_or_batched
- model in an image: sidecar, image volume, fetched: test_a_model_in_an_image_comes_as_the_configuration_says
- only the pull secrets of the service: the same
- secrets of a service account: test_pods_fetch_with_the_secrets_of_their_service_account
- storage.path and a key: test_a_model_may_be_named_by_an_entry_of_a_secret
- labels and annotations, precedence: test_labels_and_annotations_of_a_component_win_over_those_of_the_service
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator_tests.running import shapes
from fairlead_operator_tests.running.services import isvc, runtime

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services

OWNED = ("Service", "Deployment", "HorizontalPodAutoscaler")


def named(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in items}


def ready(status: dict[str, Any]) -> str:
    [found] = [each["status"] for each in status["conditions"] if each["type"] == "Ready"]
    return str(found)


def variables(deployment: dict[str, Any]) -> dict[str, str]:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each["value"] for each in container["env"] if each["name"] in "AB"}


def has_variables(services: Services, wanted: dict[str, str]) -> None:
    services.becomes("Deployment", "iris-predictor", lambda each: variables(each) == wanted)


def test_a_predictor_comes_to_its_objects_and_is_asked_at_its_hosts(services: Services) -> None:
    made = services.declare(isvc("iris"))
    for kind in OWNED:
        [owner] = services.appears(kind, "iris-predictor")["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (made["metadata"]["uid"], True)
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    found = services.settled("iris")
    where = services.namespace
    assert found["url"] == f"http://iris-{where}.example.com"
    assert found["address"]["url"] == f"http://iris-predictor.{where}.svc.cluster.local"
    assert found["deploymentMode"] == "Standard"
    assert found["components"]["predictor"]["url"] == f"http://iris-predictor-{where}.example.com"
    assert found["modelStatus"]["states"] == {"activeModelState": "Loaded", "targetModelState": "Loaded"}
    assert not services.names("PodDisruptionBudget")


def test_every_component_has_objects_and_all_are_asked_for_ready(services: Services) -> None:
    services.declare(shapes.whole("iris"))
    for component in ("explainer", "transformer", "predictor"):
        for kind in OWNED:
            services.appears(kind, f"iris-{component}")
        assert ready(services.settled("iris")) != "True"
        services.roll_out(f"iris-{component}")
        services.condition("iris", f"{component.capitalize()}Ready", "True")
    services.condition("iris", "Ready", "True")
    transformer = named(services.pod("iris-transformer")["containers"])["kserve-container"]
    assert f"iris-predictor.{services.namespace}" in transformer["args"]
    found = services.settled("iris")
    assert found["address"]["url"] == f"http://iris-transformer.{services.namespace}.svc.cluster.local"
    assert set(found["components"]) == {"predictor", "transformer", "explainer"}


def test_a_component_that_is_taken_out_loses_its_objects(services: Services) -> None:
    services.declare(shapes.whole("iris"))
    services.appears("Deployment", "iris-explainer")
    services.change("iris", {"spec": {"transformer": None, "explainer": None}})
    for component in ("transformer", "explainer"):
        services.disappears("Deployment", f"iris-{component}")
        for kind in OWNED:
            services.disappears(kind, f"iris-{component}")
    services.status("iris", lambda each: set(each.get("components") or {}) == {"predictor"})
    kinds = {each["type"] for each in services.settled("iris")["conditions"]}
    assert not {"TransformerReady", "ExplainerReady"} & kinds


def test_the_strategy_of_a_component_is_that_of_its_deployment(services: Services) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 0}}
    services.declare(isvc("iris", deploymentStrategy=strategy))
    assert services.appears("Deployment", "iris-predictor")["spec"]["strategy"] == strategy
    services.change(
        "iris", {"spec": {"predictor": {"deploymentStrategy": {"type": "Recreate", "rollingUpdate": None}}}}
    )
    services.becomes("Deployment", "iris-predictor", lambda each: each["spec"]["strategy"] == {"type": "Recreate"})
    services.change("iris", {"spec": {"predictor": {"deploymentStrategy": None}}})
    default = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    services.becomes("Deployment", "iris-predictor", lambda each: each["spec"]["strategy"] == default)


def test_an_edit_of_a_predictor_reaches_its_pods(services: Services) -> None:
    services.declare(isvc("iris", model={"env": [{"name": "A", "value": "1"}]}))
    assert variables(services.appears("Deployment", "iris-predictor")) == {"A": "1"}
    for env in ([{"name": "A", "value": "2"}, {"name": "B", "value": "1"}], [{"name": "B", "value": "1"}], []):
        services.change("iris", {"spec": {"predictor": {"model": {"env": env or None}}}})
        has_variables(services, {each["name"]: each["value"] for each in env})


def test_a_rollout_keeps_the_number_of_replicas(services: Services) -> None:
    services.declare(isvc("iris", annotations={shapes.CLASS: "none"}, minReplicas=2, maxReplicas=2))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    services.change("iris", {"spec": {"predictor": {"model": {"storageUri": "s3://bucket/other"}}}})
    services.becomes("Deployment", "iris-predictor", lambda each: "s3://bucket/other" in str(each["spec"]["template"]))
    services.roll_out("iris-predictor")
    assert services.appears("Deployment", "iris-predictor")["spec"]["replicas"] == 2
    found = services.status("iris", lambda each: each["modelStatus"]["copies"]["totalCopies"] == 2)
    assert found["modelStatus"]["transitionStatus"] == "UpToDate"


@pytest.mark.parametrize("where", ["service", "runtime", "both", "own"])
def test_a_transformer_may_stand_beside_the_model(services: Services, where: str) -> None:
    beside = {"name": "transformer-container", "image": "example/transformer:1"}
    manifest = isvc("iris", model={"runtime": "beside"})
    if where == "own":
        manifest = isvc("iris")
        manifest["spec"]["predictor"] = {"containers": [{"name": "kserve-container", "image": "example/own:1"}, beside]}
    else:
        declared = runtime("beside", kind="ServingRuntime")
        if where != "service":
            declared["spec"]["containers"].append({**beside, "env": [{"name": "A", "value": "1"}]})
        if where != "runtime":
            manifest["spec"]["predictor"]["containers"] = [{**beside, "image": "example/transformer:2"}]
        services.declare(declared)
    services.declare(manifest)
    found = named(services.pod("iris-predictor")["containers"])
    assert set(found) == {"kserve-container", "transformer-container"}
    assert found["transformer-container"]["image"].endswith("2" if where in ("service", "both") else "1")
    named_env = named(found["transformer-container"]["env"])
    assert ("A" in named_env) == (where in ("runtime", "both"))
    assert found["transformer-container"]["readinessProbe"]["tcpSocket"]["port"] == 8080


def test_every_port_is_asked_at_its_service(services: Services) -> None:
    ports = [{"name": "http1", "containerPort": 8085}, {"name": "h2c", "containerPort": 9000}]
    services.declare(isvc("iris", model={"ports": ports}))
    found = services.appears("Service", "iris-predictor")["spec"]["ports"]
    assert [(each["name"], each["port"], each["targetPort"], each.get("appProtocol")) for each in found] == [
        ("http1", 80, 8085, None),
        ("h2c", 9000, 9000, "kubernetes.io/h2c"),
    ]
    services.change("iris", {"spec": {"predictor": {"model": {"ports": ports[:1]}}}})
    services.becomes("Service", "iris-predictor", lambda each: len(each["spec"]["ports"]) == 1)


@pytest.mark.parametrize("field", [{"logger": {"mode": "all", "url": "http://sink"}}, {"batcher": {"maxBatchSize": 8}}])
def test_an_agent_stands_before_a_predictor_that_is_logged_or_batched(
    services: Services, field: dict[str, Any]
) -> None:
    services.declare(isvc("iris", **field))
    assert "agent" in named(services.pod("iris-predictor")["containers"])
    services.becomes("Service", "iris-predictor", lambda each: each["spec"]["ports"][0]["targetPort"] == 9081)
    services.change("iris", {"spec": {"predictor": dict.fromkeys(field)}})
    services.becomes("Service", "iris-predictor", lambda each: each["spec"]["ports"][0]["targetPort"] == 8080)
    services.becomes(
        "Deployment", "iris-predictor", lambda each: len(each["spec"]["template"]["spec"]["containers"]) == 1
    )


@pytest.mark.parametrize("mode", ["modelcar", "native", "fetch"])
def test_a_model_in_an_image_comes_as_the_configuration_says(services: Services, mode: str) -> None:
    services.configure(storageInitializer={"ociModelMode": mode, "uidModelcar": 2020})
    manifest = isvc("iris", model={"storageUri": "oci://example/iris:1"}, imagePullSecrets=[{"name": "own"}])
    services.declare(manifest)
    pod = services.becomes("Deployment", "iris-predictor", lambda each: mode in _oci_mode(each))["spec"]["template"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "own"}]
    if mode == "modelcar":
        users = [each["securityContext"]["runAsUser"] for each in _carrying(pod["spec"])]
        assert set(users) == {2020}
        assert len(users) == 2


def _oci_mode(deployment: dict[str, Any]) -> str:
    pod = deployment["spec"]["template"]["spec"]
    if any("image" in each for each in pod.get("volumes", ())):
        return "native"
    return "modelcar" if _carrying(pod) else "fetch"


def _carrying(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in (*pod["containers"], *pod.get("initContainers", ())) if each["image"] == "example/iris:1"]


def test_pods_fetch_with_the_secrets_of_their_service_account(services: Services) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "models"}}
    services.declare({**account, "secrets": [{"name": "login"}]})
    services.declare(isvc("iris", serviceAccountName="models"))
    pod = services.pod("iris-predictor")
    assert pod["serviceAccountName"] == "models"
    assert [each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each] == ["login"]
    [initializer] = pod["initContainers"]
    assert {each["name"] for each in initializer["volumeMounts"]} >= {
        each["name"] for each in pod["volumes"] if "secret" in each
    }


def test_a_model_may_be_named_by_an_entry_of_a_secret(services: Services) -> None:
    manifest = isvc("iris", model={"storage": {"key": "near", "path": "models/iris", "parameters": {"bucket": "b"}}})
    del manifest["spec"]["predictor"]["model"]["storageUri"]
    services.declare(manifest)
    [initializer] = services.pod("iris-predictor")["initContainers"]
    assert "storage-config" in str(services.pod("iris-predictor"))
    assert "models/iris" in str(initializer)


def test_labels_and_annotations_of_a_component_win_over_those_of_the_service(services: Services) -> None:
    manifest = isvc("iris", labels={"team": "own", "near": "yes"}, annotations={"note": "all", "far": "yes"})
    manifest["spec"]["predictor"]["annotations"] = {"note": "own"}
    manifest["metadata"]["labels"] = {"team": "all"}
    services.declare(manifest)
    found = services.appears("Deployment", "iris-predictor")
    for metadata in (found["metadata"], found["spec"]["template"]["metadata"]):
        assert (
            metadata["labels"].items()
            >= {
                "team": "own",
                "near": "yes",
                "app": "isvc.iris-predictor",
                "component": "predictor",
                "serving.kserve.io/inferenceservice": "iris",
            }.items()
        )
        assert metadata["annotations"].items() >= {"note": "own", "far": "yes"}.items()
