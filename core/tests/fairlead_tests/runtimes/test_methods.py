"""Which method answers: the request's, else the setting's."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead import InferRequest, errors
from fairlead.runtimes import methods

SCORED = ("predict", "decision_function")


def asked(default: str = "predict", known: tuple[str, ...] = methods.METHODS, **parameters: Any) -> str:
    return methods.asked(InferRequest(model_name="m", parameters=parameters), default, known)


def test_a_request_that_names_no_method_is_answered_by_the_default() -> None:
    assert asked() == "predict"
    assert asked("decision_function", content_type="pd") == "decision_function"


def test_a_request_names_a_method_or_asks_for_probabilities_or_for_none() -> None:
    assert asked(method="decision_function") == "decision_function"
    assert asked(predict_proba=True) == "predict_proba"
    assert asked("predict_proba", predict_proba=False) == "predict"
    assert asked(method="predict_proba", predict_proba=True) == "predict_proba"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"method": "fit"}, "no method 'fit'; it has predict, decision_function"),
        ({"predict_proba": True}, "no method 'predict_proba'"),
        ({"predict_proba": "yes"}, "true or false, got 'yes'"),
        ({"method": "predict", "predict_proba": True}, "contradict"),
    ],
)
def test_what_the_model_cannot_do_is_the_clients_fault(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.InvalidInput, match=said):
        asked(known=SCORED, **parameters)


def test_a_model_without_the_default_method_says_which_it_has() -> None:
    methods.check("predict", SCORED, "Booster")
    with pytest.raises(errors.ModelLoadError) as caught:
        methods.check("predict_proba", SCORED, "Booster")
    assert "Booster, which has no method predict_proba; it has predict, decision_function" in str(caught.value)
    assert "--set method=predict" in str(caught.value)


def test_the_setting_takes_the_methods_and_kserves_variable() -> None:
    setting = methods.setting(("predict", "predict_proba", "transform"))
    assert setting.parse("transform") == "transform"
    assert setting.env == ("PREDICT_PROBA=predict_proba",)
    with pytest.raises(errors.ConfigurationError, match="not one of predict, predict_proba, decision_function"):
        methods.METHOD.parse("transform")
