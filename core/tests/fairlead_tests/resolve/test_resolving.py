"""From an InferenceService to what it comes to: modes, addresses, canaries, revisions."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import fairlead.resolve
from fairlead import ModelFormat, api, errors
from fairlead.resolve import ResolvedCanary, implementations, resolving, revision_digest
from fairlead.resolve.config import Config
from fairlead.resolve.defaults import default
from fairlead_tests.api.manifests import MANIFESTS
from fairlead_tests.resolve import worlds

MODE = "serving.kserve.io/deploymentMode"
SKLEARN = "{predictor: {sklearn: {storageUri: /m}}}"
ONNX = dataclasses.replace(worlds.SKLEARN, name="onnx", formats=(ModelFormat("onnx"),), aliases=())


def refused(text: str = SKLEARN, config: Config | None = None, **metadata: Any) -> errors.Unresolvable:
    with pytest.raises(errors.Unresolvable) as caught:
        worlds.resolved(text, config=config, **metadata)
    assert caught.value.remedy
    return caught.value


def test_the_room_shows_what_its_modules_have() -> None:
    assert fairlead.resolve.resolve is resolving.resolve
    assert set(fairlead.resolve.__all__) == {name for name in dir(fairlead.resolve) if getattr(fairlead.resolve, name)}


def test_the_annotation_names_the_mode_and_else_the_platform_does() -> None:
    assert worlds.resolved(SKLEARN).mode == "Knative"
    assert worlds.resolved(SKLEARN, config=Config(default_mode="RawDeployment")).mode == "Standard"
    assert worlds.resolved(SKLEARN, annotations={MODE: "RawDeployment"}).mode == "Standard"
    assert (
        worlds.resolved(SKLEARN, config=Config(default_mode="Standard"), annotations={MODE: "Knative"}).mode
        == "Knative"
    )


@pytest.mark.parametrize("mode", ["ModelMesh", "Knativ", ""])
def test_a_mode_that_is_not_there_is_refused(mode: str) -> None:
    assert refused(annotations={MODE: mode}).condition == "UnsupportedDeploymentMode"


@pytest.mark.parametrize(
    ("text", "stopped"), [("true", True), ("True", True), ("TRUE", True), ("false", False), ("", False)]
)
def test_a_service_is_stopped_by_its_annotation(text: str, stopped: bool) -> None:
    assert worlds.resolved(SKLEARN, annotations={"serving.kserve.io/stop": text}).stopped is stopped


@pytest.mark.parametrize("text", ["0", "7", "100"])
def test_a_part_of_the_requests_is_mirrored_by_annotation(text: str) -> None:
    found = worlds.resolved(SKLEARN, annotations={"fairlead.io/mirror-percent": text})
    assert found.mirror_percent == int(text)


@pytest.mark.parametrize("text", ["101", "-1", "5%", "", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_mirror_that_is_no_percentage_is_refused(text: str) -> None:
    assert refused(annotations={"fairlead.io/mirror-percent": text}).condition == "InvalidAnnotation"


def test_host_and_path_are_made_by_the_templates_of_the_platform() -> None:
    config = Config(ingress_domain="localhost", path_template="/serving/{{ .Namespace }}/{{.Name}}")
    found = worlds.resolved(SKLEARN, config=config, namespace="flowers")
    assert (found.host, found.path) == ("iris-flowers.localhost", "/serving/flowers/iris")
    assert worlds.resolved(SKLEARN).path is None


def test_a_host_may_be_made_of_labels_and_annotations() -> None:
    config = Config(domain_template="{{.Labels.team}}.{{.Annotations.area}}.{{.IngressDomain}}")
    found = worlds.resolved(SKLEARN, config=config, labels={"team": "a"}, annotations={"area": "b"})
    assert found.host == "a.b.example.com"


@pytest.mark.parametrize(
    ("template", "condition"),
    [
        ("{{.Name}}.{{.Labels.no}}", "InvalidHost"),
        ("{{.Name}}..x", "InvalidHost"),
        (f"{'a' * 64}.x", "InvalidHost"),
        ("{{.Nmae}}", "InvalidTemplate"),
    ],
)
def test_a_host_that_is_no_domain_name_is_refused(template: str, condition: str) -> None:
    assert refused(config=Config(domain_template=template)).condition == condition


def test_what_a_component_says_of_its_requests_is_handed_on() -> None:
    found = worlds.resolved(
        "{predictor: {timeout: 30, containerConcurrency: 4, canaryTrafficPercent: 10, logger: {mode: all}, "
        "batcher: {maxBatchSize: 3}, sklearn: {storageUri: /m}}}"
    ).predictor
    assert (found.timeout, found.container_concurrency, found.canary_traffic_percent) == (30.0, 4, 10)
    assert found.logger is not None
    assert (found.logger.mode, found.batcher and found.batcher.max_batch_size) == ("all", 3)
    assert found.scaling.spec.container_concurrency == 4


def test_resolving_twice_gives_the_same_and_changes_nothing() -> None:
    declared = worlds.service(SKLEARN)
    before = declared.model_dump_json()
    first, second = (resolving.resolve(declared, worlds.catalogue(), Config()) for _ in range(2))
    assert first == second
    assert declared.model_dump_json() == before


SERVICES = [
    each for text in MANIFESTS.values() for each in api.read(text, "text") if isinstance(each, api.InferenceService)
]


@pytest.mark.parametrize("declared", SERVICES, ids=lambda each: each.metadata.name)
def test_every_service_that_people_write_is_resolved_or_refused_with_a_remedy(declared: api.InferenceService) -> None:
    service = default(declared, Config())
    found, refusal = None, None
    try:
        found = resolving.resolve(service, worlds.catalogue(), Config())
    except errors.Unresolvable as error:
        refusal = error
    if found is not None:
        assert len(found.components) == len(implementations.components(service))
    else:
        assert refusal is not None
        assert refusal.condition
        assert refusal.remedy


# -- canaries -------------------------------------------------------------------------------------------

CANARY = """
predictor:
  minReplicas: %s
  maxReplicas: 9
  scaleMetric: cpu
  timeout: 7
  sklearn: {storageUri: /m, env: [{name: A, value: b}]}
