"""The storage contract: a provider lists the objects behind a URI and reads byte ranges of them.

Everything that is hard about fetching (resuming, verifying, limits, archives, safe names, atomic placing) is done
once by `fairlead.storage`, for every provider.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["RemoteObject", "StorageProvider", "StorageSpec", "Unpacking"]


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
        immutable: regular expressions of URIs whose content can never change, such as those that name a commit or a
            digest: what is in the cache is used without asking the source, by who has the same credentials.
        origins: patterns of those credential keys and variables of the environment that say which server answers for
            a URI, or what is accepted of it. Artefacts of one URI share nothing where one of these differs.
    """

    name: str
    prefixes: tuple[str, ...]
    factory: str
    patterns: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    local: bool = False
    immutable: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unpacking:
    """How an object that is a packed tree becomes files; objects with one are unpacked in the order of their listing.

    Attributes:
        kind: ``tar``, ``tar.gz``, ``tar.bz2``, ``tar.xz``, ``tar.zst`` or ``zip``.
        below: only members below this folder of the archive are kept, without it; all where it is empty.
        into: the folder below the target that they go to; the target itself where it is empty.
        layered: whether it is a layer of a container image: its files replace those of layers before it, and its
            whiteouts (``.wh.<name>``, ``.wh..wh..opq``; OCI image specification, "Layer Filesystem Changeset")
            remove them.
    """

    kind: str
    below: str = ""
    into: str = ""
    layered: bool = False


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
        unpacking: how it becomes files, where its source says that it is packed. A single object whose name is that
            of an archive is unpacked as well.
    """

    name: str
    key: str
    size: int | None = None
    etag: str | None = None
    digest: str | None = None
    resumable: bool = True
    unpacking: Unpacking | None = None


class StorageProvider(abc.ABC):
    """Reads from one kind of source; made once per fetch, closed after it.

    `list` and `resolve` are called in one thread. `open_range` is called, and its iterators are used, in several
    threads at once.

    Args:
        credentials: the credentials to use, by the keys that the spec names; what is missing is looked for where
            the source's own client looks.
        timeout: seconds that any single network operation may take.
    """

    def __init__(self, *, credentials: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        self.credentials = dict(credentials or {})
        self.timeout = timeout

    def resolve(self, uri: str) -> str:
        """The address that a URI stands for; by default itself.

        A registry of models answers with where the files are, which may be another provider's. Such an address is held
        to the same policy as one that a user gives, and gets no credentials that were given for this one's host.

        Raises:
            StorageError: as `list`.
        """
        return uri

    @abc.abstractmethod
    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The objects behind a URI: one for a single object, all below it (at path boundaries) for a prefix.

        Raises:
            ArtifactNotFound: there are none.
            AccessDenied: the credentials do not suffice.
            StorageUnavailable: a fault that may pass.
        """

    @abc.abstractmethod
    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from byte ``start`` up to, and without, byte ``end``, in chunks of at most a few MiB.

        The content must still be the one that was listed: where the source can say so (an ETag), a change is an
        error, for each range anew. An iterator that is closed early releases its connection.

        Args:
            item: one of those that `list` gave.
            start: the first byte; zero unless the item is resumable.
            end: the byte after the last one; None for the end of the object. What comes after it is dropped.

        Raises:
            IntegrityError: the object has changed since it was listed.
            StorageUnavailable: a fault that may pass; the fetcher asks again from where it stopped.
        """

    def close(self) -> None:  # noqa: B027  # a provider without connections has nothing to close
        """Release connections.

        Called once more, from another thread, when the time of the fetch is up: a call that waits for the source should
        then end with `StorageUnavailable`.
        """
