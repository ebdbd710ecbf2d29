"""Reading models and artefacts of MLflow."""

from __future__ import annotations

import contextlib
import http
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.storage import RemoteObject, StorageProvider
from fairlead.storage.http import headers
from fairlead_storage_mlflow import addresses
from fairlead_storage_mlflow.addresses import Artifacts
from fairlead_storage_mlflow.listing import QUOTED, items, tagged
from fairlead_storage_mlflow.locations import address_of
from fairlead_storage_mlflow.registry import locate
from fairlead_storage_mlflow.server import Server, failure, length

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Resolve

__all__ = ["MlflowProvider"]

_OURS: Final = frozenset({"models", "runs", "mlflow-artifacts"})


class MlflowProvider(StorageProvider):
    """Finds out where the files of a model or run are, and reads those that the tracking server hands out itself.

    Args:
        credentials: settings and credentials by MLflow's own names, ``<hostname>-headers``, and the policy.
        timeout: seconds that a single network operation may take.
        resolve: resolves names; `socket.getaddrinfo`.
    """

    def __init__(
        self,
        *,
        credentials: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        super().__init__(credentials=credentials, timeout=timeout)
        self._server = Server(self.credentials, timeout=timeout, resolve=resolve)

    def resolve(self, uri: str) -> str:
        """Where the files are: ``mlflow-artifacts:/…`` where the tracking server hands them out, else another address.

        Raises:
            ArtifactNotFound: there is no such model, version, alias, stage or run.
            AccessDenied: the server refuses.
            UnsafeArtifact: the server, which is elsewhere, names files of this machine.
            StorageUnavailable: nobody answers, or a model is still being logged.
            StorageError: the files are in a store that is not read.
        """
        return address_of(locate(self._server, addresses.parse(uri)), self._server)

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The artefacts below a path, as the tracking server lists them, or the one that it names.

        Raises:
            ArtifactNotFound: there are none.
            AccessDenied: the server refuses.
            StorageUnavailable: nobody answers, or a fault that may pass.
        """
        where = addresses.parse(self.resolve(uri)) if uri.partition(":")[0].lower() in _OURS else None
        if not isinstance(where, Artifacts):
            raise errors.StorageError(f"{uri} is not handed out by the tracking server.")
        listed = items(self._server, where, folder=uri.endswith("/"))
        if not listed:
            raise errors.ArtifactNotFound(f"The tracking server has no artefacts at {where.path!a}.")
        return tagged(self._server, listed)

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content of an artefact.

        Raises:
            IntegrityError: the server has another content now than it had when it was listed.
            StorageUnavailable: the connection broke; ask again from where it stopped.
        """
        if end is not None and end <= start:
            return
        whole = start == 0 and end in (None, item.size)
        fields = {} if whole else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        with contextlib.closing(self._server.send("GET", item.key, fields)) as answer:
            if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                _, total = headers.content_range(answer.headers.get("Content-Range"))
                if total == start and item.size in (None, start):
                    return
                raise _changed(item)
            partial = answer.status == http.HTTPStatus.PARTIAL_CONTENT and bool(fields)
            if not partial and answer.status != http.HTTPStatus.OK:
                raise failure(answer)
            first, total = headers.content_range(answer.headers.get("Content-Range")) if partial else (0, None)
            total = total if partial else length(answer)
            if (partial and first != start) or (None not in (total, item.size) and total != item.size):
                raise _changed(item)
            if item.etag is not None and item.etag.startswith(QUOTED) and answer.headers.get("ETag") != item.etag:
                raise _changed(item)
            yield from answer.chunks(0 if partial else start, None if end is None else end - start)

    def close(self) -> None:
        """Break the connections that are open."""
        self._server.close()


def _changed(item: RemoteObject) -> errors.IntegrityError:
    return errors.IntegrityError(f"The artefact {item.name!a} has another content than when it was listed.")
