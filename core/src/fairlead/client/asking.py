"""Questions to an API server as plain data, and what it refuses as errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import urllib3

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.client.kinds import Place

__all__ = ["MANAGER", "Asking"]

MANAGER: Final = "fairlead-client"
"""The field manager of what is applied."""

_APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML
_MERGE: Final = "application/merge-patch+json"
_TIMEOUT: Final = 30.0
_PAGE: Final = 500
_TRY_AGAIN: Final = (408, 425, 429, 500, 502, 503, 504)


class Asking:
    """An API server.

    Every method raises `ClusterUnavailable` where it cannot be reached or asks to be asked again, and one of the other
    errors below `ClusterError` where it refuses.

    Args:
        api: a client of the ``kubernetes`` package.
    """

    def __init__(self, api: Any) -> None:
        from kubernetes import client

        self._objects: Any = client.CustomObjectsApi(api)
        self._core: Any = client.CoreV1Api(api)
        self._exception: type[Exception] = client.ApiException

    def create(self, place: Place, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object."""
        return self._ask("create", place, namespace, body=body, field_manager=MANAGER)

    def get(self, place: Place, namespace: str, name: str) -> dict[str, Any]:
        """Read an object."""
        return self._ask("get", place, namespace, name=name)

    def delete(self, place: Place, namespace: str, name: str) -> None:
        """Delete an object, and in the background what belongs to it."""
        self._ask("delete", place, namespace, name=name, propagation_policy="Background")

    def patch(self, place: Place, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Lay fields over an object; null removes one."""
        return self._ask("patch", place, namespace, name=name, body=body, field_manager=MANAGER, _content_type=_MERGE)

    def apply(self, place: Place, namespace: str, name: str, body: Mapping[str, Any], *, force: bool) -> dict[str, Any]:
        """Apply an object by the server's own merge; it is made where it is not there."""
        return self._ask(
            "patch", place, namespace, name=name, body=body, field_manager=MANAGER, force=force, _content_type=_APPLY
        )

    def every(self, place: Place, namespace: str | None, labels: str) -> list[dict[str, Any]]:
        """All objects of a kind, in pages.

        Args:
            place: the kind.
            namespace: the namespace; None for all.
            labels: a selector of labels.
        """
        found: list[dict[str, Any]] = []
        where = {"group": place.group, "version": place.version, "plural": place.plural}
        call = self._objects.list_cluster_custom_object
        if place.namespaced and namespace is not None:
            call, where = self._objects.list_namespaced_custom_object, {**where, "namespace": namespace}
        more: dict[str, Any] = {"limit": _PAGE, **({"label_selector": labels} if labels else {})}
        while True:
            page = self._told(call, **where, **more)
            found += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return found
            more["_continue"] = token

    def events(self, namespace: str, kind: str, name: str, uid: str | None) -> list[dict[str, Any]]:
        """The events of an object, the oldest first."""
        chosen = {"involvedObject.kind": kind, "involvedObject.name": name, "involvedObject.uid": uid}
        selector = ",".join(f"{field}={value}" for field, value in chosen.items() if value)
        page = self._told(self._core.list_namespaced_event, namespace=namespace, field_selector=selector)
        found = page.get("items") or []
        return sorted(found, key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or ""))

    def _ask(self, verb: str, place: Place, namespace: str, **options: Any) -> dict[str, Any]:
        where = {"group": place.group, "version": place.version, "plural": place.plural}
        if place.namespaced:
            where["namespace"] = namespace
        call = getattr(self._objects, f"{verb}_{'namespaced' if place.namespaced else 'cluster'}_custom_object")
        return self._told(call, **where, **options)

    def _told(self, call: Callable[..., Any], **options: Any) -> dict[str, Any]:
        """What a call of the client is answered; the answer is read here, because it knows no status 201 of a patch."""
        try:
            answer = call(**options, _request_timeout=_TIMEOUT, _preload_content=False)
            found: dict[str, Any] = json.loads(answer.data)
            return found
        except self._exception as error:
            raise _refused(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise errors.ClusterUnavailable(
                f"The API server does not answer: {type(error).__name__}: {error}",
                remedy="Look whether the cluster is there: kubectl version",
            ) from error


def _refused(error: Any) -> errors.ClusterError:
    """What an answer that refuses says."""
    status = int(error.status or 0)
    try:
        told = json.loads(error.body)
    except (TypeError, ValueError):
        told = None
    message = told.get("message") if isinstance(told, dict) else None
    reason = f"The API server answers {status}: {message or error.reason}"
    if status in (404, 410):
        return errors.ObjectNotFound(reason, status=status)
    if status == 409:
        return errors.ObjectConflict(reason, status=status)
    if status in _TRY_AGAIN or not status:
        after = str((error.headers or {}).get("Retry-After") or "")
        return errors.ClusterUnavailable(reason, status=status, retry_after=float(after) if after.isdigit() else None)
    return errors.ObjectRefused(reason, status=status)
