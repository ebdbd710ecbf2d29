"""Reading models from the Hugging Face Hub, or from what answers as it does."""

from __future__ import annotations

import contextlib
import http
import json
import re
import socket
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import RemoteObject, StorageProvider, errors
from fairlead.storage.http import headers
from fairlead.storage.http.client import Client
from fairlead.storage.http.locations import Location
from fairlead.storage.policy import Policy
from fairlead_storage_huggingface.failures import failure
from fairlead_storage_huggingface.repositories import Repository
from fairlead_storage_huggingface.settings import HOSTS, HubSettings

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Resolve
    from fairlead.storage.http.client import Answer

__all__ = ["HuggingFaceProvider"]

_MAX_PAGE: Final = 32 * 1024 * 1024
_MAX_PAGES: Final = 10_000
_MAX_FILES: Final = 1_000_000
_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NEXT: Final = re.compile(r"""<([^<>]*)>\s*;[^,<]*\brel="?next"?""")
_FULL: Final = (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT)


class HuggingFaceProvider(StorageProvider):
    """Lists and reads the files of one commit of a model repository.

    Args:
        credentials: ``HF_TOKEN``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, and the variables of `fairlead.storage.policy`.
        timeout: seconds that a single network operation may take.
        resolve: resolves names; `socket.getaddrinfo`.

    Raises:
        StorageError: the hub is not to be asked.
        ConfigurationError: a setting is wrong.
    """

    def __init__(
        self,
        *,
        credentials: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        super().__init__(credentials=credentials, timeout=timeout)
        self._settings = HubSettings.of(self.credentials)
        policy = Policy.of(self.credentials)
        if self._settings.is_public_hub:
            policy = policy.trusting(*HOSTS)
        self._client = Client(
            timeout=timeout,
            network=policy.network,
            credentials=self.credentials,
            resolve=resolve,
            admit=policy.admit_connection,
        )

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """All files of the commit that the revision means now, so that a branch which moves mixes no two commits.

        Raises:
            ArtifactNotFound: there is no such repository, revision, or file in it; or it is private.
            AccessDenied: the repository is gated, or the token is not valid.
            StorageUnavailable: a fault that may pass, or too many requests.
            StorageError: the hub answers what cannot be read.
        """
        repository = Repository.parse(uri)
        commit = self._commit(repository)
        items = [self._item(repository, commit, entry) for entry in self._entries(repository, commit)]
        found = [item for item in items if item is not None]
        if not found:
            raise errors.ArtifactNotFound(f"There is no file in {repository} at {repository.revision}.")
        return found

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from byte ``start`` up to, and without, byte ``end``; where the hub redirects to is asked anew.

        Raises:
            IntegrityError: the hub gives another content than the one that was listed.
            StorageUnavailable: the connection broke; ask again from where it stopped.
        """
        end = item.size if end is None else end
        if end is not None and (end <= start or start >= (item.size or end)):
            return
        whole = start == 0 and end == item.size
        fields = {} if whole else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        with contextlib.closing(self._get(item.key, fields)) as answer:
            first, total = _extent(answer)
            short = answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            if not short and answer.status not in _FULL:
                raise failure(answer, item.name, self._settings)
            if short or total not in (None, item.size) or _is_other(item, answer):
                raise errors.IntegrityError(f"{answer.location} has another content than when it was listed.")
            if answer.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
                raise errors.StorageError(f"{answer.location} sends {item.name} in an encoding that nobody asked for.")
            if first not in (0, start):
                raise errors.StorageUnavailable(f"{answer.location} did not answer with the bytes that were asked for.")
            yield from answer.chunks(start - first, None if end is None else end - start)

    def close(self) -> None:
        """Break the connections that are open."""
        self._client.close()

    # -- the hub's answers ------------------------------------------------------------------------------

    def _get(self, url: str, fields: Mapping[str, str] | None = None) -> Answer:
        return self._client.send("GET", url, fields, secret=self._settings.headers)

    def _commit(self, repository: Repository) -> str:
        document, _ = self._json(self._settings.endpoint + repository.described, _subject(repository))
        commit = document.get("sha") if isinstance(document, dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise errors.StorageError(
                f"{self._settings.endpoint} does not say which commit of {repository} {repository.revision} is.",
                remedy="Whether HF_ENDPOINT names a hub is worth a look.",
            )
        return commit

    def _entries(self, repository: Repository, commit: str) -> Iterator[Any]:
        """What a commit holds, page after page."""
        hub = Location.parse(self._settings.endpoint)
        url: str | None = self._settings.endpoint + repository.tree(commit)
        seen: set[str] = set()
        count = 0
        while url is not None:
            if url in seen or len(seen) >= _MAX_PAGES:
                raise errors.StorageError(f"{hub} lists {repository} without an end.")
            seen.add(url)
            page, following = self._json(url, _subject(repository))
            if not isinstance(page, list):
                raise errors.StorageError(f"{hub} lists {repository} in a form that is not known.")
            count += len(page)
            if count > _MAX_FILES:
                raise errors.StorageLimitExceeded(f"{hub} lists more than {_MAX_FILES} files in {repository}.")
            yield from page
            url = urllib.parse.urljoin(url, following) if following else None
            # The token is sent to the next page as it was to the first.
            if url is not None and Location.parse(url).origin != hub.origin:
                raise errors.UnsafeArtifact(f"{hub} says that its list of {repository} goes on at another host.")

    def _json(self, url: str, subject: str) -> tuple[Any, str | None]:
        """A document, and the address of its next page."""
        with contextlib.closing(self._get(url)) as answer:
            if answer.status != http.HTTPStatus.OK:
                raise failure(answer, subject, self._settings)
            found = _NEXT.search(answer.headers.get("Link", ""))
            try:
                return json.loads(answer.whole(_MAX_PAGE)), found.group(1) if found else None
            except (ValueError, RecursionError):
                raise errors.StorageError(
                    f"{answer.location} did not answer with JSON.",
                    remedy="Whether HF_ENDPOINT names a hub is worth a look.",
                ) from None

    def _item(self, repository: Repository, commit: str, entry: Any) -> RemoteObject | None:
        """A file of the listing; None for a folder."""
        match entry:
            case {"type": "directory"}:
                return None
            case {"type": "file", "path": str(path), "lfs": {"oid": str(oid), "size": int(size)}} if (
                size >= 0 and _SHA256.fullmatch(oid)
            ):
                tag, digest = oid, f"sha256:{oid}"  # git's own is that of the pointer to it
            case {"type": "file", "path": str(path), "oid": str(tag), "size": int(size)} if size >= 0 and not entry.get(
                "lfs"
            ):
                digest = ""  # git's is of a header and the content
            case _:
                raise errors.StorageError(
                    f"{self._settings.endpoint} lists something in {repository} that is neither a file nor a folder."
                )
        key = self._settings.endpoint + repository.content(commit, path)
        return RemoteObject(name=path, key=key, size=size, etag=tag, digest=digest or None)


def _subject(repository: Repository) -> str:
    return f"The model {repository} at {repository.revision}"


def _extent(answer: Answer) -> tuple[int, int | None]:
    """The first byte of an answer, and the length of the whole file where that is told."""
    if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
        first, total = headers.content_range(answer.headers.get("Content-Range"))
        return (-1 if first is None else first), total
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def _is_other(item: RemoteObject, answer: Answer) -> bool:
    """Whether the hub itself sends another version of a file that git holds; of others the digest tells."""
    tag = answer.headers.get("ETag", "").removeprefix("W/").strip('"')
    from_git = item.digest is None and "X-Repo-Commit" in answer.headers
    return from_git and bool(tag) and tag != item.etag
