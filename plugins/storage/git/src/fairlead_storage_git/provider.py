"""Reading the files of a git repository at one commit."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.storage import RemoteObject, StorageProvider
from fairlead.storage.http.client import Client
from fairlead_storage_git.address import Address
from fairlead_storage_git.blobs import Blobs
from fairlead_storage_git.scratch import Scratch

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Resolve
    from fairlead_storage_git.objects import Objects
    from fairlead_storage_git.transport import Login

__all__ = ["GitProvider"]

_USER: Final = "GIT_USERNAME"
_PASSWORD: Final = "GIT_PASSWORD"  # noqa: S105  # a name
_MOST: Final = "GIT_MAX_BYTES"
_DEFAULT_MOST: Final = 64 << 30

_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_LONGEST_POINTER: Final = 1024
"""Git LFS, "The Pointer": its files are below 1024 bytes, and begin with their version."""


class GitProvider(StorageProvider):
    """Lists and reads the files of a repository at a branch, a tag or a commit.

    The commit is fetched without its history when it is listed, into a temporary folder (``TMPDIR``), which goes when
    the provider is closed. A repository of this machine is read where it is.

    Args:
        credentials: ``GIT_USERNAME``, ``GIT_PASSWORD``, ``GIT_MAX_BYTES``, ``<hostname>-headers`` and the policy. The
            user and the password are read from the environment only if neither is given here.
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
        self._most = _bytes(self.credentials.get(_MOST) or os.environ.get(_MOST))
        self._client = Client(timeout=timeout, credentials=self.credentials, resolve=resolve)
        self._scratch: Scratch | None = None
        self._objects: Objects | None = None
        self._blobs: Blobs | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The files below the folder that a URI names, or the one file.

        Raises:
            ArtifactNotFound: there is no such repository, ref, folder or file.
            AccessDenied: the server refuses.
            UnsafeArtifact: the address may not be connected to, or a link leads out of the repository.
            StorageLimitExceeded: the repository is too large.
            StorageUnavailable: nobody answers, or the answer is cut off.
            StorageError: there is a submodule, or a file that is stored with Git LFS.
        """
        from fairlead_storage_git.trees import Tree, tree_of

        address = Address.parse(uri)
        objects, commit = self._open(address)
        tree = Tree(objects, tree_of(objects, commit, address.shown), address.shown)
        files = tree.files(address.folder, folder=address.tree)
        sizes = {identifier: objects.size(identifier) for _, identifier in files}
        for name, identifier in files:
            self._going()
            if sizes[identifier] < _LONGEST_POINTER and objects.read(identifier)[1].startswith(_POINTER):
                raise errors.StorageError(
                    f"{name!a} of {address.shown} is stored with Git LFS; git holds a pointer to it only.",
                    remedy="Give the https:// address that its host offers it for download at, or keep the model in a "
                    "bucket or at Hugging Face (hf://).",
                )
        return [
            RemoteObject(name=name, key=identifier, size=sizes[identifier], etag=identifier)
            for name, identifier in files
        ]

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content of a file; it is named by its own hash, which is verified.

        Raises:
            IntegrityError: the repository is damaged.
            StorageUnavailable: the fetch has ended, or the disk is full.
        """
        self._going()
        assert self._blobs is not None, "list comes first"
        return self._blobs.range(item.key, start, end)

    def close(self) -> None:
        """Break what is under way, and remove what was fetched."""
        self._closed.set()
        self._client.close()
        self._forget()

    def _forget(self) -> None:
        with self._lock:
            objects, self._objects = self._objects, None
            scratch, self._scratch = self._scratch, None
        if objects is not None:
            objects.close()
        if scratch is not None:
            scratch.remove()

    def _going(self) -> None:
        if self._closed.is_set():
            raise errors.StorageUnavailable("The time for reading the repository is over.")

    def _open(self, address: Address) -> tuple[Objects, str]:
        """The objects of a repository, and the id of what its ref names."""
        from fairlead_storage_git.indexing import index
        from fairlead_storage_git.local import opened
        from fairlead_storage_git.objects import Fetched
        from fairlead_storage_git.packs import Corrupt
        from fairlead_storage_git.transport import fetch

        self._forget()
        self._going()
        objects: Objects
        try:
            with self._lock:
                self._scratch = Scratch()
                folder = self._scratch.path
            if address.path is not None:
                objects, commit = opened(address)
            else:
                pack = folder / "fetched.pack"
                commit = fetch(self._client, address, self._login(address), pack, most=self._most, going=self._going)
                objects = Fetched(pack, index(pack, most=self._most, going=self._going))
        except Corrupt as error:
            raise errors.StorageUnavailable(f"What {address.shown} sent is cut off or damaged.") from error
        except OSError as error:
            self._going()
            raise errors.StorageError(f"{address.shown} cannot be read or kept: {error.strerror}.") from error
        self._objects = objects
        self._blobs = Blobs(objects, folder, self._going)
        return objects, commit

    def _login(self, address: Address) -> Login | None:
        from fairlead_storage_git.transport import Login

        source = self.credentials if {_USER, _PASSWORD} & self.credentials.keys() else os.environ
        user = address.user or source.get(_USER)
        password = source.get(_PASSWORD)
        if password and not user:
            raise errors.AccessDenied(
                f"{_PASSWORD} is set, and no user for {address.shown}.",
                remedy=f"Set {_USER}; hosts that take a token as password say which user goes with it.",
            )
        return Login(user, password or "") if user else None


def _bytes(text: str | None) -> int:
    if not text:
        return _DEFAULT_MOST
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise errors.ConfigurationError(f"{_MOST}: {text!r} is not a number of bytes.")
    return int(text)
