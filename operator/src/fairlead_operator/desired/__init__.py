"""The objects of the cluster that an InferenceService comes to: pure, without I/O and without the clock."""

from __future__ import annotations

__all__: list[str] = []
