"""The folder of a platform: where it is, that one platform has it, and what it finds there after a sudden end."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.local import jsonfiles, processes
from fairlead.local.folder import Folder
from fairlead_tests.local.homes import home

Environ = dict[str, str]

SLEEPER = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.{how}); print('up', flush=True); time.sleep(600)"
)


@pytest.fixture
def environ() -> Iterator[Environ]:
    with home() as made:
        yield made


@pytest.fixture
def folder(environ: Environ) -> Iterator[Folder]:
    made = Folder(environ=environ)
    made.acquire()
    yield made
    made.release()


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(script: str = SLEEPER.format(how="SIG_DFL"), **variables: str) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **variables},
        )
        started.append(made)
        assert made.stdout is not None
        assert made.stdout.readline() == "up\n"
        return made

    yield begin
    for each in started:
        each.kill()
        each.wait()
        assert each.stdout is not None
        each.stdout.close()


# -- where it is -----------------------------------------------------------------------------------------


def test_state_is_below_the_users_home_and_sockets_below_the_runtime_folder(environ: Environ) -> None:
    folder = Folder("edge", environ={"HOME": "/home/me", "XDG_RUNTIME_DIR": environ["XDG_RUNTIME_DIR"]})
    assert folder.state == Path("/home/me/.local/state/fairlead/edge")
    assert folder.runtime.is_relative_to(Path(environ["XDG_RUNTIME_DIR"], "fairlead"))


def test_the_usual_state_has_the_shortest_runtime_folder() -> None:
    environ = {"HOME": pwd.getpwuid(os.getuid()).pw_dir}
    assert Folder("edge", environ=environ).runtime == Path(f"/tmp/fairlead-{os.getuid()}/edge")


def test_xdg_and_fairlead_variables_say_where_the_state_is() -> None:
    assert Folder(environ={"XDG_STATE_HOME": "/x", "HOME": "/h"}).state == Path("/x/fairlead/default")
    assert Folder(environ={"XDG_STATE_HOME": "x", "HOME": "/h"}).state == Path("/h/.local/state/fairlead/default")
    assert Folder(environ={"XDG_STATE_HOME": "/x", "FAIRLEAD_STATE": "/s"}).state == Path("/s/default")


def test_platforms_of_one_name_with_different_states_have_different_sockets() -> None:
    one, other = (Folder(environ={"FAIRLEAD_STATE": path}) for path in ("/one", "/other"))
    assert one.control != other.control


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a-", "../a", "a/b", "a.b", "a" * 33, "ä", "a\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="is no name of a platform"):
        Folder(name, environ={})


def test_a_runtime_folder_too_long_for_sockets_is_not_used(environ: Environ) -> None:
    long = Path(environ["XDG_RUNTIME_DIR"], "x" * 90)
    long.mkdir()
    folder = Folder(environ={**environ, "XDG_RUNTIME_DIR": str(long)})
    assert folder.runtime.is_relative_to(f"/tmp/fairlead-{os.getuid()}")


def test_the_runtime_folder_of_another_user_is_not_used(environ: Environ) -> None:
    theirs = Path(environ["XDG_RUNTIME_DIR"], "theirs")
    theirs.mkdir()
    if os.getuid() == 0:
        os.chown(theirs, 12345, 12345)
    else:
        theirs = Path("/proc")
    folder = Folder(environ={**environ, "XDG_RUNTIME_DIR": str(theirs)})
    assert folder.runtime.is_relative_to(f"/tmp/fairlead-{os.getuid()}")


def test_folders_are_this_users_alone(folder: Folder, environ: Environ) -> None:
    made = [folder.state, folder.runtime, folder.runtime.parent, Path(environ["XDG_RUNTIME_DIR"], "fairlead")]
    assert {stat.S_IMODE(each.stat().st_mode) for each in made} == {0o700}


def test_a_link_in_place_of_the_runtime_folder_is_refused(environ: Environ, tmp_path: Path) -> None:
    Path(environ["XDG_RUNTIME_DIR"], "fairlead").symlink_to(tmp_path)
    with pytest.raises(errors.ConfigurationError, match="it is a link"):
        Folder(environ=environ).acquire()
    assert not list(tmp_path.iterdir())


def test_a_link_in_place_of_the_platforms_own_folder_is_refused(environ: Environ, tmp_path: Path) -> None:
    folder = Folder(environ=environ)
    folder.runtime.parent.mkdir(mode=0o700, parents=True)
    Path(environ["XDG_RUNTIME_DIR"], "fairlead").chmod(0o700)
    folder.runtime.symlink_to(tmp_path)
    with pytest.raises(errors.ConfigurationError, match="it is a link"):
        folder.prepare()


def test_a_runtime_folder_that_others_may_write_to_is_refused(environ: Environ) -> None:
    shared = Path(environ["XDG_RUNTIME_DIR"], "fairlead")
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(errors.ConfigurationError, match="others may write to it"):
        Folder(environ=environ).prepare()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_runtime_folder_of_another_user_is_refused(environ: Environ) -> None:
    theirs = Path(environ["XDG_RUNTIME_DIR"], "fairlead")
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 12345, 12345)
    with pytest.raises(errors.ConfigurationError, match="belongs to another user"):
        Folder(environ=environ).prepare()


def test_a_file_in_place_of_the_state_is_an_error_with_a_remedy(environ: Environ) -> None:
    Path(environ["FAIRLEAD_STATE"]).write_text("")
    with pytest.raises(errors.ConfigurationError, match=r"cannot be made: .*FAIRLEAD_STATE"):
        Folder(environ=environ).acquire()


# -- one platform of a name ------------------------------------------------------------------------------


def test_a_second_platform_of_a_name_is_refused_with_the_first_ones_process_and_address(
    folder: Folder, environ: Environ
) -> None:
    folder.announce("127.0.0.1:8080")
    with pytest.raises(errors.ConfigurationError) as refused:
        Folder(environ=environ).acquire()
    assert f"process {os.getpid()}, on 127.0.0.1:8080" in refused.value.reason
    assert "--name" in str(refused.value.remedy)


def test_platforms_of_two_names_run_side_by_side(folder: Folder, environ: Environ) -> None:
    other = Folder("other", environ=environ)
    other.acquire()
    assert other.holder() is not None
    assert other.control != folder.control
    other.release()
    assert other.holder() is None
    assert folder.holder() is not None


def test_a_name_is_free_again_once_its_process_is_killed(
    environ: Environ, start: Callable[..., subprocess.Popen[str]]
) -> None:
    script = (
        "from fairlead.local.folder import Folder; import time;"
        "Folder().acquire(); print('up', flush=True); time.sleep(600)"
    )
    holder = start(script, **environ)
    folder = Folder(environ=environ)
    found = folder.holder()
    assert found is not None
    assert found.pid == holder.pid
    holder.kill()
    holder.wait()
    assert folder.holder() is None
    folder.acquire()
    folder.release()


def test_processes_of_a_platform_do_not_keep_its_name(
    folder: Folder, environ: Environ, start: Callable[..., subprocess.Popen[str]]
) -> None:
    start()
    folder.release()
    assert Folder(environ=environ).holder() is None


def test_a_platform_that_has_not_said_who_it_is_counts(folder: Folder, environ: Environ) -> None:
    (folder.state / "lock").write_text("{half")
    found = Folder(environ=environ).holder()
    assert str(found) == "starting"


def test_asking_who_runs_makes_no_folder(environ: Environ) -> None:
    folder = Folder(environ=environ)
    assert folder.holder() is None
    assert not folder.state.exists()


# -- processes -------------------------------------------------------------------------------------------


def test_what_a_killed_platform_left_is_ended_and_named(
    folder: Folder, environ: Environ, start: Callable[..., subprocess.Popen[str]]
) -> None:
    left = start()
    folder.record(left.pid, "default/iris-predictor-00001-abcde")
    after = Folder(environ=environ)
    assert [str(each) for each in after.clean()] == [f"default/iris-predictor-00001-abcde (process {left.pid})"]
    assert left.wait() == -signal.SIGTERM
    assert Folder(environ=environ).leftovers() == []


def test_what_ignores_the_request_to_end_is_killed(
    folder: Folder, environ: Environ, start: Callable[..., subprocess.Popen[str]]
) -> None:
    left = start(SLEEPER.format(how="SIG_IGN"))
    folder.record(left.pid)
    Folder(environ=environ).clean(patience=0.05)
    assert left.wait() == -signal.SIGKILL


def test_the_members_of_a_group_end_with_the_process_that_leads_it(
    folder: Folder, environ: Environ, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    child = tmp_path / "child"
    script = (
        "import pathlib, subprocess, sys, time;"
        "made = subprocess.Popen([sys.executable, '-c', 'import signal, time;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)'],"
        "stdout=subprocess.PIPE);"
        "made.stdout.readline();"
        f"pathlib.Path({str(child)!r}).write_text(str(made.pid));"
        "print('up', flush=True); time.sleep(600)"
    )
    folder.record(start(script).pid)
    member = processes.identify(int(child.read_text()))
    assert member is not None
    Folder(environ=environ).clean(patience=0.2)
    assert not member.alive


def test_a_process_that_was_given_the_number_of_another_is_never_ended(
    folder: Folder, environ: Environ, start: Callable[..., subprocess.Popen[str]]
) -> None:
    somebody = start()
    folder.record(somebody.pid)
    file = folder.state / "processes.json"
    (entry,) = json.loads(file.read_text())
    born = entry["birth"].rpartition("/")
    entry["birth"] = f"{born[0]}/{int(born[2]) - 1}"
    file.write_text(json.dumps([entry]))
    after = Folder(environ=environ)
    assert after.leftovers() == []
    assert after.clean() == []
    assert somebody.poll() is None


def test_a_number_of_another_start_of_the_machine_is_nobodys(start: Callable[..., subprocess.Popen[str]]) -> None:
    found = processes.identify(start().pid)
    assert found is not None
    before = dataclasses.replace(found, birth=found.birth.replace(found.birth[:8], "00000000", 1))
    assert found.alive
    assert not before.alive
    assert processes.end([before], 0.0) == []
    assert found.alive


def test_a_process_is_the_same_after_it_became_another_program(start: Callable[..., subprocess.Popen[str]]) -> None:
    script = (
        "import os, sys; print('up', flush=True); sys.stdin.readline();"
        f"os.execv(sys.executable, [sys.executable, '-c', {SLEEPER.format(how='SIG_DFL')!r}])"
    )
    made = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert made.stdin is not None
    assert made.stdout is not None
    try:
        assert made.stdout.readline() == "up\n"
        before = processes.identify(made.pid)
        made.stdin.write("\n")
        made.stdin.flush()
        assert made.stdout.readline() == "up\n"
        assert before is not None
        assert before.alive
    finally:
        made.kill()
        made.wait()
        made.stdin.close()
        made.stdout.close()


def test_processes_are_told_apart_and_ended_where_there_is_no_proc_too(
    start: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = start()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "darwin")
        found = processes.identify(made.pid)
        assert found is not None
        assert found.alive
        assert not dataclasses.replace(found, birth=f"{found.birth}0").alive
        assert processes.end([found], 5.0) == [found]
        assert processes.identify(made.pid) is None
    assert made.wait() == -signal.SIGTERM


def test_a_process_that_was_not_recorded_in_time_is_known_by_its_mark(
    folder: Folder, environ: Environ, start: Callable[..., subprocess.Popen[str]]
) -> None:
    left, other = start(**folder.mark), start(**Folder("other", environ=environ).mark)
    assert [each.pid for each in Folder(environ=environ).clean()] == [left.pid]
    assert other.poll() is None


def test_a_process_that_has_ended_is_forgotten(
    folder: Folder, environ: Environ, start: Callable[..., subprocess.Popen[str]]
) -> None:
    one, other = start(), start()
    folder.record(one.pid)
    folder.record(other.pid)
    folder.forget(one.pid)
    assert [each.pid for each in Folder(environ=environ).leftovers()] == [other.pid]


def test_a_process_that_ended_before_it_was_recorded_is_not_recorded(
    folder: Folder, start: Callable[..., subprocess.Popen[str]]
) -> None:
    gone = start()
    gone.kill()
    gone.wait()
    folder.record(gone.pid)
    assert folder.leftovers() == []


@pytest.mark.parametrize("text", ["", "[", "{}", "[1, {}, null]", '[{"pid": 1, "birth": "x"}]', '[{"pid": "1"}]', "\0"])
def test_a_broken_list_of_processes_ends_nobody(folder: Folder, text: str) -> None:
    (folder.state / "processes.json").write_text(text)
    assert folder.clean() == []


def test_the_folders_of_replicas_go_and_their_logs_stay(folder: Folder) -> None:
    kept = folder.log("default", "iris-predictor-00001-abcde")
    kept.write_text("x")
    old = folder.log("default", "iris-predictor-00001-zzzzz")
    old.write_text("x")
    os.utime(old, (0, 0))
    place = folder.replica("default", "iris-predictor-00001-abcde")
    place.mkdir()
    folder.clean()
    assert kept.exists()
    assert not old.exists()
    assert not place.exists()


# -- files -----------------------------------------------------------------------------------------------


def test_what_is_kept_is_there_in_another_life(folder: Folder, environ: Environ) -> None:
    folder.save_json("service.default.iris", {"a": [1, None, "ä"]})
    after = Folder(environ=environ)
    assert after.load_json("service.default.iris") == {"a": [1, None, "ä"]}
    after.remove_json("service.default.iris")
    assert after.load_json("service.default.iris") is None


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe", b"[" * 100_000, b"nonsense"])
def test_a_broken_file_is_set_aside_with_a_warning(
    folder: Folder, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (folder.state / "revisions.json").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert folder.load_json("revisions") is None
    assert "is set aside as revisions.json.broken" in caplog.text
    assert (folder.state / "revisions.json.broken").read_bytes() == content
    folder.save_json("revisions", 1)
    assert folder.load_json("revisions") == 1


def test_a_file_that_cannot_be_read_is_ignored_with_a_warning(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    (folder.state / "revisions.json").mkdir()
    with caplog.at_level(logging.WARNING):
        assert folder.load_json("revisions") is None
    assert "cannot be read, and is ignored" in caplog.text


def test_a_full_disk_is_an_error_and_what_was_kept_stays(tmp_path: Path) -> None:
    file = tmp_path / "revisions.json"
    jsonfiles.save(file, "small", durable=True)
    script = (
        "import resource, signal, sys, pathlib;"
        "from fairlead import errors; from fairlead.local import jsonfiles;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    jsonfiles.save(pathlib.Path(sys.argv[1]), 'x' * 100000, durable=True)\n"
        "except errors.StateNotSaved as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, check=True)
    assert "revisions.json cannot be written: File too large. Make room on the disk" in done.stdout
    assert jsonfiles.load(file) == "small"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_is_gone_is_an_error_that_can_be_shown(folder: Folder) -> None:
    (folder.state / "lock").unlink()
    folder.state.rmdir()
    with pytest.raises(errors.StateNotSaved, match="cannot be written"):
        folder.save_json("revisions", 1)
