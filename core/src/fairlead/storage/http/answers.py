"""An answer, whose body is read as it arrives."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage.http.connections import TRANSPORT, unavailable

if TYPE_CHECKING:
    from fairlead.storage.http.connections import Connection
    from fairlead.storage.http.locations import Location
    from fairlead.storage.http.pool import Pool

__all__ = ["Answer"]

_CHUNK: Final = 256 * 1024
"""Bytes of a chunk: small enough for a processor's cache, and little to lose when a fetch is killed."""

_PATIENCE: Final = 0.5
"""Seconds that a chunk is gathered for, once it has its first byte: what has arrived is not held back for long."""

_DRAIN: Final = 64 * 1024
_DRAIN_SECONDS: Final = 0.1
"""What is left of a body is read to keep the connection, if it is no more than this and comes at once."""


class Answer:
    """A response whose body is still to be read; used by one thread.

    Args:
        response: the response.
        connection: the connection that it comes from, which is given back when the answer is closed.
        location: where the last redirect led to.
        pool: where the connection is from.

    Attributes:
        status: the status.
        headers: the headers, by name in any case.
        location: where the last redirect led to.
    """

    def __init__(
        self, response: http.client.HTTPResponse, connection: Connection, location: Location, pool: Pool
    ) -> None:
        from urllib3 import HTTPHeaderDict

        self.status = response.status
        self.headers = HTTPHeaderDict(response.headers.items())
        self.location = location
        self.reach = connection.reach
        self._response = response
        self._connection: Connection | None = connection
        self._pool = pool
        self._timeout = float(connection.timeout or 0.0)
        self._announced = response.length
        self._failure: errors.StorageError | None = None

    def read(self, size: int) -> bytes:
        """Read the next ``size`` bytes of the body; less if no more arrive within half a second, and empty at its end.

        Raises:
            StorageUnavailable: the connection broke, or the body is shorter than was announced. What arrived before is
                returned first.
        """
        if self._failure is not None:
            raise self._failure
        parts: list[bytes] = []
        have, since = 0, 0.0
        try:
            while have < size and (part := self._response.read1(size - have)):
                if not have and len(part) < size:
                    since = time.monotonic()
                parts.append(part)
                have += len(part)
                if have < size and (self._between_chunks or time.monotonic() - since > _PATIENCE):
                    break
            else:
                if have < size:
                    self._failure = self._cut()
        except TRANSPORT as error:
            self._failure = unavailable(self.location, self._timeout, error)
        if not have and self._failure is not None:
            raise self._failure
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def whole(self, limit: int) -> bytes:
        """Read the body to its end.

        Raises:
            StorageError: it is longer than ``limit`` bytes.
            StorageUnavailable: as `read`.
        """
        parts: list[bytes] = []
        have = 0
        while part := self.read(min(_CHUNK, limit + 1 - have)):
            parts.append(part)
            have += len(part)
            if have > limit:
                raise errors.StorageError(f"{self.location} answered with more than {limit} bytes.")
        return b"".join(parts)

    def chunks(self, skip: int = 0, count: int | None = None) -> Iterator[bytes]:
        """Read the body in chunks of at most 256 KiB.

        Args:
            skip: how many bytes to leave out first, where a server ignores that a range was asked for.
            count: how many bytes to give; all by default.

        Raises:
            StorageUnavailable: as `read`.
        """
        left = _CHUNK if count is None else count
        while left and (chunk := self.read(_CHUNK if skip else min(_CHUNK, left))):
            dropped = min(skip, len(chunk))
            skip -= dropped
            part = chunk[dropped : dropped + left]
            left -= len(part) if count is not None else 0
            if part:
                yield part

    def close(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        kept = self._failure is None and not self._response.will_close and (self._ended or self._drain(connection))
        self._response.close()
        if kept:
            self._pool.give(connection)
        else:
            self._pool.drop(connection)

    @property
    def _between_chunks(self) -> bool:
        """Whether the size of a next chunk comes now; it may be the last one, and its trailer is not waited for."""
        return self._response.chunked and not self._response.chunk_left

    @property
    def _ended(self) -> bool:
        return self._response.length == 0 or self._response.isclosed()

    def _drain(self, connection: Connection) -> bool:
        if (self._response.length or 0) > _DRAIN:
            return False
        connection.wait(_DRAIN_SECONDS)
        try:
            left = _DRAIN
            while left > 0 and (part := self._response.read1(left)):
                left -= len(part)
        except TRANSPORT:
            return False
        connection.wait(self._timeout)
        return self._ended

    def _cut(self) -> errors.StorageUnavailable | None:
        """The error, if a body that ends here should not."""
        left = self._response.length
        if left and self._announced is not None:
            return errors.StorageUnavailable(
                f"{self.location} closed after {self._announced - left} of {self._announced} bytes."
            )
        if self._pool.closed and self._announced is None and not self._response.chunked:
            # Only the end of the connection ends such a body, and this was not the server's.
            return errors.StorageUnavailable(f"{self.location} was given up before its end.")
        return None
