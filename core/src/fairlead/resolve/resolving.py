"""From an InferenceService to what it comes to."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.resolve import canaries, components, hosts, implementations, placeholders
from fairlead.resolve.context import Context
from fairlead.resolve.defaults import DEFAULT_NAMESPACE, MODE_ANNOTATION, current_mode_name
from fairlead.resolve.service import ComponentKind, ResolvedComponent, ResolvedService

if TYPE_CHECKING:
    from fairlead.api.inferenceservice import InferenceService
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.config import Config
    from fairlead.resolve.service import Source

__all__ = ["MIRROR_ANNOTATION", "STOP_ANNOTATION", "resolve", "revision_digest"]

STOP_ANNOTATION: Final = "serving.kserve.io/stop"
"""Asks for nothing to run; any spelling of ``true`` does."""

MIRROR_ANNOTATION: Final = "fairlead.io/mirror-percent"
"""Percent of the requests that are copied to predictors which get no traffic."""

_MODES: Final = ("Knative", "Standard")
_PERCENT: Final = re.compile(r"[0-9]{1,3}")


def resolve(service: InferenceService, catalogue: Catalogue, config: Config) -> ResolvedService:
    """What an InferenceService comes to.

    Args:
        service: the InferenceService, after defaulting and validation.
        catalogue: the runtimes, storage providers and strategies that there are.
        config: the settings of the platform.

    Raises:
        Unresolvable: it cannot run as it stands: the word for conditions, the reason, and what to do.
    """
    annotations = service.metadata.annotations or {}
    declared = implementations.components(service)
    context = Context(
        service=service,
        namespace=service.metadata.namespace or DEFAULT_NAMESPACE,
        mode=_mode(annotations, config),
        catalogue=catalogue,
        config=config,
        predictor=next(each.object_name for each in declared if each.kind is ComponentKind.PREDICTOR),
    )
    found: dict[ComponentKind, ResolvedComponent] = {}
    warnings: list[str] = []
    for each in declared:
        found[each.kind], more = components.component(each, context)
        warnings += more
    others, more = canaries.canaries(context, found[ComponentKind.PREDICTOR])
    return ResolvedService(
        declared=service,
        mode=context.mode,
        components=found,
        canaries=others,
        stopped=annotations.get(STOP_ANNOTATION, "").lower() == "true",
        mirror_percent=_mirror_percent(annotations),
        host=hosts.host(service, service.metadata.name, config),
        path=_path(context),
        warnings=tuple(dict.fromkeys([*warnings, *more])),
    )


def revision_digest(component: ResolvedComponent) -> str:
    """A hexadecimal digest of what makes a new revision of a component.

    Those are its pod, its workers, its artefacts, the runtime, protocol and versions of its model, its concurrency and
    its timeout. How it scales, how its traffic is split, and labels and annotations of its objects are left out.
    """
    model = component.model
    content = {
        "pod": component.pod,
        "sources": [_declared(each) for each in component.sources],
        "model": model
        and {
            "format": [model.format, model.format_version],
            "protocol": model.protocol,
            "runtime": dataclasses.astuple(model.runtime),
            "runtimeVersion": model.runtime_version,
        },
        "containerConcurrency": component.container_concurrency,
        "timeout": component.timeout,
        **({} if component.workers is None else {"workers": dataclasses.asdict(component.workers)}),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _declared(source: Source) -> list[object]:
    """What of an artefact makes another revision; its ServiceAccount is in the pod."""
    names = source.credentials.declared if source.credentials is not None else ()
    return [source.uri, source.mount_path, *names]


def _mode(annotations: Mapping[str, str], config: Config) -> str:
    said = annotations.get(MODE_ANNOTATION)
    mode = current_mode_name(config.default_mode if said is None else said)
    if mode in _MODES:
        return mode
    place = "The default deployment mode" if said is None else f"The annotation {MODE_ANNOTATION}"
    raise errors.Unresolvable(
        "UnsupportedDeploymentMode",
        f"{place} is {mode!r}, and {' and '.join(_MODES)} are what there is here.",
        remedy=f"Set {MODE_ANNOTATION} to one of them.",
    )


def _mirror_percent(annotations: Mapping[str, str]) -> int:
    text = annotations.get(MIRROR_ANNOTATION, "0")
    if _PERCENT.fullmatch(text) and int(text) <= 100:
        return int(text)
    raise errors.Unresolvable(
        "InvalidAnnotation",
        f"The annotation {MIRROR_ANNOTATION} is {text[:80]!r}.",
        remedy="Give a whole number from 0 to 100.",
    )


def _path(context: Context) -> str | None:
    if not context.config.path_template:
        return None
    known = placeholders.scope(context.name, context.namespace)
    return str(placeholders.rendered(context.config.path_template, known, "The path template", "InvalidTemplate"))
