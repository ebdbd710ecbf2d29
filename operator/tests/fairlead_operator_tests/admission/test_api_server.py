"""The webhooks, their certificate and their configurations with an API server in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.api import crds
from fairlead_apiserver import ApiServer, Cluster
from fairlead_apiserver.cluster import Refused
from fairlead_operator import certificates, webhooks
from fairlead_operator.cluster import client
from fairlead_operator.keeping import Keeper
from fairlead_operator.webhook_server import WebhookServer
from fairlead_operator_tests.admission.answering import answering
from fairlead_operator_tests.admission.views import isvc, runtime

SECRET = "webhooks"  # a name
ISVC = ("serving.kserve.io/v1beta1", "InferenceService")
NOT_FOR_RULES = "{predictor: {sklearn: {storageUri: 's3://models/iris', env: [{name: PYTHONPATH, value: x}]}}}"
NAMES = (*certificates.names_of("fairlead-webhooks", "default"), "localhost")


class _Server:
    """A server of webhooks in a thread of its own."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._task = self._loop.create_task(self._serve())
            self._loop.run_until_complete(self._task)
        self._loop.close()

    async def _serve(self) -> None:
        try:
            async with client.connected(self._kubeconfig) as cluster:
                keeper = Keeper(cluster, SECRET, "default", NAMES)

                async def announce(found: Any) -> None:
                    for each in webhooks.configurations(found):
                        await cluster.apply(each, force=True)

                url = {"url": "https://localhost:{port}"}
                server = WebhookServer(keeper, url, host="127.0.0.1", port=0, announce=announce)
                async for _ in server(answering()):
                    self._ready.set()
        except Exception as error:
            self.error = error
            raise
        finally:
            self._ready.set()


@pytest.fixture(scope="module", autouse=True)
def _patient() -> Iterator[None]:
    """An API server does without an answer that comes too late; here it waits as long as one may."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhooks, "_SECONDS", 30)
        yield


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of an API server with the kinds."""
    with ApiServer() as server:
        kubeconfig = server.kubeconfig(tmp_path_factory.mktemp("api") / "kubeconfig")
        cluster = Cluster(kubeconfig)
        for each in crds.definitions():
            cluster.install(each)
        yield kubeconfig


@pytest.fixture(scope="module")
def asked(api: Path) -> Iterator[_Server]:
    """A server of webhooks that the API server asks."""
    server = _Server(api)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cluster(api: Path, asked: _Server) -> Iterator[tuple[Cluster, str]]:
    """A client, and a namespace of the test's own."""
    found = Cluster(api)
    with found.namespace() as namespace:
        yield found, namespace


def here(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def test_a_service_is_stored_with_its_defaults(cluster: tuple[Cluster, str]) -> None:
    client, namespace = cluster
    found = client.create(here(isvc("{predictor: {sklearn: {storageUri: 's3://models/iris'}}}"), namespace))
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/iris"}
    assert found["spec"]["predictor"] == {"model": model}
    assert found["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"


def test_a_service_whose_name_the_server_makes_is_stored_with_its_defaults(cluster: tuple[Cluster, str]) -> None:
    client, namespace = cluster
    given = here(isvc(), namespace)
    given["metadata"]["generateName"] = f"{given['metadata'].pop('name')}-"
    found = client.create(given)
    assert found["metadata"]["name"].startswith("iris-")
    assert found["metadata"]["annotations"]["modelFormat"] == "sklearn"


def test_what_only_a_webhook_can_tell_is_refused_with_its_words(cluster: tuple[Cluster, str]) -> None:
    client, namespace = cluster
    with pytest.raises(Refused, match="PYTHONPATH") as caught:
        client.create(here(isvc(NOT_FOR_RULES), namespace))
    assert "validate-inferenceservices.fairlead-operator.serving.kserve.io" in str(caught.value)
    wrong = runtime("protocolVersions: [v9]", kind="ServingRuntime")
    with pytest.raises(Refused, match="is not one of"):
        client.create(here(wrong, namespace))


def test_what_the_definition_can_tell_is_refused_by_it(cluster: tuple[Cluster, str]) -> None:
    client, namespace = cluster
    wrong = here(isvc("{predictor: {minReplicas: 3, maxReplicas: 2, sklearn: {storageUri: 's3://a'}}}"), namespace)
    with pytest.raises(Refused, match="maxReplicas is below minReplicas"):
        client.create(wrong)


def test_a_user_is_warned_of_what_cannot_run_yet(cluster: tuple[Cluster, str]) -> None:
    client, namespace = cluster
    client.create(here(isvc("{predictor: {model: {modelFormat: {name: pmml}, storageUri: 's3://a'}}}"), namespace))
    assert any("NoSupportingRuntime" in each for each in client.warnings)


def test_an_edit_is_judged_and_one_that_concerns_nobody_is_not(cluster: tuple[Cluster, str]) -> None:
    client, namespace = cluster
    client.create(here(isvc(), namespace))
    client.patch_status(*ISVC, "iris", {"deploymentMode": "Standard"}, namespace)
    mode = {"metadata": {"annotations": {"serving.kserve.io/deploymentMode": "Knative"}}}
    with pytest.raises(Refused, match="cannot be changed to Knative"):
        client.patch(*ISVC, "iris", namespace=namespace, patch=mode)
    found = client.patch(*ISVC, "iris", namespace=namespace, patch={"metadata": {"finalizers": ["example.com/a"]}})
    assert found["metadata"]["finalizers"] == ["example.com/a"]
    client.patch(*ISVC, "iris", namespace=namespace, patch={"metadata": {"finalizers": None}})


def test_a_webhook_that_is_down_keeps_nobody_from_changing_anything(api: Path) -> None:
    server = _Server(api)
    server.start()
    server.stop()
    found = Cluster(api)
    with found.namespace() as namespace:
        stored = found.create(here(isvc(NOT_FOR_RULES), namespace))
        assert "sklearn" in stored["spec"]["predictor"]


def test_replicas_share_one_certificate_in_a_secret(api: Path, tmp_path: Path) -> None:
    async def several() -> set[bytes]:
        async with client.connected(api) as cluster:
            now = dt.datetime.now(dt.UTC)
            keepers = [Keeper(cluster, "shared", "default", NAMES, lambda: now) for _ in range(3)]
            first = await asyncio.gather(*(each.current() for each in keepers))
            later = now + dt.timedelta(days=70)
            keepers = [Keeper(cluster, "shared", "default", NAMES, lambda: later) for _ in range(3)]
            second = await asyncio.gather(*(each.current() for each in keepers))
            assert {each.authorities for each in first} == {each.authorities for each in second}
            return {each.certificate for each in (*first, *second)}

    assert len(asyncio.run(several())) == 2
    secret = Cluster(api).read("v1", "Secret", "shared", "default")
    assert set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt", "ca.key"}
