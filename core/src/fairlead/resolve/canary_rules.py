"""Rules about the two ways to give a part of the traffic to another predictor, and about mirrors.

``canaryTrafficPercent`` divides it between the latest revision and the one before; ``spec.canary`` lists predictors of
their own. In KServe each works in one deployment mode alone. Here both work in either, but not in one service at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead.resolve import findings, implementations
from fairlead.resolve.defaults import MODE_ANNOTATION, current_mode_name

if TYPE_CHECKING:
    from fairlead.api.inferenceservice import InferenceService
    from fairlead.api.predictor import PredictorSpec

__all__ = ["MIRROR_ANNOTATION", "check_canaries", "check_mirror", "check_traffic_percents"]

MIRROR_ANNOTATION: Final = "fairlead.io/mirror-percent"
"""The annotation that has requests copied to predictors that get no traffic."""

_OF_THE_STABLE: Final = {
    "workerSpec": "worker_spec",
    "maxReplicas": "max_replicas",
    "scaleTarget": "scale_target",
    "scaleMetric": "scale_metric",
    "autoScaling": "auto_scaling",
    "canaryTrafficPercent": "canary_traffic_percent",
}


def check_traffic_percents(found: findings.Findings, service: InferenceService) -> None:
    """``canaryTrafficPercent`` of each component; KServe takes any number, and Knative fails on it later."""
    standard = _is_standard(service)
    for component in implementations.components(service):
        percent, path = component.spec.canary_traffic_percent, f"{component.path}.canaryTrafficPercent"
        if percent is None:
            continue
        if not 0 <= percent <= 100:
            found.problem(path, f"{percent} is no percentage from 0 to 100.")
        elif standard:
            found.warn(path, f"it holds without a cluster, and in no cluster with {MODE_ANNOTATION}: Standard.")


def check_mirror(found: findings.Findings, service: InferenceService) -> None:
    """Percent of the requests that are copied."""
    text = (service.metadata.annotations or {}).get(MIRROR_ANNOTATION)
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100):
        found.problem(
            "metadata.annotations", f"{MIRROR_ANNOTATION} is {findings.shown(text)}, and no percentage from 0 to 100."
        )


def check_canaries(found: findings.Findings, service: InferenceService) -> None:
    """``spec.canary`` as a whole, and each predictor in it beside the stable one."""
    canaries = service.spec.canary or []
    if not canaries:
        return
    stable = service.spec.predictor
    if stable.canary_traffic_percent is not None:
        found.problem(
            "spec.canary",
            "spec.predictor.canaryTrafficPercent divides the traffic too. Keep one of them.",
        )
    if not implementations.blocks(stable) and not stable.storage_uris:
        found.problem("spec.canary", "the stable predictor has no model that a canary could differ from. Set model.")
    total = sum(canary.traffic_percent for canary in canaries)
    if total > 100:
        found.problem("spec.canary", f"the canaries get {total} percent together. Write 100 at most.")
    if not _is_standard(service):
        found.warn("spec.canary", f"it holds here, and KServe refuses it without {MODE_ANNOTATION}: Standard.")
    _check_canary_names(found, service)
    for index, canary in enumerate(canaries):
        _check_canary(found, f"spec.canary[{index}].predictor", canary.predictor, stable)


def _check_canary_names(found: findings.Findings, service: InferenceService) -> None:
    stable = service.spec.predictor.name
    names: dict[str, str] = {} if stable is None else {stable: "spec.predictor"}
    for index, canary in enumerate(service.spec.canary or ()):
        path, name = f"spec.canary[{index}].predictor", canary.predictor.name
        if name is None:
            found.problem(f"{path}.name", "it is missing. Name the canary, such as v2; it is promoted by this name.")
        elif name in names:
            found.problem(f"{path}.name", f"{name} is the name of {names[name]} too. Choose another one.")
        else:
            names[name] = path


def _check_canary(found: findings.Findings, path: str, canary: PredictorSpec, stable: PredictorSpec) -> None:
    for name, attribute in _OF_THE_STABLE.items():
        if getattr(canary, attribute) is not None:
            found.problem(f"{path}.{name}", "a canary has that of the stable predictor. Take it out.")
    most = 1 if stable.min_replicas is None else stable.min_replicas
    if canary.min_replicas is not None and canary.min_replicas > most:
        found.problem(
            f"{path}.minReplicas",
            f"{canary.min_replicas} is more than the {most} of the stable predictor. Write {most} at most, or raise "
            "spec.predictor.minReplicas.",
        )


def _is_standard(service: InferenceService) -> bool:
    return current_mode_name((service.metadata.annotations or {}).get(MODE_ANNOTATION, "")) == "Standard"
