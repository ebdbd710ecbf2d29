"""From where MLflow says that files are, to an address that a storage provider takes."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead_storage_mlflow.server import Server

__all__ = ["address_of"]

_PROXY: Final = "/api/2.0/mlflow-artifacts/artifacts/"
_SAME: Final = ("s3", "gs", "hdfs", "webhdfs", "http", "https")
_AZURE: Final = ("wasb", "wasbs", "abfs", "abfss")


def address_of(uri: str, server: Server) -> str:
    """The address of files that the tracking server places somewhere.

    Raises:
        UnsafeArtifact: the server, which is elsewhere, names files of this machine.
        StorageError: no provider reads that store.
    """
    kind, separated, rest = uri.partition(":")
    kind = kind.lower() if separated and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", kind) else ""
    if kind == "mlflow-artifacts":
        return uri
    if kind in ("http", "https") and uri.startswith(f"{server.url}{_PROXY}"):
        return "mlflow-artifacts:/" + urllib.parse.unquote(uri.removeprefix(f"{server.url}{_PROXY}"))
    if kind in _SAME:
        return uri
    if kind in _AZURE:
        return _azure(uri)
    if kind in ("", "file"):
        return _local(uri, rest if kind else uri, server)
    raise errors.StorageError(
        f"MLflow keeps these files in a store of the kind {kind}, which is not read.",
        remedy="Start the tracking server with --serve-artifacts, so that it hands them out itself.",
    )


def _azure(uri: str) -> str:
    """``wasbs://container@account.blob.core.windows.net/path``, as the address of the same blobs."""
    found = re.fullmatch(r"[a-z]+://([^@/]+)@([^@/]+)/?(.*)", uri, re.IGNORECASE)
    if found is None:
        raise errors.StorageError("MLflow names files in Azure without a container and an account.")
    container, host, path = found.groups()
    return f"https://{host.replace('.dfs.', '.blob.', 1)}/{container}/{path}".rstrip("/")


def _local(uri: str, path: str, server: Server) -> str:
    if path.startswith("//"):
        host, _, path = path[2:].partition("/")
        path = f"/{path}" if host in ("", "localhost") else ""
    if not server.is_local or not PurePosixPath(path).is_absolute():
        raise errors.UnsafeArtifact(
            f"{server.url} says that the files are at {uri!a} of a machine, which only its own processes can read.",
            remedy="Start the tracking server with --serve-artifacts, or with an artefact root in a bucket.",
        )
    plain = urllib.parse.unquote(path) if uri.lower().startswith("file:") else path
    return f"file://{urllib.parse.quote(plain)}"
