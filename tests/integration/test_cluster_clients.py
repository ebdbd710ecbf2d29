"""Clients of clusters, against an API server that serves our definitions: `fairlead.Client`, and KServe's unchanged."""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import fairlead
from comparison.environments import environment
from e2e.clusters import GRAPH, ISVC, operated
from fairlead import api, errors
from fairlead.api import crds
from fairlead_apiserver import ApiServer, Cluster

HERE: Final = Path(__file__).parent


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


@pytest.fixture(scope="module")
def cluster(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    found = Cluster(server.kubeconfig(tmp_path_factory.mktemp("cluster") / "config"))
    for definition in crds.definitions():
        found.install(definition)
    return found


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("clients") as name:
        yield name


@pytest.fixture
def client(cluster: Cluster, namespace: str) -> Iterator[fairlead.Client]:
    with fairlead.Client(cluster.kubeconfig, namespace=namespace) as made:
        yield made


def manifest(kind: str, name: str, spec: str) -> api.Resource:
    """An object of a kind, from YAML."""
    version = "v1beta1" if kind == "InferenceService" else "v1alpha1"
    text = f"apiVersion: serving.kserve.io/{version}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    return api.read(text, "a test")[0]


def service(name: str = "iris", uri: str = "gs://first", **labels: str) -> api.InferenceService:
    """An InferenceService."""
    found = manifest("InferenceService", name, f"{{predictor: {{sklearn: {{storageUri: {uri}}}}}}}")
    assert isinstance(found, api.InferenceService)
    return found.model_copy(update={"metadata": api.Metadata(name=name, labels=labels or None)}) if labels else found


def uri(found: api.InferenceService) -> str | None:
    """Where its model comes from."""
    assert found.spec.predictor.sklearn is not None
    return found.spec.predictor.sklearn.storage_uri


def condition(type_: str, status: str, **more: str) -> dict[str, str]:
    return {"type": type_, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z", **more}


EVERY_KIND: Final = {
    "ClusterServingRuntime": "{containers: [{name: kserve-container, image: x}]}",
    "ClusterStorageContainer": "{container: {name: storage-initializer, image: x}, supportedUriFormats: [{prefix: x}]}",
    "InferenceGraph": "{nodes: {root: {routerType: Sequence, steps: [{serviceName: iris}]}}}",
    "InferenceService": "{predictor: {sklearn: {storageUri: gs://m}}}",
    "ServingRuntime": "{containers: [{name: kserve-container, image: x}]}",
    "TrainedModel": "{inferenceService: iris, model: {storageUri: gs://m, framework: sklearn, memory: 1Gi}}",
}

# -- fairlead.Client ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_objects_of_every_kind_are_made_read_listed_changed_and_deleted(client: fairlead.Client, kind: str) -> None:
    declared = manifest(kind, f"one-{kind.lower()}", EVERY_KIND[kind])
    name, of = declared.metadata.name, type(declared)
    made = client.create(declared)
    assert type(made) is of
    assert made.metadata.uid
    assert made.metadata.namespace == (None if kind.startswith("Cluster") else client.namespace)
    assert client.get(of, name) == made
    assert made in client.list(of)
    changed = client.patch(of, name, {"metadata": {"labels": {"team": "a"}}})
    assert changed.metadata.labels == {"team": "a"}
    client.delete(of, name)
    client.wait_deleted(of, name)
    with pytest.raises(errors.ObjectNotFound, match=name):
        client.get(of, name)


def test_what_is_applied_is_made_and_then_changed_and_what_others_say_stays(client: fairlead.Client) -> None:
    assert uri(client.apply(service(uri="gs://first"))) == "gs://first"
    client.patch(api.InferenceService, "iris", {"metadata": {"labels": {"mine": "1"}}})
    found = client.apply(service(uri="gs://second"))
    assert (uri(found), found.metadata.generation, found.metadata.labels) == ("gs://second", 2, {"mine": "1"})


def test_what_was_read_can_be_applied_again(client: fairlead.Client, cluster: Cluster) -> None:
    made = client.create(service())
    cluster.patch_status(*ISVC, "iris", {"conditions": [condition("Ready", "True")]}, client.namespace)
    read = client.get(api.InferenceService, "iris")
    found = client.apply(read, force=True)
    assert found.metadata.uid == made.metadata.uid
    assert found.spec == made.spec
    assert found.status == read.status


def test_a_field_that_another_holds_is_taken_only_by_force(client: fairlead.Client, cluster: Cluster) -> None:
    theirs = {**service(uri="gs://theirs").manifest(), "metadata": {"name": "iris", "namespace": client.namespace}}
    cluster.apply(theirs, manager="another")
    with pytest.raises(errors.ObjectConflict, match="another"):
        client.apply(service(uri="gs://ours"))
    assert uri(client.apply(service(uri="gs://ours"), force=True)) == "gs://ours"


def test_lists_are_of_one_namespace_of_all_or_of_labels(client: fairlead.Client, cluster: Cluster) -> None:
    for name, team in (("one", "a"), ("two", "b")):
        client.create(service(name, team=team))
    with cluster.namespace("clients") as other:
        client.create(service("three").model_copy(update={"metadata": api.Metadata(name="three", namespace=other)}))

        def names(**options: Any) -> set[str]:
            return {each.metadata.name for each in client.list(api.InferenceService, **options)}

        assert names() == {"one", "two"}
        assert names(labels="team!=a") == {"two"}
        assert names(namespace=other) == {"three"}
        assert names(everywhere=True) >= {"one", "two", "three"}


def test_a_list_of_several_pages_is_whole(client: fairlead.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.client.asking._PAGE", 2)
    for number in range(5):
        client.create(service(f"iris-{number}"))
    assert len(client.list(api.InferenceService)) == 5


def test_what_the_server_refuses_is_an_error_of_ours(
    client: fairlead.Client, server: ApiServer, tmp_path: Path
) -> None:
    client.create(service())
    with pytest.raises(errors.ObjectConflict, match="already exists"):
        client.create(service())
    with pytest.raises(errors.ObjectRefused, match="must be of type") as refused:
        client.patch(api.InferenceService, "iris", {"spec": {"predictor": {"minReplicas": "many"}}})
    assert refused.value.status == 422
    for call in (
        lambda: client.delete(api.InferenceService, "another"),
        lambda: client.patch(api.InferenceService, "another", {}),
        lambda: client.wait_ready("another"),
    ):
        with pytest.raises(errors.ObjectNotFound):
            call()
    with fairlead.Client(server.kubeconfig(tmp_path / "nobody", user="nobody")) as nobody:
        with pytest.raises(errors.ObjectRefused, match="nobody") as forbidden:
            nobody.list(api.InferenceService)
        assert forbidden.value.status == 403


def test_a_server_that_is_not_there_or_asks_for_time_is_unavailable(
    client: fairlead.Client, server: ApiServer, tmp_path: Path
) -> None:
    server.fail(lambda asked: asked.verb == "create", 429, times=1, retry_after=7)
    with pytest.raises(errors.ClusterUnavailable) as busy:
        client.create(service())
    assert (busy.value.status, busy.value.retry_after) == (429, 7)
    text = server.kubeconfig(tmp_path / "config").read_text().replace(server.url, "http://127.0.0.1:9")
    (tmp_path / "config").write_text(text)
    with fairlead.Client(tmp_path / "config") as nowhere, pytest.raises(errors.ClusterUnavailable, match="kubectl"):
        nowhere.get(api.InferenceService, "iris")


# -- waiting --------------------------------------------------------------------------------------------


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Runs something in a thread beside the test."""
    threads: list[threading.Thread] = []

    def run(call: Callable[[], object]) -> None:
        threads.append(threading.Thread(target=call))
        threads[-1].start()

    yield run
    for thread in threads:
        thread.join(30)


def test_a_service_is_waited_for_until_the_status_of_this_spec_is_ready(
    client: fairlead.Client, cluster: Cluster, beside: Callable[[Callable[[], object]], None]
) -> None:
    client.create(service())
    ready = condition("Ready", "True")
    cluster.patch_status(*ISVC, "iris", {"conditions": [ready], "observedGeneration": 1}, client.namespace)
    client.apply(service(uri="gs://second"), force=True)
    seen: list[api.InferenceService] = []
    statuses = iter({"conditions": [each], "observedGeneration": 2} for each in (condition("Ready", "False"), ready))

    def progress(found: api.InferenceService) -> None:
        seen.append(found)
        for status in itertools.islice(statuses, 1):
            beside(functools.partial(cluster.patch_status, *ISVC, "iris", status, client.namespace))

    found = client.wait_ready("iris", 30, progress, interval=0.01)
    assert found.status is not None
    assert found.status.observed_generation == 2
    assert [each.status.observed_generation for each in seen if each.status] == [1, 2, 2]


def test_graphs_and_models_are_waited_for_too(client: fairlead.Client, cluster: Cluster) -> None:
    client.create(manifest("InferenceGraph", "both", EVERY_KIND["InferenceGraph"]))
    cluster.patch_status(*GRAPH, "both", {"conditions": [condition("Ready", "True")]}, client.namespace)
    assert client.wait_ready("both", 30, kind=api.InferenceGraph).metadata.name == "both"
    with pytest.raises(errors.ConfigurationError, match="ServingRuntime"):
        client.wait_ready("any", kind=api.ServingRuntime)


def test_when_the_time_is_over_the_error_has_conditions_and_events(client: fairlead.Client, cluster: Cluster) -> None:
    made = client.create(service())
    conditions = [condition("Ready", "False"), condition("PredictorReady", "False", reason="NoPods", message="None.")]
    cluster.patch_status(*ISVC, "iris", {"conditions": conditions}, client.namespace)
    about = {"kind": "InferenceService", "name": "iris", "namespace": client.namespace, "uid": made.metadata.uid}
    for number, reason in enumerate(("First", "Second")):
        cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"iris.{number}", "namespace": client.namespace},
                "involvedObject": {**about, "apiVersion": ISVC[0]},
                "type": "Warning",
                "reason": reason,
                "message": "It is so.",
                "count": 1,
                "lastTimestamp": f"2026-01-01T00:00:0{number}Z",
            }
        )
    with pytest.raises(errors.ObjectNotReady) as raised:
        client.wait_ready("iris", timeout=0)
    assert str(raised.value).splitlines() == [
        f"InferenceService {client.namespace}/iris: it is not ready after 0 seconds.",
        "  PredictorReady is False (NoPods): None.",
        "  Warning First: It is so.",
        "  Warning Second: It is so.",
    ]
    assert raised.value.events == ("Warning First: It is so.", "Warning Second: It is so.")


def test_a_model_that_does_not_load_ends_the_waiting(client: fairlead.Client, cluster: Cluster) -> None:
    client.create(service())
    failure = {"reason": "ModelLoadFailed", "message": "There is no model."}
    status = {"modelStatus": {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": failure}}
    cluster.patch_status(*ISVC, "iris", status, client.namespace)
    with pytest.raises(errors.ObjectNotReady, match="BlockedByFailedLoad: ModelLoadFailed: There is no model"):
        client.wait_ready("iris")


def test_what_cannot_be_deleted_is_told_with_its_finalizers(client: fairlead.Client) -> None:
    client.create(service())
    client.patch(api.InferenceService, "iris", {"metadata": {"finalizers": ["example.com/mine"]}})
    client.delete(api.InferenceService, "iris")
    with pytest.raises(errors.ObjectNotReady, match=r"after 0 seconds. Its finalizers: example.com/mine\."):
        client.wait_deleted(api.InferenceService, "iris", timeout=0)
    client.patch(api.InferenceService, "iris", {"metadata": {"finalizers": None}})
    client.wait_deleted(api.InferenceService, "iris")


# -- KServe's client ------------------------------------------------------------------------------------


@pytest.mark.timeout(300)  # the first test of this kind makes the environment
def test_kserves_client_works_unchanged(cluster: Cluster, namespace: str) -> None:
    python = environment("kserve", HERE / "kserve-constraints.txt")
    command = [str(python), str(HERE / "kserve_cluster_client.py"), str(cluster.kubeconfig), namespace]
    with operated(cluster, namespace):
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    _check(json.loads(ended.stdout))


def _check(answers: dict[str, Any]) -> None:
    def model(name: str) -> Any:
        return answers[name]["spec"]["predictor"]["model"]

    assert model("create")["modelFormat"] == {"name": "sklearn"}
    assert model("create")["storageUri"] == "gs://first"
    assert answers["get"]["status"]["conditions"][0]["type"] == "Ready"
    assert answers["ready"] is True
    assert [each["metadata"]["name"] for each in answers["list"]] == ["iris"]
    assert model("patch")["storageUri"] == "gs://second"
    assert (model("replace")["storageUri"], answers["replace"]["metadata"]["generation"]) == ("gs://third", 3)
    assert "already exists" in answers["create again"]
    assert "not found" in answers["get another"]
    assert "Invalid value" in answers["create one that is wrong"]
    assert answers["graph"]["status"]["observedGeneration"] == 1
    assert answers["left"] == []
