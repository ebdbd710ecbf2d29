"""A runtime's containers and pod with those of an InferenceService laid over them.

Lists and objects merge as in Kubernetes' strategic merge patch, with the merge keys of ``core/v1``. Three rules are
KServe's own: ``args`` are concatenated, an environment variable has either a value or a source, and a text or a list
that is empty says nothing. One is ours: of what excludes each other (the ways to probe, the kinds of a volume), what
the InferenceService says stands alone, because Kubernetes refuses an object with both.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

__all__ = ["container", "pod"]

Plain = Mapping[str, Any]

_CONTAINER_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
}
_POD_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumes": ("name",),
}
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_HANDLERS: Final = ("exec", "grpc", "httpGet", "tcpSocket", "sleep")
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_DEFAULTS: Final = {"protocol": "TCP"}


def container(base: Plain, over: Plain) -> dict[str, Any]:
    """A container of a runtime, with what an InferenceService says laid over it.

    Args:
        base: the runtime's container.
        over: what the InferenceService says.

    Returns:
        A new container; it shares nothing with the two.
    """
    said = {key: value for key, value in over.items() if value not in (None, "", [], {})}
    args = [*(base.get("args") or ()), *(said.pop("args", None) or ())]
    merged = _objects(base, said, _container_field)
    return {**merged, "args": args} if args else merged


def pod(base: Plain, over: Plain) -> dict[str, Any]:
    """A pod of a runtime, with what an InferenceService says laid over it.

    Containers of one name merge by `container`.

    Args:
        base: the runtime's PodSpec.
        over: the InferenceService's.

    Returns:
        A new PodSpec; it shares nothing with the two.
    """
    return _objects(base, {key: value for key, value in over.items() if value not in (None, "", [])}, _pod_field)


# -- fields ---------------------------------------------------------------------------------------------


def _container_field(key: str, base: Any, over: Any) -> Any:
    if key in _CONTAINER_KEYS:
        return _lists(base, over, _CONTAINER_KEYS[key], _variable if key == "env" else _objects)
    if key in _PROBES:
        return _exclusive(base, over, _HANDLERS)
    if key == "lifecycle":
        return _objects(base, over, lambda _, lower, upper: _exclusive(lower, upper, _HANDLERS))
    return _plain_field(key, base, over)


def _pod_field(key: str, base: Any, over: Any) -> Any:
    if key in _CONTAINERS:
        return _lists(base, over, ("name",), container)
    if key in _POD_KEYS:
        return _lists(base, over, _POD_KEYS[key], _volume if key in ("volumes", "resourceClaims") else _objects)
    return _plain_field(key, base, over)


def _plain_field(_: str, base: Any, over: Any) -> Any:
    """Objects merge, and everything else is replaced."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return _objects(base, over)
    return copy.deepcopy(over)


# -- objects and lists ----------------------------------------------------------------------------------


def _objects(base: Plain, over: Plain, field: Callable[[str, Any, Any], Any] = _plain_field) -> dict[str, Any]:
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        if value is None:
            continue
        known = merged.get(key)
        merged[key] = copy.deepcopy(value) if known is None else field(key, known, value)
    return merged


def _lists(
    base: Any, over: Any, keys: Sequence[str], merge: Callable[[Plain, Plain], dict[str, Any]] = _objects
) -> list[Any]:
    """Entries with the same keys merge in the base's place; others follow, in their order."""
    merged = list(copy.deepcopy(base))
    places = {_identity(each, keys): index for index, each in enumerate(merged)}
    for entry in over:
        at = places.get(_identity(entry, keys))
        if at is None:
            places[_identity(entry, keys)] = len(merged)
            merged.append(copy.deepcopy(entry))
        else:
            merged[at] = merge(merged[at], entry)
    return merged


def _identity(entry: Plain, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(entry.get(key, _DEFAULTS.get(key))) for key in keys)


def _variable(base: Plain, over: Plain) -> dict[str, Any]:
    """An environment variable: where both say what it holds, in two ways, the upper one stands."""
    return _one_form(base, over, ("value", "valueFrom"))


def _volume(base: Plain, over: Plain) -> dict[str, Any]:
    """A volume or a claim: one of another kind replaces the one below."""
    kinds = {key for key in (*base, *over) if key not in ("name", "request")}
    return _one_form(base, over, sorted(kinds))


def _exclusive(base: Any, over: Any, forms: Sequence[str]) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return _one_form(base, over, forms)
    return copy.deepcopy(over)


def _one_form(base: Plain, over: Plain, forms: Sequence[str]) -> dict[str, Any]:
    """Objects that have one of several forms: the form of the upper one, where it has any."""
    if any(over.get(form) is not None for form in forms):
        base = {key: value for key, value in base.items() if key not in forms or key in over}
    return _objects(base, over)
