"""What the Containerfile runs: wheels of the plugins that are named, and an environment of them for each image."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from architecture import workspace
from e2e import venvs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT: Final = workspace.ROOT / "operator" / "images" / "assemble.sh"
PLUGINS: Final = ("runtimes/sklearn", "storage/s3", "autoscalers/hpa")
CORE: Final = {"runtime:python", "storage:file", "storage:http"}
OFFLINE: Final = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "SOURCE_DATE_EPOCH": "1577836800"}


def assemble(*arguments: str | Path) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    command = [shell, str(SCRIPT), *map(str, arguments)]
    environ = {**os.environ, **OFFLINE}
    done = subprocess.run(command, cwd=workspace.ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    assemble("wheels", sys.executable, folder, *PLUGINS)
    return folder


@pytest.mark.parametrize(
    ("target", "program", "plugins"),
    [
        ("server", "fairlead", {"runtime:sklearn"}),
        ("storage-initializer", "fairlead-storage-initializer", {"storage:s3"}),
        ("operator", "fairlead-operator", {"storage:s3", "autoscaler:hpa"}),
    ],
)
def test_an_image_has_its_program_and_the_plugins_that_it_needs(
    wheels: Path, tmp_path: Path, target: str, program: str, plugins: set[str]
) -> None:
    python = venvs.over_libraries(tmp_path / "venv")
    assemble("install", python, wheels, target, *PLUGINS)
    assert python.with_name(program).exists()
    listed = subprocess.run(
        [python.with_name("fairlead"), "plugins", "list"],
        env=venvs.environ(python),
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split() for line in listed.stdout.splitlines()[1:] if line.endswith("available")]
    assert {f"{kind}:{name}" for kind, name, *_ in rows} == CORE | plugins


def test_the_same_tree_makes_the_same_wheels(wheels: Path, tmp_path: Path) -> None:
    assemble("wheels", sys.executable, tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(made) == 2
    assert made == {name: (wheels / name).read_bytes() for name in made}
