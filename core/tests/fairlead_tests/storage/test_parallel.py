"""Large objects in several streams, and many objects at once: kills, faults, changes and limits of the system."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import threading
import time as clock
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.storage.growing import BLOCK
from fairlead.storage.machine import Machine
from fairlead.testing.storage import RecordingProgress
from fairlead_tests.storage.buckets import Child, bucket
from fairlead_tests.storage.server import CHUNK, Server, contents
from fairlead_tests.storage.stopping import sha256

if TYPE_CHECKING:
    from fairlead_tests.plugins.distributions import Site
    from fairlead_tests.storage.conftest import MakeFetcher

MIB = 1024 * 1024
LARGE = os.urandom(64 * MIB + 12_345)
OTHER = bytes(reversed(LARGE))

FAST = """
import itertools

def fast():
    looks = itertools.count()
    return Machine(clock=lambda: next(looks), sleep=lambda _: None, wait=lambda event, _: event.wait(0.01))
"""
"""A clock that moves with each look at it: whatever the machine is busy with, every stream is slow, and answers soon.

So large objects are split among as many streams as there may be.
"""


def fast() -> Machine:
    looks = itertools.count()
    return Machine(
        clock=lambda: next(looks),
        sleep=lambda _: None,
        wait=lambda event, _: event.wait(0.01),
    )


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "cache"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)  # these are too large to be kept for a look


@pytest.fixture
def streams(fetcher: MakeFetcher) -> Callable[..., Any]:
    """Make fetchers that use up to four streams from the first moment on."""
    return lambda progress=None, **settings: fetcher(
        progress, machine=fast(), **{"connections": 4, "deadline": 1_000_000, **settings}
    )


@pytest.fixture
def slow(server: Server) -> Server:
    """A server that is slower than its clients, so that the streams of a large object run beside each other."""
    server.faults.on_chunk = lambda _sent: clock.sleep(0.002)
    return server


@pytest.fixture
def until(slow: Server) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Let each answer of the slow server send a small part only, until a condition holds or the test ends."""
    ended = threading.Event()

    def hold(condition: Callable[[], bool]) -> None:
        def wait(sent: int) -> None:
            while sent >= 4 * MIB and not condition() and not ended.wait(0.01):
                pass
            clock.sleep(0.002)

        slow.faults.on_chunk = wait

    yield hold
    ended.set()


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "fairlead-fetch"]


# -- one large object ---------------------------------------------------------------------------------------


def test_a_large_object_arrives_in_several_streams(
    slow: Server, streams: Callable[..., Any], until: Callable[[Callable[[], bool]], None]
) -> None:
    uri = slow.put("/model.bin", LARGE)
    until(lambda: slow.most_sending == 4)
    assert contents(streams().fetch(uri).path) == {"model.bin": LARGE}
    assert slow.most_sending == 4
    assert alive() == []


