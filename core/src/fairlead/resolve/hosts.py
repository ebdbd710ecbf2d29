"""Hosts that an InferenceService and its components are asked by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.resolve import placeholders
from fairlead.resolve.defaults import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from fairlead.api.inferenceservice import InferenceService
    from fairlead.resolve.config import Config

__all__ = ["host", "is_host"]

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST: Final = 253


def host(service: InferenceService, name: str, config: Config) -> str:
    """A host, made by the domain template.

    Args:
        service: the InferenceService.
        name: what ``{{.Name}}`` stands for: the name of the service, or of a component such as ``iris-predictor``.
        config: the settings of the platform.

    Raises:
        Unresolvable: the template has a placeholder that is not known, or what comes out is no domain name.
    """
    metadata = service.metadata
    known = placeholders.scope(
        name,
        metadata.namespace or DEFAULT_NAMESPACE,
        labels=metadata.labels,
        annotations=metadata.annotations,
        IngressDomain=config.ingress_domain,
    )
    made = str(placeholders.rendered(config.domain_template, known, "The domain template", "InvalidTemplate"))
    if is_host(made):
        return made
    raise errors.Unresolvable(
        "InvalidHost",
        f"The host {made[:_LONGEST]!r} is no domain name: its parts have at most 63 lower case letters, digits"
        " and hyphens.",
        remedy="Choose a shorter name or namespace, or another domain template.",
    )


def is_host(text: str) -> bool:
    """Whether a text is a domain name in lower case."""
    return len(text) <= _LONGEST and all(_LABEL.fullmatch(each) for each in text.split("."))
