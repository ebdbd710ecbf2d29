"""The webhooks over HTTPS, as an API server asks them, with kopf between the server and the rules."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import io
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import jsonpatch
import kopf
import pytest

from fairlead import errors
from fairlead_operator import certificates, webhooks
from fairlead_operator.webhook_server import HEALTH, WebhookServer
from fairlead_operator_tests.admission.answering import answering
from fairlead_operator_tests.admission.views import isvc, runtime

if TYPE_CHECKING:
    from fairlead_operator.certificates import Bundle

NAMES = certificates.names_of("fairlead-operator", "fairlead")
NOW = dt.datetime.now(dt.UTC)
FIRST = certificates.issued(NAMES, NOW)
SERVICES = "inferenceservices"


class Kept:
    """A certificate that tests exchange."""

    def __init__(self, bundle: Bundle = FIRST) -> None:
        self.bundle: Bundle | None = bundle

    async def current(self) -> Bundle:
        if self.bundle is None:
            raise errors.ClusterUnavailable("The API server is away.")
        return self.bundle


class Running:
    """A server that runs, and the client that asks it."""

    def __init__(self, kept: Kept, server: WebhookServer, turns: asyncio.Queue[None]) -> None:
        self.kept = kept
        self.server = server
        self.turns = turns
        self.told = asyncio.Queue[Any]()

    async def ask(self, path: str, body: bytes, trusts: Bundle = FIRST) -> tuple[int, Any]:
        """Post a body to a path, as an API server does that trusts a certificate."""
        context = ssl.create_default_context(cadata=trusts.authorities.decode())
        url = f"https://127.0.0.1:{self.server.port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=io.BytesIO(body), ssl=context, server_hostname=NAMES[0]) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" else text

    async def review(self, hook: str, plural: str, manifest: Any, old: Any = None) -> dict[str, Any]:
        """Ask for a review, and return its response."""
        status, found = await self.ask(f"/{hook}-{plural}", json.dumps(review(plural, manifest, old)).encode())
        assert status == 200, found
        assert found["response"]["uid"] == "u-1"
        response: dict[str, Any] = found["response"]
        return response


def review(plural: str, manifest: Any, old: Any = None) -> dict[str, Any]:
    version = "v1beta1" if plural == SERVICES else "v1alpha1"
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "resource": {"group": "serving.kserve.io", "version": version, "resource": plural},
            "operation": "CREATE" if old is None else "UPDATE",
            "userInfo": {"username": "somebody"},
            "object": manifest,
            "oldObject": old,
        },
    }


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """A server with a certificate, and a turn for each time that it looks at it."""
    kept, turns = Kept(), asyncio.Queue[None]()

    async def announce(client: Any) -> None:
        found.told.put_nowait(client)

    url = {"url": "https://127.0.0.1:{port}"}
    server = WebhookServer(kept, url, host="127.0.0.1", port=0, announce=announce, pause=turns.get)
    found = Running(kept, server, turns)
    iterator = server(answering())
    await anext(iterator)
    task = asyncio.create_task(_drained(iterator))
    try:
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await iterator.aclose()  # type: ignore[attr-defined]


async def _drained(iterator: AsyncIterator[Any]) -> None:
    async for _ in iterator:
        pass


def served(test: Callable[[Running], Awaitable[None]]) -> None:
    """Run a test against a server."""

    async def run() -> None:
        async with asyncio.timeout(30), running() as found:
            await test(found)

    asyncio.run(run())


# -- reviews ---------------------------------------------------------------------------------------------


def test_a_service_is_answered_with_the_patch_of_its_defaults() -> None:
    async def test(server: Running) -> None:
        given = isvc("{predictor: {sklearn: {storageUri: 's3://models/iris'}}}")
        response = await server.review("default", SERVICES, given)
        patch = json.loads(base64.b64decode(response["patch"]))
        assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
        changed = jsonpatch.apply_patch(given, patch)
        assert changed["spec"]["predictor"]["model"]["modelFormat"] == {"name": "sklearn"}
        again = await server.review("default", SERVICES, changed)
        assert (again["allowed"], "patch" in again) == (True, False)
        assert (await server.review("validate", SERVICES, changed))["allowed"]

    served(test)


def test_an_object_that_is_wrong_is_denied_with_all_that_is_wrong_and_one_that_cannot_run_yet_warned_of() -> None:
    async def test(server: Running) -> None:
        wrong = isvc("{predictor: {minReplicas: -1, maxReplicas: -2, model: {modelFormat: {name: sklearn}}}}")
        denied = await server.review("validate", SERVICES, wrong)
        assert (denied["allowed"], denied["status"]["code"]) == (False, 422)
        assert denied["status"]["message"].count("is below 0") == 2
        unknown = isvc("{predictor: {model: {modelFormat: {name: pmml}, storageUri: 's3://a'}}}")
        warned = await server.review("validate", SERVICES, unknown)
        assert warned["allowed"]
        assert "NoSupportingRuntime" in warned["warnings"][0]

    served(test)


def test_an_update_is_judged_by_what_was_before_and_other_kinds_by_their_rules() -> None:
    async def test(server: Running) -> None:
        old = {**isvc(), "status": {"deploymentMode": "Knative"}}
        new = {**isvc(annotations={"serving.kserve.io/deploymentMode": "Standard"}), "status": old["status"]}
        assert "cannot be changed" in (await server.review("validate", SERVICES, new, old))["status"]["message"]
        for plural, kind in (
            ("clusterservingruntimes", "ClusterServingRuntime"),
            ("servingruntimes", "ServingRuntime"),
        ):
            denied = await server.review("validate", plural, runtime("protocolVersions: [v9]", kind=kind))
            assert "is not one of" in denied["status"]["message"]

    served(test)


@pytest.mark.parametrize("manifest", [None, 7, {}, {"metadata": 7}, {"metadata": {"labels": 7}}, {"metadata": {}}])
@pytest.mark.parametrize("hook", ["default", "validate"])
def test_an_object_that_is_none_is_denied_or_left_to_the_schema_and_never_an_error(hook: str, manifest: Any) -> None:
    async def test(server: Running) -> None:
        response = await server.review(hook, SERVICES, manifest)
        assert response["allowed"] is (hook == "default" and manifest == {"metadata": {}})
        assert response["allowed"] or response["status"]["message"]

    served(test)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"apiVersion": "admission.k8s.io/v1"}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": 7}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": {"uid": 7}}',
        b'{"apiVersion": "admission.k8s.io/v9", "request": {"uid": "u"}}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": {"metadata": {}}}}',
        json.dumps(review("strangers", isvc())).encode(),
    ],
)
def test_a_request_that_is_no_review_is_refused_and_the_server_goes_on(body: bytes) -> None:
    async def test(server: Running) -> None:
        status, text = await server.ask(f"/validate-{SERVICES}", body)
        assert status == 400
        assert text.startswith("This")
        assert (await server.review("validate", SERVICES, isvc()))["allowed"]

    served(test)


def test_a_giant_is_refused_before_it_is_read() -> None:
    async def test(server: Running) -> None:
        status, _ = await server.ask(f"/validate-{SERVICES}", b" " * (17 * 1024 * 1024))
        assert status == 413

    served(test)


# -- certificate and configuration -----------------------------------------------------------------------


def test_the_certificate_is_exchanged_while_the_server_runs() -> None:
    second = certificates.issued(NAMES, NOW)

    async def test(server: Running) -> None:
        assert (await server.review("validate", SERVICES, isvc()))["allowed"]
        server.kept.bundle = None
        server.turns.put_nowait(None)  # it cannot be read, and the one before stays
        assert (await server.review("validate", SERVICES, isvc()))["allowed"]
        server.kept.bundle = second
        server.turns.put_nowait(None)
        told = [await server.told.get() for _ in range(2)]
        body = json.dumps(review(SERVICES, isvc())).encode()
        assert (await server.ask(f"/validate-{SERVICES}", body, second))[0] == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await server.ask(f"/validate-{SERVICES}", body, FIRST)
        assert [base64.b64decode(each["caBundle"]) for each in told] == [FIRST.authorities, second.authorities]
        assert told[0]["url"] == f"https://127.0.0.1:{server.server.port}"

    served(test)


def test_the_server_says_that_it_answers() -> None:
    async def test(server: Running) -> None:
        context = ssl.create_default_context(cadata=FIRST.authorities.decode())
        url = f"https://127.0.0.1:{server.server.port}{HEALTH}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, ssl=context, server_hostname=NAMES[1]) as response,
        ):
            assert (response.status, await response.text()) == (200, "ok")

    served(test)


def test_the_configurations_never_keep_anybody_waiting_for_long_or_from_changing_anything() -> None:
    service = kopf.WebhookClientConfigService(namespace="fairlead", name="fairlead-operator", port=443)
    mutating, validating = webhooks.configurations({"service": service, "caBundle": "YQ==", "url": None})
    hooks = [*mutating["webhooks"], *validating["webhooks"]]
    assert [each["name"].split(".")[0] for each in hooks] == [
        "default-inferenceservices",
        "validate-inferenceservices",
        "validate-servingruntimes",
        "validate-clusterservingruntimes",
        "validate-inferencegraphs",
        "validate-trainedmodels",
        "validate-clusterstoragecontainers",
    ]
    for each in hooks:
        assert (each["failurePolicy"], each["sideEffects"]) == ("Ignore", "None")
        assert each["timeoutSeconds"] <= 10
        assert each["rules"][0]["operations"] == ["CREATE", "UPDATE"]
        path = each["name"].split(".")[0]
        assert each["clientConfig"] == {"service": {**service, "path": f"/{path}"}, "caBundle": "YQ=="}


def test_a_url_leads_to_the_same_paths() -> None:
    mutating, _ = webhooks.configurations({"url": "https://10.0.0.1:9443/"})
    assert mutating["webhooks"][0]["clientConfig"] == {"url": "https://10.0.0.1:9443/default-inferenceservices"}
