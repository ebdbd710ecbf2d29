"""The settings of a fetch, with their defaults."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import fnmatch
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from fairlead import errors
from fairlead.settings import ByteSize

__all__ = [
    "CACHE_MAX_VARIABLE",
    "CACHE_VARIABLE",
    "NETWORK_VARIABLE",
    "VARIABLES",
    "FetchSettings",
    "NetworkPolicy",
    "default_cache",
    "network_policy",
]

CACHE_VARIABLE: Final = "FAIRLEAD_CACHE"
CACHE_MAX_VARIABLE: Final = "FAIRLEAD_CACHE_MAX_BYTES"
NETWORK_VARIABLE: Final = "FAIRLEAD_STORAGE_NETWORK"

_GIB: Final = 1024**3
_NEARLY: Final = 0.85
_OF_POLICY: Final = ("FAIRLEAD_STORAGE_SCHEMES", "FAIRLEAD_STORAGE_HOSTS")

_log = logging.getLogger("fairlead.storage")

_MOST_SECONDS: Final = 2_000_000
"""More than three weeks; sockets wait no longer."""


class NetworkPolicy(enum.StrEnum):
    """Which addresses a provider may connect to; some, as cloud metadata, are refused by either."""

    ANY = "any"
    """Public addresses, and private or loopback ones where the user's own URI names them."""
    PUBLIC = "public"
    """Globally routable addresses only."""


def network_policy(text: str | None) -> NetworkPolicy:
    """Read a policy as users write it; nothing means `NetworkPolicy.ANY`.

    Raises:
        ConfigurationError: there is no such policy.
    """
    try:
        return NetworkPolicy(text) if text else NetworkPolicy.ANY
    except ValueError:
        known = ", ".join(NetworkPolicy)
        raise errors.ConfigurationError(f"{NETWORK_VARIABLE}: {text!r} is not one of {known}.") from None


