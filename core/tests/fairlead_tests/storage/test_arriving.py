"""Artefacts that are read while their files still arrive."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from fairlead import Artifact, errors
from fairlead.storage.partial import IN_BLOCKS
from fairlead_tests.storage.conftest import MakeFetcher, leftovers
from fairlead_tests.storage.server import Server, contents
from fairlead_tests.storage.stopping import sha256

CONTENT = os.urandom(4 << 20)
HELD = 5 << 19
HALF = 2 << 20


class Held:
    """A server that sends no more than a part of a file until it is told to."""

    def __init__(self, server: Server, part: int) -> None:
        self._go_on = threading.Event()
        server.faults.on_chunk = lambda sent: void(sent < part or self._go_on.wait(60))

    def release(self) -> None:
        self._go_on.set()


@pytest.fixture
def hold(server: Server) -> Iterator[Callable[[int], Held]]:
    held: list[Held] = []

    def hold(part: int) -> Held:
        held.append(Held(server, part))
        return held[-1]

    yield hold
    for each in held:
        each.release()


Hold = Callable[[int], Held]


def void(_: object) -> None:
    return


def always(_names: Collection[str]) -> bool:
    return True


def never_asked(_names: Collection[str]) -> bool:
    raise AssertionError("nothing arrives that could be read early")


# -- reading ------------------------------------------------------------------------------------------------


def test_what_is_there_is_read_before_the_rest_is_sent(server: Server, fetcher: MakeFetcher, hold: Hold) -> None:
    held = hold(HELD)
    artifact = fetcher().fetch(server.put("/model.bin", CONTENT), early=always)
    assert artifact.sizes() == {"model.bin": len(CONTENT)}
    with artifact.open("model.bin") as file:
        assert file.read(HALF) == CONTENT[:HALF]
        file.seek(-7, io.SEEK_END)
        held.release()
        assert file.read() == CONTENT[-7:]
    assert contents(artifact.path) == {"model.bin": CONTENT}


def test_a_file_that_arrives_in_blocks_is_read_before_the_rest_is_sent(
    server: Server, fetcher: MakeFetcher, hold: Hold
) -> None:
    content = os.urandom(1 << 20) * (IN_BLOCKS // (1 << 20) + 1)
    held = hold(8 << 20)
    artifact = fetcher().fetch(server.put("/model.bin", content), early=always)
    buffer = bytearray(5 << 20)
    with artifact.open("model.bin") as file:
        assert file.readinto(buffer) == len(buffer)  # type: ignore[attr-defined]  # typing.BinaryIO lacks it
        assert buffer == content[: len(buffer)]
        held.release()
        assert file.read() == content[len(buffer) :]
    artifact.wait()


def test_the_path_of_an_artefact_is_that_of_verified_files(server: Server, fetcher: MakeFetcher, hold: Hold) -> None:
    held = hold(HELD)
    uri = server.put("/model.bin", CONTENT)
    artifact = fetcher().fetch(f"{uri}?signature=secret", early=always)
    assert repr(artifact) == f"ArrivingArtifact(uri={uri!r})"  # and asks for no path
    held.release()
    assert [entry.name for entry in artifact.entries()] == ["model.bin"]
    assert artifact.only(("*.bin",)).read_bytes() == CONTENT
    assert fetcher().fetch(f"{uri}?signature=secret").path == artifact.path


@pytest.mark.parametrize("read", [0, 100], ids=["not begun to read", "begun to read"])
def test_a_reader_stays_with_its_file_when_that_moves_to_its_place(
    server: Server, fetcher: MakeFetcher, hold: Hold, read: int
) -> None:
    held = hold(HELD)
    uri = server.put("/model.bin", CONTENT)
    artifact = fetcher().fetch(uri, early=always)
    with artifact.open("model.bin") as file:
        before = file.read(read)
        held.release()
        artifact.wait()
        server.put("/model.bin", bytes(len(CONTENT)))  # where the file was, another one arrives
        again = hold(HELD)
        other = fetcher().fetch(uri, early=always)
        with other.open("model.bin") as another:
            assert another.read(10) == bytes(10)
        assert before + file.read() == CONTENT
        again.release()
        other.wait()


def test_a_file_opened_after_the_end_is_the_one_in_its_place(server: Server, fetcher: MakeFetcher) -> None:
    artifact = fetcher().fetch(server.put("/model.bin", CONTENT), early=always)
    artifact.wait()
    with artifact.open("model.bin") as file:
        assert file.read() == CONTENT


# -- what is not read early ---------------------------------------------------------------------------------


def test_one_in_the_cache_is_opened_the_same_way(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    fetcher().fetch(uri)
    artifact = fetcher().fetch(uri, early=never_asked)
    assert type(artifact) is Artifact
    assert artifact.sizes() == {"model.bin": len(CONTENT)}
    with artifact.open("model.bin") as file:
        assert file.read() == CONTENT


@pytest.mark.parametrize("fault", ["no_etag", "weak_etag", "no_length"])
def test_a_source_whose_parts_prove_nothing_is_fetched_first(server: Server, fetcher: MakeFetcher, fault: str) -> None:
    setattr(server.faults, fault, True)
    artifact = fetcher().fetch(server.put("/model.bin", CONTENT), early=never_asked)
    assert type(artifact) is Artifact
    assert contents(artifact.path) == {"model.bin": CONTENT}


def test_an_archive_is_fetched_and_unpacked_first(server: Server, fetcher: MakeFetcher) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("model.bin")
        member.size = len(CONTENT)
        archive.addfile(member, io.BytesIO(CONTENT))
    artifact = fetcher().fetch(server.put("/model.tar.gz", packed.getvalue()), early=never_asked)
    assert contents(artifact.path) == {"model.bin": CONTENT}


def test_files_of_this_machine_are_used_where_they_are(fetcher: MakeFetcher, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(CONTENT)
    artifact = fetcher().fetch(str(tmp_path / "model.bin"), early=never_asked)
    assert artifact.path == tmp_path / "model.bin"
    assert artifact.sizes() == {"model.bin": len(CONTENT)}
    with artifact.open("model.bin") as file:
        assert file.read() == CONTENT


def test_who_does_not_want_it_early_gets_the_whole(server: Server, fetcher: MakeFetcher) -> None:
    asked: list[Collection[str]] = []

    def never(names: Collection[str]) -> bool:
        asked.append(names)
        return False

    artifact = fetcher().fetch(server.put("/model.bin", CONTENT), early=never)
    assert asked == [("model.bin",)]
    assert type(artifact) is Artifact


# -- what fails ---------------------------------------------------------------------------------------------


def test_a_wrong_digest_is_told_after_an_early_read_and_leaves_nothing(
    server: Server, fetcher: MakeFetcher, cache: Path, hold: Hold
) -> None:
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    server.faults.headers = {"Repr-Digest": f"sha-256=:{wrong}:"}
    held = hold(HELD)
    artifact = fetcher().fetch(server.put("/model.bin", CONTENT), early=always)
    with artifact.open("model.bin") as file:
        assert file.read(HALF) == CONTENT[:HALF]
    held.release()
    with pytest.raises(errors.IntegrityError, match="has the sha256 digest"):
        artifact.wait()
    with pytest.raises(errors.IntegrityError):
        artifact.path  # noqa: B018  # it is computed
    assert server.methods() == ["HEAD", "GET"]  # and it was not begun again: what was read would be something else
    assert leftovers(cache) == []


def test_a_wrong_digest_of_the_users_own_is_told_after_an_early_read(server: Server, fetcher: MakeFetcher) -> None:
    artifact = fetcher().fetch(f"{server.put('/model.bin', CONTENT)}#sha256={sha256(b'other')}", early=always)
    with pytest.raises(errors.IntegrityError, match=f"should have {sha256(b'other')}"):
        artifact.wait()


def test_a_change_under_way_ends_it_for_whoever_reads(server: Server, fetcher: MakeFetcher, hold: Hold) -> None:
    uri = server.put("/model.bin", CONTENT)
    held = hold(HELD)
    server.faults.truncate_at = 3 << 20
    artifact = fetcher().fetch(uri, early=always)
    with artifact.open("model.bin") as file:
        assert file.read(HALF) == CONTENT[:HALF]
        server.put("/model.bin", CONTENT[::-1])
        held.release()
        with pytest.raises(errors.IntegrityError):
            file.read()
    with pytest.raises(errors.IntegrityError):
        artifact.wait()
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT[::-1]}


def test_a_source_that_fails_under_way_is_told_to_whoever_reads(server: Server, fetcher: MakeFetcher) -> None:
    server.faults.truncate_at = HALF
    uri = server.put("/model.bin", CONTENT)
    artifact = fetcher(retries=0).fetch(uri, early=always)
    with artifact.open("model.bin") as file, pytest.raises(errors.StorageUnavailable):
        file.read()
    with pytest.raises(errors.StorageUnavailable):
        artifact.wait()


def test_what_fails_before_it_begins_is_raised_at_once(server: Server, fetcher: MakeFetcher) -> None:
    with pytest.raises(errors.ArtifactNotFound):
        fetcher().fetch(f"{server.url}/model.bin", early=never_asked)


@pytest.mark.parametrize("name", ["other.bin", "../model.bin", "/etc/passwd", "", "model.bin/x"])
def test_a_name_that_is_none_of_its_files_is_refused_early_and_late(
    server: Server, fetcher: MakeFetcher, tmp_path: Path, name: str
) -> None:
    uri = server.put("/model.bin", CONTENT)
    early = fetcher().fetch(uri, early=always)
    early.wait()
    shutil.copy(early.path / "model.bin", tmp_path / "model.bin")
    for artifact in (early, fetcher().fetch(uri), Artifact(path=tmp_path / "model.bin", uri="")):
        with pytest.raises(errors.ArtifactMissing, match="There is no file"):
            artifact.open(name)


def test_a_whole_folder_tells_the_files_below_it_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.bin").write_bytes(b"abc")
    (tmp_path / "d.bin").write_bytes(b"")
    artifact = Artifact(path=tmp_path, uri="")
    assert artifact.sizes() == {"a/b/c.bin": 3, "d.bin": 0}
    with artifact.open("a/b/c.bin") as file:
        assert file.read() == b"abc"
    artifact.wait()
