"""What is to be done for one InferenceService: a function of the cluster as it is known, without I/O."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from fairlead import api, errors
from fairlead.resolve import defaults, validation
from fairlead.resolve.resolving import resolve
from fairlead.resolve.status import Unresolved
from fairlead_operator import observing, status
from fairlead_operator.configuration.reading import read
from fairlead_operator.desired.model import Desired, Owner, Surroundings
from fairlead_operator.desired.rendering import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.service import ResolvedService
    from fairlead_operator.desired.model import Manifest, Problem, Strategy

__all__ = ["FREEZE", "Known", "Plan", "plan"]

FREEZE: Final = "serving.kserve.io/disable-auto-update"
"""The annotation by which a service that is Ready stays as it is when its runtime changes."""

_STANDARD: Final = "Standard"
_INVALID: Final = "InvalidSpec"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known beside the service.

    Attributes:
        home: the operator's namespace.
        catalogue: what it is resolved against.
        cluster: the ConfigMap of the operator's namespace.
        namespace: the ConfigMap of the service's namespace.
        apis: the kinds that the cluster serves beside Kubernetes' own, as ``group/Kind``.
        version: the version of Kubernetes.
        objects: the objects of the service that there are, by kind and name.
        strategies: the autoscaler plugins.
    """

    home: str
    catalogue: Catalogue
    cluster: Mapping[str, str] | None = None
    namespace: Mapping[str, str] | None = None
    apis: frozenset[str] = frozenset()
    version: tuple[int, int]
    objects: Mapping[tuple[str, str], Manifest] = dataclasses.field(default_factory=dict)
    strategies: Mapping[str, Strategy] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done.

    Attributes:
        subject: what the service comes to, or why it comes to nothing; then its objects stay as they are.
        surroundings: what it was rendered in.
        desired: its objects; None where they stay as they are.
        problems: what is wrong, while the rest is done.
        notes: what is said and has no effect, and what else its user should know: one sentence each.
    """

    subject: ResolvedService | Unresolved
    surroundings: Surroundings
    desired: Desired | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def plan(manifest: Manifest, known: Known) -> Plan:
    """What is to be done for an InferenceService as the API server has it."""
    metadata = manifest["metadata"]
    configured = read(known.cluster, known.namespace, metadata.get("annotations") or {})
    surroundings = Surroundings(
        owner=Owner(
            name=metadata["name"],
            namespace=metadata.get("namespace") or "",
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation") or 1,
        ),
        config=configured.config,
        home=known.home,
        apis=known.apis,
        version=known.version,
        storage_containers=known.catalogue.storage_containers,
        strategies=known.strategies,
    )
    subject = _subject(manifest, surroundings, known)
    if isinstance(subject, Unresolved):
        return Plan(subject=subject, surroundings=surroundings, desired=None, problems=configured.problems)
    surroundings = dataclasses.replace(surroundings, ready=observing.ready(subject, known.objects))
    try:
        desired = render(subject, surroundings)
    except (errors.ConfigurationError, errors.PluginError) as error:
        word = error.condition if isinstance(error, errors.Unresolvable) else "RenderingFailed"
        subject = _unresolved(surroundings.owner, word, str(error))
        return Plan(subject=subject, surroundings=surroundings, desired=None, problems=configured.problems)
    # What concerns every service is told of none.
    of_all = read(known.cluster, None, {}).notes if configured.notes else ()
    notes = (*(each for each in configured.notes if each not in of_all), *subject.warnings)
    problems = (*configured.problems, *desired.problems)
    return Plan(subject=subject, surroundings=surroundings, desired=desired, problems=problems, notes=notes)


def _subject(manifest: Manifest, surroundings: Surroundings, known: Known) -> ResolvedService | Unresolved:
    config = surroundings.config.resolve
    try:
        service = api.parse(status.sticky(manifest), f"InferenceService {surroundings.owner.namespace}")
        assert isinstance(service, api.InferenceService)
        service = defaults.default(service, config)
        validation.validate(service, config, known.catalogue)
        resolved = resolve(service, known.catalogue, config)
    except errors.Unresolvable as error:
        return _unresolved(surroundings.owner, error.condition, str(error))
    except errors.ConfigurationError as error:
        return _unresolved(surroundings.owner, _INVALID, str(error))
    if resolved.mode == _STANDARD:
        return resolved
    reason = f"Its deployment mode is {resolved.mode}, and this operator runs services of the mode {_STANDARD}."
    remedy = f"Set the annotation {defaults.MODE_ANNOTATION}: {_STANDARD}."
    return _unresolved(surroundings.owner, "UnsupportedDeploymentMode", f"{reason} {remedy}", resolved.mode)


def _unresolved(owner: Owner, condition: str, message: str, mode: str = _STANDARD) -> Unresolved:
    return Unresolved(owner.name, owner.namespace, condition, message, mode=mode)
