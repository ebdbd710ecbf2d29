"""All there is to say of one InferenceService, in the form of ``kubectl describe``; what is wrong comes last."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.cli import ages, plaintext

if TYPE_CHECKING:
    from fairlead.cli.viewing import View

__all__ = ["description"]

_EVENTS_SHOWN: Final = 25
_HIDDEN: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
_SUMMARIES: Final = frozenset({"LatestDeploymentReady", "Ready", "RoutesReady"})
"""Conditions that repeat what another says."""
_LONGEST: Final = 100
_NONE: Final = "<none>"

_Plain = Mapping[str, Any]


def description(view: View, now: float | None = None) -> str:
    """Describe a service.

    Args:
        view: the service as `fairlead.local.views.view` gives it.
        now: seconds of Unix time, to say how long ago things were; None to say when they were.

    Returns:
        Lines of text without anything that a terminal would take for a command.
    """
    status: _Plain = view["manifest"].get("status") or {}
    sections = (
        _head(view["manifest"], status, now),
        _conditions(status.get("conditions") or (), now),
        _model(status.get("modelStatus") or {}, now),
        _components(status.get("components") or {}, view.get("scaling") or {}),
        _canaries(status.get("canaryStatuses") or (), view.get("canaries") or {}),
        _replicas(view.get("replicas") or (), now),
        _events(view.get("events") or (), now),
        _failures(view.get("replicas") or (), status.get("conditions") or ()),
    )
    return "".join(f"{line}\n" for section in sections for line in section)


def _head(manifest: _Plain, status: _Plain, now: float | None) -> list[str]:
    metadata: _Plain = manifest["metadata"]
    cluster, own = status.get("clusterServingRuntimeName"), status.get("servingRuntimeName")
    runtime = f"{cluster} (ClusterServingRuntime)" if cluster else f"{own} (ServingRuntime)" if own else _NONE
    rows = [
        ("Name:", metadata["name"]),
        ("Namespace:", metadata.get("namespace") or "default"),
        *_pairs("Labels:", metadata.get("labels")),
        *_pairs("Annotations:", metadata.get("annotations")),
        ("Mode:", status.get("deploymentMode") or ages.UNKNOWN),
        ("Runtime:", runtime),
        ("URL:", status.get("url") or _NONE),
        ("Address:", (status.get("address") or {}).get("url") or _NONE),
        ("Generation:", str(status.get("observedGeneration", ages.UNKNOWN))),
    ]
    if made := metadata.get("creationTimestamp"):
        rows.append(("Created:", _when(made, now)))
    return plaintext.columns(rows, 0)


def _pairs(title: str, values: _Plain | None) -> list[tuple[str, str]]:
    shown = [f"{key}={value}" for key, value in sorted((values or {}).items()) if key not in _HIDDEN]
    short = [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in shown] or [_NONE]
    return [(title if not index else "", text) for index, text in enumerate(short)]


def _conditions(conditions: Sequence[_Plain], now: float | None) -> list[str]:
    rows = [
        (
            each["type"],
            each["status"],
            _when(each.get("lastTransitionTime"), now),
            each.get("reason") or "",
            each.get("message") or "",
        )
        for each in conditions
    ]
    return _section("Conditions", ("TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"), rows)


def _model(model: _Plain, now: float | None) -> list[str]:
    if not model:
        return []
    states, copies = model.get("states") or {}, model.get("copies") or {}
    rows = [
        ("Transition:", model.get("transitionStatus") or ages.UNKNOWN),
        ("What answers:", states.get("activeModelState") or ages.UNKNOWN),
        ("What is to answer:", states.get("targetModelState") or ages.UNKNOWN),
        ("Copies:", f"{copies.get('totalCopies', 0)} ready, {copies.get('failedCopies', 0)} failed"),
    ]
    if info := model.get("lastFailureInfo"):
        place = [info[field] for field in ("modelRevisionName", "location") if info.get(field)]
        code = [f"exit code {info['exitCode']}"] if info.get("exitCode") is not None else []
        rows.append(
            ("Last failure:", ", ".join([str(info.get("reason")), *place, *code, _when(info.get("time"), now)]))
        )
        rows.append(("", info.get("message") or ""))
    return ["Model:", *plaintext.columns(rows, 2)]


def _components(components: Mapping[str, _Plain], scaling: Mapping[str, _Plain]) -> list[str]:
    lines = ["Components:"] if components else []
    for name, each in components.items():
        rows = [
            ("REST:", each.get("restUrl") or each.get("url") or _NONE),
            ("gRPC:", each.get("grpcUrl") or _NONE),
            ("Latest created:", each.get("latestCreatedRevision") or _NONE),
            ("Latest ready:", each.get("latestReadyRevision") or _NONE),
            ("Rolled out:", each.get("latestRolledoutRevision") or _NONE),
            ("Rolled out before:", each.get("previousRolledoutRevision") or _NONE),
            *_titled("Traffic:", [_share(share) for share in each.get("traffic") or ()]),
            *_titled("Scaling:", [_scale(key, told) for key, told in scaling.items() if _about(key, told) == name]),
        ]
        lines += [f"  {name}:", *plaintext.columns(rows, 4)]
    return lines


def _titled(title: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    return [(title if not index else "", text) for index, text in enumerate(texts or [_NONE])]


def _share(share: _Plain) -> str:
    names = [share["tag"]] if share.get("tag") else []
    names += ["latest"] if share.get("latestRevision") and "latest" not in names else []
    return f"{share.get('percent', 0)} % {share.get('revisionName', '')} {f'({names[0]})' if names else ''}".rstrip()


def _about(key: str, scale: _Plain) -> str:
    return str(scale.get("component", key))


def _scale(key: str, scale: _Plain) -> str:
    of = f"{key}: " if key != _about(key, scale) else ""
    why = f": {scale['reason']}" if scale.get("reason") else ""
    desired = scale.get("desired", 0)
    wanted = "1 replica" if desired == 1 else f"{desired} replicas"
    return f"{of}{scale.get('strategy') or 'none'}, {wanted} wanted{why}"


def _canaries(canaries: Sequence[_Plain], shares: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            str(each.get("name")),
            str(each.get("ready", False)),
            f"{each.get('trafficPercent', 0)} %",
            f"{shares[each['name']]} %" if each.get("name") in shares else ages.UNKNOWN,
            (each.get("modelStatus") or {}).get("transitionStatus") or ages.UNKNOWN,
        )
        for each in canaries
    ]
    return _section("Canaries", ("NAME", "READY", "ASKED", "GETS", "MODEL"), rows) if rows else []


def _replicas(replicas: Sequence[_Plain], now: float | None) -> list[str]:
    rows = [
        (
            each["name"],
            str(each.get("stage")),
            str(each.get("restarts", 0)),
            _when(each.get("started_at"), now),
            *("-" if each.get(field) is None else str(each[field]) for field in ("http", "grpc", "pid")),
            each.get("reason") or "",
        )
        for each in replicas
    ]
    return _section("Replicas", ("NAME", "STAGE", "RESTARTS", "AGE", "HTTP", "GRPC", "PID", "REASON"), rows)


def _events(events: Sequence[_Plain], now: float | None) -> list[str]:
    latest = sorted(events, key=lambda each: ages.moment(each.get("at")) or 0.0)[-_EVENTS_SHOWN:]
    rows = [
        (
            each["type"],
            each["reason"],
            _when(each.get("at"), now) + (f" (x{each['count']})" if each.get("count", 1) > 1 else ""),
            each["message"],
        )
        for each in latest
    ]
    return _section("Events", ("TYPE", "REASON", "AGE", "MESSAGE"), rows)


def _failures(replicas: Sequence[_Plain], conditions: Sequence[_Plain]) -> list[str]:
    """Every reason in full, with its last lines of log and what to do; each once, however many tell it."""
    told: dict[str, tuple[str, str]] = {}
    for each in replicas:
        if each.get("stage") != "ready" and each.get("reason") and each.get("message"):
            told.setdefault(each["message"], (f"{each['name']}: {each['reason']}", each.get("log") or ""))
    for each in sorted(conditions, key=lambda condition: condition.get("type") in _SUMMARIES):
        message = each.get("message") or ""
        wrong = each.get("status") == "False" or each.get("reason") == "LatestRevisionFailed"
        if wrong and message and not any(known in message for known in told):
            told[message] = (f"{each['type']}: {each.get('reason') or ''}", "")
    lines = ["Failures:"] if told else []
    for message, (title, log) in told.items():
        lines += [f"  {plaintext.line(title)}", *plaintext.indented(message, 4)]
        lines += [f"    The whole log: {plaintext.line(str(log))}"] if log else []
    return lines


def _section(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"{title}:", *plaintext.columns([header, *rows], 2)] if rows else [f"{title}: {_NONE}"]


def _when(value: object, now: float | None) -> str:
    """How long ago a moment was, or when it was."""
    if now is not None:
        return ages.since(value, now)
    at = ages.moment(value)
    if at is None:
        return ages.UNKNOWN
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
