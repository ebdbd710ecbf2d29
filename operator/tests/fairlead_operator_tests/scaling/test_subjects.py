"""Which components the operator scales itself."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_operator.scaling.subjects import subjects
from fairlead_operator_tests.desired import services

MODEL = "model: {modelFormat: {name: sklearn}, storageUri: 's3://models/iris'}"
CLASS = "serving.kserve.io/autoscalerClass"


def found(spec: str, **annotations: str) -> list[str]:
    said = {"serving.kserve.io/deploymentMode": "Standard"}
    said |= {f"serving.kserve.io/{name}": text for name, text in annotations.items()}
    service = services.resolved(services.isvc(spec, annotations=said))
    return [each.name for each in subjects(service, services.surroundings(service))]


TRANSFORMED = (
    f"{{predictor: {{{MODEL}}}, transformer: {{annotations: {{{CLASS}: none}}, containers: [{{name: c, image: i}}]}}}}"
)


@pytest.mark.parametrize(
    ("spec", "annotations", "names"),
    [
        (f"{{predictor: {{{MODEL}}}}}", {}, []),
        (f"{{predictor: {{{MODEL}}}}}", {"autoscalerClass": "kpa"}, ["iris-predictor"]),
        (f"{{predictor: {{{MODEL}}}}}", {"autoscalerClass": "kpa", "stop": "true"}, []),
        (TRANSFORMED, {"autoscalerClass": "kpa"}, ["iris-predictor"]),
        (
            f"{{predictor: {{{MODEL}}}, canary: [{{trafficPercent: 5, predictor: {{name: new, {MODEL}}}}}]}}",
            {"autoscalerClass": "kpa"},
            ["iris-predictor", "iris-new-predictor"],
        ),
    ],
)
def test_they_are_those_whose_strategy_only_decides(spec: str, annotations: Any, names: list[str]) -> None:
    assert found(spec, **annotations) == names
