"""The conformance kit, through the door that users come through."""

from __future__ import annotations

import pytest

from fairlead import MetricTarget, ScalingSpec, TargetKind
from fairlead.testing.autoscaler import AutoscalerContract
from fairlead_autoscaler_keda_tests import asking


class TestContract(AutoscalerContract):
    @pytest.fixture
    def autoscaler(self) -> str:
        return "keda"

    @pytest.fixture
    def delegated(self) -> ScalingSpec:
        return ScalingSpec(
            max_replicas=10, targets=(MetricTarget(metric="cpu", value=70.0, kind=TargetKind.UTILIZATION),)
        )


class TestMetricsOfPods(TestContract):
    @pytest.fixture
    def delegated(self) -> ScalingSpec:
        return asking.spec(asking.pod_metric(metricNames=["vllm:num_requests_running"]), max_replicas=10)
