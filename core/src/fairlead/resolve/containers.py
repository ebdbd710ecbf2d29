"""Containers of a component in plain data: which comes first, and what is added to each."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fairlead.api import base
from fairlead.api.pod import PodFields
from fairlead.resolve.implementations import MAIN_CONTAINER

__all__ = [
    "RUNTIME_POD_FIELDS",
    "TRANSFORMER_CONTAINER",
    "in_order",
    "own_pod",
    "said",
    "with_argument",
    "with_variable",
]

TRANSFORMER_CONTAINER: Final = "transformer-container"
"""Runs beside the main container of a predictor, in the same pod."""

RUNTIME_POD_FIELDS: Final = (
    "node_selector",
    "affinity",
    "tolerations",
    "volumes",
    "image_pull_secrets",
    "scheduler_name",
    "resource_claims",
)
"""What of a runtime's pod its services get, as attributes; ``hostIPC`` is a service's own to say."""

_FIRST: Final = (MAIN_CONTAINER, TRANSFORMER_CONTAINER)


def said(part: base.Part, fields: Iterable[str]) -> dict[str, Any]:
    """Fields of a part of a kind as plain data with the API's names; what is not set is left out.

    Args:
        part: the part.
        fields: the fields, as attributes; each holds plain data.
    """
    values = ((name, getattr(part, name)) for name in fields)
    return {base.json_name(name): copy.deepcopy(value) for name, value in values if value is not None}


def in_order(containers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The main container, then the transformer's, then the others as they come."""
    rank = {name: place for place, name in enumerate(_FIRST)}
    return sorted((dict(each) for each in containers), key=lambda each: rank.get(each.get("name", ""), len(rank)))


def own_pod(component: PodFields) -> dict[str, Any]:
    """The PodSpec that is inline in a component, without its containers."""
    return said(component, (name for name in PodFields.model_fields if name != "containers"))


def with_variable(container: Mapping[str, Any], name: str, value: str) -> dict[str, Any]:
    """The container with an environment variable, unless it has one of that name."""
    env = list(container.get("env") or ())
    if not any(each.get("name") == name for each in env):
        env.append({"name": name, "value": value})
    return {**container, "env": env}


def with_argument(container: Mapping[str, Any], flag: str, value: str) -> dict[str, Any]:
    """The container with a flag and its value as arguments, unless it has the flag, in whichever spelling."""
    args: Sequence[str] = container.get("args") or ()
    given = {each.partition("=")[0].replace("_", "-") for each in args}
    if flag.replace("_", "-") in given:
        return dict(container)
    return {**container, "args": [*args, flag, value]}
