"""Namespaces and services lay their own configuration over the cluster's, as far as it lets them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

import pytest

from fairlead_operator.configuration import explaining, reading
from fairlead_operator.configuration.fields import FIELDS, Field
from fairlead_operator.configuration.levels import PREFIX
from fairlead_operator.configuration.model import OperatorConfig
from fairlead_operator_tests.configuration.test_reading import config_map, messages, other

LAYERED: Final = [each for each in FIELDS if each.effect and not each.cluster_only]


def annotation(field: Field, value: Any) -> dict[str, str]:
    """The annotation that says one field."""
    return {f"{PREFIX}{field.path}": value if isinstance(value, str) else json.dumps(value)}


def service(annotations: dict[str, str], data: dict[str, str] | None = None) -> reading.Configured:
    """What annotations come to, without that they stay on the InferenceService."""
    found = reading.read(data, data, annotations)
    resolve = found.config.resolve
    assert resolve.disallowed_annotations >= set(annotations)
    rest = dataclasses.replace(resolve, disallowed_annotations=resolve.disallowed_annotations - set(annotations))
    return dataclasses.replace(found, config=dataclasses.replace(found.config, resolve=rest))


# -- who says what --------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", LAYERED, ids=lambda each: each.path)
def test_every_field_can_be_said_by_cluster_namespace_and_service(field: Field) -> None:
    said, usual = config_map(field.path, other(field)), config_map(field.path, field.default)
    expected = reading.read(said, None, {})
    assert messages(expected) == ""
    assert reading.read(usual, said, {}) == expected
    assert service(annotation(field, other(field)), usual) == expected
    assert reading.read(said, said if field.default is None else usual, {}).config == (
        expected.config if field.default is None else OperatorConfig()
    )


def test_a_namespace_lays_single_fields_over_those_of_the_cluster() -> None:
    found = reading.read(
        {"agent": '{"image": "cluster", "cpuLimit": "2"}', "ingress": '{"urlScheme": "https"}'},
        {"agent": '{"cpuLimit": "3"}'},
        {},
    ).config
    assert (found.agent.image, found.agent.resources.cpu_limit) == ("cluster", "3")
    assert found.resolve.url_scheme == "https"


@pytest.mark.parametrize("field", LAYERED, ids=lambda each: each.path)
def test_kubernetes_takes_the_annotation_of_every_field(field: Field) -> None:
    assert len(field.path) <= 63


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("agent.cpuLimit", "2"),
        ("AGENT.CPULIMIT", "2"),
        ("ingress.enableGatewayApi", "true"),
        ("metricsAggregator.enablePrometheusScraping", "true"),
        ("logger.batchSize", "2"),
        ("inferenceService.serviceLabelDisallowedList", '["a"]'),
        ("logger.storage", '{"path": "p"}'),
    ],
)
def test_an_annotation_has_texts_as_they_are_and_everything_else_as_json(name: str, text: str) -> None:
    found = service({f"{PREFIX}{name}": text})
    assert messages(found) == ""
    assert found.config != OperatorConfig()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("agent.cpuLimt", "2", "names no field that is known. Did you mean cpuLimit?"),
        ("agent", "{}", "names no field that is known. It has agent.image, agent.cpuRequest"),
        ("", "2", "names no field that is known."),
        ("ingress.enableGatewayApi", "True", "is no JSON: Expecting value in line 1, column 1; it has to be true or"),
        ("ingress.enableGatewayApi", '"true"', 'is "true", and not true or false.'),
        ("ingress.urlScheme", "ftp", "config.fairlead.io/ingress.urlScheme is"),
    ],
)
def test_an_annotation_that_is_wrong_is_a_problem(name: str, text: str, told: str) -> None:
    found = service({f"{PREFIX}{name}": text})
    assert told in messages(found)
    assert found.config == OperatorConfig()


def test_the_annotations_stay_on_the_service_so_that_changing_one_replaces_no_pod() -> None:
    said = {f"{PREFIX}ingress.urlScheme": "https", f"{PREFIX}no.such": "1", "other": "2"}
    disallowed = reading.read(None, None, said).config.resolve.disallowed_annotations
    assert disallowed - OperatorConfig().resolve.disallowed_annotations == set(said) - {"other"}


def test_other_annotations_are_left_aside() -> None:
    assert reading.read(None, None, {"agent.image": "x", "serving.kserve.io/agent.image": "y"}).problems == ()


def test_where_a_level_is_wrong_the_one_below_counts() -> None:
    found = reading.read(
        config_map("agent.image", "good"), config_map("agent.image", ""), {f"{PREFIX}agent.image": "a b"}
    )
    assert found.config.agent.image == "good"
    assert len(found.problems) == 2


# -- who may say what -----------------------------------------------------------------------------------


def restricted(**overrides: Any) -> dict[str, str]:
    """The cluster's ConfigMap that says what may be laid over."""
    return {"fairlead": json.dumps({"overrides": overrides})}


