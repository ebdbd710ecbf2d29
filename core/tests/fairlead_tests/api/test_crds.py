"""The definitions are what an API server takes, and say the same as the models."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs
import pytest

from fairlead import api, errors
from fairlead.api import crds
from fairlead_tests.api import manifests

every_kind = pytest.mark.parametrize("kind", api.KINDS, ids=lambda kind: kind.__name__)
every_manifest = pytest.mark.parametrize("text", manifests.MANIFESTS.values(), ids=manifests.MANIFESTS.keys())

KEYWORDS: Final = {
    "additionalProperties", "anyOf", "default", "description", "enum", "format", "items", "maxLength", "maximum",
    "minItems", "minLength", "minimum", "pattern", "properties", "required", "type",
    "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}  # fmt: skip
PASSED_THROUGH: Final = {
    "affinity", "behavior", "container", "containers", "deploymentStrategy", "dnsConfig", "env", "envFrom",
    "ephemeralContainers", "hostAliases", "imagePullSecrets", "initContainers", "lifecycle", "livenessProbe", "os",
    "overhead", "ports", "readinessGates", "readinessProbe", "resizePolicy", "resourceClaims", "resources",
    "restartPolicyRules", "schedulingGates", "securityContext", "startupProbe", "status", "tolerations",
    "topologySpreadConstraints", "volumeDevices", "volumeMounts", "volumes", "workloadRef",
}  # fmt: skip
"""The fields that hold objects of Kubernetes' own API."""
MOST_BYTES: Final = 262144
PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"

Path = tuple[str, ...]


def schemas(schema: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A schema and all below it, each with the names that lead to it."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from schemas(below, (*path, name))
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from schemas(schema[keyword], path)


def refused(kind: type[api.Resource], manifest: dict[str, Any]) -> bool:
    """Whether the schema refuses a manifest; the models have to do the same."""
    by_schema = not jsonschema_rs.validator_for(crds.schema(kind)).is_valid(manifest)
    try:
        api.read(json.dumps(manifest), "manifest.json")
    except errors.InvalidManifest:
        assert by_schema
    else:
        assert not by_schema
    return by_schema


# -- what an API server asks of a definition ------------------------------------------------------------


@every_kind
def test_the_schema_is_structural(kind: type[api.Resource]) -> None:
    for path, schema in schemas(crds.schema(kind)):
        assert set(schema) <= KEYWORDS, path
        if schema.get("x-kubernetes-int-or-string"):
            assert "type" not in schema
            assert schema["anyOf"] == [{"type": "integer"}, {"type": "string"}]
            continue
        assert schema["type"] in ("array", "boolean", "integer", "object", "string"), path
        assert "anyOf" not in schema, path
        assert ("items" in schema) == (schema["type"] == "array"), path
        assert not {"properties", "additionalProperties"} <= set(schema), path
        assert set(schema.get("required", ())) <= set(schema.get("properties", ())), path
        if "default" in schema:
            assert jsonschema_rs.validator_for(schema).is_valid(schema["default"]), path


@every_kind
def test_unknown_fields_are_kept_within_kubernetes_own_objects_and_the_status_only(kind: type[api.Resource]) -> None:
    for path, schema in schemas(crds.schema(kind)):
        if schema.get(PRESERVE):
            assert path[0] == "status" or (path[-1] in PASSED_THROUGH and "properties" not in schema), path
        elif schema.get("type") == "object" and path != ("metadata",):
            assert "properties" in schema or "additionalProperties" in schema, path


@every_kind
def test_metadata_are_left_to_the_api_server(kind: type[api.Resource]) -> None:
    schema = crds.schema(kind)
    assert schema["properties"]["metadata"] == {"type": "object"}
    assert schema["required"] == ["spec"]


@every_kind
def test_rules_stand_where_an_api_server_can_bound_their_cost(kind: type[api.Resource]) -> None:
    definition = crds.schema(kind)
    inside = [definition]
    while inside:
        schema = inside.pop()
        for keyword in ("items", "additionalProperties"):
            for _, below in schemas(schema.get(keyword, {})):
                assert "x-kubernetes-validations" not in below
        inside += schema.get("properties", {}).values()
    for _, schema in schemas(definition):
        for rule in schema.get("x-kubernetes-validations", ()):
            assert set(rule) == {"rule", "message"}
            assert "\n" not in rule["rule"] + rule["message"]
            assert len(rule["message"]) <= 2048


@every_kind
def test_rules_are_about_fields_that_there_are(kind: type[api.Resource]) -> None:
    for path, schema in schemas(crds.schema(kind)):
        for rule in schema.get("x-kubernetes-validations", ()):
            for start, names, called in re.findall(r"\b(self|oldSelf|each)((?:\.\w+)+)(\(?)", rule["rule"]):
                place = schema["properties"]["canary"]["items"] if start == "each" else schema
                *fields, last = names.strip(".").split(".")
                for name in fields if called else [*fields, last]:
                    if (*path, name) == ("metadata",) or (name == "name" and path == () and "metadata" in names):
                        continue
                    place = place["properties"][name]


@every_kind
def test_a_definition_is_small(kind: type[api.Resource]) -> None:
    assert len(json.dumps(crds.definition(kind), separators=(",", ":"))) < MOST_BYTES * 0.6


def test_a_definition_shares_nothing_with_the_next() -> None:
    first, second = crds.definition(api.InferenceService), crds.definition(api.InferenceService)
    expected = copy.deepcopy(second)
    for _, schema in schemas(first["spec"]["versions"][0]["schema"]["openAPIV3Schema"]):
        for keyword in ("required", "enum"):
            schema.get(keyword, []).append("changed")
    assert second == expected == crds.definition(api.InferenceService)


# -- what the API is ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "plural", "scope", "version", "short", "status"),
    [
        ("InferenceService", "inferenceservices", "Namespaced", "v1beta1", ["isvc"], True),
        ("ServingRuntime", "servingruntimes", "Namespaced", "v1alpha1", None, False),
        ("ClusterServingRuntime", "clusterservingruntimes", "Cluster", "v1alpha1", None, False),
        ("ClusterStorageContainer", "clusterstoragecontainers", "Cluster", "v1alpha1", None, False),
        ("InferenceGraph", "inferencegraphs", "Namespaced", "v1alpha1", ["ig"], True),
        ("TrainedModel", "trainedmodels", "Namespaced", "v1alpha1", ["tm"], True),
    ],
)
def test_names_scopes_and_versions_are_those_of_the_api(
    kind: str, plural: str, scope: str, version: str, short: list[str] | None, status: bool
) -> None:
    (found,) = (each for each in crds.definitions() if each["spec"]["names"]["kind"] == kind)
    assert found["metadata"]["name"] == f"{plural}.serving.kserve.io"
    assert (found["spec"]["group"], found["spec"]["scope"]) == ("serving.kserve.io", scope)
    names = found["spec"]["names"]
    assert (names["plural"], names["singular"], names["listKind"]) == (plural, kind.lower(), f"{kind}List")
    assert names.get("shortNames") == short
    (served,) = found["spec"]["versions"]
    assert (served["name"], served["served"], served["storage"]) == (version, True, True)
    assert served.get("subresources") == ({"status": {}} if status else None)


