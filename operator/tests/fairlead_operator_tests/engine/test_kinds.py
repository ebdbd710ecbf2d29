"""The kinds that an operator knows: its own, and those that strategies declare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.plugins import Plugins
from fairlead_operator.catalogues import Installed
from fairlead_operator.cluster.kinds import CHILDREN, Kind, Kinds
from fairlead_tests.plugins.distributions import Site, planted

BALLOON = Kind("Balloon", "balloons.example", "v1", "balloonery")

PLUGIN = """
from fairlead import AutoscalerMode, AutoscalerSpec, ObjectKind, hookimpl

@hookimpl
def fairlead_autoscalers():
    kinds = (ObjectKind(api_version="{api_version}", kind="{kind}", plural="things"),)
    modes = frozenset([AutoscalerMode.DELEGATES])
    return [AutoscalerSpec(name={name!r}, factory="{package}.work:Work", modes=modes, kinds=kinds)]
"""
WORK = """
from fairlead import Autoscaler

class Work(Autoscaler):
    def decide(self, spec, window, now):
        raise NotImplementedError

    def manifests(self, spec, target):
        return []
"""


def test_kinds_of_strategies_are_added_once_and_what_is_known_stays_as_it_is() -> None:
    again = Kind("ScaledObject", "keda.sh", "v2", "things")
    found = Kinds([BALLOON, again, BALLOON])
    assert found.others == (BALLOON,)
    assert found.children == (*CHILDREN, BALLOON)
    assert found.is_optional(BALLOON)
    made = {"apiVersion": "balloons.example/v1", "kind": "Balloon"}
    assert found.of(made).path("models", "iris") == "/apis/balloons.example/v1/namespaces/models/balloonery/iris"


def test_an_object_is_written_in_the_version_that_it_is_in() -> None:
    made = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
    assert Kinds().of(made).path() == "/apis/autoscaling/v1/horizontalpodautoscalers"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.delenv("FAIRLEAD_PLUGINS", raising=False)
    made = planted(tmp_path, monkeypatch)
    yield made
    made.forget()


def install(site: Site, name: str, api_version: str, kind: str) -> None:
    plugin = PLUGIN.replace("{api_version}", api_version).replace("{kind}", kind)
    site.install(name, plugin=plugin, work=WORK, group="fairlead.autoscalers", distribution=f"autoscaler-{name}")


def test_a_kind_that_is_called_as_another_one_makes_its_strategy_unusable_and_no_other(site: Site) -> None:
    install(site, "balloons", "balloons.example/v1", "Balloon")
    install(site, "knative", "serving.knative.dev/v1", "Service")
    install(site, "others", "others.example/v1", "Balloon")
    found = Installed.discover(Plugins.discover())
    assert {each.name for each in found.kinds().others} == {"Balloon"}
    faults = {name: each.fault for name, each in found.strategies.items() if each.fault}
    assert faults.keys() == {"knative", "others"}
    assert "Service (serving.knative.dev)" in faults["knative"]
    assert "those of Service (v1)" in faults["knative"]
    assert "those of Balloon (balloons.example)" in faults["others"]
