"""Reading objects of Google Cloud Storage."""

from __future__ import annotations

import base64
import binascii
import os
import re
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from fairlead import RemoteObject, errors
from fairlead.storage.filesystems import FilesystemProvider
from fairlead.storage.http import headers as http_headers
from fairlead.storage.http.locations import Location
from fairlead.storage.policy import Policy
from fairlead_storage_gcs import identity

if TYPE_CHECKING:
    from fsspec.asyn import AsyncFileSystem

    from fairlead.storage.filesystems import Stream
    from fairlead.storage.http.addresses import Resolve
    from fairlead_storage_gcs.buckets import Body, Buckets

__all__ = ["GcsProvider"]

_URI: Final = re.compile(r"gs://([a-z0-9][-_.a-z0-9]{1,221})(?:/(.*))?", re.DOTALL | re.IGNORECASE)
"""Bucket names as of https://cloud.google.com/storage/docs/buckets#naming."""

_DENIED: Final = frozenset({401, 403})
_CHANGED: Final = frozenset({412, 416})
_TRANSIENT: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500
_WHOLE: Final = 200


class GcsProvider(FilesystemProvider):
    """Lists objects of a bucket, and reads them, each by the generation that was listed.

    Args:
        credentials: ``gcloud-application-credentials.json``, ``GOOGLE_APPLICATION_CREDENTIALS``,
            ``STORAGE_EMULATOR_HOST``, and those of `Policy`.
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
        self._resolve = resolve

    def connect(self) -> Buckets:
        """The buckets of Google's server, or of the one that ``STORAGE_EMULATOR_HOST`` names.

        Raises:
            AccessDenied: the credentials are none.
            UnsafeArtifact: the server may not be connected to.
        """
        policy = Policy.of(self.credentials)
        emulator = self.credentials.get(identity.EMULATOR, os.environ.get(identity.EMULATOR))
        endpoint = _endpoint(emulator)
        (policy if emulator else policy.trusting(Location.parse(endpoint).host)).check_endpoint(endpoint, self._resolve)
        who = identity.find(self.credentials, emulated=bool(emulator), policy=policy, timeout=self.timeout)
        from fairlead_storage_gcs.buckets import Buckets

        return Buckets(who, endpoint=endpoint, timeout=self.timeout, network=policy.network, resolve=self._resolve)

    def path(self, uri: str) -> str:
        """``<bucket>/<name>``.

        Raises:
            StorageError: the URI names no bucket.
        """
        found = _URI.fullmatch(uri)
        if found is None:
            raise errors.StorageError(
                f"{uri!a} does not name a bucket.", remedy="An address is written gs://<bucket>/<path>."
            )
        bucket, key = found.group(1), (found.group(2) or "").rstrip("/")
        return f"{bucket}/{key}" if key else bucket

    def describe(self, name: str, info: Mapping[str, Any]) -> RemoteObject:
        """An object with its generation, and the MD5 of its content where it was not composed of others."""
        return RemoteObject(
            name=name, key=info["name"], size=info["size"], etag=info.get("generation"), digest=_digest(info)
        )

    async def open(self, item: RemoteObject, start: int, end: int | None) -> Stream:
        """One request for the range, of the generation that was listed.

        Raises:
            IntegrityError: that generation is no longer there.
        """
        buckets = cast("Buckets", self.filesystem)
        bucket, _, key = item.key.partition("/")
        try:
            body = await buckets.get(bucket, key, item.etag, first=start, last=None if end is None else end - 1)
        except FileNotFoundError:
            raise _changed(item) from None
        try:
            _check(item, body, start)
        except errors.StorageError:
            await body.close()
            raise
        return body

    def failure(self, error: Exception, subject: str) -> errors.StorageError:
        """The error that one of gcsfs, aiohttp or google-auth means."""
        from aiohttp import ClientSSLError
        from google.auth import exceptions

        from fairlead_storage_gcs.buckets import Answered

        if isinstance(error, Answered):
            return _of_status(error.status, error.retry_after, subject)
        if isinstance(error, FileNotFoundError):
            return errors.ArtifactNotFound(f"There is nothing at {subject}.")
        if isinstance(error, exceptions.TransportError):
            return errors.StorageUnavailable(f"{subject}: Google's server for tokens did not answer.")
        if isinstance(error, exceptions.GoogleAuthError):
            if error.retryable:
                return errors.StorageUnavailable(f"{subject}: Google's server for tokens did not answer as it should.")
            return errors.AccessDenied(
                f"{subject}: Google gave no token for these credentials.", remedy=identity.REMEDY
            )
        if isinstance(error, ClientSSLError):
            return errors.StorageError(
                f"{subject}: no trusted connection to the server could be made.",
                remedy="Name a file of trusted certificates in SSL_CERT_FILE or REQUESTS_CA_BUNDLE.",
            )
        if isinstance(error, TimeoutError):
            return errors.StorageUnavailable(f"{subject}: the server did not answer within {self.timeout:g} s.")
        if isinstance(error, OSError) or type(error).__module__.startswith("aiohttp."):
            return errors.StorageUnavailable(f"{subject}: the connection to the server broke.")
        return errors.StorageError(f"{subject} was not fetched: gcsfs raised {type(error).__name__}.")

    async def disconnect(self, filesystem: AsyncFileSystem) -> None:
        """Close all connections."""
        await cast("Buckets", filesystem).end()


def _endpoint(emulator: str | None) -> str:
    if not emulator:
        return f"https://storage.{os.environ.get('GOOGLE_CLOUD_UNIVERSE_DOMAIN') or 'googleapis.com'}"
    return (emulator if "://" in emulator else f"http://{emulator}").rstrip("/")


def _digest(info: Mapping[str, Any]) -> str | None:
    try:
        return f"md5:{base64.b64decode(info['md5Hash'], validate=True).hex()}"
    except (KeyError, TypeError, binascii.Error):
        return None


def _check(item: RemoteObject, body: Body, start: int) -> None:
    """Hold the answer to what was listed, also where a server takes no notice of the generation."""
    if body.headers.get("x-goog-generation", item.etag) != item.etag:
        raise _changed(item)
    if body.status == _WHOLE:
        if start:
            raise errors.StorageError(f"{item.name}: the server sends whole objects only.")
        return
    first, total = http_headers.content_range(body.headers.get("Content-Range"))
    if first != start or (item.size is not None and total not in (None, item.size)):
        raise _changed(item)


def _changed(item: RemoteObject) -> errors.IntegrityError:
    return errors.IntegrityError(f"{item.name} has another content than when it was listed.")


def _of_status(status: int, retry_after: float | None, subject: str) -> errors.StorageError:
    said = f"{subject}: the server answered {status}."
    if status in _DENIED:
        return errors.AccessDenied(said, remedy=identity.REMEDY)
    if status in _CHANGED:
        return errors.IntegrityError(f"{subject} has another content than when it was listed.")
    if status in _TRANSIENT or status >= _SERVER_ERROR:
        return errors.StorageUnavailable(said, retry_after=retry_after)
    return errors.StorageError(said)
