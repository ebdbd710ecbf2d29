"""The conformance kit of autoscaler strategies.

A strategy's test file is a subclass that says which plugin is meant::

    class TestContract(AutoscalerContract):
        @pytest.fixture
        def autoscaler(self) -> str:
            return "kpa"

Everything goes through `Plugins.discover`, the door that users come through. The rules for all strategies are tried on
loads that hypothesis invents, in a component whose replicas are ready at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias, cast

import hypothesis
import pytest
from hypothesis import strategies

from fairlead.contracts.autoscaler import Autoscaler, AutoscalerMode, AutoscalerSpec, Manifest, ScalingSpec
from fairlead.plugins import Kind, Plugins
from fairlead.testing.component import Component

__all__ = ["AutoscalerContract", "Start"]

_SETTLED: Final = 700.0
_WATCHED: Final = 300.0
_LOADED_MODULES: Final = (
    "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps([*sys.modules]))"
)
_CLOCKS: Final = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
_SOCKETS: Final = ("socket", "create_connection", "getaddrinfo")
_DICE: Final = ("random", "uniform", "randint", "randrange", "choice", "shuffle", "gauss", "expovariate", "getrandbits")
_TARGET: Final[Manifest] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "iris", "namespace": "default", "annotations": {}},
}


Start: TypeAlias = "Callable[..., Component]"
"""Makes a component of the strategy: ``start(scaling=..., replicas=...)``, both optional."""


class AutoscalerContract:
    """What every strategy keeps to; subclass it and override `autoscaler`."""

    # -- what the author gives --------------------------------------------------------------------------

    @pytest.fixture
    def autoscaler(self) -> str:
        """The plugin's name."""
        raise NotImplementedError("override the fixture `autoscaler`")

    @pytest.fixture
    def scaling(self) -> ScalingSpec:
        """What a user might ask for; the bounds must leave a choice."""
        return ScalingSpec(min_replicas=1, max_replicas=10)

    @pytest.fixture
    def delegated(self, scaling: ScalingSpec) -> ScalingSpec:
        """What a user might ask for where the strategy delegates; an upper bound is among it."""
        return scaling

    @pytest.fixture
    def bounds(self) -> tuple[tuple[str, str], ...]:
        """The fields of a cluster object's ``spec`` that hold the least and the most replicas: any of these pairs."""
        return (("minReplicas", "maxReplicas"), ("minReplicaCount", "maxReplicaCount"))

    @pytest.fixture
    def largest_load(self) -> float:
        """A load that needs more than the least replicas, in the unit of the metrics."""
        return 2000.0

    @pytest.fixture
    def examples(self) -> int:
        """How many loads are tried for each rule."""
        return 20

    # -- what the tests use -----------------------------------------------------------------------------

    @pytest.fixture
    def plugins(self) -> Plugins:
        """The plugins of this environment."""
        return Plugins.discover()

    @pytest.fixture
    def spec(self, plugins: Plugins, autoscaler: str) -> AutoscalerSpec:
        """The strategy's spec."""
        (spec,) = plugins.specs(Kind.AUTOSCALER, autoscaler)
        return cast("AutoscalerSpec", spec)

    @pytest.fixture
    def make(self, plugins: Plugins, spec: AutoscalerSpec) -> Callable[[], Autoscaler]:
        """Makes the strategy."""
        return plugins.factory(Kind.AUTOSCALER, spec)

    @pytest.fixture
    def start(self, make: Callable[[], Autoscaler], spec: AutoscalerSpec, scaling: ScalingSpec) -> Start:
        """Makes a component that the strategy decides about."""
        if AutoscalerMode.DECIDES not in spec.modes:
            pytest.skip("the strategy delegates only")

        def start(scaling: ScalingSpec = scaling, replicas: int = max(1, scaling.min_replicas)) -> Component:
            return Component(make, spec, scaling, replicas)

        return start

    @pytest.fixture
    def loads(self, largest_load: float) -> strategies.SearchStrategy[float]:
        """Loads, from none to the largest."""
        return strategies.floats(0.0, largest_load) | strategies.just(0.0)

    @pytest.fixture
    def try_all(self, examples: int) -> Callable[..., None]:
        """Runs a check for values that are drawn from the strategies given, always the same ones."""
        profile = hypothesis.settings(
            max_examples=examples, deadline=None, database=None, derandomize=True, print_blob=False
        )

        def try_all(check: Callable[..., None], **drawn: strategies.SearchStrategy[Any]) -> None:
            profile(hypothesis.given(**drawn)(check))()

        return try_all

    # -- the spec ---------------------------------------------------------------------------------------

    def test_the_spec_is_named_as_the_entry_point_and_names_a_strategy(
        self, make: Callable[[], Autoscaler], spec: AutoscalerSpec, autoscaler: str
    ) -> None:
        """The factory is imported here, and is an `Autoscaler`."""
        assert spec.name == autoscaler
        assert isinstance(make(), Autoscaler)

    def test_the_spec_says_how_the_strategy_acts_and_on_what(self, spec: AutoscalerSpec) -> None:
        """A strategy that decides needs something to decide by, and a moment to do it."""
        assert spec.modes
        assert 0 < spec.interval < math.inf
        assert spec.metrics or AutoscalerMode.DECIDES not in spec.modes

    def test_describing_the_strategy_imports_no_library(self, plugins: Plugins, autoscaler: str) -> None:
        """Every process that looks for strategies imports the plugin's module."""
        module = plugins.info(Kind.AUTOSCALER, autoscaler).module
        command = [sys.executable, "-c", _LOADED_MODULES, module]
        loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert {"numpy", "grpc", "kubernetes", "fastapi"}.isdisjoint(loaded)

    # -- deciding ---------------------------------------------------------------------------------------

    def test_the_same_question_has_the_same_answer(
        self, start: Start, loads: strategies.SearchStrategy[float], try_all: Callable[..., None]
    ) -> None:
        """What is remembered is in the memory alone, and is never changed: a run can be replayed from anywhere."""

        def check(found: list[float]) -> None:
            component = start()
            for load in found:
                component.run(load, 20.0)
            assert component.replay() == component.decisions

        try_all(check, found=strategies.lists(loads, min_size=1, max_size=6))

    def test_a_memory_of_another_strategy_counts_as_none(self, start: Start) -> None:
        """A component may change its strategy while it runs."""
        one, other = start(), start()
        other.memory = object()
        assert one.run(1.0, 10.0) == other.run(1.0, 10.0)
        assert one.decisions == other.decisions

    def test_no_clock_is_asked_no_network_and_no_dice(
        self, start: Start, largest_load: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Time and measurements are arguments, so that a simulator can run the strategy."""
        component = start()
        for load in (0.0, largest_load, None, 1.0):
            with _forbidden(monkeypatch):
                component.run(load, 60.0)
        assert component.decisions

    def test_the_bounds_hold(
        self,
        start: Start,
        scaling: ScalingSpec,
        loads: strategies.SearchStrategy[float],
        try_all: Callable[..., None],
    ) -> None:
        """Never fewer than the least, never more than the most, whatever the load."""

        def check(low: int, room: int, found: list[float]) -> None:
            component = start(scaling=dataclasses.replace(scaling, min_replicas=low, max_replicas=low + room))
            for load in found:
                component.run(load, 60.0)
            decided = [decision.replicas for decision in component.decisions if decision.replicas is not None]
            assert all(low <= replicas <= low + room for replicas in decided), decided

        least = strategies.integers(max(1, scaling.min_replicas), 5)
        try_all(check, low=least, room=strategies.integers(0, 9), found=strategies.lists(loads, max_size=6))

    def test_every_decision_gives_its_reason_in_a_sentence(self, start: Start, largest_load: float) -> None:
        """It stands in the component's status."""
        component = start()
        for load in (None, 0.0, largest_load, None):
            component.run(load, 120.0)
        component.run(1.0, 20.0, counted=False)
        for decision in component.decisions:
            assert decision.reason == decision.reason.strip()
            assert decision.reason.endswith("."), decision.reason
            assert "\n" not in decision.reason
            assert " " in decision.reason
            assert all(map(math.isfinite, decision.figures.values())), decision.figures

    def test_without_any_measurement_nothing_changes(self, start: Start, scaling: ScalingSpec) -> None:
        """Silence is no reason to take replicas away, and none to add some."""
        replicas = max(1, scaling.min_replicas) + 1
        assert {*start(replicas=replicas).run(None, _SETTLED)} == {replicas}

    def test_replicas_that_cannot_be_counted_are_not_taken_away(self, start: Start, largest_load: float) -> None:
        """A count that fails says nothing of the load."""
        component = start()
        settled = component.run(largest_load, _SETTLED)[-1]
        assert min(component.run(largest_load, 60.0, counted=False)) >= settled

    def test_the_largest_load_needs_more_replicas_than_none(self, start: Start, largest_load: float) -> None:
        """A strategy that never changes anything is none."""
        assert start().run(largest_load, _SETTLED)[-1] > start().run(0.0, _SETTLED)[-1]

    def test_twice_the_load_never_needs_fewer_replicas(
        self, start: Start, loads: strategies.SearchStrategy[float], try_all: Callable[..., None]
    ) -> None:
        """Two components that begin alike differ in their load alone."""

        def check(load: float) -> None:
            assert start().run(load, _SETTLED)[-1] <= start().run(2 * load, _SETTLED)[-1]

        try_all(check, load=loads)

    def test_under_a_constant_load_the_number_settles(
        self, start: Start, loads: strategies.SearchStrategy[float], try_all: Callable[..., None]
    ) -> None:
        """After a while there is one more change at most."""

        def check(load: float) -> None:
            component = start()
            component.run(load, _SETTLED)
            assert _changes([component.replicas, *component.run(load, _WATCHED)]) <= 1

        try_all(check, load=loads)

    def test_a_restart_changes_nothing_under_a_constant_load(
        self, start: Start, loads: strategies.SearchStrategy[float], try_all: Callable[..., None]
    ) -> None:
        """What was forgotten is no reason to take replicas away."""

        def check(load: float) -> None:
            component = start()
            settled = component.run(load, _SETTLED + _WATCHED)[-1]
            component.restart()
            assert {*component.run(load, _WATCHED)} == {settled}

        try_all(check, load=loads)

    # -- delegating -------------------------------------------------------------------------------------

    @pytest.fixture
    def delegate(
        self, make: Callable[[], Autoscaler], spec: AutoscalerSpec, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[ScalingSpec], list[Manifest]]:
        """Asks the strategy for the objects that scale the Deployment ``iris``; no clock, no network and no dice."""
        if AutoscalerMode.DELEGATES not in spec.modes:
            pytest.skip("the strategy decides only")

        def delegate(scaling: ScalingSpec) -> list[Manifest]:
            with _forbidden(monkeypatch):
                return [*make().manifests(scaling, _TARGET)]

        return delegate

    def test_manifests_are_made_by_a_strategy_that_delegates_and_by_no_other(
        self, make: Callable[[], Autoscaler], spec: AutoscalerSpec, delegated: ScalingSpec
    ) -> None:
        """The spec says what the class does."""
        if AutoscalerMode.DELEGATES not in spec.modes:
            with pytest.raises(NotImplementedError):
                make().manifests(delegated, _TARGET)
            return
        assert make().manifests(delegated, _TARGET)

    def test_each_manifest_is_an_object_of_kubernetes_and_the_same_question_has_the_same_answer(
        self, delegate: Callable[[ScalingSpec], list[Manifest]], delegated: ScalingSpec
    ) -> None:
        """Plain data with a version, a kind and a name of its own."""
        manifests = delegate(delegated)
        assert manifests == delegate(delegated)
        assert manifests == json.loads(json.dumps(manifests)), "a manifest is plain data"
        for manifest in manifests:
            assert {"apiVersion", "kind", "metadata"} <= manifest.keys()
            assert manifest["metadata"]["name"]
        named = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in manifests]
        assert len(named) == len(set(named))

    def test_each_manifest_is_of_a_kind_that_the_spec_declares(
        self, delegate: Callable[[ScalingSpec], list[Manifest]], delegated: ScalingSpec, spec: AutoscalerSpec
    ) -> None:
        """The operator watches these kinds alone, and deletes what is not wanted any more."""
        declared = {(each.api_version, each.kind) for each in spec.kinds}
        assert {(each["apiVersion"], each["kind"]) for each in delegate(delegated)} <= declared

    def test_one_manifest_scales_the_target_and_is_named_as_it_is(
        self, delegate: Callable[[ScalingSpec], list[Manifest]], delegated: ScalingSpec
    ) -> None:
        """Two would fight over the number of replicas."""
        (scaler,) = _scalers(delegate(delegated))
        assert scaler["metadata"]["name"] == "iris"
        asked = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris"}
        assert {**asked, **scaler["spec"]["scaleTargetRef"]} == asked

    def test_the_bounds_are_handed_on(
        self,
        delegate: Callable[[ScalingSpec], list[Manifest]],
        delegated: ScalingSpec,
        bounds: tuple[tuple[str, str], ...],
    ) -> None:
        """The object has the least and the most replicas that were asked for."""
        low = max(1, delegated.min_replicas)
        for least, most in ((low, low), (low, low + 1), (low + 3, low + 20)):
            scaling = dataclasses.replace(delegated, min_replicas=least, max_replicas=most)
            (scaler,) = _scalers(delegate(scaling))
            assert (least, most) in {(scaler["spec"].get(one), scaler["spec"].get(other)) for one, other in bounds}


def _scalers(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Those that scale something."""
    return [each for each in manifests if "scaleTargetRef" in (each.get("spec") or {})]


def _changes(numbers: Sequence[int]) -> int:
    return sum(one != other for one, other in itertools.pairwise(numbers))


@contextlib.contextmanager
def _forbidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock, the network and the dice fail whoever asks them."""

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the strategy asked for something that is not among its arguments")

    with monkeypatch.context() as patch:
        for module, names in (
            (time, _CLOCKS),
            (random, _DICE),
            (socket, _SOCKETS),
        ):
            for name in names:
                patch.setattr(module, name, asked)
        yield
