"""The storage contract: a provider lists the objects behind a URI and reads byte ranges of them.

Everything that is hard about fetching (resuming, verifying, limits, archives, safe names, atomic placing) is done
once by `fairlead.storage`, for every provider.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["RemoteObject", "StorageProvider", "StorageSpec"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpec:
    """Everything that the core needs to know of a storage provider without importing it.

    Attributes:
        name: the provider's name, equal to the entry point's.
        prefixes: URI prefixes that it takes, for example ``s3://``; the longest match wins.
        patterns: regular expressions of URIs that it takes, tried before prefixes.
        factory: ``"module:Class"`` of its `StorageProvider`; imported on the first fetch.
        credentials: the credential keys that it understands, for example ``AWS_ACCESS_KEY_ID``.
        local: whether the URI names files of this machine, which are then used in place.
    """

    name: str
    prefixes: tuple[str, ...]
    factory: str
    patterns: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    local: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObject:
    """One object behind a URI.

    Attributes:
        name: its place below the target, as a relative path with ``/``. The fetcher refuses names that would leave
            the target; a provider passes on what the source says.
        key: what the provider needs to read it: a URL, a bucket key, a path.
        size: its length in bytes, where the source tells.
        etag: an opaque tag that changes when the content does, where the source tells.
        digest: ``<algorithm>:<hexadecimal>`` of the content, where the source tells; algorithms are those of
            `hashlib`.
        resumable: whether `StorageProvider.open_range` can start past zero.
    """

    name: str
    key: str
    size: int | None = None
    etag: str | None = None
    digest: str | None = None
    resumable: bool = True


class StorageProvider(abc.ABC):
    """Reads from one kind of source; made once per fetch, closed after it.

    Args:
        credentials: the credentials to use, by the keys that the spec names; what is missing is looked for where
            the source's own client looks.
        timeout: seconds that any single network operation may take.
    """

    def __init__(self, *, credentials: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        self.credentials = dict(credentials or {})
        self.timeout = timeout

    @abc.abstractmethod
    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The objects behind a URI: one for a single object, all below it (at path boundaries) for a prefix.

        Raises:
            ArtifactNotFound: there are none.
            AccessDenied: the credentials do not suffice.
            StorageUnavailable: a fault that may pass.
        """

    @abc.abstractmethod
    def open_range(self, item: RemoteObject, start: int = 0) -> Iterator[bytes]:
        """The content from byte ``start`` to the end, in chunks.

        The content must still be the one that was listed: where the source can say so (an ETag), a change is an
        error.

        Raises:
            IntegrityError: the object has changed since it was listed.
            StorageUnavailable: a fault that may pass; the fetcher asks again from where it stopped.
        """

    def close(self) -> None:  # noqa: B027  # a provider without connections has nothing to close
        """Release connections.

        Called once more, from another thread, when the time of the fetch is up: a call that waits for the source should
        then end with `StorageUnavailable`.
        """
