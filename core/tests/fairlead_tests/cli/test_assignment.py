"""What a worker is given: taken once, kept from its own children, and given back by the last that leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.cli.assignment import Assignment, join


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "shared"
    path.mkdir()
    return path


def member(folder: Path) -> Assignment:
    listener, channel = os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_RDONLY)
    return Assignment(slot=3, folder=str(folder), membership=join(folder), listener=listener, channel=channel)


def let_go(*assignments: Assignment) -> None:
    for assignment in assignments:
        assignment.leave()
        os.close(assignment.listener)
        os.close(assignment.channel)


def test_a_process_without_an_assignment_is_no_worker() -> None:
    assert Assignment.take({"HOME": "/"}) is None


def test_an_assignment_is_taken_once_and_not_handed_on_to_children(folder: Path) -> None:
    given = member(folder)
    for descriptor in given.descriptors:
        os.set_inheritable(descriptor, True)
    environ = {"HOME": "/", **given.environ()}
    assert Assignment.take(environ) == given
    assert environ == {"HOME": "/"}
    assert not any(os.get_inheritable(descriptor) for descriptor in given.descriptors)
    let_go(given)


def test_a_child_process_takes_what_it_was_given(folder: Path) -> None:
    given = member(folder)
    script = "import os; from fairlead.cli.assignment import Assignment; print(Assignment.take(os.environ).slot)"
    environ = {**os.environ, **given.environ()}
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, env=environ, pass_fds=given.descriptors, text=True) == "3\n"
    let_go(given)


def test_the_last_to_leave_removes_the_folder(folder: Path) -> None:
    first, last = member(folder), member(folder)
    let_go(first)
    assert folder.exists()
    let_go(last)
    assert not folder.exists()


def test_a_member_that_was_killed_does_not_keep_the_folder(folder: Path) -> None:
    killed, last = member(folder), member(folder)
    for descriptor in killed.descriptors:  # as the system does
        os.close(descriptor)
    let_go(last)
    assert not folder.exists()


def test_a_forked_process_has_its_own_number_and_descriptors_and_forks_no_others(folder: Path) -> None:
    given = Assignment(slot=0, folder=str(folder), membership=3, listener=4, channel=5, grpc_port=8081, share=True)
    forked = given.forked(slot=7, membership=8, listener=10, channel=9, grpc_turn=2)
    assert (forked.slot, forked.descriptors, forked.share) == (7, (8, 10, 9), False)
    assert (forked.grpc_port, forked.grpc_turn) == (8081, 2)
