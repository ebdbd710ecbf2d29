from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests import hooks
from fairlead_apiserver_tests.hooks import Hook
from fairlead_apiserver_tests.manifests import GROUP, widget

pytestmark = pytest.mark.usefixtures("widgets")

RULE = {"apiGroups": ["tests.fairlead.dev"], "apiVersions": ["v1"], "resources": ["widgets"], "operations": ["*"]}
REGISTRATION = "admissionregistration.k8s.io/v1"

Called = Callable[..., contextlib.AbstractContextManager[Hook]]


def patched(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(steps).encode()).decode()}


@pytest.fixture
def called(cluster: Cluster, namespace: str, tmp_path: Path) -> Called:
    """Has a webhook called for the widgets of the test's namespace."""
    if cluster.real and "127.0.0.1" not in cluster.kubeconfig.read_text():
        pytest.skip("the API server cannot call a webhook on this machine")

    @contextlib.contextmanager
    def call(kind: str, answer: hooks.Answer, probe: bool = True, **more: Any) -> Iterator[Hook]:
        name = f"tests-{namespace}"
        own = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        with hooks.serving(tmp_path, answer) as hook:
            rule = {**RULE, **more.pop("rule", {})}
            configuration = hook.configuration(kind, name, rule, namespaceSelector=own, **more)
            cluster.create(configuration)
            try:
                if probe:
                    cluster.eventually(lambda: heard(cluster, namespace, hook))
                    hook.asked.clear()
                yield hook
            finally:
                cluster.delete(REGISTRATION, configuration["kind"], name)

    return call


def heard(cluster: Cluster, namespace: str, hook: Hook) -> bool:
    """Whether the server calls the webhook by now; a real one takes a moment."""
    with contextlib.suppress(Refused):
        cluster.create(widget(namespace, "probe"), dryRun="All")
    return bool(hook.asked)


def test_a_webhook_is_asked_about_a_new_object(cluster: Cluster, namespace: str, called: Called) -> None:
    with called("Validating", lambda _: {}) as hook:
        cluster.create(widget(namespace, size=1))
    (asked,) = hook.asked
    assert (asked["operation"], asked["name"], asked["namespace"]) == ("CREATE", "one", namespace)
    assert asked["kind"] == {"group": "tests.fairlead.dev", "version": "v1", "kind": "Widget"}
    assert asked["resource"] == {"group": "tests.fairlead.dev", "version": "v1", "resource": "widgets"}
    assert asked["object"]["spec"] == {"size": 1, "replicas": 1}
    assert asked["oldObject"] is None
    assert asked["dryRun"] is False
    assert "system:masters" in asked["userInfo"]["groups"]


def test_a_webhook_is_shown_what_was_there(cluster: Cluster, namespace: str, called: Called) -> None:
    cluster.create(widget(namespace, size=1))
    with called("Validating", lambda _: {}) as hook:
        cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 2}}, namespace)
        cluster.delete(GROUP, "Widget", "one", namespace)
    update, delete = hook.asked
    assert (update["operation"], update["oldObject"]["spec"]["size"]) == ("UPDATE", 1)
    assert update["object"]["spec"]["size"] == 2
    assert (delete["operation"], delete["oldObject"]["spec"]["size"], delete["object"]) == ("DELETE", 2, None)


def test_a_webhook_denies(cluster: Cluster, namespace: str, called: Called) -> None:
    denial = {"allowed": False, "status": {"message": "not today"}}
    with called("Validating", lambda _: denial):
        with pytest.raises(Refused) as refused:
            cluster.create(widget(namespace))
        assert str(refused.value) == 'admission webhook "one.tests.fairlead.dev" denied the request: not today'
        assert (refused.value.code, refused.value.reason) == (400, "")
    assert cluster.get(GROUP, "Widget", "one", namespace) is None


def test_a_denial_has_the_code_that_the_webhook_gives(cluster: Cluster, namespace: str, called: Called) -> None:
    denial = {"allowed": False, "status": {"message": "wrong", "code": 422, "reason": "Invalid"}}
    with called("Validating", lambda _: denial), pytest.raises(Refused) as refused:
        cluster.create(widget(namespace))
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")


