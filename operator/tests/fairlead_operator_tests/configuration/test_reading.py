"""The ConfigMap of the cluster: what is read, what is refused, and what has no effect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.resolve.config import DISALLOWED_ANNOTATIONS, DISALLOWED_LABELS
from fairlead_operator.configuration import reading
from fairlead_operator.configuration.fields import BY_PATH, FIELDS, KEYS, Field
from fairlead_operator.configuration.levels import PREFIX
from fairlead_operator.configuration.model import OperatorConfig
from fairlead_operator_tests.configuration.kserve import SHIPPED

OTHERS: Mapping[str, Any] = {
    "a quantity such as 500m or 2Gi, or an empty text for none": "99Ti",
    "a list of names of labels, annotations or resources": ["example.com/other"],
    "a list of domains such as example.com, in lower case": ["other.example.com"],
    "a domain such as example.com, in lower case": "other.example.com",
    "a key of letters, digits, dots, hyphens and underscores": "other.key",
    "a key of letters, digits, dots, hyphens and underscores, or an empty text": "other.key",
    "the name of an annotation": "example.com/other",
    "the reference of an image": "registry.example.com/other:1",
    "the name of an object": "other",
    "the name of an object, or an empty text": "other",
    "a list of patterns such as ingress.*": ["ingress.*"],
    "a path that begins with /": "/other",
    "a URL such as http://default-broker, or an empty text": "https://other.example.com",
    "a host and a port such as keda-otel-scaler.keda.svc:4317": "other:1",
    "the namespace and the name of a Gateway, as namespace/name": "other/other",
    "a duration such as 5s or 1m30s": "2m",
    "a duration such as 5s or 1m30s, or an empty text": "2m",
    "a text that says true or false, or an empty text": "true",
    "a text in one line": "other",
    "a whole number from 0": 5,
    "a whole number from 1": 5,
    '"true" or "false"': "true",
    'seconds from "0" to "3600"': "5",
    "a number of pods such as 1, or a part of them such as 25%": "5%",
    "an object as logger.storage of a service has it": {"path": "other"},
    "modelcar, native or fetch": "native",
    "http or https": "https",
    "Standard, Knative, RawDeployment or Serverless": "Knative",
}
"""A value of each kind that is no field's default."""

configures = pytest.mark.parametrize(
    "field",
    [each for each in FIELDS if each.effect and not each.path.startswith("fairlead.overrides.")],
    ids=lambda each: each.path,
)


def other(field: Field) -> Any:
    """A value that is not the default of a field."""
    if field.kind.wanted.startswith("a template of domains"):
        return "{{.Name}}.{{.Namespace}}.other.example.com"
    if field.kind.wanted.startswith("a template of paths"):
        return "/{{.Namespace}}/{{.Name}}"
    if field.path.endswith("Request"):  # it may not be more than the limit
        return "1m"
    return OTHERS.get(field.kind.wanted, not field.default)


def config_map(path: str, value: Any) -> dict[str, str]:
    """``data`` that says one field."""
    key, *names = path.split(".")
    for name in reversed(names):
        value = {name: value}
    return {key: json.dumps(value)}


def read(data: Mapping[str, str] | None = None, **more: Any) -> reading.Configured:
    """What the cluster's ConfigMap comes to."""
    return reading.read(data, None, more)


def messages(found: reading.Configured) -> str:
    """What is wrong, in one text."""
    assert {each.condition for each in found.problems} <= {"ConfigurationReady"}
    return "\n".join(each.message for each in found.problems)


# -- what is read ---------------------------------------------------------------------------------------


def test_without_a_config_map_the_defaults_count() -> None:
    assert read() == reading.Configured(OperatorConfig())
    assert read({}) == reading.Configured(OperatorConfig())


def test_what_kserve_ships_is_read_without_a_problem() -> None:
    found = read(SHIPPED)
    assert found.problems == ()
    assert found.config.resolve.default_mode == "Knative"
    assert found.config.storage.image == "kserve/storage-initializer:latest"
    assert found.config.ingress.ingress_class == "istio"


