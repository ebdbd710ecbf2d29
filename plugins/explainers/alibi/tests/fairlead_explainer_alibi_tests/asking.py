"""Explainers, requests and models for the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import Artifact, Datatype, InferRequest, InferResponse, LoadSettings, Tensor, UnpicklingPolicy
from fairlead_explainer_alibi._plugin import SPEC
from fairlead_explainer_alibi.explainer import AlibiExplainer

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WITHOUT_ALIBI", "WITHOUT_TENSORFLOW", "Model", "columns", "loaded", "matrix", "texts"]

WITHOUT_ALIBI = "alibi is not installed here; it has an environment of its own: make test-plugin P=explainers/alibi"
WITHOUT_TENSORFLOW = "TensorFlow is not installed beside alibi here: make test-plugin P=explainers/alibi"


class Model:
    """A model that answers what a function of its first input, or of all of them by name, returns.

    Attributes:
        asked: the requests that it was asked.
    """

    def __init__(self, function: Callable[..., Any], *, named: bool = False, output: str = "output-0") -> None:
        self.asked: list[InferRequest] = []
        self._function = function
        self._named = named
        self._output = output

    def __call__(self, request: InferRequest) -> InferResponse:
        self.asked.append(request)
        given = {each.name: _plain(each) for each in request.inputs}
        answer = np.asarray(self._function(**given) if self._named else self._function(next(iter(given.values()))))
        return InferResponse(model_name="m", outputs=[Tensor.from_numpy(self._output, answer)])

    @property
    def rows(self) -> int:
        """The rows that it was asked for, all together."""
        return sum(len(request.inputs[0].data) for request in self.asked)


def loaded(path: Path | None, *, unpickling: str = "allow", **options: Any) -> AlibiExplainer:
    """An explainer with files, and settings on top of its defaults."""
    given = {setting.name: setting.default for setting in SPEC.settings} | options
    made = AlibiExplainer()
    policy = UnpicklingPolicy.parse(unpickling)
    artifact = None if path is None else Artifact(path=path, uri=str(path))
    made.load(artifact, LoadSettings(model_name="m", unpickling=policy, options=given), None)
    return made


def matrix(rows: Any, name: str = "input-0") -> InferRequest:
    """A request of rows."""
    return InferRequest(model_name="m", inputs=[Tensor.from_numpy(name, np.asarray(rows))])


def texts(*values: str) -> InferRequest:
    """A request of texts."""
    data = np.array(values, dtype=object)
    return InferRequest(model_name="m", inputs=[Tensor.from_numpy("input-0", data, Datatype.BYTES)])


def columns(**values: Sequence[Any]) -> InferRequest:
    """A request of a table, one tensor for each column."""
    tensors = []
    for name, column in values.items():
        text = any(isinstance(each, str) for each in column)
        data = np.array(column, dtype=object) if text else np.asarray(column)
        tensors.append(Tensor.from_numpy(name, data, Datatype.BYTES if text else None))
    return InferRequest(model_name="m", inputs=tensors, parameters={"content_type": "pd"})


def _plain(tensor: Tensor) -> NDArray[Any]:
    return tensor.as_strings() if tensor.datatype is Datatype.BYTES else tensor.data
