"""The ConfigMap ``inferenceservice-config``: read, checked, and laid over by namespaces and services."""

from __future__ import annotations

__all__: list[str] = []
