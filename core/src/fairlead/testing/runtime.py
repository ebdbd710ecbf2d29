"""The conformance kit of runtimes.

A runtime's test file is a subclass that says which plugin is meant, what it loads, and what a model is asked::

    class TestContract(RuntimeContract):
        @pytest.fixture
        def runtime(self) -> str:
            return "sklearn"

        @pytest.fixture
        def artifact(self, tmp_path: Path) -> Path:
            joblib.dump(SVC().fit([[0.0, 0.0], [1.0, 1.0]], [0, 1]), tmp_path / "model.joblib")
            return tmp_path

        @pytest.fixture
        def request_inputs(self) -> list[Tensor]:
            return [Tensor.from_numpy("input-0", np.array([[0.0, 0.1], [0.9, 1.0]]))]

Everything goes through `Plugins.discover`, the door that users come through.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.runtime import (
    AnyModel,
    Artifact,
    AsyncModel,
    Capability,
    LoadSettings,
    Model,
    ModelMetadata,
    Runtime,
    RuntimeSpec,
    SettingValue,
)
from fairlead.contracts.tensors import Datatype, InferRequest, Parameter, Tensor
from fairlead.contracts.unpickling import UnpicklingMode, UnpicklingPolicy
from fairlead.plugins import Kind, Plugins
from fairlead.testing.asking import ask, assert_close, assert_same, row
from fairlead.testing.damage import DamagedArtifacts, Load, OddRequests

__all__ = ["Load", "RuntimeContract"]

_THREADS = "nthread"

_LOADED_MODULES = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps([*sys.modules]))"


class RuntimeContract(DamagedArtifacts, OddRequests):
    """What every runtime keeps to; subclass it and override `runtime`, `artifact` and `request_inputs`.

    A format whose reader cannot tell that a file is not whole overrides `truncated` as well.
    """

    # -- what the author gives --------------------------------------------------------------------------

    @pytest.fixture
    def runtime(self) -> str:
        """The plugin's name."""
        raise NotImplementedError("override the fixture `runtime`")

    @pytest.fixture
    def artifact(self) -> Path:
        """A real artefact: a file, or a folder of files."""
        raise NotImplementedError("override the fixture `artifact`")

    @pytest.fixture
    def request_inputs(self) -> Sequence[Tensor]:
        """What the model is asked; with `Capability.BATCHING`, of two rows at least."""
        raise NotImplementedError("override the fixture `request_inputs`")

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, Parameter]:
        """Parameters of the request, for example ``{"content_type": "pd"}`` for the columns of a table."""
        return {}

    @pytest.fixture
    def settings(self) -> Mapping[str, SettingValue]:
        """Settings of the runtime's own that differ from their defaults."""
        return {}

    @pytest.fixture
    def unpickles(self, spec: RuntimeSpec) -> bool:
        """Whether this artefact runs code as it loads; override it for one that does not, of a runtime that can."""
        return spec.unpickles

    @pytest.fixture
    def unexpected_inputs(self) -> Sequence[Tensor]:
        """Inputs that no client should send to this model; override it for a model that takes these."""
        return [Tensor("unexpected", np.array([[[b"unexpected"]]], dtype=object), Datatype.BYTES)]

    # -- what the tests use -----------------------------------------------------------------------------

    @pytest.fixture
    def plugins(self) -> Plugins:
        """The plugins of this environment."""
        return Plugins.discover()

    @pytest.fixture
    def spec(self, plugins: Plugins, runtime: str) -> RuntimeSpec:
        """The runtime's spec."""
        (spec,) = plugins.specs(Kind.RUNTIME, runtime)
        return cast("RuntimeSpec", spec)

    @pytest.fixture
    def load(self, plugins: Plugins, spec: RuntimeSpec, settings: Mapping[str, SettingValue]) -> Iterator[Load]:
        """How the server loads an artefact; what a test does not unload itself is unloaded after it."""
        loaded: list[AnyModel] = []
        defaults = {setting.name: setting.default for setting in spec.settings} | dict(settings)

        def load(path: Path, policy: UnpicklingPolicy, **options: SettingValue) -> AnyModel:
            made: Runtime = plugins.factory(Kind.RUNTIME, spec)()
            found = Artifact(path=path, uri=path.as_uri())
            chosen = LoadSettings(model_name="contract", unpickling=policy, options=defaults | options)
            loaded.append(made.load(found, chosen))
            return loaded[-1]

        yield load
        for model in loaded:
            model.unload()

    @pytest.fixture
    def model(self, load: Load, artifact: Path) -> AnyModel:
        """The loaded model."""
        return load(artifact, UnpicklingPolicy())

    @pytest.fixture
    def infer_request(
        self, request_inputs: Sequence[Tensor], request_parameters: Mapping[str, Parameter]
    ) -> InferRequest:
        """A valid request."""
        return InferRequest(model_name="contract", inputs=request_inputs, parameters=dict(request_parameters))

    # -- the spec ---------------------------------------------------------------------------------------

    def test_the_spec_is_named_as_the_entry_point_and_names_a_runtime(
        self, plugins: Plugins, spec: RuntimeSpec, runtime: str
    ) -> None:
        """The factory is imported here, and is a `Runtime`."""
        assert spec.name == runtime
        assert isinstance(plugins.factory(Kind.RUNTIME, spec)(), Runtime)

    def test_the_spec_says_what_is_served_and_how(self, spec: RuntimeSpec) -> None:
        """A runtime without formats or protocols can never be chosen."""
        assert spec.formats
        assert spec.protocols
        assert set(spec.protocols) <= {"v1", "v2", "grpc-v2"}

    def test_the_patterns_of_the_spec_match_the_artefact(self, spec: RuntimeSpec, artifact: Path) -> None:
        """The core chooses a runtime by these patterns."""
        assert Artifact(path=artifact, uri=artifact.as_uri()).matching(spec.artifacts)

    def test_every_setting_reads_its_default_from_text(self, spec: RuntimeSpec) -> None:
        """Settings come as text from flags and from the environment."""
        for setting in spec.settings:
            assert setting.parse(str(setting.default)) == setting.default
            assert setting.help.endswith("."), (
                f"the help of the setting {setting.name} is a sentence, which ends in a full stop"
            )

    def test_every_environment_variable_of_a_setting_means_one_of_its_values(self, spec: RuntimeSpec) -> None:
        """``NAME=value`` names a value that the setting takes."""
        for setting in spec.settings:
            for _, equals, value in (variable.partition("=") for variable in setting.env):
                assert not equals or str(setting.parse(value)) == value

    def test_describing_the_runtime_imports_neither_its_libraries_nor_numpy(
        self, plugins: Plugins, spec: RuntimeSpec, runtime: str
    ) -> None:
        """A server for one framework never pays for another."""
        module = plugins.info(Kind.RUNTIME, runtime).module
        command = [sys.executable, "-c", _LOADED_MODULES, module]
        loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert {*(library.module for library in spec.libraries), "numpy"}.isdisjoint(loaded)

    # -- loading ----------------------------------------------------------------------------------------

    def test_an_empty_folder_is_a_missing_artefact(self, load: Load, tmp_path: Path) -> None:
        """The error says what was looked for."""
        empty = tmp_path / "empty"
        empty.mkdir()
        with pytest.raises(errors.ArtifactMissing):
            load(empty, UnpicklingPolicy())

    def test_metadata_names_the_platform_and_claims_what_the_runtime_can_do(
        self, model: AnyModel, spec: RuntimeSpec
    ) -> None:
        """A model narrows what its runtime promises, and never widens it."""
        assert isinstance(model.metadata, ModelMetadata)
        assert model.metadata is model.metadata
        assert model.metadata.platform
        assert model.metadata.capabilities <= spec.capabilities

    def test_the_policy_deny_refuses_a_file_that_runs_code(self, load: Load, artifact: Path, unpickles: bool) -> None:
        """The policy is asked before anything of the file is interpreted."""
        deny = UnpicklingPolicy(UnpicklingMode.DENY)
        if unpickles:
            with pytest.raises(errors.UnpicklingRefused):
                load(artifact, deny)
        else:
            assert isinstance(load(artifact, deny), (Model, AsyncModel))

    def test_the_policy_trusted_loads_the_listed_file_alone(
        self, load: Load, artifact: Path, spec: RuntimeSpec, unpickles: bool
    ) -> None:
        """One file is trusted by its digest, and another is not."""
        if not unpickles:
            pytest.skip("the artefact runs no code")
        content = Artifact(path=artifact, uri=artifact.as_uri()).only(spec.artifacts).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert isinstance(load(artifact, UnpicklingPolicy.parse(f"sha256:{digest}")), (Model, AsyncModel))
        with pytest.raises(errors.UnpicklingRefused):
            load(artifact, UnpicklingPolicy.parse(f"sha256:{hashlib.sha256(content + b'.').hexdigest()}"))

    def test_unloading_a_model_leaves_another_of_the_same_artefact_as_it_is(
        self, load: Load, artifact: Path, infer_request: InferRequest
    ) -> None:
        """A model that is loaded anew answers while the old one goes, and may be told twice that it has."""
        first, second = (load(artifact, UnpicklingPolicy()) for _ in range(2))
        before = ask(second, infer_request)
        assert first is not second
        first.unload()
        assert_same(ask(second, infer_request), before)

    # -- answering --------------------------------------------------------------------------------------

    def test_every_sample_is_answered(self, model: AnyModel) -> None:
        """A model that does not answer its own samples is never Ready."""
        for sample in model.samples():
            response = ask(model, dataclasses.replace(sample, model_name="contract"))
            assert response.outputs or response.payload is not None

    def test_outputs_are_as_declared(self, model: AnyModel, infer_request: InferRequest) -> None:
        """Names, datatypes and dimensions; -1 stands for any length."""
        outputs = ask(model, infer_request).outputs
        declared = model.metadata.outputs or [None] * len(outputs)
        for tensor, spec in zip(outputs, declared, strict=True):
            assert tensor.data.dtype == tensor.datatype.numpy
            if spec is None:
                continue
            assert (tensor.name, tensor.datatype) == (spec.name, spec.datatype)
            assert len(tensor.shape) == len(spec.shape)
            assert all(want in (-1, got) for got, want in zip(tensor.shape, spec.shape, strict=True))

    def test_the_answer_depends_neither_on_the_id_nor_on_the_name(
        self, model: AnyModel, infer_request: InferRequest
    ) -> None:
        """The same model is served under several names, and joined requests have no id."""
        other = dataclasses.replace(infer_request, model_name="another", id="7")
        assert_same(ask(model, other), ask(model, infer_request))

    def test_joined_rows_are_answered_as_separate_rows_are(self, model: AnyModel, infer_request: InferRequest) -> None:
        """What `Capability.BATCHING` promises."""
        if not model.metadata.supports(Capability.BATCHING):
            pytest.skip("the model does not support batching")
        rows = len(infer_request.inputs[0].data)
        assert rows > 1, "override `request_inputs` with two rows at least"
        separate = [ask(model, row(infer_request, place)) for place in range(rows)]
        joined = ask(model, infer_request)
        for index, tensor in enumerate(joined.outputs):
            parts = np.concatenate([answer.outputs[index].data for answer in separate])
            assert_close(tensor, dataclasses.replace(tensor, data=parts))

    def test_one_thread_answers_as_many_do(
        self, load: Load, model: AnyModel, artifact: Path, spec: RuntimeSpec, infer_request: InferRequest
    ) -> None:
        """The setting ``nthread`` decides how fast an answer is made, and not which."""
        if all(setting.name != _THREADS for setting in spec.settings):
            pytest.skip("the runtime has no setting nthread")
        alone = ask(load(artifact, UnpicklingPolicy(), nthread=1), infer_request)
        for one, many in zip(alone.outputs, ask(model, infer_request).outputs, strict=True):
            assert_close(one, many)

    def test_inputs_are_read_only_and_stay_as_they_are(self, model: AnyModel, infer_request: InferRequest) -> None:
        """A binary tensor is a view of the received buffer."""
        frozen = []
        for tensor in infer_request.inputs:
            data = tensor.data.copy()
            data.flags.writeable = False
            frozen.append(dataclasses.replace(tensor, data=data))
        answer = ask(model, dataclasses.replace(infer_request, inputs=frozen))
        assert_same(answer, ask(model, infer_request))
        for before, after in zip(infer_request.inputs, frozen, strict=True):
            assert before == after

    def test_unexpected_inputs_are_the_clients_fault(
        self, model: AnyModel, infer_request: InferRequest, unexpected_inputs: Sequence[Tensor]
    ) -> None:
        """The client is told, and no other exception escapes; so for no inputs at all, but for a model of JSON."""
        wrong = [unexpected_inputs] if model.metadata.supports(Capability.JSON) else [unexpected_inputs, []]
        for inputs in wrong:
            with pytest.raises(errors.InvalidInput):
                ask(model, dataclasses.replace(infer_request, inputs=inputs, payload={"unexpected": True}))
