from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.dummy import DummyClassifier

from fairlead import errors
from fairlead.local.replicas import distributions
from fairlead.local.replicas.environments import Environments
from fairlead.local.replicas.needs import Need
from fairlead.plugins import Plugins
from fairlead.resolve.observation import ReplicaStage
from fairlead_tests import packages
from fairlead_tests.local.replicas.making import running, serving, tools

LIBRARY = "scikit-learn"
INSTALLED = distributions.installed(LIBRARY)
OTHER = "1.7.2"


def need(version: str) -> Need:
    """Another version of the library than the installed one."""
    return Need(
        requirements=(f"{LIBRARY}=={version}",),
        distributions=("fairlead-runtime-sklearn",),
        what=f"{LIBRARY} {version}",
        remedy="See that it is there.",
    )


def environments(cache: Path, **fields: str) -> Environments:
    return Environments(Plugins.discover(), cache=cache, **fields)  # type: ignore[arg-type]  # uv alone


@pytest.mark.parametrize(
    ("version", "wanted", "noted"),
    [
        (None, (), ""),
        (INSTALLED, (), ""),
        ("1.5.2", (f"{LIBRARY}==1.5.2",), ""),
        ("1.6rc1", (f"{LIBRARY}==1.6rc1",), ""),
        ("latest", (), "no version of scikit-learn"),
        ("v0.14.0", (), "no version of scikit-learn"),
        ("1.5.2-gpu", (), "no version of scikit-learn"),
    ],
)
def test_a_runtime_version_is_one_of_the_runtimes_library(
    tmp_path: Path, version: str | None, wanted: tuple[str, ...], noted: str
) -> None:
    model = serving(tmp_path, "file:///m", runtime_version=version).model
    found, note = environments(tmp_path).needs.of_version(model)
    assert (found.requirements if found else ()) == wanted
    assert found is None or found.distributions == ("fairlead-runtime-sklearn",)
    assert noted in note
    assert bool(note) is bool(noted)


def test_containers_of_ones_own_need_no_environment(tmp_path: Path) -> None:
    assert environments(tmp_path).needs.of_version(None) == (None, "")


def test_what_is_installed_from_a_folder_is_installed_from_there_again() -> None:
    editable, argument = distributions.requirement("fairlead-runtime-sklearn")
    folder = distributions.editable_folder("fairlead-runtime-sklearn")
    assert folder is not None
    assert editable == "--editable"
    assert argument.partition("[")[0] == str(folder)
    assert "pandas" in argument
    assert distributions.requirement("joblib") == (f"joblib=={joblib.__version__}",)


def uv_that_says(folder: Path, script: str) -> str:
    path = folder / "uv"
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(script))
    path.chmod(0o755)
    return str(path)


def test_an_environment_that_cannot_be_made_is_told_with_uvs_last_lines_and_removed(tmp_path: Path) -> None:
    uv = uv_that_says(tmp_path, "import sys\nprint('no such version of scikit-learn')\nsys.exit(2)\n")
    made = tools(environments=environments(tmp_path / "cache", uv=uv), backoff=60, max_backoff=60)
    wanted = serving(tmp_path, str(model(tmp_path)), runtime_version="1.0.0")

    async def scenario() -> None:
        async with running(wanted, made) as (replica, changes):
            await changes.until(lambda: replica.observation.stage is ReplicaStage.FAILED)
            seen = replica.observation
            assert seen.reason == "EnvironmentFailed"
            assert "scikit-learn 1.0.0 cannot be made" in seen.message
            assert "no such version of scikit-learn" in seen.message
            assert "runtimeVersion" in seen.message
            assert "no such version" in wanted.logs.read_text()

    asyncio.run(scenario())
    assert not [path for path in (tmp_path / "cache" / "environments").iterdir() if path.is_dir()]


def test_an_environment_is_made_once_whoever_asks(tmp_path: Path) -> None:
    uv = uv_that_says(
        tmp_path,
        """
        import pathlib, sys
        if sys.argv[1] == "venv":
            python = pathlib.Path(sys.argv[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
            with pathlib.Path(__file__).with_name("calls").open("a") as calls:
                calls.write("made\\n")
        """,
    )

    async def scenario() -> None:
        several = [environments(tmp_path / "cache", uv=uv) for _ in range(3)]
        found = await asyncio.gather(*(each.python(need("1.0.0"), lambda _line: None) for each in several))
        assert len(set(found)) == 1
        assert await environments(tmp_path / "cache").python(need("1.0.0"), lambda _line: None) == found[0]
        assert await several[0].python(need("1.0.1"), lambda _line: None) != found[0]

    asyncio.run(scenario())
    assert (tmp_path / "calls").read_text() == "made\n" * 2


