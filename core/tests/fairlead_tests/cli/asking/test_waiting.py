"""`fairlead wait`: until what is declared is so, or cannot become so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead_tests.cli.platforms import Stage, beside, latest, manifest, world

if TYPE_CHECKING:
    from fairlead.local.folder import Folder
    from fairlead_tests.cli.asking.conftest import Asked
    from fairlead_tests.cli.conftest import Command, Ran


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
