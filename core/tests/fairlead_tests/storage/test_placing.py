"""Putting an artefact into a place of the user's."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.storage import placing
from fairlead.storage.placing import STAGING, make_writable, place
from fairlead_tests.storage.server import contents
from fairlead_tests.waiting import eventually

TREE = {"model.bin": b"model", "1/weights.bin": b"weights", "1/empty": b""}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder as the cache has it: its files are read-only."""
    root = tmp_path / "source"
    for name, content in TREE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        (root / name).chmod(0o444)
    return root


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_a_folder_that_is_not_there_appears_with_all_files(source: Path, tmp_path: Path) -> None:
    place(source, tmp_path / "a" / "b")
    assert contents(tmp_path / "a" / "b") == TREE
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_into_a_folder_that_is_there_entries_are_put_beside_others(source: Path, folder: Path) -> None:
    (folder / "other").write_bytes(b"other")
    place(source, folder)
    assert contents(folder) == {**TREE, "other": b"other"}


def test_entries_of_the_same_name_are_replaced_and_not_joined(source: Path, folder: Path) -> None:
    (folder / "1").mkdir()
    (folder / "1" / "stale").write_bytes(b"stale")
    (folder / "model.bin").mkdir()
    (folder / "model.bin" / "stale").write_bytes(b"stale")
    place(source, folder)
    assert contents(folder) == TREE
    shutil.rmtree(folder / "1")
    (folder / "1").write_bytes(b"a file where a folder comes")
    place(source, folder)
    assert contents(folder) == TREE


def test_a_single_file_is_put_into_the_folder(source: Path, folder: Path) -> None:
    place(source / "model.bin", folder)
    assert contents(folder) == {"model.bin": b"model"}


def test_links_are_kept_as_links(source: Path, tmp_path: Path) -> None:
    (source / "latest").symlink_to("1")
    (source / "same").symlink_to("model.bin")
    place(source, tmp_path / "target")
    assert (tmp_path / "target" / "latest").readlink() == Path("1")
    assert (tmp_path / "target" / "same").read_bytes() == b"model"


def test_files_of_the_cache_are_shared_and_read_only_or_copies(source: Path, folder: Path) -> None:
    place(source, folder)
    shared = (folder / "model.bin").stat().st_ino == (source / "model.bin").stat().st_ino
    assert mode(folder / "model.bin") == (0o444 if shared else 0o644)


def test_files_that_may_be_written_are_the_places_own(source: Path, folder: Path) -> None:
    place(source, folder, writable=True)
    assert mode(folder / "model.bin") == 0o644
    (folder / "model.bin").write_bytes(b"changed")
    assert (source / "model.bin").read_bytes() == b"model"


def test_a_file_of_the_users_is_never_linked_for_who_writes_one_would_write_both(source: Path, folder: Path) -> None:
    (source / "model.bin").chmod(0o644)
    place(source, folder)
    (folder / "model.bin").write_bytes(b"changed")
    assert (source / "model.bin").read_bytes() == b"model"


@pytest.mark.parametrize("writable", [True, False])
def test_what_may_be_executed_still_may(source: Path, folder: Path, writable: bool) -> None:
    (source / "model.bin").chmod(0o555)
    place(source, folder, writable=writable)
    assert mode(folder / "model.bin") & 0o111 == 0o111
    assert mode(folder / "1" / "weights.bin") & 0o111 == 0


def test_on_another_file_system_files_are_copied(source: Path) -> None:
    memory = Path("/dev/shm")  # another file system is wanted, not a place for anything
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == source.stat().st_dev:
        pytest.skip("there is no other file system to write to")
    target = memory / f"fairlead-{os.getpid()}"
    try:
        place(source, target)
        assert contents(target) == TREE
        assert mode(target / "model.bin") == 0o644
    finally:
        shutil.rmtree(target, ignore_errors=True)


def test_a_place_that_is_a_file_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        with pytest.raises(errors.StorageError, match="is not a folder"):
            place(source, tmp_path / name)


def test_a_place_within_the_artefact_is_refused(source: Path) -> None:
    for target in (source, source / "1", source / "1" / "new"):
        with pytest.raises(errors.StorageError, match="outside of it"):
            place(source, target)
    assert contents(source) == TREE


def test_what_is_no_file_is_refused_and_not_waited_for(source: Path, tmp_path: Path, folder: Path) -> None:
    os.mkfifo(source / "pipe")
    for target in (folder, tmp_path / "new"):
        with pytest.raises(errors.StorageError, match="neither a file nor a folder"):
            place(source, target)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "new").exists()


def test_a_place_where_nothing_can_be_gathered_is_left_as_it_was(source: Path, folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"before")
    (folder / STAGING).write_bytes(b"a file, so that nothing can be gathered")
    with pytest.raises(errors.StorageError):
        place(source, folder)
    assert contents(folder).keys() == {"model.bin", STAGING}
    assert (folder / "model.bin").read_bytes() == b"before"


def test_nothing_is_left_of_the_gathering(source: Path, folder: Path, tmp_path: Path) -> None:
    place(source, folder)
    place(source, folder)
    place(source, tmp_path / "new")
    assert not list(tmp_path.rglob("*.fairlead*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "source", "target"]


def test_a_reader_of_an_entry_that_is_replaced_sees_the_old_or_the_new_one(source: Path, folder: Path) -> None:
    place(source, folder)
    (source / "model.bin").unlink()
    (source / "model.bin").write_bytes(b"second")
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add((folder / "model.bin").read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: seen)
    for _ in range(20):
        place(source / "model.bin", folder)
    done.set()
    reader.join()
    assert seen <= {b"model", b"second"}


def test_symbolic_links_are_put_into_a_folder_and_follow_the_source(source: Path, folder: Path) -> None:
    (folder / "1").mkdir()
    for _ in range(2):
        placing.link(source, folder)
    assert {path.name: path.is_symlink() for path in folder.iterdir()} == {"model.bin": True, "1": True}
    assert (folder / "1" / "weights.bin").read_bytes() == b"weights"


def test_files_become_writable_only_where_nothing_shares_them(source: Path) -> None:
    os.link(source / "model.bin", source / "other")
    make_writable(source)
    assert mode(source / "1" / "weights.bin") == 0o644
    assert mode(source / "model.bin") == 0o444
