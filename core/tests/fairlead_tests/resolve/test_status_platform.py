"""What a platform that runs replicas for us says of all of them together, and of what it could not make."""

from __future__ import annotations

import pytest

from fairlead.resolve import status
from fairlead.resolve.conditions import TRUE, Verdict
from fairlead.resolve.service import ComponentKind
from fairlead_tests.resolve.observing import (
    AT,
    LATER,
    component,
    condition,
    observation,
    replica,
    revision,
    service,
    words,
)

TOO_FEW = Verdict("False", "MinimumReplicasUnavailable", "Too few of them are ready.")


def test_what_was_ready_is_not_while_its_only_replica_is_made_anew_and_no_request_waits() -> None:
    before = status.derive(service(), observation(), None, AT)
    lost = component(revision(1, replica("starting"), answered=False, verdict=TOO_FEW))
    found = status.derive(service(), observation(lost), before, LATER)
    assert words(found, "Ready") == {"Ready": ("False", "MinimumReplicasUnavailable")}


def test_a_replica_that_fails_says_more_than_their_number() -> None:
    crashed = replica("failed", reason="CrashLoopBackOff", message="No such file.")
    found = status.derive(service(), observation(component(revision(1, crashed, verdict=TOO_FEW))), None, AT)
    assert words(found, "Ready") == {"Ready": ("False", "CrashLoopBackOff")}


@pytest.mark.parametrize(
    ("verdict", "expected"), [(TOO_FEW, "False"), (Verdict("Unknown", "Progressing"), "Unknown"), (None, "Unknown")]
)
def test_why_a_replica_is_not_started_is_told_whether_or_not_that_is_a_failure(
    verdict: Verdict | None, expected: str
) -> None:
    waiting = replica("pending", reason="Unschedulable", message="No node has a GPU.")
    found = status.derive(service(), observation(component(revision(1, waiting, verdict=verdict))), None, AT)
    assert words(found, "Ready") == {"Ready": (expected, "Unschedulable")}


def test_a_verdict_stands_where_no_replica_is_known() -> None:
    nothing = revision(1, desired=1, ready=True, answered=False, verdict=TRUE)
    found = status.derive(service(), observation(component(nothing, traffic=[(1, 100)])), None, AT)
    assert words(found, "Ready") == {"Ready": ("True", None)}


def test_what_is_said_of_a_component_or_the_ingress_counts_for_ready() -> None:
    for kind in ("PredictorReady", "TransformerReady", "IngressReady"):
        wrong = {kind: Verdict("False", "NotInstalled", "Install it.")}
        found = status.derive(
            service(ComponentKind.TRANSFORMER), observation(conditions=wrong, transformer=component()), None, AT
        )
        assert condition(found, kind).reason == "NotInstalled"
        assert condition(found, "Ready").status != "True"


def test_other_conditions_are_told_beside_ready_and_go_when_nobody_says_them() -> None:
    said = {"AutoscalerReady": Verdict("False", "KedaNotInstalled", "Install KEDA.", "Warning"), "Ready": TOO_FEW}
    found = status.derive(service(), observation(conditions=said), None, AT)
    assert words(found, "Ready", "AutoscalerReady") == {
        "Ready": ("True", None),
        "AutoscalerReady": ("False", "KedaNotInstalled"),
    }
    after = status.derive(service(), observation(), found, LATER)
    assert "AutoscalerReady" not in words(after)


def test_they_are_told_of_a_spec_that_cannot_be_run_too() -> None:
    wrong = status.Unresolved("iris", "default", "NoSupportingRuntime", "None serves it.")
    said = {
        "ConfigurationReady": Verdict("False", "InvalidConfiguration", "No JSON.", "Warning"),
        "PredictorReady": TRUE,
    }
    found = status.derive(wrong, observation(conditions=said), None, AT)
    assert words(found, "ConfigurationReady", "PredictorReady") == {
        "ConfigurationReady": ("False", "InvalidConfiguration"),
        "PredictorReady": ("False", "NoSupportingRuntime"),
    }
