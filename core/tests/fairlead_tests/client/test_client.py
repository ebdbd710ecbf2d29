"""What the client for clusters decides by itself: where kinds are, what is ready, and that it loads late."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fairlead
from fairlead import api, errors
from fairlead.api import crds
from fairlead.client import kinds, waiting

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: {current}
clusters: [{{name: one, cluster: {{server: "http://127.0.0.1:9"}}}}]
users: [{{name: me, user: {{token: secret}}}}]
contexts:
- {{name: first, context: {{cluster: one, user: me, namespace: team}}}}
- {{name: second, context: {{cluster: one, user: me}}}}
"""


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("kubernetes")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    file = tmp_path / "config"
    file.write_text(KUBECONFIG.format(current="first"))
    return file


def service(**status: Any) -> api.InferenceService:
    """An InferenceService of generation 2 with a status."""
    manifest: dict[str, Any] = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "iris", "namespace": "default", "generation": 2},
        "spec": {"predictor": {"sklearn": {"storageUri": "gs://m"}}},
    }
    return api.InferenceService.parse({**manifest, **({"status": status} if status else {})})


# -- kinds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", api.KINDS, ids=lambda kind: kind.identity()[1])
def test_a_kind_is_where_its_definition_says(kind: type[api.Resource]) -> None:
    spec = crds.definition(kind)["spec"]
    found = kinds.place(kind)
    assert (found.group, found.plural) == (spec["group"], spec["names"]["plural"])
    assert [found.version] == [each["name"] for each in spec["versions"]]
    assert found.namespaced == (spec["scope"] == "Namespaced")


def test_kinds_of_kubernetes_own_are_left_to_its_client() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"Secret is of v1, .* Use the kubernetes package for it."):
        kinds.place(api.Secret)


# -- what is ready --------------------------------------------------------------------------------------

READY = {"type": "Ready", "status": "True"}
NOT_READY = {"type": "Ready", "status": "False"}
DOWN = {"type": "PredictorReady", "status": "False", "reason": "CrashLoop", "message": "It ends\nagain."}


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({}, False),
        ({"conditions": []}, False),
        ({"conditions": [NOT_READY]}, False),
        ({"conditions": [{"type": "PredictorReady", "status": "True"}]}, False),
        ({"conditions": [READY], "observedGeneration": 1}, False),
        ({"conditions": [READY], "observedGeneration": 2}, True),
        ({"conditions": [READY]}, True),
    ],
)
def test_only_a_status_of_this_spec_says_that_it_is_ready(status: dict[str, Any], ready: bool) -> None:
    assert waiting.ready(waiting.state(service(**status))) is ready


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"transitionStatus": "InProgress"}, None),
        ({"transitionStatus": "UpToDate"}, None),
        ({"transitionStatus": "InvalidSpec"}, "InvalidSpec"),
        (
            {
                "transitionStatus": "BlockedByFailedLoad",
                "lastFailureInfo": {"reason": "ModelLoadFailed", "message": "There is no model."},
            },
            "BlockedByFailedLoad: ModelLoadFailed: There is no model.",
        ),
    ],
)
def test_a_model_that_does_not_load_is_not_waited_for(model: dict[str, Any], why: str | None) -> None:
    assert waiting.failed(waiting.state(service(modelStatus=model, observedGeneration=2))) == why
    assert waiting.failed(waiting.state(service(modelStatus=model, observedGeneration=1))) is None


def test_nothing_says_of_a_runtime_whether_it_is_ready() -> None:
    assert waiting.can_be_ready(api.InferenceService)
    assert not waiting.can_be_ready(api.ClusterServingRuntime)


def test_what_is_missing_is_told_in_lines() -> None:
    status = waiting.state(service(conditions=[NOT_READY, DOWN]))
    event = {"type": "Warning", "reason": "Failed", "message": "No\n model.", "count": 3}
    assert waiting.told(status, [waiting.line(event)]).splitlines() == [
        "  PredictorReady is False (CrashLoop): It ends again.",
        "  Warning Failed (3 times): No model.",
    ]
    assert waiting.told(waiting.state(service(conditions=[NOT_READY])), []) == "  Ready is False"
    runs = {"type": "Stopped", "status": "False"}
    assert waiting.told(waiting.state(service(conditions=[NOT_READY, runs])), []) == "  Ready is False"
    assert "Does an operator run" in waiting.told(None, [])


# -- what a cluster answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"spec": {"predictor": {"sclearn": {}}}},
            "the API server: InferenceService iris: spec.predictor has no field",
        ),
        ({"kind": "Secret", "apiVersion": "v1", "spec": None}, "Secret"),
        ({"kind": "TrainedModel"}, "There is no kind|TrainedModel is known as"),
    ],
)
def test_an_object_that_is_not_known_here_is_an_error_that_says_why(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], told: str
) -> None:
    answer = {**service().manifest(), **change}
    monkeypatch.setattr("fairlead.client.asking.Asking.get", lambda *_: answer)
    with fairlead.Client(kubeconfig) as client, pytest.raises(errors.InvalidManifest, match=told):
        client.get(api.InferenceService, "iris")


# -- the connection -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "namespace", "counts"),
    [(None, None, "team"), ("second", None, "default"), ("second", "mine", "mine"), ("first", None, "team")],
)
def test_the_namespace_is_the_contexts_unless_one_is_given(
    kubeconfig: Path, context: str | None, namespace: str | None, counts: str
) -> None:
    with fairlead.Client(kubeconfig, context, namespace) as client:
        assert client.namespace == counts


def test_the_variable_names_the_kubeconfig_whenever_it_is_set(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    with fairlead.Client() as client:
        assert client.namespace == "team"


@pytest.mark.parametrize("text", ["", "[", "a: b", KUBECONFIG.format(current="third"), "\x00"])
def test_a_kubeconfig_that_is_wrong_is_an_error_with_a_remedy(kubeconfig: Path, text: str) -> None:
    kubeconfig.write_text(text)
    with pytest.raises(errors.ConfigurationError, match=r"no cluster to connect to: .* Give a kubeconfig") as raised:
        fairlead.Client(kubeconfig)
    assert ".." not in str(raised.value)


def test_a_context_or_a_file_that_is_not_there_is_an_error(kubeconfig: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="no cluster to connect to"):
        fairlead.Client(kubeconfig, context="third")
    with pytest.raises(errors.ConfigurationError, match=r"connect to: there is no file .*missing"):
        fairlead.Client(kubeconfig.parent / "missing")


def test_without_the_extra_the_client_says_what_to_install() -> None:
    script = """
import sys
sys.modules["kubernetes"] = None
import fairlead
client = fairlead.Client
assert "kubernetes.client" not in sys.modules
try:
    client()
except fairlead.errors.ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'fairlead[client]'" in done.stdout
