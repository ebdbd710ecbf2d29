"""The strategy passes the public conformance kit, through the public door."""

from __future__ import annotations

import pytest

from fairlead import MetricTarget, ScalingSpec
from fairlead.testing import AutoscalerContract


class TestContract(AutoscalerContract):
    @pytest.fixture
    def autoscaler(self) -> str:
        return "kpa"


class TestRequestsPerSecondToZero(TestContract):
    @pytest.fixture
    def scaling(self) -> ScalingSpec:
        return ScalingSpec(
            min_replicas=0,
            max_replicas=20,
            targets=(MetricTarget(metric="rps", value=150.0),),
            annotations={
                "autoscaling.knative.dev/window": "40s",
                "autoscaling.knative.dev/scale-down-delay": "30s",
                "autoscaling.knative.dev/metric-aggregation-algorithm": "weighted-exponential",
            },
        )
