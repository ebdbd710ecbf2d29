"""Reading images and artefacts from registries."""

from __future__ import annotations

import contextlib
import functools
import http
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import RemoteObject, StorageProvider, errors
from fairlead.storage.http import headers
from fairlead.storage.http.client import Answer, Client
from fairlead.storage.http.locations import Location
from fairlead_storage_oci import bodies, contents, manifests, options, signatures
from fairlead_storage_oci.helpers import Helpers
from fairlead_storage_oci.manifests import Manifest
from fairlead_storage_oci.references import Reference
from fairlead_storage_oci.registry import Document, Repository
from fairlead_storage_oci.tokens import Authorizer

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Resolve
    from fairlead.storage.policy import Policy
    from fairlead_storage_oci.logins import Login

__all__ = ["OciProvider"]

_MAX_NESTING: Final = 4
_HUB_HOSTS: Final = ("registry-1.docker.io", "auth.docker.io")
"""Where Docker Hub keeps manifests and tokens; who may fetch from docker.io may ask them."""


class OciProvider(StorageProvider):
    """Lists the layers of images and the files of artefacts, and reads them as blobs.

    Args:
        credentials: see the README; what is not given is read from the environment and from Docker's configuration.
        timeout: seconds that a single network operation may take.
        resolve: resolves names; `socket.getaddrinfo`.

    Raises:
        ConfigurationError: an option or a Docker configuration cannot be read.
    """

    def __init__(
        self,
        *,
        credentials: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        super().__init__(credentials=credentials, timeout=timeout)
        self._options = options.read(self.credentials, os.environ)
        self._resolve = resolve
        self._lock = threading.Lock()
        self._clients_lock = threading.Lock()
        self._closed = False
        self._clients: list[Client] = []
        self._repositories: dict[tuple[str, str], Repository] = {}
        self._helpers = Helpers(timeout)

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The layers of an image, to be unpacked in this order, or the files of an artefact.

        With a key given, nothing is listed that is not signed by it.

        Raises:
            ArtifactNotFound: there is no such tag or digest, or nothing for this machine's platform.
            AccessDenied: the login does not suffice.
            IntegrityError: a manifest has another digest than it should.
            UnsafeArtifact: it is not signed as it has to be, or its address may not be connected to.
            StorageUnavailable: a fault that may pass.
        """
        reference = Reference.parse(uri)
        repository = self._repository(reference)
        document = repository.manifest(reference.identifier)
        for key in self._options.keys:
            signatures.verify(repository, document, key)
        return contents.objects(reference, self._manifest(repository, document))

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content of a blob from byte ``start`` up to, and without, byte ``end``, by one request.

        Raises:
            IntegrityError: the registry has another content under this digest than it had.
            AccessDenied: the login does not suffice any more.
            StorageUnavailable: a fault that may pass; ask again from where it stopped.
        """
        end = item.size if end is None else end
        if end is not None and start >= end:
            return
        reference = Reference.parse(item.key)
        assert reference.digest is not None
        # The whole of a blob is asked for without a range, which some places that registries redirect to do not know.
        everything = start == 0 and end == item.size
        repository = self._repository(reference)
        with contextlib.closing(repository.blob(reference.digest, start, None if everything else end)) as answer:
            skip = _offset(answer, item, start)
            yield from bodies.part(answer, skip, None if end is None else end - start)

    def close(self) -> None:
        """End what is under way, from any thread."""
        with self._clients_lock:
            self._closed = True
            clients = tuple(self._clients)
        for each in clients:
            each.close()
        self._helpers.close()

    def _manifest(self, repository: Repository, document: Document) -> Manifest:
        for _ in range(_MAX_NESTING):
            found = document.parse()
            if isinstance(found, Manifest):
                return found
            document = repository.manifest(manifests.choose(found, document.subject).digest)
        raise errors.StorageError(f"{document.subject} lies in more than {_MAX_NESTING} indexes.")

    def _repository(self, reference: Reference) -> Repository:
        name = (reference.registry, reference.repository)
        with self._lock:
            if name not in self._repositories:
                insecure = reference.is_loopback if self._options.insecure is None else self._options.insecure
                base = f"{'http' if insecure else 'https'}://{reference.authority}"
                policy = self._options.policy
                policy = policy.trusting(*_HUB_HOSTS) if reference.registry == "docker.io" else policy
                connect = functools.partial(self._connect, policy)
                authorizer = Authorizer(
                    Location.parse(base),
                    reference.repository,
                    login=lambda: self._login(reference),
                    network=policy.network,
                    connect=connect,
                    resolve=self._resolve,
                )
                self._repositories[name] = Repository(base, reference, connect(self._resolve), authorizer)
            return self._repositories[name]

    def _login(self, reference: Reference) -> Login | None:
        config = self._options.config
        return None if config is None else config.login(reference.registry, reference.repository, self._helpers.get)

    def _connect(self, policy: Policy, resolve: Resolve) -> Client:
        made = Client(
            timeout=self.timeout,
            network=policy.network,
            resolve=resolve,
            admit=policy.admit_connection,
            tls=self._options.tls,
        )
        with self._clients_lock:
            self._clients.append(made)
            if self._closed:
                made.close()
        return made


def _offset(answer: Answer, item: RemoteObject, start: int) -> int:
    """How many bytes come before the first one that was asked for."""
    first, total = 0, bodies.length(answer)
    if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
        told, total = headers.content_range(answer.headers.get("Content-Range"))
        first = -1 if told is None else told
    if not 0 <= first <= start or (total is not None and item.size is not None and total != item.size):
        raise errors.IntegrityError(f"{answer.location} has another content than the manifest of {item.name} says.")
    return start - first
