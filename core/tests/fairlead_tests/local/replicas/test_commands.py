from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.local.replicas import commands
from fairlead.local.replicas.commands import SERVE
from fairlead.local.replicas.listening import listening
from fairlead.local.replicas.orders import Ports
from fairlead.resolve.service import Source
from fairlead_tests.local.replicas.making import order, serving

BOTH = Ports(http=7001, grpc=7002)


def argv(
    folder: Path, *args: str, ports: Ports = BOTH, mounts: dict[str, Path] | None = None, **fields: Any
) -> list[str]:
    return list(commands.command(order(folder, command=["server"], args=args, **fields), ports, mounts or {}).argv[1:])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--http_port=8080"], ["--http_port=7001"]),
        (["--http-port", "8080"], ["--http-port", "7001"]),
        (["--port=8080", "--workers=2"], ["--port=7001", "--workers=2"]),
        (["--grpc_port", "8081", "--http_port", "8080"], ["--grpc_port", "7002", "--http_port", "7001"]),
        (["--grpc-port=8081"], ["--grpc-port=7002"]),
        (["--metrics-port=9090"], ["--metrics-port=9090"]),
        (["-b", "127.0.0.1:$(PORT)"], ["-b", "127.0.0.1:7001"]),
    ],
)
def test_ports_that_arguments_name_become_those_of_the_replica(
    tmp_path: Path, given: list[str], expected: list[str]
) -> None:
    assert argv(tmp_path, *given) == expected


def test_the_port_of_a_container_that_speaks_grpc_alone_is_its_grpc_port(tmp_path: Path) -> None:
    made = order(tmp_path, command=["server"], args=["--port=9000"], ports=[{"containerPort": 9000, "name": "h2c"}])
    assert argv(tmp_path, "--port=9000", ports=Ports(http=None, grpc=7002)) == ["--port=7002"]
    launch = commands.command(made, Ports(http=None, grpc=7002), {})
    assert launch.env["PORT"] == launch.env["GRPC_PORT"] == "7002"
    assert "HTTP_PORT" not in launch.env


@pytest.mark.parametrize(
    ("ports", "args", "expected"),
    [
        ([], [], (8080, None)),
        ([{"containerPort": 9000}], [], (9000, None)),
        ([{"containerPort": 9000, "name": "h2c"}], [], (None, 9000)),
        ([{"containerPort": 9000, "name": "user-grpc-port"}, {"containerPort": 80, "name": "web"}], [], (80, 9000)),
        ([], ["--grpc_port=8081", "--http_port=8085"], (8085, 8081)),
        ([], ["--grpc_port", "8081"], (8080, 8081)),
        ([{"containerPort": 53, "protocol": "UDP"}], [], (8080, None)),
    ],
)
def test_ports_are_told_by_their_names(
    tmp_path: Path, ports: list[dict[str, Any]], args: list[str], expected: tuple[int | None, int | None]
) -> None:
    found = listening(order(tmp_path, command=["server"], args=args, ports=ports))
    assert (found.http, found.grpc) == expected


def test_fairlead_serve_listens_for_both_protocols_unless_it_is_told_not_to(tmp_path: Path) -> None:
    both = listening(serving(tmp_path, "file:///m", ports=[]))
    assert (both.http, both.grpc) == (8080, 8081)
    alone = listening(serving(tmp_path, "file:///m", args=["--enable_grpc", "false"]))
    assert alone.grpc is None


def test_references_are_expanded_as_kubernetes_does(tmp_path: Path) -> None:
    env = [{"name": "A", "value": "one"}, {"name": "B", "value": "$(A)-$(LATER)"}, {"name": "LATER", "value": "x"}]
    given = ["$(A)", "$(B)", "$$(A)", "$(NOBODY)", "$A", "a$$b", "$(A"]
    expected = ["one", "one-$(LATER)", "$(A)", "$(NOBODY)", "$A", "a$b", "$(A"]
    assert argv(tmp_path, *given, env=env) == expected


def test_variables_of_the_user_are_not_expanded(tmp_path: Path) -> None:
    launch = commands.command(order(tmp_path, command=["x", "$(HOME)"]), BOTH, {}, environ={"HOME": "/home/me"})
    assert launch.argv[1] == "$(HOME)"
    assert launch.env["HOME"] == "/home/me"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/mnt/models", "/data/iris"),
        ("--model_dir=/mnt/models/sub/file", "--model_dir=/data/iris/sub/file"),
        ("file:///mnt/models", "file:///data/iris"),
        ("/mnt/models-old", "/mnt/models-old"),
        ("/mnt/models.bak", "/mnt/models.bak"),
        ("/other/mnt/models", "/other/mnt/models"),
        ("a:/mnt/models:/mnt/models/extra,b", "a:/data/iris:/data/extra,b"),
    ],
)
def test_mount_paths_become_folders_of_this_machine(tmp_path: Path, given: str, expected: str) -> None:
    mounts = {"/mnt/models": Path("/data/iris"), "/mnt/models/extra": Path("/data/extra")}
    assert argv(tmp_path, given, mounts=mounts) == [expected]


