"""What is known of memory: the files of an artefact, and what the process has for itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from fairlead.engine import memory
from fairlead.engine.memory import Files

MIB = 1 << 20


def test_files_are_counted_below_a_folder_and_alone(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a", "deep/b", "deep/er/c"):
        (tmp_path / name).write_bytes(b"x" * 10)
    assert (Files.of(tmp_path).size, Files.of(tmp_path).count) == (30, 3)
    assert Files.of(tmp_path / "a").size == 10


def test_files_are_equal_until_one_is_written_added_or_removed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("same")
        os.utime(tmp_path / name, (1, 1))
    seen = Files.of(tmp_path)
    assert Files.of(tmp_path) == seen
    (tmp_path / "a").write_text("more")
    assert Files.of(tmp_path) != seen
    os.utime(tmp_path / "a", (1, 1))
    (tmp_path / "b").unlink()
    assert Files.of(tmp_path) != seen


def test_a_link_that_leads_nowhere_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    assert Files.of(tmp_path) == Files(0, 0, 0)


@pytest.mark.skipif(memory.private() is None, reason="this system does not tell a process its memory")
def test_private_memory_grows_and_falls_with_what_is_held() -> None:
    memory.give_back()
    before = memory.private() or 0
    held = np.ones(80 * MIB, dtype=np.uint8)
    assert (memory.private() or 0) - before > 60 * MIB
    del held
    memory.give_back()
    assert (memory.private() or 0) - before < 40 * MIB


def test_modules_of_a_folder_are_its_models_own_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(sys.modules)
    (tmp_path / "of_this_model.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("of_this_model")
    try:
        assert not memory.foreign_modules(before, tmp_path)
        assert memory.foreign_modules(before, tmp_path / "elsewhere")
    finally:
        del sys.modules["of_this_model"]
