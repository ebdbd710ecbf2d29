"""What a platform without a cluster decides for all services."""

from __future__ import annotations

from typing import Final

from fairlead.resolve.config import Config

__all__ = ["CONFIG"]

CONFIG: Final = Config(
    ingress_domain="localhost",
    path_template="/serving/{{.Namespace}}/{{.Name}}",
    resources={},
)
"""Hosts are ``<name>-<namespace>.localhost``, paths ``/serving/<namespace>/<name>``, and processes have no requests."""
