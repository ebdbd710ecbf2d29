"""Fetches side by side, archives, names and dispatch."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import tarfile
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
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_tests.storage.conftest import MakeFetcher, Time, leftovers
from fairlead_tests.storage.server import Server, contents
from fairlead_tests.storage.stopping import CONTENT, Stopped

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
    from fairlead.storage import layers

    uri = server.put("/model.tar.gz", _tar(a=CONTENT, b=b"b"))

    def stop(_self: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(layers.Tree, "finish", stop)
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

    def open_range(self, _item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        yield self.content[start:end]

    def close(self) -> None:
        pass


def _download(bucket: FakeBucket, cache: Path, time: Time) -> Path:
    from fairlead.storage.download import Download
    from fairlead.storage.machine import Deadline

    slot = Slot(cache, "bucket://b")
    slot.partial.mkdir(parents=True, exist_ok=True)
    deadline = Deadline("bucket://b", 100, lambda: time.now)
    settings = FetchSettings(cache=cache, connections=1)
    with Download(slot, bucket, settings, time.machine(), deadline) as download:  # type: ignore[arg-type]  # duck-typed here
        download.start(bucket.objects, SilentProgress())
        download.finish()
        return download.partial.tree


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_for_the_streams_before_their_files_are_closed(cache: Path, time: Time) -> None:
    class Slow(FakeBucket):
        """Interrupts who waits for it, and takes its time to end once it is closed."""

        closed, ended = threading.Event(), False

        def open_range(self, _item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            self.closed.wait(60)
            clock.sleep(0.2)
            self.ended = True
            yield self.content[start:end]

        def close(self) -> None:
            self.closed.set()

    bucket = Slow([RemoteObject(name="a", key="a", size=1)])
    with pytest.raises(KeyboardInterrupt):
        _download(bucket, cache, time)
    assert bucket.ended


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

        def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
            self.reads.append(item.name)
            if self.broken and item.name == "b":
                raise Stopped
            return super().open_range(item, start, end)

    bucket = Broken([RemoteObject(name=name, key=name, size=1, etag="1") for name in "abc"])
    with pytest.raises(Stopped):
        _download(bucket, cache, time)
    bucket.broken = False
    tree = _download(bucket, cache, time)
    assert contents(tree) == {"a": b"x", "b": b"x", "c": b"x"}
    assert bucket.reads == ["a", "b", "b", "c"]


def test_an_exception_of_a_provider_becomes_a_storage_error_without_its_text(cache: Path, time: Time) -> None:
    class Raising(FakeBucket):
        def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
            raise KeyError("https://bucket/x?signature=secret")

    bucket = Raising([RemoteObject(name="a", key="a", size=1)])
    with pytest.raises(errors.StorageError, match="raised KeyError") as caught:
        _download(bucket, cache, time)
    assert "secret" not in str(caught.value)


# -- dispatch -----------------------------------------------------------------------------------------------


def test_a_scheme_that_nobody_takes_names_those_that_are_taken(fetcher: MakeFetcher) -> None:
    for uri in ("gopher://host/x", "unix:///run/x.sock", "bucket://b/model"):
        with pytest.raises(errors.StorageError, match=r"they take .*file://.* http://, https://"):
            fetcher().fetch(uri)


def test_a_blocked_provider_says_so() -> None:
    with pytest.raises(errors.StorageError, match="installed, but not allowed"):
        Fetcher(Plugins.discover(allow="file")).fetch("http://127.0.0.1/model.bin")


def test_a_scheme_is_read_in_any_case(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    assert contents(fetcher().fetch(uri.replace("http", "HTTP")).path) == {"model.bin": CONTENT}
