"""Hosts of a service and of its components, and services that are asked from within alone."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.resolve.service import ComponentKind
from fairlead_operator.desired import hosts
from fairlead_operator_tests.desired.routes import case


def test_a_component_has_the_host_that_the_domain_template_makes_of_its_name() -> None:
    made = case(
        resolve={"domain_template": "{{ .Name }}.{{ .Labels.team }}.{{ .IngressDomain }}"},
        metadata={"labels": {"team": "blue"}},
    )
    assert hosts.hosts_of_service(made.service, made.around) == ("iris.blue.example.com",)
    predictor = hosts.hosts_of_component(made.service, ComponentKind.PREDICTOR, made.around)
    assert predictor == ("iris-predictor.blue.example.com",)


def test_the_name_of_a_predictor_is_not_in_its_host() -> None:
    made = case("predictor: {name: v7, model: {modelFormat: {name: sklearn}, storageUri: 's3://models/iris'}}")
    assert made.service.predictor.name == "iris-v7-predictor"
    found = hosts.hosts_of_component(made.service, ComponentKind.PREDICTOR, made.around)
    assert found == ("iris-predictor-models.example.com",)


def test_further_domains_are_for_the_service_once_each() -> None:
    made = case(ingress={"additional_domains": ("example.org", "example.com", "example.org")})
    found = hosts.hosts_of_service(made.service, made.around)
    assert found == ("iris-models.example.com", "iris-models.example.org")
    assert hosts.problems(made.service, made.around) == []


def test_further_domains_need_a_host_in_the_first_domain() -> None:
    made = case(
        resolve={"domain_template": "{{ .Name }}.elsewhere.net"}, ingress={"additional_domains": ("example.org",)}
    )
    assert hosts.hosts_of_service(made.service, made.around) == ("iris.elsewhere.net",)
    (problem,) = hosts.problems(made.service, made.around)
    assert (problem.condition, problem.reason) == ("ConfigurationReady", "UnusedDomains")


def test_a_further_domain_that_is_none_is_told() -> None:
    made = case(ingress={"additional_domains": ("Example_org", "example.net")})
    assert hosts.hosts_of_service(made.service, made.around) == ("iris-models.example.com", "iris-models.example.net")
    (problem,) = hosts.problems(made.service, made.around)
    assert problem.reason == "InvalidDomains"
    assert problem.message.startswith("additionalIngressDomains is not followed: Example_org")


def test_a_component_whose_host_would_be_too_long_has_none_and_its_service_has() -> None:
    made = case(metadata={"name": "i" * 27, "namespace": "n" * 27})
    assert hosts.hosts_of_service(made.service, made.around) == (f"{'i' * 27}-{'n' * 27}.example.com",)
    assert hosts.hosts_of_component(made.service, ComponentKind.PREDICTOR, made.around) == ()
    (problem,) = hosts.problems(made.service, made.around)
    assert (problem.condition, problem.reason) == ("ComponentHostsReady", "InvalidHost")
    assert "Choose a shorter name" in problem.message


@pytest.mark.parametrize(
    ("around", "local"),
    [
        ({}, False),
        ({"metadata": {"labels": {"networking.kserve.io/visibility": "cluster-local"}}}, True),
        ({"metadata": {"labels": {"networking.kserve.io/visibility": "other"}}}, False),
        ({"resolve": {"ingress_domain": "svc.cluster.local"}}, True),
        ({"resolve": {"ingress_domain": "svc.corp"}, "ingress": {"cluster_domain": "corp"}}, True),
    ],
)
def test_a_service_is_local_by_its_label_or_by_the_domain(around: dict[str, Any], local: bool) -> None:
    made = case(**around)
    assert hosts.is_local(made.service, made.around) is local
