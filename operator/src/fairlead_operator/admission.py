"""What an API server asks before it stores an object: the object with its defaults, and whether it may be stored.

Pure. The same rules count where no webhook asks: the operator applies them to what it finds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from fairlead import api, errors
from fairlead.api import documents
from fairlead.api.status import InferenceServiceStatus
from fairlead.resolve import defaults, resolving, validation

if TYPE_CHECKING:
    from fairlead.api.base import Resource
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.config import Config
    from fairlead_operator.desired.model import Manifest

__all__ = ["Ruling", "View", "defaulted", "malformed", "review"]

_SOURCE: Final = "object"
_MOST_TOLD: Final = 30
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_TO_BE_NAMED: Final = "00000"
_METADATA: Final = frozenset(field.alias or name for name, field in api.Metadata.model_fields.items())

_AnyRuntime: TypeAlias = api.ServingRuntime | api.ClusterServingRuntime


class View(Protocol):
    """What objects are judged against."""

    def config(self, namespace: str, annotations: Mapping[str, str]) -> Config:
        """The settings of the platform that count for an object.

        Args:
            namespace: its namespace; empty where it is in none.
            annotations: its annotations.
        """
        ...

    def catalogue(self) -> Catalogue:
        """The runtimes, storage providers and strategies that there are."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Ruling:
    """Whether an object may be stored.

    Attributes:
        problems: what is wrong with it, each with the object, the path and a remedy; none where it may be stored.
        warnings: what its user should know.
    """

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """Everything that is wrong, as one text."""
        told = [*self.problems[:_MOST_TOLD]]
        if len(self.problems) > _MOST_TOLD:
            told.append(f"There are {len(self.problems) - _MOST_TOLD} more.")
        return told[0] if len(told) == 1 else "\n".join(["several things are wrong:", *(f"- {each}" for each in told)])


def malformed(manifest: object) -> str | None:
    """What is so wrong with an object that it cannot even be read; None where nothing is."""
    if not isinstance(manifest, dict):
        return "The object is no JSON object. Send one with apiVersion, kind, metadata and spec."
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        return "The object has no metadata. Give it metadata with a name."
    for name in ("labels", "annotations"):
        texts = metadata.get(name)
        if texts is not None and not isinstance(texts, dict):
            return f"metadata.{name} is no object. Write names and texts."
    if documents.is_too_deep(manifest):
        return f"The object nests more than {documents.DEEPEST} levels deep. Make it flatter."
    return None


def defaulted(manifest: Manifest, view: View) -> Manifest:
    """An InferenceService with its defaults written into it; what is not concerned stays as it is.

    Args:
        manifest: the InferenceService.
        view: what it is judged against.

    Raises:
        InvalidManifest: it is none.
    """
    service = _read(manifest)
    if not isinstance(service, api.InferenceService) or service.metadata.deletion_timestamp is not None:
        return manifest
    found = defaults.default(service, _config(service, view)).manifest()
    metadata = dict(manifest["metadata"])
    if annotations := found["metadata"].get("annotations"):
        metadata["annotations"] = annotations
    return {**manifest, "metadata": metadata, "spec": found["spec"]}


def review(manifest: Manifest, old: Manifest | None, view: View) -> Ruling:
    """Whether an object may be stored.

    An object that is being deleted may always change, so that nothing keeps it; and so may one whose change is of no
    concern here, such as a finalizer, so that a rule that is new keeps nobody from working with what is there.

    Args:
        manifest: the object.
        old: what it was before; None for a new one.
        view: what it is judged against.
    """
    if (problem := malformed(manifest)) is not None:
        return Ruling((problem,))
    if manifest["metadata"].get("deletionTimestamp") or (old is not None and _same(manifest, old)):
        return Ruling()
    try:
        return Ruling(warnings=tuple(_judged(_read(manifest), _previous(old), view)))
    except errors.InvalidManifest as error:
        return Ruling(error.problems)


