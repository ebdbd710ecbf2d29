"""A runtime that reads files while they arrive, from a real HTTP server that waits for it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fairlead import Artifact, ModelFormat, RuntimeSpec, errors
from fairlead.engine import selection
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.testing import running_server
from fairlead_tests.plugins.distributions import Site, planted
from fairlead_tests.storage.server import Server, serving
from fairlead_tests.waiting import eventually

HALF = 2 << 20
HELD = 5 << 19

PLUGIN = """
from fairlead import ModelFormat, RuntimeSpec, hookimpl

@hookimpl
def fairlead_runtimes():
    return [
        RuntimeSpec(
            name={name!r},
            formats=(ModelFormat({name!r}),),
            factory="{package}.work:Work",
            artifacts=("*.slow",),
            reads_early=True,
        )
    ]
"""

WORK = """
import os
from pathlib import Path

from fairlead import Datatype, InferResponse, Model, ModelMetadata, Runtime, Tensor, TensorSpec, errors


def note(what):
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(what + "\\n")


class Scaling(Model):
    metadata = ModelMetadata(platform="slow", inputs=(TensorSpec("x", Datatype.FP64, (-1, 2)),))

    def __init__(self, factor):
        self.factor = factor

    def predict(self, request):
        return InferResponse(model_name="", outputs=[Tensor.from_numpy("y", request.inputs[0].data * self.factor)])

    def unload(self):
        note("unloaded")


class Work(Runtime):
    def load(self, artifact, settings):
        with artifact.open("model.slow") as file:
            file.read(2 << 20)
            note("read")
            file.seek(-1, os.SEEK_END)
            factor = file.read(1)[0]
        if factor == 255:
            raise errors.ModelLoadError("This is no factor.")
        note("loaded")
        return Scaling(factor)
