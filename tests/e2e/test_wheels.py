"""Built wheels in a fresh environment: what users install, without the source tree and without a package index."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import joblib
import numpy as np
import pytest
from sklearn.svm import SVC

from architecture import workspace
from e2e import venvs
from integration.processes import served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BROKEN_PROJECT: Final = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "fairlead-runtime-broken"
version = "0.1.0"
dependencies = ["fairlead>=0.1,<0.2"]

[project.entry-points."fairlead.runtimes"]
broken = "fairlead_runtime_broken._plugin"
"""
BROKEN_PLUGIN: Final = """\
'''A plugin that does not survive its own import.'''

raise RuntimeError("the driver is missing")
"""


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment that sees libraries and no source tree.

    Attributes:
        python: its interpreter.
        wheels: the folder of wheels that it installs from.
    """

    python: Path
    wheels: Path

    def install(self, *distributions: str) -> None:
        command = [str(venvs.UV), "pip", "install", "--quiet", "--no-deps", "--no-index"]
        command += ["--python", str(self.python), "--find-links", str(self.wheels), *distributions]
        done = subprocess.run(command, env=venvs.environ(self.python), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, script: str, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a script of the environment, in a folder that is not the source tree."""
        return subprocess.run(
            [self.python.with_name(script), *arguments],
            cwd=cwd or self.wheels,
            env=venvs.environ(self.python),
            capture_output=True,
            text=True,
            check=False,
        )

    def fairlead(self, *arguments: str | Path) -> str:
        done = self.run("fairlead", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def plugins(self) -> dict[str, dict[str, Any]]:
        listed = json.loads(self.fairlead("plugins", "list", "--json"))["plugins"]
        return {plugin["id"]: plugin for plugin in listed}


Build: TypeAlias = "Callable[[Path], Path]"


def build(folder: Path, wheels: Path) -> Path:
    """Build the wheel of a distribution; without isolation, so that nothing is fetched."""
    made = wheels / f".{folder.name}"
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(made), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = made.iterdir()
    return wheel.rename(wheels / wheel.name)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of every distribution of the workspace."""
    folder = tmp_path_factory.mktemp("wheels")
    for distribution in workspace.distribution_folders():
        build(distribution, folder)
    return folder


@pytest.fixture
def environment(wheels: Path, tmp_path: Path) -> Environment:
    """An environment with the core and the scikit-learn runtime."""
    made = Environment(venvs.over_libraries(tmp_path / "venv"), wheels)
    made.install("fairlead", "fairlead-runtime-sklearn")
    return made


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    path = tmp_path / "points.joblib"
    joblib.dump(SVC().fit([[0.0, 0.0], [1.0, 1.0]], [0, 1]), path)
    return path


def predictions(environment: Environment, model: Path, instances: Any) -> Any:
    """What the model answers over V1, served by the environment's own command."""
    with served(model, python=str(environment.python)) as server:
        name = model.name.partition(".")[0]
        return server.client.post(f"/v1/models/{name}:predict", json={"instances": instances}).json()["predictions"]


@pytest.mark.parametrize("folder", workspace.distribution_folders(), ids=workspace.shown)
def test_a_wheel_holds_its_whole_package_and_nothing_else(folder: Path, wheels: Path) -> None:
    (package,) = (path.parent for path in (folder / "src").glob("*/__init__.py"))
    (wheel,) = wheels.glob(f"{package.name}-*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(folder / "src").as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == sources
    assert f"{package.name}/py.typed" in names
    if package.name == "fairlead":
        assert any(name.endswith(".tmpl") for name in names)


def test_what_the_wheels_require_is_installed(environment: Environment) -> None:
    checked = environment.run("python", "-m", "pip", "check")
    lines = checked.stdout.splitlines()
    assert lines, checked.stderr
    assert [line for line in lines if line.startswith("fairlead")] == []


def test_the_plugins_of_the_wheels_are_found_without_the_source_tree(environment: Environment) -> None:
    found = environment.plugins()
    assert sorted(found) == ["runtime:python", "runtime:sklearn", "storage:file", "storage:http"]
    assert {plugin["state"] for plugin in found.values()} == {"available"}
    script = "import fairlead, fairlead_runtime_sklearn as s; print(fairlead.__file__); print(s.__file__)"
    places = environment.run("python", "-c", script).stdout.splitlines()
    assert len(places) == 2
    assert all(environment.python.parents[1] in Path(place).parents for place in places)


def test_the_wheels_serve_a_model(environment: Environment, iris: Path) -> None:
    assert predictions(environment, iris, [[1.0, 0.9], [0.1, 0.0]]) == [1, 0]


FRAMEWORKS: Final = (
    *("sklearn", "xgboost", "catboost", "onnxruntime", "torch", "tensorflow", "paddle", "mlflow", "pandas"),
    *("shap", "captum", "alibi", "fastapi"),
)
"""What one server needs little of; the last is the server's own library, to show that it would be found."""


def test_the_wheel_of_one_runtime_brings_no_other_framework_and_serves(wheels: Path, tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    names = ("fairlead", "fairlead-runtime-lightgbm")
    environment = Environment(venvs.over_libraries(tmp_path / "venv", required_by=names), wheels)
    environment.install(*names)
    look = "import importlib.util as u, sys; print(*[each for each in sys.argv[1:] if u.find_spec(each)])"
    found = environment.run("python", "-c", look, "lightgbm", *FRAMEWORKS)
    assert found.stdout.split() == ["lightgbm", "fastapi"], found.stderr
    model = tmp_path / "steps.bst"
    places = np.arange(100.0)
    data = lightgbm.Dataset(places.reshape(-1, 1), places >= 50)
    booster = lightgbm.train({"verbosity": -1, "min_data_in_leaf": 5}, data, num_boost_round=3)
    booster.save_model(model)
    low, high = predictions(environment, model, [[10.0], [90.0]])
    assert [low, high] == booster.predict(np.array([[10.0], [90.0]])).tolist()
    assert low < high


def test_a_new_plugin_builds_installs_passes_its_tests_and_serves(environment: Environment, tmp_path: Path) -> None:
    environment.fairlead("plugins", "new", "runtime", "foo", "--directory", tmp_path)
    folder = tmp_path / "fairlead-runtime-foo"
    environment.install(str(build(folder, tmp_path)))
    assert environment.plugins()["runtime:foo"]["state"] == "available"
    tested = environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert environment.fairlead("plugins", "doctor").startswith("All is well: 5 plugins checked")
    model = tmp_path / "model.foo.json"
    model.write_text('{"coefficients": [0.5, 2.0], "intercept": 1.0}')
    assert predictions(environment, model, [[1.0, 2.0], [0.0, 0.0]]) == [5.5, 1.0]


def test_a_plugin_that_raises_at_import_is_explained_and_breaks_nothing_else(
    environment: Environment, iris: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    package = folder / "fairlead_runtime_broken"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(BROKEN_PROJECT)
    (package / "__init__.py").write_text("")
    (package / "_plugin.py").write_text(BROKEN_PLUGIN)
    environment.install(str(build(folder, tmp_path)))
    assert environment.plugins()["runtime:broken"]["state"] == "broken"
    diagnosed = environment.run("fairlead", "plugins", "doctor")
    assert diagnosed.returncode == 1
    assert "raises RuntimeError: the driver is missing" in diagnosed.stdout
    assert "fairlead_runtime_broken/_plugin.py, line 3" in diagnosed.stdout
    assert predictions(environment, iris, [[1.0, 0.9]]) == [1]
