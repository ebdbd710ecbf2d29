"""The commands that ask a platform which runs, or end what is left of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from fairlead.local import processes
from fairlead_tests.cli.platforms import latest

if TYPE_CHECKING:
    from fairlead.local.folder import Folder
    from fairlead_tests.cli.asking.conftest import Asked
    from fairlead_tests.cli.conftest import Command, Ran
    from fairlead_tests.cli.platforms import Stage


# -- status ----------------------------------------------------------------------------------------------


def test_status_as_json_is_what_kubectl_prints(fairlead: Command, with_a_platform: Asked) -> None:
    ran = with_a_platform(lambda _: fairlead("status", "-o", "json"))
    found = json.loads(ran.output)
    assert (found["apiVersion"], found["kind"]) == ("v1", "List")
    assert [each["metadata"]["name"] for each in found["items"]] == ["iris", "wine", "iris"]
    assert found["items"][0]["kind"] == "InferenceService"
    assert found["items"][0]["status"]["conditions"] == [{"type": "Ready", "status": "True"}]


def test_status_of_one_name_is_no_list(fairlead: Command, with_a_platform: Asked) -> None:
    ran = with_a_platform(lambda _: fairlead("status", "wine", "-o", "yaml"))
    found = yaml.safe_load(ran.output)
    assert (found["kind"], found["metadata"]["name"]) == ("InferenceService", "wine")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["iris"], ["default/iris", "team/iris"]),
        (["iris", "-n", "team"], ["team/iris"]),
        (["team/iris", "wine"], ["team/iris", "default/wine"]),
        (["-n", "team"], ["team/iris"]),
        (["-n", "nobody"], []),
    ],
)
def test_services_are_chosen_by_name_and_namespace(
    fairlead: Command, with_a_platform: Asked, arguments: list[str], expected: list[str]
) -> None:
    ran = with_a_platform(lambda _: fairlead("status", *arguments, "-o", "json"))
    found = json.loads(ran.output)
    items = found["items"] if found["kind"] == "List" else [found]
    assert [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in items] == expected


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["iriss"], "There is no service iriss.\nDid you mean iris?"),
        (["wine", "-n", "team"], "There is no service wine in the namespace team.\nIt is in default."),
        (["xyz"], "There is no service xyz.\nThere is iris, wine."),
        (["xyz", "-n", "no"], "There is no service xyz in the namespace no.\nThere is no service in the namespace no"),
    ],
)
def test_a_service_that_is_not_there_is_an_error_with_what_comes_near(
    fairlead: Command, with_a_platform: Asked, arguments: list[str], remedy: str
) -> None:
    ran = with_a_platform(lambda _: fairlead("status", *arguments))
    assert ran.status == 2
    assert ran.errors.startswith(f"error: {remedy}")


def test_a_table_names_every_service(fairlead: Command, with_a_platform: Asked) -> None:
    for arguments in (["status"], ["status", "-o", "wide"]):
        ran = with_a_platform(lambda _, given=arguments: fairlead(*given))  # type: ignore[misc]  # bound now
        assert ran.status == 0
        assert "iris" in ran.output
        assert "wine" in ran.output


@pytest.mark.parametrize(
    "arguments", [["status"], ["describe", "iris"], ["logs", "iris"], ["delete", "iris"], ["status", "-o", "json"]]
)
def test_without_a_platform_each_command_says_how_to_start_one(
    fairlead: Command, folder: Folder, arguments: list[str]
) -> None:
    ran = fairlead(*arguments)
    assert (ran.status, ran.output) == (1, "")
    assert ran.errors.startswith("error: No platform named default runs.\nStart one with: fairlead up FILE")


def test_without_a_platform_of_that_name_those_that_run_are_told(fairlead: Command, with_a_platform: Asked) -> None:
    ran = with_a_platform(lambda _: fairlead("status", "--name", "other"))
    assert ran.status == 1
    assert ran.errors == (
        "error: No platform named other runs. There is default: choose with --name.\n"
        "Start one with: fairlead up FILE --name other\n"
    )


def test_a_hint_about_what_is_gone_names_the_platform_and_the_namespace(fairlead: Command, folder: Folder) -> None:
    ran = fairlead("logs", "iris", "--name", "other", "-n", "team")
    assert ran.errors.endswith("see what one has left with: fairlead logs iris -n team --name other --previous\n")


def test_status_says_below_the_table_that_an_earlier_revision_answers(
    fairlead: Command, with_a_platform: Asked
) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.latest = [latest("stuck")]
        return fairlead("status", "wine")

    ran = with_a_platform(ask)
    assert ran.output.endswith(
        "\n\ndefault/wine: wine-predictor-00002 does not answer, and wine-predictor-00001 goes on answering: "
        "FetchFailed: Nothing is there.\n"
    )


def test_a_name_that_is_none_is_a_usage_error(fairlead: Command) -> None:
    ran = fairlead("status", "--name", "../other")
    assert ran.status == 2
    assert "'../other' is no name of a platform." in ran.errors


def test_status_starts_light() -> None:
    script = (
        "import sys; from fairlead.cli import main; main.main(['status', '--name', 'nobody-has-this']);"
        "print(sorted({'asyncio', 'pydantic', 'numpy', 'rich', 'yaml', 'grpc', 'fastapi'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- describe --------------------------------------------------------------------------------------------


def test_describe_tells_of_one_service(fairlead: Command, with_a_platform: Asked) -> None:
    ran = with_a_platform(lambda _: fairlead("describe", "wine"))
    assert ran.status == 0
    assert "wine" in ran.output
    assert "iris" not in ran.output


def test_a_name_in_several_namespaces_has_to_be_told_apart(fairlead: Command, with_a_platform: Asked) -> None:
    ran = with_a_platform(lambda _: fairlead("describe", "iris"))
    assert ran.status == 2
    assert ran.errors == "error: iris is in several namespaces: default, team.\nSay which is meant with --namespace.\n"


# -- delete ----------------------------------------------------------------------------------------------


def test_deleted_services_are_gone_when_the_command_ends(fairlead: Command, with_a_platform: Asked) -> None:
    left: list[tuple[str, str]] = []

    def ask(stage: Stage) -> Ran:
        ran = fairlead("delete", "wine", "team/iris")
        left.extend(stage.platform.services)
        return ran

    ran = with_a_platform(ask)
    assert ran.output == "default/wine is deleted\nteam/iris is deleted\n"
    assert left == [("default", "iris")]


def test_services_of_a_file_are_deleted(fairlead: Command, with_a_platform: Asked, isvc: Path) -> None:
    ran = with_a_platform(lambda _: fairlead("delete", "-f", str(isvc)))
    assert ran.output == "default/iris is deleted\ndefault/wine is deleted\nteam/iris is deleted\n"


def test_a_wrong_name_among_others_deletes_none(fairlead: Command, with_a_platform: Asked) -> None:
    left: list[tuple[str, str]] = []

    def ask(stage: Stage) -> Ran:
        ran = fairlead("delete", "wine", "wien")
        left.extend(stage.platform.services)
        return ran

    ran = with_a_platform(ask)
    assert ran.status == 2
    assert len(left) == 3


@pytest.mark.parametrize("arguments", [[], ["iris", "-f", "isvc.yaml"]])
def test_delete_takes_names_or_a_file(fairlead: Command, arguments: list[str]) -> None:
    ran = fairlead("delete", *arguments)
    assert ran.status == 2
    assert "Name services, or a file with --filename" in ran.errors


def test_a_service_that_does_not_go_is_an_error_in_time(fairlead: Command, with_a_platform: Asked) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.remove = lambda *_: True  # type: ignore[method-assign]  # one that takes its time
        return fairlead("delete", "wine", "--timeout", "0.05")

    ran = with_a_platform(ask)
    assert ran.status == 1
    assert "default/wine: not gone within 0.05 seconds." in ran.errors


# -- down ------------------------------------------------------------------------------------------------


def test_down_waits_until_the_platform_has_ended(fairlead: Command, with_a_platform: Asked, folder: Folder) -> None:
    ran = with_a_platform(lambda _: fairlead("down"))
    assert (ran.status, ran.output) == (0, "The platform default has ended.\n")
    assert folder.holder() is None


def test_down_gives_up_in_time(fairlead: Command, with_a_platform: Asked) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.patience.clear()
        return fairlead("down", "--timeout", "0.05")

    ran = with_a_platform(ask)
    assert ran.status == 1
    assert f"(process {os.getpid()}, on 127.0.0.1:8080) has not ended within 0.05 seconds." in ran.errors


def test_down_without_a_platform_says_so_and_makes_nothing(fairlead: Command, folder: Folder) -> None:
    ran = fairlead("down")
    assert (ran.status, ran.output) == (0, "No platform named default runs, and nothing is left of one.\n")
    assert not folder.state.exists()


def test_down_ends_what_a_killed_platform_left(fairlead: Command, folder: Folder) -> None:
    script = (
        "import subprocess, sys, time; from fairlead.local.folder import Folder\n"
        "folder = Folder(); folder.acquire()\n"
        "made = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "folder.record(made.pid, 'the gateway'); print(made.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as platform:
        assert platform.stdout is not None
        left = int(platform.stdout.readline())
        platform.kill()
        platform.wait()
        ran = fairlead("down")
    assert (ran.status, ran.output) == (0, f"Ended what was left over: the gateway (process {left}).\n")
    assert processes.identify(left) is None


def test_a_platform_that_cannot_be_asked_gets_a_signal(fairlead: Command, folder: Folder) -> None:
    script = (
        "from fairlead.local.folder import Folder; import time; Folder().acquire(); print(flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as platform:
        assert platform.stdout is not None
        platform.stdout.readline()
        try:
            ran = fairlead("down")
            assert platform.wait() == -signal.SIGTERM
        finally:
            platform.kill()
    assert ran.output == (
        f"The platform default does not answer; process {platform.pid} gets a signal to end.\n"
        "The platform default has ended.\n"
    )
