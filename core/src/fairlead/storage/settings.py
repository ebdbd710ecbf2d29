"""The settings of a fetch, with their defaults."""

from __future__ import annotations

import dataclasses
import enum
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairlead import errors

__all__ = ["CACHE_VARIABLE", "NETWORK_VARIABLE", "FetchSettings", "NetworkPolicy", "default_cache", "network_policy"]

CACHE_VARIABLE: Final = "FAIRLEAD_CACHE"
NETWORK_VARIABLE: Final = "FAIRLEAD_STORAGE_NETWORK"

_GIB: Final = 1024**3


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

    network: NetworkPolicy = dataclasses.field(default_factory=lambda: network_policy(os.environ.get(NETWORK_VARIABLE)))
    """Which addresses may be connected to: any, or public. FAIRLEAD_STORAGE_NETWORK sets the default."""

    credentials: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    """Credentials for providers, by key. A provider is given the keys that its spec names, and no others."""

    def __post_init__(self) -> None:
        positive = ("max_bytes", "max_members", "max_expanded_bytes", "max_expansion", "deadline", "timeout")
        for name in positive:
            if getattr(self, name) <= 0:
                raise errors.ConfigurationError(f"fetch setting {name}: {getattr(self, name)} is not above zero.")
        for name in ("retries", "backoff", "max_backoff"):
            if getattr(self, name) < 0:
                raise errors.ConfigurationError(f"fetch setting {name}: {getattr(self, name)} is below zero.")
