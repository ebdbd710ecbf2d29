"""What the cache shares, holds, evicts and verifies."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.storage import eviction, placing, verifying
from fairlead.storage.blobs import Blobs
from fairlead.storage.cache import Slot
from fairlead.storage.machine import Machine
from fairlead.testing.storage import RecordingProgress
from fairlead_tests.storage.buckets import Child, bucket
from fairlead_tests.storage.conftest import MakeFetcher, Time, leftovers
from fairlead_tests.storage.server import CHUNK, contents
from fairlead_tests.storage.stopping import CONTENT, sha256, stop_after

if TYPE_CHECKING:
    from fairlead_tests.plugins.distributions import Site
    from fairlead_tests.storage.server import Server

SIZE = len(CONTENT)


def inode(path: Path) -> int:
    return path.stat().st_ino


def damage(path: Path) -> None:
    """Change a byte as a disk would: the length stays."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 0xFF]))


@pytest.fixture
def rebooted(fetcher: MakeFetcher, time: Time) -> Callable[[str], MakeFetcher]:
    """Make fetchers in another run of the machine."""

    def started(boot: str) -> MakeFetcher:
        time.boot = boot
        return fetcher

    return started


@pytest.fixture
def held(server: Server, fetcher: MakeFetcher) -> Callable[..., Path]:
    """Fetch one file of another content each time, let nobody use it, and return its folder."""

    def fetch(name: str, used: float | None = None) -> Path:
        made = fetcher()
        artifact = made.fetch(server.put(f"/{name}", os.urandom(SIZE)))
        made.release(artifact)
        if used is not None:
            os.utime(artifact.path.parents[1] / "record.json", (used, used))
        return artifact.path

    return fetch


# -- one content, once --------------------------------------------------------------------------------------


def test_artefacts_of_the_same_content_share_it_on_the_disk(server: Server, fetcher: MakeFetcher) -> None:
    first = fetcher().fetch(server.put("/a/model.bin", CONTENT)).path / "model.bin"
    second = fetcher().fetch(server.put("/b/other.bin", CONTENT)).path / "other.bin"
    assert inode(first) == inode(second)
    assert first.stat().st_mode & 0o777 == 0o444


def test_files_of_one_artefact_with_the_same_content_are_one(
    server: Server, fetcher: MakeFetcher, site: Site, cache: Path
) -> None:
    tree = {"a.bin": CONTENT, "b/c.bin": CONTENT, "d.bin": CONTENT[::-1]}
    path = fetcher().fetch(bucket(server, tree)).path
    assert contents(path) == tree
    assert inode(path / "a.bin") == inode(path / "b/c.bin")
    assert eviction.size(cache) < 2 * SIZE + 100_000


def test_a_new_version_downloads_only_the_files_whose_digest_is_new(
    server: Server, fetcher: MakeFetcher, site: Site
) -> None:
    uri = bucket(server, {"a.bin": CONTENT, "b.bin": b"old"}, digests=True)
    fetcher().fetch(uri)
    bucket(server, {"a.bin": CONTENT, "b.bin": b"new"}, digests=True)
    server.requests.clear()
    assert contents(fetcher().fetch(uri).path) == {"a.bin": CONTENT, "b.bin": b"new"}
    assert [request.path for request in server.requests if request.method == "GET"][1:] == ["/models/b.bin"]


def test_a_content_in_the_cache_that_is_damaged_is_not_shared(server: Server, fetcher: MakeFetcher) -> None:
    announced = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    server.faults.headers = {"Repr-Digest": f"sha-256=:{announced}:"}
    damage(fetcher().fetch(server.put("/a.bin", CONTENT)).path / "a.bin")
    assert contents(fetcher().fetch(server.put("/b.bin", CONTENT)).path) == {"b.bin": CONTENT}


def test_a_placed_file_outlives_the_cache(held: Callable[..., Path], tmp_path: Path, cache: Path) -> None:
    path = held("model.bin")
    before = contents(path)
    placing.place(path, tmp_path / "place")
    eviction.evict(cache)
    assert contents(tmp_path / "place") == before
    assert leftovers(cache) == []


# -- who uses what ------------------------------------------------------------------------------------------


