"""What to do when no runtime serves a model."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from fairlead.api.predictor import FRAMEWORKS
from fairlead.resolve import contenders, runtimes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fairlead.api.predictor import ModelSpec
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.contenders import Contender, Obstacle

__all__ = ["KNOWN_FORMATS", "for_format", "for_obstacle", "for_unknown_runtime", "near"]

KNOWN_FORMATS: Final = (*FRAMEWORKS, "autogluon", "mlflow", "openvino", "tensorrt", "vLLM")
"""Formats that are known to exist, whether or not a runtime for them is here."""

_PLUGINS: Final = {"pytorch": "torch"}
"""The runtimes of formats that are not named as the format is."""

_DOCTOR: Final = "See what is wrong with it: fairlead plugins doctor"


def for_format(
    model: ModelSpec,
    found: tuple[Contender, ...],
    namespace: str,
    protocol: str,
    catalogue: Catalogue,
    *,
    nodes: bool = False,
) -> str:
    """What to do when no runtime was chosen for a model that names none."""
    wanted = model.model_format.name if model.model_format else ""
    obstacles = [(each, contenders.obstacle(each, model, namespace, protocol, nodes=nodes)) for each in found]
    close = [(each, why) for each, why in obstacles if why is not None and why.kind != "format"]
    order = ("protocol", "version", "auto", "disabled", "namespace", *(("nodes",) if nodes else ()))
    for kind in order:
        for each, why in close:
            if why.kind == kind:
                return for_obstacle(why, each)
    return _install(wanted, catalogue) or _near_format(wanted, found)


def for_obstacle(obstacle: Obstacle, contender: Contender, *, named: bool = False) -> str:
    """What to do about what stands in the way of one runtime."""
    spec = contender.runtime.spec
    match obstacle.kind:
        case "protocol":
            return f"Set protocolVersion to {' or '.join(spec.protocol_versions or ())}, which {contender.name} speaks."
        case "version":
            return f"Give one of these versions as it is written there, or none: {contender.name} then serves it."
        case "auto":
            return f"Name it: runtime: {contender.name}"
        case "disabled":
            return f"Take disabled: true out of {contender.name}" + (", or take runtime out." if named else ".")
        case "namespace":
            return f"Declare {contender.name} in the namespace of the service, or as a ClusterServingRuntime."
        case "nodes" if spec.worker_spec is None:
            return f"Take workerSpec out, or declare a runtime like {contender.name} that has one."
        case "format" if named:
            return "Take runtime out, so that one is chosen by the format, or name one that serves it."
    return "Name another runtime."


def for_unknown_runtime(name: str, model: ModelSpec, found: tuple[Contender, ...], catalogue: Catalogue) -> str:
    """What to do when a model names a runtime that there is not."""
    wanted = model.model_format.name if model.model_format else ""
    for broken in catalogue.missing:
        if name in (broken, runtimes.runtime_name(broken)):
            return _unusable(broken, catalogue)
    serving = [each for each in found if contenders.serves(each, model, automatically=True)]
    if serving:
        return f"Take runtime out, so that one is chosen: {serving[0].name} serves {contenders.label(model)}."
    plugin = name.removeprefix(runtimes.runtime_name(""))
    if plugin != name and plugin not in catalogue.plugins and not catalogue.in_cluster:
        return f"Install it: pip install fairlead-runtime-{plugin}"
    if install := _install(wanted, catalogue):
        return install
    names = near(name, (each.name for each in found))
    return f"Did you mean {' or '.join(names)}?" if names else _near_format(wanted, found)


def near(word: str, known: Iterable[str]) -> list[str]:
    """The names that come near to a word, whatever its case."""
    folded = {each.casefold(): each for each in known}
    return [folded[each] for each in difflib.get_close_matches(word.casefold(), folded, n=2)]


def _install(wanted: str, catalogue: Catalogue) -> str | None:
    if wanted in catalogue.missing:
        return _unusable(wanted, catalogue)
    if wanted not in KNOWN_FORMATS:
        return None
    if catalogue.in_cluster:
        return (
            "Declare a ServingRuntime or a ClusterServingRuntime that serves it;"
            " `fairlead-operator render-runtimes` prints those of installed plugins."
        )
    plugin = _PLUGINS.get(wanted, wanted.casefold())
    return f"Install a runtime that serves it: pip install fairlead-runtime-{plugin}"


def _unusable(broken: str, catalogue: Catalogue) -> str:
    if catalogue.in_cluster:
        return f"The runtime {broken} is there and cannot be read: {catalogue.missing[broken]}"
    return f"The plugin {broken} is installed and cannot be used. {_DOCTOR}"


def _near_format(wanted: str, found: tuple[Contender, ...]) -> str:
    here = dict.fromkeys(name for each in found for name in contenders.formats(each).split(", ") if name)
    names = near(wanted, (*here, *KNOWN_FORMATS))
    if names:
        return f"Did you mean {' or '.join(names)}?"
    return f"The formats here are {', '.join(here) or 'none'}; declare a ServingRuntime, or install a runtime plugin."
