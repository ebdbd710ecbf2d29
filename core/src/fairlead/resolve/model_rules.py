"""Rules about TrainedModels, and about what fetches models: ClusterStorageContainers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fairlead.resolve import container_rules, findings, metadata_rules, quantities, storage_rules

if TYPE_CHECKING:
    from fairlead.api.storagecontainer import ClusterStorageContainer
    from fairlead.api.trainedmodel import TrainedModel

__all__ = ["check_storage_container", "check_trained_model"]

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")
_SCHEMES: Final = ("s3", "gs", "https", "http")
_WORKLOADS: Final = ("initContainer", "localModelDownloadJob")


def check_trained_model(found: findings.Findings, model: TrainedModel, previous: TrainedModel | None) -> None:
    """A model that is loaded beside others.

    Args:
        found: where problems go.
        model: the model.
        previous: what it was before, where it is changed.
    """
    metadata_rules.check_metadata(found, model.metadata)
    if not _NAME.fullmatch(model.metadata.name):
        found.problem(
            "metadata.name",
            f"{findings.shown(model.metadata.name)} holds something else than letters, digits, '-' and '_'.",
        )
    uri, memory = model.spec.model.storage_uri, model.spec.model.memory
    if storage_rules.scheme(uri) not in _SCHEMES:
        wanted = findings.listed(f"{each}://" for each in _SCHEMES)
        found.problem("spec.model.storageUri", f"{findings.shown(uri)} does not begin with {wanted}.")
    if (quantities.amount(memory) or 0) <= 0:
        found.problem("spec.model.memory", f"{findings.shown(memory)} is no amount above 0, such as 512Mi.")
    if previous is not None:
        before = previous.spec.model.memory
        if quantities.amount(before) != quantities.amount(memory):
            found.problem(
                "spec.model.memory",
                f"it was {findings.shown(before)}, and cannot be changed. Make another TrainedModel.",
            )


def check_storage_container(found: findings.Findings, container: ClusterStorageContainer) -> None:
    """A container that fetches artefacts."""
    metadata_rules.check_metadata(found, container.metadata)
    metadata_rules.check_object_name(found, container.metadata.name, strict=False)
    container_rules.check_block(found, "spec.container", container.spec.container)
    for index, each in enumerate(container.spec.supported_uri_formats):
        path = f"spec.supportedUriFormats[{index}]"
        if not each.prefix and not each.regex:
            found.problem(path, "it names no addresses. Set prefix or regex.")
        elif not each.prefix and each.regex:
            try:
                re.compile(each.regex)
            except (re.error, RecursionError, OverflowError) as error:
                found.problem(f"{path}.regex", f"{findings.shown(each.regex)} is no regular expression: {error}.")
    if container.spec.workload_type not in _WORKLOADS:
        found.problem(
            "spec.workloadType",
            f"{findings.shown(container.spec.workload_type)} is not {findings.listed(_WORKLOADS)}.",
        )
