"""``fairlead plugins new``: what it writes installs, passes its own tests, and is clean."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.cli import scaffold
from fairlead.plugins import Kind

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command
    from fairlead_tests.plugins.distributions import Site

kinds = pytest.mark.parametrize("kind", list(Kind), ids=str)


def tool(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a development tool in a folder; it must succeed."""
    environment = {**os.environ, **variables}
    for variable in ("FAIRLEAD_PLUGINS", "FAIRLEAD_PLUGINS_STRICT"):
        environment.pop(variable, None)
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


# -- what is written ------------------------------------------------------------------------------------


@kinds
def test_a_plugin_has_what_a_plugin_needs(tmp_path: Path, kind: Kind) -> None:
    made = scaffold.write(kind, "my-frame", tmp_path)
    package = f"fairlead_{kind}_my_frame"
    assert made == tmp_path / f"fairlead-{kind}-my-frame"
    for name in (
        "README.md",
        f"src/{package}/__init__.py",
        f"src/{package}/py.typed",
        f"src/{package}/_plugin.py",
        f"tests/{package}_tests/__init__.py",
        f"tests/{package}_tests/test_contract.py",
    ):
        assert (made / name).is_file(), name
    project = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    assert project["name"] == made.name
    assert project["entry-points"] == {kind.group: {"my-frame": f"{package}._plugin"}}
    assert f"fairlead{scaffold.core_range(importlib.metadata.version('fairlead'))}" in project["dependencies"]


@kinds
def test_nothing_is_left_to_fill_in(tmp_path: Path, kind: Kind) -> None:
    for path in scaffold.write(kind, "x", tmp_path).rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert "$" not in text.replace("$ ", ""), path
            assert ".tmpl" not in path.name


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.1.0", ">=0.1,<0.2"), ("0.9.3", ">=0.9,<0.10"), ("1.4.2", ">=1.4,<2"), ("0.2.0.dev3", ">=0.2.0.dev3,<0.3")],
)
def test_the_range_of_core_versions_ends_before_the_next_that_may_break_it(version: str, expected: str) -> None:
    assert scaffold.core_range(version) == expected


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Onnx", "1x", "-x", "x-", "a--b", "a_b", "a.b", "a/b", "../x", "é", "a b", "$x"])
def test_a_name_that_is_no_plugin_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="is not a name for a plugin"):
        scaffold.write(Kind.RUNTIME, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["class", "match", "import"])
def test_a_word_of_python_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="is a word of Python's own"):
        scaffold.write(Kind.RUNTIME, name, tmp_path)


@pytest.mark.parametrize("content", [None, "precious"])
def test_an_existing_folder_is_never_touched(fairlead: Command, tmp_path: Path, content: str | None) -> None:
    target = tmp_path / "fairlead-runtime-x"
    target.mkdir()
    if content:
        (target / "README.md").write_text(content)
    ran = fairlead("plugins", "new", "runtime", "x", "--directory", str(tmp_path))
    assert ran.status == 2
    assert f"error: {target} exists already, and nothing is overwritten." in ran.errors
    assert [path.read_text() for path in target.iterdir()] == ([content] if content else [])


def test_a_folder_that_cannot_be_made_is_a_clear_error(fairlead: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = fairlead("plugins", "new", "runtime", "x", "--directory", str(tmp_path / "file" / "below"))
    assert ran.status == 2
    assert "cannot be made: Not a directory." in ran.errors


def test_a_directory_that_is_a_file_is_a_clear_error(fairlead: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = fairlead("plugins", "new", "runtime", "x", "--directory", str(tmp_path / "file"))
    assert ran.status == 2
    assert f"error: {tmp_path / 'file'} cannot be made: File exists." in ran.errors


def test_a_name_that_an_installed_plugin_has_is_refused(fairlead: Command, site: Site, tmp_path: Path) -> None:
    site.install("taken")
    ran = fairlead("plugins", "new", "runtime", "taken", "--directory", str(tmp_path / "new"))
    assert ran.status == 2
    assert "There is a runtime plugin 'taken' already, of fairlead-runtime-taken 1.2.3." in ran.errors
    other = fairlead("plugins", "new", "explainer", "taken", "--directory", str(tmp_path / "new"))
    assert other.status == 0


def test_the_next_commands_are_printed(fairlead: Command, tmp_path: Path) -> None:
    ran = fairlead("plugins", "new", "storage", "x", "--directory", str(tmp_path / "made" / "here"))
    folder = tmp_path / "made" / "here" / "fairlead-storage-x"
    assert folder.is_dir()
    for command in (f"cd {folder}", "pip install --editable '.[test]'", "pytest", "fairlead plugins inspect storage:x"):
        assert f"\n  {command}\n" in ran.output


# -- what it is worth -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy has read of libraries, so that it reads them once."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x", "my-long-framework-name"])
@kinds
def test_generated_code_passes_ruff_and_mypy_strict(tmp_path: Path, types: Path, kind: Kind, name: str) -> None:
    made = scaffold.write(kind, name, tmp_path)
    tool(made, "ruff", "check", "--no-cache", ".")
    tool(made, "ruff", "format", "--no-cache", "--check", ".")
    tool(made, "mypy", "--cache-dir", str(types), "src", "tests")


@pytest.mark.slow
@kinds
def test_a_generated_plugin_installs_passes_its_tests_and_satisfies_the_doctor(tmp_path: Path, kind: Kind) -> None:
    made = scaffold.write(kind, "fresh", tmp_path)
    installed = tmp_path / "installed"
    offline = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation")
    tool(made, "pip", "install", *offline, "--target", str(installed), ".")
    seen = {"PYTHONPATH": str(installed)}
    tested = tool(made, "pytest", "-p", "no:cacheprovider", **seen)
    assert " passed" in tested.stdout
    inspected = tool(made, "fairlead.cli.main", "plugins", "inspect", f"{kind}:fresh", **seen)
    assert f"{kind} fresh, of fairlead-{kind}-fresh 0.1.0" in inspected.stdout
    diagnosed = subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", "plugins", "doctor"],
        env={**os.environ, **seen, "FAIRLEAD_PLUGINS": f"{kind}:fresh"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert diagnosed.stdout.startswith("All is well: 1 plugin checked"), diagnosed.stdout + diagnosed.stderr


@pytest.mark.slow
def test_the_templates_are_in_the_wheel(tmp_path: Path) -> None:
    source = Path(scaffold.__file__).parents[3]
    tool(source, "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), ".")
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".tmpl")}
    templates = (source / "src" / "fairlead" / "cli" / "templates").rglob("*.tmpl")
    assert packed == {str(path.relative_to(source / "src")) for path in templates}
    assert packed
