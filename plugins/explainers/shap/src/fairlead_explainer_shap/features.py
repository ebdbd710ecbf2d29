"""What a model says of its features: numbers of one table, their names in its order, and how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead import Datatype, errors

if TYPE_CHECKING:
    from fairlead import AnyModel

__all__ = ["check", "count", "names"]


def check(model: AnyModel) -> None:
    """See that a model takes one table of rows of numbers, as far as it says what it takes.

    Raises:
        ModelLoadError: it takes text, several tensors that are no columns, or rows of more than one dimension.
    """
    inputs = model.metadata.inputs
    texts = [spec.name for spec in inputs if spec.datatype is Datatype.BYTES]
    if texts:
        raise errors.ModelLoadError(
            f"SHAP explains rows of numbers, and the model takes text: {', '.join(texts)}.",
            remedy="Serve it without this explainer, or explain a model of numbers, whose text is encoded before it.",
        )
    most = 2 if len(inputs) < 2 else 1  # a column may be [rows] or [rows, 1]
    others = [spec for spec in inputs if len(spec.shape) > most and spec.shape[1:] != (1,)]
    if others:
        shown = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
        raise errors.ModelLoadError(
            f"SHAP explains one table of rows of numbers, and the model takes {shown}.",
            remedy="Serve it without this explainer.",
        )


def names(model: AnyModel) -> tuple[str, ...]:
    """The names of a model's features; none where it was fitted without, or does not tell."""
    if model.features:
        return tuple(model.features)
    inputs = model.metadata.inputs
    return tuple(spec.name for spec in inputs) if len(inputs) > 1 else ()


def count(model: AnyModel) -> int | None:
    """How many features a model takes; None where it does not tell."""
    known = names(model)
    if known:
        return len(known)
    inputs = model.metadata.inputs
    width = inputs[0].shape[-1] if inputs and len(inputs[0].shape) > 1 else -1
    return width if width > 0 else None
