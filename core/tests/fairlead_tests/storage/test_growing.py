"""A file that arrives in pieces: what of it is there, who waits for the rest, and what a kill leaves."""

from __future__ import annotations

import contextlib
import io
import os
import random
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from fairlead import errors
from fairlead.contracts.storage import RemoteObject
from fairlead.storage.growing import BLOCK, Growing, Reader
from fairlead.storage.partial import IN_BLOCKS, Partial

SIZE = 5 * BLOCK + 1000
CONTENT = os.urandom(SIZE)


@pytest.fixture
def in_blocks(tmp_path: Path) -> Callable[[], Growing]:
    """The same file, opened anew by each call."""
    return lambda: Growing(tmp_path / "files" / "model.bin", SIZE, tmp_path / "marks" / "model")


@pytest.fixture
def threads() -> Iterator[Callable[[Callable[[], object]], threading.Thread]]:
    started = []

    def start(work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work)
        started.append(thread)
        thread.start()
        return thread

    yield start
    for thread in started:
        thread.join(30)
        assert not thread.is_alive()


def write(growing: Growing, start: int, end: int, step: int = 300_000) -> None:
    """What one stream writes: pieces in their order, which do not end at blocks."""
    for position in range(start, end, step):
        growing.write(position, CONTENT[position : min(end, position + step)], start)


