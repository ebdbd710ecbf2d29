"""`Client`: InferenceServices, runtimes, graphs and models in a cluster, as the typed kinds of `fairlead.api`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from fairlead import api, errors
from fairlead.api import InferenceService, Resource
from fairlead.client import connecting, waiting
from fairlead.client.asking import Asking
from fairlead.client.kinds import place

__all__ = ["Client"]

R = TypeVar("R", bound=Resource)

_SOURCE: Final = "the API server"
_OF_SERVER: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


class Client:
    """A client for the kinds of ``serving.kserve.io`` in a cluster.

    It needs the extra ``client``: ``pip install 'fairlead[client]'``. Every method raises `ClusterUnavailable` where
    the API server cannot be reached, `ObjectRefused` where it does not take what it is given or this user may not do
    it, and `InvalidManifest` where it answers with an object that is not known here.

    Args:
        kubeconfig: the file that names clusters; None for ``KUBECONFIG``, the cluster that this process runs in, or the
            file of ``kubectl``.
        context: the context of it; None for the current one.
        namespace: the namespace that counts where none is given; None for that of the context.

    Raises:
        ConfigurationError: there is no such file or context, or the ``kubernetes`` package is not installed.
    """

    def __init__(
        self,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        namespace: str | None = None,
    ) -> None:
        self._api, usual = connecting.connected(kubeconfig, context)
        self._asking = Asking(self._api)
        self.namespace = namespace or usual

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    # -- objects ------------------------------------------------------------------------------------------

    def create(self, resource: R) -> R:
        """Make an object, and return it as the cluster has it.

        Raises:
            ObjectConflict: there is one of that name.
        """
        kind = type(resource)
        namespace = self._of(resource)
        return self._parsed(kind, self._asking.create(place(kind), namespace, _written(resource, namespace)))

    def apply(self, resource: R, *, force: bool = False) -> R:
        """Make an object, or change the one of that name to what is declared; others keep the fields they hold.

        Args:
            resource: what is declared.
            force: whether fields that others hold, and that are declared otherwise here, are taken from them.

        Raises:
            ObjectConflict: another holds such a field.
        """
        kind, namespace = type(resource), self._of(resource)
        name = resource.metadata.name
        body = _written(resource, namespace)
        return self._parsed(kind, self._asking.apply(place(kind), namespace, name, body, force=force))

    def get(self, kind: type[R], name: str, namespace: str | None = None) -> R:
        """Read an object.

        Raises:
            ObjectNotFound: there is none.
        """
        return self._parsed(kind, self._asking.get(place(kind), namespace or self.namespace, name))

    def list(
        self, kind: type[R], namespace: str | None = None, *, labels: str = "", everywhere: bool = False
    ) -> list[R]:
        """All objects of a kind.

        Args:
            kind: the kind, such as `fairlead.api.InferenceService`.
            namespace: the namespace; None for the client's.
            labels: a selector of labels, such as ``team=a,stage!=test``.
            everywhere: whether those of all namespaces are meant.
        """
        where = None if everywhere else namespace or self.namespace
        api_version, name = kind.identity()
        return [
            self._parsed(kind, {**each, "apiVersion": api_version, "kind": name})
            for each in self._asking.every(place(kind), where, labels)
        ]

    def patch(self, kind: type[R], name: str, patch: Mapping[str, Any], namespace: str | None = None) -> R:
        """Lay fields over an object, and return it as it is then.

        Args:
            kind: its kind.
            name: its name.
            patch: the fields with the API's names; None removes one, and a list replaces a list.
            namespace: its namespace; None for the client's.

        Raises:
            ObjectNotFound: there is none.
        """
        return self._parsed(kind, self._asking.patch(place(kind), namespace or self.namespace, name, patch))

    def delete(self, kind: type[Resource], name: str, namespace: str | None = None) -> None:
        """Delete an object and what belongs to it; `wait_deleted` waits until it is gone.

        Raises:
            ObjectNotFound: there is none.
        """
        self._asking.delete(place(kind), namespace or self.namespace, name)

    # -- waiting ------------------------------------------------------------------------------------------

    @overload
    def wait_ready(
        self,
        name: str,
        timeout: float = ...,
        progress: Callable[[InferenceService], None] | None = ...,
        *,
        namespace: str | None = ...,
        interval: float = ...,
    ) -> InferenceService: ...

    @overload
    def wait_ready(
        self,
        name: str,
        timeout: float = ...,
        progress: Callable[[R], None] | None = ...,
        *,
        kind: type[R],
        namespace: str | None = ...,
        interval: float = ...,
    ) -> R: ...

    def wait_ready(
        self,
        name: str,
        timeout: float = 600.0,
        progress: Callable[[Any], None] | None = None,
        *,
        kind: type[Resource] = InferenceService,
        namespace: str | None = None,
        interval: float = 1.0,
    ) -> Resource:
        """Wait until an object is ready as it is declared now, and return it.

        Args:
            name: its name.
            timeout: the seconds after which it is given up.
            progress: is called with the object at first, and whenever its status has changed.
            kind: its kind: InferenceService, InferenceGraph or TrainedModel.
            namespace: its namespace; None for the client's.
            interval: the seconds between two looks.

        Raises:
            ObjectNotReady: it failed, or the time is over; the text has its conditions and events.
            ObjectNotFound: there is none, or it was deleted meanwhile.
        """
        if not waiting.can_be_ready(kind):
            raise errors.ConfigurationError(f"Nothing says of a {kind.identity()[1]} whether it is ready.")
        end = time.monotonic() + timeout
        shown: object = self
        while True:
            found = self.get(kind, name, namespace)
            status = waiting.state(found)
            if progress is not None and status != shown:
                progress(found)
            shown = status
            if waiting.ready(status):
                return found
            if why := waiting.failed(status):
                raise self._not_ready(found, why)
            left = end - time.monotonic()
            if left <= 0:
                raise self._not_ready(found, f"it is not ready after {timeout:g} seconds")
            time.sleep(min(interval, left))

    def wait_deleted(
        self,
        kind: type[Resource],
        name: str,
        timeout: float = 120.0,
        *,
        namespace: str | None = None,
        interval: float = 0.5,
    ) -> None:
        """Wait until there is no object of that name.

        Raises:
            ObjectNotReady: it is still there when the time is over.
        """
        end = time.monotonic() + timeout
        while True:
            try:
                found = self.get(kind, name, namespace)
            except errors.ObjectNotFound:
                return
            left = end - time.monotonic()
            if left <= 0:
                holding = ", ".join(found.metadata.finalizers or ()) or "none"
                raise errors.ObjectNotReady(
                    f"{kind.identity()[1]} {name} is still there after {timeout:g} seconds. Its finalizers: {holding}."
                )
            time.sleep(min(interval, left))

    # -- what they have in common -------------------------------------------------------------------------

    def _of(self, resource: Resource) -> str:
        return resource.metadata.namespace or self.namespace

    def _parsed(self, kind: type[R], manifest: dict[str, Any]) -> R:
        found = api.parse(manifest, _SOURCE)
        if not isinstance(found, kind):
            raise errors.InvalidManifest(f"{_SOURCE}: asked for {kind.identity()[1]}, it answers {found.kind}.")
        return found

    def _not_ready(self, resource: Resource, why: str) -> errors.ObjectNotReady:
        status, events = waiting.state(resource), self._events(resource)
        kind, metadata = resource.kind, resource.metadata
        return errors.ObjectNotReady(
            f"{kind} {metadata.namespace or ''}/{metadata.name}: {why.rstrip('.')}.\n{waiting.told(status, events)}",
            conditions=waiting.missing(status),
            events=events,
        )

    def _events(self, resource: Resource) -> tuple[str, ...]:
        """The events of an object; a line that says so where they may not be read."""
        metadata = resource.metadata
        namespace = metadata.namespace or self.namespace
        try:
            found = self._asking.events(namespace, resource.kind, metadata.name, metadata.uid)
        except errors.ClusterError as error:
            return (f"Its events cannot be read: {error}",)
        return tuple(waiting.line(each) for each in found)


def _written(resource: Resource, namespace: str) -> dict[str, Any]:
    """What is sent of an object: without its status, and without what the server writes."""
    manifest = resource.manifest()
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _OF_SERVER}
    if place(type(resource)).namespaced:
        metadata["namespace"] = namespace
    return {name: value for name, value in {**manifest, "metadata": metadata}.items() if name != "status"}
