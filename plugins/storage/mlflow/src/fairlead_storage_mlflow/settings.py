"""Where the tracking server is, and how it is asked: MLflow's own environment variables."""

from __future__ import annotations

import base64
import configparser
import contextlib
import os
import ssl
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairlead import errors

__all__ = ["REMEDY", "Settings"]

TRACKING: Final = "MLFLOW_TRACKING_URI"
REGISTRY: Final = "MLFLOW_REGISTRY_URI"
WORKSPACE: Final = "MLFLOW_WORKSPACE"
_TOKEN: Final = "MLFLOW_TRACKING_TOKEN"  # noqa: S105  # a name
_USER: Final = "MLFLOW_TRACKING_USERNAME"
_PASSWORD: Final = "MLFLOW_TRACKING_PASSWORD"  # noqa: S105  # a name
_AUTHORITIES: Final = "MLFLOW_TRACKING_SERVER_CERT_PATH"
_CERTIFICATE: Final = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
_PREFIX: Final = "MLFLOW_"
_FALSE: Final = frozenset({"", "0", "false"})

REMEDY: Final = f"Set {_TOKEN}, or {_USER} and {_PASSWORD}, in the environment or in a Secret."

_REFUSED: Final = {
    "MLFLOW_TRACKING_INSECURE_TLS": (
        "would leave the server's certificate unverified, and is not honoured",
        f"Name the certificate of its authority in {_AUTHORITIES}.",
    ),
    "MLFLOW_TRACKING_AWS_SIGV4": ("asks for signatures of AWS, which are not made", f"Unset it. {REMEDY}"),
    "MLFLOW_TRACKING_AUTH": ("names a plugin of MLflow's own client, which is not used", f"Unset it. {REMEDY}"),
}


class Settings:
    """The settings of one fetch.

    Args:
        given: settings by MLflow's names. If any of them is given here, tokens, users, passwords and client
            certificates are not looked for elsewhere; else they are read from the environment, and the user and the
            password from ``~/.mlflow/credentials`` too. The rest falls back to the environment.

    Raises:
        ConfigurationError: a setting is wrong, or cannot be honoured.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._own = any(key.startswith(_PREFIX) for key in given)
        for name, (why, remedy) in _REFUSED.items():
            if (self.get(name) or "").lower() not in _FALSE:
                raise errors.ConfigurationError(f"{name} {why}.", remedy=remedy)

    def get(self, name: str) -> str | None:
        """A setting that is no credential."""
        return self._given.get(name) or os.environ.get(name) or None

    def server(self, name: str = TRACKING) -> str:
        """The address of the tracking server, or of that of the registry, without a slash at its end.

        Raises:
            ConfigurationError: none is set, or it is none of a server.
            UnsafeArtifact: it holds a password.
        """
        text = (self.get(name) if name == TRACKING else self.get(name) or self.get(TRACKING)) or ""
        parts = _split(text)
        if parts.username is not None or parts.password is not None:
            raise errors.UnsafeArtifact(
                f"{name} is given with a user or a password, which would show in logs.",
                remedy=f"Set {_USER} and {_PASSWORD}.",
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            what = "is no address of a server" if text else "is not set"
            raise errors.ConfigurationError(
                f"{name} {what}.",
                remedy=f"Set {TRACKING} to the http(s) address of MLflow's tracking server. Stores on disk, in a "
                "database or at Databricks are not read.",
            )
        return text.rstrip("/")

    def secret(self) -> dict[str, str] | None:
        """The header that says who asks; None where no credentials are set.

        Raises:
            AccessDenied: a user without a password, or the other way round.
        """
        source = self._given if self._own else os.environ
        user, password = source.get(_USER), source.get(_PASSWORD)
        if not self._own and not (user and password):
            kept = _kept()
            user, password = user or kept.get(_USER), password or kept.get(_PASSWORD)
        if user and password:
            return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
        if token := source.get(_TOKEN):
            return {"Authorization": f"Bearer {token}"}
        if user or password:
            raise errors.AccessDenied(f"Of {_USER} and {_PASSWORD} only one is set.", remedy="Set both, or neither.")
        return None

    def tls(self) -> ssl.SSLContext | None:
        """What certificates are verified with, and the client's own; None where neither is set.

        Raises:
            ConfigurationError: a file cannot be read.
        """
        authorities = self.get(_AUTHORITIES)
        own = (self._given if self._own else os.environ).get(_CERTIFICATE)
        if not authorities and not own:
            return None
        try:
            folder = authorities is not None and Path(authorities).is_dir()
            context = ssl.create_default_context(
                cafile=None if folder else authorities, capath=authorities if folder else None
            )
            if own:
                context.load_cert_chain(own)
        except OSError as error:
            raise errors.ConfigurationError(
                f"{_AUTHORITIES} or {_CERTIFICATE} names a file that cannot be read as certificates.",
                remedy="Both are files in PEM form; that of the client holds its key as well.",
            ) from error
        return context

    def fields(self) -> dict[str, str]:
        """The headers that are no secret."""
        workspace = self.get(WORKSPACE)
        return {"X-MLFLOW-WORKSPACE": workspace} if workspace else {}


def _split(text: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(text)
        _ = parts.port  # which is read only now
    except ValueError:  # it would repeat a password
        return urllib.parse.urlsplit("")
    return parts


def _kept() -> dict[str, str]:
    """What MLflow's client keeps in the user's home."""
    parser = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(OSError, configparser.Error, UnicodeError, RuntimeError):
        parser.read_string((Path.home() / ".mlflow" / "credentials").read_text(encoding="utf-8"))
    section = parser["mlflow"] if parser.has_section("mlflow") else {}
    return {name: value for name in (_USER, _PASSWORD) if (value := section.get(name.lower()))}
