"""The boundary under test: what providers over fsspec share, over file systems of fsspec that really read.

Streams come from fsspec's http file system and the HTTP server of these tests; listings from its asynchronous view of
local files.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts.storage import RemoteObject
from fairlead.storage.filesystems import CHUNK, FilesystemProvider, Stream
from fairlead_tests.storage.server import Server, memory
from fairlead_tests.waiting import eventually

CONTENT = bytes(range(256)) * 20 * 1024  # five chunks


class Body:
    """The body of an answer of aiohttp, which says when it is released."""

    def __init__(self, response: Any, released: Callable[[], None]) -> None:
        self._response = response
        self._released = released

    async def read(self, size: int, /) -> bytes:
        part: bytes = await self._response.content.read(size)
        return part

    async def close(self) -> None:
        self._response.close()
        self._released()


class Files(FilesystemProvider):
    """Reads over http."""

    def __init__(self, *, timeout: float = 20.0) -> None:
        super().__init__(timeout=timeout)
        self.opened = 0
        self.released = 0
        self.disconnected = 0

    def connect(self) -> Any:
        from fsspec.implementations.http import HTTPFileSystem

        return HTTPFileSystem(skip_instance_cache=True, use_listings_cache=False)

    async def disconnect(self, filesystem: Any) -> None:
        self.disconnected += 1
        session = await filesystem.set_session()
        await session.close()

    def path(self, uri: str) -> str:
        return uri.removesuffix("/")

    def describe(self, name: str, info: Mapping[str, Any]) -> RemoteObject:
        return RemoteObject(name=name, key=info["name"], size=info["size"], etag=info.get("ETag"))

    async def open(self, item: RemoteObject, start: int, end: int | None) -> Stream:
        session = await self.filesystem.set_session()
        fields = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
        response = await session.get(item.key, headers=fields)
        self.opened += 1
        response.raise_for_status()

        def released() -> None:
            self.released += 1

        return Body(response, released)

    def failure(self, error: Exception, subject: str) -> errors.StorageError:
        return errors.StorageUnavailable(f"{subject}: {type(error).__name__}")

    def tasks(self) -> int:
        """How many tasks of these providers are on the event loop."""

        async def count() -> int:
            return sum("_Reading" in str(task.get_coro()) for task in asyncio.all_tasks())

        return asyncio.run_coroutine_threadsafe(count(), self.filesystem.loop).result(20)


class LocalFiles(Files):
    """Lists local files."""

    def connect(self) -> Any:
        from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
        from fsspec.implementations.local import LocalFileSystem

        return AsyncFileSystemWrapper(LocalFileSystem(skip_instance_cache=True), asynchronous=False)

    async def disconnect(self, filesystem: Any) -> None:
        self.disconnected += 1

    def path(self, uri: str) -> str:
        return uri.partition("://")[2].removesuffix("/")


@pytest.fixture
def files() -> Iterator[Files]:
    provider = Files()
    yield provider
    provider.close()


@pytest.fixture
def item(server: Server) -> RemoteObject:
    return RemoteObject(name="model.bin", key=server.put("/model.bin", CONTENT), size=len(CONTENT))


@pytest.fixture
def held(server: Server) -> Iterator[threading.Event]:
    """The server stops in the middle of a body; set, it has got there."""
    here, go_on = threading.Event(), threading.Event()

    def hold(sent: int) -> None:
        if sent >= 2 * CHUNK:
            here.set()
            go_on.wait(60)

    server.faults.on_chunk = hold
    yield here
    server.faults.on_chunk = None
    go_on.set()


# -- listing ------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> str:
    for name in ("model/a.bin", "model/1/b.bin", "model/1/empty", "model-old/c.bin", "model.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name.endswith("empty") else b"content")
    (tmp_path / "model" / "folder").mkdir()
    return f"local://{tmp_path}"


def test_a_prefix_lists_the_files_below_it_at_path_boundaries(tree: str) -> None:
    provider = LocalFiles()
    for uri in (f"{tree}/model", f"{tree}/model/"):
        assert [(item.name, item.size) for item in provider.list(uri)] == [("1/b.bin", 7), ("1/empty", 0), ("a.bin", 7)]
    provider.close()


def test_an_exact_object_is_listed_alone_unless_the_uri_ends_with_a_slash(tree: str) -> None:
    provider = LocalFiles()
    assert [item.name for item in provider.list(f"{tree}/model.txt")] == ["model.txt"]
    for uri in (f"{tree}/model.txt/", f"{tree}/missing", f"{tree}/mod"):
        with pytest.raises(errors.ArtifactNotFound):
            provider.list(uri)
    provider.close()


def test_a_closed_provider_neither_lists_nor_connects(tree: str) -> None:
    provider = LocalFiles()
    provider.close()
    with pytest.raises(errors.StorageUnavailable, match="closed meanwhile"):
        provider.list(tree)
    assert provider.disconnected == 0


def test_an_exception_of_the_client_becomes_the_error_that_the_provider_says(files: Files, server: Server) -> None:
    server.faults.broken = [500]
    missing = RemoteObject(name="model.bin", key=f"{server.url}/model.bin")
    with pytest.raises(errors.StorageUnavailable, match=r"model\.bin: ClientResponseError"):
        list(files.open_range(missing))


# -- reading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, None), (0, 1), (1, CHUNK + 1), (CHUNK, 2 * CHUNK), (len(CONTENT) - 1, None), (7, len(CONTENT)), (9, 1 << 40)],
)
def test_a_range_is_what_lies_between_its_ends(files: Files, item: RemoteObject, start: int, end: int | None) -> None:
    chunks = list(files.open_range(item, start, end))
    assert b"".join(chunks) == CONTENT[start:end]
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
    assert files.released == files.opened == 1


@pytest.mark.parametrize(("start", "end"), [(3, 3), (len(CONTENT), None), (len(CONTENT) + 1, len(CONTENT) + 2)])
def test_nothing_is_asked_for_a_range_without_bytes(
    files: Files, item: RemoteObject, server: Server, start: int, end: int | None
) -> None:
    assert list(files.open_range(item, start, end)) == []
    assert not server.requests


def test_the_end_of_a_content_of_unknown_size_is_found(files: Files, server: Server) -> None:
    for size in (0, 1, CHUNK, CHUNK + 1, 2 * CHUNK):
        item = RemoteObject(name="model.bin", key=server.put("/model.bin", CONTENT[:size]))
        assert b"".join(files.open_range(item)) == CONTENT[:size]


def test_several_threads_read_at_once(files: Files, item: RemoteObject) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        starts = range(0, len(CONTENT), len(CONTENT) // 8)
        parts = threads.map(lambda start: b"".join(files.open_range(item, start, start + len(CONTENT) // 8)), starts)
        assert b"".join(parts) == CONTENT
    assert files.released == files.opened == 8


def test_a_large_object_is_not_held_in_memory(files: Files, server: Server) -> None:
    size = 64 * CHUNK
    item = RemoteObject(name="model.bin", key=server.put("/model.bin", bytes(size)), size=size)
    list(files.open_range(item, 0, 1))
    with memory() as peak:
        assert sum(len(chunk) for chunk in files.open_range(item)) == size
    assert peak[0] < 8 * CHUNK


# -- ending early -------------------------------------------------------------------------------------------


def test_an_iterator_that_is_closed_early_releases_its_connection(
    files: Files, item: RemoteObject, held: threading.Event
) -> None:
    reading = files.open_range(item)
    assert next(reading) == CONTENT[:CHUNK]
    assert held.wait(20)  # a further chunk is awaited
    reading.close()  # type: ignore[attr-defined]  # a generator
    assert files.released == 1
    assert files.tasks() == 0


def test_an_iterator_that_is_forgotten_releases_its_connection(
    files: Files, item: RemoteObject, held: threading.Event
) -> None:
    reading = files.open_range(item)
    next(reading)
    assert held.wait(20)
    del reading
    assert files.released == 1
    assert files.tasks() == 0


def test_an_iterator_may_be_collected_on_the_event_loop(
    files: Files, item: RemoteObject, held: threading.Event
) -> None:
    reading: Any = files.open_range(item)
    next(reading)
    assert held.wait(20)

    async def collect() -> None:
        reading.close()

    asyncio.run_coroutine_threadsafe(collect(), files.filesystem.loop).result(20)
    files.close()
    eventually(lambda: files.released == 1)  # nobody waits for it: the loop cannot wait for itself
    eventually(lambda: files.tasks() == 0)


def test_an_iterator_that_was_never_begun_asks_nothing(files: Files, item: RemoteObject, server: Server) -> None:
    reading: Any = files.open_range(item)
    reading.close()
    assert not server.requests


# -- faults -------------------------------------------------------------------------------------------------


def test_closing_from_another_thread_ends_whoever_waits_for_content(
    files: Files, item: RemoteObject, held: threading.Event
) -> None:
    def close() -> None:
        held.wait(20)
        files.close()

    reading = files.open_range(item)
    next(reading)
    closing = threading.Thread(target=close)
    closing.start()
    with pytest.raises(errors.StorageUnavailable, match="closed meanwhile"):
        list(reading)
    closing.join()
    assert files.released == files.disconnected == 1
    assert files.tasks() == 0
    files.close()
    assert files.disconnected == 1


def test_closing_from_another_thread_ends_whoever_waits_for_an_answer(
    files: Files, item: RemoteObject, server: Server
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        go_on.wait(60)

    server.faults.before_get = hold

    def close() -> None:
        asked.wait(20)
        files.close()

    closing = threading.Thread(target=close)
    closing.start()
    with pytest.raises(errors.StorageUnavailable, match="closed meanwhile"):
        list(files.open_range(item))
    go_on.set()
    closing.join()
    assert files.released == files.opened
    assert files.tasks() == 0


def test_closing_releases_what_nobody_reads_on(files: Files, item: RemoteObject, held: threading.Event) -> None:
    reading = files.open_range(item)
    next(reading)
    assert held.wait(20)
    files.close()
    assert files.released == 1
    assert files.tasks() == 0
    with pytest.raises(errors.StorageUnavailable, match="closed meanwhile"):
        list(reading)


def test_a_server_that_stalls_is_given_up_after_the_timeout(item: RemoteObject, held: threading.Event) -> None:
    files = Files(timeout=0.3)
    with pytest.raises(errors.StorageUnavailable, match=r"model\.bin sent nothing for 0\.3 s"):
        list(files.open_range(item))
    # Its release is waited for no longer than the timeout, and the machine may have stalled before the server did.
    eventually(lambda: files.released == files.opened)
    eventually(lambda: files.tasks() == 0)
    files.close()


def test_an_answer_that_ends_early_is_a_fault_that_may_pass(files: Files, item: RemoteObject, server: Server) -> None:
    server.faults.truncate_at = CHUNK + 1
    server.faults.no_length = True  # so that http itself sees nothing wrong
    received = bytearray()
    with pytest.raises(errors.StorageUnavailable, match=r"model\.bin ended \d+ bytes before its end"):
        collections.deque(map(received.extend, files.open_range(item)), maxlen=0)
    assert CONTENT.startswith(received)
    assert files.released == 1


def test_a_connection_that_breaks_is_what_the_provider_says(files: Files, item: RemoteObject, server: Server) -> None:
    server.faults.truncate_at = CHUNK + 1
    with pytest.raises(errors.StorageUnavailable, match="ClientPayloadError"):
        list(files.open_range(item))
    assert files.released == 1
    assert files.tasks() == 0
