"""Names that an InferenceService is asked by: hosts outside of the cluster, and Services within."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.resolve import hosts
from fairlead_operator.desired.model import Problem

if TYPE_CHECKING:
    from fairlead.resolve.service import ComponentKind, ResolvedService
    from fairlead_operator.desired.model import Surroundings

__all__ = [
    "HOSTS_CONDITION",
    "VISIBILITY_LABEL",
    "hosts_of_component",
    "hosts_of_service",
    "inside",
    "is_local",
    "problems",
    "route_name",
]

VISIBILITY_LABEL: Final = "networking.kserve.io/visibility"
"""Says with ``cluster-local`` that a service is asked from within the cluster alone."""

HOSTS_CONDITION: Final = "ComponentHostsReady"
"""The condition that is False where a component has no host of its own, while its service has one."""

_LOCAL: Final = "cluster-local"
_LOCAL_DOMAIN: Final = "svc.cluster.local"


def is_local(service: ResolvedService, surroundings: Surroundings) -> bool:
    """Whether a service is asked from within the cluster alone: its label says so, or the domain is the cluster's."""
    ingress = surroundings.config.ingress
    labels = service.declared.metadata.labels or {}
    domain = surroundings.config.resolve.ingress_domain
    return labels.get(VISIBILITY_LABEL) == _LOCAL or domain in (_LOCAL_DOMAIN, f"svc.{ingress.cluster_domain}")


def inside(name: str, service: ResolvedService, surroundings: Surroundings) -> str:
    """The host of a Kubernetes Service within the cluster."""
    return f"{name}.{service.namespace}.svc.{surroundings.config.ingress.cluster_domain}"


def route_name(service: ResolvedService, kind: ComponentKind) -> str:
    """The name of a component's route and of its host: the same for every ``predictor.name``."""
    return f"{service.name}-{kind}"


def hosts_of_service(service: ResolvedService, surroundings: Surroundings) -> tuple[str, ...]:
    """The hosts of a service: that of the domain template, then the same in each further domain."""
    config = surroundings.config
    before = service.host.removesuffix(f".{config.resolve.ingress_domain}")
    if before == service.host:
        return (service.host,)
    more = (f"{before}.{each}" for each in config.ingress.additional_domains)
    return tuple(dict.fromkeys([service.host, *filter(hosts.is_host, more)]))


def hosts_of_component(service: ResolvedService, kind: ComponentKind, surroundings: Surroundings) -> tuple[str, ...]:
    """The host of a component; none where the domain template makes no domain name for it."""
    try:
        return (hosts.host(service.declared, route_name(service, kind), surroundings.config.resolve),)
    except errors.Unresolvable:
        return ()


def problems(service: ResolvedService, surroundings: Surroundings) -> list[Problem]:
    """What the hosts of a service lack, while it can be asked by the others."""
    config = surroundings.config
    found = [
        Problem(
            HOSTS_CONDITION,
            "InvalidHost",
            f"{route_name(service, kind)} has no host: what the domain template makes is no domain name, whose parts"
            " have at most 63 characters. Choose a shorter name or namespace, or another domain template.",
        )
        for kind in service.components
        if not hosts_of_component(service, kind, surroundings)
    ]
    if config.ingress.additional_domains and not service.host.endswith(f".{config.resolve.ingress_domain}"):
        found.append(
            _unused("UnusedDomains", f"{service.host} is not in ingressDomain ({config.resolve.ingress_domain})")
        )
        return found
    before = service.host.removesuffix(config.resolve.ingress_domain)
    wrong = [each for each in config.ingress.additional_domains if not hosts.is_host(f"{before}{each}")]
    if wrong:
        found.append(_unused("InvalidDomains", f"{', '.join(wrong)}: no domain name comes of it"))
    return found


def _unused(reason: str, why: str) -> Problem:
    message = f"additionalIngressDomains is not followed: {why}. Correct the key ingress of inferenceservice-config."
    return Problem("ConfigurationReady", reason, message)
