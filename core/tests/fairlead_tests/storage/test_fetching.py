"""Fetches through the fetcher: the cache, verification, limits and time."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import mmap
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.storage.cache import Slot
from fairlead.storage.progress import Advance, SilentProgress
from fairlead.testing.storage import RecordingProgress
from fairlead_tests.storage.conftest import MakeFetcher, Time, leftovers
from fairlead_tests.storage.server import CHUNK, Server, contents, memory
from fairlead_tests.storage.stopping import CONTENT, sha256, stop_after

# -- the cache ----------------------------------------------------------------------------------------------


def test_a_second_fetch_asks_once_and_downloads_nothing(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    first = fetcher().fetch(uri)
    assert contents(first.path) == {"model.bin": CONTENT}
    server.requests.clear()
    assert fetcher().fetch(uri) == first
    assert server.methods() == ["HEAD"]


def test_a_changed_file_becomes_a_new_version_and_the_old_one_stays_for_its_readers(
    server: Server, fetcher: MakeFetcher
) -> None:
    uri = server.put("/model.bin", b"old")
    old = fetcher().fetch(uri).path
    server.put("/model.bin", b"new")
    new = fetcher().fetch(uri).path
    assert contents(new) == {"model.bin": b"new"}
    assert contents(old) == {"model.bin": b"old"}


def test_without_an_etag_the_file_is_fetched_again(server: Server, fetcher: MakeFetcher) -> None:
    server.faults.no_etag = True
    uri = server.put("/model.bin", b"old")
    fetcher().fetch(uri)
    server.put("/model.bin", b"new")  # the same length, and nothing that tells the difference
    assert contents(fetcher().fetch(uri).path) == {"model.bin": b"new"}


def test_a_pinned_digest_is_found_without_asking_the_source(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    first = fetcher().fetch(uri, digest=f"sha256:{sha256(CONTENT)}")
    server.requests.clear()
    assert fetcher().fetch(f"{uri}#sha256={sha256(CONTENT)}").path == first.path
    assert server.methods() == []


def test_files_evicted_while_mapped_stay_readable_and_are_fetched_again(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    path = fetcher().fetch(uri).path
    with (path / "model.bin").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        shutil.rmtree(path)
        assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}
        assert mapped[:] == CONTENT


def test_a_truncated_file_in_the_cache_is_replaced(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    os.truncate(fetcher().fetch(uri).path / "model.bin", 10)
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}


def test_the_cache_does_not_hold_the_query_of_a_signed_url(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    server.put("/model.bin", CONTENT)
    artifact = fetcher().fetch(f"{server.url}/model.bin?signature=secret")
    assert artifact.uri == f"{server.url}/model.bin"
    for path in cache.rglob("*"):
        assert "secret" not in str(path)
        assert path.is_dir() or b"secret" not in path.read_bytes()


# -- verifying ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["argument", "fragment"])
def test_a_wrong_digest_is_refused_and_leaves_nothing(
    server: Server, fetcher: MakeFetcher, cache: Path, form: str
) -> None:
    uri = server.put("/model.bin", CONTENT)
    wrong = sha256(b"other")
    given = (f"{uri}#sha256={wrong}", None) if form == "fragment" else (uri, f"sha256:{wrong}")
    with pytest.raises(errors.IntegrityError, match=f"should have {wrong}"):
        fetcher().fetch(given[0], digest=given[1])
    assert leftovers(cache) == []


@pytest.mark.parametrize("digest", ["md5:" + "0" * 32, "sha256:xyz", "0" * 64, "sha256:" + "0" * 63])
def test_a_digest_that_is_none_is_refused(server: Server, fetcher: MakeFetcher, digest: str) -> None:
    with pytest.raises(errors.StorageError, match="The digest"):
        fetcher().fetch(server.put("/model.bin", CONTENT), digest=digest)


def test_two_different_digests_are_refused(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    with pytest.raises(errors.StorageError, match="two different digests"):
        fetcher().fetch(f"{uri}#sha256={'0' * 64}", digest=f"sha256:{'1' * 64}")


ANNOUNCED = [
    ("Content-MD5", "{}", "md5"),
    ("Repr-Digest", "sha-256=:{}:", "sha256"),
    ("Repr-Digest", "unknown=:AA==:, sha-512=:{}:", "sha512"),
    ("Digest", "SHA-256={}", "sha256"),
]


@pytest.mark.parametrize(("header", "form", "algorithm"), ANNOUNCED)
def test_a_digest_that_the_server_announces_is_verified(
    server: Server, fetcher: MakeFetcher, cache: Path, header: str, form: str, algorithm: str
) -> None:
    uri = server.put("/model.bin", CONTENT)
    good, bad = (base64.b64encode(hashlib.new(algorithm, text).digest()).decode() for text in (CONTENT, b"other"))
    server.faults.headers = {header: form.format(bad)}
    with pytest.raises(errors.IntegrityError, match=f"has the {algorithm} digest"):
        fetcher().fetch(uri)
    assert leftovers(cache) == []
    server.faults.headers = {header: form.format(good)}
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}


def test_bytes_damaged_on_the_way_are_not_continued_but_fetched_again(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.headers = {"Content-MD5": base64.b64encode(hashlib.md5(CONTENT).digest()).decode()}
    server.faults.corrupt = True
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}
    assert server.methods() == ["HEAD", "GET", "HEAD", "GET"]


def test_bytes_beyond_the_announced_length_are_not_taken(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.extra_bytes = b"more"
    with pytest.raises(errors.IntegrityError):
        fetcher().fetch(uri)


def test_a_file_of_unknown_length_is_fetched(server: Server, fetcher: MakeFetcher) -> None:
    server.faults.no_length = True
    assert contents(fetcher().fetch(server.put("/model.bin", CONTENT)).path) == {"model.bin": CONTENT}


# -- limits -------------------------------------------------------------------------------------------------


def test_a_file_larger_than_the_limit_is_refused_before_it_is_read(
    server: Server, fetcher: MakeFetcher, cache: Path
) -> None:
    uri = server.put("/model.bin", CONTENT)
    with pytest.raises(errors.StorageLimitExceeded, match="the limit is 1000"):
        fetcher(max_bytes=1000).fetch(uri)
    assert server.methods() == ["HEAD"]
    assert leftovers(cache) == []


def test_a_file_of_unknown_length_is_stopped_at_the_limit(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.no_length = True
    with pytest.raises(errors.StorageLimitExceeded):
        fetcher(max_bytes=2 * CHUNK).fetch(uri)
    assert leftovers(cache) == []


def test_a_disk_without_room_is_seen_before_the_download(
    server: Server, fetcher: MakeFetcher, cache: Path, time: Time
) -> None:
    uri = server.put("/model.bin", CONTENT)
    time.free = len(CONTENT) - 1
    with pytest.raises(errors.StorageLimitExceeded, match=f"has {time.free} free"):
        fetcher().fetch(uri)
    assert server.methods() == ["HEAD"]
    assert leftovers(cache) == []


def test_a_disk_that_fills_up_under_way_is_told_and_made_free_again(
    server: Server, fetcher: MakeFetcher, cache: Path
) -> None:
    uri = server.put("/model.bin", CONTENT)
    stop_after(server, fetcher, uri, CHUNK)
    partial = Slot(cache, uri).partial / "files" / "model.bin"
    partial.unlink()
    partial.symlink_to("/dev/full")
    with pytest.raises(errors.StorageLimitExceeded, match=r"No space left on device.*FAIRLEAD_CACHE"):
        fetcher().fetch(uri)
    assert leftovers(cache) == []


def test_a_file_size_limit_of_the_system_is_told(server: Server, cache: Path) -> None:
    uri = server.put("/model.bin", CONTENT)
    script = textwrap.dedent("""
        import pathlib, resource, sys
        from fairlead import errors
        from fairlead.plugins import Plugins
        from fairlead.storage.fetcher import Fetcher
        from fairlead.storage.settings import FetchSettings

        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            Fetcher(Plugins.discover(), FetchSettings(cache=pathlib.Path(sys.argv[2]))).fetch(sys.argv[1])
        except errors.StorageLimitExceeded as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", script, uri, str(cache)], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert leftovers(cache) == []


