"""Hosts that the domain template makes."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.api.inferenceservice import InferenceService
from fairlead.resolve import hosts
from fairlead.resolve.config import Config

_IRIS = InferenceService.parse(
    {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "iris", "labels": {"team": "blue"}},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "file:///iris"}}},
    }
)


@pytest.mark.parametrize(
    ("template", "host"),
    [
        ("{{.Name}}-{{.Namespace}}.{{.IngressDomain}}", "iris-predictor-default.example.com"),
        ("{{ .Name }}.{{ .Labels.team }}.net", "iris-predictor.blue.net"),
    ],
)
def test_a_host_is_made_of_the_name_and_of_what_the_service_says(template: str, host: str) -> None:
    assert hosts.host(_IRIS, "iris-predictor", Config(domain_template=template)) == host


@pytest.mark.parametrize("template", ["{{.Name}}_x.com", "{{.Name}}", "{{.Name}}..com"])
def test_what_is_no_domain_name_is_refused_with_a_remedy(template: str) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        hosts.host(_IRIS, "i" * 64, Config(domain_template=template))
    assert caught.value.condition == "InvalidHost"
    assert "another domain template" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "is_host"),
    [
        ("example.com", True),
        ("a", True),
        ("", False),
        ("a.", False),
        ("-a", False),
        ("A", False),
        ("a." * 126 + "b", True),
    ],
)
def test_a_domain_name_has_labels_of_lower_case_letters_digits_and_hyphens(text: str, is_host: bool) -> None:
    assert hosts.is_host(text) is is_host
