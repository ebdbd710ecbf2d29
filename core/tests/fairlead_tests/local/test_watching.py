"""Files that are watched: which changes are told, and when."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from fairlead.local.watching import Watcher


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "isvc.yaml"
    made.write_text("a: 1")
    return made


def settled(watcher: Watcher, looks: int = 4) -> list[frozenset[Path]]:
    """What is told in so many looks, in their order, without those that tell nothing."""
    return [found for _ in range(looks) if (found := watcher.poll())]


def test_nothing_is_told_while_nothing_changes(file: Path) -> None:
    assert settled(Watcher([file])) == []


def test_a_change_is_told_once(file: Path) -> None:
    watcher = Watcher([file])
    file.write_text("a: 22")
    assert settled(watcher) == [{file}]
    assert settled(watcher) == []


def test_a_file_is_told_only_when_whoever_writes_it_rests(file: Path) -> None:
    watcher = Watcher([file])
    for length in range(5):
        file.write_text("a: 1" + "0" * length)
        assert watcher.poll() == frozenset()
    assert settled(watcher) == [{file}]


def test_what_was_seen_and_not_told_yet_can_be_asked(file: Path) -> None:
    watcher = Watcher([file])
    seen = [watcher.behind]
    file.write_text("a: 22")
    for _ in range(2):
        watcher.poll()
        seen.append(watcher.behind)
    file.unlink()
    for _ in range(3):
        watcher.poll()
        seen.append(watcher.behind)
    assert seen == [False, True, False, True, True, False]


def test_a_watcher_is_behind_until_what_it_tells_was_taken(file: Path) -> None:
    """In the moment between, whoever asks would take what was read before for the newest."""

    async def rest(_: float) -> None:
        between.append(watcher.behind)
        if len(between) > 3:
            raise TimeoutError

    async def live() -> bool:
        changes = watcher.changes()
        await anext(changes)
        told = watcher.behind
        with contextlib.suppress(TimeoutError):
            await anext(changes)
        return told

    between: list[bool] = []
    watcher = Watcher([file], sleep=rest)
    file.write_text("a: 22")
    assert asyncio.run(live()) is True
    assert between[-1] is False


def test_a_look_is_over_once_what_it_tells_was_taken(file: Path) -> None:
    between: list[tuple[int, int]] = []

    async def sleep(_: float) -> None:
        between.append(watcher.looks)
        if len(between) > 3:
            raise TimeoutError

    async def live() -> tuple[int, int]:
        changes = watcher.changes()
        assert await anext(changes) == {file}
        told = watcher.looks
        with contextlib.suppress(TimeoutError):
            await anext(changes)
        return told

    watcher = Watcher([file], sleep=sleep)
    file.write_text("a: 22")
    assert asyncio.run(live()) == (2, 1)
    assert between == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_change_of_the_same_size_and_time_is_told(file: Path) -> None:
    watcher = Watcher([file])
    before = file.stat()
    file.write_text("b: 2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert settled(watcher) == [{file}]


def test_a_file_that_another_took_the_place_of_is_told(file: Path) -> None:
    watcher = Watcher([file])
    beside = file.with_suffix(".new")
    beside.write_text("a: 1")
    beside.replace(file)
    assert settled(watcher) == [{file}]


def test_a_link_that_leads_elsewhere_is_told(file: Path, tmp_path: Path) -> None:
    link, other = tmp_path / "link.yaml", tmp_path / "other.yaml"
    other.write_text("a: 2")
    link.symlink_to(file)
    watcher = Watcher([link])
    link.unlink()
    link.symlink_to(other)
    assert settled(watcher) == [{link}]


def test_a_removed_file_is_told_once_it_stays_away(file: Path) -> None:
    watcher = Watcher([file])
    file.unlink()
    assert [watcher.poll(), watcher.poll()] == [frozenset(), frozenset()]
    assert settled(watcher) == [{file}]


def test_an_editor_that_takes_a_file_away_for_a_moment_does_not_remove_it(file: Path) -> None:
    watcher = Watcher([file])
    file.rename(file.with_suffix(".backup"))
    assert watcher.poll() == frozenset()
    file.write_text("a: 2")
    assert settled(watcher) == [{file}]
    assert settled(watcher) == []


def test_an_editor_that_empties_a_file_for_a_moment_does_not_remove_it(file: Path) -> None:
    watcher = Watcher([file])
    file.write_text("")
    assert [watcher.poll(), watcher.poll()] == [frozenset(), frozenset()]
    file.write_text("a: 2")
    assert settled(watcher) == [{file}]
    file.write_text("")
    assert settled(watcher) == [{file}]


def test_files_of_a_folder_come_and_go_and_others_do_not_count(file: Path, tmp_path: Path) -> None:
    watcher = Watcher([tmp_path])
    added = tmp_path / "new.yml"
    added.write_text("a: 1")
    (tmp_path / "notes.txt").write_text("a: 1")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "deep.yaml").write_text("a: 1")
    file.unlink()
    assert frozenset().union(*settled(watcher)) == {added, file}


def test_a_file_that_was_not_there_at_first_is_told_when_it_comes(tmp_path: Path) -> None:
    later = tmp_path / "later.yaml"
    watcher = Watcher([later])
    later.write_text("a: 1")
    assert settled(watcher) == [{later}]


def test_changes_come_for_as_long_as_they_are_asked_for(file: Path) -> None:
    pauses: list[float] = []

    def change() -> None:
        if len(pauses) in (2, 6):
            file.write_text(f"a: {'1' * len(pauses)}")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        change()
        await asyncio.sleep(0)

    async def live() -> list[frozenset[Path]]:
        found = []
        async for each in Watcher([file], interval=0.3, sleep=sleep).changes():
            found.append(each)
            if len(found) == 2:
                break
        return found

    assert asyncio.run(live()) == [{file}, {file}]
    assert pauses == [0.3, 0.3, 0.1, 0.3, 0.3, 0.3, 0.1]  # sooner while something changes
