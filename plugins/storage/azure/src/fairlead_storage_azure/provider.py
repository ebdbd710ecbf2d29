"""Reading from storage accounts of Azure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

from fairlead import RemoteObject, StorageProvider, errors
from fairlead.storage import uris
from fairlead.storage.http.client import Client
from fairlead.storage.policy import Policy
from fairlead_storage_azure import accounts, blobs, places, shares
from fairlead_storage_azure.places import Kind
from fairlead_storage_azure.service import Service

__all__ = ["AzureProvider"]


class AzureProvider(StorageProvider):
    """Lists blobs of a container and files of a share, and reads them in the content that was listed.

    Args:
        credentials: those of `accounts.find`, and those of `Policy`.
        timeout: seconds that a single network operation may take.
    """

    def __init__(self, *, credentials: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        super().__init__(credentials=credentials, timeout=timeout)
        self._policy = Policy.of(self.credentials)
        self._client = Client(
            timeout=timeout, network=self._policy.network, credentials=self.credentials, admit=self._admit
        )
        self._service: Service | None = None
        self._kind = Kind.BLOB

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The object of that name, or else all objects below it.

        Raises:
            ArtifactNotFound: there are none.
            AccessDenied: the credentials do not suffice.
            StorageUnavailable: a fault that may pass.
        """
        place = places.parse(uri)
        account = accounts.find(place, self.credentials, self._policy, self.timeout)
        if not account.custom:  # the address was admitted, and this is where its account is
            self._policy = self._policy.trusting(urllib.parse.urlsplit(account.endpoint).netloc)
        service, source = Service(self._client, account), blobs if place.kind is Kind.BLOB else shares
        self._service, self._kind = service, place.kind
        if place.path and not place.folder and (found := source.exact(service, place)) is not None:
            return [found]
        below = sorted(source.below(service, place), key=lambda item: item.name)
        if not below:
            raise errors.ArtifactNotFound(f"There is nothing at {uris.redact(uri)}.")
        return below

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from byte ``start`` up to, and without, byte ``end``.

        Raises:
            IntegrityError: it has changed since it was listed.
            StorageUnavailable: a fault that may pass.
        """
        if self._service is None:
            raise errors.StorageError(f"{item.name} is read before it was listed.")
        # Azure Files takes no conditions; its answer names the content that it is of.
        return self._service.read(item, start, end, conditional=self._kind is Kind.BLOB)

    def close(self) -> None:
        """Break what is under way, from any thread."""
        self._client.close()

    def _admit(self, url: str) -> None:
        self._policy.admit_connection(url)
