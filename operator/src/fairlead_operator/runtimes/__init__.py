"""ClusterServingRuntimes: those of the installed runtime plugins, and those of images that others publish."""

from __future__ import annotations

__all__: list[str] = []