def test_an_environment_that_is_given_up_half_way_is_made_anew(tmp_path: Path) -> None:
    uv = uv_that_says(tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(1000)\n")

    async def scenario() -> None:
        said = asyncio.Event()
        making = asyncio.ensure_future(
            environments(tmp_path / "cache", uv=uv).python(
                need("1.0.0"), lambda line: said.set() if line == "up" else None
            )
        )
        await said.wait()
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        with pytest.raises(errors.ConfigurationError, match="cannot be made"):
            await environments(tmp_path / "cache", uv="false").python(need("1.0.0"), lambda _line: None)

    asyncio.run(scenario())


def test_an_artefact_of_another_version_is_known_without_loading_it(tmp_path: Path) -> None:
    path = model(tmp_path) / "model.joblib"
    wanted = serving(tmp_path, str(path))

    needs = environments(tmp_path).needs
    assert needs.recorded(wanted.model, path.parent) is None
    path.write_bytes(path.read_bytes().replace(str(INSTALLED).encode(), b"1.2.3"))
    found = needs.recorded(wanted.model, path.parent)
    assert found is not None
    assert found.requirements == (f"{LIBRARY}==1.2.3",)
    assert found.without == f"The model was saved with {LIBRARY} 1.2.3 and runs with {INSTALLED}:"
    assert needs.recorded(wanted.model, path) == found
    asked = serving(tmp_path, str(path), runtime_version=INSTALLED).model
    assert needs.recorded(asked, path) is None
    assert needs.recorded(wanted.model, None) is None


def test_a_model_whose_version_cannot_be_had_runs_with_the_installed_one_and_says_so(tmp_path: Path) -> None:
    path = model(tmp_path) / "model.joblib"
    made = tools(environments=environments(tmp_path / "cache", uv="false"))
    # The same length, so that the pickle stays whole.
    path.write_bytes(path.read_bytes().replace(str(INSTALLED).encode(), b"1.0.0"))

    async def scenario() -> None:
        async with running(serving(tmp_path, str(path)), made) as (replica, changes):
            await changes.until(lambda: replica.ready)
            assert any("was saved with scikit-learn 1.0.0" in note for note in replica.notes)

    asyncio.run(scenario())


def model(folder: Path) -> Path:
    path = folder / "iris" / "model.joblib"
    path.parent.mkdir()
    joblib.dump(DummyClassifier().fit([[0.0]], [1]), path)
    return path.parent


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_of_another_library_version_runs_in_an_environment_of_its_own(tmp_path: Path) -> None:
    if not packages.index_has(f"{LIBRARY}=={OTHER}", "hatchling"):
        pytest.skip(f"the package index has no {LIBRARY} {OTHER}, or does not answer")
    uri = model(tmp_path)

    async def served(**fields: Any) -> str:
        """The version of the library in the environment that serves the model."""
        made = tools(
            environments=Environments(Plugins.discover(), cache=tmp_path / "cache", environ=packages.environ())
        )
        async with running(serving(tmp_path, str(uri), **fields), made) as (replica, changes):
            ended = (ReplicaStage.READY, ReplicaStage.FAILED)
            await changes.until(lambda: replica.observation.stage in ended, patience=500)
            assert replica.ready, replica.observation.message
            return version_in(replica.pid)

    assert asyncio.run(served(runtime_version=OTHER)) == OTHER
    assert asyncio.run(served(runtime_version=OTHER)) == OTHER
    assert (tmp_path / "logs" / "replica.log").read_text().count("Making an environment") == 1
    (python,) = (tmp_path / "cache" / "environments").glob("*/bin/python")
    save = "import joblib, sys, sklearn.dummy as d; joblib.dump(d.DummyClassifier().fit([[0.0]], [1]), sys.argv[1])"
    subprocess.run([python, "-c", save, uri / "model.joblib"], check=True)
    assert asyncio.run(served()) == OTHER
    assert asyncio.run(served(runtime_version=INSTALLED)) == INSTALLED


def version_in(pid: int | None) -> str:
    python = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    shown = "import sklearn, sys; sys.stdout.write(sklearn.__version__)"
    return subprocess.run([python, "-c", shown], capture_output=True, text=True, check=True).stdout
