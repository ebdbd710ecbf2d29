"""A small synchronous client for tests: the same for the server in memory and for a real one."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import kubernetes
import urllib3

from fairlead_apiserver import pods

__all__ = ["Cluster", "Refused"]

_Result = TypeVar("_Result")
Manifest = dict[str, Any]
_DEFINITION: Final = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
MERGE: Final = "application/merge-patch+json"
"""A patch that says what becomes of each field."""


class Refused(Exception):
    """A request that did not succeed.

    Args:
        status: The Status that the server answered.
    """

    def __init__(self, status: Manifest) -> None:
        super().__init__(status.get("message", ""))
        self.status = status
        self.code: int = status.get("code", 0)
        self.reason: str = status.get("reason", "")
        self.causes: list[dict[str, str]] = status.get("details", {}).get("causes", [])


class Cluster:
    """A cluster by its kubeconfig.

    Args:
        kubeconfig: The file.
        real: Whether a controller manager runs beside the server.
        patience: How long, in seconds, ``eventually`` waits.
    """

    def __init__(self, kubeconfig: Path, *, real: bool = False, patience: float = 30) -> None:
        self.kubeconfig = kubeconfig
        self.real = real
        self.patience = patience
        self.warnings: list[str] = []
        """What the server warned of in its last answer."""
        configuration = kubernetes.client.Configuration()
        load: Callable[..., None] = kubernetes.config.load_kube_config
        load(str(kubeconfig), client_configuration=configuration)
        client = kubernetes.client.ApiClient(configuration)
        self._host = configuration.host
        self._pool: urllib3.PoolManager = client.rest_client.pool_manager
        headers: dict[str, str] = {}
        client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        self._headers = {"user-agent": "fairlead-tests/1", "accept": "application/json", **_lower(headers)}
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def request(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        content: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """What the server answers to any request.

        Raises:
            Refused: It answers with a failure.
        """
        answer = self._pool.request(
            method,
            self._url(path, query),
            body=json.dumps(data).encode() if data is not None else None,
            headers={**self._headers, "content-type": content, **_lower(headers or {})},
            retries=False,
        )
        self.warnings = [json.loads(each[6:]) for each in answer.headers.getlist("Warning")]
        found = json.loads(answer.data) if answer.data[:1] in (b"{", b"[") else {"message": answer.data.decode()}
        if answer.status >= 400:
            raise Refused({"code": answer.status, **found})
        return found

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str = "", below: str = "") -> str:
        """The address of an object or of a kind."""
        plural, namespaced = self._kind(api_version, kind)
        head = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        middle = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return head + middle + f"/{plural}" + (f"/{name}" if name else "") + (f"/{below}" if below else "")

    def create(self, manifest: Manifest, **query: Any) -> Manifest:
        """Create an object."""
        found: Manifest = self.request("POST", self._of(manifest, name=False), manifest, query=query)
        return found

    def update(self, manifest: Manifest, below: str = "", **query: Any) -> Manifest:
        """Write over an object."""
        found: Manifest = self.request("PUT", self._of(manifest, below=below), manifest, query=query)
        return found

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        """An object, or None where there is none."""
        try:
            found: Manifest = self.request("GET", self.path(api_version, kind, namespace, name))
        except Refused as refused:
            if refused.code == 404:
                return None
            raise
        return found

    def read(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """An object that is there."""
        found: Manifest = self.request("GET", self.path(api_version, kind, namespace, name))
        return found

    def list(self, api_version: str, kind: str, namespace: str | None = None, **query: Any) -> list[Manifest]:
        """The objects of a kind."""
        found: list[Manifest] = self.request("GET", self.path(api_version, kind, namespace), query=query)["items"]
        return found

    def apply(self, manifest: Manifest, manager: str = "tests", *, force: bool = False, below: str = "") -> Manifest:
        """Apply an object on the server's side."""
        query = {"fieldManager": manager, "force": str(force).lower()}
        found: Manifest = self.request(
            "PATCH", self._of(manifest, below=below), manifest, query=query, content="application/apply-patch+yaml"
        )
        return found

    def patch(
        self, api_version: str, kind: str, name: str, patch: Any, namespace: str | None = None, *,
        content: str = MERGE, below: str = "", **query: Any,
    ) -> Manifest:  # fmt: skip
        """Patch an object."""
        path = self.path(api_version, kind, namespace, name, below)
        found: Manifest = self.request("PATCH", path, patch, query=query, content=content)
        return found

    def patch_status(
        self, api_version: str, kind: str, name: str, status: Any, namespace: str | None = None
    ) -> Manifest:
        """Merge something into the status of an object."""
        return self.patch(api_version, kind, name, {"status": status}, namespace, below="status")

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None, **options: Any) -> Manifest:
        """Delete an object."""
        data = {"kind": "DeleteOptions", "apiVersion": "v1", **options}
        found: Manifest = self.request("DELETE", self.path(api_version, kind, namespace, name), data)
        return found

    @contextlib.contextmanager
    def watch(
        self, api_version: str, kind: str, namespace: str | None = None, **query: Any
    ) -> Iterator[Iterator[Manifest]]:
        """The events of a watch; a watch that is over ends them."""
        query = {"watch": "true", "timeoutSeconds": int(self.patience), **query}
        answer = self._pool.request(
            "GET",
            self._url(self.path(api_version, kind, namespace), query),
            headers=self._headers,
            preload_content=False,
            retries=False,
        )
        if answer.status >= 400:
            raise Refused({"code": answer.status, **json.loads(answer.read())})
        try:
            yield _events(answer)
        finally:
            answer.close()

    @contextlib.contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[str]:
        """A namespace of its own, which is removed afterwards."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        try:
            yield name
        finally:
            with contextlib.suppress(Refused):
                self.delete("v1", "Namespace", name)

    @contextlib.contextmanager
    def installed(self, *definitions: Manifest) -> Iterator[None]:
        """Kinds that are served, and removed afterwards."""
        for definition in definitions:
            self.install(definition)
        try:
            yield
        finally:
            for definition in definitions:
                name = definition["metadata"]["name"]
                self.delete(*_DEFINITION, name)
                self.eventually(lambda name=name: self.get(*_DEFINITION, name) is None)  # type: ignore[misc]

    def install(self, definition: Manifest) -> None:
        """Serve the kind that a CustomResourceDefinition defines."""
        name = definition["metadata"]["name"]
        self.apply(definition, force=True)

        def established() -> bool:
            found = self.read(*_DEFINITION, name)
            conditions = found.get("status", {}).get("conditions") or []
            return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

        self.eventually(established)
        spec = definition["spec"]
        version = next(each["name"] for each in spec["versions"] if each["served"])
        self._kinds.clear()
        self.eventually(lambda: self._served(f"{spec['group']}/{version}", spec["names"]["kind"]))

    def eventually(self, call: Callable[[], _Result]) -> _Result:
        """What a call gives once it gives something that is true and refuses nothing.

        Raises:
            TimeoutError: It never did.
        """
        deadline = time.monotonic() + self.patience
        pause = 0.002
        while True:
            last: object
            try:
                if found := call():
                    return found
                last = found
            except (Refused, AssertionError, LookupError) as error:
                last = error
            if time.monotonic() > deadline:
                raise TimeoutError(f"it did not come true within {self.patience:g} s: {last!r}")
            time.sleep(pause)
            pause = min(pause * 2, 0.2 if self.real else 0.04)

    def roll_out(self, namespace: str, deployment: str, *, ready: int | None = None, reason: str = "") -> Manifest:
        """Play the nodes: let the pods of a Deployment run, or fail for a reason; the answer is the Deployment."""
        return pods.roll_out(self, namespace, deployment, ready=ready, reason=reason)

    def fail_pod(self, namespace: str, pod: str, **what: Any) -> Manifest:
        """Play the nodes: let a container of a pod fail; see ``pods.fail``."""
        return pods.fail(self, namespace, pod, **what)

    def _of(self, manifest: Manifest, *, name: bool = True, below: str = "") -> str:
        metadata = manifest["metadata"]
        where = metadata.get("namespace"), metadata["name"] if name else ""
        return self.path(manifest["apiVersion"], manifest["kind"], *where, below)

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        if (api_version, kind) not in self._kinds:
            self._discover(api_version)
        if (api_version, kind) not in self._kinds:
            raise Refused({"code": 404, "reason": "NotFound", "message": f"{api_version} has no kind {kind}"})
        return self._kinds[api_version, kind]

    def _served(self, api_version: str, kind: str) -> bool:
        self._discover(api_version)
        return (api_version, kind) in self._kinds

    def _discover(self, api_version: str) -> None:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        for each in self.request("GET", path)["resources"]:
            if "/" not in each["name"]:
                self._kinds[api_version, each["kind"]] = each["name"], each["namespaced"]

    def _url(self, path: str, query: Mapping[str, Any] | None) -> str:
        return f"{self._host}{path}" + (f"?{urlencode(query)}" if query else "")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}


def _events(answer: urllib3.BaseHTTPResponse) -> Iterator[Manifest]:
    rest = b""
    for chunk in answer.stream(amt=None):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield json.loads(line)
