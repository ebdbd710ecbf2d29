"""Logins: what a Docker configuration says of a registry."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import fnmatch
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from fairlead import errors

__all__ = ["DockerConfig", "Login"]

_HUB: Final = "docker.io"
_HUB_KEYS: Final = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_SERVER: Final = "https://index.docker.io/v1/"
"""How credential helpers know Docker Hub."""

_Ask: TypeAlias = "Callable[[str, str], Login | None]"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a registry, or its token server, is shown; only what is not empty.

    Attributes:
        username: the user's name.
        password: and password.
        identity_token: is exchanged for a token at the token server.
        registry_token: is shown to the registry as it is.
    """

    username: str = ""
    password: str = dataclasses.field(default="", repr=False)
    identity_token: str = dataclasses.field(default="", repr=False)
    registry_token: str = dataclasses.field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header with name and password (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


class DockerConfig:
    """A Docker configuration file, or the part of it that a Secret holds.

    Args:
        text: its JSON.
        source: what to call it in errors.
        legacy: whether it is the older ``.dockercfg``, which is the object under ``auths`` alone.
        helpers: whether credential helpers may be asked. They answer with what belongs to this machine, which is
            not what a Secret stands for.

    Raises:
        ConfigurationError: it cannot be read. Its content is never shown.
    """

    def __init__(self, text: str, *, source: str, legacy: bool = False, helpers: bool = False) -> None:
        self._source = source
        self._may_help = helpers
        try:
            document = json.loads(text)
        except ValueError:
            document = None  # the decoder's message would quote the text
        if not isinstance(document, dict):
            raise self._wrong("is not a JSON object")
        self._auths = self._objects({"auths": document} if legacy else document, "auths")
        self._helpers = {} if legacy else self._objects(document, "credHelpers")
        self._store = "" if legacy else document.get("credsStore") or ""
        if not all(isinstance(entry, dict) for entry in self._auths.values()):
            raise self._wrong("has an entry under auths that is not an object")
        if not all(isinstance(name, str) for name in (*self._helpers.values(), self._store)):
            raise self._wrong("names a credential helper with something that is not text")

    def login(self, registry: str, repository: str, ask: _Ask) -> Login | None:
        """The login for a repository; None where there is none.

        Of several entries the one with the longest path wins, and an exact host over a pattern with ``*``.
        A helper of this registry comes first, then the entry of the file, then the helper of all registries.

        Args:
            registry: host and port, ``docker.io`` for Docker Hub.
            repository: the path of the repository.
            ask: asks a helper, by its name, for a server.

        Raises:
            ConfigurationError: the entry cannot be read, or a Secret names a helper.
        """
        key = _best(self._helpers, registry, repository)
        if key is not None and (login := self._ask(self._helpers[key], registry, ask)):
            return login
        key = _best(self._auths, registry, repository)
        if key is not None and (login := self._entry(key)):
            return login
        return self._ask(self._store, registry, ask) if self._store else None

    def _ask(self, name: str, registry: str, ask: _Ask) -> Login | None:
        if not self._may_help:
            raise errors.ConfigurationError(
                f"{self._source} names the credential helper {name!a} for {registry}, which would answer with a login "
                "of this machine.",
                remedy=f"Put the login itself into the Secret: kubectl create secret docker-registry --docker-server="
                f"{registry} …",
            )
        return ask(name, _HUB_SERVER if registry == _HUB else registry)

    def _entry(self, key: str) -> Login | None:
        entry = {name.lower(): value for name, value in self._auths[key].items()}
        user, password = self._text(entry, "username", key), self._text(entry, "password", key)
        if auth := self._text(entry, "auth", key):
            user, password = self._pair(auth, key)
        login = Login(
            username=user,
            password=password,
            identity_token=self._text(entry, "identitytoken", key),
            registry_token=self._text(entry, "registrytoken", key),
        )
        return None if login == Login() else login

    def _text(self, entry: Mapping[str, Any], name: str, key: str) -> str:
        value = entry.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(f"has a {name} for {key} that is not text")
        return value or ""

    def _pair(self, auth: str, key: str) -> tuple[str, str]:
        user = colon = password = ""
        # Without a cause, whose text would show what was decoded.
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
        if not colon:
            raise self._wrong(f"has an auth for {key} that is not <name>:<password> in base64")
        return user, password.rstrip("\0")

    def _objects(self, document: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = document.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(f"has {name} that are not an object")
        return value

    def _wrong(self, how: str) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f"{self._source} {how}.", remedy="Write it with docker login, or kubectl create secret docker-registry."
        )


def _best(entries: Mapping[str, Any], registry: str, repository: str) -> str | None:
    found: list[tuple[int, bool, str]] = []
    for key in entries:
        host, _, path = key.partition("://")[2].partition("/") if "://" in key else key.partition("/")
        host, path = host.lower(), path.strip("/")
        host = _HUB if host in _HUB_KEYS else host
        path = "" if path in ("v1", "v2") else path
        if _is_host(registry, host) and (not path or f"{repository}/".startswith(f"{path}/")):
            found.append((len(path), host == registry, key))
    return max(found)[2] if found else None


def _is_host(registry: str, pattern: str) -> bool:
    """Whether a registry is meant; a ``*`` stands for a part of one label, as Kubernetes has it for pull secrets."""
    if registry == pattern:
        return True
    labels, wanted = registry.split("."), pattern.split(".")
    return "*" in pattern and len(labels) == len(wanted) and all(map(fnmatch.fnmatchcase, labels, wanted))
