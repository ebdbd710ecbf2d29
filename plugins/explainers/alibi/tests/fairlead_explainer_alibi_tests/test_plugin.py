from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from fairlead import Artifact
from fairlead_explainer_alibi import needed
from fairlead_explainer_alibi._plugin import REQUIREMENTS, SPEC

ROOM = Path(__file__).parents[2]


def pins() -> dict[str, str]:
    lines = (ROOM / "constraints.txt").read_text().split()
    return dict(line.split("==") for line in lines)


def test_what_explains_is_pinned_as_it_was_tried() -> None:
    pinned = pins()
    for line in (*REQUIREMENTS, *needed.PACKAGES):
        wanted = Requirement(line)
        assert wanted.specifier.contains(pinned[wanted.name]), line


def test_tests_and_users_get_the_same_packages() -> None:
    project = tomllib.loads((ROOM / "pyproject.toml").read_text())
    assert tuple(project["dependency-groups"]["apart"]) == REQUIREMENTS + needed.PACKAGES


def test_tensorflow_is_asked_for_by_keras_files_alone(tmp_path: Path) -> None:
    module, _, name = str(SPEC.asks).partition(":")
    asks = getattr(importlib.import_module(module), name)
    assert asks(Artifact(path=tmp_path, uri="files")) == ()
    (tmp_path / "rows.csv").touch()
    assert asks(Artifact(path=tmp_path, uri="files")) == ()
    (tmp_path / "model.keras").touch()
    for path in (tmp_path, tmp_path / "model.keras"):
        assert {Requirement(line).name for line in asks(Artifact(path=path, uri="files"))} == {
            "keras",
            "tensorflow-cpu",
        }
    assert not any(Requirement(line).name.startswith("tensorflow") for line in REQUIREMENTS)


def test_alibi_is_the_last_release_of_the_apache_license() -> None:
    assert "alibi==0.9.4" in REQUIREMENTS
    readme = (ROOM / "README.md").read_text()
    assert "Alibi 0.9.4" in readme
    assert "forbids production use" in " ".join(readme.split())


def test_the_wheel_needs_nothing_that_a_model_could_not_have() -> None:
    needed = importlib.metadata.requires("fairlead-explainer-alibi") or []
    assert {Requirement(line).name for line in needed} == {"fairlead", "numpy"}
    assert not SPEC.in_process
    assert SPEC.remote


def test_its_description_imports_neither_alibi_nor_numpy() -> None:
    code = "import fairlead_explainer_alibi._plugin, sys; sys.exit(len({'alibi', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_every_setting_is_in_the_readme() -> None:
    readme = (ROOM / "README.md").read_text()
    assert [setting.name for setting in SPEC.settings if f"| `{setting.name}` |" not in readme] == []
