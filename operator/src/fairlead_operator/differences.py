"""Whether an object is as it is desired to be: all that is asked for is there, whatever others have added."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead.resolve import quantities

__all__ = ["DIGEST", "covers", "digest", "marked", "projected"]

DIGEST: Final = "fairlead.io/applied"
"""The annotation with the digest of what was applied: without it, a field that is not asked for any more would stay."""

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port", "protocol"),
    "resourceClaims": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Lists to which others may add items, by what tells the items apart; every other list is one value."""

_DEFAULTS: Final = {"protocol": "TCP"}
_AMOUNTS: Final = frozenset({"averageValue", "sizeLimit"})
_GROUPS_OF_AMOUNTS: Final = frozenset({"limits", "requests"})


def digest(manifest: Mapping[str, Any]) -> str:
    """What tells an object from another, in 16 hexadecimal digits."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def marked(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its own digest among its annotations."""
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), DIGEST: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def covers(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether all that is desired is there.

    What is empty may be missing, quantities are compared by their amount, and in lists to which others may add (the
    containers of a pod, their variables) only what is asked for is looked at.
    """
    return _covers(live, desired, "")


def projected(live: Any, desired: Any, field: str = "") -> Any:
    """What is there of that which is desired; two of them are equal where nobody changed it in between."""
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        return {key: projected(live.get(key), value, key) for key, value in desired.items()}
    if isinstance(desired, list) and isinstance(live, list) and field in _KEYS:
        known = _by_key(live, field)
        return [projected(known.get(_key(each, field)), each) for each in desired]
    return live


def _covers(live: Any, desired: Any, field: str) -> bool:
    if desired is None or (desired in ({}, [], "") and not live):
        return True
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(
            _same_amount(live.get(key), value) if field in _GROUPS_OF_AMOUNTS else _covers(live.get(key), value, key)
            for key, value in desired.items()
        )
    if isinstance(desired, list):
        return isinstance(live, list) and _covers_list(live, desired, field)
    if field in _AMOUNTS:
        return _same_amount(live, desired)
    return bool(live == desired)


def _covers_list(live: Sequence[Any], desired: Sequence[Any], field: str) -> bool:
    if field not in _KEYS:
        return len(live) == len(desired) and all(_covers(*pair, "") for pair in zip(live, desired, strict=True))
    known = _by_key(live, field)
    return all(_covers(known.get(_key(each, field)), each, "") for each in desired)


def _by_key(items: Sequence[Any], field: str) -> dict[tuple[Any, ...], Any]:
    return {_key(each, field): each for each in items}


def _key(item: Any, field: str) -> tuple[Any, ...]:
    if not isinstance(item, Mapping):
        return (json.dumps(item, default=str),)
    return tuple(item.get(key, _DEFAULTS.get(key)) for key in _KEYS[field])


def _same_amount(live: Any, desired: Any) -> bool:
    if live == desired:
        return True
    if live is None or desired is None:
        return False
    amounts = [quantities.amount(each) if isinstance(each, int | str) else None for each in (live, desired)]
    return amounts[0] is not None and amounts[0] == amounts[1]