def test_kubectl_prints_the_columns_of_the_api() -> None:
    columns = {
        each["spec"]["names"]["kind"]: [
            column["name"] for column in each["spec"]["versions"][0].get("additionalPrinterColumns", [])
        ]
        for each in crds.definitions()
    }
    runtime = ["Disabled", "ModelType", "Containers", "Age"]
    assert columns == {
        "InferenceService": ["URL", "Ready", "Prev", "Latest", "PrevRolledoutRevision", "LatestReadyRevision", "Age"],
        "ServingRuntime": runtime,
        "ClusterServingRuntime": runtime,
        "ClusterStorageContainer": [],
        "InferenceGraph": ["URL", "Ready", "Age"],
        "TrainedModel": ["URL", "Ready", "Age"],
    }


@every_kind
def test_a_column_shows_a_field_that_there_is(kind: type[api.Resource]) -> None:
    known = {".".join(("", *path)) for path, _ in schemas(crds.schema(kind))}
    for column in crds.definition(kind)["spec"]["versions"][0].get("additionalPrinterColumns", []):
        path = "".join(part.partition("]")[2] if "]" in part else part for part in column["jsonPath"].split("["))
        path = path.replace(".components.predictor", ".components")  # a map: all its values have one schema
        assert path in known or path in (".metadata.creationTimestamp", ".spec.containers.name"), path


def test_defaults_are_those_of_the_api() -> None:
    defaults = {
        path[-1]: schema["default"]
        for kind in api.KINDS
        for path, schema in schemas(crds.schema(kind))
        if "default" in schema and path[-1] not in ("apiVersion", "kind")
    }
    assert defaults == {
        "mountPath": "/mnt/models",
        "workloadType": "initContainer",
        "supportsMultiModelDownload": False,
        "transitionStatus": "UpToDate",
        "activeModelState": "Pending",
        "targetModelState": "",
        "failedCopies": 0,
    }


@pytest.mark.parametrize(
    "path", [("spec", "canary"), ("spec", "predictor", "storageUris"), ("spec", "explainer", "storageUris")]
)
def test_lists_that_are_replaced_as_a_whole_say_so(path: Path) -> None:
    found = dict(schemas(crds.schema(api.InferenceService)))
    atomic = {each for each, schema in schemas(crds.schema(api.InferenceService)) if "x-kubernetes-list-type" in schema}
    assert path in found
    assert path in atomic


# -- the schema and the models agree --------------------------------------------------------------------


@every_manifest
def test_a_manifest_that_is_read_is_valid_by_the_schema(text: str) -> None:
    (found,) = api.read(text, "manifest.yaml")
    # The API server drops a null before it validates.
    assert not refused(type(found), _without_null(found.manifest()))


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value


