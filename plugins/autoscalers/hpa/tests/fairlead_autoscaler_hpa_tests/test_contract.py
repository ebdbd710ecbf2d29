"""The conformance kit, through the door that users come through."""

from __future__ import annotations

import pytest

from fairlead import MetricTarget, ScalingSpec
from fairlead.testing.autoscaler import AutoscalerContract


class TestContract(AutoscalerContract):
    @pytest.fixture
    def autoscaler(self) -> str:
        return "hpa"

    @pytest.fixture
    def scaling(self) -> ScalingSpec:
        return ScalingSpec(min_replicas=1, max_replicas=10, targets=(MetricTarget(metric="concurrency", value=100.0),))

    @pytest.fixture
    def delegated(self) -> ScalingSpec:
        return ScalingSpec(min_replicas=1, max_replicas=10)


class TestCpuByDefault(TestContract):
    @pytest.fixture
    def scaling(self) -> ScalingSpec:
        return ScalingSpec(min_replicas=2, max_replicas=10)

    @pytest.fixture
    def delegated(self, scaling: ScalingSpec) -> ScalingSpec:
        return scaling


class TestSeveralMetricsToZero(TestContract):
    @pytest.fixture
    def scaling(self) -> ScalingSpec:
        policy = {"type": "Pods", "value": 2, "periodSeconds": 30}
        return ScalingSpec(
            min_replicas=0,
            max_replicas=20,
            targets=(MetricTarget(metric="concurrency", value=200.0), MetricTarget(metric="rps", value=150.0)),
            behavior={"scaleUp": {"policies": [policy], "stabilizationWindowSeconds": 30}},
        )
