"""What providers over fsspec's asynchronous file systems have in common: listing, and reading as a stream.

fsspec runs the coroutines of all its file systems on one event loop in a thread of its own. A chunk is gathered there
while the one before it is being written, so that the two threads meet once a mebibyte and not once a packet; an object
that is no longer than a chunk takes one meeting for asking, reading and releasing together.
"""

from __future__ import annotations

import abc
import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from fairlead import errors
from fairlead.contracts.storage import RemoteObject, StorageProvider
from fairlead.storage import uris

if TYPE_CHECKING:
    from fsspec.asyn import AsyncFileSystem

__all__ = ["CHUNK", "FilesystemProvider", "Stream"]

_T = TypeVar("_T")

CHUNK: Final = 1024 * 1024
"""Bytes of a chunk, as far as the content reaches."""

_PARTING: Final = 5.0
"""Seconds that releasing connections is waited for: a server that does not answer must not hold up a fetch's end."""


class Stream(Protocol):
    """The body of one answer, on fsspec's event loop."""

    async def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        ...

    async def close(self) -> None:
        """Release the connection, wherever in the body it is."""
        ...


class FilesystemProvider(StorageProvider):
    """Lists and reads what a file system of fsspec reaches; a subclass says which, and what its answers mean.

    Args:
        credentials: see `StorageProvider`.
        timeout: seconds that any single network operation may take.
    """

    def __init__(self, *, credentials: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        super().__init__(credentials=credentials, timeout=timeout)
        self._connecting = threading.Lock()
        self._filesystem: AsyncFileSystem | None = None
        # Of the three below. It is held for moments, so that `close` never waits; an iterator that is collected in a
        # thread that holds it takes it again.
        self._lock = threading.RLock()
        self._closed = False
        self._waiting: set[concurrent.futures.Future[Any]] = set()
        self._readings: set[_Reading] = set()

    # -- what a subclass says ---------------------------------------------------------------------------

    @abc.abstractmethod
    def connect(self) -> AsyncFileSystem:
        """The file system, made once, when it is first needed; without caches of listings or instances."""

    @abc.abstractmethod
    def path(self, uri: str) -> str:
        """The file system's path of a URI, without a ``/`` at its end.

        Raises:
            StorageError: the URI lacks a part.
        """

    @abc.abstractmethod
    def describe(self, name: str, info: Mapping[str, Any]) -> RemoteObject:
        """An object as the file system's ``info`` tells of it.

        Args:
            name: its place below the target.
            info: with ``name`` (its path), ``size``, ``type``, and what this file system adds.
        """

    @abc.abstractmethod
    async def open(self, item: RemoteObject, start: int, end: int | None) -> Stream:
        """Ask for a range of an object, and for no other content than the one that was listed; on fsspec's event loop.

        It may be cancelled at any point, and must then leave no connection behind.
        """

    @abc.abstractmethod
    def failure(self, error: Exception, subject: str) -> errors.StorageError:
        """The error that an exception of the client means; its own text is not quoted, for it may hold a signed URL.

        Args:
            error: what was raised.
            subject: what was asked for, to begin a sentence with.
        """

    async def disconnect(self, filesystem: AsyncFileSystem) -> None:
        """Close the connections of a file system that is used no more; on fsspec's event loop."""

    # -- the provider -----------------------------------------------------------------------------------

    @property
    def filesystem(self) -> AsyncFileSystem:
        """The file system."""
        with self._connecting:
            if self._filesystem is None:
                self._refuse_if_closed()
                self._filesystem = self.connect()
                with self._lock:
                    late = self._closed
                if late:
                    self._part(self.disconnect(self._filesystem))
            return self._filesystem

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise concurrent.futures.CancelledError

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The object of that name, or else all objects below it; what stands for a folder alone is left out.

        Raises:
            ArtifactNotFound: there are none.
            AccessDenied: the credentials do not suffice.
            StorageUnavailable: a fault that may pass.
        """
        subject = uris.redact(uri)
        with self._translated(subject):
            path = self.path(uri)
            info = None if uri.endswith("/") else self.exact(path)
            if info is not None:
                return [self.describe(path.rpartition("/")[2], info)]
            found = self.below(path)
        if not found:
            raise errors.ArtifactNotFound(f"There is nothing at {subject}.")
        return [self.describe(name, found[name]) for name in sorted(found)]

    def exact(self, path: str) -> Mapping[str, Any] | None:
        """The ``info`` of the object at a path; None where there is none, or a folder."""
        try:
            info: Mapping[str, Any] = self.call(self.filesystem._info(path))
        except FileNotFoundError:
            return None
        return info if info["type"] == "file" else None

    def below(self, path: str) -> Mapping[str, Mapping[str, Any]]:
        """The ``info`` of every object below a path, by its name relative to it."""
        try:
            found: Mapping[str, Mapping[str, Any]] = self.call(self.filesystem._find(path, detail=True))
        except FileNotFoundError:
            return {}
        start = f"{path}/"
        return {
            key.removeprefix(start): info
            for key, info in found.items()
            if key.startswith(start) and info["type"] == "file" and not key.endswith("/")
        }

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from byte ``start`` up to, and without, byte ``end``, in chunks of at most `CHUNK` bytes.

        One more chunk is gathered ahead. Nothing is asked where nothing can come: an empty range, or one after the end.

        Raises:
            IntegrityError: the object has changed since it was listed.
            StorageUnavailable: a fault that may pass, or an answer that ends before the range does.
        """
        stop = item.size if end is None else end if item.size is None else min(end, item.size)
        if stop is not None and start >= stop:
            return
        reading = _Reading(
            lambda: self.open(item, start, end),
            left=None if end is None else end - start,
            least=None if stop is None else stop - start,
            timeout=self.timeout,
        )
        with self._translated(item.name), self._registered(reading):
            following = self._submit(reading.gather())
            try:
                while chunk := following.result():
                    if reading.ended:
                        yield chunk
                        return
                    following = self._submit(reading.gather())
                    yield chunk
            finally:
                if not reading.ended:
                    following.cancel()
                    self._part(reading.end())

    def close(self) -> None:
        """End what is under way, from any thread: whoever waits for it gets `StorageUnavailable`."""
        with self._lock:
            first, self._closed = not self._closed, True
            waiting, readings = tuple(self._waiting), tuple(self._readings)
            filesystem = self._filesystem
        for future in waiting:
            future.cancel()
        if first and filesystem is not None:
            self._part(self._release(filesystem, readings))

    async def _release(self, filesystem: AsyncFileSystem, readings: Sequence[_Reading]) -> None:
        for reading in readings:
            await reading.end()
        await self.disconnect(filesystem)

    # -- fsspec's event loop ----------------------------------------------------------------------------

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on fsspec's event loop and wait for it; `close` ends the waiting.

        Raises:
            concurrent.futures.CancelledError: the provider is closed, which becomes `StorageUnavailable`.
        """
        return self._submit(coroutine).result()

    def _submit(self, coroutine: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        try:
            loop = self.filesystem.loop
            with self._lock:
                self._refuse_if_closed()
                future = asyncio.run_coroutine_threadsafe(coroutine, loop)
                self._waiting.add(future)
        except BaseException:
            coroutine.close()
            raise
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._waiting.discard(future)

    def _part(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run what releases connections, also after `close`, and wait for it where that can be."""
        loop = None if self._filesystem is None else self._filesystem.loop
        if loop is None or not loop.is_running():
            coroutine.close()  # the interpreter is ending, or this is a fork: the connections are another's
            return
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        with contextlib.suppress(RuntimeError):
            if asyncio.get_running_loop() is loop:
                return  # a forgotten iterator is collected in any thread, and this one must not wait for itself
        with contextlib.suppress(Exception):  # what is being left is not asked for reasons
            future.result(min(self.timeout, _PARTING))

    # -- around what is done ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _registered(self, reading: _Reading) -> Iterator[None]:
        with self._lock:
            self._readings.add(reading)
        try:
            yield
        finally:
            with self._lock:
                self._readings.discard(reading)

    @contextlib.contextmanager
    def _translated(self, subject: str) -> Iterator[None]:
        try:
            yield
        except errors.FairleadError:
            raise
        except (concurrent.futures.CancelledError, asyncio.CancelledError):
            raise errors.StorageUnavailable(f"{subject} was given up: its source was closed meanwhile.") from None
        except _Stalled:
            raise errors.StorageUnavailable(f"{subject} sent nothing for {self.timeout:g} s.") from None
        except _Short as error:
            raise errors.StorageUnavailable(f"{subject} ended {error.missing} bytes before its end.") from None
        except Exception as error:  # noqa: BLE001  # clients raise what they like; the subclass knows what it means
            raise self.failure(error, subject) from None


class _Stalled(Exception):
    """Nothing came for as long as a network operation may take."""


class _Short(Exception):
    """The answer ended before the range did."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


class _Reading:
    """One answer: asked for by the first `gather`, released by the last one or by `end`.

    Args:
        ask: asks for it.
        left: how many bytes are wanted; None for all that come.
        least: how many bytes must come; None where that is not known.
        timeout: seconds that a read may take. Asking may take twice as long: it connects, and waits for an answer.
    """

    def __init__(
        self, ask: Callable[[], Coroutine[Any, Any, Stream]], *, left: int | None, least: int | None, timeout: float
    ) -> None:
        self._ask = ask
        self._left = left
        self._least = least
        self._timeout = timeout
        self._stream: Stream | None = None
        self._task: asyncio.Task[Any] | None = None
        self._given_up = False
        self.ended = False
        """Whether everything was gathered, and the connection released."""

    async def gather(self) -> bytes:
        """The next chunk, from as many packets as it takes; empty at the end."""
        if self._given_up:
            raise asyncio.CancelledError
        if self.ended:
            return b""
        self._task = asyncio.current_task()
        if self._stream is None:
            self._stream = await self._bounded(self._ask(), 2 * self._timeout)
        wanted = CHUNK if self._left is None else min(CHUNK, self._left)
        parts: list[bytes] = []
        size = 0
        while size < wanted:
            part = await self._bounded(self._stream.read(wanted - size), self._timeout)
            if not part:
                break
            parts.append(part)
            size += len(part)
        if self._least is not None:
            self._least = max(0, self._least - size)
        if self._left is not None:
            self._left -= size
        if size < wanted or self._left == 0:
            if self._least:
                raise _Short(self._least)
            await self._close()
            self.ended = True
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def end(self) -> None:
        """Give up what is not gathered yet, and release the connection; again is no harm."""
        self._given_up = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._close()

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(Exception):  # what was read is whole, or is given up
                await stream.close()

    @staticmethod
    async def _bounded(coroutine: Coroutine[Any, Any, _T], seconds: float) -> _T:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await coroutine
        except TimeoutError:
            if limit.expired():
                raise _Stalled from None
            raise
