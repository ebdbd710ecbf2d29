"""InferenceServices on Kubernetes: what `fairlead.resolve` decided becomes objects, and their state a true status."""

from __future__ import annotations

__all__: list[str] = []