def test_a_cache_that_cannot_be_made_is_told(server: Server, fetcher: MakeFetcher, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.StorageError, match="FAIRLEAD_CACHE"):
        fetcher(cache=tmp_path / "file" / "cache").fetch(server.put("/model.bin", CONTENT))


def test_a_large_download_takes_little_memory(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", bytes(50 * 1024 * 1024))
    made = fetcher()
    with memory() as peak:
        made.fetch(uri)
    assert peak[0] < 8 * 1024 * 1024


# -- time ---------------------------------------------------------------------------------------------------


def test_a_fault_that_passes_is_tried_again_with_growing_pauses(
    server: Server, fetcher: MakeFetcher, time: Time
) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.broken = [503, 500, 429, 408]
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}
    assert time.pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_fault_that_stays_is_told_after_the_last_retry(server: Server, fetcher: MakeFetcher, time: Time) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.broken = [503] * 10
    with pytest.raises(errors.StorageUnavailable, match="503 Service Unavailable"):
        fetcher(retries=2).fetch(uri)
    assert len(server.requests) == 3
    assert len(time.pauses) == 2


def test_bytes_that_arrive_reset_the_count_of_retries(server: Server, fetcher: MakeFetcher, time: Time) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.truncate_at, server.faults.truncate_always = 2 * CHUNK, True
    assert contents(fetcher(retries=1).fetch(uri).path) == {"model.bin": CONTENT}
    assert time.pauses == [0.5] * 4