def test_a_webhook_warns(cluster: Cluster, namespace: str, called: Called) -> None:
    with called("Validating", lambda _: {"warnings": ["soon no longer"]}):
        cluster.create(widget(namespace))
        assert cluster.warnings == ["soon no longer"]


def test_a_webhook_changes_the_object(cluster: Cluster, namespace: str, called: Called) -> None:
    step = {"op": "add", "path": "/spec/colour", "value": "green"}
    with called("Mutating", lambda _: patched(step)):
        assert cluster.create(widget(namespace))["spec"]["colour"] == "green"
        assert cluster.apply(widget(namespace, "two"))["spec"]["colour"] == "green"


def test_an_apply_of_the_same_is_none_with_a_webhook_too(cluster: Cluster, namespace: str, called: Called) -> None:
    step = {"op": "add", "path": "/spec/colour", "value": "green"}
    with called("Mutating", lambda _: patched(step)):
        first = cluster.apply(widget(namespace, size=1))
        assert cluster.apply(widget(namespace, size=1)) == first


def test_what_a_webhook_makes_of_an_object_is_held_to_the_schema(
    cluster: Cluster, namespace: str, called: Called
) -> None:
    step = {"op": "add", "path": "/spec/colour", "value": "blue"}
    with called("Mutating", lambda _: patched(step)), pytest.raises(Refused, match="supported values"):
        cluster.create(widget(namespace))


def test_a_webhook_that_is_not_there_fails_the_request(cluster: Cluster, namespace: str, called: Called) -> None:
    nowhere = {"url": "https://127.0.0.1:1/"}

    def refused() -> bool:
        try:
            cluster.create(widget(namespace), dryRun="All")
        except Refused as found:
            told = 'failed calling webhook "one.tests.fairlead.dev"' in str(found)
            return told and (found.code, found.reason) == (500, "InternalError")
        return False

    with called("Validating", lambda _: {}, probe=False, clientConfig=nowhere):
        assert cluster.eventually(refused)


def test_a_webhook_that_is_not_there_can_be_done_without(cluster: Cluster, namespace: str, called: Called) -> None:
    nowhere = {"url": "https://127.0.0.1:1/"}
    with called("Validating", lambda _: {}, probe=False, clientConfig=nowhere, failurePolicy="Ignore"):
        assert cluster.create(widget(namespace))


def test_a_webhook_without_a_certificate_to_trust_is_not_believed(
    cluster: Cluster, namespace: str, called: Called, tmp_path: Path
) -> None:
    with hooks.serving(tmp_path, lambda _: {}) as other:
        client = {"url": other.url}

        def refused() -> bool:
            try:
                cluster.create(widget(namespace), dryRun="All")
            except Refused as found:
                return "certificate" in str(found)
            return False

        with called("Validating", lambda _: {}, probe=False, clientConfig=client):
            assert cluster.eventually(refused)


def test_a_webhook_is_asked_about_the_operations_of_its_rules(cluster: Cluster, namespace: str, called: Called) -> None:
    with called("Validating", lambda _: {}, rule={"operations": ["CREATE"]}) as hook:
        cluster.create(widget(namespace))
        cluster.patch(GROUP, "Widget", "one", {"spec": {"size": 2}}, namespace)
        cluster.patch_status(GROUP, "Widget", "one", {"phase": "Ready"}, namespace)
    assert [each["operation"] for each in hook.asked] == ["CREATE"]


def test_a_webhook_is_asked_about_the_objects_of_its_selector(cluster: Cluster, namespace: str, called: Called) -> None:
    marked = {"matchExpressions": [{"key": "mark", "operator": "DoesNotExist"}]}
    with called("Validating", lambda _: {}, objectSelector=marked) as hook:
        given = widget(namespace)
        given["metadata"]["labels"] = {"mark": "yes"}
        cluster.create(given)
        cluster.create(widget(namespace, "two"))
    assert [each["name"] for each in hook.asked] == ["two"]
