"""``fairlead up`` before anything starts: its arguments, and manifests that are wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.cli import parsing, up
from fairlead.local.folder import Folder
from fairlead_tests.cli.platforms import manifest, world
from fairlead_tests.local.homes import home

if TYPE_CHECKING:
    import argparse

    from fairlead_tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    for variable in ("FAIRLEAD_HTTP_PORT", "FAIRLEAD_LOG_FORMAT", "FAIRLEAD_LOG_LEVEL"):
        monkeypatch.delenv(variable, raising=False)
    with home() as environ:
        for variable in ("FAIRLEAD_STATE", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(variable, environ[variable])
        yield Folder()


@pytest.fixture
def isvc(tmp_path: Path) -> Path:
    made = tmp_path / "isvc.yaml"
    made.write_text(manifest("iris"))
    return made


def parsed(*arguments: str) -> argparse.Namespace:
    parser = parsing.Parser(prog="fairlead up")
    up.add_arguments(parser)
    return parser.parse(arguments)


# -- settings --------------------------------------------------------------------------------------------


def test_defaults_are_those_of_a_laptop() -> None:
    args = parsed("isvc.yaml")
    assert (args.host, args.platform, args.watch, args.access_log) == ("127.0.0.1", "default", False, False)
    assert up._settings(args, {}) == {"http_port": 8080, "log_format": "auto", "log_level": "info"}


def test_a_flag_wins_over_a_variable() -> None:
    environ = {"FAIRLEAD_HTTP_PORT": "9000", "FAIRLEAD_LOG_FORMAT": "json"}
    assert up._settings(parsed("isvc.yaml"), environ)["http_port"] == 9000
    args = parsed("isvc.yaml", "--port", "9001", "--log-format", "text")
    assert up._settings(args, environ) == {"http_port": 9001, "log_format": "text", "log_level": "info"}


@pytest.mark.parametrize("port", ["x", "-1", "65536", "80.5", ""])
def test_a_port_that_is_none_is_a_usage_error(fairlead: Command, isvc: Path, port: str) -> None:
    ran = fairlead("up", str(isvc), f"--port={port}")
    assert ran.status == 2
    assert "--port: " in ran.errors


def test_a_variable_that_is_no_port_is_named(fairlead: Command, isvc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HTTP_PORT", "high")
    assert "FAIRLEAD_HTTP_PORT: 'high' cannot be read." in fairlead("up", str(isvc)).errors


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--host", "example.com"], "--host: 'example.com' is no IP address."),
        (["--name", "Big"], "'Big' is no name of a platform."),
        (["--prot", "1"], "Did you mean --port?"),
    ],
)
def test_wrong_arguments_are_usage_errors(fairlead: Command, isvc: Path, arguments: list[str], expected: str) -> None:
    ran = fairlead("up", str(isvc), *arguments)
    assert ran.status == 2
    assert expected in ran.errors


@pytest.mark.parametrize(
    ("host", "others"), [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True)]
)
def test_it_is_known_whether_others_can_reach_it(host: str, others: bool) -> None:
    args = parsed("isvc.yaml", "--host", host)
    up._check_arguments(args)
    assert args.open_to_others is others


def test_standard_input_alone_cannot_be_watched(fairlead: Command) -> None:
    ran = fairlead("up", "-", "--watch")
    assert ran.status == 2
    assert "--watch needs files" in ran.errors


def test_without_a_manifest_it_is_a_usage_error(fairlead: Command) -> None:
    assert fairlead("up").status == 2


# -- manifests -------------------------------------------------------------------------------------------


def test_all_that_is_wrong_in_all_files_is_told_at_once_and_nothing_is_made(
    fairlead: Command, folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(manifest("iris").replace("predictor", "predicter"))
    (tmp_path / "b.yaml").write_text("kind: Nothing\napiVersion: v1\n")
    (tmp_path / "c.yaml").write_text(manifest("Not_A_Name"))
    ran = fairlead("up", str(tmp_path))
    assert ran.status == 2
    assert "predicter" in ran.errors
    assert "b.yaml" in ran.errors
    assert "Not_A_Name" in ran.errors
    assert not folder.state.exists()


def test_a_file_that_is_not_there_is_an_error(fairlead: Command, tmp_path: Path) -> None:
    ran = fairlead("up", str(tmp_path / "nothing.yaml"))
    assert ran.status == 2
    assert "nothing.yaml" in ran.errors


def test_a_name_that_is_taken_is_refused_before_anything_starts(fairlead: Command, folder: Folder, isvc: Path) -> None:
    folder.acquire()
    folder.announce("127.0.0.1:8080")
    try:
        ran = fairlead("up", str(isvc))
    finally:
        folder.release()
    assert ran.status == 2
    assert f"A platform named default runs already (process {os.getpid()}, on 127.0.0.1:8080)." in ran.errors
    assert "fairlead down" in ran.errors


def test_a_manifest_of_another_namespace_than_the_one_given_is_refused(fairlead: Command, tmp_path: Path) -> None:
    file = tmp_path / "isvc.yaml"
    file.write_text(manifest("iris", namespace="team"))
    ran = fairlead("up", str(file), "-n", "other")
    assert ran.status == 2
    assert "team" in ran.errors


def test_what_is_wrong_is_an_error_that_carries_all_problems(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{half")
    (tmp_path / "b.yaml").write_text(manifest("wrong"))
    with pytest.raises(errors.InvalidManifest) as refused:
        world(tmp_path)
    assert len(refused.value.problems) == 2