canary: [{trafficPercent: %s, predictor: {name: v2, %s}}]
"""


def canary(predictor: str, minimum: int = 10, percent: int = 20, **metadata: Any) -> ResolvedCanary:
    metadata.setdefault("annotations", {MODE: "Standard"})
    known = worlds.catalogue(plugins={"sklearn": worlds.SKLEARN, "onnx": ONNX})
    [found] = worlds.resolved(CANARY % (minimum, percent, predictor), known, **metadata).canaries
    return found


def test_a_canary_is_the_stable_predictor_with_its_own_fields_over_it() -> None:
    found = canary("model: {storageUri: /n}, timeout: 9")
    assert (found.name, found.traffic_percent, found.component.name) == ("v2", 20, "iris-v2-predictor")
    assert [each.uri for each in found.component.sources] == ["/n"]
    assert found.component.timeout == 9.0
    assert {"name": "A", "value": "b"} in found.component.pod["containers"][0]["env"]
    assert found.component.model is not None
    assert (found.component.model.format, found.component.model.protocol) == ("sklearn", "v1")


def test_a_canary_that_says_nothing_of_its_model_has_the_stable_one() -> None:
    found = canary("timeout: 9")
    assert [each.uri for each in found.component.sources] == ["/m"]


def test_a_canary_has_the_runtime_of_the_stable_predictor() -> None:
    found = canary("model: {modelFormat: {name: sklearn}, storageUri: /n}")
    assert found.component.model is not None
    assert found.component.model.runtime.name == "fairlead-sklearn"


def test_a_canary_of_another_format_has_its_runtime_chosen_anew() -> None:
    found = canary("onnx: {storageUri: /n.onnx}")
    assert found.component.model is not None
    assert (found.component.model.runtime.name, found.component.model.protocol) == ("fairlead-onnx", "v2")


def test_a_canary_of_ones_own_containers_has_no_model() -> None:
    found = canary("containers: [{name: kserve-container, image: mine}]")
    assert found.component.model is None
    assert found.component.pod["containers"][0]["image"] == "mine"


def test_artefacts_of_a_canary_take_the_place_of_the_stable_ones() -> None:
    found = canary("storageUris: [{uri: 'file:///x'}]")
    assert [each.uri for each in found.component.sources] == ["file:///x"]


@pytest.mark.parametrize(
    ("minimum", "percent", "own", "replicas"),
    [(10, 20, "", 2), (10, 21, "", 3), (10, 0, "", 1), (10, 20, "minReplicas: 4", 4)],
)
def test_a_canary_has_its_part_of_the_replicas_or_its_own_number(
    minimum: int, percent: int, own: str, replicas: int
) -> None:
    spec = canary(own, minimum, percent).component.scaling.spec
    assert (spec.min_replicas, spec.max_replicas) == (replicas, replicas)


def test_a_canary_renders_the_format_of_its_own_model() -> None:
    runtime = worlds.cluster_runtime(
        "all",
        {"name": "sklearn"},
        {"name": "onnx"},
        containers=[{"name": "kserve-container", "args": ["{{.Annotations.modelFormat}}"]}],
    )
    known = worlds.catalogue(plugins={}, cluster_runtimes=(runtime,))
    found = worlds.resolved(CANARY % (1, 1, "onnx: {storageUri: /n.onnx}"), known, annotations={MODE: "Standard"})
    assert found.predictor.pod["containers"][0]["args"] == ["sklearn"]
    assert found.canaries[0].component.pod["containers"][0]["args"] == ["onnx"]


# -- revisions ------------------------------------------------------------------------------------------


def digest(predictor: str, **metadata: Any) -> str:
    return revision_digest(worlds.resolved(f"{{predictor: {{{predictor}}}}}", **metadata).predictor)


BASE = "sklearn: {storageUri: /m}"


@pytest.mark.parametrize(
    "changed",
    [
        "sklearn: {storageUri: /n}",
        "sklearn: {storageUri: /m, env: [{name: A, value: b}]}",
        "sklearn: {storageUri: /m, protocolVersion: v2}",
        "sklearn: {storageUri: /m, runtimeVersion: '2'}",
        f"{BASE}, timeout: 5",
        f"{BASE}, containerConcurrency: 5",
        f"{BASE}, serviceAccountName: reader",
    ],
)
def test_what_runs_makes_a_new_revision(changed: str) -> None:
    assert digest(changed) != digest(BASE)


@pytest.mark.parametrize(
    ("changed", "metadata"),
    [
        (f"{BASE}, minReplicas: 0, maxReplicas: 5", {}),
        (f"{BASE}, scaleMetric: rps, scaleTarget: 5", {}),
        (f"{BASE}, canaryTrafficPercent: 5", {}),
        (f"{BASE}, annotations: {{autoscaling.knative.dev/window: 30s}}", {}),
        (BASE, {"annotations": {"serving.kserve.io/autoscalerClass": "hpa"}}),
        (BASE, {"annotations": {"fairlead.io/mirror-percent": "5"}}),
        (BASE, {"labels": {"team": "a"}}),
    ],
)
def test_how_it_scales_and_is_asked_makes_no_new_revision(changed: str, metadata: dict[str, Any]) -> None:
    assert digest(changed, **metadata) == digest(BASE)