def test_a_folder_that_is_itself_below_a_mount_path_is_replaced_once(tmp_path: Path) -> None:
    env = [{"name": "MODEL", "value": "/mnt/models"}]
    made = order(tmp_path, command=["x", "$(MODEL)"], env=env)
    launch = commands.command(made, BOTH, {"/mnt/models": Path("/mnt/models/iris")})
    assert (launch.argv[1], launch.env["MODEL"]) == ("/mnt/models/iris", "/mnt/models/iris")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--predictor_host=iris-predictor.default", "--predictor_host=127.0.0.1:9"),
        ("http://iris-predictor.default.svc.cluster.local:80/v1", "http://127.0.0.1:9/v1"),
        ("iris-predictor.default2", "iris-predictor.default2"),
        ("my-iris-predictor.default", "my-iris-predictor.default"),
    ],
)
def test_the_predictors_name_becomes_its_address(tmp_path: Path, given: str, expected: str) -> None:
    assert argv(tmp_path, given, predictor="127.0.0.1:9", predictor_name="iris-predictor.default") == [expected]


def test_the_replicas_ports_win_over_what_container_and_user_say(tmp_path: Path) -> None:
    user = {"PORT": "1", "FAIRLEAD_HTTP_PORT": "2", "AWS_PROFILE": "me", "PATH": "/bin"}
    made = order(tmp_path, command=["x"], env=[{"name": "PORT", "value": "8080"}, {"name": "MODE", "value": "fast"}])
    env = commands.command(made, BOTH, {}, environ=commands.base_environ(user)).env
    assert {env[name] for name in ("PORT", "HTTP_PORT", "FAIRLEAD_HTTP_PORT")} == {"7001"}
    assert {env[name] for name in ("GRPC_PORT", "FAIRLEAD_GRPC_PORT")} == {"7002"}
    assert (env["AWS_PROFILE"], env["MODE"]) == ("me", "fast")
    assert env["PATH"] == f"{Path(sys.executable).parent}:/bin"


def test_a_replica_in_an_environment_of_its_own_is_not_reached_into(tmp_path: Path) -> None:
    user = {"PYTHONPATH": "/x", "VIRTUAL_ENV": "/y", "HOME": "/h"}
    assert commands.base_environ(user)["PYTHONPATH"] == "/x"
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(commands.base_environ(user, isolated=True))


def test_variables_come_from_what_is_known_of_the_replica(tmp_path: Path) -> None:
    fields = {"POD": "metadata.name", "SPACE": "metadata.namespace", "IP": "status.podIP"}
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    env.append({"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}})
    found = commands.command(order(tmp_path, command=["x"], env=env), BOTH, {}).env
    assert (found["POD"], found["SPACE"], found["IP"]) == ("iris-predictor-00001-x7k2p", "default", "127.0.0.1")
    assert "MAYBE" not in found


@pytest.mark.parametrize(
    "source",
    [
        {"fieldRef": {"fieldPath": "metadata.labels['x']"}},
        {"resourceFieldRef": {"resource": "limits.cpu"}},
    ],
)
def test_a_variable_that_only_a_cluster_knows_is_refused_by_its_name(tmp_path: Path, source: dict[str, Any]) -> None:
    made = order(tmp_path, command=["x"], env=[{"name": "TOKEN", "valueFrom": source}])
    with pytest.raises(errors.Unresolvable, match="TOKEN") as caught:
        commands.command(made, BOTH, {})
    assert caught.value.condition == "UnsupportedEnv"
    assert caught.value.remedy


def test_the_storage_uri_of_a_container_is_where_its_artefact_is(tmp_path: Path) -> None:
    env = [{"name": "STORAGE_URI", "value": "s3://b/iris"}]
    made = order(tmp_path, command=["x"], env=env, sources=(Source(uri="s3://b/iris"),))
    assert commands.command(made, BOTH, {"/mnt/models": Path("/data")}).env["STORAGE_URI"] == "/data"


def test_fairlead_serve_runs_by_this_python_and_listens_on_loopback(tmp_path: Path) -> None:
    found = commands.command(serving(tmp_path, "file:///m"), BOTH, {"/mnt/models": Path("/data")}).argv
    assert found[:4] == SERVE == (sys.executable, "-m", "fairlead.cli.main", "serve")
    assert "--model-dir=/data" in found
    assert {"--http-port=7001", "--grpc-port=7002"} <= set(found)
    assert found[-6:] == ("--host", "127.0.0.1", "--log-format", "json", "--format", "sklearn")


def test_what_the_manifest_tells_fairlead_serve_is_left(tmp_path: Path) -> None:
    args = ["--host=0.0.0.0", "--log_format", "text", "--format=python"]
    found = commands.command(serving(tmp_path, "file:///m", args=args), BOTH, {}, serve=["py", "serve"]).argv
    assert found == ("py", "serve", *args)


def test_a_plugins_container_without_a_command_is_fairlead_serve(tmp_path: Path) -> None:
    found = commands.command(serving(tmp_path, "file:///m", command=[], args=["serve", "--name=x"]), BOTH, {}).argv
    assert found[:5] == (*SERVE, "--name=x")


def test_a_container_without_a_command_needs_a_container_runtime(tmp_path: Path) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        commands.command(order(tmp_path, image="x"), BOTH, {})
    assert caught.value.condition == "ContainerRuntimeMissing"


def test_a_working_folder_may_be_a_mount(tmp_path: Path) -> None:
    made = order(tmp_path, command=["x"], workingDir="/mnt/models/src")
    assert commands.command(made, BOTH, {"/mnt/models": Path("/data")}).cwd == Path("/data/src")
