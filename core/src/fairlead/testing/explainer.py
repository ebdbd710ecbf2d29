"""The conformance kit of explainers.

An explainer's test file is a subclass that says which plugin is meant, what it explains, and what it is asked::

    class TestContract(ExplainerContract):
        @pytest.fixture
        def explainer(self) -> str:
            return "shap"

        @pytest.fixture
        def model(self) -> Model:
            return loaded_model()

        @pytest.fixture
        def request_inputs(self) -> list[Tensor]:
            return [Tensor.from_numpy("input-0", np.array([[0.0, 0.1], [0.9, 1.0]]))]

Everything goes through `Plugins.discover`, the door that users come through. What an explainer does in the process of
the model and as a component of its own is tried in both places, as far as its spec permits.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import numpy as np
import pytest
from packaging.requirements import Requirement

from fairlead import errors
from fairlead.contracts.explainer import Explainer, ExplainerSpec
from fairlead.contracts.runtime import Artifact, LoadSettings, Model, SettingValue
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, Parameter, Tensor
from fairlead.plugins import Kind, Plugins
from fairlead.protocol import v1, v2

__all__ = ["ExplainerContract"]

_BESIDE: Final = "in the process of the model"
_ALONE: Final = "as a component of its own"

_LOADED_MODULES = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps([*sys.modules]))"


class Counted:
    """Asks a model, and keeps what it was asked.

    Args:
        model: the model.
        failing: what it raises in place of an answer; None for nothing.
    """

    def __init__(self, model: Model, failing: errors.FairleadError | None = None) -> None:
        self._model = model
        self._failing = failing
        self.asked: list[InferRequest] = []

    def __call__(self, request: InferRequest) -> InferResponse:
        """Ask it."""
        self.asked.append(request)
        if self._failing is not None:
            raise self._failing
        return self._model.predict(dataclasses.replace(request, payload=None))


class ExplainerContract:
    """What every explainer keeps to; subclass it and override `explainer`, `model` and `request_inputs`."""

    # -- what the author gives --------------------------------------------------------------------------

    @pytest.fixture
    def explainer(self) -> str:
        """The plugin's name."""
        raise NotImplementedError("override the fixture `explainer`")

    @pytest.fixture
    def model(self) -> Model:
        """A loaded model that it explains."""
        raise NotImplementedError("override the fixture `model`")

    @pytest.fixture
    def request_inputs(self) -> Sequence[Tensor]:
        """What is explained, of two rows at least."""
        raise NotImplementedError("override the fixture `request_inputs`")

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, Parameter]:
        """Parameters of the request."""
        return {}

    @pytest.fixture
    def artifact(self) -> Path | None:
        """The explainer's own files: a file, or a folder of files; None for none."""
        return None

    @pytest.fixture
    def settings(self) -> Mapping[str, SettingValue]:
        """Settings of the explainer's own that differ from their defaults."""
        return {}

    @pytest.fixture
    def unexpected_inputs(self) -> Sequence[Tensor]:
        """Inputs that no client should send to be explained; override it for an explainer that takes these."""
        return [Tensor("unexpected", np.array([[[b"unexpected"]]], dtype=object), Datatype.BYTES)]

    @pytest.fixture
    def unexplainable(self) -> Model | None:
        """A loaded model that it does not explain; None for an explainer of all models."""
        return None

    @pytest.fixture
    def places(self, spec: ExplainerSpec) -> Collection[str]:
        """Where it is tried: all that its spec permits; override it where settings leave fewer."""
        return [place for place, runs in ((_BESIDE, spec.in_process), (_ALONE, spec.remote)) if runs]

    # -- what the tests use -----------------------------------------------------------------------------

    @pytest.fixture
    def plugins(self) -> Plugins:
        """The plugins of this environment."""
        return Plugins.discover()

    @pytest.fixture
    def spec(self, plugins: Plugins, explainer: str) -> ExplainerSpec:
        """The explainer's spec."""
        (spec,) = plugins.specs(Kind.EXPLAINER, explainer)
        return cast("ExplainerSpec", spec)

    @pytest.fixture
    def made(self, plugins: Plugins, spec: ExplainerSpec) -> Iterator[Explainer]:
        """The explainer, not loaded."""
        explainer: Explainer = plugins.factory(Kind.EXPLAINER, spec)()
        yield explainer
        explainer.unload()

    @pytest.fixture
    def load_settings(self, spec: ExplainerSpec, settings: Mapping[str, SettingValue]) -> LoadSettings:
        """What the explainer is told."""
        options = {setting.name: setting.default for setting in spec.settings} | dict(settings)
        return LoadSettings(model_name="contract", options=options)

    @pytest.fixture(params=[_BESIDE, _ALONE])
    def loaded(
        self,
        request: pytest.FixtureRequest,
        made: Explainer,
        places: Collection[str],
        model: Model,
        artifact: Path | None,
        load_settings: LoadSettings,
    ) -> Explainer:
        """The explainer, loaded where it can run."""
        if request.param not in places:
            pytest.skip(f"it does not run {request.param}")
        made.load(_artifact(artifact), load_settings, model if request.param == _BESIDE else None)
        return made

    @pytest.fixture
    def infer_request(
        self, request_inputs: Sequence[Tensor], request_parameters: Mapping[str, Parameter]
    ) -> InferRequest:
        """A valid request."""
        return InferRequest(model_name="contract", inputs=request_inputs, parameters=dict(request_parameters))

    # -- the spec ---------------------------------------------------------------------------------------

    def test_the_spec_is_named_as_the_entry_point_and_names_an_explainer(
        self, made: Explainer, spec: ExplainerSpec, explainer: str
    ) -> None:
        """The factory is imported here, and is an `Explainer`."""
        assert spec.name == explainer
        assert isinstance(made, Explainer)

    def test_the_spec_says_what_is_explained_and_where(self, spec: ExplainerSpec) -> None:
        """An explainer that runs nowhere can never be used; its requirements are written as pip reads them."""
        assert spec.explains
        assert spec.in_process or spec.remote
        assert all(Requirement(each).name for each in spec.requirements)

    def test_every_setting_reads_its_default_from_text(self, spec: ExplainerSpec) -> None:
        """Settings come as text from flags and from the environment."""
        for setting in spec.settings:
            assert setting.parse(str(setting.default)) == setting.default
            assert setting.help.endswith("."), (
                f"the help of the setting {setting.name} is a sentence, which ends in a full stop"
            )

    def test_describing_the_explainer_does_not_import_numpy(
        self, plugins: Plugins, spec: ExplainerSpec, explainer: str
    ) -> None:
        """Whoever lists plugins does not wait for the library of one."""
        module = plugins.info(Kind.EXPLAINER, explainer).module
        command = [sys.executable, "-c", _LOADED_MODULES, module]
        loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert {"numpy", spec.factory.partition(":")[0]}.isdisjoint(loaded)

    # -- loading ----------------------------------------------------------------------------------------

    def test_a_model_that_it_does_not_explain_is_refused_while_it_loads(
        self, made: Explainer, load_settings: LoadSettings, artifact: Path | None, unexplainable: Model | None
    ) -> None:
        """A client must not be the first to learn it."""
        if unexplainable is None:
            pytest.skip("it explains all models")
        with pytest.raises(errors.ModelLoadError):
            made.load(_artifact(artifact), load_settings, unexplainable)

    # -- explaining -------------------------------------------------------------------------------------

    def test_an_explanation_can_be_sent_over_both_protocols(
        self, loaded: Explainer, model: Model, infer_request: InferRequest
    ) -> None:
        """Tensors of common rows, or a JSON payload."""
        answer = loaded.explain(infer_request, Counted(model))
        for tensor in answer.outputs:
            assert tensor.data.dtype == tensor.datatype.numpy
        document = json.loads(b"".join(v1.encode_explanation(answer).chunks))
        assert document
        written = v2.encode(v2.as_explanation(answer), infer_request)
        assert json.loads(b"".join(written.chunks))["outputs"]

    def test_the_model_is_asked_by_its_own_name(
        self, loaded: Explainer, model: Model, infer_request: InferRequest
    ) -> None:
        """As a component, the explainer asks a server that may know several models."""
        counted = Counted(model)
        loaded.explain(infer_request, counted)
        assert {each.model_name for each in counted.asked} <= {infer_request.model_name}

    def test_the_explanation_does_not_depend_on_the_id_and_can_be_repeated(
        self, loaded: Explainer, model: Model, infer_request: InferRequest
    ) -> None:
        """An explanation leaves nothing behind that changes the next: its form stays, and so does the model."""
        predicted = model.predict(infer_request)
        one = loaded.explain(infer_request, Counted(model))
        other = loaded.explain(dataclasses.replace(infer_request, id="7"), Counted(model))
        assert [(each.name, each.datatype, each.shape) for each in one.outputs] == [
            (each.name, each.datatype, each.shape) for each in other.outputs
        ]
        assert (one.payload is None) == (other.payload is None)
        assert list(model.predict(infer_request).outputs) == list(predicted.outputs)

    def test_inputs_are_read_only_and_stay_as_they_are(
        self, loaded: Explainer, model: Model, infer_request: InferRequest
    ) -> None:
        """A binary tensor is a view of the received buffer."""
        frozen = []
        for tensor in infer_request.inputs:
            data = tensor.data.copy()
            data.flags.writeable = False
            frozen.append(dataclasses.replace(tensor, data=data))
        loaded.explain(dataclasses.replace(infer_request, inputs=frozen), Counted(model))
        for before, after in zip(infer_request.inputs, frozen, strict=True):
            assert before == after

    def test_unexpected_inputs_are_the_clients_fault(
        self, loaded: Explainer, model: Model, infer_request: InferRequest, unexpected_inputs: Sequence[Tensor]
    ) -> None:
        """The client is told, and no other exception escapes; so for no inputs at all, and for no rows."""
        nothing = [dataclasses.replace(tensor, data=tensor.data[:0]) for tensor in infer_request.inputs]
        for inputs in (unexpected_inputs, [], nothing):
            with pytest.raises(errors.InvalidInput):
                loaded.explain(
                    dataclasses.replace(infer_request, inputs=inputs, payload={"unexpected": True}), Counted(model)
                )

    def test_an_explanation_ends_with_the_first_call_that_may_not_be_made(
        self, loaded: Explainer, model: Model, infer_request: InferRequest
    ) -> None:
        """What `predict` raises goes through: the deadline has passed, or the client has gone."""
        counted = Counted(model, failing=errors.DeadlineExceeded("The time is up."))
        try:
            loaded.explain(infer_request, counted)
        except errors.DeadlineExceeded:
            assert len(counted.asked) == 1
        else:
            assert not counted.asked, "it goes on without the model"


def _artifact(path: Path | None) -> Artifact | None:
    return None if path is None else Artifact(path=path, uri=path.as_uri())
