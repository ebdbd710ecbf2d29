"""What cannot be served, in whatever way: it is said where its user looks, and keeps nobody else from being served."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead.api import crds
from fairlead_apiserver import ApiServer, Cluster
from fairlead_apiserver.cluster import Refused
from fairlead_operator_tests.running.operating import Alone, prepare
from fairlead_operator_tests.running.services import SERVING, Services, isvc, runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

ANYTHING: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
MODEL: Final = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://bucket/model"}
SPECS: Final[dict[str, Any]] = {
    "no-spec": None,
    "text": "predictor",
    "list": [],
    "empty": {},
    "no-predictor": {"transformer": {}},
    "predictor-text": {"predictor": "sklearn"},
    "predictor-list": {"predictor": [{"model": MODEL}]},
    "model-number": {"predictor": {"model": 7}},
    "model-deep": {"predictor": {"model": {"modelFormat": {"name": {"name": []}}}}},
    "replicas-text": {"predictor": {"model": MODEL, "minReplicas": "many"}},
    "replicas-negative": {"predictor": {"model": MODEL, "minReplicas": -3}},
    "containers-text": {"predictor": {"containers": "one"}},
    "containers-nulls": {"predictor": {"containers": [None, {}]}},
    "account-list": {"predictor": {"model": MODEL, "serviceAccountName": ["a"]}},
    "canary-text": {"predictor": {"model": MODEL}, "canary": "all"},
    "canary-nulls": {"predictor": {"model": MODEL}, "canary": [None]},
    "resources-odd": {"predictor": {"model": {**MODEL, "resources": {"limits": {"cpu": "fast"}}}}},
    "no-such-scheme": {"predictor": {"model": {**MODEL, "storageUri": "gopher://model"}}},
    "no-such-format": {"predictor": {"model": {"modelFormat": {"name": "abacus"}, "storageUri": "s3://bucket/model"}}},
    "no-such-runtime": {"predictor": {"model": {**MODEL, "runtime": "absent"}}},
    "no-such-protocol": {"predictor": {"model": {**MODEL, "protocolVersion": "v9"}}},
    "a" * 54: {"predictor": {"model": MODEL}},
    "broken-runtime": {"predictor": {"model": {**MODEL, "runtime": "broken"}}},
}
STATUSES: Final[dict[str, Any]] = {
    "text": "fine",
    "list": [1],
    "conditions-text": {"conditions": "Ready"},
    "conditions-odd": {"conditions": ["Ready", None, {"type": 3}]},
    "components-list": {"components": []},
    "url-number": {"url": 7, "observedGeneration": "one", "deploymentMode": ["Standard"]},
}


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A server whose definitions let everything in."""
    folder = tmp_path_factory.mktemp("loose")
    with ApiServer() as server:
        cluster = prepare(Cluster(server.kubeconfig(folder / "kubeconfig")))
        for each in crds.definitions():
            opened = copy.deepcopy(each)
            for version in opened["spec"]["versions"]:
                version["schema"] = {"openAPIV3Schema": ANYTHING}
            cluster.apply(opened, force=True)
        cluster.create(runtime("broken", supportedModelFormats="sklearn", containers={"name": 7}))
        yield Alone(server, cluster, folder)


def test_objects_that_no_schema_has_seen_are_refused_in_words(loose: Alone, caplog: pytest.LogCaptureFixture) -> None:
    with loose.cluster.namespace() as namespace:
        services = Services(loose.cluster, namespace)
        for kind, spec in {"ServingRuntime": ["containers"], "ConfigMap": None}.items():
            manifest = {**runtime("odd", kind="ServingRuntime"), "spec": spec}
            if kind == "ConfigMap":
                manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "inferenceservice-config"}}
            services.declare(manifest)
        for name, spec in SPECS.items():
            whole = isvc(name)
            whole["spec"] = spec
            services.declare({key: value for key, value in whole.items() if value is not None})
        with loose.operate():
            services.declare(isvc("iris"))
            services.appears("Ingress", "iris")
            for name in SPECS:
                condition = services.condition(name, "Ready", "False")
                assert condition["message"], name
                assert services.get("Deployment", f"{name}-predictor") is None
    assert "cannot be reconciled" not in caplog.text


def test_a_status_that_nobody_can_read_is_written_over(loose: Alone, caplog: pytest.LogCaptureFixture) -> None:
    with loose.cluster.namespace() as namespace:
        services = Services(loose.cluster, namespace)
        for name, status in STATUSES.items():
            services.declare(isvc(name))
            path = loose.cluster.path(SERVING, "InferenceService", namespace, name, "status")
            loose.cluster.request("PATCH", path, {"status": status}, content="application/merge-patch+json")
        with loose.operate():
            for name in STATUSES:
                services.roll_out(f"{name}-predictor")
                services.status(name, is_ready)
    assert "cannot be reconciled" not in caplog.text


def is_ready(status: Any) -> bool:
    """Whether a status is one, and says so."""
    conditions = status.get("conditions") if isinstance(status, dict) else None
    known = [each for each in conditions if isinstance(each, dict)] if isinstance(conditions, list) else []
    return any((each["type"], each.get("status")) == ("Ready", "True") for each in known)


@pytest.mark.parametrize("length", [54, 63])
def test_a_name_that_is_too_long_with_its_suffix_is_refused_with_a_remedy(services: Services, length: int) -> None:
    with pytest.raises(Refused, match="make the name of a Service"):
        services.declare(isvc("a" * length))


def test_the_longest_name_that_fits_is_served_and_the_next_one_is_told_what_is_wrong(services: Services) -> None:
    longest, next_one = "a" * 48, "a" * 49
    for name in (longest, next_one):
        services.declare(isvc(name))
    told = services.condition(next_one, "PredictorReady", "False", "InvalidName")
    assert "Choose a shorter name" in told["message"]
    services.roll_out(f"{longest}-predictor")
    services.condition(longest, "PredictorReady", "True")
    assert services.names("Deployment") == {f"{longest}-predictor"}


def test_a_configuration_that_is_wrong_is_told_at_each_service_and_heals(services: Services) -> None:
    services.configure(ingress={"urlScheme": "gopher", "ingressDomain": 7}, deploy={"defaultDeploymentMode": "Moon"})
    services.declare(isvc("iris"))
    services.appears("Deployment", "iris-predictor")
    told = services.condition("iris", "ConfigurationReady", "False")
    assert told["message"]
    services.cluster.eventually(lambda: any(each["type"] == "Warning" for each in services.list("Event")))
    services.configure(ingress={})

    def is_healed(status: dict[str, Any]) -> bool:
        wrong = [each for each in status.get("conditions", ()) if each["type"] == "ConfigurationReady"]
        return not any(each["status"] == "False" for each in wrong)

    services.status("iris", is_healed)


@pytest.mark.parametrize("data", [{"ingress": "{"}, {"deploy": "[]"}, {"storageInitializer": "7"}, {"unknown": "x"}])
def test_a_configuration_that_is_no_json_keeps_no_service_from_its_objects(
    services: Services, data: dict[str, str]
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "inferenceservice-config"}, "data": data}
    services.declare(config)
    services.declare(isvc("iris"))
    services.appears("Deployment", "iris-predictor")
    services.settled("iris")


def test_a_service_as_large_as_a_server_takes_is_served(services: Services) -> None:
    env = [{"name": f"VARIABLE_{number}", "value": "x" * 1000} for number in range(700)]
    services.declare(isvc("iris", model={"env": env}))
    found = services.appears("Deployment", "iris-predictor")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert len(found) >= 700
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
