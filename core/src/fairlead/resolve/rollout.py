"""Rollouts: which revisions of a component there are, and which of them gets how much of the traffic.

The rules are those of KServe's ``canaryTrafficPercent`` on Knative, and of ``spec.canary``. Where they let traffic go
to a revision that is not ready, these do not: a share grows only when what gets it is ready, and until then the shares
stay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from fairlead import errors
from fairlead.resolve.ledger import Ledger, Revision, from_json, from_plain, to_json, to_plain
from fairlead.resolve.observation import Share

__all__ = [
    "Ledger",
    "Revision",
    "advance",
    "canary_split",
    "from_json",
    "from_plain",
    "mirrors",
    "propose",
    "retire",
    "running",
    "to_json",
    "to_plain",
    "wanted",
]


def propose(ledger: Ledger, component_name: str, digest: str, now: float) -> Ledger:
    """Ask for the revision of a spec.

    A spec that an older revision has that is still kept brings that one back: going back to an earlier spec reuses
    what is there. Otherwise there is a new revision, with a number that no other had.

    Args:
        ledger: what is known of the component.
        component_name: the name of the component's objects, such as ``iris-predictor``.
        digest: what tells the spec from others.
        now: seconds of Unix time.
    """
    known = next((each for each in ledger.revisions if each.digest == digest), None)
    number = ledger.numbered + (known is None)
    revision = known or Revision(f"{component_name}-{number:05d}", digest, now)
    others = (each for each in ledger.revisions if each != revision)
    return dataclasses.replace(ledger, revisions=(revision, *others), latest_created=revision.name, numbered=number)


def advance(
    ledger: Ledger, ready: Collection[str], canary_traffic_percent: int | None = None, tag_latest: bool = False
) -> Ledger:
    """Decide the shares, after `propose`; doing it again with the same arguments changes nothing.

    - The first revision that is ready gets all traffic, whatever the percentage is.
    - A new one gets none before it is ready. Then it gets ``canary_traffic_percent``, and the revision that last had
      all traffic (tag ``prev``) the rest; without a percentage it gets all, and is rolled out.
    - Until it is ready the shares stay; the percentage can lower that of the revision before it, but not raise it.
    - A revision that is rolled out, and whose percentage falls below 100 while its spec stays, gives the rest to the
      one that was rolled out before it: 0 brings that one back whole.
    - A revision that has a share and stops being ready keeps it: its requests wait.

    Args:
        ledger: what is known of the component.
        ready: the revisions that may take traffic now: those of which enough replicas are ready, and those at zero
            that a request wakes.
        canary_traffic_percent: percent of the traffic that the latest revision is to get; None for all.
        tag_latest: whether the share of the latest revision is tagged ``latest``
            (``serving.kserve.io/enable-tag-routing``).

    Raises:
        ConfigurationError: the percentage is not from 0 to 100.
    """
    percent = 100 if canary_traffic_percent is None else canary_traffic_percent
    if not 0 <= percent <= 100:
        raise errors.ConfigurationError(
            f"canaryTrafficPercent is {percent}, and not a percentage.", remedy="Set it to a number from 0 to 100."
        )
    latest = _latest_ready(ledger, ready)
    ledger = dataclasses.replace(
        ledger,
        latest_ready=latest,
        latest_rolled_out=ledger.previous_rolled_out if _goes_back(ledger, percent) else ledger.latest_rolled_out,
        canary_percent=percent,
    )
    if latest is None:
        return ledger
    base = ledger.latest_rolled_out
    shares = _shares(ledger, latest, frozenset(ready), percent)
    ledger = dataclasses.replace(ledger, shares=tuple(_marked(each, latest, tag_latest) for each in shares))
    has_all = shares[0].percent == 100 and shares[0].revision == latest
    if has_all and latest != base and (percent == 100 or base is None):
        return dataclasses.replace(ledger, latest_rolled_out=latest, previous_rolled_out=base)
    return ledger


def _latest_ready(ledger: Ledger, ready: Collection[str]) -> str | None:
    if ledger.latest_created in ready:
        return ledger.latest_created
    # Before anything answers, an older revision that does is better than none.
    return ledger.latest_ready or next((each.name for each in ledger.revisions if each.name in ready), None)


def _goes_back(ledger: Ledger, percent: int) -> bool:
    """Whether the revision that is rolled out is asked to give traffic back to the one before it.

    Only a percentage that falls from 100 asks for that. One that was there before means a canary whose spec was taken
    back: what is rolled out then gets all traffic again.
    """
    settled = ledger.latest_created == ledger.latest_ready == ledger.latest_rolled_out
    falls = ledger.canary_percent == 100 and percent < 100
    return settled and falls and ledger.previous_rolled_out is not None


def _shares(ledger: Ledger, latest: str, ready: frozenset[str], percent: int) -> tuple[Share, ...]:
    base = ledger.latest_rolled_out
    whole = (Share(revision=latest, percent=100, latest=True),)
    if base is None or base == latest:
        return whole
    held = {each.revision: each.percent for each in ledger.shares}
    if latest != ledger.latest_created or latest not in ready:
        percent = min(percent, held.get(latest, 0))
    if percent == 100:
        return whole
    if base not in ready and not held.get(base):
        return ledger.shares
    rest = Share(revision=base, percent=100 - percent, latest=False)
    return (Share(revision=latest, percent=percent, latest=True), rest)


def _marked(share: Share, latest: str, tag_latest: bool) -> Share:
    is_latest = share.revision == latest
    return dataclasses.replace(share, latest=is_latest, tag=("latest" if tag_latest else None) if is_latest else "prev")


def running(ledger: Ledger) -> tuple[str, ...]:
    """The revisions that have replicas: the latest, those with a share, and the one that is to get traffic back."""
    needed = {ledger.latest_created, ledger.latest_rolled_out, *(each.revision for each in ledger.shares)}
    return tuple(each.name for each in ledger.revisions if each.name in needed)


def wanted(ledger: Ledger) -> tuple[str, ...]:
    """The revisions that must be kept, in the ledger's order: those of `running`, and those one can go back to.

    The latest ready one and the one that was rolled out before need no replicas, but their specs must not be lost.
    """
    needed = {*running(ledger), ledger.latest_ready, ledger.previous_rolled_out}
    return tuple(each.name for each in ledger.revisions if each.name in needed)


def retire(ledger: Ledger, keep: Collection[str] = ()) -> Ledger:
    """Forget the revisions that are neither wanted nor in `keep`, such as those whose replicas still drain."""
    kept = {*wanted(ledger), *keep}
    return dataclasses.replace(ledger, revisions=tuple(each for each in ledger.revisions if each.name in kept))


def canary_split(stable: Sequence[Share], canaries: Sequence[tuple[str, int, bool]]) -> tuple[Share, ...]:
    """Split the traffic of a predictor between its own revisions and the canaries of ``spec.canary``.

    Args:
        stable: the shares of the predictor's own revisions, together 100; none before one was ready.
        canaries: revision, percent, and whether it is ready, for each canary. One that is not ready is left out, and
            what it would get stays with the predictor.

    Returns:
        Shares in whole percents, together 100, the predictor's first. What is left of the split of the predictor's
        own revisions is kept as well as whole numbers can (the method of the largest remainder). None while nothing of
        the predictor was ready, unless the canaries get everything: a canary never gets more than its percentage.

    Raises:
        ConfigurationError: the percentages are not from 0 to 100, or together more than 100.
    """
    total = sum(percent for _, percent, _ in canaries)
    if total > 100 or any(percent < 0 for _, percent, _ in canaries):
        raise errors.ConfigurationError(
            f"The canaries ask for {total} percent of the traffic.",
            remedy="Set trafficPercent of each to 0 or more, and to 100 or less together.",
        )
    taking = [Share(revision=name, percent=percent, latest=False) for name, percent, ready in canaries if ready]
    left = 100 - sum(each.percent for each in taking)
    if not stable:
        return () if left else tuple(taking)
    parts = [divmod(each.percent * left, 100) for each in stable]
    missing = left - sum(whole for whole, _ in parts)
    favoured = sorted(range(len(parts)), key=lambda index: (-parts[index][1], index))[:missing]
    reduced = [
        dataclasses.replace(each, percent=whole + (index in favoured))
        for index, (each, (whole, _)) in enumerate(zip(stable, parts, strict=True))
    ]
    return (*reduced, *taking)


def mirrors(shares: Sequence[Share], ready: Collection[str], mirror_percent: int) -> tuple[tuple[str, int], ...]:
    """Which revisions get copies of requests: those that are ready and in the split with 0 percent.

    Args:
        shares: the split, such as that of `canary_split`.
        ready: the revisions that may take traffic now.
        mirror_percent: percent of the requests to copy; 0 for none.

    Returns:
        Revision and percent, in the order of the split; none while no revision gets traffic.
    """
    serving = {each.revision for each in shares if each.percent}
    silent = dict.fromkeys(each.revision for each in shares if each.revision in ready)
    if not mirror_percent or not serving:
        return ()
    return tuple((name, mirror_percent) for name in silent if name not in serving)
