"""The methods of Alibi: anchors of rows of a table, and of texts. Alibi is imported here, when one is made."""

from __future__ import annotations

import abc
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import InferRequest, errors
from fairlead_explainer_alibi.labels import Labels
from fairlead_explainer_alibi.rows import Texts, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from fairlead_explainer_alibi.reference import Reference

    Ask = Callable[[InferRequest, int], NDArray[Any]]
    """Asks the model for the labels of so many rows."""

__all__ = ["Anchors", "TabularAnchors", "TextAnchors", "pipeline"]


class Anchors(abc.ABC):
    """One way to explain.

    Args:
        explainer: Alibi's explainer, fitted.
        labels: the model as it asks it.
        options: the settings of the plugin.
    """

    def __init__(self, explainer: Any, labels: Labels, options: Mapping[str, Any]) -> None:
        self._explainer = explainer
        self._labels = labels
        self._seed = int(options["seed"])
        self._search = {
            **{name: float(options[name]) for name in ("threshold", "delta", "tau")},
            **{name: int(options[name]) for name in ("batch_size", "beam_size", "coverage_samples")},
            "max_anchor_size": int(options["max_anchor_size"]) or None,
        }

    @abc.abstractmethod
    def explain(self, request: InferRequest, ask: Ask) -> list[Any]:
        """The explanation of each row or text, as Alibi writes it in JSON.

        Args:
            request: what is explained.
            ask: asks the model.

        Raises:
            InvalidInput: the request holds something else.
        """

    def _found(self, instance: Any, ask: Callable[[Any], NDArray[Any]]) -> Any:
        np.random.seed(self._seed)  # what Alibi draws from, and nobody else in this process
        with self._labels.asked_of(ask):
            found = json.loads(self._explainer.explain(instance, **self._search).to_json())
        data = found["data"]
        if isinstance(data["precision"], list):  # of an empty anchor; elsewhere it is a number
            (data["precision"],) = data["precision"]
        return found


class TabularAnchors(Anchors):
    """Anchors of rows: ranges of features that keep the prediction, whatever the others are."""

    @classmethod
    def fitted(cls, reference: Reference, options: Mapping[str, Any]) -> TabularAnchors:
        """Fit one to reference data."""
        from alibi.explainers import AnchorTabular

        labels = Labels()
        categories = {place: list(names) for place, names in reference.categories.items()}
        explainer = AnchorTabular(
            labels, list(reference.names), categorical_names=categories or None, dtype=np.float64, seed=options["seed"]
        )
        explainer.fit(reference.values, disc_perc=_percentiles(str(options["disc_perc"])))
        return cls(explainer, labels, options)

    def explain(self, request: InferRequest, ask: Ask) -> list[Any]:
        """The anchor of each row."""
        names = tuple(str(name) for name in self._explainer.feature_names)
        categorical = self._explainer.categorical_features
        categories = {int(place): self._explainer.feature_values[place] for place in categorical}
        rows = rows_of(request, names, categories)

        def labels(samples: NDArray[np.float64]) -> NDArray[Any]:
            return ask(rows.asking(samples), len(samples))

        return [self._found(row, labels) for row in rows.values]


class TextAnchors(Anchors):
    """Anchors of texts: words that keep the prediction, whatever the others are."""

    @classmethod
    def made(cls, nlp: Any, options: Mapping[str, Any]) -> TextAnchors:
        """Make one of a spaCy pipeline."""
        from alibi.explainers import AnchorText

        labels = Labels()
        explainer = AnchorText(
            labels,
            sampling_strategy=options["sampling"],
            nlp=nlp,
            seed=options["seed"],
            sample_proba=float(options["sample_proba"]),
        )
        return cls(explainer, labels, options)

    def explain(self, request: InferRequest, ask: Ask) -> list[Any]:
        """The anchor of each text."""
        texts = Texts.of(request)

        def labels(samples: Sequence[str]) -> NDArray[Any]:
            return ask(texts.asking(samples), len(samples))

        return [self._found(text, labels) for text in texts.values]


def pipeline(folder: Path | None, sampling: str, language: str) -> Any:
    """A spaCy pipeline: that of a folder, or an empty one, which divides text into words.

    Raises:
        ModelLoadError: similar words are wanted and nothing says which are, or the folder has no pipeline.
    """
    import spacy

    if folder is None:
        if sampling == "similarity":
            raise errors.ModelLoadError(
                "Similar words are those of a spaCy pipeline with vectors, and the explainer has none.",
                remedy="Save one in a folder nlp of its files, or use --explainer-set sampling=unknown.",
            )
        try:
            nlp = spacy.blank(language)
        except ImportError as error:
            raise errors.ModelLoadError(f"spaCy knows no language {language!r}.", remedy="Try: en") from error
    else:
        try:
            nlp = spacy.load(folder)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise errors.ModelLoadError(f"The spaCy pipeline in {folder.name} does not load: {error}") from error
    if sampling == "similarity" and not len(nlp.vocab.vectors):
        raise errors.ModelLoadError("The spaCy pipeline has no vectors, and does not know which words are similar.")
    if sampling == "unknown" and "lexeme_prob" not in nlp.vocab.lookups.tables:
        # Alibi loads this for every language, takes seconds, and needs it for similar words alone.
        nlp.vocab.lookups.add_table("lexeme_prob", {})
    return nlp


def _percentiles(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in text.split(","))
    except ValueError:
        found = ()
    if not found or list(found) != sorted(set(found)) or not 0 < found[0] <= found[-1] < 100:
        raise errors.ConfigurationError(
            f"setting disc_perc: {text!r} are no percentiles that grow, between 0 and 100.", remedy="Write 25,50,75."
        )
    return found