def opened(folder: Path) -> list[str]:
    """The files of a folder that this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # another thread, of an earlier test, has closed it just now
            found.append(str(descriptor.readlink()))
    return [path for path in found if path.startswith(f"{folder}/")]


# -- writing ------------------------------------------------------------------------------------------------


def test_ranges_that_several_threads_write_become_the_file(
    in_blocks: Callable[[], Growing], threads: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    growing = in_blocks()
    ranges = [(4 * BLOCK, SIZE), (2 * BLOCK, 4 * BLOCK), (0, 2 * BLOCK)]
    for thread in [threads(lambda each=each: write(growing, *each)) for each in ranges]:  # type: ignore[misc]  # a default binds it
        thread.join()
    assert (growing.here, growing.missing(BLOCK)) == (SIZE, [])
    growing.finish()
    assert growing.path.read_bytes() == CONTENT


def test_a_block_is_there_once_all_of_it_is_written(in_blocks: Callable[[], Growing]) -> None:
    growing = in_blocks()
    write(growing, BLOCK, 2 * BLOCK + 5)
    assert growing.here == BLOCK
    assert growing.missing(1024 * BLOCK) == [(0, BLOCK), (2 * BLOCK, SIZE)]
    growing.close()


def test_the_last_block_counts_as_long_as_it_is(in_blocks: Callable[[], Growing]) -> None:
    growing = in_blocks()
    write(growing, 5 * BLOCK, SIZE)
    assert growing.here == SIZE - 5 * BLOCK
    assert growing.missing(2 * BLOCK) == [(0, 2 * BLOCK), (2 * BLOCK, 4 * BLOCK), (4 * BLOCK, 5 * BLOCK)]
    growing.close()


@pytest.mark.parametrize("seed", range(10))
def test_what_is_said_to_be_there_is_there_whenever_it_stops(in_blocks: Callable[[], Growing], seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(6):
        growing = in_blocks()
        for start, end in growing.missing(chance.randint(1, 3) * BLOCK):
            assert end is not None
            stop = chance.randint(start, end)
            write(growing, start, stop, chance.randint(1000, 2 * BLOCK))
        missing = growing.missing(1024 * BLOCK)
        growing.close()
        again = in_blocks()
        assert again.missing(1024 * BLOCK) == missing
        kept = bytearray(again.path.read_bytes())
        for start, end in missing:
            kept[start:end] = CONTENT[start:end]
        assert bytes(kept) == CONTENT


def test_a_file_that_another_has_cut_is_begun_anew(in_blocks: Callable[[], Growing]) -> None:
    growing = in_blocks()
    write(growing, 0, SIZE)
    growing.close()
    os.truncate(growing.path, SIZE - 1)
    assert in_blocks().here == 0


def test_marks_without_a_file_say_nothing(in_blocks: Callable[[], Growing]) -> None:
    growing = in_blocks()
    write(growing, 0, SIZE)
    growing.close()
    growing.path.unlink()
    again = in_blocks()
    assert again.here == 0
    write(again, 0, BLOCK)
    again.close()
    assert in_blocks().missing(1024 * BLOCK) == [(BLOCK, SIZE)]


def test_a_file_without_blocks_goes_on_at_its_end(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "model.bin", 10)
    growing.write(0, b"01234", 0)
    growing.close()
    again = Growing(tmp_path / "model.bin", 10)
    assert (again.here, again.missing(BLOCK)) == (5, [(5, 10)])
    again.restart()
    assert (again.here, again.missing(BLOCK)) == (0, [(0, 10)])
    again.close()


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "folder" / "empty", 0)
    growing.finish()
    assert growing.path.read_bytes() == b""


def test_a_finished_file_keeps_no_descriptor(in_blocks: Callable[[], Growing], tmp_path: Path) -> None:
    growing = in_blocks()
    write(growing, 0, SIZE)
    assert len(opened(tmp_path)) == 2  # and its marks
    growing.finish()
    with Reader(growing) as reader:
        assert reader.read() == CONTENT
    assert opened(tmp_path) == []


def test_a_file_that_links_to_the_cache_is_never_written(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(bytes(IN_BLOCKS))
    item = RemoteObject(name="model.bin", key="", size=IN_BLOCKS, etag="1")
    partial = Partial(tmp_path / "partial", "boot")
    partial.resume([item], lambda: None)
    os.link(blob, partial.tree / "model.bin")  # and here the fetch was killed
    again = Partial(tmp_path / "partial", "boot")
    again.resume([item], lambda: None)
    growing = again.growing(item)
    growing.write(0, b"other", 0)
    growing.close()
    assert blob.read_bytes() == bytes(IN_BLOCKS)


# -- reading ------------------------------------------------------------------------------------------------


def test_a_reader_waits_for_what_comes_late(
    in_blocks: Callable[[], Growing], threads: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    growing = in_blocks()
    found: list[bytes] = []

    def read() -> None:
        with Reader(growing) as reader:
            while part := reader.read(70_000):
                found.append(part)

    reading = threads(read)
    for start in range(5 * BLOCK, -1, -BLOCK):  # the front comes last
        write(growing, start, min(start + BLOCK, SIZE))
    reading.join(30)
    assert b"".join(found) == CONTENT
    assert {len(part) for part in found[:-1]} == {70_000}
    growing.close()


def test_a_reader_of_unknown_length_waits_for_the_end(
    tmp_path: Path, threads: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    growing = Growing(tmp_path / "model.bin", None)
    found: list[bytes] = []
    thread = threads(lambda: found.append(Reader(growing).read()))
    growing.write(0, b"first ", 0)
    growing.write(6, b"last", 0)
    assert not found
    growing.finish()
    thread.join(30)
    assert found == [b"first last"]


def test_the_end_of_a_file_of_unknown_length_is_waited_for(
    tmp_path: Path, threads: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    growing = Growing(tmp_path / "model.bin", None)
    found: list[int] = []
    thread = threads(lambda: found.append(Reader(growing).seek(-2, io.SEEK_END)))
    growing.write(0, b"12345", 0)
    growing.finish()
    thread.join(30)
    assert found == [3]


def test_everybody_who_waits_is_told_of_a_failure(
    in_blocks: Callable[[], Growing], threads: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    growing = in_blocks()
    caught: list[BaseException] = []

    def read() -> None:
        with pytest.raises(errors.StorageUnavailable, match="gone") as told:
            Reader(growing).read(1)
        caught.append(told.value)

    waiting = [threads(read) for _ in range(3)]
    failure = errors.StorageUnavailable("The server is gone.", remedy="Wait.")
    growing.fail(failure)
    for thread in waiting:
        thread.join(30)
    assert [(each.__cause__, str(each)) for each in caught] == [(failure, str(failure))] * 3
    assert len({id(each) for each in caught}) == 3  # their tracebacks do not grow together


def test_what_is_there_is_read_after_a_failure(in_blocks: Callable[[], Growing]) -> None:
    growing = in_blocks()
    write(growing, 0, BLOCK)
    growing.fail(errors.StorageUnavailable("The server is gone."))
    with Reader(growing) as reader:
        assert reader.read(BLOCK) == CONTENT[:BLOCK]
        with pytest.raises(errors.StorageUnavailable):
            reader.read(1)
    growing.close()


def test_a_zip_archive_is_read_from_its_end_before_its_front_is_there(
    tmp_path: Path, threads: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("model.bin", CONTENT)
    content = packed.getvalue()
    growing = Growing(tmp_path / "m.zip", len(content), tmp_path / "marks")
    listed = threading.Event()
    found: list[bytes] = []

    def read() -> None:
        with zipfile.ZipFile(cast("io.BufferedReader", Reader(growing))) as archive:
            names = archive.namelist()
            listed.set()
            found.extend(archive.read(name) for name in names)

    thread = threads(read)
    end = len(content) // BLOCK * BLOCK
    growing.write(end, content[end:], end)
    assert listed.wait(30)
    growing.write(0, content[:end], 0)
    thread.join(30)
    assert found == [CONTENT]
    growing.close()


def test_a_reader_cannot_go_before_the_start(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "model.bin", 10)
    with pytest.raises(ValueError, match="before the start"):
        Reader(growing).seek(-1)


def test_a_reader_of_a_file_that_was_removed_is_told_why(
    tmp_path: Path, threads: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    growing = Growing(tmp_path / "model.bin", 4)
    growing.write(0, b"evil", 0)
    growing.path.unlink()

    def read() -> None:
        with pytest.raises(errors.IntegrityError, match="another digest"):
            Reader(growing).read()

    thread = threads(read)
    growing.fail(errors.IntegrityError("It has another digest."))
    thread.join(30)
    growing.close()
