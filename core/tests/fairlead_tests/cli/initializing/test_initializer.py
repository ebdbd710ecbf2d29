"""Pairs of an address and a folder: what is put there, what is left behind, and what cannot be done."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_tests.cli.initializing.running import COMMAND, Initializer, archive, fetched, refused
from fairlead_tests.storage.server import Server, contents
from fairlead_tests.waiting import eventually

MIB = 1024 * 1024  # which is what a fetch writes at once
LARGE = os.urandom(4 * MIB)


# -- arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("http://models.invalid/a",), ("a", "b", "c")])
def test_addresses_and_folders_come_in_pairs(initializer: Initializer, arguments: tuple[str, ...]) -> None:
    refused(initializer(*arguments), f"the number of arguments is {len(arguments)}", "pairs")


def test_an_address_in_the_place_of_a_folder_is_refused(initializer: Initializer, tmp_path: Path) -> None:
    refused(initializer(tmp_path / "models", "s3://models/iris"), "s3://models/iris is an address", "folder")


def test_an_option_that_there_is_not_is_refused(initializer: Initializer, target: Path) -> None:
    refused(initializer("--quiet", "http://models.invalid/a", target), "--quiet")
    assert not target.exists()


def test_its_help_tells_the_exit_statuses(initializer: Initializer) -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    assert "exit status: 0 done; 1 it may succeed when it is run again; 2" in done.stdout


def test_each_address_is_put_into_its_folder_which_is_made(
    initializer: Initializer, server: Server, tmp_path: Path
) -> None:
    iris = server.put("/iris/model.joblib", b"iris")
    packed = server.put("/penguins.tar.gz", archive({"model.joblib": b"penguins", "labels/names.txt": b"adelie"}))
    fetched(initializer(iris, tmp_path / "one", packed, tmp_path / "deep" / "two"))
    assert contents(tmp_path / "one") == {"model.joblib": b"iris"}
    assert contents(tmp_path / "deep" / "two") == {"model.joblib": b"penguins", "labels/names.txt": b"adelie"}


def test_options_may_stand_between_pairs(initializer: Initializer, server: Server, tmp_path: Path) -> None:
    one, two = server.put("/one.bin", b"1"), server.put("/two.bin", b"2")
    ran = initializer(one, tmp_path / "one", "--progress", "json", two, tmp_path / "two")
    fetched(ran)
    assert '"event": "end"' in ran.said
    assert contents(tmp_path / "two") == {"two.bin": b"2"}


def test_two_addresses_may_share_a_folder_unless_both_have_a_name(
    initializer: Initializer, server: Server, target: Path
) -> None:
    one, two = server.put("/1/model.bin", b"1"), server.put("/2/labels.txt", b"2")
    fetched(initializer(one, target, two, target))
    assert contents(target) == {"model.bin": b"1", "labels.txt": b"2"}
    again = server.put("/2/model.bin", b"3")
    refused(initializer(one, target, again, target), "model.bin", str(target), "a folder of its own")
    assert (target / "model.bin").read_bytes() == b"1"


def test_a_folder_within_another_keeps_what_is_put_there(
    initializer: Initializer, server: Server, target: Path
) -> None:
    adapter = server.put("/adapter.bin", b"1")
    plain = server.put("/plain.tar.gz", archive({"model.bin": b"2"}))
    fetched(initializer(adapter, target / "adapter", plain, target))
    assert contents(target) == {"adapter/adapter.bin": b"1", "model.bin": b"2"}
    both = server.put("/both.tar.gz", archive({"adapter/other.bin": b"3"}))
    refused(initializer(adapter, target / "adapter", both, target), f"{target / 'adapter'} is for another address")
    assert (target / "adapter" / "adapter.bin").read_bytes() == b"1"


def test_nothing_is_asked_for_before_every_address_is_known_to_have_a_provider(
    initializer: Initializer, server: Server, target: Path
) -> None:
    uri = server.put("/model.bin", b"x")
    refused(initializer(uri, target, "modelscope://org/model", target), "modelscope://")
    refused(initializer(uri, target, "pvc://claim/iris", target), "pvc://claim/iris", "mounted and not fetched")
    refused(initializer(uri, target, "<scheme-placeholder>://iris", target), "has no scheme yet")
    assert server.requests == []
    assert not target.exists()


# -- what it leaves -------------------------------------------------------------------------------------


def test_files_may_be_read_by_other_users_and_written_by_their_owner(
    initializer: Initializer, server: Server, target: Path
) -> None:
    packed = server.put("/model.tar.gz", archive({"deep/er/weights.bin": b"1", "model.json": b"{}"}))
    fetched(initializer(packed, target))
    found = {path.relative_to(target).as_posix(): path.stat().st_mode & 0o777 for path in target.rglob("*")}
    assert found == {"deep": 0o755, "deep/er": 0o755, "deep/er/weights.bin": 0o644, "model.json": 0o644}
    assert target.stat().st_mode & 0o777 == target.parent.stat().st_mode & 0o777 == 0o755


@contextlib.contextmanager
def held(server: Server) -> Iterator[None]:
    """Bodies stop after three MiB until the block ends."""
    gate = threading.Event()

    def hold(sent: int) -> None:
        if sent >= 3 * MIB:
            gate.wait(30)

    server.faults.on_chunk = hold
    try:
        yield
    finally:
        server.faults.on_chunk = None
        gate.set()


def test_a_run_that_was_killed_goes_on_on_the_volume_and_leaves_nothing_hidden(
    initializer: Initializer, server: Server, target: Path
) -> None:
    uri = server.put("/model.bin", LARGE)
    with held(server), initializer.start(uri, target) as process:
        eventually(lambda: arrived(target) >= 2 * MIB)
        assert {path.name for path in target.iterdir()} == {".fairlead"}, "nothing is there that a server could load"
        process.kill()
    server.requests.clear()
    fetched(initializer(uri, target))
    assert contents(target) == {"model.bin": LARGE}
    assert {path.name for path in target.iterdir()} == {"model.bin"}
    (asked,) = [request.headers["Range"] for request in server.requests if request.method == "GET"]
    assert int(asked.removeprefix("bytes=").partition("-")[0]) >= 2 * MIB


def test_a_signal_ends_it_at_once_and_the_next_run_goes_on(
    initializer: Initializer, server: Server, target: Path
) -> None:
    uri = server.put("/model.bin", LARGE)
    with held(server), initializer.start(uri, target) as process:
        eventually(lambda: arrived(target) >= 2 * MIB)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert said.splitlines()[-1] == f"error: {initializer.message.read_text()}"
    server.requests.clear()
    fetched(initializer(uri, target))
    assert contents(target) == {"model.bin": LARGE}
    (asked,) = [request.headers["Range"] for request in server.requests if request.method == "GET"]
    assert int(asked.removeprefix("bytes=").partition("-")[0]) >= 2 * MIB


def test_after_a_failure_the_addresses_that_were_there_are_not_fetched_again(
    initializer: Initializer, server: Server, tmp_path: Path
) -> None:
    one, two = server.put("/one.bin", b"1"), f"{server.url}/two.bin"
    refused(initializer(one, tmp_path / "one", two, tmp_path / "two"), "two.bin")
    server.put("/two.bin", b"2")
    server.requests.clear()
    fetched(initializer(one, tmp_path / "one", two, tmp_path / "two"))
    assert [request.path for request in server.requests if request.method == "GET"] == ["/two.bin"]
    assert contents(tmp_path / "one") == {"one.bin": b"1"}
    assert contents(tmp_path / "two") == {"two.bin": b"2"}


def test_what_is_in_the_folder_stays_as_it_is_and_the_same_names_are_replaced(
    initializer: Initializer, server: Server, target: Path
) -> None:
    (target / "labels").mkdir(parents=True)
    (target / "labels" / "old.txt").write_bytes(b"old")
    (target / "kept.txt").write_bytes(b"kept")
    (target / "kept.txt").chmod(0o400)
    packed = server.put("/model.tar.gz", archive({"labels/new.txt": b"new", "model.bin": b"x"}))
    fetched(initializer(packed, target))
    assert contents(target) == {"kept.txt": b"kept", "labels/new.txt": b"new", "model.bin": b"x"}
    assert (target / "kept.txt").stat().st_mode & 0o777 == 0o400


def test_with_a_cache_a_second_run_links_and_asks_only_whether_anything_changed(
    initializer: Initializer, server: Server, tmp_path: Path
) -> None:
    uri = server.put("/model.bin", LARGE)
    cache = str(tmp_path / "cache")
    fetched(initializer(uri, tmp_path / "one", FAIRLEAD_CACHE=cache))
    assert server.methods() == ["HEAD", "GET"]
    fetched(initializer(uri, tmp_path / "two", FAIRLEAD_CACHE=cache))
    assert server.methods() == ["HEAD", "GET", "HEAD"]
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == {"model.bin": LARGE}
    (kept,) = [path for path in (tmp_path / "cache" / "blobs").rglob("*") if path.is_file()]
    for folder in ("one", "two"):
        file = tmp_path / folder / "model.bin"
        # Where the file system shares blocks among files that is done instead.
        assert file.samefile(kept) or file.stat().st_mode & 0o222
        assert file.stat().st_mode & 0o444 == 0o444


def arrived(target: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in target.rglob("*") if path.is_file() and "partial" in path.parts)
    return 0


# -- what cannot be done --------------------------------------------------------------------------------


def test_a_source_that_is_away_may_be_back_and_one_that_refuses_stays(
    initializer: Initializer, server: Server, target: Path
) -> None:
    uri = server.put("/model.bin", b"x")
    server.faults.broken = [503]
    refused(initializer(uri, target), "503", status=1)
    server.faults.broken = [401]
    refused(initializer(uri, target), "401", status=2)
    refused(initializer(f"{server.url}/nothing.bin", target), "nothing.bin", status=2)


def test_the_message_has_neither_query_nor_password(initializer: Initializer, server: Server, target: Path) -> None:
    ran = initializer(f"{server.url}/nothing.bin?signature=s3cr3t", target)
    refused(ran, f"{server.url}/nothing.bin")
    assert "s3cr3t" not in ran.said
    ran = initializer(f"http://user:s3cr3t@127.0.0.1:{server.port}/nothing.bin", target)
    refused(ran)
    assert "s3cr3t" not in ran.said


def test_a_message_that_is_longer_than_kubernetes_keeps_is_cut(initializer: Initializer, target: Path) -> None:
    ran = initializer(f"pvc://{'é' * 3000}", target)
    assert ran.status == 2
    assert len(ran.message.encode()) in (4095, 4096)
    assert ran.last.startswith(f"error: {ran.message}")


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_asked_for(
    initializer: Initializer, server: Server, tmp_path: Path
) -> None:
    uri = server.put("/model.bin", b"x")
    (tmp_path / "file").write_bytes(b"")
    refused(initializer(uri, tmp_path / "file"), str(tmp_path / "file"), "Mount a volume")
    refused(initializer(uri, "/sys/models-of-a-test"), "/sys/models-of-a-test", "Mount a volume")
    assert server.requests == []


@pytest.mark.parametrize("said", ["true", "1", "True"])
def test_decryption_is_refused_before_anything_is_asked_for(
    initializer: Initializer, server: Server, target: Path, said: str
) -> None:
    refused(initializer(server.put("/model.bin", b"x"), target, CONFIDENTIAL_ENABLED=said), "CONFIDENTIAL_ENABLED")
    assert server.requests == []


def test_a_limit_that_is_no_number_is_refused(initializer: Initializer, server: Server, target: Path) -> None:
    uri = server.put("/model.bin", b"x")
    refused(initializer(uri, target, FAIRLEAD_STORAGE_MAX_BYTES="much"), "FAIRLEAD_STORAGE_MAX_BYTES")
    refused(initializer(uri, target, FAIRLEAD_STORAGE_NETWORK="public"), "127.0.0.1")
    assert server.requests == []