def test_what_has_no_effect_is_told_once_for_each_key_and_reason() -> None:
    notes = read(SHIPPED).notes
    assert [each.partition(" ")[0] for each in notes] == [
        "ingress",
        "logger",
        "batcher",
        "batcher",
        "router",
        "localModel",
    ]
    assert "ingressGateway, localGateway, localGatewayService, disableIstioVirtualHost: Istio" in notes[0]


@configures
def test_every_field_with_an_effect_changes_what_is_configured(field: Field) -> None:
    data = config_map(field.path, other(field))
    if field.path == "storageInitializer.enableOciModelSupport":  # it is another name of enableModelcar
        data = {"storageInitializer": '{"enableModelcar": false, "enableOciModelSupport": true}'}
        without = read({"storageInitializer": '{"enableModelcar": false}'}).config
    else:
        without = OperatorConfig()
    found = read(data)
    assert messages(found) == ""
    assert found.config != without


@pytest.mark.parametrize("field", FIELDS, ids=lambda each: each.path)
def test_a_field_is_found_whatever_its_case_as_in_go(field: Field) -> None:
    value = other(field) if field.effect else "anything"
    assert messages(read(config_map(field.path.lower(), value))) == ""


@pytest.mark.parametrize("field", FIELDS, ids=lambda each: each.path)
def test_null_says_nothing(field: Field) -> None:
    assert read(config_map(field.path, None)) == reading.Configured(OperatorConfig())


@pytest.mark.parametrize(
    ("said", "mode"),
    [("Serverless", "Knative"), ("RawDeployment", "Standard"), ("Standard", "Standard"), ("Knative", "Knative")],
)
def test_older_names_of_modes_are_read(said: str, mode: str) -> None:
    assert read(config_map("deploy.defaultDeploymentMode", said)).config.resolve.default_mode == mode


def test_lists_are_beside_those_that_are_built_in() -> None:
    found = read(
        {
            "inferenceService": '{"serviceAnnotationDisallowedList": ["a/b"], "serviceLabelDisallowedList": ["c"]}',
            "multiNode": '{"customGPUResourceTypeList": ["example.com/gpu", "amd.com/gpu"]}',
        }
    )
    assert messages(found) == ""
    assert found.config.resolve.disallowed_annotations == DISALLOWED_ANNOTATIONS | {"a/b"}
    assert found.config.resolve.disallowed_labels == DISALLOWED_LABELS | {"c"}
    builtin = OperatorConfig().resolve.gpu_resources
    assert found.config.resolve.gpu_resources == (*builtin, "example.com/gpu")


def test_settings_of_s3_become_the_variables_that_providers_know() -> None:
    found = read({"credentials": '{"s3": {"s3Endpoint": "minio:9000", "s3UseHttps": "0", "s3Region": ""}}'})
    assert messages(found) == ""
    assert found.config.resolve.credentials.s3 == {"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "0"}


def test_limits_may_be_others_than_requests_and_none() -> None:
    found = read({"inferenceService": '{"resource": {"cpuLimit": "4", "memoryLimit": ""}}'})
    assert messages(found) == ""
    assert found.config.resolve.resources == {"cpu": "1", "memory": "2Gi"}
    assert found.config.resolve.limits == {"cpu": "4"}


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({}, "modelcar"),
        ({"enableModelcar": False}, None),
        ({"enableModelcar": False, "enableOciModelSupport": True}, "modelcar"),
        ({"enableModelcar": False, "ociModelMode": "native"}, "native"),
        ({"ociModelMode": "fetch"}, "fetch"),
    ],
)
def test_models_in_images_come_as_the_mode_says_or_else_in_a_sidecar(fields: dict[str, Any], mode: str | None) -> None:
    found = read({"storageInitializer": json.dumps(fields)})
    assert found.config.storage.oci_mode == mode


