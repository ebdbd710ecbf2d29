"""Annotations mean what they mean in Knative, and what they cannot mean is an error."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from fairlead import MetricTarget, ScalingSpec, TargetKind, errors
from fairlead_autoscaler_kpa.annotations import duration
from fairlead_autoscaler_kpa.settings import ALL, Settings, read

KNATIVE = "autoscaling.knative.dev/"
OWN = "kpa.autoscaling/"


def said(name: str, text: str, **fields: Any) -> ScalingSpec:
    return ScalingSpec(annotations={name: text}, **fields)


def concurrency(value: float | None) -> tuple[MetricTarget, ...]:
    return (MetricTarget(metric="concurrency", value=value),)


def test_without_annotations_everything_is_as_knative_has_it() -> None:
    assert read(ScalingSpec()) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("window", "1m30s", "stable_window", 90.0),
        ("window", "0.1m", "stable_window", 6.0),
        ("panic-window-percentage", "2.4", "panic_window", 1.0),
        ("panic-window-percentage", "12.5", "panic_window", 8.0),
        ("panicThresholdPercentage", "110", "panic_threshold", 1.1),
        ("target-utilization-percentage", "100", "target", 100.0),
        ("target", "0.01", "target", 0.01),
        ("target", "10", "total", 10.0),
        ("target-burst-capacity", "-1", "burst_capacity", -1.0),
        ("targetBurstCapacity", "0", "burst_capacity", 0.0),
        ("scale-down-delay", "1h", "scale_down_delay", 3600.0),
        ("scale-to-zero-pod-retention-period", "1m0.5s", "pod_retention", 60.5),
        ("initialScale", "0", "initial_scale", 0),
        ("activation-scale", "5", "activation_scale", 5),
        ("metric-aggregation-algorithm", "weighted-exponential", "weighted", True),
        ("class", "kpa.autoscaling.knative.dev", "metric", "concurrency"),
        ("min-scale", "1", "initial_scale", 1),
        ("max-scale", "0", "initial_scale", 1),
    ],
)
def test_an_annotation_sets_what_it_names(name: str, text: str, field: str, value: object) -> None:
    assert getattr(read(said(KNATIVE + name, text)), field) == value


def test_requests_per_second_have_a_default_of_their_own() -> None:
    found = read(said(f"{KNATIVE}metric", "rps", container_concurrency=5))
    assert (found.metric, found.total, found.target) == ("rps", 200.0, 140.0)


@pytest.mark.parametrize(
    ("limit", "value", "total"), [(0, None, 100.0), (10, None, 10.0), (10, 50.0, 10.0), (10, 5.0, 5.0), (0, 50.0, 50.0)]
)
def test_a_target_is_never_more_than_a_replica_takes(limit: int, value: float | None, total: float) -> None:
    found = read(ScalingSpec(targets=concurrency(value), container_concurrency=limit))
    assert (found.total, found.target) == (total, total * 0.7)


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("window", "5s", "from 6s to 3600s"),
        ("window", "3601s", "from 6s to 3600s"),
        ("window", "6.5s", "in whole seconds"),
        ("window", "60", "such as 90s or 1m30s"),
        ("window", "-60s", "from 6s to 3600s"),
        ("panic-window-percentage", "0.9", "from 1 to 100"),
        ("panic-threshold-percentage", "109", "from 110 to 1000"),
        ("panic-threshold-percentage", "nan", "a number from 110 to 1000"),
        ("target-utilization-percentage", "101", "from 1 to 100"),
        ("target", "0.009", "at least 0.01"),
        ("target", "1e999", "at least 0.01"),
        ("target-burst-capacity", "-2", "at least 0, or -1"),
        ("target-burst-capacity", "inf", "at least 0, or -1"),
        ("metric-aggregation-algorithm", "median", "linear, weighted-exponential"),
        ("metric", "cpu", "concurrency or rps"),
        ("class", "hpa.autoscaling.knative.dev", "kpa.autoscaling.knative.dev"),
        ("initial-scale", "-1", "from 0 to 2147483647"),
        ("initial-scale", "1.0", "a whole number"),
        ("activation-scale", "0", "from 1 to 2147483647"),
        ("scale-down-delay", "61m", "from 0s to 3600s"),
        ("scale-to-zero-pod-retention-period", "soon", "from 0s to 3600s"),
        ("min-scale", "2", "minReplicas"),
        ("max-scale", "2", "maxReplicas"),
    ],
)
def test_a_value_that_knative_refuses_is_refused_with_what_is_allowed(name: str, text: str, allowed: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        read(said(KNATIVE + name, text))
    assert KNATIVE + name in str(caught.value)
    assert repr(text) in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("max-scale-up-rate", "1", "a number above 1"),
        ("max-scale-down-rate", "0.5", "a number above 1"),
        ("scale-to-zero-grace-period", "5s", "from 6s to 3600s"),
    ],
)
def test_settings_of_a_cluster_have_ranges_too(name: str, text: str, allowed: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"{OWN}{name} is '{text}'.*{allowed}"):
        read(said(OWN + name, text))


@pytest.mark.parametrize("name", [f"{KNATIVE}windows", f"{OWN}window"])
def test_an_annotation_that_nobody_knows_is_an_error(name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"{name} is not an annotation .* {KNATIVE}window"):
        read(said(name, "60s"))


def test_annotations_of_others_are_left_alone() -> None:
    assert read(said("prometheus.io/scrape", "true")) == Settings()


def test_both_spellings_may_be_given_when_they_agree() -> None:
    both = {f"{KNATIVE}target-burst-capacity": "7", f"{KNATIVE}targetBurstCapacity": "7"}
    assert read(ScalingSpec(annotations=both)).burst_capacity == 7.0
    with pytest.raises(errors.ConfigurationError, match=r"target-burst-capacity and its older name .* '7' and '8'"):
        read(ScalingSpec(annotations=both | {f"{KNATIVE}targetBurstCapacity": "8"}))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ScalingSpec(targets=concurrency(1) + concurrency(2)), "takes one of them"),
        (ScalingSpec(targets=concurrency(0.0)), "at least 0.01"),
        (ScalingSpec(targets=(MetricTarget(metric="cpu", value=80),)), "'cpu'"),
        (
            ScalingSpec(targets=(MetricTarget(metric="rps", value=80, kind=TargetKind.UTILIZATION),)),
            "of the kind Utilization",
        ),
        (said(f"{KNATIVE}target", "5", targets=concurrency(6)), "is 5, and the target for concurrency is 6"),
        (said(f"{KNATIVE}metric", "rps", targets=concurrency(6)), "is 'rps', and the target is for 'concurrency'"),
        (ScalingSpec(behavior={"scaleDown": {}}), "behavior belongs to HorizontalPodAutoscaler"),
        (ScalingSpec(min_replicas=3, max_replicas=2), "min_replicas is 3 and max_replicas is 2"),
        (ScalingSpec(min_replicas=-1), "min_replicas is -1"),
        (ScalingSpec(container_concurrency=-1), "container_concurrency is -1"),
    ],
)
def test_what_the_strategy_cannot_do_is_refused(spec: ScalingSpec, message: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=re.escape(message)):
        read(spec)


def test_a_target_and_an_annotation_that_agree_are_one() -> None:
    spec = said(f"{KNATIVE}target", "5.0", targets=concurrency(5))
    assert read(spec) == read(dataclasses.replace(spec, annotations={}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h1m1s", 3661), ("1.5h", 5400), (".5s", 0.5), ("1.s", 1), ("250ms", 0.25), ("1µs", 1e-6), ("0", 0), ("+3s", 3)],
)
def test_lengths_of_time_are_read_as_in_go(text: str, seconds: float) -> None:
    found = duration(text)
    assert found is not None
    assert float(found) == seconds


@pytest.mark.parametrize("text", ["", "s", "1", "1 s", "1s ", "1d", "1s-1s", "--1s", "\u0661s"])
def test_other_texts_are_no_lengths_of_time(text: str) -> None:
    assert duration(text) is None


def test_the_page_lists_every_annotation() -> None:
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z.]+/[a-z-]+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(annotation.name for annotation in ALL)
