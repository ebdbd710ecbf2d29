"""Rules about a component: that it is one thing, and what its own fields may say."""

from __future__ import annotations

from typing import Final

from fairlead.api.predictor import FRAMEWORKS, PredictorExtension, PredictorSpec
from fairlead.resolve import container_rules, findings, implementations

__all__ = ["check_bounds", "check_implementation", "check_logger", "warn_of_dead_fields"]

_PROTOCOLS: Final = ("v1", "v2", "grpc-v1", "grpc-v2")
_CUSTOM_PROTOCOLS: Final = ("v1", "v2")
_WITH_GPU_IMAGES: Final = ("tensorflow", "pytorch")
_GPU_SUFFIX: Final = "-gpu"
_GPU: Final = "nvidia.com/gpu"


def check_implementation(found: findings.Findings, component: implementations.Declared, *, is_canary: bool) -> None:
    """That a component is made of exactly one thing, and what that thing may say."""
    spec, path = component.spec, component.path
    made_of = implementations.implementations(spec)
    if not made_of:
        wanted = {"predictor": "model or containers", "explainer": "art or containers"}.get(
            component.kind, "containers"
        )
        found.problem(path, f"there is nothing that answers requests. Set {wanted}.")
    elif len(made_of) > 1:
        found.problem(path, f"it has {findings.listed(made_of, 'and')}, and may have one of them. Keep one.")
    if isinstance(spec, PredictorSpec):
        for name, block in implementations.blocks(spec):
            _check_block(found, f"{path}.{name}", name, block)
        if spec.model is not None and not is_canary and not (spec.model.model_format and spec.model.model_format.name):
            found.problem(f"{path}.model.modelFormat", "it is missing. Name the format of the model, such as sklearn.")
    if isinstance(spec, PredictorSpec) and made_of == ("containers",):
        _check_custom_protocol(found, path, spec)


def _check_block(found: findings.Findings, path: str, name: str, block: PredictorExtension) -> None:
    protocol = block.protocol_version
    if protocol is not None and protocol not in _PROTOCOLS:
        found.problem(
            f"{path}.protocolVersion", f"{findings.shown(protocol)} is not one of {findings.listed(_PROTOCOLS)}."
        )
    if name in FRAMEWORKS:
        _check_framework(found, path, name, block)


def _check_framework(found: findings.Findings, path: str, name: str, block: PredictorExtension) -> None:
    """A framework by its short name that was not made a model, as defaulting does."""
    if name == "onnx" and block.storage_uri is not None and not block.storage_uri.endswith(".onnx"):
        found.problem(
            f"{path}.storageUri", f"{findings.shown(block.storage_uri)} does not end in .onnx. Name the file."
        )
    version = block.runtime_version
    if name not in _WITH_GPU_IMAGES or version is None:
        return
    resources = block.resources or {}
    amounts = (resources.get("requests"), resources.get("limits"))
    asks = any(_GPU in each for each in amounts if isinstance(each, dict))
    if asks and not version.endswith(_GPU_SUFFIX):
        found.problem(
            f"{path}.runtimeVersion",
            f"{findings.shown(version)} uses no GPU, and the resources ask for one. Write {version}{_GPU_SUFFIX}, or "
            "take the GPU out of the resources.",
        )
    elif not asks and version.endswith(_GPU_SUFFIX):
        found.problem(
            f"{path}.runtimeVersion",
            f"{findings.shown(version)} needs a GPU, and the resources ask for none. Set the limit {_GPU}: 1, or "
            f"write {version.removesuffix(_GPU_SUFFIX)}.",
        )


def _check_custom_protocol(found: findings.Findings, path: str, spec: PredictorSpec) -> None:
    assert spec.containers
    for index, name, value in container_rules.environment(spec.containers[0]):
        if name == "PROTOCOL" and value not in _CUSTOM_PROTOCOLS:
            found.problem(
                f"{path}.containers[0].env[{index}]",
                f"PROTOCOL is {findings.shown(value)}, and not {findings.listed(_CUSTOM_PROTOCOLS)}.",
            )


# -- numbers ----------------------------------------------------------------------------------------------


def check_bounds(found: findings.Findings, component: implementations.Declared) -> None:
    """The numbers of a component that have bounds."""
    spec, path = component.spec, component.path
    batcher = spec.batcher
    numbers = {
        "containerConcurrency": spec.container_concurrency,
        "minReplicas": spec.min_replicas,
        "maxReplicas": spec.max_replicas,
        "timeout": spec.timeout,
        "batcher.maxBatchSize": None if batcher is None else batcher.max_batch_size,
        "batcher.maxLatency": None if batcher is None else batcher.max_latency,
    }
    for name, number in numbers.items():
        if number is not None and number < 0:
            found.problem(f"{path}.{name}", f"{number} is below 0. Write 0 or more.")
    fewest, most = 1 if spec.min_replicas is None else spec.min_replicas, spec.max_replicas or 0
    if most > 0 and fewest > most:
        said = "which counts as 1 where it is not set" if spec.min_replicas is None else f"which is {fewest}"
        found.problem(
            f"{path}.maxReplicas", f"{most} is below minReplicas, {said}. Raise maxReplicas, or lower minReplicas."
        )


def check_logger(found: findings.Findings, component: implementations.Declared) -> None:
    """Logging of payloads: what is logged has to be said, and a store needs all that leads to it."""
    logger, path = component.spec.logger, f"{component.path}.logger"
    if logger is None:
        return
    if logger.mode is None:
        found.problem(f"{path}.mode", "it is missing. Write all, request or response.")
    if logger.storage is not None:
        needed = {"path": logger.storage.path, "parameters": logger.storage.parameters, "key": logger.storage.key}
        missing = [name for name, value in needed.items() if not value]
        if missing:
            found.problem(f"{path}.storage", f"it needs {findings.listed(missing, 'and')} as well.")


def warn_of_dead_fields(found: findings.Findings, component: implementations.Declared) -> None:
    """Fields of the API that no controller reads, KServe's neither."""
    spec = component.spec
    if spec.scale_metric_type is not None:
        found.warn(f"{component.path}.scaleMetricType", "it has no effect. Say it in autoScaling, or take it out.")
    if spec.batcher is not None and spec.batcher.timeout is not None:
        found.warn(f"{component.path}.batcher.timeout", "it has no effect. Take it out.")
