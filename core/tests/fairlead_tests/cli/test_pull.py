"""``fairlead pull``: what it prints, where it puts a model, and how it fails."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.storage import eviction
from fairlead_tests.storage.server import CHUNK, Server, contents, serving

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command

SCRIPT = Path(sys.executable).with_name("fairlead")
CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("FAIRLEAD_STORAGE_NETWORK", "FAIRLEAD_STORAGE_SCHEMES", "FAIRLEAD_STORAGE_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FAIRLEAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_path_of_each_model_is_printed(fairlead: Command, server: Server) -> None:
    ran = fairlead("pull", server.put("/a.bin", b"a"), server.put("/b.bin", b"b"))
    assert ran.status == 0
    assert [contents(Path(line)) for line in ran.output.splitlines()] == [{"a.bin": b"a"}, {"b.bin": b"b"}]


def test_models_are_printed_as_json(fairlead: Command, server: Server) -> None:
    uri = server.put("/a.bin", b"a")
    ran = fairlead("pull", f"{uri}?signature=secret", "--json", "--progress", "none")
    (found,) = json.loads(ran.output)
    assert (ran.status, found["uri"], ran.errors) == (0, uri, "")
    assert contents(Path(found["path"])) == {"a.bin": b"a"}


def test_a_model_is_put_into_a_folder(fairlead: Command, server: Server, tmp_path: Path) -> None:
    uri = server.put("/model.bin", CONTENT)
    for _ in range(2):
        ran = fairlead("pull", uri, "--to", str(tmp_path / "place"))
        assert (ran.status, ran.output) == (0, f"{tmp_path / 'place'}\n")
        assert contents(tmp_path / "place") == {"model.bin": CONTENT}
    assert server.methods().count("GET") == 1


def test_an_archive_is_unpacked_into_a_folder(fairlead: Command, server: Server, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("1/model.bin")
        info.size = len(CONTENT)
        archive.addfile(info, io.BytesIO(CONTENT))
    assert fairlead("pull", server.put("/m.tgz", out.getvalue()), "--to", str(tmp_path / "place")).status == 0
    assert contents(tmp_path / "place") == {"1/model.bin": CONTENT}


def test_a_local_model_is_used_in_place_or_copied(fairlead: Command, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.bin").write_bytes(CONTENT)
    assert fairlead("pull", str(tmp_path / "model")).output == f"{tmp_path / 'model'}\n"
    assert fairlead("pull", str(tmp_path / "model"), "--to", str(tmp_path / "place")).status == 0
    (tmp_path / "place" / "m.bin").write_bytes(b"changed")
    assert (tmp_path / "model" / "m.bin").read_bytes() == CONTENT


def test_what_is_in_the_folder_by_that_name_is_replaced_only_by_force(
    fairlead: Command, server: Server, tmp_path: Path
) -> None:
    uri, place = server.put("/model.bin", CONTENT), tmp_path / "place"
    (place / "model.bin").mkdir(parents=True)
    (place / "model.bin" / "mine.txt").write_text("mine")
    ran = fairlead("pull", uri, "--to", str(place), "--progress", "none")
    assert ran.status == 2
    assert f"{place} has a model.bin already" in ran.errors
    assert (place / "model.bin" / "mine.txt").read_text() == "mine"
    assert fairlead("pull", uri, "--to", str(place), "--force").status == 0
    assert contents(place) == {"model.bin": CONTENT}


def test_a_fetch_that_fails_has_no_end(fairlead: Command, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_STORAGE_RETRIES", "0")
    server.faults.truncate_at, server.faults.truncate_always, server.faults.no_etag = 1000, True, True
    ran = fairlead("pull", server.put("/model.bin", CONTENT), "--progress", "json")
    events = [json.loads(line)["event"] for line in ran.errors.splitlines() if line.startswith("{")]
    assert (ran.status, events[0], "end" in events) == (1, "begin", False)


def test_a_variable_that_is_misspelt_is_told(
    fairlead: Command, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAIRLEAD_STORAGE_MAXRATE", "1MB")
    assert fairlead("pull", server.put("/model.bin", CONTENT), "--progress", "none").status == 0
    assert "the variable FAIRLEAD_STORAGE_MAXRATE has no effect; did you mean FAIRLEAD_STORAGE_MAX_RATE?" in caplog.text


def test_a_digest_is_compared(fairlead: Command, server: Server) -> None:
    uri = server.put("/model.bin", CONTENT)
    assert fairlead("pull", f"{uri}#sha256={hashlib.sha256(CONTENT).hexdigest()}").status == 0
    ran = fairlead("pull", f"{uri}#sha256={'0' * 64}", "--progress", "none")
    assert (ran.status, ran.output) == (1, "")
    assert "should have 000" in ran.errors


def test_progress_is_shown_as_lines_or_as_json_on_standard_error(fairlead: Command, server: Server) -> None:
    uri = server.put("/model.bin", CONTENT)
    ran = fairlead("pull", uri, "--progress", "json")
    lines = [json.loads(line) for line in ran.errors.splitlines()]
    assert (lines[0]["event"], lines[-1]["event"]) == ("begin", "end")
    assert (lines[-1]["bytes"], lines[-1]["total"], lines[-1]["uri"]) == (len(CONTENT), len(CONTENT), uri)
    ran = fairlead("pull", server.put("/other.bin", CONTENT[::-1]), "--progress", "lines")
    assert "fetched 500.0 KiB" in ran.errors


def test_what_is_not_there_is_told_with_status_one_and_what_came_before_stays(
    fairlead: Command, server: Server
) -> None:
    ran = fairlead("pull", server.put("/a.bin", b"a"), f"{server.url}/missing", "--progress", "none")
    assert ran.status == 1
    assert len(ran.output.splitlines()) == 1
    assert ran.errors.startswith("error: ")
    assert "404" in ran.errors


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a", "b", "--to", "x"), "--to takes one model."),
        (("a", "--progress", "dots"), "invalid choice: 'dots'"),
        ((), "the following arguments are required: uri"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(fairlead: Command, arguments: tuple[str, ...], expected: str) -> None:
    ran = fairlead("pull", *arguments)
    assert (ran.status, ran.output) == (2, "")
    assert expected in ran.errors


def test_a_variable_that_cannot_be_read_is_a_usage_error(fairlead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_STORAGE_DEADLINE", "soon")
    ran = fairlead("pull", "http://127.0.0.1/x")
    assert ran.status == 2
    assert "FAIRLEAD_STORAGE_DEADLINE: 'soon' is not a number of seconds." in ran.errors


def test_the_bound_of_the_cache_is_kept(
    fairlead: Command, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([SCRIPT, "pull", server.put("/a.bin", CONTENT)], capture_output=True, check=True)
    monkeypatch.setenv("FAIRLEAD_CACHE_MAX_BYTES", "600KB")
    ran = fairlead("pull", server.put("/b.bin", CONTENT[::-1]))
    assert [entry.folder for entry in eviction.entries(cache)] == [Path(ran.output.strip())]


def test_a_place_that_is_a_file_is_refused(fairlead: Command, server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    ran = fairlead("pull", server.put("/a.bin", b"a"), "--to", str(tmp_path / "file"), "--progress", "none")
    assert (ran.status, ran.output) == (1, "")
    assert "is not a folder" in ran.errors


def test_an_address_for_a_folder_is_refused(fairlead: Command, tmp_path: Path) -> None:
    ran = fairlead("pull", str(tmp_path), "--to", "s3://models/iris")
    assert (ran.status, ran.output) == (2, "")
    assert "s3://models/iris is an address" in ran.errors


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("htps://host/model.joblib", "Did you mean https://"),
        ("http:/host/model.joblib", "Did you mean http://host/model.joblib?"),
        ("file:/no/such/model", "Did you mean file:///no/such/model?"),
        ("gopher://host/model", "by convention named fairlead-storage-gopher"),
        ("pvc://claim/model", "a volume of a cluster"),
    ],
)
def test_an_address_that_nothing_takes_says_what_may_be_meant(fairlead: Command, uri: str, said: str) -> None:
    ran = fairlead("pull", uri)
    assert (ran.status, ran.output) == (1, "")
    assert said in ran.errors


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_pull_ends_quietly_and_the_next_one_goes_on(server: Server, cache: Path) -> None:
    uri = server.put("/model.bin", CONTENT)
    held, go_on = threading.Event(), threading.Event()

    def wait(sent: int) -> None:
        if sent >= 6 * CHUNK:
            for _ in range(3000):
                if any(path.stat().st_size for path in cache.rglob("files/model.bin")):
                    break
                go_on.wait(0.01)
            held.set()
            go_on.wait(30)

    server.faults.on_chunk = wait
    running = subprocess.Popen([SCRIPT, "pull", uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert held.wait(30)
        running.send_signal(signal.SIGINT)
        output, complaints = running.communicate(timeout=20)
    finally:
        go_on.set()
    assert (running.returncode, output) == (130, "")
    assert "Traceback" not in complaints
    server.faults.on_chunk = None
    done = subprocess.run([SCRIPT, "pull", uri], capture_output=True, text=True, check=True)
    assert contents(Path(done.stdout.strip())) == {"model.bin": CONTENT}
    assert "bytes=" in server.requests[-1].headers.get("Range", "")
