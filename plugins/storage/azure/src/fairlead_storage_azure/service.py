"""Requests to the REST interface that blobs and file shares have in common."""

from __future__ import annotations

import base64
import binascii
import contextlib
import email.utils
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from fairlead import RemoteObject, errors
from fairlead.storage.http import headers
from fairlead_storage_azure.credentials import REMEDY, Request

if TYPE_CHECKING:
    from fairlead.storage.http.client import Answer, Client
    from fairlead_storage_azure.accounts import Account

__all__ = ["PAGE", "Service", "name_of", "tag_of"]

_VERSION: Final = "2023-11-03"
_CHUNK: Final = 1024 * 1024
_MAX_DOCUMENT: Final = 64 * 1024 * 1024
PAGE: Final = "5000"
"""Entries of a page of a listing; as many as the services give."""

_WHOLE, _PART = 200, 206
_TRANSIENT: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500


class Service:
    """One account, as it is read; safe from threads.

    Args:
        client: sends requests.
        account: the account.
    """

    def __init__(self, client: Client, account: Account) -> None:
        self._client = client
        self._account = account

    def url(self, path: str) -> str:
        """The URL of a path, without what is secret."""
        return f"{self._account.endpoint}/{urllib.parse.quote(path, safe='/~')}"

    def described(self, name: str, path: str, length: str | None, tag: str | None, md5: str | None) -> RemoteObject:
        """An object as the service describes it, in the headers of an answer or in a listing.

        Args:
            name: its place below the target.
            path: its path in the account.
            length: ``Content-Length``.
            tag: ``ETag``.
            md5: ``Content-MD5``.
        """
        return RemoteObject(
            name=name, key=self.url(path), size=_number(length), etag=tag_of(tag), digest=_digest_of(md5)
        )

    def send(self, method: str, url: str, query: Mapping[str, str], fields: Mapping[str, str]) -> Answer:
        """Send a request, signed.

        Raises:
            UnsafeArtifact: the server may not be connected to.
            AccessDenied: there is no token to sign it with.
            StorageUnavailable: nobody answers.
        """
        fields = {"x-ms-version": _VERSION, "x-ms-date": email.utils.formatdate(usegmt=True), **fields}
        credential = self._account.credential
        secret = credential.headers(Request(method, urllib.parse.urlsplit(url).path, query, fields))
        parts = [urllib.parse.urlencode(query, quote_via=urllib.parse.quote), credential.query]
        whole = "&".join(part for part in parts if part)
        return self._client.send(method, f"{url}?{whole}" if whole else url, fields, secret=secret)

    def properties(self, path: str) -> Mapping[str, str] | None:
        """The headers of an object; None where there is none."""
        with contextlib.closing(self.send("HEAD", self.url(path), {}, {})) as answer:
            if answer.status == _WHOLE:
                return answer.headers
            failure = self.failure(answer)
            if isinstance(failure, errors.ArtifactNotFound):
                return None
            raise failure

    def document(self, path: str, query: Mapping[str, str]) -> ET.Element:
        """An answer in XML.

        Raises:
            StorageError: it is none.
        """
        with contextlib.closing(self.send("GET", self.url(path), {**query, "maxresults": PAGE}, {})) as answer:
            if answer.status != _WHOLE:
                raise self.failure(answer)
            text = answer.whole(_MAX_DOCUMENT)
        if b"<!DOCTYPE" not in text:
            with contextlib.suppress(ET.ParseError):
                return ET.fromstring(text)  # noqa: S314  # without a document type, no entities
        raise errors.StorageError(f"{self.url(path)} was not listed: the answer is not the XML of a listing.")

    def read(self, item: RemoteObject, start: int, end: int | None, *, conditional: bool) -> Iterator[bytes]:
        """The content of an object from byte ``start`` up to, and without, byte ``end``, in one request.

        Args:
            item: an object whose key is its URL.
            start: the first byte.
            end: the byte after the last one; None for the end of the object.
            conditional: whether the service can be asked for no other content than the one that was listed. What it
                answers with is looked at in any case.

        Raises:
            IntegrityError: it has changed since it was listed.
            StorageUnavailable: a fault that may pass.
        """
        stop = item.size if end is None else end if item.size is None else min(end, item.size)
        if stop is not None and stop <= start:
            return
        fields = {"x-ms-range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        if conditional and item.etag is not None:
            fields["If-Match"] = f'"{item.etag}"'
        with contextlib.closing(self.send("GET", item.key, {}, fields)) as answer:
            self._check(answer, item, start)
            left = None if stop is None else stop - start
            while left != 0 and (chunk := answer.read(_CHUNK if left is None else min(left, _CHUNK))):
                left = None if left is None else left - len(chunk)
                yield chunk
            if left:
                raise errors.StorageUnavailable(f"{item.name} ended {left} bytes before its end.")

    def _check(self, answer: Answer, item: RemoteObject, start: int) -> None:
        if answer.status not in (_WHOLE, _PART):
            failure = self.failure(answer)
            raise _changed(item) if isinstance(failure, errors.ArtifactNotFound) else failure
        if item.etag is not None and tag_of(answer.headers.get("ETag")) != item.etag:
            raise _changed(item)
        if answer.status == _WHOLE:
            if start:
                raise errors.StorageError(f"{item.name}: the server sends whole objects only.")
            return
        first, total = headers.content_range(answer.headers.get("Content-Range"))
        if first != start or (item.size is not None and total not in (None, item.size)):
            raise _changed(item)

    def failure(self, answer: Answer) -> errors.StorageError:
        """The error that an answer means; the body is not read, since it may repeat what is secret.

        https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
        """
        status = answer.status
        code = answer.headers.get("x-ms-error-code", "")
        code = code if re.fullmatch(r"[A-Za-z]{1,64}", code) else ""
        said = f"{answer.location} answered {status}{f' ({code})' if code else ''}."
        if status in (401, 403) or code == "PublicAccessNotPermitted":
            return errors.AccessDenied(said, remedy=REMEDY)
        if status == 404:
            private = self._account.credential.anonymous  # which is told no more of what is not public
            return errors.ArtifactNotFound(said, remedy=f"If it is not public: {REMEDY}" if private else None)
        if status in (412, 416):
            return errors.IntegrityError(f"{answer.location} has another content than when it was listed.")
        if code in ("BlobArchived", "BlobBeingRehydrated"):
            return errors.StorageError(
                said, remedy="Move the blob to the tier hot, cool or cold, and wait until it is."
            )
        if status in _TRANSIENT or status >= _SERVER_ERROR:
            return errors.StorageUnavailable(said, retry_after=headers.retry_after(answer.headers.get("Retry-After")))
        return errors.StorageError(said)


def _changed(item: RemoteObject) -> errors.IntegrityError:
    return errors.IntegrityError(f"{item.name} has another content than when it was listed.")


def tag_of(text: str | None) -> str | None:
    """An entity tag without its quotation marks, which listings of blobs leave out."""
    return (text or "").strip().strip('"') or None


def _digest_of(text: str | None) -> str | None:
    """The digest that a ``Content-MD5`` tells of."""
    try:
        md5 = base64.b64decode(text or "", validate=True)
    except binascii.Error:
        return None
    return f"md5:{md5.hex()}" if len(md5) == 16 else None  # bytes of an MD5


def _number(text: str | None) -> int | None:
    """A length."""
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else None


def name_of(entry: ET.Element) -> str:
    """The name of an entry of a listing, which is percent-encoded where XML cannot hold it."""
    element = entry.find("Name")
    if element is None or not element.text:
        raise errors.StorageError("The service listed an object without a name.")
    return urllib.parse.unquote(element.text) if element.get("Encoded") == "true" else element.text
