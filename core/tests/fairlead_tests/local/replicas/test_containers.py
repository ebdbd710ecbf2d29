from __future__ import annotations

import asyncio
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.local import containerfiles
from fairlead.local.replicas import containers
from fairlead.local.replicas.orders import Ports
from fairlead.resolve.observation import ReplicaStage
from fairlead_tests.local.replicas.making import SERVER, order, running, serving, tools

if TYPE_CHECKING:
    from fairlead.local.replicas.commands import Launch

PORTS = Ports(http=7001, grpc=None)


def made(folder: Path, mounts: dict[str, Path] | None = None, ports: Ports = PORTS, **fields: Any) -> Launch:
    wanted = order(folder, image="me/server:1", **fields)
    return containers.command(wanted, ports, mounts or {}, engine="podman", name="c", environ={"HOME": "/h"})


def values(launch: Launch, flag: str) -> list[str]:
    return [value for word, value in zip(launch.argv, launch.argv[1:], strict=False) if word == flag]


def test_only_an_image_without_a_command_needs_a_container_runtime(tmp_path: Path) -> None:
    assert containers.needed(order(tmp_path, image="x"))
    assert not containers.needed(order(tmp_path, image="x", command=["y"]))
    assert not containers.needed(serving(tmp_path, "file:///m", image="x", command=[]))


def test_a_machine_without_a_container_runtime_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(errors.Unresolvable, match="Install podman or docker") as caught:
        containers.find(str(tmp_path))
    assert caught.value.condition == "ContainerRuntimeMissing"


def test_a_container_listens_on_its_own_ports_which_are_published_on_loopback(tmp_path: Path) -> None:
    ports = [{"containerPort": 9000}, {"containerPort": 9001, "name": "h2c"}]
    launch = made(tmp_path, ports=Ports(http=7001, grpc=7002), pod=None, args=["--http_port=9000", "$(PORT)"])
    assert launch.argv[-2:] == ("--http_port=9000", "9000")
    wanted = order(tmp_path, image="x", args=[], ports=ports)
    both = containers.command(wanted, Ports(http=7001, grpc=7002), {}, engine="docker", name="c", environ={})
    assert values(both, "--publish") == ["127.0.0.1:7001:9000", "127.0.0.1:7002:9001"]
    assert (both.env["PORT"], both.env["GRPC_PORT"]) == ("9000", "9001")
    assert values(both, "--name") == ["c"]
    assert "--rm" in both.argv


def test_variables_are_handed_over_without_their_values_among_the_arguments(tmp_path: Path) -> None:
    launch = made(tmp_path, env=[{"name": "TOKEN", "value": "hush"}])
    assert "TOKEN" in values(launch, "--env")
    assert launch.env["TOKEN"] == "hush"
    assert not [word for word in launch.argv if "hush" in word]
    assert "HOME" not in values(launch, "--env")


def test_artefacts_are_mounted_where_the_manifest_has_them_and_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "scratch").mkdir()
    mounts = {"/mnt/models": tmp_path / "data", "/cache": tmp_path / "scratch"}
    launch = made(tmp_path, mounts, args=["/mnt/models"], volumeMounts=[{"name": "s", "mountPath": "/cache"}])
    assert values(launch, "--volume") == [f"{tmp_path}/data:/mnt/models:ro", f"{tmp_path}/scratch:/cache"]
    assert launch.argv[-1] == "/mnt/models"


def test_links_are_mounted_as_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "model.bin").symlink_to(tmp_path / "model.bin")
    launch = made(tmp_path, {"/mnt/models": tmp_path / "links"})
    assert values(launch, "--volume") == [f"{tmp_path}/model.bin:/mnt/models/model.bin:ro"]


def test_a_container_that_asks_the_predictor_shares_the_network_and_is_told_its_ports(tmp_path: Path) -> None:
    args = ["--predictor_host=iris-predictor.default", "--http_port=8080"]
    launch = made(tmp_path, args=args, predictor="127.0.0.1:9", predictor_name="iris-predictor.default")
    assert values(launch, "--network") == ["host"]
    assert launch.argv[-2:] == ("--predictor_host=127.0.0.1:9", "--http_port=7001")
    assert launch.env["PORT"] == "7001"
    assert not values(launch, "--publish")


@pytest.mark.parametrize(("policy", "pull"), [("Always", ["always"]), ("IfNotPresent", ["missing"]), (None, [])])
def test_images_are_pulled_as_the_manifest_says(tmp_path: Path, policy: str | None, pull: list[str]) -> None:
    assert values(made(tmp_path, imagePullPolicy=policy), "--pull") == pull


def test_a_container_with_neither_image_nor_command_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Unresolvable, match="neither an image nor a command"):
        containers.command(order(tmp_path), PORTS, {}, engine="podman", name="c", environ={})


def engine(folder: Path) -> str:
    """A container runtime that runs a server on the published port, and writes down what it was told."""
    path = folder / "podman"
    told = f"""\
        import os, sys
        with open({str(folder / "told")!r}, "a") as told:
            told.write(" ".join(sys.argv[1:2] + sys.argv[-1:]) + "\\n")
        if sys.argv[1] == "exec":
            sys.exit(os.path.exists({str(folder / "sick")!r}))
        if sys.argv[1] == "rm":
            sys.exit(0)
        os.environ["PORT"] = sys.argv[sys.argv.index("--publish") + 1].split(":")[1]
    """
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(told) + textwrap.dedent(SERVER.replace("{more}", "")))
    path.chmod(0o755)
    return str(path)


def test_a_container_runs_is_probed_within_and_is_removed_when_it_ends(tmp_path: Path) -> None:
    wanted = order(tmp_path, image="me/server:1", readinessProbe={"exec": {"command": ["check"]}})

    async def scenario() -> None:
        async with running(wanted, tools(engine=lambda: engine(tmp_path))) as (replica, changes):
            await changes.until(lambda: replica.ready)

    asyncio.run(scenario())
    told = (tmp_path / "told").read_text().splitlines()
    assert {"run me/server:1", "exec check"} <= set(told)
    assert told[-1] == "rm fairlead-default-iris-predictor-00001-x7k2p-1"


def test_a_container_of_a_killed_platform_is_removed_by_the_next(tmp_path: Path) -> None:
    replicas = tmp_path / "replicas"
    runs, gone = replicas / "default" / "runs", replicas / "default" / "gone"
    containerfiles.note(runs, engine(tmp_path), "fairlead-default-runs-1")
    containerfiles.note(gone, engine(tmp_path), "fairlead-default-gone-1")
    containerfiles.forget(gone)
    (replicas / "default" / "odd").mkdir()
    (replicas / "default" / "odd" / "container.json").write_text("[")
    assert containerfiles.sweep(replicas) == ["fairlead-default-runs-1"]
    assert (tmp_path / "told").read_text().splitlines() == ["rm fairlead-default-runs-1"]


def test_a_missing_container_runtime_is_what_the_replica_says(tmp_path: Path) -> None:
    none = tools(engine=lambda: containers.find(str(tmp_path / "nothing")), backoff=60, max_backoff=60)

    async def scenario() -> None:
        async with running(order(tmp_path, image="me/server:1"), none) as (replica, changes):
            await changes.until(lambda: replica.observation.stage is ReplicaStage.FAILED)
            assert replica.observation.reason == "ContainerRuntimeMissing"
            assert "Install podman or docker" in replica.observation.message

    asyncio.run(scenario())
