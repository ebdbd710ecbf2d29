"""Rules about traffic that is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_tests.resolve.validating import MODE, MODEL, STANDARD, problems, service, warnings

if TYPE_CHECKING:
    from fairlead.api import InferenceService

OTHER = {**MODEL, "storageUri": "gs://flowers/2"}


def canary(name: str | None = "v2", percent: int = 20, **fields: Any) -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {"trafficPercent": percent, "predictor": {**named, "model": OTHER, **fields}}


def with_canaries(*canaries: dict[str, Any], **predictor: Any) -> InferenceService:
    return service({"name": "v1", "model": MODEL, **predictor}, annotations=STANDARD, canary=list(canaries))


def test_canaries_are_in_order() -> None:
    declared = with_canaries(canary("v2", 20), canary("v3", 80, minReplicas=1))
    assert problems(declared) == []
    assert warnings(declared) == []
    assert problems(with_canaries()) == []


@pytest.mark.parametrize("annotations", [{}, {MODE: "Knative"}])
def test_canaries_hold_in_both_modes_and_kserve_takes_one(annotations: dict[str, str]) -> None:
    declared = service(annotations=annotations, canary=[canary()])
    assert warnings(declared) == [f"spec.canary: it holds here, and KServe refuses it without {MODE}: Standard."]


def test_canaries_need_a_stable_model() -> None:
    declared = service({"containers": [{"image": "x"}]}, annotations=STANDARD, canary=[canary()])
    (found,) = problems(declared)
    assert found == "spec.canary: the stable predictor has no model that a canary could differ from. Set model."


def test_a_canary_has_a_name_of_its_own() -> None:
    assert problems(with_canaries(canary(None))) == [
        "spec.canary[0].predictor.name: it is missing. Name the canary, such as v2; it is promoted by this name."
    ]
    assert problems(with_canaries(canary("v1"))) == [
        "spec.canary[0].predictor.name: v1 is the name of spec.predictor too. Choose another one."
    ]
    assert problems(with_canaries(canary("v2"), canary("v2"))) == [
        "spec.canary[1].predictor.name: v2 is the name of spec.canary[0].predictor too. Choose another one."
    ]


def test_canaries_get_all_traffic_at_most() -> None:
    assert problems(with_canaries(canary("v2", 60), canary("v3", 40))) == []
    assert problems(with_canaries(canary("v2", 60), canary("v3", 41))) == [
        "spec.canary: the canaries get 101 percent together. Write 100 at most."
    ]


def test_a_canary_has_one_implementation() -> None:
    assert problems(with_canaries(canary(model=None))) == [
        "spec.canary[0].predictor: there is nothing that answers requests. Set model or containers."
    ]
    (found,) = problems(with_canaries(canary(xgboost={})))
    assert found.startswith("spec.canary[0].predictor: it has model and xgboost")


def test_a_canary_may_leave_out_the_format_of_the_stable_model() -> None:
    assert problems(with_canaries(canary(model={"storageUri": "gs://flowers/2"}))) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workerSpec", {}),
        ("maxReplicas", 2),
        ("scaleTarget", 1),
        ("scaleMetric", "cpu"),
        ("autoScaling", {}),
        ("canaryTrafficPercent", 10),
    ],
)
def test_a_canary_has_what_the_stable_predictor_says(field: str, value: Any) -> None:
    found = problems(with_canaries(canary(**{field: value})))
    assert f"spec.canary[0].predictor.{field}: a canary has that of the stable predictor. Take it out." in found


def test_a_canary_has_no_more_replicas_than_the_stable_predictor() -> None:
    assert problems(with_canaries(canary(minReplicas=3), minReplicas=3)) == []
    (found,) = problems(with_canaries(canary(minReplicas=2)))
    assert found.startswith("spec.canary[0].predictor.minReplicas: 2 is more than the 1 of the stable predictor.")
    (found,) = problems(with_canaries(canary(minReplicas=1), minReplicas=0))
    assert "1 is more than the 0" in found


def test_a_canary_is_checked_like_any_predictor() -> None:
    (found,) = problems(with_canaries(canary(timeout=-1)))
    assert found == "spec.canary[0].predictor.timeout: -1 is below 0. Write 0 or more."
    (found,) = problems(with_canaries(canary("v" * 60)))
    assert "the objects of spec.canary[0].predictor would be called" in found


# -- the latest revision --------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", ["predictor", "transformer", "explainer"])
def test_the_traffic_of_the_latest_revision_is_a_percentage(component: str) -> None:
    own = {"model": MODEL} if component == "predictor" else {"containers": [{"image": "x"}]}
    for percent in (0, 100):
        assert problems(service(**{component: {**own, "canaryTrafficPercent": percent}})) == []
    for percent in (-1, 101):
        assert problems(service(**{component: {**own, "canaryTrafficPercent": percent}})) == [
            f"spec.{component}.canaryTrafficPercent: {percent} is no percentage from 0 to 100."
        ]


def test_the_traffic_of_the_latest_revision_holds_in_both_modes_and_kserve_ignores_one() -> None:
    predictor = {"model": MODEL, "canaryTrafficPercent": 10}
    assert warnings(service(predictor)) == []
    assert warnings(service(predictor, annotations=STANDARD)) == [
        f"spec.predictor.canaryTrafficPercent: it holds without a cluster, and in no cluster with {MODE}: Standard."
    ]


def test_traffic_is_divided_in_one_way() -> None:
    assert problems(with_canaries(canary(), canaryTrafficPercent=10)) == [
        "spec.canary: spec.predictor.canaryTrafficPercent divides the traffic too. Keep one of them."
    ]


@pytest.mark.parametrize("text", ["-1", "101", "1.5", "ten", "", "٣", "0" * 5000])
def test_a_mirror_copies_a_percentage(text: str) -> None:
    mirror = "fairlead.io/mirror-percent"
    assert problems(service(annotations={mirror: "0"})) == problems(service(annotations={mirror: "100"})) == []
    (found,) = problems(service(annotations={mirror: text}))
    assert found.startswith(f"metadata.annotations: {mirror} is ")
    assert len(found) < 200
