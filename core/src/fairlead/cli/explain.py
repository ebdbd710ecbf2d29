"""``fairlead explain``: what InferenceServices come to on this machine, and why each other runtime was not chosen."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.cli import manifests

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from fairlead.api import InferenceService, Resource
    from fairlead.resolve import ResolvedService
    from fairlead.resolve.catalogue import Catalogue

__all__ = ["Explained", "add_arguments", "run"]

_EPILOG: Final = """\
Nothing is run. ServingRuntimes, ClusterServingRuntimes, ClusterStorageContainers, Secrets, ConfigMaps and
ServiceAccounts among the manifests count; no value of a Secret is printed.
The status is 0 when every service can run, 1 when one cannot, and 2 when a manifest is wrong.

examples:
  fairlead explain isvc.yaml
  fairlead explain manifests/ -o yaml
  kustomize build . | fairlead explain -
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What there is to say of one InferenceService.

    Attributes:
        service: the InferenceService, after defaulting.
        resolved: what it comes to; None where it cannot run.
        error: why it cannot.
        warnings: what its user should know: one sentence each.
    """

    service: InferenceService
    resolved: ResolvedService | None
    error: errors.Unresolvable | None
    warnings: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    manifests.add_arguments(parser)
    parser.add_argument("-o", "--output", choices=("text", "yaml", "json"), default="text", help="how (default: text)")


def run(args: argparse.Namespace) -> int:
    """Print what each InferenceService comes to.

    Raises:
        ConfigurationError: a path cannot be read, a manifest is wrong, or there is no InferenceService in any.
    """
    from fairlead.local import catalogues
    from fairlead.plugins import Plugins

    resources = manifests.load(args.manifests, namespace=args.namespace)
    found = _explained(resources, catalogues.installed(Plugins.discover(), resources))
    if not found:
        raise errors.ConfigurationError(
            f"There is no InferenceService in {', '.join(args.manifests)}.", remedy="Name the manifest of one."
        )
    if args.output == "text":
        from fairlead.cli import explanation

        print("\n\n".join(explanation.text(each, explanation.width()) for each in found))
    else:
        print(_serialised([_plain(each) for each in found], args.output))
    return 1 if any(each.error for each in found) else 0


def _explained(resources: Sequence[Resource], catalogue: Catalogue) -> list[Explained]:
    """Every InferenceService, resolved.

    Raises:
        InvalidManifest: something is wrong with one of the objects; everything is told.
    """
    from fairlead.api import InferenceService
    from fairlead.local.config import CONFIG
    from fairlead.resolve import validation
    from fairlead.resolve.defaults import default
    from fairlead.resolve.resolving import resolve

    judged = validation.examined(resources, CONFIG, catalogue)
    if problems := [text for each in judged for text in each.full_problems()]:
        raise errors.InvalidManifest(*problems)
    found: list[Explained] = []
    for resource, findings in zip(resources, judged, strict=True):
        if not isinstance(resource, InferenceService):
            continue
        service, resolved, error = default(resource, CONFIG), None, None
        try:
            resolved = resolve(service, catalogue, CONFIG)
        except errors.Unresolvable as raised:
            error = raised
        more = resolved.warnings if resolved else ()
        warnings = tuple(dict.fromkeys((*findings.warnings, *more)))
        found.append(Explained(service=service, resolved=resolved, error=error, warnings=warnings))
    return found


# -- plain data -----------------------------------------------------------------------------------------


def _plain(explained: Explained) -> dict[str, Any]:
    """What there is to say as plain data, with names in the manner of the API."""
    metadata, resolved, error = explained.service.metadata, explained.resolved, explained.error
    head: dict[str, Any] = {"name": metadata.name, "namespace": metadata.namespace, "resolvable": resolved is not None}
    if error is not None:
        head["error"] = {
            "condition": error.condition,
            "reason": error.reason,
            "remedy": error.remedy,
            "candidates": _named(error.candidates),
        }
    if resolved is not None:
        head |= {
            "mode": resolved.mode,
            "host": resolved.host,
            "path": resolved.path,
            "stopped": resolved.stopped,
            "mirrorPercent": resolved.mirror_percent,
            "components": {kind.value: _component(each) for kind, each in resolved.components.items()},
            "canaries": [
                {"name": each.name, "trafficPercent": each.traffic_percent, "component": _component(each.component)}
                for each in resolved.canaries
            ],
        }
    return {**head, "warnings": list(explained.warnings)}


def _component(component: Any) -> dict[str, Any]:
    from fairlead.resolve.resolving import revision_digest

    fields = {each.name: getattr(component, each.name) for each in dataclasses.fields(component)}
    for name in ("logger", "batcher"):
        if fields[name] is not None:
            fields[name] = fields[name].model_dump(by_alias=True, exclude_unset=True)
    return {**_named(fields), "digest": revision_digest(component)}


_VERBATIM: Final = frozenset({"pod", "labels", "annotations", "logger", "batcher", "behavior"})
"""What has names of its own, which stay as they are."""


def _named(value: Any, name: str = "") -> Any:
    """Values as lists and objects, with names in camelCase."""
    if name in _VERBATIM:
        return json.loads(json.dumps(dict(value) if value is not None else None))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.repr}
    if isinstance(value, dict):
        return {_camel(key): _named(each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_named(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def _serialised(found: list[dict[str, Any]], output: str) -> str:
    if output == "json":
        return json.dumps(found, indent=4, ensure_ascii=False)
    import yaml

    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120)).rstrip("\n")
