"""What holds of a status whatever was observed."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from fairlead import api
from fairlead.resolve import status
from fairlead.resolve.observation import (
    ComponentObservation,
    Ingress,
    ReplicaObservation,
    ReplicaStage,
    RevisionObservation,
    ServiceObservation,
    Share,
)
from fairlead.resolve.service import ComponentKind, ResolvedService
from fairlead_tests.resolve.observing import AT, LATER, service, words

WORDS = st.sampled_from(["", "CrashLoopBackOff"])
ON_THE_WAY = {"pending", "fetching", "starting", "stopping"}
NAMES = ("c-00003", "c-00002", "c-00001")


@st.composite
def revisions(draw: st.DrawFn, name: str) -> RevisionObservation:
    replicas = st.builds(
        ReplicaObservation,
        name=st.sampled_from(["a", "b", "c"]),
        stage=st.sampled_from(ReplicaStage),
        created_at=st.sampled_from([1.0, 2.0]),
        fetch_failed=st.booleans(),
        reason=WORDS,
        message=WORDS,
        exit_code=st.none() | st.integers(-9, 2),
        restarts=st.integers(0, 2),
    )
    return RevisionObservation(
        name=name,
        desired=draw(st.integers(0, 2)),
        replicas=tuple(draw(st.lists(replicas, max_size=3))),
        ready=draw(st.booleans()),
        reason=draw(WORDS),
        message=draw(WORDS),
        answered=draw(st.booleans()),
        silent=draw(st.booleans()),
    )


@st.composite
def components(draw: st.DrawFn) -> ComponentObservation:
    kept = NAMES[: draw(st.integers(0, 3))]
    first = draw(st.integers(0, 100))
    shares: tuple[Share, ...] = ()
    routed: bool = draw(st.booleans())
    if kept and routed:
        shares = (
            Share(revision=kept[0], percent=first, latest=True),
            Share(revision=kept[-1], percent=100 - first, latest=False, tag="prev"),
        )
    return ComponentObservation(
        latest_created=kept[0] if kept else NAMES[0],
        latest_ready=draw(st.sampled_from([None, *kept])),
        revisions=tuple(draw(revisions(name)) for name in kept),
        traffic=shares,
        limited=draw(WORDS),
    )


observations = st.builds(
    ServiceObservation,
    ingress=st.builds(Ingress, ready=st.booleans(), reason=WORDS),
    components=st.dictionaries(st.sampled_from(ComponentKind), components()),
    canaries=st.dictionaries(st.sampled_from(["x", "y"]), components()),
    url=st.none() | st.just("http://iris"),
)
services = st.builds(
    service,
    st.sampled_from([ComponentKind.TRANSFORMER, ComponentKind.EXPLAINER]),
    mode=st.sampled_from(["Knative", "Standard"]),
    canaries=st.sampled_from([[], [("x", 20)], [("x", 20), ("y", 0)]]),
    stopped=st.booleans(),
)


@hypothesis.given(services, observations, observations)
def test_a_status_that_is_derived_again_from_the_same_does_not_change(
    wanted: ResolvedService, earlier: ServiceObservation, observed: ServiceObservation
) -> None:
    before = status.derive(wanted, earlier, None, AT)
    first = status.derive(wanted, observed, before, LATER)
    second = status.derive(wanted, observed, first, "2026-05-04T09:00:00Z")
    assert second == first


def would_answer(revision: RevisionObservation) -> bool:
    """Whether it may take traffic, requests get answers, and a replica is ready or one can be expected to be."""
    alive = [each for each in revision.replicas if each.stage != "stopping"]
    again = [each for each in alive if each.restarts or each.exit_code is not None or each.fetch_failed]
    wrong = [each for each in alive if each.stage in ("failed", "unready") or each in again]
    expected = any(each.stage == "ready" for each in alive) or (revision.answered and not wrong)
    return revision.ready and not revision.silent and expected


def may_wake(revision: RevisionObservation) -> bool:
    """Whether it has answered, and all its replicas may be on their way."""
    coming = {each.stage for each in revision.replicas} <= ON_THE_WAY
    return revision.answered and not revision.reason and coming


@hypothesis.given(services, observations)
def test_a_service_is_ready_only_when_everything_that_has_traffic_answers(
    wanted: ResolvedService, observed: ServiceObservation
) -> None:
    found = status.derive(wanted, observed, None, AT)
    serving = [
        (kind, share.revision)
        for kind in wanted.components
        if kind in observed.components
        for share in observed.components[kind].traffic
        if share.percent
    ]
    answering = {
        (kind, each.name) for kind, seen in observed.components.items() for each in seen.revisions if would_answer(each)
    }
    complete = {kind for kind, _ in serving} == set(wanted.components)
    expected = complete and set(serving) <= answering and observed.ingress.ready and not wanted.stopped
    assert (words(found)["Ready"][0] == "True") == expected


@hypothesis.given(services, observations, observations)
def test_a_model_is_up_to_date_only_when_its_latest_revision_has_answered_and_nothing_is_wrong_with_it(
    wanted: ResolvedService, earlier: ServiceObservation, observed: ServiceObservation
) -> None:
    before = status.derive(wanted, earlier, None, AT)
    model = status.derive(wanted, observed, before, LATER).model_status
    predictor = observed.components.get(ComponentKind.PREDICTOR)
    revisions = () if predictor is None else predictor.revisions[:1]
    sound = [each for each in revisions if not each.silent and (would_answer(each) or may_wake(each))]
    assert sound or model is None or model.transition_status != "UpToDate"


@hypothesis.given(services, observations)
def test_every_status_is_one_that_the_api_takes(wanted: ResolvedService, observed: ServiceObservation) -> None:
    found = status.derive(wanted, observed, None, AT)
    declared = wanted.declared.model_copy(update={"status": found})
    manifest = declared.manifest()
    assert None not in manifest["status"].values()
    assert api.InferenceService.parse(manifest).status == found
