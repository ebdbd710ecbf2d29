"""The commands that ask a platform which runs, or end what is left of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from fairlead.local import processes
from fairlead.local.folder import Folder
from fairlead_tests.cli.platforms import Stage, beside, manifest, world
from fairlead_tests.local.homes import home

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command, Ran


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    with home() as environ:
        for variable in ("FAIRLEAD_STATE", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(variable, environ[variable])
        yield Folder()


@pytest.fixture
def isvc(tmp_path: Path) -> Path:
    made = tmp_path / "isvc.yaml"
    wine = manifest("wine").replace("{name: wine}", "{name: wine, annotations: {fairlead.io/of-wine: 'yes'}}")
    made.write_text("---\n".join([manifest("iris"), wine, manifest("iris", namespace="team")]))
    return made


@pytest.fixture
def with_a_platform(folder: Folder, isvc: Path) -> Iterator[Callable[[Callable[[Stage], Ran]], Ran]]:
    """Runs what asks, in a thread, beside a platform with iris and wine, and with iris in another namespace."""
    folder.acquire()
    yield lambda asks: beside(folder, world(isvc), asks)
    folder.release()


Asked = Callable[[Callable[[Stage], "Ran"]], "Ran"]


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


# -- wait ------------------------------------------------------------------------------------------------

OF_WINE = "jsonpath={.metadata.name}"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["wine"], "default/wine: Ready at http://wine-default.localhost:8080\n"),
        (["wine", "--for", "condition=ready=true", "--timeout", "0"], "default/wine: Ready at "),
        (["wine", "--for", f"{OF_WINE}=wine"], "default/wine: Ready at "),
        (["wine", "--for", "jsonpath='{.status.conditions[0].type}'='Ready'"], "default/wine: Ready at "),
        (["wine", "--for", r"jsonpath={.metadata.annotations.fairlead\.io/of-wine}=yes"], "default/wine: Ready at "),
        (["wine", "--for", "jsonpath={.status.url}", "--timeout", "1h1m1s"], "default/wine: Ready at "),
        (["cider", "--for", "delete"], "cider is gone\n"),
    ],
)
def test_waiting_ends_at_once_for_what_is_so(
    fairlead: Command, with_a_platform: Asked, arguments: list[str], told: str
) -> None:
    ran = with_a_platform(lambda _: fairlead("wait", *arguments))
    assert (ran.status, ran.errors) == (0, "")
    assert ran.output.startswith(told)


@pytest.mark.parametrize(
    ("goal", "why"),
    [
        ("condition=Ready", "condition=Ready was not met within 0.05. It is False: CrashLoopBackOff: It ended."),
        ("condition=Stopped", "It is not met: there is no condition Stopped, only Ready."),
        (f"{OF_WINE}=cider", "It is wine."),
        ("jsonpath={.status.components.predictor}", "There is no .status.components.predictor yet."),
        ("delete", "It is still there."),
    ],
)
def test_when_the_time_is_over_waiting_says_what_is_lacking(
    fairlead: Command, with_a_platform: Asked, goal: str, why: str
) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.conditions["wine"] = ("False", "CrashLoopBackOff", "It ended.")
        return fairlead("wait", "wine", "--timeout", "0.05", "--for", goal)

    ran = with_a_platform(ask)
    assert (ran.status, ran.output) == (1, "")
    assert why in ran.errors
    assert ran.errors.endswith("See more with: fairlead describe wine\n")


def latest(state: str, **more: Any) -> dict[str, Any]:
    """What a platform says of a revision in whose place the one before answers."""
    return {
        "component": "predictor",
        "canary": False,
        "revision": "wine-predictor-00002",
        "state": state,
        "before": ["wine-predictor-00001"],
        "reason": "Starting" if state == "coming" else "FetchFailed",
        "message": "Nothing is there.",
        "failures": 0,
        **more,
    }


def test_waiting_does_not_take_an_earlier_revision_for_the_latest(fairlead: Command, with_a_platform: Asked) -> None:
    said = "wine-predictor-00002 is not ready yet, and wine-predictor-00001 goes on answering: Starting: "

    def ask(stage: Stage) -> Ran:
        stage.platform.latest = [latest("coming")]
        for goal in ("condition=Ready", "condition=ready=true"):
            ran = fairlead("wait", "wine", "--timeout", "0.05", "--for", goal)
            assert (ran.status, ran.output) == (1, "")
            assert f"wine: {goal} was not met within 0.05. {said}" in ran.errors
        return fairlead("wait", "wine", "--for", "jsonpath={.status.url}")

    ran = with_a_platform(ask)
    assert (ran.status, ran.output) == (0, f"default/wine: {said}Nothing is there.\n")


def test_waiting_does_not_take_a_status_for_that_of_a_spec_that_was_declared_since(
    fairlead: Command, with_a_platform: Asked
) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.current = False
        return fairlead("wait", "wine", "--timeout", "0.05")

    ran = with_a_platform(ask)
    assert ran.status == 1
    assert "What was declared last is not looked at yet." in ran.errors


def test_waiting_ends_at_once_for_a_revision_that_fails_again_and_again(
    fairlead: Command, with_a_platform: Asked, folder: Folder
) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.latest = [latest("stuck")]
        return fairlead("wait", "wine", "-n", "default", "--timeout", "10m")

    ran = with_a_platform(ask)
    assert (ran.status, ran.output) == (1, "")
    assert ran.errors == (
        "error: default/wine does not become Ready: wine-predictor-00002 does not answer, and wine-predictor-00001 "
        "goes on answering: FetchFailed: Nothing is there.\nSee more with: fairlead describe wine -n default\n"
    )


@pytest.mark.parametrize(
    "others", [[latest("failed")], [latest("stuck"), latest("coming", component="transformer")]], ids=["tried", "comes"]
)
def test_waiting_goes_on_while_another_attempt_or_another_component_may_help(
    fairlead: Command, with_a_platform: Asked, others: list[dict[str, Any]]
) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.latest = others
        return fairlead("wait", "wine", "--timeout", "0.05")

    assert "condition=Ready was not met within 0.05." in with_a_platform(ask).errors


def test_failures_from_before_the_command_do_not_count(fairlead: Command, with_a_platform: Asked) -> None:
    asked: list[int] = []

    def ask(stage: Stage) -> Ran:
        views = stage.platform.views

        def failing_once_more() -> list[dict[str, Any]]:
            asked.append(len(asked))
            stage.platform.latest = [latest("stuck", failures=7 + (len(asked) > 2))]
            return views()

        stage.platform.views = failing_once_more  # type: ignore[method-assign]  # one that tries it once more
        return fairlead("wait", "wine")

    assert "default/wine does not become Ready: " in with_a_platform(ask).errors
    assert len(asked) > 2


def test_a_canary_that_fails_is_no_matter_of_ready(fairlead: Command, with_a_platform: Asked) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.latest = [latest("stuck", canary=True, component="blue", before=[])]
        ran = fairlead("status", "wine")
        assert "default/wine: canary blue does not answer: FetchFailed: Nothing is there.\n" in ran.output
        return fairlead("wait", "wine")

    assert with_a_platform(ask).output == "default/wine: Ready at http://wine-default.localhost:8080\n"


@pytest.mark.parametrize(
    "status",
    [
        {"modelStatus": {"transitionStatus": "InvalidSpec"}},
        {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Stopped", "status": "True"}]},
    ],
)
def test_waiting_ends_at_once_for_what_cannot_run_as_it_is_declared(
    fairlead: Command, with_a_platform: Asked, status: dict[str, Any]
) -> None:
    def ask(stage: Stage) -> Ran:
        stage.platform.conditions["wine"] = ("False", "NoSupportingRuntime", "Nothing serves it.")
        views = stage.platform.views

        def with_status() -> list[dict[str, Any]]:
            found = views()
            for each in found:
                of = each["manifest"]["status"]
                each["manifest"]["status"] = {
                    **of,
                    **status,
                    "conditions": [*of["conditions"], *status.get("conditions", ())],
                }
            return found

        stage.platform.views = with_status  # type: ignore[method-assign]  # one whose spec cannot be run
        return fairlead("wait", "wine", "--timeout", "10m")

    ran = with_a_platform(ask)
    assert ran.status == 1
    assert "default/wine does not become Ready: NoSupportingRuntime: Nothing serves it.\n" in ran.errors


@pytest.fixture
def with_a_platform_that_watches(folder: Folder, isvc: Path) -> Iterator[Callable[[Callable[[Stage], Ran]], Ran]]:
    folder.acquire()
    yield lambda asks: beside(folder, world(isvc), asks, watch=True)
    folder.release()


def test_waiting_is_for_what_is_in_the_files_when_it_begins(
    fairlead: Command, with_a_platform_that_watches: Asked, isvc: Path
) -> None:
    def ask(stage: Stage) -> Ran:
        isvc.write_text(manifest("wine", uri="file:///better"))
        ran = fairlead("wait", "wine")
        assert stage.platform.declared[-1] == ["wine"]
        return ran

    assert with_a_platform_that_watches(ask).output == "default/wine: Ready at http://wine-default.localhost:8080\n"


def test_waiting_for_ready_ends_at_once_where_the_files_have_a_mistake(
    fairlead: Command, with_a_platform_that_watches: Asked, isvc: Path
) -> None:
    def ask(_: Stage) -> Ran:
        isvc.write_text("{half")
        assert fairlead("wait", "wine", "--for", "jsonpath={.status.url}").status == 0
        return fairlead("wait", "wine")

    ran = with_a_platform_that_watches(ask)
    assert (ran.status, ran.output) == (1, "")
    assert ran.errors.startswith("error: What is declared now has a mistake, and what was declared before goes on:\n")
    assert f"{isvc}:2: this is not YAML" in ran.errors


def test_waiting_goes_on_until_the_service_is_ready(fairlead: Command, with_a_platform: Asked) -> None:
    asked: list[int] = []

    def ask(stage: Stage) -> Ran:
        stage.platform.conditions["wine"] = ("Unknown", "Starting", "")
        views = stage.platform.views

        def becoming_ready() -> list[dict[str, Any]]:
            asked.append(len(asked))
            if len(asked) > 2:
                stage.platform.conditions.clear()
            return views()

        stage.platform.views = becoming_ready  # type: ignore[method-assign]  # one that takes its time
        return fairlead("wait", "wine")

    ran = with_a_platform(ask)
    assert ran.output == "default/wine: Ready at http://wine-default.localhost:8080\n"
    assert len(asked) > 2


def test_waiting_for_what_does_not_come_is_an_error(fairlead: Command, with_a_platform: Asked) -> None:
    ran = with_a_platform(lambda _: fairlead("wait", "wien", "--timeout", "0.05"))
    assert (ran.status, ran.errors) == (2, "error: There is no service wien.\nDid you mean wine?\n")


def test_a_service_that_is_declared_later_is_waited_for(fairlead: Command, with_a_platform: Asked) -> None:
    def ask(stage: Stage) -> Ran:
        services, views = stage.platform.services, stage.platform.views
        late = services.pop(("default", "wine"))

        def after_the_next_look() -> list[dict[str, Any]]:
            shown = views()
            services["default", "wine"] = late
            return shown

        stage.platform.views = after_the_next_look  # type: ignore[method-assign]  # a file is read meanwhile
        return fairlead("wait", "wine")

    assert with_a_platform(ask).output == "default/wine: Ready at http://wine-default.localhost:8080\n"


def test_waiting_without_a_platform_says_how_to_start_one(fairlead: Command, folder: Folder) -> None:
    ran = fairlead("wait", "wine", "--timeout", "0.05")
    assert ran.status == 1
    assert ran.errors == "error: No platform named default runs.\nStart one with: fairlead up FILE\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--for", "ready"], "--for: 'ready' is no goal."),
        (["--for", "jsonpath={.status[x]}"], "--for: 'jsonpath={.status[x]}' is no goal."),
        (["--timeout", "soon"], "--timeout: 'soon' is no length of time."),
    ],
)
def test_what_cannot_be_waited_for_is_a_usage_error(fairlead: Command, arguments: list[str], said: str) -> None:
    ran = fairlead("wait", "wine", *arguments)
    assert ran.status == 2
    assert said in ran.errors


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
