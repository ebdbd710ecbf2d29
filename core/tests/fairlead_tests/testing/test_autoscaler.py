"""The conformance kit of autoscaler strategies finds what a strategy does wrong."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import strategies

from fairlead import Autoscaler, AutoscalerMode, AutoscalerSpec, Decision, MetricsWindow, ObjectKind, ScalingSpec
from fairlead.testing import AutoscalerContract
from fairlead.testing.component import Component

SCALING = ScalingSpec(min_replicas=1, max_replicas=10)
LARGEST = 100.0
COUNT = itertools.count()
LOADS = strategies.floats(0.0, LARGEST)

Rule = Callable[[AutoscalerContract, type[Autoscaler]], None]


class Good(Autoscaler):
    """Ten for each replica, of the latest measurement."""

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        load = self.load(window)
        if load is None:
            return Decision(replicas=None, reason="Nothing was measured.")
        least, most = spec.min_replicas, spec.max_replicas or math.inf
        return Decision(replicas=int(min(max(math.ceil(load / 10), least), most)), reason=f"The load is {load:g}.")

    def load(self, window: MetricsWindow) -> float | None:
        samples = window.samples["concurrency"]
        return samples[-1].value if samples else None


class AsksTheClock(Good):
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        return Decision(replicas=1 + int(time.time()) % 2, reason="It is late.")


class ThrowsDice(Good):
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        return Decision(replicas=random.randint(1, 10), reason="It is luck.")


class RemembersInItsObject(Good):
    calls = 0

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        self.calls += 1
        return Decision(replicas=min(10, 1 + self.calls), reason="It was asked again.")


class ChangesItsMemory(Good):
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        seen = window.memory if isinstance(window.memory, list) else []
        seen.append(now)
        return Decision(replicas=min(10, len(seen)), reason="It was asked again.", memory=seen)


class TrustsItsMemory(Good):
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        return Decision(replicas=2 if window.memory is not None else 1, reason="It remembers.", memory=())


class KnowsNoBounds(Good):
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        load = self.load(window)
        return Decision(replicas=None if load is None else math.ceil(load / 10), reason="It is so much.")


class TakesSilenceForIdleness(Good):
    def load(self, window: MetricsWindow) -> float:
        return super().load(window) or 0.0


class TakesNoCountForIdleness(Good):
    def load(self, window: MetricsWindow) -> float | None:
        return 0.0 if window.ready_replicas is None else super().load(window)


class DoesNothing(Good):
    def load(self, window: MetricsWindow) -> None:
        return None


class Shrinks(Good):
    def load(self, window: MetricsWindow) -> float | None:
        load = super().load(window)
        return None if load is None else LARGEST - load


class Flaps(Good):
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        return Decision(replicas=1 + window.ready_replicas % 2 if window.ready_replicas else None, reason="It may be.")


class StartsFromNothing(Good):
    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        if window.memory is None:
            return Decision(replicas=1, reason="It has just begun.", memory=())
        return Decision(replicas=super().decide(spec, window, now).replicas, reason="It goes on.", memory=())


class GivesNoReason(Good):
    reason: ClassVar[str] = "scaled"

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        return Decision(replicas=None, reason=self.reason)


class SaysMoreThanASentence(GivesNoReason):
    reason = "It is so.\nIt is.\n"


def starting(make: type[Autoscaler]) -> Callable[..., Component]:
    described = AutoscalerSpec(name="it", factory="a:B", modes=frozenset({AutoscalerMode.DECIDES}))
    return lambda scaling=SCALING, replicas=1: Component(make, described, scaling, replicas)


def try_all(check: Callable[..., None], **drawn: strategies.SearchStrategy[Any]) -> None:
    phases = (hypothesis.Phase.generate,)
    profile = hypothesis.settings(max_examples=20, deadline=None, database=None, derandomize=True, phases=phases)
    profile(hypothesis.given(**drawn)(check))()


def pure(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_the_same_question_has_the_same_answer(starting(make), LOADS, try_all)


def nothing_asked(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        kit.test_no_clock_is_asked_no_network_and_no_dice(starting(make), LARGEST, patch)


def memory(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_a_memory_of_another_strategy_counts_as_none(starting(make))


def bounds(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_the_bounds_hold(starting(make), SCALING, LOADS, try_all)


def reasons(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_every_decision_gives_its_reason_in_a_sentence(starting(make), LARGEST)


def silence(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_without_any_measurement_nothing_changes(starting(make), SCALING)


def uncounted(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_replicas_that_cannot_be_counted_are_not_taken_away(starting(make), LARGEST)


def effect(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_the_largest_load_needs_more_replicas_than_none(starting(make), LARGEST)


def monotone(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_twice_the_load_never_needs_fewer_replicas(starting(make), LOADS, try_all)


def settling(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_under_a_constant_load_the_number_settles(starting(make), LOADS, try_all)


def restart(kit: AutoscalerContract, make: type[Autoscaler]) -> None:
    kit.test_a_restart_changes_nothing_under_a_constant_load(starting(make), LOADS, try_all)


RULES = (pure, nothing_asked, memory, bounds, reasons, silence, uncounted, effect, monotone, settling, restart)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_strategy_keeps_the_rule(rule: Rule) -> None:
    rule(AutoscalerContract(), Good)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (AsksTheClock, nothing_asked),
        (ThrowsDice, nothing_asked),
        (ThrowsDice, pure),
        (RemembersInItsObject, pure),
        (ChangesItsMemory, pure),
        (TrustsItsMemory, memory),
        (KnowsNoBounds, bounds),
        (GivesNoReason, reasons),
        (SaysMoreThanASentence, reasons),
        (TakesSilenceForIdleness, silence),
        (TakesNoCountForIdleness, uncounted),
        (DoesNothing, effect),
        (Shrinks, monotone),
        (Flaps, settling),
        (StartsFromNothing, restart),
    ],
)
def test_what_breaks_a_rule_is_found(make: type[Autoscaler], rule: Rule) -> None:
    with pytest.raises((AssertionError, ExceptionGroup)):
        rule(AutoscalerContract(), make)


# -- strategies that delegate ---------------------------------------------------------------------------


class Delegates(Good):
    """Has an object of its own kind scale."""

    def manifests(self, spec: ScalingSpec, target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        name = target["metadata"]["name"]
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        told = {"scaleTargetRef": reference, "minReplicas": spec.min_replicas, "maxReplicas": spec.max_replicas}
        return [{"apiVersion": "a.b/v1", "kind": "Scaler", "metadata": {"name": name}, "spec": told}]


class MakesNothing(Delegates):
    def manifests(self, spec: ScalingSpec, target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return []


class Changes(Delegates):
    """Makes something of its own of what the others make."""

    def manifests(self, spec: ScalingSpec, target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return [self.changed(dict(each), spec) for each in super().manifests(spec, target)]

    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        raise NotImplementedError


class GivesNoName(Changes):
    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        return {**made, "metadata": {"name": ""}}


class IsNoPlainData(Changes):
    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        return {**made, "spec": {**made["spec"], "set": (1, 2)}}


class MakesAnotherEachTime(Changes):
    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        return {**made, "spec": {**made["spec"], "count": next(COUNT)}}


class AsksTheClockFirst(Changes):
    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        return {**made, "spec": {**made["spec"], "at": time.time()}}


class MakesItTwice(Delegates):
    def manifests(self, spec: ScalingSpec, target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return [*super().manifests(spec, target)] * 2


class ScalesAnother(Changes):
    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        return {**made, "spec": {**made["spec"], "scaleTargetRef": {"name": "another"}}}


class IsNamedOtherwise(Changes):
    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        return {**made, "metadata": {"name": "scaler"}}


class MakesAKindThatItDoesNotDeclare(Changes):
    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        return {**made, "apiVersion": "a.b/v2"}


class KeepsNoBounds(Changes):
    def changed(self, made: dict[str, Any], spec: ScalingSpec) -> dict[str, Any]:
        return {**made, "spec": {**made["spec"], "maxReplicas": 100}}


Delegate = Callable[[ScalingSpec], list[Mapping[str, Any]]]
DelegatingRule = Callable[[AutoscalerContract, Delegate], None]
FIELDS = (("minReplicas", "maxReplicas"),)


DELEGATING = AutoscalerSpec(
    name="it",
    factory="a:B",
    modes=frozenset({AutoscalerMode.DELEGATES}),
    kinds=(ObjectKind(api_version="a.b/v1", kind="Scaler", plural="scalers"),),
)


def delegating(make: type[Autoscaler]) -> Delegate:
    def delegate(scaling: ScalingSpec) -> list[Mapping[str, Any]]:
        with pytest.MonkeyPatch.context() as patch:
            fixture: Any = AutoscalerContract.delegate
            found: Delegate = fixture.__wrapped__(AutoscalerContract(), make, DELEGATING, patch)
            return found(scaling)

    return delegate


def objects(kit: AutoscalerContract, delegate: Delegate) -> None:
    kit.test_each_manifest_is_an_object_of_kubernetes_and_the_same_question_has_the_same_answer(delegate, SCALING)


def declared(kit: AutoscalerContract, delegate: Delegate) -> None:
    kit.test_each_manifest_is_of_a_kind_that_the_spec_declares(delegate, SCALING, DELEGATING)


def scaler(kit: AutoscalerContract, delegate: Delegate) -> None:
    kit.test_one_manifest_scales_the_target_and_is_named_as_it_is(delegate, SCALING)


def handed_on(kit: AutoscalerContract, delegate: Delegate) -> None:
    kit.test_the_bounds_are_handed_on(delegate, SCALING, FIELDS)


@pytest.mark.parametrize("rule", [objects, declared, scaler, handed_on], ids=lambda rule: rule.__name__)
def test_a_good_strategy_that_delegates_keeps_the_rule(rule: DelegatingRule) -> None:
    rule(AutoscalerContract(), delegating(Delegates))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (MakesNothing, scaler),
        (GivesNoName, objects),
        (IsNoPlainData, objects),
        (MakesAnotherEachTime, objects),
        (AsksTheClockFirst, objects),
        (MakesItTwice, objects),
        (MakesItTwice, scaler),
        (MakesAKindThatItDoesNotDeclare, declared),
        (ScalesAnother, scaler),
        (IsNamedOtherwise, scaler),
        (KeepsNoBounds, handed_on),
    ],
)
def test_what_a_strategy_that_delegates_does_wrong_is_found(make: type[Autoscaler], rule: DelegatingRule) -> None:
    with pytest.raises((AssertionError, ValueError)):
        rule(AutoscalerContract(), delegating(make))


@pytest.mark.parametrize(
    ("mode", "make"), [(AutoscalerMode.DELEGATES, MakesNothing), (AutoscalerMode.DECIDES, Delegates)]
)
def test_a_spec_that_says_another_mode_than_the_class_has_is_found(
    mode: AutoscalerMode, make: type[Autoscaler]
) -> None:
    described = AutoscalerSpec(name="it", factory="a:B", modes=frozenset({mode}))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        AutoscalerContract().test_manifests_are_made_by_a_strategy_that_delegates_and_by_no_other(
            make, described, SCALING
        )
