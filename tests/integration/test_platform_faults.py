"""Faults: what is killed, breaks, hangs or lies is told, and all is well again when the cause is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.local.folder import Folder
from fairlead_tests.waiting import eventually
from integration.platforms import Platform, constant, isvc, platform
from integration.servers import custom

JUMPING_CLOCK = """
import sys
import time

if "up" in sys.argv or "up" in getattr(sys, "orig_argv", []):
    real = time.time

    def jumping():
        try:
            with open({offset!r}) as file:
                return real() + float(file.read() or 0)
        except OSError:
            return real()

    time.time = jumping
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    with platform(folder / "manifests") as made:
        yield made


@contextlib.contextmanager
def asked(running: Platform, name: str) -> Iterator[Counter[str]]:
    """Clients that ask all the time; what became of each request, once the block has ended."""
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answer = running.ask(name)
            except httpx.TransportError as error:
                outcomes[type(error).__name__] += 1
            else:
                outcomes[str(answer.status_code)] += 1

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        try:
            yield outcomes
        finally:
            stop.set()
        for each in asking:
            each.result(60)


def events(running: Platform, name: str) -> dict[str, str]:
    return {each["reason"]: each["message"] for each in running.view(name).get("events", [])}


def is_started_again(running: Platform, name: str) -> bool:
    return any(each["restarts"] for each in running.replicas(name))


def answers(running: Platform, name: str) -> bool:
    """Whether it does, of a platform whose gateway may not listen yet."""
    with contextlib.suppress(httpx.TransportError):
        return running.ask(name).status_code == 200
    return False


def children(running: Platform) -> dict[int, str]:
    """The processes that the platform started itself."""
    pid = running.process.pid
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):  # it has ended since
            found[int(child)] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
    return found


def child(running: Platform, what: str) -> int:
    (found,) = [pid for pid, command in children(running).items() if what in command]
    return found


def test_a_killed_replica_is_told_and_started_again(running: Platform, tmp_path: Path) -> None:
    running.declare(custom("frail", tmp_path / "frail"), "frail.yaml")
    running.wait_ready("frail")
    (before,) = running.replicas("frail")
    with asked(running, "frail") as outcomes:
        eventually(lambda: outcomes["200"] > 20)
        os.kill(before["pid"], signal.SIGKILL)
        eventually(lambda: "InferenceServiceNotReady" in events(running, "frail") or is_started_again(running, "frail"))
        with asked(running, "frail") as later:
            eventually(lambda: is_started_again(running, "frail") and running.is_ready("frail"))
            eventually(lambda: later["200"] > 20)
    # Those that it was computing on are lost with it, and those that came before the platform knew; the others waited.
    assert set(outcomes) <= {"200", "503", "504"}, outcomes
    assert set(later) == {"200"}, later


def test_a_killed_gateway_is_started_again(running: Platform, tmp_path: Path) -> None:
    running.declare(custom("gated", tmp_path / "gated"), "gated.yaml")
    running.wait_ready("gated")
    with asked(running, "gated") as outcomes:
        eventually(lambda: outcomes["200"] > 20)
        os.kill(child(running, "envoy"), signal.SIGKILL)
        eventually(lambda: "GatewayEnded" in events(running, "gated") and running.is_ready("gated"))
        reached = outcomes["200"]
        eventually(lambda: outcomes["200"] > reached + 20)