def test_the_cluster_says_what_a_service_may_lay_over() -> None:
    said = {f"{PREFIX}agent.image": "mine", f"{PREFIX}ingress.urlScheme": "https"}
    found = reading.read(restricted(service=["ingress.*"]), None, said)
    assert found.config.resolve.url_scheme == "https"
    assert found.config.agent == OperatorConfig().agent
    assert [(each.condition, each.reason) for each in found.problems] == [("ConfigurationReady", "OverrideRefused")]
    assert messages(found).startswith("The annotation config.fairlead.io/agent.image does not count: ")
    assert "fairlead.overrides.service in the ConfigMap of the cluster does not allow it" in messages(found)


def test_the_cluster_says_what_a_namespace_may_lay_over() -> None:
    data = {"agent": '{"image": "mine", "cpuLimit": "5"}'}
    found = reading.read(restricted(namespace=["*.cpuLimit"]), data, {f"{PREFIX}agent.memoryLimit": "5Gi"})
    assert [each.reason for each in found.problems] == ["OverrideRefused"]
    assert found.config.agent.image == OperatorConfig().agent.image
    assert (found.config.agent.resources.cpu_limit, found.config.agent.resources.memory_limit) == ("5", "5Gi")


@pytest.mark.parametrize("path", ["fairlead.overrides.service", "fairlead.overrides.namespace"])
def test_nobody_but_the_cluster_says_what_may_be_laid_over(path: str) -> None:
    everything: list[str] = ["*"]
    for found in (
        reading.read(
            restricted(service=[], namespace=["*"]), config_map(path, everything), {f"{PREFIX}agent.image": "a"}
        ),
        reading.read(restricted(service=[]), None, {f"{PREFIX}{path}": '["*"]', f"{PREFIX}agent.image": "a"}),
    ):
        assert {each.reason for each in found.problems} == {"OverrideRefused"}
        assert "only the cluster's ConfigMap may say it" in messages(found)
        assert found.config.agent == OperatorConfig().agent


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"overrides": 5}',
        '{"overrides": {"service": "*"}}',
        '{"overrides": {"services": []}}',
        '{"overide": {}}',
    ],
)
def test_where_the_restrictions_cannot_be_read_nothing_may_be_laid_over(text: str) -> None:
    found = reading.read({"fairlead": text}, config_map("agent.image", "a"), {f"{PREFIX}agent.image": "b"})
    assert found.config.agent == OperatorConfig().agent
    assert [each.reason for each in found.problems].count("OverrideRefused") == 2


# -- what is printed ------------------------------------------------------------------------------------


def test_each_field_is_explained_with_the_level_that_decided() -> None:
    found = explaining.explained(
        {"agent": '{"image": "cluster", "cpuLimit": "2", "memoryLimit": "2Gi"}'},
        {"agent": '{"cpuLimit": "3"}', "multiNode": '{"customGPUResourceTypeList": ["a.b/c"]}'},
        {f"{PREFIX}agent.memoryLimit": "4Gi"},
    )
    assert [each.path for each in found] == [each.path for each in FIELDS if each.effect]
    told = {each.path: (each.value, each.level) for each in found}
    assert told["agent.image"] == ('"cluster"', "cluster")
    assert told["agent.cpuLimit"] == ('"3"', "namespace")
    assert told["agent.memoryLimit"] == ('"4Gi"', "service")
    assert told["agent.cpuRequest"] == ('"100m"', "default")
    assert told["multiNode.customGPUResourceTypeList"] == ('["a.b/c"]', "namespace")


def test_what_does_not_count_decides_nothing() -> None:
    found = explaining.explained(
        restricted(service=[]), config_map("agent.cpuRequest", "9"), {f"{PREFIX}agent.image": "mine"}
    )
    told = {each.path: (each.value, each.level) for each in found}
    assert told["agent.image"] == ('"kserve/agent:latest"', "default")
    assert told["agent.cpuRequest"] == ('"100m"', "default")
