from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import io
import mmap
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import time as clock
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.storage import RemoteObject
from fairlead.plugins import Plugins
from fairlead.storage.cache import Slot
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import Advance, SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead.testing.storage import RecordingProgress
from fairlead_tests.storage.conftest import MakeFetcher, Time, leftovers
from fairlead_tests.storage.server import CHUNK, Server, contents, memory

CONTENT = os.urandom(10 * CHUNK)


class Stopped(BaseException):
    """What a test raises in the place of a kill."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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


# -- resuming -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_fetch_killed_at_any_tenth_goes_on_where_it_stopped(
    server: Server, cache: Path, fetcher: MakeFetcher, tenth: int
) -> None:
    uri = server.put("/model.bin", CONTENT)
    at = len(CONTENT) * tenth // 10
    script = "import sys; from fairlead.testing import storage; storage.fetch_and_die(*sys.argv[1:])"
    died = subprocess.run([sys.executable, "-c", script, uri, str(cache), str(at)], input=b"{}", check=False)
    assert died.returncode == -signal.SIGKILL
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": CONTENT}
    # A killed process may lose what it had not yet handed to the system: at most one buffer.
    assert progress.done[0] >= at - CHUNK
    assert progress.arrived == len(CONTENT) - progress.done[0]


def test_a_truncated_download_is_resumed_where_it_stopped(server: Server, fetcher: MakeFetcher, time: Time) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.truncate_at = 3 * CHUNK + 7
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}
    ranges = [request.headers.get("Range") for request in server.requests if request.method == "GET"]
    assert ranges == [None, f"bytes={3 * CHUNK + 7}-"]
    assert time.pauses == [0.5]


def test_a_server_that_ignores_ranges_is_read_past_what_is_there(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.truncate_at = 5 * CHUNK
    server.faults.ignore_range = True
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": CONTENT}
    assert progress.arrived == len(CONTENT)
    assert server.methods() == ["HEAD", "GET", "GET"]


def test_without_an_etag_a_truncated_download_starts_again(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.no_etag = True
    server.faults.truncate_at = 5 * CHUNK
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": CONTENT}
    assert [request.headers.get("Range") for request in server.requests] == [None, None, None]
    assert progress.arrived == len(CONTENT)


def test_parts_of_two_contents_under_one_weak_etag_are_not_joined(server: Server, fetcher: MakeFetcher) -> None:
    old, new = b"a" * len(CONTENT), b"b" * len(CONTENT)
    uri = server.put("/model.bin", old)
    server.faults.no_etag = True
    server.faults.headers = {"ETag": 'W/"1"'}
    server.faults.truncate_at = 3 * CHUNK

    def change() -> None:
        if server.sent:
            server.put("/model.bin", new)

    server.faults.before_get = change
    assert contents(fetcher().fetch(uri).path) == {"model.bin": new}


@pytest.mark.parametrize(("age", "resumed"), [(0, False), (1, True)])
def test_a_date_proves_a_content_once_its_second_is_over(
    server: Server, fetcher: MakeFetcher, age: int, resumed: bool
) -> None:
    """RFC 9110, section 8.8.2.2."""
    uri = server.put("/model.bin", CONTENT)
    server.faults.no_etag = True
    modified = email.utils.formatdate(clock.time() - age, usegmt=True)
    server.faults.headers = {"Last-Modified": modified, "Date": email.utils.formatdate(usegmt=True)}
    server.faults.truncate_at = 3 * CHUNK
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}
    assert ("Range" in server.requests[-1].headers) is resumed


def test_a_partial_file_of_other_content_is_not_continued(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    _stop_after(server, fetcher, uri, 5 * CHUNK)
    other = os.urandom(len(CONTENT))
    server.put("/model.bin", other)
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": other}
    assert progress.done == [0]


def test_a_file_swapped_while_it_is_downloaded_is_never_a_mixture(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    other = os.urandom(len(CONTENT))
    server.faults.truncate_at = 5 * CHUNK

    def swap(_sent: int) -> None:
        server.put("/model.bin", other)

    server.faults.on_chunk = swap
    assert contents(fetcher().fetch(uri).path) == {"model.bin": other}


def test_a_file_swapped_between_listing_and_reading_is_listed_again(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", b"old")

    def swap() -> None:
        server.put("/model.bin", b"new content")

    server.faults.before_get = swap
    assert contents(fetcher().fetch(uri).path) == {"model.bin": b"new content"}


def test_a_file_that_changes_again_and_again_is_an_error(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    uri = server.put("/model.bin", b"0")
    server.faults.before_get = lambda: server.files.update({"/model.bin": os.urandom(8)})
    with pytest.raises(errors.IntegrityError, match="another content than when it was listed"):
        fetcher().fetch(uri)
    assert leftovers(cache) == []


def _stop_after(server: Server, fetcher: MakeFetcher, uri: str, sent: int) -> None:
    """Begin a fetch and let the connection break for good."""
    server.faults.truncate_at = sent
    with pytest.raises(errors.StorageUnavailable):
        fetcher(retries=0).fetch(uri)


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
    _stop_after(server, fetcher, uri, CHUNK)
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
    assert peak[0] < 4 * 1024 * 1024


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
    uri = server.put("/model.bin", CONTENT)

    class Slow(SilentProgress):
        @contextlib.contextmanager
        def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:
            yield lambda count: time.sleep(count / CHUNK * 10)

    with pytest.raises(errors.StorageTimeout, match="Fetch again to continue"):
        fetcher(Slow(), deadline=35).fetch(uri)
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": CONTENT}
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


# -- more than one ------------------------------------------------------------------------------------------


def test_two_fetchers_of_one_uri_download_it_once(server: Server, fetcher: MakeFetcher) -> None:
    from fairlead.storage.machine import Machine

    uri = server.put("/model.bin", CONTENT)
    found: list[dict[str, bytes]] = []
    made = [fetcher(machine=Machine()) for _ in range(4)]
    threads = [threading.Thread(target=lambda one=one: found.append(contents(one.fetch(uri).path))) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"model.bin": CONTENT}] * 4
    assert server.methods().count("GET") == 1


def test_two_processes_of_one_uri_download_it_once(server: Server, cache: Path) -> None:
    uri = server.put("/model.bin", CONTENT)
    script = (
        "import pathlib, sys; from fairlead.plugins import Plugins; from fairlead.storage.fetcher import Fetcher; "
        "from fairlead.storage.settings import FetchSettings; "
        "print(Fetcher(Plugins.discover(), FetchSettings(cache=pathlib.Path(sys.argv[2]))).fetch(sys.argv[1]).path)"
    )
    command = [sys.executable, "-c", script, uri, str(cache)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(3)]
    said = [process.communicate()[0].decode().strip() for process in running]
    assert len(set(said)) == 1
    assert contents(Path(said[0])) == {"model.bin": CONTENT}
    assert server.methods().count("GET") == 1


def test_waiting_for_another_fetcher_ends_at_the_deadline(
    server: Server, fetcher: MakeFetcher, cache: Path, time: Time
) -> None:
    uri = server.put("/model.bin", CONTENT)
    from fairlead.storage.machine import Deadline

    with (
        Slot(cache, uri).locked(Deadline("x", 10, lambda: time.now), time.machine()),
        pytest.raises(errors.StorageTimeout, match="another process"),
    ):
        fetcher(deadline=5).fetch(uri)


# -- archives -----------------------------------------------------------------------------------------------


def _tar(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_a_fetched_archive_is_unpacked_and_itself_not_kept(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.tar.gz", _tar(a=b"a", sub__b=b"b"))
    first = fetcher().fetch(uri)
    assert contents(first.path) == {"a": b"a", "sub/b": b"b"}
    server.requests.clear()
    assert fetcher().fetch(uri) == first
    assert server.methods() == ["HEAD"]


def test_a_fetch_stopped_while_it_unpacks_does_not_download_again(
    server: Server, fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairlead.storage import archives

    uri = server.put("/model.tar.gz", _tar(a=CONTENT, b=b"b"))

    def stop(_self: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(archives.Target, "finish", stop)
        with pytest.raises(Stopped):
            fetcher().fetch(uri)
    server.requests.clear()
    assert contents(fetcher().fetch(uri).path) == {"a": CONTENT, "b": b"b"}
    assert server.methods() == ["HEAD"]


def test_a_refused_archive_leaves_nothing_behind(
    server: Server, fetcher: MakeFetcher, cache: Path, tmp_path: Path
) -> None:
    uri = server.put("/model.tar.gz", _tar(good=b"good", **{"..__..__evil": b"evil"}))
    with pytest.raises(errors.UnsafeArtifact):
        fetcher().fetch(uri)
    assert leftovers(cache) == []
    assert not list(tmp_path.rglob("evil"))


def test_a_refused_new_version_leaves_the_old_one(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.tar.gz", _tar(a=b"a"))
    old = fetcher().fetch(uri).path
    server.put("/model.tar.gz", _tar(**{"..__evil": b"evil"}))
    with pytest.raises(errors.UnsafeArtifact):
        fetcher().fetch(uri)
    assert contents(old) == {"a": b"a"}


# -- names of objects, with a provider of a test's own --------------------------------------------------------


class FakeBucket:
    """Serves what a hostile bucket might list; only the fetcher is under test here."""

    def __init__(self, objects: list[RemoteObject], content: bytes = b"x") -> None:
        self.objects, self.content = objects, content

    def list(self, _uri: str) -> list[RemoteObject]:
        return self.objects

    def open_range(self, _item: RemoteObject, start: int = 0) -> Iterator[bytes]:
        yield self.content[start:]


def _download(bucket: FakeBucket, cache: Path, time: Time) -> Path:
    from fairlead.storage.download import Download
    from fairlead.storage.machine import Deadline
    from fairlead.storage.progress import SilentProgress

    slot = Slot(cache, "bucket://b")
    slot.partial.mkdir(parents=True, exist_ok=True)
    deadline = Deadline("bucket://b", 100, lambda: time.now)
    settings = FetchSettings(cache=cache)
    download = Download(slot, bucket, settings, time.machine(), deadline)  # type: ignore[arg-type]  # duck-typed here
    download.run(bucket.objects, SilentProgress())
    return download.tree


@pytest.mark.parametrize("name", ["../evil", "/evil", "a//b", "a\0b", "", "a/../b", "x" * 4096, "C:\\x", "a/"])
def test_an_object_whose_name_is_unsafe_is_refused_before_any_is_read(cache: Path, time: Time, name: str) -> None:
    good = RemoteObject(name="good", key="good", size=1)
    bucket = FakeBucket([good, RemoteObject(name=name, key="evil", size=1)])
    with pytest.raises(errors.UnsafeArtifact):
        _download(bucket, cache, time)
    assert not list(cache.rglob("good"))


def test_objects_that_clash_in_case_are_refused(cache: Path, time: Time) -> None:
    bucket = FakeBucket([RemoteObject(name=name, key=name, size=1) for name in ("Model", "model")])
    with pytest.raises(errors.UnsafeArtifact, match="upper from lower"):
        _download(bucket, cache, time)


def test_objects_that_are_done_are_not_fetched_again(cache: Path, time: Time) -> None:
    class Broken(FakeBucket):
        reads: list[str] = []  # noqa: RUF012  # one instance, one test
        broken = True

        def open_range(self, item: RemoteObject, start: int = 0) -> Iterator[bytes]:
            self.reads.append(item.name)
            if self.broken and item.name == "b":
                raise Stopped
            return super().open_range(item, start)

    bucket = Broken([RemoteObject(name=name, key=name, size=1, etag="1") for name in "abc"])
    with pytest.raises(Stopped):
        _download(bucket, cache, time)
    bucket.broken = False
    tree = _download(bucket, cache, time)
    assert contents(tree) == {"a": b"x", "b": b"x", "c": b"x"}
    assert bucket.reads == ["a", "b", "b", "c"]


def test_an_exception_of_a_provider_becomes_a_storage_error_without_its_text(cache: Path, time: Time) -> None:
    class Raising(FakeBucket):
        def open_range(self, item: RemoteObject, start: int = 0) -> Iterator[bytes]:
            raise KeyError("https://bucket/x?signature=secret")

    bucket = Raising([RemoteObject(name="a", key="a", size=1)])
    with pytest.raises(errors.StorageError, match="raised KeyError") as caught:
        _download(bucket, cache, time)
    assert "secret" not in str(caught.value)


# -- dispatch -----------------------------------------------------------------------------------------------


def test_a_scheme_that_nobody_takes_names_those_that_are_taken(fetcher: MakeFetcher) -> None:
    for uri in ("gopher://host/x", "unix:///run/x.sock", "bucket://b/model"):
        with pytest.raises(errors.StorageError, match=r"take file://, http://, https://"):
            fetcher().fetch(uri)


def test_a_blocked_provider_says_so() -> None:
    with pytest.raises(errors.StorageError, match="installed, but not allowed"):
        Fetcher(Plugins.discover(allow="file")).fetch("http://127.0.0.1/model.bin")


def test_a_scheme_is_read_in_any_case(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    assert contents(fetcher().fetch(uri.replace("http", "HTTP")).path) == {"model.bin": CONTENT}
