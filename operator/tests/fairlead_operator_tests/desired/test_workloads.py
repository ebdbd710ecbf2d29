"""The Services, Deployments and disruption budgets of components, as a person has read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from fairlead import errors
from fairlead_operator.configuration.model import OperatorConfig, Rollout
from fairlead_operator_tests import golden
from fairlead_operator_tests.desired import services

GOLDEN: Final = Path(__file__).parent / "golden" / "workloads"
HELD: Final = {"serving.kserve.io/autoscalerClass": "none"}
CASES: Final[dict[str, str]] = {
    "model": services.isvc(labels={"team": "vision"}, annotations={"example.com/owner": "anna"}),
    "beside": services.isvc(
        """
        predictor:
          minReplicas: 3
          model: {modelFormat: {name: lightgbm}, storageUri: 's3://models/iris', env: [{name: NTHREAD, value: '2'}]}
          nodeSelector: {disk: ssd}
        transformer:
          containers: [{image: example/transformer:1, ports: [{containerPort: 8090, name: web}]}]
          deploymentStrategy: {type: Recreate}
        explainer:
          art: {type: SquareAttack, runtimeVersion: v2, config: {nb_classes: '10', attack: fast}}
        """
    ),
    "collocated": services.isvc(
        """
        predictor:
          model: {modelFormat: {name: tensorflow}, storageUri: 's3://models/iris'}
          containers:
            - name: transformer-container
              image: example/transformer:1
              ports: [{containerPort: 8090, name: web}, {containerPort: 9090, name: grpc-web}]
        """
    ),
    "canary": services.isvc(
        """
        predictor:
          name: one
          minReplicas: 4
          model: {modelFormat: {name: sklearn}, storageUri: 's3://models/one'}
        canary:
          - trafficPercent: 25
            predictor: {name: two, model: {modelFormat: {name: sklearn}, storageUri: 's3://models/two'}}
        """
    ),
    "nodes": services.isvc(
        """
        predictor:
          model:
            modelFormat: {name: huggingface}
            storageUri: 'pvc://claim/llama'
            resources: {requests: {cpu: 4}, limits: {nvidia.com/gpu: '1'}}
          workerSpec: {tensorParallelSize: 2, containers: [{name: worker-container, env: [{name: SPEED, value: high}]}]}
        """,
        annotations=HELD,
    ),
    "agent": services.isvc(
        """
        predictor:
          model: {modelFormat: {name: sklearn}, storageUri: 's3://models/iris'}
          logger: {mode: all, url: 'http://sink', metadataHeaders: [X-Id, X-User], metadataAnnotations: [example.com/a]}
          batcher: {maxBatchSize: 16}
        transformer:
          containers: [{image: example/transformer:1, readinessProbe: {httpGet: {path: /ok, port: web}},
                        ports: [{containerPort: 8090, name: web}]}]
          logger: {mode: request, batchSize: 5, batchInterval: 10s}
        """,
        annotations={"example.com/a": "b"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_components_become_the_objects_that_a_person_has_read(name: str) -> None:
    objects = [
        each
        for each in services.rendered(CASES[name]).objects
        if each["kind"] in ("Service", "Deployment", "PodDisruptionBudget")
    ]
    golden.check(GOLDEN / f"{name}.yaml", objects)


def test_a_stopped_service_has_no_objects() -> None:
    assert services.rendered(services.isvc(annotations={"serving.kserve.io/stop": "True"})).objects == ()


def test_each_component_comes_in_the_order_in_which_its_objects_are_made() -> None:
    assert services.kinds(services.rendered(CASES["beside"]))[:8] == [
        ("Service", "iris-predictor"),
        ("Deployment", "iris-predictor"),
        ("HorizontalPodAutoscaler", "iris-predictor"),
        ("PodDisruptionBudget", "iris-predictor"),
        ("Service", "iris-transformer"),
        ("Deployment", "iris-transformer"),
        ("HorizontalPodAutoscaler", "iris-transformer"),
        ("Service", "iris-explainer"),
    ]


# -- metadata -------------------------------------------------------------------------------------------


def test_every_object_belongs_to_its_service() -> None:
    for each in services.rendered(CASES["beside"]).objects:
        [owner] = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("InferenceService", "iris", services.UID)
        assert owner["controller"]
        assert owner["blockOwnerDeletion"]
        assert each["metadata"]["namespace"] == "models"
        assert each["metadata"]["labels"]["serving.kserve.io/inferenceservice"] == "iris"


def test_the_label_that_selects_pods_is_nobody_elses_to_set() -> None:
    found = services.found(services.rendered(services.isvc(labels={"app": "mine"})), "Deployment")
    assert found["spec"]["template"]["metadata"]["labels"]["app"] == "isvc.iris-predictor"
    assert found["metadata"]["labels"]["app"] == "isvc.iris-predictor"


def test_a_name_that_the_label_of_pods_cannot_hold_is_refused_with_a_remedy() -> None:
    fits, over = "i" * 48, "i" * 49
    services.rendered(services.isvc(name=fits))
    with pytest.raises(errors.Unresolvable, match="may have 58") as caught:
        services.rendered(services.isvc(name=over))
    assert caught.value.condition == "InvalidName"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "annotation",
    ["serving.kserve.io/autoscalerClass", "fairlead.io/mirror-percent", "serving.kserve.io/disable-auto-update"],
)
def test_an_edit_of_how_a_service_is_run_replaces_no_pod(annotation: str) -> None:
    value = {"serving.kserve.io/autoscalerClass": "none", "fairlead.io/mirror-percent": "0"}.get(annotation, "true")
    before = services.found(services.rendered(services.isvc()), "Deployment")
    after = services.found(services.rendered(services.isvc(annotations={annotation: value})), "Deployment")
    assert after["spec"]["template"] == before["spec"]["template"]
    assert annotation in after["metadata"]["annotations"]


# -- Deployments ----------------------------------------------------------------------------------------


def test_replicas_are_left_to_the_autoscaler_and_held_where_there_is_none() -> None:
    held = services.isvc(services.MODEL.replace("{predictor: {", "{predictor: {minReplicas: 3, "), annotations=HELD)
    assert "replicas" not in services.found(services.rendered(services.isvc()), "Deployment")["spec"]
    assert services.found(services.rendered(held), "Deployment")["spec"]["replicas"] == 3


def test_the_rollout_of_the_configuration_counts_where_a_component_says_nothing() -> None:
    config = OperatorConfig(rollout=Rollout(max_surge="1", max_unavailable="0%"))
    desired = services.rendered(CASES["beside"], config=config)
    predictor = services.found(desired, "Deployment", "iris-predictor")["spec"]["strategy"]
    assert predictor == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "0%"}}
    assert services.found(desired, "Deployment", "iris-transformer")["spec"]["strategy"] == {"type": "Recreate"}


def test_a_container_with_a_probe_keeps_it() -> None:
    probe = {"exec": {"command": ["true"]}}
    spec = json.dumps({"predictor": {"containers": [{"image": "x", "readinessProbe": probe}]}})
    assert _main(services.isvc(spec))["readinessProbe"] == probe


@pytest.mark.parametrize(("ports", "port"), [([], 8080), ([{"containerPort": 7000}, {"containerPort": 7001}], 7000)])
def test_a_container_without_a_probe_is_ready_when_its_first_port_takes_connections(
    ports: list[dict[str, Any]], port: int
) -> None:
    spec = json.dumps({"predictor": {"containers": [{"image": "x", "ports": ports}]}})
    assert _main(services.isvc(spec))["readinessProbe"]["tcpSocket"] == {"port": port}


@pytest.mark.parametrize(
    ("asks", "expected"), [("nvidia.com/gpu", {"cloud.google.com/gke-accelerator": "a100"}), ("cpu", None)]
)
def test_pods_with_a_gpu_go_to_nodes_with_the_accelerator_that_is_named(asks: str, expected: object) -> None:
    spec = json.dumps({"predictor": {"containers": [{"image": "x", "resources": {"limits": {asks: "1"}}}]}})
    text = services.isvc(spec, annotations={"serving.kserve.io/gke-accelerator": "a100"})
    assert _pod(text).get("nodeSelector") == expected


@pytest.mark.parametrize("mounts", [True, False, None])
def test_the_token_is_mounted_as_the_configuration_says(mounts: bool | None) -> None:
    found = _pod(services.isvc(), config=OperatorConfig(mounts_token=mounts))
    assert found.get("automountServiceAccountToken") is mounts


def test_the_token_is_mounted_as_the_service_says_where_it_does() -> None:
    spec = services.MODEL.replace("{predictor: {", "{predictor: {automountServiceAccountToken: true, ")
    assert _pod(services.isvc(spec), config=OperatorConfig(mounts_token=False))["automountServiceAccountToken"]


# -- metrics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "port"),
    [
        ("{name: sklearn}", "8080"),
        ("{name: triton}", "8002"),
        ("{name: tensorflow}", "8080"),
        ("{name: lightgbm}", "8080"),
    ],
)
def test_prometheus_is_led_to_the_port_of_the_server_itself(model: str, port: str) -> None:
    text = services.isvc(
        f"{{predictor: {{model: {{modelFormat: {model}, storageUri: 's3://m/x'}}}}}}",
        annotations={
            "serving.kserve.io/enable-prometheus-scraping": "true",
            "serving.kserve.io/enable-metric-aggregation": "true",
        },
    )
    found = services.found(services.rendered(text), "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert found["prometheus.io/port"] == port
    assert (found["prometheus.io/path"], found["prometheus.io/scrape"]) == ("/metrics", "true")


def test_the_service_says_whether_it_is_scraped_and_else_the_configuration() -> None:
    config = OperatorConfig(scrape=True, aggregate=True)
    out = services.isvc(annotations={"serving.kserve.io/enable-prometheus-scraping": "false"})
    said = services.found(services.rendered(services.isvc(), config=config), "Deployment")["spec"]["template"]
    silent = services.found(services.rendered(out, config=config), "Deployment")["spec"]["template"]
    assert said["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    assert said["metadata"]["annotations"]["serving.kserve.io/enable-metric-aggregation"] == "true"
    assert "prometheus.io/port" not in silent["metadata"]["annotations"]


# -- Services -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([], [("iris-predictor", 80, 8080, None)]),
        ([{"containerPort": 5000}], [("iris-predictor", 80, 5000, None)]),
        ([{"containerPort": 9000, "name": "h2c"}], [("h2c", 80, 9000, "kubernetes.io/h2c")]),
        (
            [{"containerPort": 8080, "name": "web"}, {"containerPort": 9000, "name": "grpc-x"}, {"containerPort": 7}],
            [("web", 80, 8080, None), ("grpc-x", 9000, 9000, "kubernetes.io/h2c"), ("port-7", 7, 7, None)],
        ),
    ],
)
def test_the_first_port_is_asked_at_80_and_the_others_at_their_own(
    ports: list[dict[str, Any]], expected: list[tuple[Any, ...]]
) -> None:
    spec = json.dumps({"predictor": {"containers": [{"image": "x", "ports": ports}]}})
    found = services.found(services.rendered(services.isvc(spec)), "Service")["spec"]["ports"]
    assert [(each["name"], each["port"], each["targetPort"], each.get("appProtocol")) for each in found] == expected


def test_a_second_port_80_is_refused_with_a_remedy() -> None:
    spec = json.dumps(
        {"predictor": {"containers": [{"image": "x", "ports": [{"containerPort": 8080}, {"containerPort": 80}]}]}}
    )
    with pytest.raises(errors.Unresolvable, match="has the port 80 too") as caught:
        services.rendered(services.isvc(spec))
    assert caught.value.remedy == "List the port 80 first."


@pytest.mark.parametrize("headless", [True, False])
def test_services_have_an_address_of_their_own_unless_the_configuration_says_no(headless: bool) -> None:
    found = services.found(services.rendered(services.isvc(), config=OperatorConfig(headless=headless)), "Service")
    assert found["spec"].get("clusterIP") == ("None" if headless else None)


# -- disruption -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "annotations", "budgets"),
    [
        (1, {}, 0),
        (2, {}, 1),
        (2, HELD, 1),
        (2, {"serving.kserve.io/autoscalerClass": "external"}, 0),
        (0, HELD, 0),
    ],
)
def test_a_component_that_always_has_two_replicas_gives_one_at_a_time(
    replicas: int, annotations: dict[str, str], budgets: int
) -> None:
    spec = services.MODEL.replace("{predictor: {", f"{{predictor: {{minReplicas: {replicas}, ")
    desired = services.rendered(services.isvc(spec, annotations=annotations))
    assert [name for kind, name in services.kinds(desired) if kind == "PodDisruptionBudget"] == [
        "iris-predictor"
    ] * budgets


def _pod(text: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = services.found(services.rendered(text, **more), "Deployment")["spec"]["template"]["spec"]
    return found


def _main(text: str) -> dict[str, Any]:
    found: dict[str, Any] = _pod(text)["containers"][0]
    return found
