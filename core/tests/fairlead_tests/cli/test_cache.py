"""``fairlead cache``: what it shows, finds and removes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.plugins import Plugins
from fairlead.storage import eviction
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_tests.storage.server import Server, serving

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command

SIZE = 500_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAIRLEAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAIRLEAD_CACHE_MAX_BYTES", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def used(cache: Path) -> Callable[[str], Path]:
    """Fetch a file of this name, and go on using it."""
    fetcher = Fetcher(Plugins.discover(), FetchSettings(cache=cache), SilentProgress())

    def fetch(name: str) -> Path:
        with serving() as server:
            return fetcher.fetch(_put(server, name)).path

    return fetch


@pytest.fixture
def held(cache: Path) -> Callable[[str], Path]:
    """Fetch a file of this name, and let nobody use it."""

    def fetch(name: str) -> Path:
        fetcher = Fetcher(Plugins.discover(), FetchSettings(cache=cache), SilentProgress())
        with serving() as server:
            artifact = fetcher.fetch(_put(server, name))
        fetcher.close()
        return artifact.path

    return fetch


def _put(server: Server, name: str) -> str:
    return server.put(f"/{name}", os.urandom(SIZE))


def test_an_empty_cache_says_so(fairlead: Command, cache: Path) -> None:
    for _ in range(2):
        assert fairlead("cache", "ls").output == f"Nothing was fetched into {cache}.\n"
        assert json.loads(fairlead("cache", "ls", "--json").output) == {"cache": str(cache), "bytes": 0, "entries": []}
        assert fairlead("cache", "verify").output == "0 of 0 are what was fetched.\n"
        assert fairlead("cache", "prune", "--all").output == "Removed 0; 0 got free, 0 are kept.\n"
        cache.mkdir(exist_ok=True)


def test_what_was_fetched_is_listed(
    fairlead: Command, held: Callable[[str], Path], used: Callable[[str], Path], cache: Path
) -> None:
    first, second = held("a.bin"), used("b.bin")
    ran = fairlead("cache", "ls")
    header, *rows = [line.split("  ") for line in ran.output.splitlines() if "://" in line or line.startswith("URI")]
    assert [each.strip() for each in header if each.strip()] == ["URI", "STATE", "SIZE", "USED"]
    assert [row[0].rpartition("/")[2] for row in rows] == ["b.bin", "a.bin"]  # the one used last comes first
    assert "ready, in use" in ran.output
    assert "488.3 KiB" in ran.output
    assert ran.output.splitlines()[-1].endswith(f"in {cache}")
    found = json.loads(fairlead("cache", "ls", "--json").output)
    assert {entry["path"]: (entry["state"], entry["in_use"], entry["bytes"]) for entry in found["entries"]} == {
        str(first): ("ready", False, SIZE),
        str(second): ("ready", True, SIZE),
    }


def test_verify_tells_what_is_damaged_with_status_one(fairlead: Command, held: Callable[[str], Path]) -> None:
    held("good.bin")
    assert fairlead("cache", "verify").status == 0
    bad = held("bad.bin") / "bad.bin"
    bad.chmod(0o644)
    bad.write_bytes(bytes(SIZE))
    ran = fairlead("cache", "verify")
    assert ran.status == 1
    assert ran.output.splitlines()[-1] == "1 of 2 are what was fetched; 1 damaged."
    (line,) = [line for line in ran.output.splitlines() if line.startswith("damaged")]
    assert line.endswith("/bad.bin (bad.bin)")
    found = json.loads(fairlead("cache", "verify", "--json").output)
    assert sorted((each["damaged"], each["removed"]) for each in found) == [([], False), (["bad.bin"], False)]


def test_verify_removes_what_is_damaged_and_not_in_use(
    fairlead: Command, held: Callable[[str], Path], used: Callable[[str], Path]
) -> None:
    paths = [held("a.bin") / "a.bin", used("b.bin") / "b.bin"]
    for path in paths:
        path.chmod(0o644)
        path.write_bytes(b"short")
    ran = fairlead("cache", "verify", "--remove")
    assert ran.status == 1
    assert ran.output.splitlines()[-1] == "0 of 2 are what was fetched; 2 damaged, 1 removed, 1 in use and kept."
    assert [path.exists() for path in paths] == [False, True]


def test_prune_keeps_so_much_of_what_was_used_last(fairlead: Command, held: Callable[[str], Path], cache: Path) -> None:
    paths = [held(name) for name in ("a.bin", "b.bin", "c.bin")]
    for number, path in enumerate(paths):
        os.utime(path.parents[1] / "record.json", (number, number))
    ran = fairlead("cache", "prune", "--keep", "1.1MB")
    assert ran.status == 0
    assert ran.output.startswith("Removed 1; ")
    assert [path.exists() for path in paths] == [False, True, True]
    ran = fairlead("cache", "prune", "--all", "--json")
    assert json.loads(ran.output)["removed"] == 2
    assert eviction.entries(cache) == []


def test_prune_never_removes_what_is_in_use_and_names_it(fairlead: Command, used: Callable[[str], Path]) -> None:
    path = used("a.bin")
    ran = fairlead("cache", "prune", "--all")
    assert ran.status == 0
    assert ran.output.startswith("Removed 0; ")
    assert "In use, and kept: http://" in ran.output
    assert path.exists()


def test_prune_takes_its_bound_from_the_environment(
    fairlead: Command, held: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    held("a.bin")
    ran = fairlead("cache", "prune")
    assert (ran.status, ran.output) == (2, "")
    assert "FAIRLEAD_CACHE_MAX_BYTES" in ran.errors
    monkeypatch.setenv("FAIRLEAD_CACHE_MAX_BYTES", "1KB")
    assert fairlead("cache", "prune").output.startswith("Removed 1; ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("prune", "--keep", "much"), "--keep: 'much' is not a number of bytes."),
        (("prune", "--keep", "1GB", "--all"), "not allowed with argument"),
        (("empty",), "invalid choice: 'empty'"),
        ((), "the following arguments are required: <verb>"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(fairlead: Command, arguments: tuple[str, ...], expected: str) -> None:
    ran = fairlead("cache", *arguments)
    assert (ran.status, ran.output) == (2, "")
    assert expected in ran.errors


def test_a_cache_that_may_only_be_read_is_listed_and_cannot_be_pruned(held: Callable[[str], Path], cache: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root may mount a file system")
    path = held("a.bin")
    script = (
        'mount --bind "$FAIRLEAD_CACHE" "$FAIRLEAD_CACHE" && mount -o remount,ro,bind "$FAIRLEAD_CACHE" && '
        '"$0" cache ls && "$0" cache verify && "$0" cache prune --all'
    )
    command = ["unshare", "-m", "sh", "-c", script, str(Path(sys.executable).with_name("fairlead"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "/a.bin" in done.stdout
    assert "1 of 1 are what was fetched." in done.stdout
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: The cache {cache} cannot be used: ")
    assert "Read-only file system" in done.stderr
    assert path.exists()
