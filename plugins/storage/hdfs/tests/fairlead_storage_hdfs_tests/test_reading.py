"""Reading: ranges, changes meanwhile, faults of datanodes, and many readers at once."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from fairlead import RemoteObject, errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fairlead_storage_hdfs.provider import HdfsProvider
    from fairlead_storage_hdfs_tests.conftest import MakeProvider
    from fairlead_storage_hdfs_tests.hadoop import Cluster

CONTENT = os.urandom(3 * 1024 * 1024)


def received(chunks: Iterator[bytes]) -> tuple[bytes, errors.StorageError | None]:
    """What came, and how it ended."""
    found = b""
    try:
        for chunk in chunks:
            found += chunk
    except errors.StorageError as error:
        return found, error
    return found, None


@pytest.fixture
def path(cluster: Cluster) -> str:
    return f"{cluster.place({'model.bin': CONTENT})}/model.bin"


@pytest.fixture
def one(provider: MakeProvider) -> HdfsProvider:
    return provider()


@pytest.fixture
def item(cluster: Cluster, path: str, one: HdfsProvider) -> RemoteObject:
    (found,) = one.list(f"hdfs://{cluster.authority}{path}")
    return found


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 1), (1, 70_000), (len(CONTENT) - 1, None), (5, 5), (100, len(CONTENT) + 100)]
)
def test_a_range_is_asked_for_and_no_more(
    cluster: Cluster, one: HdfsProvider, item: RemoteObject, start: int, end: int | None
) -> None:
    assert b"".join(one.open_range(item, start, end)) == CONTENT[start:end]
    asked = {(request.query["offset"], request.query["length"]) for request in cluster.asked("OPEN")}
    stop = len(CONTENT) if end is None else min(end, len(CONTENT))
    assert asked == ({(str(start), str(stop - start))} if stop > start else set())


def test_the_content_comes_from_a_datanode(cluster: Cluster, one: HdfsProvider, item: RemoteObject) -> None:
    for _ in range(4):
        list(one.open_range(item, 0, 10))
    servers = {request.server for request in cluster.asked("OPEN")}
    assert servers > {"namenode 0"}
    assert all(server.startswith(("namenode", "datanode")) for server in servers)


def test_an_empty_file_is_read_without_asking_a_datanode(cluster: Cluster, one: HdfsProvider) -> None:
    (item,) = one.list(f"hdfs://{cluster.authority}{cluster.place({'empty': b''})}/empty")
    assert list(one.open_range(item)) == []
    assert not cluster.asked("OPEN")


def test_a_change_between_two_ranges_is_seen(
    cluster: Cluster, path: str, one: HdfsProvider, item: RemoteObject
) -> None:
    assert b"".join(one.open_range(item, 0, 1000)) == CONTENT[:1000]
    cluster.put(path, os.urandom(len(CONTENT)))
    with pytest.raises(errors.IntegrityError):
        list(one.open_range(item, 1000))


@pytest.mark.parametrize("change", ["replaced", "longer", "shorter", "empty", "gone"])
@pytest.mark.parametrize("moment", ["before", "while"])
def test_a_change_is_seen_before_the_last_chunk_is_given(
    cluster: Cluster, path: str, one: HdfsProvider, item: RemoteObject, change: str, moment: str
) -> None:
    def happen() -> None:
        if change == "gone":
            del cluster.files[path]
        elif change == "longer":
            cluster.append(path, b"more")
        else:
            cluster.put(path, {"replaced": CONTENT[::-1], "shorter": CONTENT[:100], "empty": b""}[change])

    if moment == "before":
        happen()
    else:
        cluster.faults.on_chunk = lambda sent: happen() if sent == 65536 and path in cluster.files else None
    seen, error = received(one.open_range(item))
    assert isinstance(error, errors.IntegrityError)
    assert len(seen) < len(CONTENT)


def test_a_file_that_was_looked_at_long_ago_is_looked_at_before_reading(
    cluster: Cluster, path: str, one: HdfsProvider, item: RemoteObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.put(path, CONTENT[::-1])
    now = itertools.count(1e9)
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with pytest.raises(errors.IntegrityError):
        list(one.open_range(item))
    assert not cluster.asked("OPEN")


def test_a_body_that_ends_early_is_a_fault_that_may_pass(
    cluster: Cluster, one: HdfsProvider, item: RemoteObject
) -> None:
    cluster.faults.truncate_at = 1_000_000
    seen, error = received(one.open_range(item, 7))
    assert isinstance(error, errors.StorageUnavailable)
    assert CONTENT[7:].startswith(seen)
    assert seen + b"".join(one.open_range(item, 7 + len(seen))) == CONTENT[7:]


def test_a_length_that_is_not_the_one_asked_for_is_a_fault(
    cluster: Cluster, one: HdfsProvider, item: RemoteObject
) -> None:
    cluster.faults.announce = 12
    with pytest.raises(errors.StorageUnavailable, match="12 bytes"):
        list(one.open_range(item, 0, 100))


@pytest.mark.parametrize("name", ["BlockMissingException", "IOException", "RetriableException", "ServerTooBusy"])
def test_a_fault_of_the_cluster_may_pass(cluster: Cluster, one: HdfsProvider, item: RemoteObject, name: str) -> None:
    cluster.faults.errors.append(name)
    with pytest.raises(errors.StorageUnavailable, match=name):
        list(one.open_range(item))
    assert b"".join(one.open_range(item)) == CONTENT


def test_a_datanode_that_is_gone_may_pass(cluster: Cluster, one: HdfsProvider, item: RemoteObject) -> None:
    for datanode in cluster.datanodes:
        datanode.close()
    with pytest.raises(errors.StorageUnavailable):
        list(one.open_range(item))


def test_an_iterator_that_is_closed_early_ends_the_transfer(
    cluster: Cluster, one: HdfsProvider, item: RemoteObject
) -> None:
    chunks = one.open_range(item)
    assert CONTENT.startswith(next(chunks))
    chunks.close()  # type: ignore[attr-defined]  # it is a generator
    assert b"".join(one.open_range(item, 0, 10)) == CONTENT[:10]


def test_memory_does_not_grow_with_the_range(cluster: Cluster, provider: MakeProvider) -> None:
    path = f"{cluster.place({'large.bin': bytes(64 * 1024 * 1024)})}/large.bin"
    one = provider()
    (item,) = one.list(f"hdfs://{cluster.authority}{path}")
    list(one.open_range(item, 0, 10))
    tracemalloc.start()
    try:
        assert sum(len(chunk) for chunk in one.open_range(item)) == 64 * 1024 * 1024
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


def test_eight_threads_read_at_once(cluster: Cluster, one: HdfsProvider, item: RemoteObject) -> None:
    step = len(CONTENT) // 64 + 1
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        parts = pool.map(lambda at: b"".join(one.open_range(item, at, at + step)), range(0, len(CONTENT), step))
        assert b"".join(parts) == CONTENT


def test_n_threads_is_the_most_files_that_are_read_at_once(cluster: Cluster, path: str, provider: MakeProvider) -> None:
    one = provider(HDFS_NAMENODE=cluster.urls[0], N_THREADS="2")
    (item,) = one.list(f"hdfs://{path}")
    lock, now, most = threading.Lock(), 0, 0

    def read(start: int) -> bytes:
        nonlocal now, most
        chunks = one.open_range(item, start)
        first = next(chunks)
        with lock:
            now += 1
            most = max(most, now)
        second = next(chunks)
        with lock:
            now -= 1
        return b"".join([first, second, *chunks])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(part == CONTENT[start:] for start, part in enumerate(pool.map(read, range(16))))
    assert 1 <= most <= 2


def test_a_fetch_by_one_reader_at_a_time_ends(cluster: Cluster, tmp_path: Path) -> None:
    tree = {f"{number % 3}/{number}.bin": CONTENT[:number] for number in range(20)} | {"large.bin": CONTENT * 8}
    given = {"HDFS_NAMENODE": cluster.urls[0], "N_THREADS": "1"}
    fetcher = Fetcher(Plugins.discover(), FetchSettings(cache=tmp_path, credentials=given), SilentProgress())
    artifact = fetcher.fetch(f"hdfs://{cluster.place(tree)}")
    assert {name: (artifact.path / name).read_bytes() for name in tree} == tree


def test_closing_ends_those_who_read_and_those_who_wait(cluster: Cluster, path: str, provider: MakeProvider) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def stall() -> None:
        reading.set()
        go_on.wait(30)

    cluster.faults.before_read = stall
    one = provider(HDFS_NAMENODE=cluster.urls[0], N_THREADS="1")
    (item,) = one.list(f"hdfs://{path}")

    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = [pool.submit(lambda: received(one.open_range(item))) for _ in range(2)]
            assert reading.wait(30)
            one.close()
            assert all(isinstance(result.result(30)[1], errors.StorageUnavailable) for result in results)
    finally:
        go_on.set()