def test_a_large_object_that_is_killed_at_every_tenth_is_hardly_transferred_twice(slow: Server, cache: Path) -> None:
    content = LARGE * 2
    uri = slow.put("/model.bin", content)
    script = f"""{FAST}
import contextlib, signal

class Lethal(SilentProgress):
    @contextlib.contextmanager
    def transfer(self, label, *, total, done=0):
        print(done, flush=True)
        reached = done
        def advance(count):
            nonlocal reached
            reached += count
            if reached >= total * int(sys.argv[3]) // 10:
                os.kill(os.getpid(), signal.SIGKILL)
        yield advance

print(fetcher(sys.argv[2], fast(), Lethal(), connections=4, deadline=1_000_000).fetch(sys.argv[1]).path)
"""
    ended, found = [], []
    for tenth in range(1, 10):
        child = Child(script, uri, cache, tenth)
        found.append(int(child.process.communicate(timeout=60)[0]))
        ended.append(child.process.returncode)
    assert ended == [-signal.SIGKILL] * 9
    last, path = Child(script, uri, cache, 11).result().split()
    assert sha256((Path(path) / "model.bin").read_bytes()) == sha256(content)
    assert slow.most_sending >= 3
    # What had arrived is there, but for a block of each stream.
    missing = [len(content) * tenth // 10 - each for tenth, each in enumerate([*found, int(last)])]
    assert max(missing) <= 4 * BLOCK
    assert sum(max(0, each) for each in missing) <= len(content) * 0.1  # so much arrives twice, of all ten


@pytest.mark.parametrize("ranges", [1, 2, 3])
def test_a_large_object_that_changes_between_two_ranges_is_never_a_mixture(
    slow: Server, streams: Callable[..., Any], ranges: int
) -> None:
    uri = slow.put("/model.bin", LARGE)

    def change() -> None:
        if slow.methods().count("GET") > ranges:
            slow.put("/model.bin", OTHER)

    slow.faults.before_get = change
    found = contents(streams().fetch(uri).path)["model.bin"]
    assert sha256(found) == sha256(OTHER)
    assert slow.methods().count("HEAD") >= 2  # it was listed again


@pytest.mark.parametrize("at", [0.1, 0.4, 0.7])
def test_a_large_object_that_changes_at_any_time_is_never_a_mixture(
    slow: Server, streams: Callable[..., Any], at: float
) -> None:
    uri = slow.put("/model.bin", LARGE)

    def change(_sent: int) -> None:
        clock.sleep(0.0005)
        if slow.sent > len(LARGE) * at:
            slow.put("/model.bin", OTHER)

    slow.faults.on_chunk = change
    found = contents(streams().fetch(uri).path)["model.bin"]
    assert sha256(found) in (sha256(LARGE), sha256(OTHER))


def test_a_large_object_that_changes_between_two_fetches_is_never_a_mixture(
    slow: Server, streams: Callable[..., Any]
) -> None:
    uri = slow.put("/model.bin", LARGE)
    slow.faults.truncate_at, slow.faults.truncate_always = 3 * MIB, True
    with pytest.raises(errors.StorageUnavailable):
        streams(retries=0).fetch(uri)
    slow.faults.truncate_at = None
    slow.put("/model.bin", OTHER)
    assert contents(streams().fetch(uri).path) == {"model.bin": OTHER}


def test_streams_that_break_at_random_bytes_go_on_there(slow: Server, streams: Callable[..., Any]) -> None:
    chance = random.Random(1)
    uri = slow.put("/model.bin", LARGE)

    def cut() -> None:
        slow.faults.truncate_at = chance.randint(MIB, 12 * MIB)

    slow.faults.before_get = cut
    slow.faults.truncate_always = True
    progress = RecordingProgress()
    assert contents(streams(progress).fetch(uri).path) == {"model.bin": LARGE}
    assert progress.arrived == len(LARGE)
    assert slow.sent <= len(LARGE) * 1.1


def test_a_server_that_answers_with_errors_and_recovers_is_asked_for_what_is_missing(
    slow: Server, streams: Callable[..., Any]
) -> None:
    uri = slow.put("/model.bin", LARGE)

    def fail(sent: int) -> None:
        clock.sleep(0.0005)
        if sent % (8 * MIB) == 0:
            slow.faults.broken = [500, 503]
            slow.hang_up()

    slow.faults.on_chunk = fail
    assert contents(streams().fetch(uri).path) == {"model.bin": LARGE}
    assert slow.sent <= len(LARGE) * 1.25  # what was under way on every connection is lost each time


def test_a_stream_that_falls_silent_is_asked_for_again(slow: Server, streams: Callable[..., Any]) -> None:
    uri = slow.put("/model.bin", LARGE)
    silent, done = threading.Event(), threading.Event()

    def wait(_sent: int) -> None:
        clock.sleep(0.0005)
        if slow.sent > 20 * MIB and not silent.is_set():
            silent.set()
            done.wait(30)

    slow.faults.on_chunk = wait
    try:
        assert contents(streams(timeout=0.5, retries=1000).fetch(uri).path) == {"model.bin": LARGE}
    finally:
        done.set()
    assert silent.is_set()


@pytest.mark.parametrize("lie", [-MIB - 1, MIB + 1])
def test_a_large_object_of_another_length_than_was_announced_is_refused(
    server: Server, streams: Callable[..., Any], site: Site, cache: Path, lie: int
) -> None:
    content = LARGE[: 20 * MIB]
    tree = {"model.bin": content, "small.bin": b"small"}
    uri = bucket(server, tree, lies={"model.bin": {"size": len(content) + lie}})
    server.faults.no_length = True  # or the provider would find it out, and not the fetcher
    server.faults.ignore_range = True
    with pytest.raises((errors.IntegrityError, errors.StorageUnavailable)):
        streams(retries=1).fetch(uri)
    assert alive() == []
    assert not list((cache / "artifacts").glob("*/versions/*"))


# -- many objects -------------------------------------------------------------------------------------------


def test_many_objects_survive_a_server_that_drops_connections(
    server: Server, streams: Callable[..., Any], site: Site
) -> None:
    chance = random.Random(2)
    tree = {f"{number % 7}/{number}.bin": chance.randbytes(chance.randint(0, 300_000)) for number in range(60)}
    uri = bucket(server, tree)

    def misbehave() -> None:
        server.faults.truncate_at = chance.choice([None, None, chance.randint(1, 2 * CHUNK)])
        server.faults.broken = [500] * chance.choice([0, 0, 0, 1])

    server.faults.before_get = misbehave
    assert contents(streams(retries=20).fetch(uri).path) == tree


def test_one_object_that_is_refused_ends_the_others(
    slow: Server, streams: Callable[..., Any], site: Site, until: Callable[[Callable[[], bool]], None]
) -> None:
    tree = {"a.bin": LARGE, "b.bin": b"b", "c.bin": LARGE}
    uri = bucket(slow, tree, folder="many")
    del slow.files["/many/b.bin"]
    until(lambda: False)  # who waited for the others would wait for ever
    with pytest.raises(errors.ArtifactNotFound):
        streams().fetch(uri)
    assert slow.sent < len(LARGE) / 2
    assert alive() == []


def test_a_thousand_small_objects_need_few_descriptors(server: Server, cache: Path, site: Site) -> None:
    tree = {f"{number % 10}/{number}.bin": str(number).encode() for number in range(1000)}
    child = Child(
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); print(fetcher(sys.argv[2]).fetch(sys.argv[1]).path)",
        bucket(server, tree),
        cache,
        site=site,
    )
    assert contents(Path(child.result())) == tree


