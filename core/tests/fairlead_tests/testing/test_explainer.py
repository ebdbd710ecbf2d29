"""The conformance kit of explainers finds what an explainer does wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fairlead import (
    AnyModel,
    Artifact,
    Datatype,
    Explainer,
    ExplainerSpec,
    InferRequest,
    InferResponse,
    LoadSettings,
    Model,
    ModelMetadata,
    Predict,
    Setting,
    Tensor,
    errors,
)
from fairlead.testing import ExplainerContract

SETTINGS = LoadSettings(model_name="contract")

Rule = Callable[[ExplainerContract, Explainer], None]


class Doubler(Model):
    """A model of rows of numbers."""

    def __init__(self) -> None:
        self._metadata = ModelMetadata(platform="test")
        self.factor = 2.0

    @property
    def metadata(self) -> ModelMetadata:
        return self._metadata

    def predict(self, request: InferRequest) -> InferResponse:
        answer = Tensor.from_numpy("y", request.inputs[0].data * self.factor)
        return InferResponse(model_name=request.model_name, outputs=[answer])


class Good(Explainer):
    """How far predictions are from those of zeros."""

    model: AnyModel | None = None

    def load(self, artifact: Artifact | None, settings: LoadSettings, model: AnyModel | None) -> None:
        self.model = model
        if model is not None and not isinstance(model, Doubler):
            raise errors.ModelLoadError("Only doublers are explained.")

    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        if not request.inputs or request.inputs[0].datatype is Datatype.BYTES or not request.inputs[0].data.size:
            raise errors.InvalidInput("rows of numbers are expected")
        return self.answer(request, predict)

    def answer(self, request: InferRequest, predict: Predict) -> InferResponse:
        answer = predict(request).outputs[0].data
        return InferResponse(model_name=request.model_name, outputs=[Tensor.from_numpy("difference", answer)])


class ExplainsAnything(Good):
    def load(self, artifact: Artifact | None, settings: LoadSettings, model: AnyModel | None) -> None:
        self.model = model


class AsksAnother(Good):
    def answer(self, request: InferRequest, predict: Predict) -> InferResponse:
        return super().answer(dataclasses.replace(request, model_name="another"), predict)


class Catches(Good):
    def answer(self, request: InferRequest, predict: Predict) -> InferResponse:
        for _ in range(2):
            try:
                return super().answer(request, predict)
            except errors.FairleadError:
                continue
        raise errors.DeadlineExceeded("It was tried twice.")


class Hides(Good):
    def answer(self, request: InferRequest, predict: Predict) -> InferResponse:
        try:
            return super().answer(request, predict)
        except errors.FairleadError:
            return InferResponse(model_name=request.model_name, payload={"why": "not known"})


class WritesToTheRequest(Good):
    def answer(self, request: InferRequest, predict: Predict) -> InferResponse:
        request.inputs[0].data[0] = 0.0
        return super().answer(request, predict)


class ChangesTheModel(Good):
    def answer(self, request: InferRequest, predict: Predict) -> InferResponse:
        assert isinstance(self.model, Doubler)
        self.model.factor += 1
        return super().answer(request, predict)


class AnswersNothing(Good):
    def answer(self, request: InferRequest, predict: Predict) -> InferResponse:
        return InferResponse(model_name=request.model_name)


class AnswersUnevenRows(Good):
    def answer(self, request: InferRequest, predict: Predict) -> InferResponse:
        outputs = [Tensor.from_numpy("a", np.zeros(2)), Tensor.from_numpy("b", np.zeros(3))]
        return InferResponse(model_name=request.model_name, outputs=outputs)


class FailsOnText(Good):
    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        return self.answer(dataclasses.replace(request, inputs=[request.inputs[0]]), predict)


def contract() -> ExplainerContract:
    return ExplainerContract()


def request() -> InferRequest:
    return InferRequest(model_name="contract", inputs=[Tensor.from_numpy("x", np.array([[1.0, 2.0], [3.0, 4.0]]))])


TEXT = [Tensor("unexpected", np.array([[[b"unexpected"]]], dtype=object), Datatype.BYTES)]


def _asked(rule: str, *more: Any) -> Rule:
    def run(kit: ExplainerContract, explainer: Explainer) -> None:
        model = Doubler()
        explainer.load(None, SETTINGS, model)
        getattr(kit, rule)(explainer, model, request(), *more)

    return run


RULES: dict[str, Rule] = {
    "refuses": lambda kit, explainer: kit.test_a_model_that_it_does_not_explain_is_refused_while_it_loads(
        explainer, SETTINGS, None, Stranger()
    ),
    "sent": _asked("test_an_explanation_can_be_sent_over_both_protocols"),
    "named": _asked("test_the_model_is_asked_by_its_own_name"),
    "repeated": _asked("test_the_explanation_does_not_depend_on_the_id_and_can_be_repeated"),
    "read-only": _asked("test_inputs_are_read_only_and_stay_as_they_are"),
    "unexpected": _asked("test_unexpected_inputs_are_the_clients_fault", TEXT),
    "ends": _asked("test_an_explanation_ends_with_the_first_call_that_may_not_be_made"),
}


class Stranger(Model):
    """A model of another kind."""

    @property
    def metadata(self) -> ModelMetadata:
        return ModelMetadata(platform="other")

    def predict(self, request: InferRequest) -> InferResponse:
        return InferResponse(model_name=request.model_name)


@pytest.mark.parametrize("rule", RULES)
def test_a_good_explainer_passes(rule: str) -> None:
    RULES[rule](contract(), Good())


@pytest.mark.parametrize(
    ("explainer", "rule"),
    [
        (ExplainsAnything, "refuses"),
        (AnswersNothing, "sent"),
        (AnswersUnevenRows, "sent"),
        (AsksAnother, "named"),
        (ChangesTheModel, "repeated"),
        (WritesToTheRequest, "read-only"),
        (FailsOnText, "unexpected"),
        (Catches, "ends"),
        (Hides, "ends"),
    ],
)
def test_a_flaw_is_found(explainer: type[Explainer], rule: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, TypeError, errors.FairleadError)):
        RULES[rule](contract(), explainer())


@pytest.mark.parametrize(
    "spec",
    [
        ExplainerSpec(name="x", explains=(), factory="a:B"),
        ExplainerSpec(name="x", explains=("tabular",), factory="a:B", in_process=False, remote=False),
        ExplainerSpec(name="x", explains=("tabular",), factory="a:B", requirements=("numpy <",)),
    ],
)
def test_a_spec_that_says_too_little_is_found(spec: ExplainerSpec) -> None:
    with pytest.raises((AssertionError, ValueError)):
        contract().test_the_spec_says_what_is_explained_and_where(spec)


def test_a_setting_without_a_sentence_is_found() -> None:
    spec = ExplainerSpec(name="x", explains=("text",), factory="a:B", settings=(Setting("n", 1, "how many"),))
    with pytest.raises(AssertionError):
        contract().test_every_setting_reads_its_default_from_text(spec)
