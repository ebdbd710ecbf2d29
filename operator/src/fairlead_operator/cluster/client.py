"""One API server, asked through the asynchronous client of Kubernetes: plain data goes in and comes out."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from kubernetes.aio import config as configuration
from kubernetes.aio.client import ApiClient, Configuration

from fairlead import errors
from fairlead_operator.cluster.kinds import Kinds

if TYPE_CHECKING:
    from fairlead_operator.cluster.kinds import Kind
    from fairlead_operator.desired.model import Manifest

__all__ = ["MANAGER", "Cluster", "connected", "credentials"]

MANAGER: Final = "fairlead-operator"
"""The field manager of all that is applied."""

_APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML
_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"
_TIMEOUT: Final = 30.0
_PAGE: Final = 500
_MESSAGE: Final = 2000
_TRY_AGAIN: Final = (408, 410, 425, 429, 500, 502, 503, 504)


class Cluster:
    """An API server.

    Every call raises `ClusterUnavailable` where the server cannot be reached or asks to be asked again, and one of the
    other errors below `ClusterError` where it refuses.

    Args:
        api: the client; whoever made it closes it.
        known: the kinds of objects that are written.

    Attributes:
        kinds: the same as ``known``.
    """

    def __init__(self, api: ApiClient, known: Kinds) -> None:
        self._api = api
        self.kinds: Final = known

    @property
    def api(self) -> ApiClient:
        """The client."""
        return self._api

    @property
    def is_encrypted(self) -> bool:
        """Whether it is asked over TLS."""
        return str(self._api.configuration.host).startswith("https:")

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest:
        """An object.

        Raises:
            ObjectNotFound: there is none.
        """
        return await self._ask("GET", kind.path(namespace, name))

    async def every(
        self, kind: Kind, *, labels: str = "", fields: str = "", namespace: str | None = None
    ) -> tuple[list[Manifest], str]:
        """All objects of a kind, in pages, each with its kind, and the version of the list.

        Args:
            kind: the kind.
            labels: a selector of labels.
            fields: a selector of fields.
            namespace: the namespace; None for all.
        """
        found: list[Manifest] = []
        query = [("limit", str(_PAGE)), ("labelSelector", labels), ("fieldSelector", fields)]
        token = ""
        while True:
            page = await self._ask("GET", kind.path(namespace), [*query, ("continue", token)])
            found += [{**each, "apiVersion": kind.api_version, "kind": kind.name} for each in page.get("items") or ()]
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return found, str(metadata.get("resourceVersion") or "")

    async def apply(self, manifest: Mapping[str, Any], *, force: bool, manager: str = MANAGER) -> Manifest:
        """Apply an object by the server's own merge; it is made where it is not there.

        Args:
            manifest: the fields that this operator decides.
            force: whether fields that others hold are taken from them.
            manager: who holds the fields from then on.

        Returns:
            The object as it is now.

        Raises:
            ObjectConflict: another holds a field, and `force` is not given.
        """
        metadata = manifest["metadata"]
        path = self.kinds.of(manifest).path(metadata.get("namespace"), metadata["name"])
        query = [("fieldManager", manager), ("force", "true" if force else "false")]
        return await self._ask("PATCH", path, query, manifest, _APPLY)

    async def create(self, manifest: Mapping[str, Any]) -> Manifest:
        """Make an object.

        Raises:
            ObjectConflict: there is one of that name.
        """
        path = self.kinds.of(manifest).path(manifest["metadata"].get("namespace"))
        return await self._ask("POST", path, [("fieldManager", MANAGER)], manifest)

    async def replace(self, manifest: Mapping[str, Any]) -> Manifest:
        """Write an object that was read before.

        Raises:
            ObjectConflict: it was changed since.
        """
        metadata = manifest["metadata"]
        path = self.kinds.of(manifest).path(metadata.get("namespace"), metadata["name"])
        return await self._ask("PUT", path, [("fieldManager", MANAGER)], manifest)

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any],
        subresource: str | None = None,
    ) -> Manifest:
        """Lay fields over an object, or over a subresource of it; null removes one."""
        path = kind.path(namespace, name, subresource)
        return await self._ask("PATCH", path, [("fieldManager", MANAGER)], patch, _MERGE)

    async def delete(self, kind: Kind, name: str, namespace: str | None, *, uid: str) -> None:
        """Delete an object and, in the background, what belongs to it; one that is gone is no error.

        Args:
            kind: its kind.
            name: its name.
            namespace: its namespace.
            uid: what tells it from another of that name, which is left alone.
        """
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        try:
            await self._ask("DELETE", kind.path(namespace, name), (), options)
        except errors.ObjectNotFound:
            return
        except errors.ObjectConflict as conflict:
            with contextlib.suppress(errors.ObjectNotFound):
                if (await self.get(kind, name, namespace))["metadata"].get("uid") == uid:
                    raise errors.ClusterUnavailable(conflict.reason, status=conflict.status) from conflict

    async def version(self) -> tuple[int, int]:
        """Major and minor version of the server."""
        found = await self._ask("GET", "/version")
        digits = ["".join(each for each in str(found.get(part, "")) if each.isdigit()) for part in ("major", "minor")]
        return int(digits[0] or 1), int(digits[1] or 0)

    async def _ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
    ) -> Manifest:
        headers = {"Accept": _JSON, "Content-Type": content_type}
        asked = await self._api.param_serialize(
            method,
            path,
            query_params=[(name, value) for name, value in query if value],
            header_params=headers,
            body=None if body is None else dict(body),
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._api.call_api(*asked, _request_timeout=_TIMEOUT)
            content: bytes = await response.read()  # type: ignore[no-untyped-call]  # the client's types have a gap
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise errors.ClusterUnavailable(
                f"The API server does not answer {method} {path}: {type(error).__name__} {error}".rstrip()
            ) from error
        found = _parsed(content)
        if 200 <= response.status < 300:
            return found
        raise _error(response.status, found, content, f"{method} {path}", response.headers.get("Retry-After"))


def _parsed(content: bytes) -> Manifest:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(status: int, told: Manifest, content: bytes, asked: str, retry_after: str | None) -> errors.ClusterError:
    message = str(told.get("message") or content.decode(errors="replace")).strip()[:_MESSAGE]
    reason = f"The API server answers {asked} with {status}: {message.rstrip('.')}."
    if status == 404:
        return errors.ObjectNotFound(reason, status=status)
    if status == 409:
        return errors.ObjectConflict(reason, status=status)
    if status in _TRY_AGAIN:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return errors.ClusterUnavailable(reason, status=status, retry_after=seconds)
    if status == 401:
        return errors.ObjectRefused(
            reason, remedy="See whether the token has expired, or is of another cluster.", status=status
        )
    if status == 403:
        return errors.ObjectRefused(
            reason, remedy="Apply the roles of operator/manifests/rbac: they have all that it may do.", status=status
        )
    return errors.ObjectRefused(reason, status=status)


async def credentials(kubeconfig: Path | None = None) -> Configuration:
    """How to reach the API server that a kubeconfig names, or in whose cluster this process runs.

    Args:
        kubeconfig: the file; None for the cluster of this pod, and elsewhere the file that ``kubectl`` takes.

    Raises:
        ConfigurationError: there is none.
    """
    settings = Configuration()
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            configuration.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]  # as above
        else:
            file = str(kubeconfig) if kubeconfig is not None else os.environ.get("KUBECONFIG")
            _expect(file)
            await configuration.load_kube_config(config_file=file, client_configuration=settings)  # type: ignore[no-untyped-call]  # as above
    except Exception as error:  # a file that is no kubeconfig makes the client stumble in any way
        known = isinstance(error, configuration.ConfigException | OSError)
        reason = str(error) if known else "what is there is no kubeconfig"
        raise errors.ConfigurationError(
            f"There is no cluster to connect to: {reason.rstrip('.')}.",
            remedy="Set KUBECONFIG to the file of a cluster, or run within one.",
        ) from error
    return settings


def _expect(files: str | None) -> None:
    """The client takes a file that is not there for an empty one."""
    if files and not any(Path(each).expanduser().exists() for each in files.split(os.pathsep)):
        raise FileNotFoundError(f"there is no file {files}")


@contextlib.asynccontextmanager
async def connected(kubeconfig: Path | None = None, known: Kinds | None = None) -> AsyncIterator[Cluster]:
    """The API server of `credentials`.

    Args:
        kubeconfig: the file, as there.
        known: the kinds of objects that are written; None for those that are always known.

    Raises:
        ConfigurationError: there is none.
    """
    async with ApiClient(await credentials(kubeconfig)) as api:
        yield Cluster(api, known or Kinds())
