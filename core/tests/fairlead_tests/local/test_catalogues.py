"""The catalogue of a machine: installed plugins with why one is missing, and what manifests declare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import api
from fairlead.local import catalogues
from fairlead.plugins import Plugins
from fairlead_tests.api.manifests import CLUSTER_RUNTIME, RUNTIME, STORAGE_CONTAINER
from fairlead_tests.plugins import distributions


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[distributions.Site]:
    made = distributions.planted(tmp_path, monkeypatch)
    yield made
    made.forget()


def test_plugins_are_described_with_the_versions_of_their_distributions(site: distributions.Site) -> None:
    site.install("good")
    found = catalogues.installed(Plugins.discover())
    assert found.plugins["good"].name == "good"
    assert found.versions["good"] == "1.2.3"
    assert set(found.versions) == set(found.plugins)
    assert {"file", "http"} <= set(found.storage)
    assert {"kpa", "hpa"} <= set(found.autoscalers)


def test_a_runtime_that_cannot_be_used_is_missing_with_the_reason(site: distributions.Site) -> None:
    site.install("broken", plugin="raise RuntimeError('no such device')\n")
    found = catalogues.installed(Plugins.discover())
    assert "broken" not in found.plugins
    assert "broken" not in found.versions
    assert "no such device" in found.missing["broken"]


def test_a_runtime_that_is_not_allowed_is_missing_with_the_reason() -> None:
    found = catalogues.installed(Plugins.discover(allow="kpa"))
    assert "sklearn" not in found.plugins
    assert "FAIRLEAD_PLUGINS" in found.missing["sklearn"]
    assert set(found.autoscalers) == {"kpa"}


def test_what_manifests_declare_is_there() -> None:
    texts = (RUNTIME.replace("  namespace: flowers\n", ""), CLUSTER_RUNTIME, STORAGE_CONTAINER)
    resources = [resource for text in texts for resource in api.read(text, "text")]
    found = catalogues.installed(Plugins.discover(), resources)
    assert [(each.metadata.namespace, each.metadata.name) for each in found.runtimes] == [("default", "sklearn")]
    assert [each.metadata.name for each in found.cluster_runtimes] == ["huggingface-multinode"]
    assert [each.metadata.name for each in found.storage_containers] == ["default"]
