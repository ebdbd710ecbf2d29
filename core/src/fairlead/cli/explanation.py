"""What ``fairlead explain`` says of an InferenceService, as text for people."""

from __future__ import annotations

import shlex
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from fairlead.contracts.autoscaler import MetricTarget, TargetKind

if TYPE_CHECKING:
    from fairlead.cli.explain import Explained
    from fairlead.resolve import (
        Candidate,
        ResolvedCanary,
        ResolvedComponent,
        ResolvedService,
        ResolvedWorkers,
        Scaling,
        Source,
    )

__all__ = ["text", "width"]

_NARROWEST: Final = 80
_WIDEST: Final = 120
_USUAL: Final = 100
_LABELS: Final = 13
_MARKS: Final = {True: "*", False: "-"}


def width() -> int:
    """How many columns the text may have: those of the terminal, within reason."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((_USUAL, 24)).columns))


def text(explained: Explained, columns: int) -> str:
    """Everything that there is to say of one InferenceService."""
    metadata = explained.service.metadata
    lines = [f"InferenceService {metadata.namespace}/{metadata.name}"]
    if explained.resolved is not None:
        lines += _service(explained.resolved, columns)
    if explained.error is not None:
        error = explained.error
        lines += _fields(
            [("cannot run", f"{error.condition}: {error.reason}"), ("remedy", error.remedy or "")], columns
        )
        lines += _candidates(_known(error.candidates), columns)
    if explained.warnings:
        lines.append("")
    for each in explained.warnings:
        lines += _wrapped("warning: ", each, columns)
    return "\n".join(lines)


def _known(candidates: Iterable[object]) -> list[Candidate]:
    from fairlead.resolve import Candidate

    return [each for each in candidates if isinstance(each, Candidate)]


# -- a service that can run -----------------------------------------------------------------------------


def _service(resolved: ResolvedService, columns: int) -> Iterator[str]:
    ways = [f"http://{resolved.host}", *([resolved.path] if resolved.path else [])]
    fields = [("asked at", " or ".join(ways)), ("mode", resolved.mode)]
    if resolved.stopped:
        fields.append(("stopped", "nothing runs, because the annotation serving.kserve.io/stop says so"))
    if resolved.mirror_percent:
        fields.append(("mirror", f"{resolved.mirror_percent}% of the requests are copied"))
    yield from _fields(fields, columns)
    for kind, component in resolved.components.items():
        yield from ("", f"{kind}: {component.name}", *_component(component, columns))
        if component.model is not None:
            yield from _candidates(component.model.candidates, columns)
    for canary in resolved.canaries:
        yield from _canary(canary, resolved.predictor, columns)


def _canary(canary: ResolvedCanary, stable: ResolvedComponent, columns: int) -> Iterator[str]:
    component = canary.component
    yield from ("", f"canary {canary.name}: {component.name}, {canary.traffic_percent}% of the predictor's traffic")
    yield from _component(component, columns)
    if component.model and (stable.model is None or component.model.runtime != stable.model.runtime):
        yield from _candidates(component.model.candidates, columns)


def _component(component: ResolvedComponent, columns: int) -> Iterator[str]:
    fields: list[tuple[str, str]] = []
    model = component.model
    if model is not None:
        version = f", version {model.format_version}" if model.format_version else ""
        fields.append(("model", f"{model.format}{version}, asked over {model.protocol}"))
        made = f"the plugin {model.runtime.plugin}" if model.runtime.plugin else model.runtime.kind
        asked = f", at the version {model.runtime_version}" if model.runtime_version else ""
        fields.append(("runtime", f"{model.runtime.name} ({made}){asked}"))
    fields += ((_source_label(index), each) for index, each in enumerate(_sources(component)))
    if asks := dict.fromkeys(who for each in component.sources if (who := _credentials(each))):
        fields.append(("credentials", " and ".join(asks)))
    main, *others = component.pod["containers"]
    command = [str(each) for each in (*(main.get("command") or ()), *(main.get("args") or ()))]
    fields.append(("command", shlex.join(command) if command else "that of the image"))
    if main.get("image"):
        fields.append(("image", str(main["image"])))
    if others:
        fields.append(("beside it", ", ".join(str(each.get("name")) for each in others)))
    fields += _limits(component)
    yield from _fields(fields, columns)


def _source_label(index: int) -> str:
    return "artefacts" if index == 0 else ""


def _sources(component: ResolvedComponent) -> list[str]:
    return [f"{each.uri} in {each.mount_path}" for each in component.sources] or ["none"]


def _credentials(source: Source) -> str:
    """What names the credentials of an artefact; empty where nothing does."""
    names = source.credentials
    if names is None:
        return ""
    if names.specified:
        where = f"the entry {names.entry.key} of the Secret {names.entry.secret}" if names.entry else ""
        return " and ".join(filter(None, (where, "parameters of storage" if names.parameters else "")))
    logins = [f"the Secret {each}" for each in names.pull_secrets]
    first = f"the Secret {names.secret}" if names.secret else f"the ServiceAccount {names.account}"
    return " and ".join([first, *logins])


def _limits(component: ResolvedComponent) -> Iterator[tuple[str, str]]:
    yield "replicas", _scaling(component.scaling)
    if component.workers is not None:
        yield "nodes", _nodes(component.workers)
    if component.container_concurrency:
        yield "at once", f"{component.container_concurrency} requests for each replica"
    if component.timeout is not None:
        yield "timeout", f"{component.timeout:g} s"
    if component.canary_traffic_percent is not None:
        yield "canary", f"the latest revision gets {component.canary_traffic_percent}% of the traffic"


def _nodes(workers: ResolvedWorkers) -> str:
    """How many nodes a replica is, and the devices of each."""
    others = f", and {workers.worker_gpus} on each other one" if workers.nodes > 1 else ""
    return f"{workers.nodes} for each replica, with {workers.head_gpus} {workers.gpu_resource} on the first{others}"


def _scaling(scaling: Scaling) -> str:
    low, high = scaling.spec.min_replicas, scaling.spec.max_replicas
    if scaling.strategy is None:
        return f"{low}, and " + ("somebody else scales" if scaling.external else "nothing scales")
    bounds = f"{low} or more" if high is None else f"{low}" if low == high else f"{low} to {high}"
    held = " and ".join(_target(each) for each in scaling.spec.targets) or "its default target"
    return f"{bounds}; {scaling.strategy} decides, by {held}"


def _target(target: MetricTarget) -> str:
    if target.value is None:
        return target.metric
    match target.kind:
        case TargetKind.UTILIZATION:
            return f"{target.metric} at {target.value:g}% of what is requested"
        case TargetKind.VALUE:
            return f"{target.metric} at {target.value:g} in all"
    return f"{target.metric} at {target.value:g} for each"


# -- runtimes -------------------------------------------------------------------------------------------


def _candidates(candidates: Sequence[Candidate], columns: int) -> Iterator[str]:
    """A table of the runtimes that were looked at; the one that serves the model has a star."""
    if not candidates:
        return
    longest = min(max(len(each.name) for each in candidates), columns // 2)
    yield ""
    yield f"  {'  RUNTIME':<{longest + 2}}  WHY"
    for each in candidates:
        own = " (of the namespace)" if each.kind == "ServingRuntime" and each.chosen else ""
        yield from _wrapped(f"  {_MARKS[each.chosen]} {each.name:<{longest}}  ", f"{each.reason}{own}", columns)


# -- lines ----------------------------------------------------------------------------------------------


def _fields(fields: Iterable[tuple[str, str]], columns: int) -> Iterator[str]:
    for label, value in fields:
        if value:
            yield from _wrapped(f"  {label:<{_LABELS}}", value, columns)


def _wrapped(head: str, body: str, columns: int) -> list[str]:
    """Lines of a text behind a head; long words, such as addresses, stay whole."""
    return textwrap.wrap(
        body,
        columns,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
