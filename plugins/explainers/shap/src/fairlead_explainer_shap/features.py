"""What a model says of its features: their names, in its order, and how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead import AnyModel

__all__ = ["count", "names"]


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
