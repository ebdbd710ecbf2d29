"""What MLflow's URIs name: ``models:/``, ``runs:/`` and ``mlflow-artifacts:/``.

Names in them are written as they are, without percent-encoding, as MLflow's own client reads them.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final, TypeAlias

from fairlead import errors

__all__ = ["Address", "Alias", "Artifacts", "LoggedModel", "Run", "Version", "parse"]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MODEL_ID: Final = re.compile(r"m-[0-9a-f]{32}")
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
_SYNTAX: Final = (
    "Write models:/name/version, models:/name@alias, models:/name/latest, models:/m-<model id>, runs:/<run id>/path "
    "or mlflow-artifacts:/path."
)
LATEST: Final = "latest"


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model of MLflow 3.

    Attributes:
        identifier: its id, ``m-…``.
        path: a folder or file in it; empty for all.
    """

    identifier: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model.

    Attributes:
        name: the model's name.
        version: its number, ``latest``, or a stage.
        path: a folder or file in it; empty for all.
    """

    name: str
    version: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True)
class Alias:
    """The version of a registered model that an alias stands for.

    Attributes:
        name: the model's name.
        alias: the alias.
        path: a folder or file in it; empty for all.
    """

    name: str
    alias: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """The artefacts of a run.

    Attributes:
        identifier: the run's id.
        path: a folder or file of them; empty for all.
    """

    identifier: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True)
class Artifacts:
    """Artefacts that the tracking server hands out itself.

    Attributes:
        authority: the server, where it is another one than the tracking server; else empty.
        path: a folder or file of them.
    """

    authority: str
    path: str


Address: TypeAlias = "LoggedModel | Version | Alias | Run | Artifacts"


def parse(uri: str) -> Address:
    """Read a URI.

    Raises:
        UnsafeArtifact: its path leads upwards, or it holds user information.
        StorageError: it is not one of these.
    """
    kind, _, rest = uri.partition(":")
    kind = kind.lower()
    if _CONTROL.search(uri):
        raise errors.StorageError(f"{uri!a} contains control characters.")
    if kind == "mlflow":
        raise errors.StorageError(f"{uri} is no address of MLflow.", remedy=_SYNTAX)
    authority = ""
    if rest.startswith("//"):
        authority, _, rest = rest[2:].partition("/")
        rest = f"/{rest}"
    if "@" in authority:
        raise errors.UnsafeArtifact(
            f"The {kind} address is given with a user, which would show in logs.",
            remedy="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
        )
    if authority and kind != "mlflow-artifacts":
        raise errors.StorageError(
            f"{uri} names a server or a profile; the server is that of MLFLOW_TRACKING_URI.", remedy=_SYNTAX
        )
    parts = rest.strip("/").split("/")
    if any(part in ("..", ".") for part in parts):
        raise errors.UnsafeArtifact(f"{uri} has a path that leads upwards.")
    if not all(parts):
        raise errors.StorageError(f"{uri} has an empty part.", remedy=_SYNTAX)
    if kind == "models":
        return _model(uri, parts)
    if kind == "runs":
        if not _RUN_ID.fullmatch(parts[0]):
            raise errors.StorageError(f"{uri} names no run.", remedy=_SYNTAX)
        return Run(parts[0], "/".join(parts[1:]))
    if kind == "mlflow-artifacts":
        return Artifacts(authority.lower(), "/".join(parts))
    raise errors.StorageError(f"{uri} is no address of MLflow.", remedy=_SYNTAX)


def _model(uri: str, parts: list[str]) -> LoggedModel | Version | Alias:
    first, *path = parts
    name, at, alias = first.rpartition("@")
    if at:
        if not name or not alias:
            raise errors.StorageError(f"{uri} names no model or no alias.", remedy=_SYNTAX)
        return Alias(name, alias, "/".join(path))
    if _MODEL_ID.fullmatch(first):
        return LoggedModel(first, "/".join(path))
    if not path:
        raise errors.StorageError(f"{uri} does not say which version.", remedy=_SYNTAX)
    version = LATEST if path[0].lower() == LATEST else path[0]
    return Version(first, version, "/".join(path[1:]))
