"""A predictor with a model: its runtime, with what the InferenceService says laid over it, and rendered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.api.pod import ContainerFields
from fairlead.resolve import containers, images, merge, multinode, placeholders, selection, server_types, storage
from fairlead.resolve.context import Context, Parts
from fairlead.resolve.defaults import FORMAT_ANNOTATION
from fairlead.resolve.implementations import MAIN_CONTAINER
from fairlead.resolve.service import MODEL_PATH, ResolvedModel, ResolvedRuntime, Source

if TYPE_CHECKING:
    from fairlead.api.predictor import ModelSpec, PredictorSpec
    from fairlead.resolve.selection import Selection
    from fairlead.resolve.server_types import Additions
    from fairlead.resolve.service import ResolvedWorkers

__all__ = ["parts"]

_CONTAINER_FIELDS: Final = tuple(name for name in ContainerFields.model_fields if name != "name")
_STABLE: Final = "spec.predictor"
_RENDERED: Final = (MAIN_CONTAINER, containers.TRANSFORMER_CONTAINER)


def parts(spec: PredictorSpec, model: ModelSpec, path: str, context: Context) -> Parts:
    """What a predictor with a model consists of.

    Args:
        spec: the predictor.
        model: its model.
        path: the predictor's place in the InferenceService, for messages.
        context: the InferenceService, and what it is resolved with.

    Raises:
        Unresolvable: no runtime serves the model, or the two do not go together.
    """
    chosen = selection.select(
        model, namespace=context.namespace, catalogue=context.catalogue, nodes=spec.worker_spec is not None
    )
    runtime = chosen.runtime
    annotations = {**(context.service.metadata.annotations or {}), **(spec.annotations or {})}
    of_model, told = storage.of_model(model, f"{path}.model", annotations, context)
    sources = (*of_model, *storage.of_component(spec, path, context.catalogue))
    if path == _STABLE:
        storage.check_container_name(spec, sources, context.catalogue)
    format_name = model.model_format.name if model.model_format else ""
    added = server_types.additions(
        chosen.server_type,
        model=context.name,
        model_format=format_name,
        protocol=chosen.protocol,
        stored=bool(sources),
    )
    merged = _containers(spec, model, chosen, added, path)
    rendered = _rendered(merged, _scope(context, added, format_name, path), chosen)
    workers = None
    if spec.worker_spec is not None:
        workers, rendered[0] = _workers(spec, model, chosen, rendered[0], path, context)
    base = containers.said(runtime.spec, containers.RUNTIME_POD_FIELDS)
    return Parts(
        pod={**merge.pod(base, containers.own_pod(spec)), "containers": rendered},
        sources=sources,
        model=ResolvedModel(
            format=format_name,
            format_version=model.model_format.version if model.model_format else None,
            protocol=chosen.protocol,
            runtime=ResolvedRuntime(
                name=runtime.metadata.name, kind=runtime.kind, plugin=chosen.plugin, server_type=chosen.server_type
            ),
            runtime_version=model.runtime_version,
            candidates=chosen.candidates,
        ),
        labels=runtime.spec.labels or {},
        annotations=runtime.spec.annotations or {},
        service_labels=added.labels,
        warnings=(*told, *_warnings(model, chosen, rendered[0], sources, path)),
        workers=workers,
    )


def _containers(
    spec: PredictorSpec, model: ModelSpec, chosen: Selection, added: Additions, path: str
) -> list[dict[str, Any]]:
    """The runtime's containers, each with what the InferenceService says of it, and those that it has beside."""
    own = {str(each.get("name")): each for each in spec.containers or ()}
    if MAIN_CONTAINER in own:
        raise errors.Unresolvable(
            "InvalidPredictorSpec",
            f"{path} has a model and a container {MAIN_CONTAINER}, which is the one that its runtime brings.",
            remedy=f"Write into {path}.model what is to be set in it, or take the model out.",
        )
    lower = {str(each.get("name")): each for each in chosen.runtime.spec.containers}
    if MAIN_CONTAINER not in lower:
        raise errors.Unresolvable(
            "InvalidPredictorSpec",
            f"The runtime {chosen.runtime.metadata.name} has no container {MAIN_CONTAINER}, which would serve the"
            " model.",
            remedy="Name the container of the model server so, or choose another runtime.",
            candidates=chosen.candidates,
        )
    upper = {MAIN_CONTAINER: added.applied(containers.said(model, _CONTAINER_FIELDS)), **own}
    merged = [merge.container(lower.get(name, {}), upper.get(name, {})) for name in dict.fromkeys((*lower, *upper))]
    first, *others = containers.in_order(merged)
    if (image := first.get("image")) and spec.worker_spec is None:  # of several nodes, the devices are not known yet
        first["image"] = images.chosen(
            image,
            runtime_version=model.runtime_version,
            server_type=chosen.server_type,
            gpu=images.asks_for_gpu(first),
        )
    return [first, *others]


def _workers(
    spec: PredictorSpec, model: ModelSpec, chosen: Selection, head: Mapping[str, Any], path: str, context: Context
) -> tuple[ResolvedWorkers, dict[str, Any]]:
    """The nodes beside the first, and the first one's container; both with the image for what they have."""
    workers, first = multinode.resolved(spec, chosen.runtime, head, path, context)
    others = list(workers.pod["containers"])
    for container in (first, others[0]):
        if image := container.get("image"):
            container["image"] = images.chosen(
                image,
                runtime_version=model.runtime_version,
                server_type=chosen.server_type,
                gpu=images.asks_for_gpu(first),
            )
    return dataclasses.replace(workers, pod={**workers.pod, "containers": others}), first


def _scope(context: Context, added: Additions, format_name: str, path: str) -> placeholders.Scope:
    """What placeholders stand for; a canary has the format of its own model."""
    metadata = context.service.metadata
    own = {FORMAT_ANNOTATION: format_name}
    said = metadata.annotations or {}
    return placeholders.scope(
        metadata.name,
        context.namespace,
        labels={**(metadata.labels or {}), **added.labels},
        annotations={**own, **said} if path == _STABLE else {**said, **own},
    )


def _rendered(
    merged: Iterable[Mapping[str, Any]], scope: placeholders.Scope, chosen: Selection
) -> list[dict[str, Any]]:
    """Placeholders filled in, in the containers that may have them."""
    return [
        placeholders.rendered(
            each, scope, f"The container {each['name']} of the runtime {chosen.runtime.metadata.name}"
        )
        if each["name"] in _RENDERED
        else dict(each)
        for each in merged
    ]


def _warnings(
    model: ModelSpec, chosen: Selection, main: Mapping[str, Any], sources: tuple[Source, ...], path: str
) -> Iterable[str]:
    name = chosen.runtime.metadata.name
    if model.runtime_version and images.pinned(main.get("image", "")):
        yield f"{path}.model.runtimeVersion has no effect on the image, which is named by its digest."
    if chosen.runtime.spec.host_ipc:
        yield f"hostIPC of the runtime {name} has no effect; set it in {path}."
    mounts = main.get("volumeMounts") or ()
    if chosen.plugin and not sources and not any(_holds_model(str(each.get("mountPath"))) for each in mounts):
        yield f"{path}.model has no storageUri, and the runtime {name} finds its model in {MODEL_PATH}."


def _holds_model(mount_path: str) -> bool:
    folder = mount_path.rstrip("/")
    return folder == MODEL_PATH or MODEL_PATH.startswith(f"{folder}/") or folder.startswith(f"{MODEL_PATH}/")