def test_a_killed_activator_is_started_again(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "held"
    annotations = {"autoscaling.knative.dev/target-burst-capacity": "-1"}  # always in the path
    running.declare(custom("held", folder, annotations=annotations), "held.yaml")
    running.wait_ready("held")
    with asked(running, "held") as outcomes:
        eventually(lambda: outcomes["200"] > 20)
        os.kill(child(running, "fairlead.local.activator"), signal.SIGKILL)
        eventually(lambda: "ActivatorEnded" in events(running, "held"))
        reached = outcomes["200"]
        eventually(lambda: outcomes["200"] > reached + 20)
    assert set(outcomes) <= {"200", "503"}, outcomes


def test_a_model_that_never_loads_says_why_and_heals(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "late"
    folder.mkdir()
    (folder / "model.joblib").write_bytes(b"this is no pickle")
    running.declare(isvc("late", folder), "late.yaml")
    seen: list[dict[str, Any]] = []

    def has_failed() -> bool:
        seen[:] = [running.status("late")]  # one look: another attempt may begin before the next
        conditions = {each["type"]: each["status"] for each in seen[0].get("conditions", [])}
        transition = seen[0].get("modelStatus", {}).get("transitionStatus")
        return (conditions.get("PredictorReady"), transition) == ("False", "BlockedByFailedLoad")

    eventually(has_failed)
    assert seen[0]["modelStatus"]["lastFailureInfo"]["reason"] == "ModelLoadFailed"
    assert "model.joblib" in running.run("describe", "late")
    constant(folder, 5.0)
    running.wait_ready("late")
    assert running.ask("late").json() == {"predictions": [5.0]}


def test_a_server_that_ends_at_once_is_told_with_its_last_words(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "broken").touch()
    running.declare(custom("broken", folder), "broken.yaml")
    eventually(lambda: running.condition("broken", "PredictorReady").get("status") == "False")
    assert "the weights are of another model" in running.run("describe", "broken")
    assert running.ask("broken").status_code == 503
    (folder / "broken").unlink()
    running.wait_ready("broken")


def test_a_model_that_hangs_is_given_up_by_its_timeout_and_others_answer(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "hung"
    running.declare(custom("hung", folder, timeout=1), "hung.yaml")
    running.declare(custom("well", tmp_path / "well"), "well.yaml")
    running.wait_ready("hung")
    running.wait_ready("well")
    (folder / "slow").touch()
    for _ in range(3):
        answer = running.ask("hung")
        assert (answer.status_code, "error" in answer.json()) == (504, True)
    assert running.ask("well").status_code == 200
    eventually(lambda: running.condition("hung").get("reason") == "NotAnswering")
    (folder / "slow").unlink()
    eventually(lambda: running.ask("hung").status_code == 200)  # the first may be late on a busy machine
    running.wait_ready("hung")


def test_two_services_of_one_name_are_an_error_and_what_runs_goes_on(running: Platform, tmp_path: Path) -> None:
    running.declare(custom("single", tmp_path / "one"), "single.yaml")
    running.wait_ready("single")
    running.declare(custom("single", tmp_path / "two"), "twice.yaml")
    eventually(lambda: any("declared more than once" in line for line in running.lines))
    assert running.ask("single").status_code == 200
    (running.folder / "twice.yaml").unlink()


@pytest.mark.parametrize("text", ["a: &a [x]\nb: &b [*a,*a,*a,*a]\n", "x" * 4_000_000, "\0", "[" * 100_000])
def test_a_file_that_is_no_manifest_changes_nothing(running: Platform, text: str, tmp_path: Path) -> None:
    running.declare(custom("steady", tmp_path / "steady"), "steady.yaml")
    running.wait_ready("steady")
    before = len(running.lines)
    running.declare(text, "bomb.yaml")
    eventually(lambda: any("bomb.yaml" in line for line in running.lines[before:]))
    assert running.ask("steady").status_code == 200
    (running.folder / "bomb.yaml").unlink()


def test_a_long_annotation_is_carried(running: Platform, tmp_path: Path) -> None:
    text = custom("noted", tmp_path / "noted", annotations={"example.com/note": "x" * 200_000})
    running.declare(text, "noted.yaml")
    running.wait_ready("noted")
    assert running.ask("noted").status_code == 200


def test_annotations_of_a_megabyte_are_refused_as_a_cluster_does(running: Platform, tmp_path: Path) -> None:
    text = custom("bloated", tmp_path / "bloated", annotations={"example.com/note": "x" * 1_000_000})
    running.declare(text, "bloated.yaml")
    eventually(lambda: any("bloated" in line and "annotations" in line for line in running.lines))
    assert running.view("bloated") == {}
    (running.folder / "bloated.yaml").unlink()


def test_a_model_that_ends_its_process_when_it_is_asked_is_told(running: Platform, tmp_path: Path) -> None:
    model = tmp_path / "fatal.py"
    model.write_text(
        "import os\nimport numpy as np\nfrom fairlead import CustomModel\n\n"
        "class Fatal(CustomModel):\n    def predict(self, x: np.ndarray) -> np.ndarray:\n"
        "        if x.sum() < 0:\n            os._exit(3)\n        return x\n"
    )
    running.declare(isvc("fatal", model).replace('"sklearn"', '"python"'), "fatal.yaml")
    running.wait_ready("fatal")
    assert running.ask("fatal", {"instances": [[-1.0]]}).status_code == 503
    eventually(lambda: running.replicas("fatal")[0]["restarts"] == 1)
    assert running.ask("fatal").status_code == 200
    running.wait_ready("fatal")


def test_sockets_that_a_cleaner_removes_are_made_again(running: Platform, tmp_path: Path) -> None:
    running.declare(custom("swept", tmp_path / "swept"), "swept.yaml")
    running.wait_ready("swept")
    runtime = Folder(environ=running.environ).runtime
    sockets = list(runtime.glob("*.sock"))
    assert {each.name for each in sockets} >= {"control.sock", "envoy.sock", "activator.sock"}
    for each in sockets:
        each.unlink()
    eventually(lambda: all(each.exists() for each in sockets))
    running.wait_ready("swept")
    eventually(lambda: answers(running, "swept"))


def test_a_killed_platform_leaves_nothing_and_the_next_goes_on_where_it_was(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "a.yaml").write_text(isvc("a", constant(tmp_path / "one", 1.0)))
    with platform(manifests) as made:
        made.wait_ready("a")
        left = {*children(made), *(each["pid"] for each in made.replicas("a"))}
        made.process.kill()
        made.process.wait()
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
    with platform(manifests) as made:
        made.declare(isvc("a", constant(tmp_path / "two", 2.0), canaryTrafficPercent=50), "a.yaml")
        made.wait_ready("a")

        def split() -> set[str]:
            traffic = made.status("a")["components"]["predictor"].get("traffic", [])
            return {each["revisionName"] for each in traffic if each["percent"] == 50}

        eventually(lambda: split() == {"a-predictor-00001", "a-predictor-00002"})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a full disk is made with mount(8), which needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_requests_go_on(tmp_path: Path, small_disk: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "a.yaml").write_text(custom("a", tmp_path / "a"))
    with platform(manifests, environ={"FAIRLEAD_STATE": str(small_disk / "state")}) as made:
        made.wait_ready("a")
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        made.declare(custom("a", tmp_path / "a", label="second"), "a.yaml")
        eventually(lambda: "StateNotSaved" in events(made, "a"))
        eventually(lambda: made.ask("a").json()["name"] == "second")
        filler.unlink()
        kept = small_disk / "state" / "default" / "service_default_a.json"
        eventually(lambda: json.loads(kept.read_text())["generation"] == 2)


def test_a_clock_that_jumps_takes_no_replica_away_and_makes_none(tmp_path: Path) -> None:
    """The platform's own clock, since the machine's is not ours to set."""
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "a.yaml").write_text(custom("a", tmp_path / "a"))
    jumps = tmp_path / "sitecustomize.py"
    jumps.write_text(JUMPING_CLOCK.format(offset=str(tmp_path / "offset")))
    with platform(manifests, environ={"PYTHONPATH": str(tmp_path)}) as made:
        made.wait_ready("a")
        (before,) = made.replicas("a")
        for offset in (86_400, -86_400, 0):
            (tmp_path / "offset").write_text(str(offset))
            with asked(made, "a") as outcomes:
                eventually(lambda: outcomes["200"] > 50)  # asked now
            assert set(outcomes) == {"200"}
        assert [each["pid"] for each in made.replicas("a")] == [before["pid"]]
        assert made.is_ready("a")