def test_what_another_process_uses_is_not_evicted_until_it_ends(
    server: Server, fetcher: MakeFetcher, cache: Path
) -> None:
    uri = server.put("/model.bin", CONTENT)
    child = Child("print(fetcher(sys.argv[2]).fetch(sys.argv[1]).path, flush=True); sys.stdin.read()", uri, cache)
    path = Path(child.line())
    assert [entry.in_use for entry in eviction.entries(cache)] == [True]
    assert eviction.evict(cache) == eviction.Removed(0, 0)
    assert contents(path) == {"model.bin": CONTENT}
    child.end()
    assert eviction.evict(cache).entries == 1
    assert leftovers(cache) == []


def test_what_a_process_has_mapped_is_not_evicted_though_it_never_said_so(
    held: Callable[..., Path], cache: Path
) -> None:
    path = held("model.bin")
    script = """
import mmap
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
    print("mapped", flush=True)
    sys.stdin.read()
"""
    child = Child(script, path / "model.bin")
    assert child.line() == "mapped"
    assert eviction.evict(cache).entries == 0
    child.end()
    assert eviction.evict(cache).entries == 1


def test_an_artefact_is_held_as_often_as_it_was_fetched(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    made = fetcher()
    uri = server.put("/model.bin", CONTENT)
    artifact = made.fetch(uri)
    made.fetch(uri)
    made.release(artifact)
    assert eviction.evict(cache).entries == 0
    made.release(artifact)
    made.release(artifact)  # once too often
    assert eviction.evict(cache).entries == 1


def test_an_artefact_that_is_used_in_place_from_the_cache_is_held(
    held: Callable[..., Path], fetcher: MakeFetcher, cache: Path
) -> None:
    path = held("model.bin")
    made = fetcher()
    assert made.fetch(str(path)).path == path
    assert eviction.evict(cache).entries == 0


# -- eviction -----------------------------------------------------------------------------------------------


def test_what_was_not_used_for_longest_goes_first(held: Callable[..., Path], cache: Path) -> None:
    paths = [held(name, used) for name, used in (("a", 3000.0), ("b", 1000.0), ("c", 2000.0))]
    assert [entry.folder for entry in eviction.entries(cache)] == [paths[1], paths[2], paths[0]]
    removed = eviction.evict(cache, keep_bytes=2 * SIZE + 100_000)
    assert (removed.entries, removed.bytes >= SIZE) == (1, True)
    assert [path.exists() for path in paths] == [True, False, True]


def test_using_an_artefact_makes_it_the_last_to_go(
    server: Server, fetcher: MakeFetcher, held: Callable[..., Path], cache: Path
) -> None:
    paths = [held(name, 1000.0) for name in ("a", "b")]
    made = fetcher()
    made.release(made.fetch(f"{server.url}/a"))
    eviction.evict(cache, keep_bytes=SIZE + 100_000)
    assert [path.exists() for path in paths] == [True, False]


def test_versions_that_were_replaced_go_before_older_ones_that_were_not(held: Callable[..., Path], cache: Path) -> None:
    unused, replaced, current = held("a", 1000.0), held("b"), held("b", 2000.0)
    eviction.evict(cache, keep_bytes=2 * SIZE + 100_000)
    assert [path.exists() for path in (unused, replaced, current)] == [True, False, True]


def test_a_content_that_others_share_stays(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    made = fetcher()
    kept = made.fetch(server.put("/kept.bin", CONTENT))
    made.release(made.fetch(server.put("/gone.bin", CONTENT)))
    assert eviction.evict(cache).bytes < SIZE  # nothing got free, but for what is written about it
    assert contents(kept.path) == {"kept.bin": CONTENT}
    assert Blobs(cache).path(sha256(CONTENT)).exists()


def test_a_content_that_is_in_a_place_of_the_users_does_not_push_others_out(
    held: Callable[..., Path], tmp_path: Path, cache: Path
) -> None:
    placed, other = held("a", 1000.0), held("b", 2000.0)
    placing.place(placed, tmp_path / "place")
    eviction.evict(cache, keep_bytes=SIZE + 100_000)
    assert [path.exists() for path in (placed, other)] == [False, True]


def test_a_fetch_keeps_the_cache_within_its_bound_and_what_it_has_fetched(
    held: Callable[..., Path], server: Server, fetcher: MakeFetcher, cache: Path
) -> None:
    paths = [held(name, used) for name, used in (("a", 1000.0), ("b", 2000.0), ("c", 3000.0))]
    path = fetcher(max_cache_bytes=2 * SIZE + 200_000).fetch(server.put("/d", os.urandom(SIZE))).path
    assert [each.exists() for each in (*paths, path)] == [False, False, True, True]
    assert eviction.size(cache) <= 2 * SIZE + 200_000


def test_what_is_larger_than_the_bound_is_fetched_all_the_same(
    held: Callable[..., Path], server: Server, fetcher: MakeFetcher
) -> None:
    other = held("a")
    path = fetcher(max_cache_bytes=1000).fetch(server.put("/b", CONTENT)).path
    assert contents(path) == {"b": CONTENT}
    assert not other.exists()


def test_room_is_made_before_the_first_byte(
    held: Callable[..., Path], server: Server, fetcher: MakeFetcher, cache: Path
) -> None:
    paths = [held(name, used) for name, used in (("a", 1000.0), ("b", 2000.0))]
    asked: list[list[bool]] = []
    server.faults.before_get = lambda: asked.append([path.exists() for path in paths])
    disk = Machine(free_space=lambda _: 2 * SIZE + 300_000 - eviction.size(cache))
    assert contents(fetcher(machine=disk).fetch(server.put("/c", CONTENT)).path) == {"c": CONTENT}
    assert asked == [[False, True]]


def test_room_that_cannot_be_made_is_told(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    fetcher().fetch(server.put("/used", CONTENT))
    disk = Machine(free_space=lambda _: 1000)
    with pytest.raises(errors.StorageLimitExceeded, match="has 1000 free"):
        fetcher(machine=disk).fetch(server.put("/new", CONTENT[::-1]))
    assert len(eviction.entries(cache)) == 1


def test_a_fetch_that_somebody_may_go_on_with_is_not_removed_for_room_until_a_day_later(
    server: Server, fetcher: MakeFetcher, cache: Path
) -> None:
    stop_after(server, fetcher, server.put("/model.bin", CONTENT), 5 * CHUNK)
    (entry,) = eviction.entries(cache)
    assert (entry.state, entry.in_use) == ("partial", False)
    assert eviction.evict(cache, free=1 << 40).entries == 0
    assert eviction.evict(cache, free=1 << 40, now=entry.used + 25 * 3600).entries == 1
    assert leftovers(cache) == []


def test_an_empty_cache_and_none_hold_nothing(cache: Path) -> None:
    for _ in range(2):
        assert eviction.entries(cache) == []
        assert eviction.size(cache) == 0
        assert eviction.evict(cache) == eviction.Removed(0, 0)
        cache.mkdir(exist_ok=True)


# -- verifying ----------------------------------------------------------------------------------------------


def test_a_cached_artefact_of_a_thousand_files_is_found_without_reading_them(
    server: Server, rebooted: Callable[[str], MakeFetcher], site: Site
) -> None:
    uri = bucket(server, {f"{number}.bin": CONTENT[:5000] for number in range(1000)})
    path = rebooted("first")().fetch(uri).path
    damage(path / "7.bin")  # who read it would see that
    server.requests.clear()
    assert rebooted("first")().fetch(uri).path == path
    assert [request.path for request in server.requests] == ["/models/index.json"] * 2


def test_after_a_restart_of_the_machine_damage_is_found_and_fetched_again(
    server: Server, rebooted: Callable[[str], MakeFetcher]
) -> None:
    uri = server.put("/model.bin", CONTENT)
    damage(rebooted("first")().fetch(uri).path / "model.bin")
    assert contents(rebooted("second")().fetch(uri).path) == {"model.bin": CONTENT}


def test_after_a_restart_of_the_machine_files_are_read_once(
    server: Server, rebooted: Callable[[str], MakeFetcher]
) -> None:
    uri = server.put("/model.bin", CONTENT)
    path = rebooted("first")().fetch(uri).path
    rebooted("second")().fetch(uri)
    damage(path / "model.bin")
    for boot in ("second", "first"):  # on a shared volume, two machines are in two runs at once
        assert contents(rebooted(boot)().fetch(uri).path) != {"model.bin": CONTENT}


def test_a_pinned_artefact_is_verified_after_a_restart_of_the_machine_as_well(
    server: Server, rebooted: Callable[[str], MakeFetcher]
) -> None:
    uri = f"{server.put('/model.bin', CONTENT)}#sha256={sha256(CONTENT)}"
    damage(rebooted("first")().fetch(uri).path / "model.bin")
    assert contents(rebooted("second")().fetch(uri).path) == {"model.bin": CONTENT}


def test_all_damaged_files_are_replaced_where_every_use_is_verified(
    server: Server, fetcher: MakeFetcher, site: Site
) -> None:
    tree = {"a.bin": CONTENT, "b.bin": CONTENT[::-1], "c.bin": b"c"}
    uri = bucket(server, tree)
    path = fetcher().fetch(uri).path
    damage(path / "a.bin")
    damage(path / "b.bin")
    assert contents(fetcher(verify=True).fetch(uri).path) == tree


def test_a_version_that_was_replaced_is_looked_at_before_it_is_current_again(
    server: Server, rebooted: Callable[[str], MakeFetcher]
) -> None:
    uri = server.put("/model.bin", CONTENT)
    damage(rebooted("first")().fetch(uri).path / "model.bin")
    server.put("/model.bin", b"new")
    rebooted("first")().fetch(uri)
    server.put("/model.bin", CONTENT)
    assert contents(rebooted("second")().fetch(uri).path) == {"model.bin": CONTENT}


def test_a_part_of_a_file_from_before_a_restart_of_the_machine_is_not_continued(
    server: Server, rebooted: Callable[[str], MakeFetcher]
) -> None:
    uri = server.put("/model.bin", CONTENT)
    stop_after(server, rebooted("first"), uri, 5 * CHUNK)
    progress = RecordingProgress()
    assert contents(rebooted("second")(progress).fetch(uri).path) == {"model.bin": CONTENT}
    assert progress.done == [0]


@pytest.mark.parametrize(("harmed", "expected"), [(False, len(CONTENT)), (True, 0)])
def test_a_whole_file_from_before_a_restart_of_the_machine_is_kept_if_it_is_what_was_fetched(
    server: Server, rebooted: Callable[[str], MakeFetcher], site: Site, cache: Path, harmed: bool, expected: int
) -> None:
    uri = bucket(server, {"a.bin": CONTENT, "b.bin": b"b"})

    def fail_next() -> None:
        server.faults.broken = [503] * server.requests[-1].path.endswith("a.bin")

    server.faults.before_get = fail_next
    with pytest.raises(errors.StorageUnavailable):
        rebooted("first")(retries=0, connections=1).fetch(uri)
    server.faults.before_get = None
    if harmed:
        damage(Slot(cache, uri).partial / "files" / "a.bin")
    progress = RecordingProgress()
    assert contents(rebooted("second")(progress).fetch(uri).path) == {"a.bin": CONTENT, "b.bin": b"b"}
    assert progress.done == [expected]


def test_a_cache_is_verified_and_what_is_damaged_removed(held: Callable[..., Path], cache: Path) -> None:
    good, bad, cut = held("good"), held("bad"), held("cut")
    assert [each.damaged for each in verifying.verify(cache)] == [[], [], []]
    damage(bad / "bad")
    (cut / "cut").unlink()
    found = {each.folder: each for each in verifying.verify(cache, remove=True)}
    assert {folder: (list(each.damaged), each.removed) for folder, each in found.items()} == {
        good: ([], False),
        bad: (["bad"], True),
        cut: (["cut"], True),
    }
    assert [entry.folder for entry in eviction.entries(cache)] == [good]


def test_what_is_damaged_and_in_use_is_kept_and_said_to_be(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    made = fetcher()
    path = made.fetch(server.put("/model.bin", CONTENT)).path
    damage(path / "model.bin")
    (found,) = verifying.verify(cache, remove=True)
    assert (list(found.damaged), found.removed) == (["model.bin"], False)
    assert path.exists()
