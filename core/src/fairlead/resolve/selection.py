"""Which runtime serves a model, and why each other one does not."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.resolve import contenders, remedies, runtimes, server_types
from fairlead.resolve.service import Candidate

if TYPE_CHECKING:
    from fairlead.api.predictor import ModelSpec
    from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.contenders import Contender

__all__ = ["DEFAULT_PROTOCOL", "Selection", "select"]

DEFAULT_PROTOCOL = "v1"
"""The protocol that runtimes are chosen by where a model names none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The runtime that was chosen.

    Attributes:
        runtime: the runtime.
        plugin: the runtime plugin that it was made from; None for one that a manifest declares.
        server_type: the server within its image, where it is known.
        protocol: the protocol that the model is asked in.
        candidates: every runtime that was looked at, the best first.
    """

    runtime: ServingRuntime | ClusterServingRuntime
    plugin: str | None
    server_type: str | None
    protocol: str
    candidates: tuple[Candidate, ...]


def select(model: ModelSpec, *, namespace: str, catalogue: Catalogue, nodes: bool = False) -> Selection:
    """Choose the runtime of a model: the one that it names, or the best of those that serve it.

    Args:
        model: the model, after defaulting.
        namespace: the namespace of its InferenceService.
        catalogue: the runtimes that there are.
        nodes: whether a replica of the service is several nodes.

    Raises:
        Unresolvable: there is none, with every candidate and what to do.
    """
    if model.model_format is None:
        raise errors.Unresolvable(
            "InvalidPredictorSpec",
            "spec.predictor.model has no modelFormat, by which a runtime is chosen.",
            remedy="Give modelFormat: {name: ...}.",
        )
    found = contenders.of(catalogue, namespace)
    if model.runtime:
        return _named(model, model.runtime, found, namespace, catalogue)
    return _automatic(model, found, namespace, catalogue, nodes=nodes)


# -- by name --------------------------------------------------------------------------------------------


def _named(
    model: ModelSpec, name: str, found: tuple[Contender, ...], namespace: str, catalogue: Catalogue
) -> Selection:
    """The runtime of that name, whatever its autoSelect says; else a plugin that takes its place."""
    chosen = _of_name(name, found, namespace)
    if chosen is None:
        chosen = _stand_in(name, model, found, catalogue)
        if chosen is None:
            raise errors.Unresolvable(
                "RuntimeNotRecognized",
                f"There is no ServingRuntime {name!r} in the namespace {namespace} and no ClusterServingRuntime"
                f" {name!r}.",
                remedy=remedies.for_unknown_runtime(name, model, found, catalogue),
                candidates=_losers(model, None, found, namespace, catalogue),
            )
        reason = f"the service names {name}, which is not here, and this runtime takes its place"
        protocol = model.protocol_version or server_types.default_protocol(server_types.type_of_name(name))
    else:
        reason = "the service names it"
        protocol = model.protocol_version
    obstacle = contenders.obstacle(chosen, model, namespace, protocol, named=True)
    if obstacle is not None:
        raise errors.Unresolvable(
            "RuntimeDisabled" if obstacle.kind == "disabled" else "NoSupportingRuntime",
            f"The runtime {name} does not serve this model: {obstacle.reason}.",
            remedy=remedies.for_obstacle(obstacle, chosen, named=True),
            candidates=_losers(model, (chosen, obstacle.reason), found, namespace, catalogue),
        )
    losers = _losers(model, None, tuple(each for each in found if each is not chosen), namespace, catalogue, named=name)
    return _selection(chosen, protocol, reason, losers)


def _of_name(name: str, found: tuple[Contender, ...], namespace: str) -> Contender | None:
    """The ServingRuntime of that name in the namespace, or else the ClusterServingRuntime."""
    same = [each for each in found if each.name == name and each.shadowed_by is None]
    own = [each for each in same if each.namespace == namespace]
    return next(iter([*own, *(each for each in same if each.namespace is None)]), None)


def _stand_in(name: str, model: ModelSpec, found: tuple[Contender, ...], catalogue: Catalogue) -> Contender | None:
    """The best plugin that may take the place of a runtime that is not here, for a format that it serves."""
    fitting = [
        each
        for each in found
        if each.plugin is not None
        and each.shadowed_by is None
        and name in catalogue.plugins[each.plugin].aliases
        and contenders.serves(each, model, automatically=False)
    ]
    return next(iter(contenders.ranked(fitting, model)), None)


# -- automatically --------------------------------------------------------------------------------------


def _automatic(
    model: ModelSpec, found: tuple[Contender, ...], namespace: str, catalogue: Catalogue, *, nodes: bool
) -> Selection:
    protocol = model.protocol_version or DEFAULT_PROTOCOL
    obstacles = {
        id(each): obstacle
        for each in found
        if (obstacle := contenders.obstacle(each, model, namespace, protocol, nodes=nodes)) is not None
    }
    fitting = [each for each in found if id(each) not in obstacles]
    ranked = [
        *contenders.ranked([each for each in fitting if each.namespace is not None], model),
        *contenders.ranked([each for each in fitting if each.namespace is None], model),
    ]
    if not ranked:
        raise errors.Unresolvable(
            "NoSupportingRuntime",
            f"No runtime serves the format {contenders.label(model)} over the protocol {protocol}.",
            remedy=remedies.for_format(model, found, namespace, protocol, catalogue, nodes=nodes),
            candidates=_losers(model, None, found, namespace, catalogue, nodes=nodes),
        )
    best, *others = ranked
    others_lost = [_candidate(each, contenders.why_behind(each, best, model)) for each in others]
    unfit = _losers(
        model, None, tuple(each for each in found if id(each) in obstacles), namespace, catalogue, nodes=nodes
    )
    return _selection(best, model.protocol_version, _why_best(best, others, model), (*others_lost, *unfit))


def _why_best(best: Contender, others: list[Contender], model: ModelSpec) -> str:
    serves = f"it serves {contenders.label(model)} over {model.protocol_version or DEFAULT_PROTOCOL}"
    if not others:
        return f"{serves}, and no other runtime does"
    if best.namespace is not None and all(each.namespace is None for each in others):
        return f"{serves}, and is the namespace's own"
    return f"{serves}, and comes first of {len(others) + 1}"


# -- what both have in common ---------------------------------------------------------------------------


def _selection(chosen: Contender, protocol: str | None, reason: str, losers: tuple[Candidate, ...]) -> Selection:
    server = server_types.server_type(chosen.runtime)
    return Selection(
        runtime=chosen.runtime,
        plugin=chosen.plugin,
        server_type=server,
        protocol=protocol
        or server_types.default_protocol(server)
        or contenders.lowest_protocol(chosen)
        or DEFAULT_PROTOCOL,
        candidates=(_candidate(chosen, reason, chosen=True), *losers),
    )


def _candidate(contender: Contender, reason: str, *, chosen: bool = False) -> Candidate:
    return Candidate(name=contender.name, kind=contender.kind, chosen=chosen, reason=reason)


def _losers(
    model: ModelSpec,
    first: tuple[Contender, str] | None,
    found: tuple[Contender, ...],
    namespace: str,
    catalogue: Catalogue,
    *,
    named: str | None = None,
    nodes: bool = False,
) -> tuple[Candidate, ...]:
    """Candidates that were not chosen: those that come near before those of other formats, then broken plugins."""
    protocol = model.protocol_version or DEFAULT_PROTOCOL
    lost: list[tuple[bool, Candidate]] = []
    for each in found:
        if first is not None and each is first[0]:
            continue
        obstacle = contenders.obstacle(each, model, namespace, protocol, nodes=nodes)
        reason = obstacle.reason if obstacle else f"the service names {named or model.runtime}"
        lost.append((obstacle is not None and obstacle.kind == "format", _candidate(each, reason)))
    lost.sort(key=lambda pair: pair[0])
    broken = (
        Candidate(
            name=runtimes.runtime_name(name),
            kind="ClusterServingRuntime",
            chosen=False,
            reason=f"installed but broken: {_unstopped(why)}",
        )
        for name, why in sorted(catalogue.missing.items())
    )
    head = () if first is None else (_candidate(*first),)
    return (*head, *(candidate for _, candidate in lost), *broken)


def _unstopped(sentence: str) -> str:
    return sentence.strip().removesuffix(".")
