"""A repository of a registry: its manifests and blobs (OCI distribution specification, "Pull")."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage.http import client
from fairlead.storage.http.locations import Location
from fairlead_storage_oci import manifests
from fairlead_storage_oci.references import DIGEST, Reference
from fairlead_storage_oci.tokens import REMEDY, Authorizer

if TYPE_CHECKING:
    from fairlead.storage.http.client import Answer, Client
    from fairlead_storage_oci.manifests import Descriptor

__all__ = ["Document", "Repository"]

_MAX_MANIFEST: Final = 4 * 1024 * 1024
"""The longest manifest; the specification has registries take that much at least."""

_MAX_TRIES: Final = 3
"""A token that another thread fetched may be refused as well; a token just fetched must not be, time after time."""

_DIGEST_HEADER: Final = "Docker-Content-Digest"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest or an index, as it came.

    Attributes:
        content: its bytes.
        media_type: what the registry calls it.
        subject: what to call it in errors.
    """

    content: bytes
    media_type: str
    subject: str

    @property
    def digest(self) -> str:
        """Its SHA-256, by which it is signed."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def parse(self) -> manifests.Manifest | manifests.Index:
        """What it says; see `manifests.parse`."""
        return manifests.parse(self.content, self.media_type, self.subject)


class Repository:
    """One repository; safe to use from several threads.

    Args:
        base: the registry's address.
        reference: names the repository; its tag and digest are not used.
        sender: sends requests.
        authorizer: knows what the registry is shown.
    """

    def __init__(self, base: str, reference: Reference, sender: Client, authorizer: Authorizer) -> None:
        self._origin = Location.parse(base).origin
        self._base = f"{base}/v2/{reference.repository}"
        self._name = f"oci://{reference.registry}/{reference.repository}"
        self._client = sender
        self._authorizer = authorizer

    def manifest(self, identifier: str) -> Document:
        """The manifest or index of a tag or a digest.

        Raises:
            ArtifactNotFound: there is none.
            AccessDenied: the login does not suffice.
            IntegrityError: it has another digest than the one that was asked for, or that the registry tells.
        """
        subject = f"{self._name}{'@' if DIGEST.fullmatch(identifier) else ':'}{identifier}"
        url = f"{self._base}/manifests/{identifier}"
        with contextlib.closing(self._get(url, {"Accept": manifests.ACCEPT}, subject)) as answer:
            content = answer.whole(_MAX_MANIFEST)
            media_type, told = answer.headers.get("Content-Type", ""), answer.headers.get(_DIGEST_HEADER, "")
        for digest in (identifier, told):
            if DIGEST.fullmatch(digest):
                manifests.check_digest(content, digest, f"The manifest of {subject}")
        return Document(content=content, media_type=media_type, subject=subject)

    def small_blob(self, descriptor: Descriptor, limit: int) -> bytes:
        """A blob, held in memory.

        Raises:
            StorageError: it is longer than the limit, in bytes.
            IntegrityError: it has another length or digest than its descriptor says.
        """
        subject = f"{self._name}@{descriptor.digest}"
        with contextlib.closing(self._get(f"{self._base}/blobs/{descriptor.digest}", {}, subject)) as answer:
            content = answer.whole(limit)
        if len(content) != descriptor.size:
            raise errors.IntegrityError(f"{subject} has {len(content)} bytes, and its manifest says {descriptor.size}.")
        manifests.check_digest(content, descriptor.digest, subject)
        return content

    def blob(self, digest: str, start: int, end: int | None) -> Answer:
        """The answer to a request for a range of a blob: 200 for all of it, 206 for the range.

        Raises:
            IntegrityError: there is no such range.
        """
        fields = {}
        if start or end is not None:
            fields["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        return self._get(f"{self._base}/blobs/{digest}", fields, f"{self._name}@{digest}")

    def _get(self, url: str, fields: dict[str, str], subject: str) -> Answer:
        answer = self._send(url, fields)
        if answer.status in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
            return answer
        with contextlib.closing(answer):
            raise self._failure(answer, subject)

    def _send(self, url: str, fields: dict[str, str]) -> Answer:
        header = self._authorizer.header
        for _ in range(_MAX_TRIES):
            # Never None, which would stand for headers that the user has set for plain downloads.
            secret = {} if header is None else {"Authorization": header}
            answer = self._client.send("GET", url, fields, secret=secret)
            if answer.status != http.HTTPStatus.UNAUTHORIZED or answer.location.origin != self._origin:
                return answer
            with contextlib.closing(answer):
                asked = answer.headers.get("WWW-Authenticate", "")
            header = self._authorizer.renew(header, asked, answer.reach)
        raise self._authorizer.denied()

    def _failure(self, answer: Answer, subject: str) -> errors.StorageError:
        said = f"{answer.location} answered {answer.status}"
        if answer.status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
            return errors.ArtifactNotFound(f"{subject} is not there.")
        if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return errors.IntegrityError(f"{subject} is shorter than its manifest says.")
        if answer.status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            if answer.location.origin == self._origin:
                return errors.AccessDenied(f"{subject} may not be read: {said}.", remedy=REMEDY)
            return errors.AccessDenied(f"{subject} may not be read where the registry keeps it: {said}.")
        return client.failure(answer)
