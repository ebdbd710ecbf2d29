"""Reading a file from an http or https server."""

from __future__ import annotations

import contextlib
import http
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.storage import RemoteObject, StorageProvider
from fairlead.storage.http import client, headers
from fairlead.storage.http.client import Answer, Client
from fairlead.storage.http.locations import Location

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Resolve

__all__ = ["HttpProvider"]

_NO_HEAD: Final = frozenset({400, 403, 405, 501})
"""Answers to HEAD from servers that may well answer GET; a signed URL, for one, is signed for GET alone."""

_GZIP_NAMES: Final = (".gz", ".tgz")
_MODIFIED: Final = "modified "
_WEAK: Final = "W/"


class HttpProvider(StorageProvider):
    """Lists and reads one file of an http or https server; http has no listing of folders.

    Args:
        credentials: ``<hostname>-headers``, and the variables of `fairlead.storage.policy`; each is also read from the
            environment.
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
        self._client = Client(timeout=timeout, credentials=self.credentials, resolve=resolve)

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The file, as the server describes it.

        Raises:
            ArtifactNotFound: 404 or 410.
            AccessDenied: 401 or 403.
            UnsafeArtifact: the address, or one that it redirects to, may not be connected to.
            StorageUnavailable: nobody answers, or 408, 425, 429 or 5xx.
        """
        name = Location.parse(uri).file_name
        with contextlib.closing(self._client.send("HEAD", uri)) as answer:
            if answer.status == http.HTTPStatus.OK:
                return [_described(name, uri, answer, _length(answer))]
            if answer.status not in _NO_HEAD:
                raise client.failure(answer)
        with contextlib.closing(self._client.send("GET", uri, {"Range": "bytes=0-0"})) as answer:
            if answer.status == http.HTTPStatus.OK:
                return [_described(name, uri, answer, _length(answer))]
            if answer.status in (http.HTTPStatus.PARTIAL_CONTENT, http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
                _, total = headers.content_range(answer.headers.get("Content-Range"))
                return [_described(name, uri, answer, total)]
            raise client.failure(answer)

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content of the file from byte ``start`` up to, and without, byte ``end``; redirects are followed anew.

        Raises:
            IntegrityError: the server has another content now than it had when it was listed.
            StorageUnavailable: the connection broke; ask again from where it stopped.
        """
        if end is not None and end <= start:
            return
        whole = start == 0 and end in (None, item.size)
        fields = {} if whole else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        if fields and item.etag is not None and not item.etag.startswith(_WEAK):
            fields["If-Range"] = item.etag.removeprefix(_MODIFIED)
        with contextlib.closing(self._client.send("GET", item.key, fields)) as answer:
            if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and fields:
                _, total = headers.content_range(answer.headers.get("Content-Range"))
                if total == start and item.size in (None, start):
                    return
                raise _changed(answer)
            if answer.status == http.HTTPStatus.PARTIAL_CONTENT and fields:
                first, total = headers.content_range(answer.headers.get("Content-Range"))
                if first != start or (item.size is not None and total not in (None, item.size)):
                    raise _changed(answer)
                skip = 0
            elif answer.status == http.HTTPStatus.OK:
                skip = start  # the server ignores ranges, or the file has changed, which is seen next
                if item.size is not None and _length(answer) not in (None, item.size):
                    raise _changed(answer)
            else:
                raise client.failure(answer)
            if item.etag is not None and _tag(answer) != item.etag:
                raise _changed(answer)
            _refuse_encoding(item.name, answer)
            yield from answer.chunks(skip, None if end is None else end - start)

    def close(self) -> None:
        """Break the connections that are open."""
        self._client.close()


def _described(name: str, uri: str, answer: Answer, size: int | None) -> RemoteObject:
    _refuse_encoding(name, answer)
    partial = answer.status != http.HTTPStatus.OK
    tag = None if _is_young(answer) else _tag(answer)
    ranges = answer.headers.get("Accept-Ranges", "bytes").strip().lower() != "none"
    return RemoteObject(
        name=name,
        key=uri,
        size=size,
        etag=tag,
        digest=headers.announced_digest(answer.headers, partial=partial),
        # Two contents may share a weak tag, and parts of them must not be joined (RFC 9110, section 15.3.7.3).
        resumable=ranges and not (tag or "").startswith(_WEAK),
    )


def _length(answer: Answer) -> int | None:
    text = answer.headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _tag(answer: Answer) -> str | None:
    """The entity tag, or else the date of the last change, marked as one."""
    tag = answer.headers.get("ETag")
    if tag:
        return str(tag)
    date = answer.headers.get("Last-Modified")
    return f"{_MODIFIED}{date}" if date else None


def _is_young(answer: Answer) -> bool:
    """Whether the file, known by its date alone, may change once more within the second that the date names.

    RFC 9110, section 8.8.2.2: such a date does not tell two contents apart.
    """
    modified = headers.moment(answer.headers.get("Last-Modified"))
    if answer.headers.get("ETag") or modified is None:
        return False
    now = headers.moment(answer.headers.get("Date"))
    return now is None or now - modified < 1


def _refuse_encoding(name: str, answer: Answer) -> None:
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    # Some servers mark a stored archive this way; its bytes are still the file's own.
    stored = encoding in ("gzip", "x-gzip") and name.lower().endswith(_GZIP_NAMES)
    if encoding not in ("", "identity") and not stored:
        raise errors.StorageError(
            f"{answer.location} sends {name} encoded as {encoding}, though it was asked for the file as it is.",
            remedy="Turn compression off for this file at the server.",
        )


def _changed(answer: Answer) -> errors.IntegrityError:
    return errors.IntegrityError(f"{answer.location} has another content than when it was listed.")
