"""Variables of a container that come from elsewhere: a Secret, a ConfigMap, or the pod itself.

What comes from a Secret is in the environment of the process that asks for it, and nowhere else: others could read it
among the arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.local.replicas import listening
from fairlead.resolve.secrets import SecretKey

if TYPE_CHECKING:
    from fairlead.local.replicas.orders import Order
    from fairlead.resolve.secrets import ConfigMap, Secret

__all__ = ["REFERENCE", "of_sources", "refuse_secrets", "value"]

REFERENCE: Final = re.compile(r"\$(?:\$|\(([^)]*)\))")
"""A reference to a variable, ``$(NAME)``, or ``$$`` for a dollar sign."""

_LOOPBACK: Final = "127.0.0.1"
_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_SECRET: Final = ("secretKeyRef", "secretRef")


def value(order: Order, name: str, source: Mapping[str, Any]) -> str | None:
    """The value of a variable that comes from elsewhere; None where it may be absent, and is.

    Args:
        order: whose it is.
        name: the variable.
        source: its ``valueFrom``.

    Raises:
        Unresolvable: it comes from what only a cluster has, or from what is not there.
    """
    if field := source.get("fieldRef"):
        known = {
            "metadata.name": order.name,
            "metadata.namespace": order.namespace,
            "status.podIP": _LOOPBACK,
            "status.hostIP": _LOOPBACK,
        }
        if (path := field.get("fieldPath")) in known:
            return known[path]
        raise _unsupported(name, f"fieldRef {path}")
    if (reference := source.get("secretKeyRef")) is not None:
        return _of_secret(order, name, reference)
    if (reference := source.get("configMapKeyRef")) is not None:
        return _of_config_map(order, name, reference)
    raise _unsupported(name, next(iter(source), "nothing"))


def of_sources(order: Order) -> dict[str, str]:
    """The variables of ``envFrom``: every key of Secrets and ConfigMaps whose name a variable may have.

    Raises:
        Unresolvable: one of them is not there, and is not optional.
    """
    env: dict[str, str] = {}
    for each in listening.main_container(order).get("envFrom") or ():
        prefix = str(each.get("prefix") or "")
        for field in ("configMapRef", "secretRef"):
            reference = each.get(field)
            if not reference or (found := _whole(order, field, reference)) is None:
                continue
            names = {key: f"{prefix}{key}" for key in found.keys if _NAME.fullmatch(f"{prefix}{key}")}
            env |= {variable: _text(found, key) for key, variable in names.items()}
    return env


def refuse_secrets(order: Order, words: Sequence[str]) -> None:
    """Refuse arguments with a variable of a Secret in them: whoever lists processes could read it.

    Raises:
        Unresolvable: there is one.
    """
    secret = _secret_names(order)
    for word in words:
        for match in REFERENCE.finditer(word):
            if match[1] in secret:
                raise errors.Unresolvable(
                    "UnsupportedEnv",
                    f"An argument holds the variable {match[1]}, which comes from a Secret, and whoever lists the"
                    " processes of this machine reads arguments.",
                    remedy="Let the program read the variable itself.",
                )


def _secret_names(order: Order) -> frozenset[str]:
    """The variables that come from Secrets, and those that are made of them."""
    container = listening.main_container(order)
    secret: set[str] = set()
    for each in container.get("envFrom") or ():
        if each.get("secretRef") and (found := _whole(order, "secretRef", each["secretRef"])) is not None:
            secret |= {f"{each.get('prefix') or ''}{key}" for key in found.keys}
    for each in container.get("env") or ():
        made_of = {match[1] for match in REFERENCE.finditer(str(each.get("value") or ""))}
        if (each.get("valueFrom") or {}).get("secretKeyRef") or made_of & secret:
            secret.add(str(each["name"]))
    return frozenset(secret)


def _of_secret(order: Order, variable: str, reference: Mapping[str, Any]) -> str | None:
    name, key = str(reference.get("name") or ""), str(reference.get("key") or "")
    found = order.declared.vault.secrets.get((order.namespace, name))
    if reference.get("optional") and (found is None or key not in found.keys):
        return None
    holder = order.declared.vault.holder(order.namespace, SecretKey(name, key), f"The variable {variable}")
    return _text(holder, key)


def _of_config_map(order: Order, variable: str, reference: Mapping[str, Any]) -> str | None:
    name, key = str(reference.get("name") or ""), str(reference.get("key") or "")
    vault, optional = order.declared.vault, bool(reference.get("optional"))
    if optional and (order.namespace, name) not in vault.config_maps:
        return None
    found = vault.config_map(order.namespace, name, f"The variable {variable}")
    if key in found.keys:
        return _text(found, key)
    if optional:
        return None
    raise errors.Unresolvable(
        "InvalidConfigMap",
        f"The variable {variable} names the key {key!r} of the ConfigMap {order.namespace}/{name}, which has"
        f" {', '.join(found.keys) or 'none'}.",
        remedy="Add the key to the ConfigMap, or name another.",
    )


def _whole(order: Order, field: str, reference: Mapping[str, Any]) -> Secret | ConfigMap | None:
    """What ``envFrom`` names; None where it may be absent, and is."""
    name, vault = str(reference.get("name") or ""), order.declared.vault
    there = vault.secrets if field in _SECRET else vault.config_maps
    if reference.get("optional") and (order.namespace, name) not in there:
        return None
    look = vault.secret if field in _SECRET else vault.config_map
    return look(order.namespace, name, f"envFrom.{field}")


def _text(found: Secret | ConfigMap, key: str) -> str:
    try:
        return found.content(key).decode()
    except UnicodeDecodeError:
        kind = type(found).__name__
        raise errors.Unresolvable(
            f"Invalid{kind}",
            f"The {kind} {found.namespace}/{found.name} has at {key} what is no text, and a variable is one.",
            remedy="Encode the text itself, or name another key.",
        ) from None


def _unsupported(name: str, what: str) -> errors.Unresolvable:
    return errors.Unresolvable(
        "UnsupportedEnv",
        f"The variable {name} takes its value from {what}, which there is only in a cluster.",
        remedy="Give it a `value` in the manifest that runs here.",
    )
