"""The API server: the only room that talks to it, beside the watches and webhooks of kopf."""

from __future__ import annotations

__all__: list[str] = []
