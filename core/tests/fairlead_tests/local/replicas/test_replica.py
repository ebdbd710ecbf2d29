from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.dummy import DummyClassifier

from fairlead.local.replicas import probing
from fairlead.local.replicas.commands import Launch
from fairlead.local.replicas.orders import Order
from fairlead.local.replicas.probes import HttpGet, Probe
from fairlead.local.replicas.replica import Replica
from fairlead.resolve.observation import ReplicaStage
from fairlead.resolve.service import Source
from fairlead_tests.local.replicas.making import changed, order, running, script, server, serving, tools, until

READY, UNREADY, FAILED = ReplicaStage.READY, ReplicaStage.UNREADY, ReplicaStage.FAILED


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "iris" / "model.joblib"
    path.parent.mkdir()
    joblib.dump(DummyClassifier().fit([[0.0]], [1]), path)
    return path


async def failed(replica: Replica, changes: changed) -> None:
    await changes.until(lambda: replica.observation.stage is FAILED)


def test_a_model_is_fetched_served_and_ended(tmp_path: Path, model: Path) -> None:
    async def scenario() -> None:
        wanted = serving(tmp_path, f"file://{model.parent}")
        async with running(wanted, tools(monotonic=lambda: 0.0)) as (replica, changes):  # however long it takes
            await changes.until(lambda: replica.ready)
            assert [stage for stage, _ in changes.seen] == ["fetching", "starting", "ready"]
            assert replica.ports is not None
            assert replica.ports.http is not None
            ask = HttpGet(port=replica.ports.http, path="/v2/models/iris/ready")
            assert await probing.ask(Probe(action=ask), Launch(argv=(), env={})) is None
            usage = replica.usage()
            assert usage is not None
            assert usage[1] > 10_000_000
            assert replica.started_at is not None
        assert replica.observation.stage is ReplicaStage.STOPPING
        assert replica.usage() is None
        assert '"ready on http://127.0.0.1:' in replica.order.logs.read_text()

    asyncio.run(scenario())


def test_a_single_file_is_found_in_the_folder_of_the_model(tmp_path: Path, model: Path) -> None:
    async def scenario() -> None:
        async with running(serving(tmp_path, str(model))) as (replica, changes):
            await changes.until(lambda: replica.ready)

    asyncio.run(scenario())


def test_a_model_that_does_not_load_shows_its_error_and_what_to_do(tmp_path: Path) -> None:
    bad = tmp_path / "bad" / "model.joblib"
    bad.parent.mkdir()
    bad.write_text("no model")

    async def scenario() -> None:
        async with running(serving(tmp_path, str(bad.parent)), tools(backoff=60, max_backoff=60)) as (replica, changes):
            await failed(replica, changes)
            seen = replica.observation
            assert (seen.reason, seen.exit_code, seen.fetch_failed) == ("CrashLoopBackOff", 1, False)
            assert "ended with status 1" in seen.message
            assert "model.joblib does not load" in seen.message
            assert "Check that the file is whole, and" in seen.message

    asyncio.run(scenario())


def test_an_artefact_that_is_not_there_is_tried_again_until_it_is(tmp_path: Path, model: Path) -> None:
    hidden = model.parent.rename(tmp_path / "hidden")

    async def scenario() -> None:
        async with running(serving(tmp_path, f"file://{model.parent}")) as (replica, changes):
            await failed(replica, changes)
            assert (replica.observation.reason, replica.observation.fetch_failed) == ("FetchFailed", True)
            assert str(model.parent) in replica.observation.message
            hidden.rename(model.parent)
            await changes.until(lambda: replica.ready)
            assert (replica.observation.reason, replica.observation.fetch_failed) == ("", False)

    asyncio.run(scenario())