def test_ten_processes_that_fetch_at_once_download_once(slow: Server, cache: Path) -> None:
    uri = slow.put("/model.bin", LARGE[: 4 * MIB])
    children = [
        Child("sys.stdin.readline(); print(fetcher(sys.argv[2]).fetch(sys.argv[1]).path)", uri, cache)
        for _ in range(10)
    ]
    for child in children:
        assert child.process.stdin is not None
        child.process.stdin.write("go\n")
        child.process.stdin.flush()
    (path,) = {child.result() for child in children}
    assert contents(Path(path)) == {"model.bin": LARGE[: 4 * MIB]}
    assert slow.methods().count("GET") == 1


# -- the machine --------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_what_is_fetched(server: Server, cache: Path) -> None:
    uri = server.put("/model.bin", bytes(500 * MIB))
    child = Child(
        f"""{FAST}
made = fetcher(sys.argv[2], fast(), deadline=1_000_000)
made.fetch(sys.argv[3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
made.fetch(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
""",
        uri,
        cache,
        server.put("/small.bin", bytes(MIB)),
    )
    assert int(child.result()) < 40 * 1024  # KiB


@pytest.mark.parametrize("room", [3, 30])
def test_a_disk_that_fills_up_is_told_and_made_free_again(
    server: Server, tmp_path: Path, site: Site, room: int
) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root may mount a file system")
    uri = bucket(server, {"a.bin": os.urandom(2 * MIB), "b.bin": LARGE[: 20 * MIB], "c.bin": os.urandom(12 * MIB)})
    script = f"""{FAST}
import subprocess
where = pathlib.Path(sys.argv[2]); where.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size={room}m", "none", str(where)], check=True)
machine = Machine(free_space=lambda _: 1 << 50)
try:
    fetcher(where, machine).fetch(sys.argv[1])
except errors.StorageLimitExceeded as error:
    print(error, "|", *(path for path in (where / "artifacts").rglob("*") if path.is_file()))
"""
    alone = f"os.execvp('unshare', ['unshare', '-m', sys.executable, '-c', {Child.HEAD + script!r}, *sys.argv[1:]])"
    child = Child(alone, uri, tmp_path / "disk", site=site)
    said, _, left = child.result().partition(" |")
    assert "No space left on device" in said
    assert "FAIRLEAD_CACHE" in said
    assert left == ""