def test_retry_after_is_kept_to_within_the_deadline(server: Server, fetcher: MakeFetcher, time: Time) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.broken, server.faults.retry_after = [503], "90"
    fetcher().fetch(uri)
    assert time.pauses == [90.0]
    server.faults.broken = [503]
    with pytest.raises(errors.StorageTimeout, match=r"within 60 seconds.*"):
        fetcher(deadline=60).fetch(uri)
    assert time.pauses == [90.0]


def test_a_fetch_ends_at_its_deadline_and_can_be_continued(server: Server, fetcher: MakeFetcher, time: Time) -> None:
    uri = server.put("/model.bin", CONTENT * 8)

    class Slow(SilentProgress):
        @contextlib.contextmanager
        def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:
            yield lambda count: time.sleep(count / CHUNK)

    with pytest.raises(errors.StorageTimeout, match="Fetch again to continue"):
        fetcher(Slow(), deadline=35).fetch(uri)
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": CONTENT * 8}
    assert progress.done[0] > 0


def test_a_server_that_falls_silent_is_left_after_the_timeout(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    silent = threading.Event()

    def wait(_sent: int) -> None:
        silent.wait(30)

    server.faults.on_chunk = wait
    try:
        with pytest.raises(errors.StorageUnavailable, match="did not answer"):
            fetcher(timeout=0.2, retries=0).fetch(uri)
    finally:
        silent.set()


# -- what is said -------------------------------------------------------------------------------------------


def test_a_fetch_and_each_retry_are_logged_without_the_query(
    server: Server, fetcher: MakeFetcher, caplog: pytest.LogCaptureFixture
) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.broken = [503, 503]
    with caplog.at_level("INFO", logger="fairlead.storage"):
        fetcher().fetch(f"{uri}?signature=secret")
        fetcher().fetch(f"{uri}?signature=secret")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"fetching {uri}"),
        ("WARNING", f"{uri} answered 503 Service Unavailable; trying again in 0.5 s (1 of 5)"),
        ("WARNING", f"{uri} answered 503 Service Unavailable; trying again in 1 s (2 of 5)"),
        ("INFO", f"fetching {uri}"),
        ("INFO", f"{uri} has not changed; it is in the cache"),
    ]


def test_a_server_that_accepts_and_never_answers_is_told_of_before_during_and_after(
    fetcher: MakeFetcher, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/model.bin"
        with caplog.at_level("INFO", logger="fairlead.storage"), pytest.raises(errors.StorageUnavailable) as caught:
            fetcher(timeout=0.1, retries=1).fetch(uri)
    assert [record.getMessage() for record in caplog.records] == [
        f"fetching {uri}",
        f"{uri} did not answer within 0.1 s; trying again in 0.5 s (1 of 1)",
    ]
    assert caught.value.reason == f"{uri} did not answer within 0.1 s; it was tried 2 times in a row."


def test_a_local_file_and_a_pinned_one_in_the_cache_are_not_said_to_be_fetched(
    server: Server, fetcher: MakeFetcher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pinned = f"{server.put('/model.bin', CONTENT)}#sha256={hashlib.sha256(CONTENT).hexdigest()}"
    fetcher().fetch(pinned)
    (tmp_path / "model.bin").write_bytes(CONTENT)
    with caplog.at_level("INFO", logger="fairlead.storage"):
        fetcher().fetch(pinned)
        fetcher().fetch(str(tmp_path / "model.bin"))
    assert caplog.records == []
