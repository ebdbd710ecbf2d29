"""What ``fairlead up`` shows of what a platform tells: lines, and a table on a terminal."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import rich.console

from fairlead.cli import livetable, viewing
from fairlead.cli.display import Lines, Screen

NOW = 1_700_000_000.0


def view(name: str = "iris", status: str = "True", reason: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    model = {"modelFormat": {"name": "sklearn"}, **more.pop("model", {})}
    shown: dict[str, Any] = {
        "url": f"http://{name}-default.localhost:8080",
        "conditions": [{"type": "Other", "status": "False"}, condition],
        "components": {"predictor": {"traffic": more.pop("traffic", [])}},
    }
    return {
        "manifest": {
            "metadata": {"name": name},
            "spec": {"predictor": {"model": model}},
            "status": shown,
        },
        "replicas": [{"name": f"{name}-1", "stage": stage} for stage in more.pop("stages", ["ready"])],
        "events": more.pop("events", []),
        "scaling": {f"{name}-predictor": {"desired": 1, "reason": more.pop("why", "")}},
        "canaries": more.pop("canaries", {}),
    }


def event(message: str, *, at: float = NOW, kind: str = "Normal", count: int = 1) -> dict[str, Any]:
    return {"at": at, "type": kind, "reason": "Pulled", "message": message, "count": count}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    with caplog.at_level(logging.INFO, logger="fairlead.up"):
        made = Lines()
        made.begin("127.0.0.1:8080")
        caplog.clear()
        yield made


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [f"{record.levelname} {record.getMessage()}" for record in caplog.records]
    caplog.clear()
    return found


# -- lines -----------------------------------------------------------------------------------------------


def test_a_service_that_becomes_ready_is_told_with_two_ways_to_ask_it(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.show([view(status="Unknown")])
    assert said(caplog) == ["INFO default/iris: not Ready yet"]
    lines.show([view()])
    assert said(caplog) == [
        "INFO default/iris: Ready at http://iris-default.localhost:8080",
        "INFO default/iris: curl http://iris-default.localhost:8080/v1/models/iris",
        "INFO default/iris: curl http://127.0.0.1:8080/serving/default/iris/v1/models/iris",
    ]


def test_what_does_not_change_is_told_once(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    lines.show([view(events=[event("It is there.")])])
    said(caplog)
    lines.show([view(events=[event("It is there.", count=7)])])
    assert said(caplog) == []


def test_a_service_that_is_not_ready_is_a_warning_with_its_reason(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.show([view(status="False", reason="NoSupportingRuntime", message="Nothing serves lightgbm. Install it.")])
    assert said(caplog) == [
        "WARNING default/iris: not Ready: NoSupportingRuntime: Nothing serves lightgbm. Install it."
    ]


def test_a_service_that_is_back_is_told_again(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    lines.show([view()])
    lines.show([])
    assert said(caplog)[-1] == "INFO default/iris: gone"
    lines.show([view()])
    assert said(caplog)[0] == "INFO default/iris: Ready at http://iris-default.localhost:8080"


def test_events_are_told_as_they_come(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    lines.show([view(events=[event("one")])])
    said(caplog)
    lines.show([view(events=[event("one"), event("two", kind="Warning")])])
    assert said(caplog) == ["WARNING default/iris: Pulled: two"]


def latest(revision: str = "iris-2", state: str = "coming") -> dict[str, Any]:
    """What a platform says of a revision in whose place iris-1 answers."""
    return {
        "component": "predictor",
        "canary": False,
        "revision": revision,
        "state": state,
        "before": ["iris-1"],
        "reason": "Starting" if state == "coming" else "FetchFailed",
        "message": "",
        "failures": 0,
    }


def test_an_earlier_revision_that_answers_is_not_called_ready(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    lines.show([view(status="False", reason="NoSupportingRuntime")])
    said(caplog)
    lines.show([{**view(), "latest": [latest()]}])
    assert said(caplog) == ["INFO default/iris: iris-2 is not ready yet, and iris-1 goes on answering"]
    failed = {"at": NOW, "type": "Warning", "reason": "RevisionFailed", "message": "iris-2 fails.", "count": 1}
    lines.show([{**view(events=[failed]), "latest": [latest(state="failed")]}])
    assert said(caplog) == ["WARNING default/iris: RevisionFailed: iris-2 fails."]
    lines.show([view(events=[failed])])
    assert said(caplog)[0] == "INFO default/iris: Ready at http://iris-default.localhost:8080"


def test_a_new_revision_that_answers_is_told_without_the_ways_to_ask_it_once_more(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.show([view()])
    said(caplog)
    lines.show([{**view(), "latest": [latest()]}])
    assert said(caplog) == []
    lines.show([view()])
    assert said(caplog) == ["INFO default/iris: Ready at http://iris-default.localhost:8080"]


def test_a_revision_that_fails_once_more_after_another_was_declared_is_told_again(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    failed = {"at": NOW, "type": "Warning", "reason": "RevisionFailed", "message": "iris-2 fails.", "count": 1}
    lines.show([view(events=[failed])])
    said(caplog)
    lines.show([view(events=[failed])])
    assert said(caplog) == []
    lines.show([view(events=[{**failed, "count": 2}])])
    assert said(caplog) == ["WARNING default/iris: RevisionFailed: iris-2 fails."]


@pytest.mark.parametrize("reason", ["NoSupportingRuntime", "InferenceServiceNotReady"])
def test_a_mistake_is_told_once(lines: Lines, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    told = {"at": NOW, "type": "Warning", "reason": reason, "message": "Nothing serves it.", "count": 1}
    lines.show([view(status="False", reason="NoSupportingRuntime", message="Nothing serves it.", events=[told])])
    assert said(caplog) == ["WARNING default/iris: not Ready: NoSupportingRuntime: Nothing serves it."]


def test_nothing_is_told_of_a_status_that_is_not_about_what_is_declared(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.show([{**view(events=[event("It is there.")]), "current": False}])
    assert said(caplog) == []


def test_lines_for_machines_say_what_they_are_about(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    lines.show([view(status="False", reason="Broken")])
    assert {key: caplog.records[-1].__dict__[key] for key in ("service", "ready", "reason")} == {
        "service": "default/iris",
        "ready": "False",
        "reason": "Broken",
    }


# -- how a service is asked ------------------------------------------------------------------------------


def test_a_model_that_speaks_v2_is_asked_in_v2() -> None:
    found = viewing.examples(view(model={"protocolVersion": "v2"}), "127.0.0.1:8080")
    assert found[0] == "curl http://iris-default.localhost:8080/v2/models/iris"


def test_a_platform_that_listens_everywhere_is_asked_on_this_machine() -> None:
    assert "http://127.0.0.1:9000/" in viewing.examples(view(), "0.0.0.0:9000")[1]


def test_a_service_without_a_url_cannot_be_asked() -> None:
    bare = view()
    bare["manifest"]["status"] = None
    assert viewing.examples(bare, "127.0.0.1:8080") == []
    assert viewing.readiness(bare).status == "Unknown"


# -- the table -------------------------------------------------------------------------------------------


def test_the_table_shows_how_traffic_is_split() -> None:
    shares = [
        {"revisionName": "iris-predictor-00002", "percent": 20, "latestRevision": True},
        {"revisionName": "iris-predictor-00001", "percent": 80, "tag": "prev"},
        {"revisionName": "iris-predictor-00003", "percent": 0},
    ]
    assert livetable.traffic(view(traffic=shares)) == "00002 20% 00001 80%"
    assert livetable.traffic(view(canaries={"blue": 5})) == "blue 5%"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (view(), ""),
        (view(status="False", reason="Crash", message="It\nends."), "Crash: It ends."),
        (view(status="Unknown", stages=["starting", "fetching", "ready"]), "1 fetching, 1 starting"),
        (view(stages=["ready", "failed"], why="limited to 1 by memory"), "1 failed, limited to 1 by memory"),
        (
            {**view(), "latest": [latest(state="stuck")]},
            "iris-2 does not answer, and iris-1 goes on answering: FetchFailed",
        ),
    ],
)
def test_the_table_says_what_is_going_on(shown: dict[str, Any], expected: str) -> None:
    assert livetable.going_on(shown) == expected


@pytest.fixture
def screen() -> Screen:
    console = rich.console.Console(file=io.StringIO(), force_terminal=True, width=140, height=30)
    return Screen(console)


def picture(screen: Screen) -> str:
    console = rich.console.Console(file=io.StringIO(), width=140)
    console.print(screen.picture())
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_screen_has_services_examples_and_events(screen: Screen) -> None:
    screen.begin("127.0.0.1:8080")
    try:
        screen.show([view(events=[event("[bold]It is[/bold] there.", count=3)])])
        text = picture(screen)
    finally:
        screen.end()
    assert "default/iris  yes    1/1" in text
    assert "curl http://iris-default.localhost:8080/v1/models/iris" in text
    assert "default/iris: Pulled: [bold]It is[/bold] there. (3 times)" in text


def test_a_long_reason_leaves_the_url_whole() -> None:
    console = rich.console.Console(file=io.StringIO(), width=90)
    failed = view("wine", status="False", reason="Crash", message="It ends. " * 20)
    console.print(livetable.table([view("iris"), failed]))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 3
    assert "http://iris-default.localhost:8080 " in lines[1]
    assert "Crash: It e" in lines[2]


def test_more_services_than_there_is_room_for_show_first_those_that_are_not_ready(screen: Screen) -> None:
    services = [view(f"model-{number:02}") for number in range(40)]
    services[39] = view("model-39", status="False", reason="Crash", message="It ends.")
    screen.show(services)
    text = picture(screen)
    assert "default/model-39" in text
    assert "and 30 more; fairlead status shows all" in text


def test_what_is_logged_appears_above_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    handler = logging.StreamHandler(terminal)
    logger = logging.getLogger()
    logger.addHandler(handler)
    screen = Screen(rich.console.Console(file=terminal, force_terminal=True, width=100))
    try:
        screen.begin("127.0.0.1:8080")
        assert handler.stream is not terminal
        logger.warning("something [i]odd[/i]")
        screen.end()
    finally:
        logger.removeHandler(handler)
    assert handler.stream is terminal
    assert "something [i]odd[/i]" in terminal.getvalue()