def test_only_a_token_that_is_forbidden_is_set() -> None:
    path = "security.autoMountServiceAccountToken"
    assert read(config_map(path, True)).config.mounts_token is None
    assert read(config_map(path, False)).config.mounts_token is False


def test_the_image_of_art_has_the_version_as_its_tag() -> None:
    found = read({"explainers": '{"art": {"image": "example.com/art", "defaultImageVersion": "v1"}}'}).config
    assert found.resolve.art_image == "example.com/art:v1"
    found = read({"explainers": '{"art": {"image": "example.com/art@sha256:0", "defaultImageVersion": ""}}'}).config
    assert found.resolve.art_image == "example.com/art@sha256:0"


def test_hosts_may_be_made_of_labels_and_annotations() -> None:
    template = "{{ .Name }}.{{ .Labels.team }}.{{ .Annotations.stage }}.{{ .IngressDomain }}"
    found = read(config_map("ingress.domainTemplate", template))
    assert (found.config.resolve.domain_template, found.problems) == (template, ())


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("agent.image", ""),
        ("agent.image", "an image"),
        ("agent.cpuLimit", "much"),
        ("agent.cpuLimit", "-1"),
        ("agent.cpuLimit", True),
        ("agent.cpuLimit", "9" * 400),
        ("ingress.enableGatewayApi", "true"),
        ("ingress.kserveIngressGateway", "gateway"),
        ("ingress.kserveIngressGateway", "a/b/c"),
        ("ingress.ingressDomain", ""),
        ("ingress.ingressDomain", "EXAMPLE.com"),
        ("ingress.additionalIngressDomains", ["ok.com", "-"]),
        ("ingress.additionalIngressDomains", "ok.com"),
        ("ingress.domainTemplate", "{{.Nme}}.example.com"),
        ("ingress.domainTemplate", "{{.Name"),
        ("ingress.domainTemplate", "{{.Name}} {{.Namespace}}"),
        ("ingress.pathTemplate", "serving"),
        ("ingress.pathTemplate", "/{{.IngressDomain}}"),
        ("ingress.urlScheme", "ftp"),
        ("deploy.defaultDeploymentMode", "ModelMesh"),
        ("deploy.deploymentRolloutStrategy.defaultRollout.maxSurge", "120%"),
        ("deploy.deploymentRolloutStrategy.defaultRollout.maxSurge", "-1"),
        ("metricsAggregator.enablePrometheusScraping", "maybe"),
        ("autoscaler.scaleDownStabilizationWindowSeconds", "3601"),
        ("autoscaler.scaleDownStabilizationWindowSeconds", "soon"),
        ("storageInitializer.ociModelMode", "car"),
        ("storageInitializer.uidModelcar", -1),
        ("storageInitializer.caBundleVolumeMountPath", "certs"),
        ("storageInitializer.caBundleConfigMapName", "Not A Name"),
        ("logger.storage", {"pth": "x"}),
        ("logger.storage", "x"),
        ("logger.batchSize", 0),
        ("logger.batchInterval", "soon"),
        ("logger.defaultUrl", "broker"),
        ("opentelemetryCollector.metricReceiverEndpoint", "somewhere"),
        ("inferenceService.serviceLabelDisallowedList", "label"),
        ("credentials.s3.s3UseHttps", "perhaps"),
        ("credentials.s3.s3Region", "a\nb"),
        ("credentials.storageSecretNameAnnotation", "a b"),
        ("fairlead.clusterDomain", 5),
    ],
)
def test_a_value_that_is_wrong_is_a_problem_and_the_default_counts(path: str, value: Any) -> None:
    found = read(config_map(path, value))
    assert [each.reason for each in found.problems] == ["InvalidConfiguration"]
    assert path in messages(found)
    assert f"and not {BY_PATH[path].kind.wanted}." in messages(found)
    assert found.config == OperatorConfig()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"ingres": "{}"}, "is no key that is known. Did you mean ingress?"),
        ({"ingress": '{"ingresDomain": "a.b"}'}, "ingress.ingresDomain in the ConfigMap"),
        ({"ingress": '{"ingresDomain": "a.b"}'}, "Did you mean ingressDomain?"),
        ({"explainers": '{"art": {"imagee": "a"}}'}, "Did you mean image?"),
        ({"explainers": '{"art": "image"}'}, 'of the cluster is "image", and not an object.'),
        ({"agent": "image: a"}, "is no JSON: Expecting value in line 1, column 1. None of it counts."),
        ({"agent": "[]"}, "is [], and not a JSON object"),
        ({"agent": '{"image": "a", "image": "b"}'}, "has the field image twice"),
        ({"agent": '{"cpuLimit": NaN}'}, "has NaN, which is no number of JSON"),
        ({"agent": "[" * 100_000}, "nests too deep"),
        ({"agent": '{"cpuLimit": ' + "9" * 10_000 + "}"}, "has a number that is too long"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_problem_that_says_where_and_what(data: dict[str, str], told: str) -> None:
    found = read(data)
    assert told in messages(found)
    assert found.config == OperatorConfig()


def test_one_mistake_leaves_the_rest_as_it_is() -> None:
    found = read(
        {"agent": '{"image": "", "cpuLimit": "2"}', "logger": "{", "service": '{"serviceClusterIPNone": true}'}
    )
    assert len(found.problems) == 2
    assert found.config.agent.resources.cpu_limit == "2"
    assert found.config.headless


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"agent": '{"cpuRequest": "3"}'}, "agent.cpuRequest is 3, which is more than agent.cpuLimit, 1."),
        (
            config_map("deploy.deploymentRolloutStrategy.defaultRollout", {"maxSurge": "0", "maxUnavailable": "0%"}),
            "are both 0, so that no pod could ever be replaced.",
        ),
        ({"ingress": '{"enableGatewayApi": true, "kserveIngressGateway": ""}'}, "names no Gateway."),
    ],
)
def test_fields_that_contradict_each_other_get_their_defaults(data: dict[str, str], told: str) -> None:
    found = read(data)
    assert told in messages(found)
    if "ingress" in data:
        assert found.config.ingress.gateway == "kserve/kserve-ingress-gateway"
    else:
        assert found.config == OperatorConfig()