"""


def content(factor: int) -> bytes:
    return os.urandom((4 << 20) - 1) + bytes([factor])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = planted(tmp_path, monkeypatch)
    site.install("slow", plugin=PLUGIN, work=WORK)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("FAIRLEAD_CACHE", str(tmp_path / "cache"))
    yield site
    site.forget()


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    del site  # the runtime is installed
    with serving() as server:
        yield server


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[], list[str]]:
    path = tmp_path / "notes"
    return lambda: path.read_text().splitlines() if path.exists() else []


Notes = Callable[[], list[str]]


class Gate:
    """Lets the second half of a file pass once the runtime has read the first."""

    def __init__(self, server: Server, notes: Notes, before: Callable[[], None] = lambda: None) -> None:
        self._notes = notes
        self._before = before
        self._lock = threading.Lock()
        self.waited = False
        server.faults.on_chunk = self._sent

    def _sent(self, sent: int) -> None:
        with self._lock:
            if sent < HELD or self.waited:
                return
            with contextlib.suppress(AssertionError):
                eventually(lambda: "read" in self._notes(), 20)
                self.waited = True
                self._before()


def ask(client: httpx.Client) -> object:
    return client.post("/v1/models/m:predict", json={"instances": [[1.0, 2.0]]}).json()["predictions"]


# -- loading ------------------------------------------------------------------------------------------------


def test_a_load_begins_while_the_file_arrives(server: Server, notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate(server, notes)
    with caplog.at_level("INFO", "fairlead.models"), running_server({"m": server.put("/model.slow", content(3))}) as it:
        assert gate.waited
        assert ask(it.client) == [[3.0, 6.0]]
    assert notes() == ["read", "loaded", "unloaded"]
    assert "model m: runtime slow, because of model.slow, while its files arrive" in caplog.messages


def test_a_file_that_is_not_what_it_should_be_never_makes_a_model_ready(server: Server, notes: Notes) -> None:
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    server.faults.headers = {"Repr-Digest": f"sha-256=:{wrong}:"}
    gate = Gate(server, notes)
    with (
        pytest.raises(errors.IntegrityError, match="has the sha256 digest"),
        running_server({"m": server.put("/model.slow", content(3))}),
    ):
        pass
    assert gate.waited
    eventually(lambda: notes() == ["read", "loaded", "unloaded"])


def test_a_model_that_is_read_wrong_because_of_wrong_bytes_is_loaded_again(server: Server, notes: Notes) -> None:
    right = content(3)
    digest = base64.b64encode(hashlib.sha256(right).digest()).decode()
    uri = server.put("/model.slow", right[:-1] + bytes([255]))
    server.faults.headers = {"Repr-Digest": f"sha-256=:{digest}:"}
    gate = Gate(server, notes)
    server.faults.before_get = lambda: server.files.update({"/model.slow": right}) if gate.waited else None
    with running_server({"m": uri}) as it:
        assert ask(it.client) == [[3.0, 6.0]]
    assert notes() == ["read", "read", "loaded", "unloaded"]


def test_a_model_whose_file_changes_while_it_is_read_is_loaded_again_of_the_whole(server: Server, notes: Notes) -> None:
    uri = server.put("/model.slow", content(3))
    server.faults.truncate_at = 3 << 20
    Gate(server, notes, lambda: server.files.update({"/model.slow": content(5)}))
    with running_server({"m": uri}) as it:
        assert ask(it.client) == [[5.0, 10.0]]
    assert notes() == ["read", "read", "loaded", "unloaded"]


def test_why_a_model_does_not_load_is_told_once_its_files_are_verified(server: Server, notes: Notes) -> None:
    uri = server.put("/model.slow", content(255))
    Gate(server, notes)
    with pytest.raises(errors.ModelLoadError, match="This is no factor"), running_server({"m": uri}):
        pass
    assert notes() == ["read"]


# -- where nothing arrives early ----------------------------------------------------------------------------


def test_a_model_in_the_cache_is_read_the_same_way(server: Server, notes: Notes) -> None:
    uri = server.put("/model.slow", content(3))
    Fetcher(Plugins.discover()).fetch(uri)
    server.requests.clear()
    with running_server({"m": uri}) as it:
        assert ask(it.client) == [[3.0, 6.0]]
    assert server.methods() == ["HEAD"]
    assert notes()[:2] == ["read", "loaded"]


def test_a_model_of_a_source_without_tags_is_fetched_first(server: Server, notes: Notes) -> None:
    server.faults.no_etag = True
    before: list[str] = []
    server.faults.on_chunk = lambda _sent: before.extend(notes())
    with running_server({"m": server.put("/model.slow", content(3))}) as it:
        assert ask(it.client) == [[3.0, 6.0]]
    assert before == []


def test_models_that_are_loaded_one_at_a_time_are_fetched_first(server: Server, notes: Notes) -> None:
    before: list[str] = []
    server.faults.on_chunk = lambda _sent: before.extend(notes())
    with running_server({"m": server.put("/model.slow", content(3))}, model_memory_budget=1 << 30) as it:
        assert ask(it.client) == [[3.0, 6.0]]
    assert before == []


# -- choosing by names --------------------------------------------------------------------------------------


def spec(name: str, *patterns: str, priority: int = 1, recognises: str | None = None) -> RuntimeSpec:
    formats = (ModelFormat(name, priority=priority),)
    return RuntimeSpec(
        name=name, formats=formats, factory="module:Class", artifacts=patterns, recognises=recognises, reads_early=True
    )


FOLDERS, SLOW, LOW = spec("folders", "saved/"), spec("slow", "*.slow"), spec("low", "*.slow", priority=0)
LOOKS = spec("looks", "*.slow", recognises="module:function")


@pytest.mark.parametrize(
    ("names", "runtimes"),
    [
        (["model.slow", "a/b.slow"], [SLOW, LOW, FOLDERS]),
        (["saved/a", "saved/b/c", "other"], [SLOW, FOLDERS]),
    ],
    ids=["files", "folders"],
)
def test_the_runtime_that_names_tell_is_the_one_that_the_files_tell(
    names: list[str], runtimes: list[RuntimeSpec], tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    known = {each.name: each for each in runtimes}
    early, late = selection.by_names(names, known), selection.choose(Artifact(path=tmp_path, uri=""), known)
    assert early is not None
    assert early.spec is late.spec


@pytest.mark.parametrize(
    ("names", "runtimes"),
    [
        (["model.slow"], [SLOW, LOOKS]),
        (["model.slow"], [SLOW, spec("other", "*.slow")]),
        (["saved"], [FOLDERS]),
        ([".hidden.slow", "a/model.slow"], [SLOW]),
    ],
    ids=["one looks into files", "several fit", "a file and no folder", "nothing fits"],
)
def test_where_names_do_not_tell_the_files_are_awaited(names: list[str], runtimes: list[RuntimeSpec]) -> None:
    assert selection.by_names(names, {each.name: each for each in runtimes}) is None


def test_a_runtime_that_is_named_needs_no_look_into_files() -> None:
    choice = selection.by_names(["model.slow"], {"looks": LOOKS, "slow": SLOW}, "looks")
    assert choice is not None
    assert choice.spec is LOOKS
    assert selection.by_names(["model.slow"], {"slow": SLOW}, "unknown") is None


# -- the command --------------------------------------------------------------------------------------------


def test_fairlead_serve_begins_to_load_while_the_file_arrives(
    server: Server, notes: Notes, site: Site, tmp_path: Path
) -> None:
    gate = Gate(server, notes)
    uri = server.put("/model.slow", content(3))
    arguments = ["serve", uri, "--name", "m", "--http-port", "0", "--enable-grpc", "false", "--format", "slow"]
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "fairlead.cli.main", *arguments], stderr=log, env=environment
        ) as running,
    ):
        try:
            eventually(lambda: "ready on http://" in (tmp_path / "log").read_text() or running.poll() is not None)
            said = (tmp_path / "log").read_text()
            with httpx.Client(base_url=said.partition("ready on ")[2].partition(": m")[0], trust_env=False) as client:
                assert ask(client) == [[3.0, 6.0]]
        finally:
            running.terminate()
    assert gate.waited
    assert "model m: runtime slow, because it was asked for, while its files arrive" in said
