"""gcsfs, as a fetch needs it: one attempt for each request, objects as they are stored, and no caches."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

# The class of gcsfs.core speaks HTTP alone. Only the one that `import gcsfs` puts in its place, where
# GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT is not off, asks a control service over gRPC what kind of bucket it has before it.
from gcsfs.core import GCSFileSystem, quote

from fairlead import errors
from fairlead.storage.http import addresses
from fairlead.storage.http import headers as http_headers
from fairlead.storage.http.connections import Trust

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Resolve
    from fairlead.storage.settings import NetworkPolicy
    from fairlead_storage_gcs.identity import Identity

__all__ = ["Answered", "Body", "Buckets", "Forbidden"]

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_REDIRECT: Final = 300
_PAGE_BYTES: Final = 64 * 1024 * 1024
_MOST_PAGES: Final = 1000  # of a thousand objects each


class Answered(Exception):
    """The server answered with a status that is no success.

    Args:
        status: the status.
        retry_after: seconds after which it asks to be tried again.
    """

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.retry_after = retry_after


class Forbidden(Answered, OSError):
    """The server answered 403; gcsfs then looks an object up in a listing, for which other permissions are needed."""

    def __str__(self) -> str:
        return "Forbidden"


class Body:
    """The body of an answer.

    Args:
        response: the answer.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response

    async def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        return await self._response.content.read(size)

    async def close(self) -> None:
        """Release the connection; it is kept only where the body was read to its end."""
        self._response.close()


class Buckets(GCSFileSystem):  # type: ignore[misc]  # gcsfs has no types
    """Buckets of one server, read as one identity.

    Args:
        identity: who asks.
        endpoint: the server, without a path.
        timeout: seconds that a single network operation may take.
        network: which addresses may be connected to.
        resolve: resolves names.
    """

    cachable = False  # an instance belongs to one fetch, and to its credentials

    def __init__(
        self, identity: Identity, *, endpoint: str, timeout: float, network: NetworkPolicy, resolve: Resolve
    ) -> None:
        self._identity = identity
        self._pages = 0
        self._trusted = Trust().context()
        self._resolver = _Judged(network, resolve)
        self._limits = aiohttp.ClientTimeout(total=None, connect=timeout, sock_connect=timeout, sock_read=timeout)
        super().__init__(token="anon", endpoint_url=endpoint, use_listings_cache=False, skip_instance_cache=True)  # noqa: S106  # no secret

    async def get(self, bucket: str, key: str, generation: str | None, *, first: int, last: int | None) -> Body:
        """Ask for the content of an object, as it is stored.

        Args:
            bucket: its bucket.
            key: its name.
            generation: the one of its contents that is meant.
            first: the first byte.
            last: the last byte; None for the end.
        """
        url = f"{self._endpoint}/download/storage/v1/b/{quote(bucket)}/o/{quote(key)}?alt=media"
        if generation is not None:
            url += f"&generation={generation}"
        # Without it, the server unpacks what is stored packed, whose size and digest would then be of other bytes:
        # https://cloud.google.com/storage/docs/transcoding
        fields = {"Accept-Encoding": "gzip", "Range": f"bytes={first}-{'' if last is None else last}"}
        return Body(await self._send("GET", yarl.URL(url, encoded=True), fields))

    async def end(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    # -- what gcsfs calls -------------------------------------------------------------------------------

    async def _info(self, path: str, generation: str | None = None, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002  # theirs
        """One request for an object; theirs asks for a listing at the same time, and for the bucket itself."""
        bucket, key, _ = self.split_path(path)
        if not key:
            return {"name": bucket, "size": 0, "type": "directory"}
        found: dict[str, Any] = await self._get_object(path)
        return found

    async def _find(self, path: str, **kwargs: Any) -> dict[str, dict[str, Any]]:  # noqa: ARG002  # theirs
        """What is below a folder; theirs lists all that begins with the same letters where it finds nothing."""
        self._pages = 0
        objects, _ = await self._do_list_objects(path, delimiter="")
        return {found["name"]: found for found in objects}

    async def _request(self, method: str, path: str, *args: str, **params: Any) -> tuple[int, Any, None, bytes]:
        """One attempt; theirs makes six, with pauses of up to 32 seconds, and logs what the server said."""
        given = {name: str(value) for name, value in self._get_params(params).items()}
        url = yarl.URL(self._format_path(path, args), encoded=True).update_query(given)
        response = await self._send(method, url, {"Accept-Encoding": "identity"})
        async with response:
            self._pages += 1
            content = bytearray()
            while part := await response.content.read(_PAGE_BYTES):
                content += part
                if len(content) > _PAGE_BYTES or self._pages > _MOST_PAGES:
                    raise errors.StorageLimitExceeded(
                        f"The server lists more than {_MOST_PAGES} pages, or one of more than {_PAGE_BYTES} bytes.",
                        remedy="Name a folder that holds one model.",
                    )
            return response.status, response.headers, None, bytes(content)

    _session: aiohttp.ClientSession | None

    async def _set_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trusted, resolver=self._resolver),
                auto_decompress=False,
                timeout=self._limits,
            )
        return self._session

    # -- one request ------------------------------------------------------------------------------------

    async def _send(self, method: str, url: yarl.URL, fields: dict[str, str]) -> aiohttp.ClientResponse:
        """The answer, if it is a success.

        Raises:
            FileNotFoundError: 404.
            Answered: another status that is no success; redirects are none, for Google's servers send none here.
        """
        session = await self._set_session()
        # Asking for a token blocks, and this event loop is that of all file systems of the process.
        said = self._identity.headers() if self._identity.fresh else await asyncio.to_thread(self._identity.headers)
        response = await session.request(method, url, headers={**fields, **said}, allow_redirects=False)
        if response.status < _REDIRECT:
            return response
        response.close()
        if response.status == _NOT_FOUND:
            raise FileNotFoundError
        kind = Forbidden if response.status == _FORBIDDEN else Answered
        raise kind(response.status, http_headers.retry_after(response.headers.get("Retry-After")))


class _Judged(AbstractResolver):
    """Resolves names to addresses that may be connected to, each time that a connection is made.

    Args:
        network: which addresses these are.
        resolve: resolves names.
    """

    def __init__(self, network: NetworkPolicy, resolve: Resolve) -> None:
        self._network = network
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            UnsafeArtifact: none of them may be connected to.
            StorageUnavailable: the name cannot be resolved.
        """
        found = await asyncio.to_thread(addresses.allowed, host, port, self._network, None, self._resolve)
        kinds = {
            address: socket.AF_INET6 if ":" in address else socket.AF_INET
            for address, _ in found
            if family in (socket.AF_UNSPEC, socket.AF_INET6 if ":" in address else socket.AF_INET)
        }
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for address, kind in kinds.items()
        ]

    async def close(self) -> None:
        """Nothing is kept."""
