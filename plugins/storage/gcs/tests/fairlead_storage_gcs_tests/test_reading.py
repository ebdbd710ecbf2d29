"""Reading ranges of one content, from a server that does what Google's does, and from one that fails."""

from __future__ import annotations

import gzip
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from fairlead import RemoteObject, errors
from fairlead_storage_gcs_tests.emulator import BUCKET, Emulator

if TYPE_CHECKING:
    from fairlead_storage_gcs.provider import GcsProvider
    from fairlead_storage_gcs_tests.conftest import Connect
    from fairlead_storage_gcs_tests.front import Front

CONTENT = bytes(range(256)) * 4096 * 3
_keys = (f"reading-{number}.bin" for number in itertools.count())


@pytest.fixture
def key(emulator: Emulator) -> str:
    key = next(_keys)
    emulator.put(key, CONTENT)
    return key


@pytest.fixture
def provider(connect: Connect) -> GcsProvider:
    return connect()


@pytest.fixture
def item(provider: GcsProvider, key: str) -> RemoteObject:
    (item,) = provider.list(f"gs://{BUCKET}/{key}")
    return item


def test_a_range_is_one_request(provider: GcsProvider, item: RemoteObject, front: Front) -> None:
    chunks = list(provider.open_range(item, 5, 2_000_005))
    assert b"".join(chunks) == CONTENT[5:2_000_005]
    assert max(map(len, chunks)) <= 1024 * 1024
    (request,) = front.downloads()
    assert request.headers["range"] == "bytes=5-2000004"
    assert request.path.endswith(f"alt=media&generation={item.etag}")


def test_eight_threads_read_at_once(provider: GcsProvider, item: RemoteObject) -> None:
    step = len(CONTENT) // 8
    with ThreadPoolExecutor(8) as pool:
        parts = pool.map(lambda at: b"".join(provider.open_range(item, at, at + step)), range(0, len(CONTENT), step))
        assert b"".join(parts) == CONTENT


def test_an_empty_object_is_read(provider: GcsProvider, emulator: Emulator) -> None:
    emulator.put("empty.bin", b"")
    (item,) = provider.list(f"gs://{BUCKET}/empty.bin")
    assert list(provider.open_range(item)) == []


def test_a_change_between_two_ranges_is_seen(
    provider: GcsProvider, item: RemoteObject, emulator: Emulator, key: str
) -> None:
    assert b"".join(provider.open_range(item, 0, 100)) == CONTENT[:100]
    emulator.put(key, CONTENT[::-1])
    with pytest.raises(errors.IntegrityError):
        next(provider.open_range(item, 100, 200))


def test_a_change_is_seen_where_the_server_takes_no_notice_of_generations(
    provider: GcsProvider, item: RemoteObject, emulator: Emulator, key: str, front: Front
) -> None:
    front.faults.ignore_generation = True
    emulator.put(key, CONTENT[::-1])
    with pytest.raises(errors.IntegrityError):
        next(provider.open_range(item))


def test_what_is_stored_packed_comes_packed(provider: GcsProvider, emulator: Emulator) -> None:
    packed = gzip.compress(b"weights" * 100, mtime=0)
    emulator.put("packed.bin", packed, contentEncoding="gzip")
    (item,) = provider.list(f"gs://{BUCKET}/packed.bin")
    assert item.size == len(packed)
    assert b"".join(provider.open_range(item)) == packed
    assert b"".join(provider.open_range(item, 10)) == packed[10:]


def test_a_connection_that_breaks_is_a_fault_that_may_pass(
    provider: GcsProvider, item: RemoteObject, front: Front
) -> None:
    front.faults.drop_at = 1024 * 1024 + 1
    read = provider.open_range(item)
    assert next(read) == CONTENT[: 1024 * 1024]
    with pytest.raises(errors.StorageUnavailable):
        list(read)
    assert b"".join(provider.open_range(item, 1024 * 1024)) == CONTENT[1024 * 1024 :]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_that_fails_is_asked_once(connect: Connect, key: str, front: Front, status: int) -> None:
    front.faults.statuses, front.faults.retry_after = [status], "7"
    with pytest.raises(errors.StorageUnavailable) as caught:
        connect().list(f"gs://{BUCKET}/{key}")
    assert caught.value.retry_after == 7
    assert len(front.requests) == 1


def test_a_server_that_stalls_is_given_up(connect: Connect, key: str, front: Front) -> None:
    (item,) = connect().list(f"gs://{BUCKET}/{key}")
    front.faults.stall = threading.Event()
    with pytest.raises(errors.StorageUnavailable, match=r"did not answer within 0\.2 s"):
        next(connect(timeout=0.2).open_range(item))


def test_a_server_that_is_not_there_is_a_fault_that_may_pass(connect: Connect) -> None:
    provider = connect({"STORAGE_EMULATOR_HOST": "127.0.0.1:9"})
    with pytest.raises(errors.StorageUnavailable):
        provider.list(f"gs://{BUCKET}/model")


def test_closing_ends_a_read_that_waits(connect: Connect, item: RemoteObject, front: Front) -> None:
    provider = connect()
    front.faults.stall = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, provider.open_range(item))
        assert front.stalled.wait(30)
        provider.close()
        with pytest.raises(errors.StorageUnavailable):
            waiting.result()


def test_a_read_that_ends_early_leaves_the_next_one_alone(provider: GcsProvider, item: RemoteObject) -> None:
    read = provider.open_range(item)
    next(read)
    read.close()  # type: ignore[attr-defined]  # it is a generator
    assert b"".join(provider.open_range(item)) == CONTENT
