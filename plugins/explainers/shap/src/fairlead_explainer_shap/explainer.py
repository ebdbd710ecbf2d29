"""The explainer: SHAP values of rows of numbers, by the method that fits the model."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Artifact, Datatype, Explainer, InferRequest, InferResponse, LoadSettings, Tensor, errors
from fairlead.runtimes.rows import Rows
from fairlead_explainer_shap import background, features
from fairlead_explainer_shap.choosing import choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead import AnyModel, Predict

__all__ = ["ShapExplainer"]

_log = logging.getLogger("fairlead.models")

_TALKATIVE: Final = ("matplotlib", "numba", "shap")
"""Libraries that log more than a server's log should hold: the numbers of each explanation, a list of fonts."""


class ShapExplainer(Explainer):
    """How much each feature of a row moves the prediction away from what the model predicts on average."""

    def load(self, artifact: Artifact | None, settings: LoadSettings, model: AnyModel | None) -> None:
        """Choose the method, and read the reference data.

        Args:
            artifact: the reference data; see `background.read`.
            settings: with the settings of `_plugin.SPEC`.
            model: the model; None where it can only be asked, which is for the method ``kernel``.

        Raises:
            ModelLoadError: the method does not explain this model, or reference data is missing.
            ConfigurationError: a setting is wrong.
        """
        for library in _TALKATIVE:
            logging.getLogger(library).setLevel(logging.WARNING)
        options = settings.options
        self._parameters = _parameters(str(options["predict_parameters"]))
        self._output = str(options["output"])
        self._batch = int(options["batch_rows"])
        if model is not None:
            features.check(model)
        self._features = () if model is None else features.names(model)
        self._width = None if model is None else features.count(model)
        data = None if artifact is None else background.read(artifact)
        if data is not None:
            data = data.ordered(self._features) if self._features else data
            if self._width not in (None, data.values.shape[1]):
                raise errors.ModelLoadError(
                    f"The reference data has {data.values.shape[1]} features, and the model {self._width}.",
                    remedy="Give the explainer data as the model takes it, without the target.",
                )
            self._features, self._width = self._features or data.names, data.values.shape[1]
        self._method = choose(None if model is None else model.native, data, options, beside=model is not None)
        name = type(self._method).__name__.lower()
        _log.info("model %s: SHAP values by the method %s", settings.model_name, name)

    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        """The SHAP values of every row.

        Returns:
            ``shap_values`` of shape [rows, features], or [rows, features, outputs] for a model of several outputs;
            ``base_values`` of shape [rows] or [rows, outputs]: a row's values and its base value add up to the
            prediction. Both are FP64. ``feature_names``, BYTES of shape [rows, features], where they are known.

        Raises:
            InvalidInput: the request holds no rows of numbers, or not the model's features.
        """
        rows = Rows.of(request, self._features, width=self._width)
        ask, step = self._asking(rows, predict), self._method.rows or len(rows.values)
        parts = []
        for start in range(0, len(rows.values), step):
            self.check()
            parts.append(self._method.explain(rows.values[start : start + step], ask))
        outputs = [
            Tensor.from_numpy("shap_values", np.concatenate([part.shap_values for part in parts]).astype(np.float64)),
            Tensor.from_numpy("base_values", np.concatenate([part.base_values for part in parts]).astype(np.float64)),
        ]
        if rows.names:
            named = np.tile(np.array(rows.names, dtype=object), (len(rows.values), 1))
            outputs.append(Tensor.from_numpy("feature_names", named, Datatype.BYTES))
        return InferResponse(model_name=request.model_name, outputs=outputs, id=request.id)

    def _asking(self, rows: Rows, predict: Predict) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """The model as a function of a matrix, of which no call is for more rows than are allowed."""

        def ask(values: NDArray[Any]) -> NDArray[Any]:
            parts = [
                self._numbers(predict(rows.asking(values[start : start + self._batch], self._parameters)))
                for start in range(0, len(values), self._batch)
            ]
            answer = np.concatenate(parts)
            if len(answer) != len(values):
                raise errors.InferenceFailed(f"The model answered {len(answer)} rows, and was asked for {len(values)}.")
            if not np.isfinite(answer).all():
                failure = errors.InferenceFailed if np.isfinite(rows.values).all() else errors.InvalidInput
                raise failure("The model answers NaN or infinity, and SHAP values are made of finite numbers.")
            return answer

        return ask

    def _numbers(self, response: InferResponse) -> NDArray[np.float64]:
        """Predictions as numbers, of one or two dimensions."""
        if not response.outputs:
            raise errors.InferenceFailed("The model answers with no tensors, and SHAP values are made of numbers.")
        tensor = response.output(self._output) if self._output else response.outputs[0]
        if tensor.datatype is Datatype.BYTES:
            raise errors.InvalidInput(
                f"The model answers with text in {tensor.name!r}, and SHAP values are made of numbers.",
                remedy='Ask for numbers, for example by the parameter {"method": "predict_proba"}.',
            )
        data = np.asarray(tensor.data, dtype=np.float64)
        if data.ndim == 0:
            raise errors.InferenceFailed("The model answers with one number for all rows.")
        return data if data.ndim == 1 else data.reshape(len(data), -1)


def _parameters(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise errors.ConfigurationError(f"setting predict_parameters: {text!r} is not JSON: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(each, bool | int | float | str) for each in found.values()):
        raise errors.ConfigurationError(f"setting predict_parameters: {text!r} is no object of texts and numbers.")
    return found
