"""``fairlead serve`` goes on in an environment of its own where a model asks for packages that are not installed."""

from __future__ import annotations

import functools
import http.server
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fairlead_tests import packages
from integration.processes import ServerProcess, served

MODEL = """
import numpy as np
import tinyfactor

from fairlead import CustomModel


class Times(CustomModel):
    def predict(self, x: np.ndarray) -> np.ndarray:
        return x * tinyfactor.FACTOR
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Shows the files of a folder."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class has
        """Say nothing."""


def model(folder: Path, requirements: str = "tinyfactor>=1\n") -> Path:
    made = folder / "times"
    made.mkdir(parents=True)
    (made / "model.py").write_text(MODEL)
    (made / "requirements.txt").write_text(requirements)
    return made


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """An index beside the usual ones that has the package, and a cache of environments for all tests here."""
    if not packages.index_has("hatchling", "numpy"):
        pytest.skip("the package index does not answer, and Fairlead's own dependencies cannot be had")
    folder = tmp_path_factory.mktemp("packages")
    packages.wheel(folder / "links", "tinyfactor", "1.5", code="FACTOR = 3\n")
    return {"UV_FIND_LINKS": str(folder / "links"), "FAIRLEAD_CACHE": str(folder / "cache")}


@pytest.fixture(scope="module")
def isolated(environ: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with served(model(tmp_path_factory.mktemp("model")), environ=environ) as running:
        yield running


def ask(running: ServerProcess) -> object:
    return running.client.post("/v1/models/times:predict", json={"instances": [[2.0]]}).json()


def python_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()


def refused(*arguments: str | Path, environ: Mapping[str, str]) -> str:
    """What a server prints that does not start."""
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", "--http-port", "0", *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    return done.stderr


@pytest.mark.slow
def test_a_model_with_requirements_is_served_in_an_environment_of_its_own(isolated: ServerProcess) -> None:
    assert ask(isolated) == {"predictions": [[6.0]]}
    assert "/environments/" in python_of(isolated.process.pid)
    said = "".join(isolated.lines)
    assert "environment of its own, with tinyfactor>=1 (asked for by the model)" in said
    assert "Making an environment" in said


@pytest.mark.slow
def test_the_environment_is_kept_and_workers_run_in_it(
    isolated: ServerProcess, environ: Mapping[str, str], tmp_path: Path
) -> None:
    with served(model(tmp_path), ["--workers", "2"], environ) as again:
        assert ask(again) == {"predictions": [[6.0]]}
        assert python_of(again.process.pid) == python_of(isolated.process.pid)
        said = "".join(again.lines)
        assert "Making an environment" not in said
        assert said.count("environment of its own") == 1
        assert again.end(signal.SIGTERM) == 0


@pytest.mark.slow
def test_a_package_that_cannot_be_had_is_an_error_with_what_uv_says(environ: Mapping[str, str], tmp_path: Path) -> None:
    said = refused(model(tmp_path, "tinyfactor>=2\n"), environ=environ)
    assert "An environment with tinyfactor>=2 (asked for by the model) cannot be made." in said
    assert "only tinyfactor==1.5 is available" in " ".join(said.split()) or "tinyfactor<=1.5" in said
    assert "--isolate off" in said


@pytest.mark.slow
def test_a_package_without_a_wheel_is_not_built(environ: Mapping[str, str], tmp_path: Path) -> None:
    links = tmp_path / "links"
    packages.source(links, "tinysource", "1.0", setup=f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    said = refused(model(tmp_path, "tinysource\n"), environ={**environ, "UV_FIND_LINKS": str(links)})
    assert "no usable wheels" in said
    assert "not built from source" in said
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_model_from_elsewhere_is_fetched_first_where_its_runtime_may_ask_for_packages(
    isolated: ServerProcess, environ: Mapping[str, str], tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "times.tar.gz", "w:gz") as archive:
        archive.add(model(tmp_path), arcname=".")
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/times.tar.gz"
            with served(address, ["--format", "python"], environ) as running:
                assert ask(running) == {"predictions": [[6.0]]}
                assert python_of(running.process.pid) == python_of(isolated.process.pid)
            assert "No module named 'tinyfactor'" in refused(address, environ=environ)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("requirements", "arguments", "reason"),
    [
        ("tinyfactor\n", ["--isolate", "off"], "No module named 'tinyfactor'"),
        ("--index-url https://example.org/simple\n", [], "option of pip's"),
        ("tinyfactor @ https://example.org/t.whl\n", [], "where the package comes from"),
        ("tinyfactor\n", ["--unpickling", "deny"], "unpickling policy permits no packages"),
    ],
)
def test_what_may_not_be_installed_is_refused_before_anything_runs(
    tmp_path: Path, requirements: str, arguments: list[str], reason: str
) -> None:
    cache = tmp_path / "cache"
    said = refused(model(tmp_path, requirements), *arguments, environ={"FAIRLEAD_CACHE": str(cache)})
    assert reason in said
    assert not cache.exists()


def test_without_uv_the_error_says_what_to_install(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    site = os.pathsep.join(each for each in sys.path if each.endswith("site-packages") or "/src" in each)
    command = [str(python), "-m", "fairlead.cli.main", "serve", str(model(tmp_path)), "--http-port", "0"]
    environ = {**os.environ, "PYTHONPATH": site, "PATH": "/nowhere", "FAIRLEAD_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "made with uv, which is not installed" in done.stderr
    assert "pip install 'fairlead[local]'" in done.stderr
    assert "pip install 'tinyfactor>=1'" in done.stderr


def test_a_model_whose_packages_are_installed_runs_here(tmp_path: Path) -> None:
    made = model(tmp_path, "numpy\n")
    (made / "model.py").write_text(MODEL.replace("tinyfactor.FACTOR", "2").replace("import tinyfactor\n", ""))
    with served(made, environ={"FAIRLEAD_CACHE": str(tmp_path / "cache")}) as running:
        assert ask(running) == {"predictions": [[4.0]]}
        assert python_of(running.process.pid) == sys.executable
