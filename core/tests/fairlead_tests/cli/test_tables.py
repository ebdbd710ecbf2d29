"""What people read of services: a table in kubectl's columns, and everything of one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich import console

from fairlead.cli import ages, plaintext, tables
from fairlead.resolve import status
from fairlead_tests.resolve.observing import AT, component, observation, replica, revision, service

if TYPE_CHECKING:
    from fairlead.resolve.observation import ServiceObservation

NOW = ages.moment(AT) or 0.0
CANARY = component(
    revision(2, replica()), revision(1, replica()), traffic=[(2, 20), (1, 80)], grpc_url="iris-default.localhost:80"
)
FAILING = component(
    revision(
        2, replica("failed", "iris-predictor-00002-x", reason="CrashLoopBackOff", message="No such\nfile.", exit_code=1)
    ),
    revision(1, replica()),
    traffic=[(1, 100)],
)


def view(observed: ServiceObservation | None = None, **more: Any) -> dict[str, Any]:
    """A service as the platform gives it."""
    found = status.derive(service(canaries=[("x", 20)]), observed, None, AT)
    scaling = {"component": "predictor", "strategy": "kpa", "desired": 2, "reason": "3.0 requests at once."}
    metadata = {"name": "iris", "namespace": "default", "labels": {"team": "botany"}, **more.pop("metadata", {})}
    shown = found.model_dump(by_alias=True, exclude_unset=True)
    return {
        "manifest": {"kind": "InferenceService", "metadata": metadata, "spec": {}, "status": shown},
        "replicas": [],
        "events": [],
        "scaling": {"iris-predictor": scaling},
        **more,
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (5.9, "5s"),
        (119, "119s"),
        (180, "3m"),
        (185, "3m5s"),
        (3600, "60m"),
        (7500, "2h5m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (4 * 86400, "4d"),
        (4 * 86400 + 3 * 3600, "4d3h"),
        (30 * 86400, "30d"),
        (3 * 365 * 86400 + 86400, "3y1d"),
    ],
)
def test_ages_are_written_as_kubectl_writes_them(seconds: float, text: str) -> None:
    assert ages.age(seconds) == text


def test_what_is_no_moment_has_no_age() -> None:
    values: list[object] = [None, "yesterday", True, []]
    assert [ages.since(value, 0.0) for value in values] == ["<unknown>"] * 4
    assert ages.moment("1970-01-01T00:01:00") == 60.0


def test_the_table_has_the_columns_of_kubectl() -> None:
    rows = tables.services_rows([view(observation(CANARY))], False, NOW + 7500)
    header, row = rows
    assert dict(zip(header, row, strict=True)) == {
        "NAME": "iris",
        "URL": "http://iris-default.localhost:8080",
        "READY": "True",
        "PREV": "80",
        "LATEST": "20",
        "PREVROLLEDOUTREVISION": "iris-predictor-00001",
        "LATESTREADYREVISION": "iris-predictor-00002",
        "AGE": "2h5m",
    }


def test_a_service_that_nothing_is_known_of_has_empty_cells() -> None:
    bare = {"metadata": {"name": "iris"}}
    assert tables.services_rows([bare], False, NOW)[1] == ("iris", "", "", "", "", "", "", "<unknown>")
    assert tables.services_rows([bare], True, NOW)[1][-3:] == ("<unknown>", "<unknown>", "<none>")


def test_the_age_is_that_of_the_manifest_where_it_says() -> None:
    made = view(metadata={"creationTimestamp": "2026-05-04T03:02:01Z"})
    assert tables.services_rows([made], False, NOW + 30)[1][-1] == "30s"


def test_namespaces_are_shown_where_there_are_several() -> None:
    views = [view(), view(metadata={"namespace": "flowers"})]
    header, *rows = tables.services_rows(views, False, NOW)
    assert header[0] == "NAMESPACE"
    assert [row[:2] for row in rows] == [("default", "iris"), ("flowers", "iris")]
    assert tables.services_rows(views[:1], False, NOW)[0][0] == "NAME"


def test_the_wide_table_adds_replicas_strategy_and_runtime() -> None:
    wide = view(observation(), replicas=[{"name": "a", "stage": "ready"}, {"name": "b", "stage": "starting"}])
    header, row = tables.services_rows([wide], True, NOW)
    found = dict(zip(header, row, strict=True))
    assert (found["NAMESPACE"], found["REPLICAS"], found["STRATEGY"], found["RUNTIME"]) == (
        "default",
        "1/2",
        "kpa",
        "sklearn",
    )


def test_a_table_that_is_not_on_a_terminal_has_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a" * 200
    tables.show(tables.services_table([view(observation(CANARY), metadata={"name": name})], True, NOW))
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["NAMESPACE", "NAME", "URL"]
    assert row.split()[1] == name
    assert row == row.rstrip()
    assert header.index("READY") == row.index("True")


def test_a_name_with_markup_or_a_control_sequence_is_shown_as_text() -> None:
    screen = io.StringIO()
    shown = view(metadata={"name": "[red]x\x1b[31m"})
    console.Console(file=screen, force_terminal=False, width=200).print(tables.services_table([shown], False, NOW))
    assert "[red]x " in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


def test_control_sequences_are_taken_out_of_texts() -> None:
    text = "a\x1b[2Jb\x1b]0;title\x07c\x00d\te\r\nf\u202eg"
    assert plaintext.clean(text) == "abcd\te\nfg"
    assert plaintext.line("  one\n two") == "one ..."


def test_a_description_has_everything_there_is() -> None:
    shown = view(
        observation(CANARY),
        canaries={"x": 0},
        replicas=[
            {
                "name": "iris-predictor-00002-a",
                "component": "predictor",
                "revision": "iris-predictor-00002",
                "stage": "ready",
                "reason": "",
                "message": "",
                "restarts": 3,
                "http": 4711,
                "grpc": None,
                "pid": 99,
                "log": "/logs/a",
                "started_at": NOW - 10,
            }
        ],
        events=[
            {"at": NOW - 1, "type": "Normal", "reason": "InferenceServiceReady", "message": "Ready.", "count": 1},
            {"at": NOW - 5, "type": "Warning", "reason": "Crashed", "message": "It\nended.", "count": 4},
        ],
    )
    lines = [" ".join(line.split()) for line in tables.description(shown, NOW).splitlines()]
    for expected in (
        "Name: iris",
        "Labels: team=botany",
        "Annotations: <none>",
        "Mode: Knative",
        "Runtime: sklearn (ClusterServingRuntime)",
        "Generation: 3",
        "Ready True 0s",
        "Transition: UpToDate",
        "Copies: 2 ready, 0 failed",
        "REST: http://iris-predictor-default.localhost",
        "gRPC: iris-default.localhost:80",
        "Latest ready: iris-predictor-00002",
        "Traffic: 20 % iris-predictor-00002 (latest)",
        "80 % iris-predictor-00001 (prev)",
        "Scaling: iris-predictor: kpa, 2 replicas wanted: 3.0 requests at once.",
        "x False 20 % 0 % InProgress",
        "iris-predictor-00002-a ready 3 10s 4711 - 99",
        "Warning Crashed 5s (x4) It ...",
        "Normal InferenceServiceReady 1s Ready.",
    ):
        assert expected in lines
    assert lines.index("Warning Crashed 5s (x4) It ...") < lines.index("Normal InferenceServiceReady 1s Ready.")


def test_what_fails_is_told_once_in_full_at_the_end_with_its_log() -> None:
    message = "iris.pkl: no such file.\n  Traceback: \x1b[31mline 3\nPut the file there."
    failing = {"name": "r2", "stage": "failed", "reason": "CrashLoopBackOff", "message": message, "log": "/logs/r2"}
    told = tables.description(view(observation(FAILING), replicas=[failing, {**failing, "name": "r3"}]), NOW)
    assert told.endswith(
        "Failures:\n"
        "  r2: CrashLoopBackOff\n"
        "    iris.pkl: no such file.\n"
        "      Traceback: line 3\n"
        "    Put the file there.\n"
        "    The whole log: /logs/r2\n"
        "  CanaryPredictorReady: CanariesNotReady\n"
        "    Not ready: x (it has not answered yet).\n"
        "  PredictorConfigurationReady: CrashLoopBackOff\n"
        "    No such\n"
        "    file.\n"
    )
    assert "Last failure: " in told
    assert "exit code 1" in told


def test_a_failure_that_a_condition_and_a_replica_tell_is_told_once() -> None:
    failing = {"name": "r2", "stage": "failed", "reason": "CrashLoopBackOff", "message": "No such\nfile."}
    told = tables.description(view(observation(FAILING), replicas=[failing]), NOW)
    assert told.count("    file.\n") == 1


def test_a_description_without_a_clock_says_when() -> None:
    assert "Stopped                      False    2026-05-04T03:02:01Z" in tables.description(view())


def test_long_and_hidden_annotations_do_not_fill_the_screen() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "n" * 1_000_000}
    told = tables.description(view(metadata={"annotations": annotations}), NOW)
    assert "last-applied" not in told
    assert max(map(len, told.splitlines())) < 200


def test_a_service_that_was_only_just_declared_can_be_described() -> None:
    told = tables.description({"manifest": {"metadata": {"name": "iris"}}}, NOW)
    assert "Conditions: <none>" in told
    assert "Events: <none>" in told
