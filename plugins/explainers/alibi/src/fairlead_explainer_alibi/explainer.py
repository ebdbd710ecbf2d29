"""The explainer: anchors of rows or texts, found by asking the model, or integrated gradients of a Keras model."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import Artifact, Explainer, InferRequest, InferResponse, LoadSettings, errors
from fairlead_explainer_alibi import anchors, fitted, labels, needed, reference
from fairlead_explainer_alibi.gradients import Gradients

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead import AnyModel, Predict

__all__ = ["AlibiExplainer"]

_log = logging.getLogger("fairlead.models")

_PIPELINE: Final = "nlp"
_SHARES: Final = ("threshold", "delta", "tau", "sample_proba")
_LEAST: Final = {
    **dict.fromkeys(("batch_size", "beam_size", "coverage_samples", "n_steps", "internal_batch_size"), 1),
    **dict.fromkeys(("max_anchor_size", "seed"), 0),
}
_NO_DATA: Final = (
    "Give some rows as the model takes them, --explainer-dir URI of a .csv, .npy or .npz, or an explainer that Alibi "
    "has saved. For a model of texts: --explainer-set method=anchor_text."
)


class AlibiExplainer(Explainer):
    """Which features, or which words, hold a prediction in place, or how much each element adds to it."""

    def load(self, artifact: Artifact | None, settings: LoadSettings, model: AnyModel | None) -> None:  # noqa: ARG002  # it is only asked
        """Fit an explainer to reference data, or load one, or the model of Keras whose gradients explain.

        Args:
            artifact: reference data, an explainer that Alibi has saved, a spaCy pipeline in a folder ``nlp``, or a
                ``.keras`` file.
            settings: with the settings of `_plugin.SPEC`.
            model: not looked at.

        Raises:
            ModelLoadError: the files are not what the method needs.
            UnpicklingRefused: the policy does not permit to load a saved explainer.
            ConfigurationError: a setting is out of range.
        """
        _check(settings.options)
        self._output = str(settings.options["output"])
        self._method = _made(artifact, settings)
        _log.info("model %s: explained by %s", settings.model_name, type(self._method).__name__)

    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        """The anchor of each row or text, or the attributions of each row.

        Returns:
            A JSON list of one explanation for each, as Alibi writes it: ``meta``, and ``data`` with ``anchor``,
            ``precision``, ``coverage`` and ``raw``, or with ``attributions``, ``deltas``, ``target`` and others.

        Raises:
            InvalidInput: the request holds something else, or anchors are asked for and the model is no classifier.
        """

        def ask(asked: InferRequest, count: int) -> NDArray[Any]:
            return labels.of_response(predict(asked), self._output, count)

        if isinstance(self._method, Gradients):
            explanations = self._method.explain(request, predict, self.check)
        else:
            explanations = self._method.explain(request, ask)
        return InferResponse(model_name=request.model_name, id=request.id, payload=explanations)


def _made(artifact: Artifact | None, settings: LoadSettings) -> anchors.Anchors | Gradients:
    options, wanted = settings.options, str(settings.options["method"])
    if artifact is not None and artifact.matching((fitted.FILE,)):
        asked = labels.Labels()
        explainer, method = fitted.load(artifact.path, asked, settings.unpickling)
        if wanted not in ("auto", method):
            raise errors.ModelLoadError(f"The saved explainer is an {method}, and the setting method says {wanted}.")
        kind = anchors.TabularAnchors if method == "anchor_tabular" else anchors.TextAnchors
        return kind(explainer, asked, options)
    models = () if artifact is None else artifact.matching(needed.KERAS)
    if artifact is not None and (wanted == "integrated_gradients" or (wanted == "auto" and models)):
        return Gradients(artifact.only(needed.KERAS), options)
    if wanted == "integrated_gradients":
        raise errors.ModelLoadError(
            "Integrated gradients are those of a model of Keras, and the explainer has none.",
            remedy="Give --explainer-dir PATH of the .keras file of the model.",
        )
    pipelines = () if artifact is None else artifact.matching((f"{_PIPELINE}/",))
    if wanted == "anchor_text" or (wanted == "auto" and pipelines):
        folder = pipelines[0] if pipelines else None
        nlp = anchors.pipeline(folder, str(options["sampling"]), str(options["language"]))
        return anchors.TextAnchors.made(nlp, options)
    if artifact is None:
        raise errors.ModelLoadError("Anchors of a table need reference data, and there is none.", remedy=_NO_DATA)
    return anchors.TabularAnchors.fitted(reference.read(artifact), options)


def _check(options: Mapping[str, Any]) -> None:
    for name in _SHARES:
        if not 0 < float(options[name]) < 1:
            raise errors.ConfigurationError(f"setting {name}: {options[name]} is not between 0 and 1.")
    for name, least in _LEAST.items():
        if int(options[name]) < least:
            raise errors.ConfigurationError(f"setting {name}: {options[name]} is less than {least}.")
    if not math.isfinite(float(options["baseline"])):
        raise errors.ConfigurationError(f"setting baseline: {options['baseline']} is no finite number.")
