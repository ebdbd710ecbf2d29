"""The operations of the WebHDFS REST API that fetching needs, over one or several namenodes."""

from __future__ import annotations

import dataclasses
import http
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead_storage_hdfs import failures

if TYPE_CHECKING:
    from fairlead.storage.http.client import Answer, Client
    from fairlead_storage_hdfs.configuration import Configuration

__all__ = ["Status", "WebHdfs"]

_STATUS_BYTES: Final = 1024 * 1024
_LISTING_BYTES: Final = 64 * 1024 * 1024
"""About 150 000 entries; servers without pages describe a folder in one answer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a namenode says of a path.

    Attributes:
        name: its name within the folder that was listed; empty where the path itself was asked for.
        kind: ``FILE``, ``DIRECTORY`` or ``SYMLINK``.
        length: bytes.
        tag: changes with the content: the time of the last change, the length, and the file's number where it has one.
    """

    name: str
    kind: str
    length: int
    tag: str

    @classmethod
    def of_json(cls, found: object) -> Status:
        """Read a ``FileStatus``.

        Raises:
            StorageError: it is none.
        """
        fields = found if isinstance(found, dict) else {}
        name, kind, length = fields.get("pathSuffix"), fields.get("type"), fields.get("length")
        modified, number = fields.get("modificationTime"), fields.get("fileId", 0)
        texts = isinstance(name, str) and isinstance(kind, str)
        if not texts or type(length) is not int or length < 0 or type(modified) is not int or type(number) is not int:
            raise errors.StorageError("The namenode describes a file in another form than WebHDFS does.")
        tag = f"{modified}-{length}" + (f"-{number}" if number else "")  # a proxy (HttpFS) tells no numbers
        return cls(name=str(name), kind=str(kind), length=length, tag=tag)


class WebHdfs:
    """Asks the namenode that is active; safe from threads.

    Args:
        client: sends the requests.
        configuration: as whom to ask.
    """

    def __init__(self, client: Client, configuration: Configuration) -> None:
        self._client = client
        self._headers = configuration.headers
        identity = {
            "user.name": None if configuration.token else configuration.user,  # a token says who asks
            "doas": configuration.proxy_user,
            "delegation": configuration.token,
        }
        self._identity = {name: value for name, value in identity.items() if value}
        self._lock = threading.Lock()
        self._active: dict[tuple[str, ...], int] = {}
        self._pages = True

    def status(self, namenodes: tuple[str, ...], path: str) -> Status:
        """What is at a path.

        Raises:
            StorageError: see `_ask`.
        """
        answer = self._ask(namenodes, "GETFILESTATUS", path)
        return Status.of_json(failures.read_json(answer, _STATUS_BYTES).get("FileStatus"))

    def home(self, namenodes: tuple[str, ...]) -> str:
        """The home folder of who asks.

        Raises:
            StorageError: see `_ask`.
        """
        path = failures.read_json(self._ask(namenodes, "GETHOMEDIRECTORY", "/"), _STATUS_BYTES).get("Path")
        if not isinstance(path, str) or not path.startswith("/"):
            raise errors.StorageError("The namenode tells no home folder, which HDFS_ROOTPATH is relative to.")
        return path.rstrip("/")

    def children(self, namenodes: tuple[str, ...], path: str) -> Iterator[Status]:
        """What is in a folder, asked for in pages where the server can.

        Raises:
            UnsafeArtifact: a name that leads elsewhere.
            StorageError: see `_ask`.
        """
        if self._pages:
            try:
                answer = self._ask(namenodes, "LISTSTATUS_BATCH", path)
            except errors.StorageError as error:
                if not isinstance(error.__cause__, failures.OperationUnknown):
                    raise
                self._pages = False  # the operation is younger than the server
            else:
                yield from self._paged(namenodes, path, answer)
                return
        found = failures.read_json(self._ask(namenodes, "LISTSTATUS", path), _LISTING_BYTES)
        yield from _statuses(found)

    def read(self, namenodes: tuple[str, ...], path: str, start: int, length: int) -> Answer:
        """The content of a file from byte ``start`` on; a namenode redirects to a datanode for it.

        The namenode puts into that address what the datanode needs to know of who asks. The headers of the
        configuration are for the namenode, and go to the datanode only where both are one server, as with a gateway.

        Raises:
            StorageError: see `_ask`.
        """
        return self._ask(namenodes, "OPEN", path, {"offset": str(start), "length": str(length)})

    def _paged(self, namenodes: tuple[str, ...], path: str, answer: Answer) -> Iterator[Status]:
        asked: set[str] = set()
        while True:
            listing = _object(failures.read_json(answer, _LISTING_BYTES).get("DirectoryListing"))
            found = _statuses(_object(listing.get("partialListing")))
            yield from found
            remaining = listing.get("remainingEntries")
            if remaining == 0 and type(remaining) is int:
                return
            if type(remaining) is not int or not found or found[-1].name in asked:
                raise errors.StorageError("The namenode lists a folder in another way than WebHDFS does.")
            asked.add(found[-1].name)
            answer = self._ask(namenodes, "LISTSTATUS_BATCH", path, {"startAfter": found[-1].name})

    def _ask(
        self, namenodes: tuple[str, ...], operation: str, path: str, parameters: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask the namenodes in turn, the last one that answered first, until one does.

        Raises:
            ArtifactNotFound: there is nothing at the path.
            AccessDenied: it may not be read.
            UnsafeArtifact: an address or a redirect that is not allowed.
            StorageUnavailable: none of them is active, or a fault that may pass.
            StorageError: anything else.
        """
        query = urllib.parse.urlencode(
            {"op": operation, **(parameters or {}), **self._identity}, quote_via=urllib.parse.quote
        )
        suffix = f"/webhdfs/v1{urllib.parse.quote(path)}?{query}"
        with self._lock:
            first = self._active.get(namenodes, 0)
        problems: list[errors.StorageUnavailable] = []
        for turn in range(len(namenodes)):
            index = (first + turn) % len(namenodes)
            try:
                answer = self._send(namenodes[index] + suffix, path)
            except errors.StorageUnavailable as problem:
                problems.append(problem)
                continue
            with self._lock:
                self._active[namenodes] = index
            return answer
        # One that stands by is as it should be; the other one is what is wrong.
        raise next(
            (problem for problem in problems if not isinstance(problem.__cause__, failures.Elsewhere)), problems[0]
        )

    def _send(self, url: str, path: str) -> Answer:
        try:
            answer = self._client.send("GET", url, secret=self._headers)
        except errors.StorageError as fault:
            raise failures.of_connection(fault) from fault.__cause__
        if answer.status != http.HTTPStatus.OK:
            raise failures.of_answer(answer, path)
        return answer


def _statuses(listing: Mapping[str, Any]) -> list[Status]:
    entries = _object(listing.get("FileStatuses")).get("FileStatus")
    if not isinstance(entries, list):
        raise errors.StorageError("The namenode lists a folder in another way than WebHDFS does.")
    found = [Status.of_json(entry) for entry in entries]
    for status in found:
        if status.name in ("", ".", "..") or "/" in status.name:
            raise errors.UnsafeArtifact(f"The namenode lists {status.name!a}, which is no name of a file in a folder.")
    return found


def _object(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