GONE: Final = object()


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        (manifests.SKLEARN, "spec.predictor", GONE),
        (manifests.SKLEARN, "spec.predictor.name", "1x"),
        (manifests.SKLEARN, "spec.predictor.name", "V"),
        (manifests.SKLEARN, "spec.predictor.name", "x-"),
        (manifests.SKLEARN, "spec.predictor.scaleMetric", "gpu"),
        (manifests.SKLEARN, "spec.predictor.scaleMetricType", "Average"),
        (manifests.SKLEARN, "spec.predictor.logger", {"mode": "none"}),
        (manifests.SKLEARN, "spec.predictor.minReplicas", "1"),
        (manifests.SKLEARN, "spec.predictor.containers", {}),
        (manifests.SKLEARN, "spec.predictor.containers", ["x"]),
        (manifests.SKLEARN, "spec.predictor.nodeSelector", {"a": 1}),
        (manifests.SKLEARN, "spec.predictor.model.modelFormat.name", GONE),
        (manifests.SKLEARN, "spec.predictor.model.args", [1]),
        (manifests.SHORTHAND, "spec.predictor.onnx.confidential.enabled", GONE),
        (manifests.CANARY, "spec.canary.0.predictor", GONE),
        (manifests.CANARY, "spec.canary.0.trafficPercent", GONE),
        (manifests.CANARY, "spec.canary.0.trafficPercent", 101),
        (manifests.CANARY, "spec.canary.0.trafficPercent", -1),
        (manifests.STORAGE_URIS, "spec.predictor.storageUris", []),
        (manifests.STORAGE_URIS, "spec.predictor.storageUris.0.uri", ""),
        (manifests.STORAGE_URIS, "spec.predictor.storageUris.0.uri", GONE),
        (manifests.STORAGE_URIS, "spec.predictor.storageUris.1.mountPath", "adapter"),
        (manifests.STORAGE_URIS, "spec.predictor.storageUris.1.mountPath", "/" + "x" * 255),
        (manifests.STORAGE_URIS, "spec.predictor.autoScaling.metrics.0.type", "Pods"),
        (manifests.STORAGE_URIS, "spec.predictor.autoScaling.metrics.0.resource.name", "gpu"),
        (manifests.STORAGE_URIS, "spec.predictor.autoScaling.metrics.0.resource.target.type", "Mean"),
        (manifests.STORAGE_URIS, "spec.predictor.autoScaling.metrics.0.resource.target.averageValue", "many"),
        (manifests.STORAGE_URIS, "spec.predictor.autoScaling.metrics.1.external.metric.backend", "influx"),
        (manifests.STORAGE_URIS, "spec.predictor.autoScaling.metrics.2.podmetric.metric.backend", "prometheus"),
        (manifests.STATUS, "status.modelStatus.transitionStatus", "Done"),
        (manifests.STATUS, "status.modelStatus.states.activeModelState", "Gone"),
        (manifests.STATUS, "status.modelStatus.states.targetModelState", "Gone"),
        (manifests.STATUS, "status.modelStatus.lastFailureInfo.reason", "Other"),
        (manifests.RUNTIME, "spec.containers", GONE),
        (manifests.RUNTIME, "spec.supportedModelFormats.0.priority", 0),
        (manifests.CLUSTER_RUNTIME, "spec.workerSpec.containers", GONE),
        (manifests.GRAPH, "spec.nodes", GONE),
        (manifests.GRAPH, "spec.nodes.root.routerType", "Parallel"),
        (manifests.GRAPH, "spec.nodes.root.steps.0.dependency", "Firm"),
        (manifests.TRAINED_MODEL, "spec.model.framework", GONE),
        (manifests.TRAINED_MODEL, "spec.model.memory", GONE),
        (manifests.TRAINED_MODEL, "spec.model.storageUri", GONE),
        (manifests.STORAGE_CONTAINER, "spec.container", GONE),
        (manifests.STORAGE_CONTAINER, "spec.supportedUriFormats", GONE),
    ],
)  # fmt: skip
def test_the_schema_and_the_models_refuse_the_same(text: str, path: str, value: object) -> None:
    (found,) = api.read(text, "manifest.yaml")
    manifest = _without_null(found.manifest())
    *above, last = path.split(".")
    place: Any = manifest
    for step in above:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    assert refused(type(found), manifest)


@pytest.mark.parametrize("memory", [1, "1", "+1.5Gi", ".5", "1e3", "100m", "-2E"])
def test_a_quantity_is_a_number_or_a_text_and_keeps_it(memory: int | str) -> None:
    (found,) = api.read(manifests.TRAINED_MODEL, "manifest.yaml")
    manifest = found.manifest()
    manifest["spec"]["model"]["memory"] = memory
    assert not refused(api.TrainedModel, manifest)
    assert api.read(json.dumps(manifest), "manifest.json")[0].manifest() == manifest
