"""Rules about several objects: that no two are one, and that no two want one name or one host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from fairlead.api.inferenceservice import InferenceService
from fairlead.resolve import findings, implementations

if TYPE_CHECKING:
    from fairlead.api.base import Resource
    from fairlead.resolve.config import Config

__all__ = ["check_together"]

_PLACEHOLDER: Final = re.compile(r"\{\{\s*\.(Name|Namespace|IngressDomain)\s*\}\}")


def check_together(found: Sequence[findings.Findings], resources: Sequence[Resource], config: Config) -> None:
    """Objects that are declared together.

    KServe sees one at a time, so that two services may undo each other's objects for ever.

    Args:
        found: where problems go, for each object in turn; the later of two gets them.
        resources: the objects, each in its namespace.
        config: the settings of the platform.
    """
    declared: set[tuple[str, str, str]] = set()
    taken: dict[tuple[str, ...], str] = {}
    for into, resource in zip(found, resources, strict=True):
        identity = (resource.kind, resource.metadata.namespace or "", resource.metadata.name)
        if identity in declared:
            into.problem("metadata.name", "this object is declared more than once. Keep one, or rename the other.")
            continue
        declared.add(identity)
        if not isinstance(resource, InferenceService):
            continue
        for claim, path, what in _claims(resource, config):
            owner = taken.setdefault(claim, into.who)
            if owner != into.who:
                into.problem(path, f"{what} is also that of {owner}. Choose another name.")


def _claims(service: InferenceService, config: Config) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What no two services may have: the claim, the path that makes it, and how it is called."""
    namespace = service.metadata.namespace or ""
    for component in (*implementations.components(service), *implementations.canaries(service)):
        path = f"{component.path}.name" if getattr(component.spec, "name", None) else "metadata.name"
        name = component.object_name
        yield ("object", namespace, name), path, f"the name {findings.shown(name)} of the objects of {component.path}"
    values = {"Name": service.metadata.name, "Namespace": namespace, "IngressDomain": config.ingress_domain}
    host = _PLACEHOLDER.sub(lambda match: values[match[1]], config.domain_template)
    yield ("host", host), "metadata.name", f"the host {findings.shown(host)}"
    domain = host.removeprefix(f"{service.metadata.name}-{namespace}.")
    for component in implementations.components(service):
        own = f"{service.metadata.name}-{component.kind}-{namespace}.{domain}"
        yield ("host", own), "metadata.name", f"the host {findings.shown(own)} of {component.path}"
