"""An operator with webhooks: what is declared is completed and judged on its way to the API server."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import functools
import json
import ssl
import urllib.parse
from typing import TYPE_CHECKING, Any, Final

import pytest
import urllib3

from fairlead_apiserver.cluster import Refused
from fairlead_operator import certificates, webhook_server, webhooks
from fairlead_operator.announcing import SECRET
from fairlead_operator_tests.running.operating import operating
from fairlead_operator_tests.running.services import HOME, SERVING, Services, isvc, runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead_apiserver.cluster import Cluster
    from fairlead_operator_tests.running.conftest import Operate

API: Final = "admissionregistration.k8s.io/v1"
KINDS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
OPTIONS: Final[dict[str, Any]] = {"webhooks": True, "webhook_port": 0, "webhook_url": "https://localhost:{port}"}
MODE: Final = "serving.kserve.io/deploymentMode"
REVIEWED: Final = "default-inferenceservices"


@pytest.fixture(scope="module")
def hurried() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhook_server, "_CHECKED_EVERY", 0.1)
        patch.setattr(webhooks, "_SECONDS", 30)  # an API server does without an answer that comes later
        yield


@pytest.fixture(scope="module")
def judged(hurried: None, prepared_cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with an operator that serves webhooks."""
    _withdrawn(prepared_cluster)
    with operating(prepared_cluster.kubeconfig, **OPTIONS):
        for kind in KINDS:
            prepared_cluster.eventually(functools.partial(prepared_cluster.get, API, kind, webhooks.NAME))
        prepared_cluster.eventually(lambda: _is_asked(prepared_cluster))
        yield prepared_cluster
    _withdrawn(prepared_cluster)


@pytest.fixture
def models(judged: Cluster, namespace: str) -> Services:
    """A namespace of that cluster."""
    return Services(judged, namespace)


def _withdrawn(cluster: Cluster) -> None:
    for kind in KINDS:
        with contextlib.suppress(Refused):
            cluster.delete(API, kind, webhooks.NAME)


def _is_gone(cluster: Cluster, kind: str) -> bool:
    return cluster.get(API, kind, webhooks.NAME) is None


def _is_asked(cluster: Cluster) -> bool:
    """Whether the API server asks the webhooks by now."""
    path = cluster.path(SERVING, "InferenceService", "default")
    probe = {**isvc("probe"), "metadata": {"name": "probe", "namespace": "default"}}
    return MODE in cluster.request("POST", path, probe, query={"dryRun": "All"})["metadata"].get("annotations", {})


def _asked_at(cluster: Cluster) -> tuple[urllib.parse.SplitResult, str]:
    """Where the webhook is, and the authorities that vouch for it."""
    found = cluster.read(API, KINDS[0], webhooks.NAME)["webhooks"][0]["clientConfig"]
    return urllib.parse.urlsplit(found["url"]), base64.b64decode(found["caBundle"]).decode()


def test_a_service_is_stored_with_its_defaults_and_served(models: Services) -> None:
    found = models.declare(isvc("iris"))
    assert found["metadata"]["annotations"][MODE] == "Standard"
    models.roll_out("iris-predictor")
    models.condition("iris", "Ready", "True")


def test_a_service_that_cannot_be_is_refused_and_never_seen(models: Services) -> None:
    with pytest.raises(Refused, match="PYTHONPATH") as caught:
        models.declare(isvc("iris", model={"env": [{"name": "PYTHONPATH", "value": "/tmp"}]}))
    assert "denied the request" in str(caught.value)
    assert not models.names("InferenceService")


def test_an_edit_is_refused_and_the_service_stays_as_it_is(models: Services) -> None:
    models.declare(isvc("iris"))
    models.settled("iris")
    with pytest.raises(Refused, match="cannot be changed"):
        models.annotate("iris", deploymentMode="Knative")
    with pytest.raises(Refused, match="denied the request"):
        models.change("iris", {"spec": {"predictor": {"model": {"env": [{"name": "PYTHONPATH", "value": "/tmp"}]}}}})
    assert models.settled("iris")["observedGeneration"] == 1


def test_its_user_is_warned_of_what_cannot_run_yet(models: Services) -> None:
    models.declare(isvc("iris", model={"modelFormat": {"name": "abacus"}}))
    assert any("NoSupportingRuntime" in each for each in models.cluster.warnings)


def test_runtimes_are_judged_as_well(models: Services) -> None:
    with pytest.raises(Refused, match="is not one of"):
        models.declare(runtime("odd", kind="ServingRuntime", protocolVersions=["v9"]))


def test_what_the_operator_writes_is_let_through_without_a_word(models: Services) -> None:
    models.declare(isvc("iris"))
    models.roll_out("iris-predictor")
    before = models.condition("iris", "Ready", "True")
    models.change("iris", {"metadata": {"labels": {"example.com/team": "a"}}})
    models.becomes("Deployment", "iris-predictor", lambda each: "example.com/team" in each["metadata"]["labels"])
    assert models.condition("iris", "Ready", "True")["lastTransitionTime"] >= before["lastTransitionTime"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": []}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u"}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_review_is_refused_and_the_next_one_answered(models: Services, body: bytes) -> None:
    url, authorities = _asked_at(models.cluster)
    context = ssl.create_default_context(cadata=authorities)
    with urllib3.HTTPSConnectionPool("localhost", url.port, ssl_context=context, retries=False) as pool:
        answer = pool.request("POST", f"/{REVIEWED}", body=body, headers={"content-type": "application/json"})
        assert answer.status == 400 or not json.loads(answer.data)["response"]["allowed"]
        assert pool.request("GET", "/healthz").status == 200
    assert MODE in models.declare(isvc("iris"))["metadata"]["annotations"]


def test_a_certificate_that_is_to_end_is_renewed_without_a_restart(models: Services) -> None:
    url, _ = _asked_at(models.cluster)
    assert url.hostname is not None
    assert url.port is not None
    served = ssl.get_server_certificate((url.hostname, url.port))
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=80)
    secret = models.cluster.read("v1", "Secret", SECRET, HOME)
    old = certificates.renewed(None, [url.hostname], long_ago)
    models.cluster.update(certificates.to_secret(old, SECRET, HOME, secret))

    def is_another() -> bool:
        now = ssl.get_server_certificate((url.hostname or "", url.port or 0))
        return now not in (served, old.certificate.decode())

    models.cluster.eventually(is_another)
    models.cluster.eventually(lambda: _is_asked(models.cluster))
    assert MODE in models.declare(isvc("iris"))["metadata"]["annotations"]
    with pytest.raises(Refused, match="PYTHONPATH"):
        models.declare(isvc("other", model={"env": [{"name": "PYTHONPATH", "value": "/tmp"}]}))


def test_an_operator_without_webhooks_takes_their_configurations_away(
    prepared_cluster: Cluster, operate: Operate, namespace: str
) -> None:
    _withdrawn(prepared_cluster)
    with operate(**OPTIONS):
        prepared_cluster.eventually(lambda: _is_asked(prepared_cluster))
    with operate():
        for kind in KINDS:
            prepared_cluster.eventually(functools.partial(_is_gone, prepared_cluster, kind))
        services = Services(prepared_cluster, namespace)
        assert MODE not in services.declare(isvc("iris"))["metadata"].get("annotations", {})
        services.appears("Ingress", "iris")
