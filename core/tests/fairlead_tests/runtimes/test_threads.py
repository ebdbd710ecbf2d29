"""How many threads a model may compute with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairlead import LoadSettings, errors
from fairlead.runtimes import threads

CORES = len(os.sched_getaffinity(0))


def cgroup(root: Path, text: str) -> Path:
    (root / "cpu.max").write_text(text)
    return root


def old_cgroup(root: Path, quota: str) -> Path:
    folder = root / "cpu"
    folder.mkdir()
    (folder / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu.cfs_period_us").write_text("100000")
    return root


def told(count: int | None) -> LoadSettings:
    return LoadSettings(model_name="m", options={} if count is None else {"nthread": count})


def test_a_quota_of_half_a_core_is_one_thread(tmp_path: Path) -> None:
    assert threads.available(cgroup(tmp_path, "50000 100000\n")) == 1


def test_a_quota_of_the_older_control_groups_counts_as_well(tmp_path: Path) -> None:
    assert threads.available(old_cgroup(tmp_path, "50000")) == 1


def test_their_word_for_no_quota_is_minus_one(tmp_path: Path) -> None:
    assert threads.available(old_cgroup(tmp_path, "-1")) == CORES


def test_a_quota_above_the_cores_changes_nothing(tmp_path: Path) -> None:
    assert threads.available(cgroup(tmp_path, f"{100000 * (CORES + 3)} 100000\n")) == CORES


@pytest.mark.parametrize("text", ["max 100000\n", "", "nonsense"])
def test_without_a_quota_the_cores_count(tmp_path: Path, text: str) -> None:
    assert threads.available(cgroup(tmp_path, text)) == CORES


def test_without_control_groups_the_cores_count(tmp_path: Path) -> None:
    assert threads.available(tmp_path / "none") == CORES


def test_a_process_that_may_run_on_one_core_has_one(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert threads.available(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_the_setting_wins_over_the_cores() -> None:
    assert threads.chosen(told(7)) == 7
    assert threads.chosen(told(0)) == threads.available()
    assert threads.chosen(told(None)) == threads.available()
    assert threads.given(told(0)) == 0


def test_a_negative_number_is_an_error() -> None:
    with pytest.raises(errors.ConfigurationError, match="nthread: -1 is negative"):
        threads.chosen(told(-1))


def test_libraries_are_told_where_a_quota_leaves_fewer_cores_than_they_see(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    threads.prepare(environ, cgroup(tmp_path, "50000 100000\n"))
    expected = {} if os.cpu_count() == 1 else dict.fromkeys(threads.VARIABLES, "1")
    assert environ == expected


def test_what_a_user_has_said_is_left_alone(tmp_path: Path) -> None:
    environ = {"OMP_NUM_THREADS": "3"}
    threads.prepare(environ, cgroup(tmp_path, "50000 100000\n"))
    assert environ == {"OMP_NUM_THREADS": "3"}


def test_a_call_is_held_to_a_number_of_threads() -> None:
    import numpy as np
    from threadpoolctl import threadpool_info

    np.dot(np.ones((4, 4)), np.ones((4, 4)))  # loads BLAS
    limit = threads.limit(1)
    assert limit is not None
    with limit():
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}


def test_no_number_is_no_limit() -> None:
    assert threads.limit(0) is None
