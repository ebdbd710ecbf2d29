"""The explainer: anchors of rows or texts, as Alibi finds them by asking the model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import Artifact, Explainer, InferRequest, InferResponse, LoadSettings, errors
from fairlead_explainer_alibi import anchors, fitted, labels, reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead import AnyModel, Predict

__all__ = ["AlibiExplainer"]

_log = logging.getLogger("fairlead.models")

_PIPELINE: Final = "nlp"
_SHARES: Final = ("threshold", "delta", "tau", "sample_proba")
_LEAST: Final = {"batch_size": 1, "beam_size": 1, "max_anchor_size": 0, "coverage_samples": 1, "seed": 0}
_NO_DATA: Final = (
    "Give some rows as the model takes them, --explainer-dir URI of a .csv, .npy or .npz, or an explainer that Alibi "
    "has saved. For a model of texts: --explainer-set method=anchor_text."
)


class AlibiExplainer(Explainer):
    """Which features, or which words, hold a prediction in place."""

    def load(self, artifact: Artifact | None, settings: LoadSettings, model: AnyModel | None) -> None:  # noqa: ARG002  # it is only asked
        """Fit an explainer to reference data, or load one.

        Args:
            artifact: reference data, an explainer that Alibi has saved, or a spaCy pipeline in a folder ``nlp``.
            settings: with the settings of `_plugin.SPEC`.
            model: not looked at.

        Raises:
            ModelLoadError: the files are not what the method needs.
            UnpicklingRefused: the policy does not permit to load a saved explainer.
            ConfigurationError: a setting is out of range.
        """
        _check(settings.options)
        self._output = str(settings.options["output"])
        self._anchors = _made(artifact, settings)
        _log.info("model %s: explained by %s", settings.model_name, type(self._anchors).__name__)

    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        """The anchor of each row or text.

        Returns:
            A JSON list of one explanation for each, as Alibi writes it: ``meta``, and ``data`` with ``anchor``,
            ``precision``, ``coverage`` and ``raw``.

        Raises:
            InvalidInput: the request holds something else, or the model is no classifier.
        """

        def ask(asked: InferRequest, count: int) -> NDArray[Any]:
            return labels.of_response(predict(asked), self._output, count)

        explanations = self._anchors.explain(request, ask)
        return InferResponse(model_name=request.model_name, id=request.id, payload=explanations)


def _made(artifact: Artifact | None, settings: LoadSettings) -> anchors.Anchors:
    options, wanted = settings.options, str(settings.options["method"])
    if artifact is not None and artifact.matching((fitted.FILE,)):
        asked = labels.Labels()
        explainer, method = fitted.load(artifact.path, asked, settings.unpickling)
        if wanted not in ("auto", method):
            raise errors.ModelLoadError(f"The saved explainer is an {method}, and the setting method says {wanted}.")
        kind = anchors.TabularAnchors if method == "anchor_tabular" else anchors.TextAnchors
        return kind(explainer, asked, options)
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
