"""The frame of the command: what it imports, how it fails, and how it ends."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.cli import main

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command

SCRIPT = Path(sys.executable).with_name("fairlead")


def python(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )


def test_the_installed_script_is_this_command() -> None:
    done = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"fairlead {importlib.metadata.version('fairlead')}\n"


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_names_every_command(fairlead: Command, word: str) -> None:
    ran = fairlead(word)
    assert ran.status == 0
    for name, (_, summary) in main.SUBCOMMANDS.items():
        assert f"{name:<10}{summary}" in ran.output


def test_without_a_command_the_help_goes_to_standard_error(fairlead: Command) -> None:
    ran = fairlead()
    assert (ran.status, ran.output) == (2, "")
    assert ran.errors.startswith("usage: fairlead")


def test_help_of_a_command_ends_well(fairlead: Command) -> None:
    ran = fairlead("plugins", "--help")
    assert ran.status == 0
    assert "FAIRLEAD_PLUGINS is an allow-list" in ran.output


def test_an_unknown_command_suggests_near_ones(fairlead: Command) -> None:
    ran = fairlead("plugin")
    assert (ran.status, ran.output) == (2, "")
    assert ran.errors == "error: There is no command 'plugin'.\nDid you mean plugins?\n"


def test_a_command_that_is_near_to_none_lists_them_all(fairlead: Command) -> None:
    assert fairlead("xyzzy").errors.endswith(f"The commands are {', '.join(main.SUBCOMMANDS)}.\n")


def test_an_unknown_option_is_refused(fairlead: Command) -> None:
    assert fairlead("--vers").errors == "error: There is no option --vers.\nSee: fairlead --help\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("plugins",), "the following arguments are required: <verb>."),
        (("plugins", "lst"), "invalid choice: 'lst'"),
        (("plugins", "list", "--js"), "unrecognized arguments: --js."),
        (("plugins", "list", "--kind", "cloud"), "invalid choice: 'cloud'"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(fairlead: Command, arguments: tuple[str, ...], expected: str) -> None:
    ran = fairlead(*arguments)
    assert ran.status == 2
    assert ran.errors.startswith("error: ")
    assert expected in ran.errors
    assert "See: fairlead plugins" in ran.errors


@pytest.mark.parametrize(
    ("arguments", "wrong", "right"),
    [
        (("serve", "--htp-port", "8090", "model.joblib"), "--htp-port", "--http-port"),
        (("serve", "model.joblib", "--htp_port=8090"), "--htp_port", "--http-port"),
        (("plugins", "list", "--jsn"), "--jsn", "--json"),
    ],
)
def test_a_misspelt_flag_is_named_alone_with_the_nearest(
    fairlead: Command, arguments: tuple[str, ...], wrong: str, right: str
) -> None:
    ran = fairlead(*arguments)
    assert ran.status == 2
    first, second, _ = ran.errors.split("\n")
    assert first == f"error: unrecognized arguments: {wrong}."
    assert second.startswith(f"Did you mean {right}? See: fairlead ")


def test_arguments_that_are_too_many_are_listed(fairlead: Command) -> None:
    assert "unrecognized arguments: b c.\nSee: fairlead serve --help" in fairlead("serve", "a", "b", "c").errors


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "fairlead", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"fairlead {importlib.metadata.version('fairlead')}\n"


def test_help_of_serve_says_what_values_there_are(fairlead: Command) -> None:
    text = fairlead("serve", "--help").output
    for part in ("{auto,asyncio,uvloop}", "BOOL is true or false", "FAIRLEAD_<NAME>", "fairlead plugins inspect"):
        assert part in " ".join(text.split())


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a b", "..", "a\n", "é"])
def test_a_name_that_no_route_holds_is_refused(fairlead: Command, tmp_path: Path, name: str) -> None:
    ran = fairlead("serve", str(tmp_path / "model.joblib"), "--name", name, "--log-format", "text")
    assert ran.status == 2
    assert f"--name {name!r} does not fit in a route.\nWrite one or more of A-Z a-z 0-9 . _ -" in ran.errors


def test_an_expected_error_has_its_remedy_on_a_line_of_its_own_and_no_traceback(fairlead: Command) -> None:
    ran = fairlead("plugins", "inspect", "runtime:absent-one")
    assert ran.status == 1
    first, second, rest = ran.errors.split("\n")
    assert first.startswith("error: There is no runtime plugin 'absent-one'")
    assert second == (
        "If a wheel provides it, it is named fairlead-runtime-absent-one by convention; install it beside fairlead."
    )
    assert rest == ""


def test_debug_shows_the_traceback(fairlead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_DEBUG", "1")
    ran = fairlead("plugins", "inspect", "absent-one")
    assert "Traceback (most recent call last)" in ran.errors
    assert "error: There is no plugin 'absent-one' of any kind.\n" in ran.errors


def test_only_the_module_of_the_command_is_imported() -> None:
    done = python(
        "import sys; from fairlead.cli import main; main.main(['--version']);"
        f"print([m for _, (m, _) in {dict(main.SUBCOMMANDS)!r}.items() if m in sys.modules])"
    )
    assert done.stdout.splitlines()[1] == "[]"


def test_listing_plugins_imports_neither_numpy_nor_a_server_nor_a_framework() -> None:
    heavy = ("numpy", "fastapi", "uvicorn", "orjson", "sklearn", "urllib3", "rich")
    done = python(
        "import sys; from fairlead.cli import main; main.main(['plugins', 'list']);"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_listing_without_import_imports_no_plugin() -> None:
    modules = [entry.value for group in ("runtimes", "storage") for entry in _entries(f"fairlead.{group}")]
    assert modules
    done = python(
        "import sys; from fairlead.cli import main; main.main(['plugins', 'list', '--no-import']);"
        f"print([m for m in {modules!r} if m in sys.modules])"
    )
    assert done.stdout.splitlines()[-1] == "[]"


def _entries(group: str) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=group)


def test_a_reader_that_has_gone_ends_the_command_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([SCRIPT, "plugins", "list"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_command_quietly(site_with_a_slow_plugin: Path) -> None:
    command = subprocess.Popen(
        [SCRIPT, "plugins", "list"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site_with_a_slow_plugin)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    assert command.stdout.readline() == "waiting\n"
    command.send_signal(signal.SIGINT)
    _, complaints = command.communicate(timeout=30)
    assert (command.returncode, complaints) == (130, "")
