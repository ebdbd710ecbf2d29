"""What a runtime does about artefacts that are none and about requests that nobody should send."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.runtime import AnyModel, Artifact, Capability, RuntimeSpec, SettingValue
from fairlead.contracts.unpickling import UnpicklingPolicy
from fairlead.testing.asking import ask

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest, Tensor
    from fairlead.plugins import Plugins

__all__ = ["DamagedArtifacts", "Load", "OddRequests"]

_STRANGER = b'{"not": "a model"}'

_RECOGNISED = """
import json, pathlib, sys
from fairlead.contracts.runtime import Artifact
from fairlead.plugins import Kind, Plugins
name, path = sys.argv[1], pathlib.Path(sys.argv[2])
plugins = Plugins.discover()
(spec,) = plugins.specs(Kind.RUNTIME, name)
print(json.dumps([plugins.recognises(spec, Artifact(path=path, uri=path.as_uri())), *sys.modules]))
"""


class Load(Protocol):
    """Loads what is at a path, under a policy, as the server does."""

    def __call__(self, path: Path, policy: UnpicklingPolicy, **options: SettingValue) -> AnyModel:
        """Load it.

        Args:
            path: a file, or a folder of files.
            policy: decides about files that can run code.
            options: settings of the runtime's own that differ from those of the contract.
        """


class DamagedArtifacts:
    """What a runtime does about files that are not whole, and about those of another framework."""

    @pytest.fixture
    def truncated(self, artifact: Path, spec: RuntimeSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A copy of the artefact of which a part is missing: the second half of its largest file.

        Override it for a format whose reader cannot tell, for example because every line stands by itself.
        """
        copy = tmp_path_factory.mktemp("truncated") / artifact.name
        if artifact.is_file():
            shutil.copyfile(artifact, copy)
        else:
            shutil.copytree(artifact, copy)
        found = Artifact(path=copy, uri=copy.as_uri()).matching(spec.artifacts)
        files = [file for entry in found for file in (entry.rglob("*") if entry.is_dir() else [entry])]
        largest = max((file for file in files if file.is_file()), key=lambda file: file.stat().st_size)
        content = largest.read_bytes()
        largest.write_bytes(content[: len(content) // 2])
        return copy

    @pytest.fixture
    def strangers(self, spec: RuntimeSpec, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
        """Files of another framework, with names that the runtime takes; by default a JSON document for each name."""
        folder = tmp_path_factory.mktemp("strangers")
        paths = []
        for place, pattern in enumerate(spec.artifacts):
            name = pattern.replace("*", "stranger").replace("?", "x")
            if not pattern.endswith("/") and fnmatch.fnmatchcase(name, pattern):
                path = folder / str(place) / name
                path.parent.mkdir()
                path.write_bytes(_STRANGER)
                paths.append(path)
        return paths

    def test_a_truncated_artefact_is_a_load_error(self, load: Load, truncated: Path) -> None:
        """A copy that broke off never becomes a model, and the error is one that the status can show."""
        with pytest.raises(errors.ModelLoadError):
            load(truncated, UnpicklingPolicy())

    def test_an_artefact_of_another_framework_is_a_load_error(self, load: Load, strangers: Sequence[Path]) -> None:
        """Names such as ``model.json`` are those of several frameworks."""
        if not strangers:
            pytest.skip("the runtime takes no files, only folders")
        for path in strangers:
            with pytest.raises(errors.ModelLoadError):
                load(path, UnpicklingPolicy())

    def test_the_runtime_recognises_its_own_artefact_without_its_libraries(
        self, plugins: Plugins, spec: RuntimeSpec, artifact: Path, strangers: Sequence[Path]
    ) -> None:
        """The core asks every runtime that takes files of this name, before it chooses one."""
        if spec.recognises is None:
            pytest.skip("the runtime does not look into files")
        for path in strangers:
            is_own = plugins.recognises(spec, Artifact(path=path, uri=path.as_uri()))
            assert not is_own, f"{path.name} holds {_STRANGER!r}, and is recognised"
        command = [sys.executable, "-c", _RECOGNISED, spec.name, str(artifact)]
        is_own, *loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert is_own is True, f"{artifact.name} is not recognised: {is_own}"
        imported = {library.module for library in spec.libraries} & {*loaded}
        assert not imported, f"a look at the files imports {', '.join(sorted(imported))}"


class OddRequests:
    """What a model does about requests of the right form with odd values, and of the wrong form."""

    def test_a_missing_number_is_answered_or_the_clients_fault(
        self, model: AnyModel, infer_request: InferRequest
    ) -> None:
        """NaN in each input of floating-point numbers: a model takes it, or says that it does not."""
        inputs = [_with_nan(tensor) for tensor in infer_request.inputs]
        if inputs == list(infer_request.inputs):
            pytest.skip("the request holds no floating-point numbers")
        _answer(model, dataclasses.replace(infer_request, inputs=inputs))

    def test_a_request_without_rows_is_answered_without_rows_or_the_clients_fault(
        self, model: AnyModel, infer_request: InferRequest
    ) -> None:
        """A batch may be empty, and the model does not invent an answer."""
        inputs = [dataclasses.replace(tensor, data=tensor.data[:0]) for tensor in infer_request.inputs if tensor.shape]
        if len(inputs) < len(infer_request.inputs):
            pytest.skip("the request holds a scalar")
        outputs = _answer(model, dataclasses.replace(infer_request, inputs=inputs))
        if model.metadata.supports(Capability.BATCHING):
            invented = [(tensor.name, tensor.shape) for tensor in outputs if len(tensor.data)]
            assert not invented, f"no rows are answered with rows: {invented}"

    def test_a_wrong_rank_is_the_clients_fault(self, model: AnyModel, infer_request: InferRequest) -> None:
        """Two dimensions more than are declared: nothing is left out, and nothing is broadcast."""
        if not model.metadata.inputs:
            pytest.skip("the model declares no inputs")
        inputs = [
            dataclasses.replace(tensor, data=tensor.data[np.newaxis, np.newaxis]) for tensor in infer_request.inputs
        ]
        with pytest.raises(errors.InvalidInput):
            ask(model, dataclasses.replace(infer_request, inputs=inputs))

    def test_properties_of_the_metadata_are_text_by_name(self, model: AnyModel) -> None:
        """Clients are shown them as they are."""
        properties: object = model.metadata.properties
        assert isinstance(properties, Mapping), f"properties are no mapping: {properties!r}"
        odd = {
            name: value for name, value in properties.items() if not (isinstance(name, str) and isinstance(value, str))
        }
        assert not odd, f"properties that are not text: {odd}"


def _with_nan(tensor: Tensor) -> Tensor:
    if tensor.data.dtype.kind != "f" or not tensor.data.size:
        return tensor
    data = tensor.data.copy()
    data.flat[0] = np.nan
    return dataclasses.replace(tensor, data=data)


def _answer(model: AnyModel, request: InferRequest) -> Sequence[Tensor]:
    """What a model answers; nothing when it refuses the request as the client's fault."""
    try:
        return ask(model, request).outputs
    except errors.InvalidInput:
        return ()
