from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.local.replicas.logs import Lines, RotatedLog


def test_a_log_is_renamed_when_it_is_full_and_the_oldest_goes(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path / "logs" / "x.log", max_bytes=20, files=3)
    for number in range(8):
        log.write(b"line number %d\n" % number)
    log.close()
    found = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert found == {"x.log": "line number 7\n", "x.log.1": "line number 6\n", "x.log.2": "line number 5\n"}


def test_a_log_goes_on_where_it_was(tmp_path: Path) -> None:
    for text in ("one\n", "two\n", "three\n"):
        log = RotatedLog(tmp_path / "x.log", max_bytes=8, files=2)
        log.write(text.encode())
        log.close()
    assert (tmp_path / "x.log").read_text() == "three\n"
    assert (tmp_path / "x.log.1").read_text() == "one\ntwo\n"


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    log = RotatedLog(Path("/dev/full"))
    log.write(b"one\n")
    log.write(b"two\n")
    assert (log.dropped, log.tail()) == (8, ("one", "two"))
    assert "No space left" in log.trouble


def test_lines_that_were_lost_are_told_of_once_there_is_room(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.write_text("in the way")
    log = RotatedLog(folder / "x.log")
    log.write(b"lost\n")
    folder.unlink()
    log.write(b"kept\n")
    log.write(b"more\n")
    first, *rest = (folder / "x.log").read_text().splitlines()
    assert first.startswith("[5 bytes of output are lost: ")
    assert rest == ["kept", "more"]
    assert (log.dropped, log.trouble) == (5, "")
    log.close()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines_are_put_together_whatever_they_come_in(size: int) -> None:
    data = "ü1\n\ntwo\nthree".encode()
    lines = Lines(2)
    for start in range(0, len(data), size):
        lines.add(data[start : start + size])
    assert lines.last() == ("ü1", "two", "three")
    assert lines.last(1) == ("three",)


def test_a_line_without_an_end_is_kept_in_bounded_memory() -> None:
    lines = Lines()
    for _ in range(100):
        lines.add(b"x" * 1000)
    assert len(lines.last()[0]) == 4096