def _judged(resource: Resource, previous: Resource | None, view: View) -> Sequence[str]:
    """The warnings about an object; raises what is wrong with it."""
    match resource:
        case api.InferenceService():
            before = previous if isinstance(previous, api.InferenceService) else None
            return _judged_service(resource, before, view)
        case api.ServingRuntime() | api.ClusterServingRuntime():
            validation.validate_runtime(resource, _others(resource, previous, view), _config(resource, view))
        case api.InferenceGraph():
            validation.validate_graph(resource)
        case api.TrainedModel():
            validation.validate_trained_model(resource, previous if isinstance(previous, api.TrainedModel) else None)
        case _:
            return validation.check([resource], _config(resource, view), view.catalogue())
    return ()


def _judged_service(service: api.InferenceService, previous: api.InferenceService | None, view: View) -> Sequence[str]:
    config, catalogue = _config(service, view, previous), view.catalogue()
    service = defaults.default(service, config)
    before = None if previous is None else defaults.default(previous, config)
    warnings = validation.validate(service, config, catalogue, before)
    try:
        resolved = resolving.resolve(service, catalogue, config)
    except errors.Unresolvable as error:  # what it lacks may still come: its status will say the same
        return [*warnings, f"It cannot run yet ({error.condition}). {error}"]
    return [*warnings, *resolved.warnings]


def _others(runtime: _AnyRuntime, previous: Resource | None, view: View) -> list[_AnyRuntime]:
    """The runtimes that one is judged beside; what it was before is among them."""
    catalogue, own = view.catalogue(), (runtime.kind, runtime.metadata.namespace, runtime.metadata.name)
    known: list[_AnyRuntime] = [*catalogue.runtimes, *catalogue.cluster_runtimes]
    found = [each for each in known if (each.kind, each.metadata.namespace, each.metadata.name) != own]
    if isinstance(previous, api.ServingRuntime | api.ClusterServingRuntime):
        found.append(previous)
    return found


def _config(resource: Resource, view: View, previous: Resource | None = None) -> Config:
    """The settings that count for an object; a service keeps the mode that it runs in."""
    metadata = resource.metadata
    config = view.config(metadata.namespace or "", metadata.annotations or {})
    running = _running(previous) or _running(resource)
    return dataclasses.replace(config, default_mode=running) if running else config


def _running(resource: Resource | None) -> str | None:
    """The mode that a service runs in; None where it does not run yet."""
    status = getattr(resource, "status", None)
    return status.deployment_mode if isinstance(status, InferenceServiceStatus) else None


# -- reading ----------------------------------------------------------------------------------------------


def _read(manifest: Manifest) -> Resource:
    """The object of a manifest as it comes in a review.

    Its metadata is the API server's, which may know more of it than we do, and its status is its controller's: neither
    is judged. A name that is to be made of ``generateName`` is not there yet.
    """
    metadata = {key: value for key, value in manifest["metadata"].items() if key in _METADATA}
    prefix = metadata.get("generateName")
    if not metadata.get("name") and isinstance(prefix, str) and prefix:
        metadata["name"] = f"{prefix}{_TO_BE_NAMED}"
    whole = {**manifest, "metadata": metadata}
    if "status" in whole:
        whole["status"] = _status(whole["status"])
    try:
        return api.parse(whole, _SOURCE)
    except errors.InvalidManifest as error:
        problems = (each.removeprefix(f"{_SOURCE}: ") for each in error.problems)
        raise errors.InvalidManifest(*problems) from error


def _status(status: object) -> dict[str, str]:
    """What of a status bears on admission: the mode that a service runs in."""
    mode = status.get("deploymentMode") if isinstance(status, dict) else None
    return {"deploymentMode": mode} if isinstance(mode, str) else {}


def _previous(old: Manifest | None) -> Resource | None:
    """What an object was before; None where that cannot be read, because it is older than the rules."""
    if old is None or malformed(old) is not None:
        return None
    try:
        return _read(old)
    except errors.InvalidManifest:
        return None


def _same(manifest: Manifest, old: Manifest) -> bool:
    """Whether nothing changed that is judged."""
    return malformed(old) is None and _matter(manifest) == _matter(old)


def _matter(manifest: Manifest) -> dict[str, Any]:
    metadata = manifest["metadata"]
    annotations = {key: each for key, each in (metadata.get("annotations") or {}).items() if key != _LAST_APPLIED}
    rest = {key: each for key, each in manifest.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": (metadata.get("labels") or {}, annotations)}