# -- whatever is there ----------------------------------------------------------------------------------

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=12),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=6), below, max_size=3),
    max_leaves=6,
)
_documents = st.text() | st.sampled_from(FIELDS).flatmap(
    lambda field: _values.map(lambda value: config_map(field.path, value)[field.key])
)
_data = st.none() | st.dictionaries(st.text(max_size=8) | st.sampled_from(KEYS), _documents, max_size=4)
_annotations = st.dictionaries(
    st.text(max_size=8) | st.sampled_from(FIELDS).map(lambda field: f"{PREFIX}{field.path}") | st.just(PREFIX),
    st.text() | _values.map(json.dumps),
    max_size=4,
)


@settings(deadline=None)
@given(_data, _data, _annotations)
def test_nothing_that_a_cluster_can_hold_makes_it_raise(
    cluster: dict[str, str] | None, namespace: dict[str, str] | None, annotations: dict[str, str]
) -> None:
    found = reading.read(cluster, namespace, annotations)
    assert isinstance(found.config, OperatorConfig)
    for text in [*(each.message for each in found.problems), *found.notes]:
        text.encode()
        assert "\n" not in text


@settings(deadline=None)
@given(st.sampled_from([each for each in FIELDS if each.effect]), _values.filter(lambda value: value is not None))
def test_a_value_of_any_field_counts_or_is_a_problem(field: Field, value: Any) -> None:
    found = reading.decided(config_map(field.path, value), None, {})
    if found.problems:
        assert found.values[field.path] == field.unsaid()
    else:
        assert found.values[field.path] == field.kind.read(value)
        assert found.levels[field.path] == "cluster"