def default_cache() -> Path:
    """The cache directory: ``$FAIRLEAD_CACHE``, ``$XDG_CACHE_HOME/fairlead`` or ``~/.cache/fairlead``."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).absolute()
    # The XDG base directory specification tells to ignore a relative path here.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "fairlead"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """What a fetch may use, and for how long."""

    cache: Path = dataclasses.field(default_factory=default_cache)
    """The folder that keeps what was fetched. The environment variable FAIRLEAD_CACHE sets the default."""

    max_bytes: int = 512 * _GIB
    """The most bytes that one fetch may download, all files together."""

    max_members: int = 100_000
    """The most files of one fetch, and the most members of one archive."""

    max_expanded_bytes: int = 64 * _GIB
    """The most bytes that one archive may unpack to."""

    max_expansion: float = 200.0
    """How many times larger than itself an archive may become; not asked of what unpacks to less than 16 MiB."""

    deadline: float = 3600.0
    """Seconds that a whole fetch may take: waiting for another fetcher, downloading, retrying and unpacking."""

    timeout: float = 30.0
    """Seconds that a single network operation may take, for example one read from a socket."""

    retries: int = 5
    """How often a fault that may pass is tried again before the fetch fails; bytes that arrive reset the count."""

    backoff: float = 0.5
    """Seconds before the first retry; each further pause is twice as long, less up to half of it by chance."""

    max_backoff: float = 30.0
    """The longest pause between two retries, in seconds. A source that asks for a longer one gets it."""

    connections: int = 8
    """The most streams that one host is asked for at once, by all fetches of one `Fetcher` together."""

    max_rate: float | None = None
    """The most bytes that arrive in a second, by all fetches of one `Fetcher` together; no bound by default."""

    allow: tuple[str, ...] = ()
    """Patterns of `fnmatch` for the names of objects that are fetched, relative to the address; all by default."""

    ignore: tuple[str, ...] = ()
    """Patterns of those that are not fetched, even where they are allowed."""

    verify: bool = False
    """Whether all files of an artefact in the cache are read and compared whenever it is used."""

    settle_later: bool = False
    """Whether files are handed over before their SHA-256 is taken, where nothing is compared with it: it is taken in a
    thread then. Servers do so, to be ready sooner."""

    max_cache_bytes: int | None = None
    """The most bytes that the cache keeps; what was not used for longest is removed. No bound by default."""

    network: NetworkPolicy = dataclasses.field(default_factory=lambda: network_policy(os.environ.get(NETWORK_VARIABLE)))
    """Which addresses may be connected to: any, or public. FAIRLEAD_STORAGE_NETWORK sets the default."""

    credentials: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    """Credentials for providers, by key. A provider is given the keys that its spec names, and no others."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **given: Any) -> FetchSettings:
        """The settings that environment variables give; see `VARIABLES`.

        Args:
            environ: the variables; those of the process by default. A variable without text counts as not set.
            given: settings by name, which come before them.

        Raises:
            ConfigurationError: a variable cannot be read.
        """
        variables = os.environ if environ is None else environ
        _tell_misspelt(variables)
        found: dict[str, Any] = {}
        for variable, (name, read) in VARIABLES.items():
            text = variables.get(variable, "").strip()
            if text and name not in given:
                try:
                    found[name] = read(text)
                except ValueError as error:
                    raise errors.ConfigurationError(f"{variable}: {error}.") from None
        return cls(**found, **given)

    def takes(self, name: str) -> bool:
        """Whether the patterns leave an object in; those to ignore come before those that are allowed.

        Args:
            name: its name, relative to the address.
        """
        allowed = not self.allow or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.allow)
        return allowed and not any(fnmatch.fnmatchcase(name, pattern) for pattern in self.ignore)

    def __post_init__(self) -> None:
        positive = (
            "max_bytes",
            "max_members",
            "max_expanded_bytes",
            "max_expansion",
            "deadline",
            "timeout",
            "connections",
        )
        for name in ("deadline", "timeout", "backoff", "max_backoff"):
            if not getattr(self, name) <= _MOST_SECONDS:
                raise errors.ConfigurationError(
                    f"fetch setting {name}: {getattr(self, name)} is more than {_MOST_SECONDS}."
                )
        for name in (*positive, "max_rate", "max_cache_bytes"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise errors.ConfigurationError(f"fetch setting {name}: {getattr(self, name)} is not above zero.")
        for name in ("retries", "backoff", "max_backoff"):
            if getattr(self, name) < 0:
                raise errors.ConfigurationError(f"fetch setting {name}: {getattr(self, name)} is below zero.")


def _tell_misspelt(variables: Mapping[str, str]) -> None:
    """Say which variables are nearly one of ours. Others are anybody's: Kubernetes makes some of its services."""
    known = {*VARIABLES, CACHE_VARIABLE, NETWORK_VARIABLE, *_OF_POLICY}
    for name in sorted(variables.keys() - known):
        if name.startswith(("FAIRLEAD_STORAGE_", "FAIRLEAD_CACHE_", "STORAGE_ALLOW", "STORAGE_IGNORE")):
            near = difflib.get_close_matches(name, known, n=1, cutoff=_NEARLY)
            if near:
                _log.warning("the variable %s has no effect; did you mean %s?", name, near[0])


def _patterns(text: str) -> tuple[str, ...]:
    """Patterns as KServe reads them: a JSON list, a JSON string, or a list with commas."""
    if text.startswith(("[", '"')):
        try:
            found = json.loads(text)
        except ValueError:
            raise ValueError(f"{text!r} is neither JSON nor a list with commas") from None
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise ValueError(f"{text!r} is not a list of patterns")
        return tuple(found)
    return tuple(part for each in text.split(",") if (part := each.strip()))


def _flag(text: str) -> bool:
    if text.lower() not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() in ("1", "true", "yes", "on")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds") from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


VARIABLES: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    CACHE_MAX_VARIABLE: ("max_cache_bytes", ByteSize.parse),
    "FAIRLEAD_STORAGE_CONNECTIONS": ("connections", _count),
    "FAIRLEAD_STORAGE_DEADLINE": ("deadline", _number),
    "FAIRLEAD_STORAGE_MAX_BYTES": ("max_bytes", ByteSize.parse),
    "FAIRLEAD_STORAGE_MAX_EXPANDED_BYTES": ("max_expanded_bytes", ByteSize.parse),
    "FAIRLEAD_STORAGE_MAX_MEMBERS": ("max_members", _count),
    "FAIRLEAD_STORAGE_MAX_RATE": ("max_rate", ByteSize.parse),
    "FAIRLEAD_STORAGE_RETRIES": ("retries", _count),
    "FAIRLEAD_STORAGE_TIMEOUT": ("timeout", _number),
    "FAIRLEAD_STORAGE_VERIFY": ("verify", _flag),
    "STORAGE_ALLOW_PATTERNS": ("allow", _patterns),
    "STORAGE_IGNORE_PATTERNS": ("ignore", _patterns),
}
"""Environment variables, the setting that each gives, and how its text is read; the last two are KServe's."""
