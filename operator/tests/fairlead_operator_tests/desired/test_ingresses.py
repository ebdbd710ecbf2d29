"""The Ingress of a service: each host leads to what it is the host of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from fairlead_operator.desired import routing
from fairlead_operator_tests import golden
from fairlead_operator_tests.desired import services
from fairlead_operator_tests.desired.routes import CUSTOM, case, spec

GOLDEN: Final = Path(__file__).parent / "golden" / "ingress"

CASES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "predictor": (services.MODEL, {}),
    "transformer-and-explainer": (spec(transformer=CUSTOM, explainer=CUSTOM), {"ingress": {"ingress_class": "istio"}}),
    "domains-and-metadata": (
        services.MODEL,
        {
            "resolve": {"disallowed_annotations": frozenset({"secret"})},
            "ingress": {"additional_domains": ("example.org",)},
            "metadata": {"labels": {"team": "a"}, "annotations": {"note": "c", "secret": "d"}},
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_ingress_of_a_service_is_that_of_the_file(name: str) -> None:
    declared, around = CASES[name]
    made = case(declared, gateway=False, **around)
    found, problems = routing.objects(made.service, made.around)
    assert problems == []
    golden.check(GOLDEN / f"{name}.yaml", found)


def test_hosts_of_explainer_and_transformer_lead_to_them() -> None:
    made = case(spec(transformer=CUSTOM, explainer=CUSTOM), gateway=False)
    (ingress,), _ = routing.objects(made.service, made.around)
    leads = {
        rule["host"]: [(each["path"], each["backend"]["service"]["name"]) for each in rule["http"]["paths"]]
        for rule in ingress["spec"]["rules"]
    }
    assert leads == {
        "iris-models.example.com": [("/v2/models/iris/explain", "iris-explainer"), ("/", "iris-transformer")],
        "iris-predictor-models.example.com": [("/", "iris-predictor")],
        "iris-transformer-models.example.com": [("/", "iris-transformer")],
        "iris-explainer-models.example.com": [("/", "iris-explainer")],
    }


def test_a_path_that_an_ingress_cannot_take_off_is_told() -> None:
    made = case(gateway=False, resolve={"path_template": "/serving/{{ .Name }}"})
    _, problems = routing.objects(made.service, made.around)
    assert [(each.condition, each.reason) for each in problems] == [("ConfigurationReady", "GatewayAPINeeded")]
    assert "/serving/iris leads nowhere" in problems[0].message