def test_what_cannot_be_honoured_is_never_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        for wanted, condition in (
            (order(tmp_path, command=["x"], pod={"initContainers": [{"name": "i"}]}), "UnsupportedField"),
            (serving(tmp_path, "pvc://claim/model"), "UnsupportedStorageUri"),
            (order(tmp_path, command=["x"], ports=[{"name": "http"}]), "InvalidPod"),
            (order(tmp_path, command=["x"], env=[{"name": "A", "valueFrom": {"secretKeyRef": {}}}]), "SecretNotFound"),
            (order(tmp_path, command=["x"], livenessProbe={"tcpSocket": {"port": "web"}}), "UnsupportedField"),
        ):
            async with running(wanted) as (replica, changes):
                await failed(replica, changes)
                assert replica.observation.reason == condition
                assert replica.started_at is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": ["/nowhere/server"]}, "/nowhere/server cannot be started"),
        ({"command": ["true"], "workingDir": "/nowhere"}, "cannot be started in /nowhere"),
    ],
)
def test_a_command_that_is_not_there_is_named(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    async def scenario() -> None:
        async with running(order(tmp_path, **fields)) as (replica, changes):
            await failed(replica, changes)
            assert replica.observation.reason == "CannotStart"
            assert said in replica.observation.message

    asyncio.run(scenario())


def test_a_replica_that_is_killed_is_started_again_on_other_ports(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(order(tmp_path, command=server(tmp_path))) as (replica, changes):
            for restarts in (1, 2, 3):
                await changes.until(lambda: replica.ready)
                pid = replica.pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                await changes.until(lambda: not replica.ready)
                await changes.until(lambda: replica.ready)
                assert replica.pid != pid
                assert (replica.observation.restarts, replica.observation.exit_code) == (restarts, 137)
            assert (FAILED, "CrashLoopBackOff") in changes.seen

    asyncio.run(scenario())


def test_pauses_grow_and_begin_anew_after_a_replica_ran_well(tmp_path: Path) -> None:
    now = [1000.0]
    wanted = order(tmp_path, command=script(tmp_path, "raise SystemExit(3)"))

    async def scenario() -> None:
        replica = Replica(wanted, tools(backoff=1, max_backoff=5, monotonic=lambda: now[0]), lambda: None)
        paused: list[float] = []

        async def pause(seconds: float) -> None:
            paused.append(seconds)
            if len(paused) == 4:
                replica._ready_since, now[0] = now[0], now[0] + 60
            if len(paused) == 6:
                await asyncio.Future()

        replica._sleep = pause
        replica.start()
        await until(lambda: len(paused) == 6)
        await replica.stop(0)
        assert paused == [1, 2, 4, 5, 1, 2]

    asyncio.run(scenario())


def test_a_replica_that_crashes_shows_its_last_lines(tmp_path: Path) -> None:
    wanted = order(tmp_path, command=script(tmp_path, "print('loading')\nraise RuntimeError('no such layer')"))

    async def scenario() -> None:
        async with running(wanted) as (replica, changes):
            await failed(replica, changes)
            message = replica.observation.message
            assert "ended with status 1" in message
            assert message.endswith("RuntimeError: no such layer")

    asyncio.run(scenario())


def test_a_replica_that_hangs_at_start_is_told_and_started_again(tmp_path: Path) -> None:
    wanted = order(tmp_path, command=script(tmp_path, "import time\nprint('thinking', flush=True)\ntime.sleep(1000)"))

    async def scenario() -> None:
        async with running(wanted, tools(start_deadline=0.5)) as (replica, changes):
            # On a busy machine it may not get to say anything at first.
            await changes.until(
                lambda: replica.observation.stage is FAILED and "thinking" in replica.observation.message
            )
            assert replica.observation.reason == "ProgressDeadlineExceeded"
            assert "not ready within 0.5 s" in replica.observation.message
            await changes.until(lambda: replica.observation.restarts >= 1)

    asyncio.run(scenario())


def test_a_replica_that_stops_to_answer_is_unready_and_ready_again(tmp_path: Path) -> None:
    flag = tmp_path / "sick"
    probe = {"exec": {"command": ["test", "!", "-e", str(flag)]}, "periodSeconds": 0.02, "failureThreshold": 2}

    async def scenario() -> None:
        async with running(order(tmp_path, command=server(tmp_path), readinessProbe=probe)) as (replica, changes):
            await changes.until(lambda: replica.ready)
            since = replica.ready_changed_at
            flag.touch()
            await changes.until(lambda: replica.observation.stage is UNREADY)
            assert replica.observation.reason == "Unhealthy"
            assert str(flag) in replica.observation.message
            assert replica.ready_changed_at != since
            pid = replica.pid
            flag.unlink()
            await changes.until(lambda: replica.ready)
            assert replica.pid == pid

    asyncio.run(scenario())


def test_a_replica_that_does_not_live_is_started_again(tmp_path: Path) -> None:
    flag = tmp_path / "dead"
    probe = {"exec": {"command": ["test", "!", "-e", str(flag)]}, "periodSeconds": 0.02, "failureThreshold": 2}

    async def scenario() -> None:
        async with running(order(tmp_path, command=server(tmp_path), livenessProbe=probe)) as (replica, changes):
            await changes.until(lambda: replica.ready)
            flag.touch()
            await failed(replica, changes)
            assert replica.observation.reason == "LivenessProbeFailed"
            flag.unlink()
            await changes.until(lambda: replica.ready)
            assert replica.observation.restarts >= 1

    asyncio.run(scenario())


def test_a_startup_probe_holds_the_others_back(tmp_path: Path) -> None:
    flag = tmp_path / "started"
    startup = {"exec": {"command": ["test", "-e", str(flag)]}, "periodSeconds": 1000}

    async def scenario() -> None:
        async with running(order(tmp_path, command=server(tmp_path), startupProbe=startup)) as (replica, changes):
            await changes.until(lambda: replica.pid is not None)
            await until(lambda: listens(replica))
            assert not replica.ready
            flag.touch()
            await changes.until(lambda: replica.ready)

    asyncio.run(scenario())


def listens(replica: Replica) -> bool:
    assert replica.ports is not None
    ports = {int(line.split()[1].rpartition(":")[2], 16) for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
    return replica.ports.http in ports


def test_a_full_disk_does_not_end_a_replica(tmp_path: Path) -> None:
    more = "print('x' * 5_000_000, flush=True)"
    wanted = order(tmp_path, command=server(tmp_path, more), logs=Path("/dev/full"))

    async def scenario() -> None:
        async with running(wanted) as (replica, changes):
            await changes.until(lambda: replica.ready)
            assert replica.lost_output > 5_000_000
            assert replica.notes == (f"{replica.lost_output} bytes of its output are lost.",)

    asyncio.run(scenario())


def test_stopping_gives_up_a_start(tmp_path: Path) -> None:
    wanted = order(tmp_path, command=script(tmp_path, "import time\ntime.sleep(1000)"))

    async def scenario() -> None:
        async with running(wanted) as (replica, changes):
            await changes.until(lambda: replica.pid is not None)
            await asyncio.gather(replica.stop(60), replica.stop(60))
        never = Replica(wanted, tools(), lambda: None)
        await never.stop(60)
        never.start()
        assert never.observation.stage is ReplicaStage.STOPPING

    asyncio.run(scenario())


def test_a_second_and_shorter_grace_counts(tmp_path: Path) -> None:
    source = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(1000)"
    )
    wanted = order(tmp_path, command=script(tmp_path, source))

    async def scenario() -> None:
        async with running(wanted, grace=0) as (replica, changes):
            await changes.until(lambda: wanted.logs.exists() and "up" in wanted.logs.read_text())
            patient = asyncio.ensure_future(replica.stop(10_000))
            await asyncio.sleep(0)
            await replica.stop(0)
            await patient

    asyncio.run(scenario())


def test_volumes_of_a_replica_are_there_while_it_is(tmp_path: Path) -> None:
    more = "open(os.environ['CACHE'] + '/file', 'w').close()"
    wanted = order(
        tmp_path,
        command=server(tmp_path, more),
        env=[{"name": "CACHE", "value": "/cache"}],
        volumeMounts=[{"name": "c", "mountPath": "/cache"}],
        pod={},
    )
    pod = {**wanted.pod, "volumes": [{"name": "c", "emptyDir": {}}]}

    async def scenario() -> None:
        made = Order(**{**{name: getattr(wanted, name) for name in Order.__slots__}, "pod": pod})
        async with running(made) as (replica, changes):
            await changes.until(lambda: replica.ready)
            assert (made.folder / "volumes" / "c" / "file").exists()
        assert not (made.folder / "volumes").exists()

    asyncio.run(scenario())


def test_several_artefacts_stand_together(tmp_path: Path, model: Path) -> None:
    args = ["--model-dir=/mnt/models"]
    sources = tuple(Source(uri=f"file://{model.parent}", mount_path=f"/mnt/models/{name}") for name in ("a", "b"))

    async def scenario() -> None:
        wanted = serving(tmp_path, "", args=args, sources=sources)
        async with running(wanted) as (replica, changes):
            await changes.until(lambda: replica.ready)
            assert replica.ports is not None
            assert replica.ports.http is not None
            for name in ("a", "b"):
                ask = HttpGet(port=replica.ports.http, path=f"/v2/models/{name}/ready")
                assert await probing.ask(Probe(action=ask), Launch(argv=(), env={})) is None

    asyncio.run(scenario())
