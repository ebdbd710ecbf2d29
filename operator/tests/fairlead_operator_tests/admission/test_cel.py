"""The rules in the definitions, evaluated as an API server does, say the same as validation does."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import celpy
import pytest
import yaml
from celpy.adapter import json_to_cel

from fairlead.api import crds, kinds
from fairlead_operator import admission
from fairlead_operator_tests.admission.views import AView, graph, isvc, runtime, trained_model
from fairlead_operator_tests.desired import services

if TYPE_CHECKING:
    from fairlead import api

VIEW = AView()
RULES: Final = "x-kubernetes-validations"
MODEL: Final = "model: {modelFormat: {name: sklearn}, storageUri: 's3://models/iris'}"


@functools.cache
def _environment() -> celpy.Environment:
    return celpy.Environment()


@functools.cache
def _program(rule: str) -> Any:
    return _environment().program(_environment().compile(rule))


@functools.cache
def _schema(kind: type[api.Resource]) -> dict[str, Any]:
    return crds.schema(kind)


def _refused(schema: dict[str, Any], value: Any, old: Any) -> Iterator[str]:
    """The messages of the rules that do not hold at a place and below it; those of changes need what was before."""
    names = {"self": json_to_cel(value), **({} if old is None else {"oldSelf": json_to_cel(old)})}
    for rule in schema.get(RULES, ()):
        if ("oldSelf" not in rule["rule"] or old is not None) and not _program(rule["rule"]).evaluate(names):
            yield rule["message"]
    for name, below in schema.get("properties", {}).items():
        if isinstance(value, dict) and name in value:
            yield from _refused(below, value[name], old.get(name) if isinstance(old, dict) else None)


def refused(manifest: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    """What an API server says of an object by the rules of its definition."""
    kind = kinds.find(manifest["apiVersion"], manifest["kind"])
    assert kind is not None
    return list(_refused(_schema(kind), manifest, old))


def predictor(more: str = "", name: str = "iris", beside: str = "") -> dict[str, Any]:
    """A service whose predictor has a model and these fields, and these components beside it."""
    fields = ", ".join(each for each in (MODEL, more) if each)
    found = isvc(f"{{{', '.join(each for each in (f'predictor: {{{fields}}}', beside) if each)}}}")
    found["metadata"]["name"] = name
    return found


def bare(fields: str) -> dict[str, Any]:
    """A service whose predictor has these fields and nothing else."""
    return isvc(f"{{predictor: {{{fields}}}}}")


def canary(fields: str, stable: str = "", percent: int = 10) -> dict[str, Any]:
    """A service in the mode Standard with a canary."""
    entry = f"{{trafficPercent: {percent}, predictor: {{{fields}}}}}"
    found = predictor(stable, beside=f"canary: [{entry}]")
    found["metadata"]["annotations"] = {"serving.kserve.io/deploymentMode": "Standard"}
    return found


def workers(fields: str, others: str = "") -> dict[str, Any]:
    """A service of several nodes whose workers have these fields, and these containers beside their own."""
    containers = f"containers: [{{name: worker-container, image: x}}{others}]"
    spec = ", ".join(each for each in (fields, containers) if each)
    return bare(f"model: {{modelFormat: {{name: huggingface}}, storageUri: 'pvc://a'}}, workerSpec: {{{spec}}}")


CONTAINER: Final = "containers: [{name: kserve-container, image: x}]"
WORKERS: Final = "workerSpec: {pipelineParallelSize: 2, containers: [{name: worker-container, image: x}]}"
NODES: Final = "nodes: {root: {routerType: Sequence, steps: [{serviceName: a}]}}"

GOOD: Final[dict[str, dict[str, Any]]] = {
    "a model": predictor(),
    "a framework": bare("sklearn: {storageUri: 's3://a'}"),
    "several artefacts": bare("model: {modelFormat: {name: sklearn}}, storageUris: [{uri: 's3://a'}]"),
    "containers": bare(CONTAINER),
    "a model and containers": predictor(CONTAINER),
    "replicas": predictor("minReplicas: 2, maxReplicas: 2"),
    "no bound": predictor("minReplicas: 2, maxReplicas: 0"),
    "zero": predictor("minReplicas: 0, maxReplicas: 1, timeout: 0, containerConcurrency: 0"),
    "a logger": predictor("logger: {mode: all, url: 'http://a'}"),
    "a logger with a store": predictor("logger: {mode: all, storage: {path: a, parameters: {type: s3}, key: b}}"),
    "a batcher": predictor("batcher: {maxBatchSize: 8, maxLatency: 10}"),
    "a percentage": predictor("canaryTrafficPercent: 100"),
    "a transformer": predictor(beside=f"transformer: {{{CONTAINER}, minReplicas: 0}}"),
    "an explainer": predictor(beside=f"explainer: {{{CONTAINER}}}"),
    "an explainer of art": predictor(beside="explainer: {art: {type: SquareAttack}}"),
    "a canary": canary(f"name: v2, {MODEL}"),
    "no canaries": predictor("canaryTrafficPercent: 10", beside="canary: []"),
    "the longest name": predictor(name="a" * 53),
    "the longest name with one of the predictor": predictor("name: v1", name="a" * 50),
    "a graph": graph(f"{{{NODES}, minReplicas: 1, maxReplicas: 0}}"),
    "a trained model": trained_model(),
    "a runtime": runtime("protocolVersions: [v1]"),
}

BAD: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "a name with an upper case letter": (predictor(name="Iris"), "The name has lower case letters"),
    "a name with a digit first": (predictor(name="1iris"), "The name has lower case letters"),
    "a name with a hyphen last": (predictor(name="iris-"), "The name has lower case letters"),
    "a name that is too long": (predictor(name="a" * 54), "Choose a shorter"),
    "names that are too long together": (predictor("name: v1", name="a" * 51), "Choose a shorter"),
    "a name that is too long for a transformer": (
        predictor(name="a" * 52, beside=f"transformer: {{{CONTAINER}}}"),
        "Choose a shorter",
    ),
    "nothing": (bare("minReplicas: 1"), "There is nothing that answers requests"),
    "no container": (bare("containers: []"), "There is nothing that answers requests"),
    "two frameworks": (bare("sklearn: {storageUri: 's3://a'}, onnx: {storageUri: 's3://a.onnx'}"), "may be one"),
    "a model and a framework": (predictor("sklearn: {storageUri: 's3://a'}"), "may be one"),
    "two ways to name an artefact": (predictor("storageUris: [{uri: 's3://b'}]"), "Keep one of them"),
    "two ways to name that of a framework": (
        bare("sklearn: {storageUri: 's3://a'}, storageUris: [{uri: 's3://b'}]"),
        "Keep one of them",
    ),
    "a model without a format": (bare("model: {storageUri: 's3://a'}"), "Name the format of the model"),
    "a maximum below the minimum": (predictor("minReplicas: 3, maxReplicas: 2"), "maxReplicas is below"),
    "a minimum below 0": (predictor("minReplicas: -1"), "minReplicas is below 0"),
    "a maximum below 0": (predictor("maxReplicas: -1"), "maxReplicas is below 0"),
    "a concurrency below 0": (predictor("containerConcurrency: -1"), "containerConcurrency is below 0"),
    "a timeout below 0": (predictor("timeout: -1"), "timeout is below 0"),
    "a percentage above 100": (predictor("canaryTrafficPercent: 101"), "is no percentage"),
    "a logger without a mode": (predictor("logger: {url: 'http://a'}"), "Write all, request or response"),
    "a logger with half a store": (predictor("logger: {mode: all, storage: {path: a}}"), "storage needs"),
    "a batcher below 0": (predictor("batcher: {maxBatchSize: -1}"), "maxBatchSize is below 0"),
    "a wait below 0": (predictor("batcher: {maxLatency: -1}"), "maxLatency is below 0"),
    "workers without a shared model": (predictor(WORKERS), "begins with pvc:// or oci://"),
    "a transformer of nothing": (predictor(beside="transformer: {minReplicas: 1}"), "Set containers"),
    "a transformer with a maximum below the minimum": (
        predictor(beside=f"transformer: {{{CONTAINER}, minReplicas: 3, maxReplicas: 2}}"),
        "maxReplicas is below",
    ),
    "an explainer of two things": (
        predictor(beside=f"explainer: {{art: {{type: SquareAttack}}, {CONTAINER}}}"),
        "either art or containers",
    ),
    "an explainer of nothing": (predictor(beside="explainer: {minReplicas: 1}"), "either art or containers"),
    "a canary without a name": (canary(MODEL), "Name each canary"),
    "a canary with replicas of the stable": (canary(f"name: v2, maxReplicas: 3, {MODEL}"), "of the stable predictor"),
    "two ways to divide": (canary(f"name: v2, {MODEL}", "canaryTrafficPercent: 10"), "both divide the traffic"),
    "stages below one": (workers("pipelineParallelSize: 0"), "pipelineParallelSize is below 1"),
    "devices below one": (workers("tensorParallelSize: 0"), "tensorParallelSize is below 1"),
    "two containers of workers": (workers("", ", {name: another, image: x}"), "There may be one container"),
    "a graph without a root": (
        graph("{nodes: {a: {routerType: Sequence, steps: [{serviceName: a}]}}}"),
        "no node root",
    ),
    "a graph with replicas below 0": (graph(f"{{{NODES}, minReplicas: -1}}"), "minReplicas is below 0"),
    "a trained model elsewhere": (trained_model(uri="ftp://a"), "does not begin with"),
}


def named(version: str, uri: str) -> dict[str, Any]:
    return bare(f"name: {version}, model: {{modelFormat: {{name: sklearn}}, storageUri: '{uri}'}}")


GOOD_CHANGES: Final = {
    "a name with a model": (named("v2", "s3://b"), named("v1", "s3://a")),
    "a model alone": (named("v1", "s3://b"), named("v1", "s3://a")),
    "where a trained model is": (trained_model(uri="s3://b"), trained_model()),
    "workers that come": (runtime(WORKERS), runtime("")),
}
BAD_CHANGES: Final = {
    "a name alone": (named("v2", "s3://a"), named("v1", "s3://a"), "Change storageUri too"),
    "the memory of a trained model": (trained_model("2Gi"), trained_model("1Gi"), "memory cannot be changed"),
    "workers that go": (runtime(""), runtime(WORKERS), "cannot be taken out"),
}


@pytest.mark.parametrize("manifest", GOOD.values(), ids=GOOD.keys())
def test_what_may_be_stored_is_let_through(manifest: dict[str, Any]) -> None:
    assert refused(manifest) == []
    assert admission.review(manifest, None, VIEW).problems == ()


@pytest.mark.parametrize(("manifest", "told"), BAD.values(), ids=BAD.keys())
def test_what_may_not_be_stored_is_refused_with_what_to_do_as_validation_does(
    manifest: dict[str, Any], told: str
) -> None:
    found = refused(manifest)
    assert any(told in each for each in found), found
    assert admission.review(manifest, None, VIEW).problems


@pytest.mark.parametrize(("new", "old"), GOOD_CHANGES.values(), ids=GOOD_CHANGES.keys())
def test_a_change_that_may_be_is_let_through(new: dict[str, Any], old: dict[str, Any]) -> None:
    assert refused(new, old) == []
    assert admission.review(new, old, VIEW).problems == ()


@pytest.mark.parametrize(("new", "old", "told"), BAD_CHANGES.values(), ids=BAD_CHANGES.keys())
def test_a_change_that_may_not_be_is_refused_and_a_new_object_like_it_is_not(
    new: dict[str, Any], old: dict[str, Any], told: str
) -> None:
    assert any(told in each for each in refused(new, old))
    assert admission.review(new, old, VIEW).problems
    assert refused(new) == []


def test_every_rule_is_met_by_a_manifest_that_it_refuses() -> None:
    met = {message for manifest, _ in BAD.values() for message in refused(manifest)}
    met |= {message for new, old, _ in BAD_CHANGES.values() for message in refused(new, old)}
    known = {each["message"] for kind in kinds.KINDS for each in _every(_schema(kind))}
    assert known == met


def _every(schema: dict[str, Any]) -> Iterator[dict[str, str]]:
    yield from schema.get(RULES, ())
    for below in schema.get("properties", {}).values():
        yield from _every(below)


def test_the_runtimes_of_the_tests_are_let_through() -> None:
    for each in services.CLUSTER_RUNTIMES:
        assert refused(yaml.safe_load(json.dumps(each.manifest()))) == []