def test_a_cache_that_may_not_be_written_is_told(server: Server, tmp_path: Path) -> None:
    uri = server.put("/model.bin", b"x")
    tmp_path.joinpath("read-only").mkdir(mode=0o555)
    child = Child(
        """
fetcher(sys.argv[2]).fetch(sys.argv[1])  # imports what is needed while it may be read
made = fetcher(".")
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    made.fetch(sys.argv[1])
except errors.StorageError as error:
    print(error)
""",
        uri,
        tmp_path / "cache",
        cwd=tmp_path / "read-only",
    )
    assert "Permission denied" in (said := child.result())
    assert "FAIRLEAD_CACHE" in said


@pytest.mark.parametrize("when", ["at first", "later"])
def test_a_machine_without_threads_to_spare_is_told(server: Server, cache: Path, when: str) -> None:
    uri = server.put("/model.bin", LARGE[:MIB])
    child = Child(
        """
import contextlib

def exhaust():
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    threading.stack_size(1 << 40)

class Exhausting(SilentProgress):
    @contextlib.contextmanager
    def transfer(self, label, *, total, done=0):
        exhaust()
        yield lambda _: None

made = fetcher(sys.argv[2], progress=Exhausting())
if sys.argv[3] == "at first":
    exhaust()
try:
    made.fetch(sys.argv[1])
except errors.StorageError as error:
    print(error)
""",
        uri,
        cache,
        when,
    )
    assert "no thread can be started" in child.result()
    assert not list((cache / "artifacts").glob("*/versions"))


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_streams_and_the_next_fetch_goes_on(slow: Server, cache: Path) -> None:
    uri = slow.put("/model.bin", LARGE)
    held, go_on = threading.Event(), threading.Event()

    def wait(_sent: int) -> None:
        clock.sleep(0.0005)
        if slow.sent > len(LARGE) // 2:
            held.set()
            go_on.wait(30)

    slow.faults.on_chunk = wait
    script = f"""{FAST}
import contextlib

class Counting(SilentProgress):
    @contextlib.contextmanager
    def transfer(self, label, *, total, done=0):
        reached = done
        def advance(count):
            nonlocal reached
            reached += count
        try:
            yield advance
        finally:
            print(done, reached, flush=True)

print(fetcher(sys.argv[2], fast(), Counting(), connections=4, deadline=1e6).fetch(sys.argv[1]).path)
"""
    child = Child(script, uri, cache)
    try:
        assert held.wait(30)
        child.process.send_signal(signal.SIGINT)
        said, complaints = child.process.communicate(timeout=20)  # less than the time that a stream may be silent
    finally:
        go_on.set()
        child.process.kill()
        child.process.communicate()
    assert complaints.strip().endswith("KeyboardInterrupt")
    slow.faults.on_chunk = None
    before, reached = map(int, said.split())
    again, whole, path = Child(script, uri, cache).result().split()
    assert contents(Path(path)) == {"model.bin": LARGE}
    assert (before, int(whole)) == (0, len(LARGE))
    assert int(again) >= reached - 4 * BLOCK > 0
