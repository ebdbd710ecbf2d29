"""The endpoint and the token: those that are given, or those that Hugging Face's own client finds."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairlead import errors
from fairlead.storage.http.locations import Location

__all__ = ["ENDPOINT", "HOSTS", "HubSettings"]

ENDPOINT: Final = "https://huggingface.co"
HOSTS: Final = ("huggingface.co", "*.huggingface.co", "*.hf.co")
"""The hosts of the public hub, those that it redirects to included."""

_TRUE: Final = frozenset({"1", "on", "yes", "true"})
_KEYS: Final = frozenset({"HF_TOKEN", "HF_ENDPOINT"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Which hub is asked, and as whom.

    Attributes:
        endpoint: the URL of the hub, without a slash at its end.
        token: the token; None for none.
    """

    endpoint: str
    token: str | None = dataclasses.field(repr=False)

    @classmethod
    def of(cls, given: Mapping[str, str]) -> HubSettings:
        """Read the settings of a fetch.

        The token of the environment, and that of the token file, are used only where neither a token nor an endpoint is
        given: it must not go to an endpoint that another named.

        Raises:
            StorageError: the hub is not to be asked, or the token is to come from where it is not looked for.
            ConfigurationError: the endpoint is not a URL.
        """
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            if _is_true(given.get(name, os.environ.get(name))):
                raise errors.StorageError(
                    f"{name} is set, so that nothing is fetched from the Hugging Face Hub.",
                    remedy="Unset it, or give the path of files that are on this machine.",
                )
        endpoint = (given.get("HF_ENDPOINT") or os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
        try:
            Location.parse(endpoint)
        except errors.StorageError as error:
            raise errors.ConfigurationError(f"HF_ENDPOINT: {error.reason}") from None
        if "?" in endpoint:
            raise errors.ConfigurationError("HF_ENDPOINT has a query, and is the URL of a hub.")
        token = given.get("HF_TOKEN") if _KEYS & given.keys() else _own_token()
        return cls(endpoint=endpoint, token=_clean(token))

    @property
    def is_public_hub(self) -> bool:
        """Whether it is the hub of Hugging Face itself."""
        return self.endpoint == ENDPOINT

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell who asks."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def _own_token() -> str | None:
    """The token of this process: of the environment, or of the file that ``hf auth login`` writes."""
    if _is_true(os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN")):
        return None
    if os.environ.get("HF_OIDC_RESOURCE"):
        raise errors.StorageError(
            "HF_OIDC_RESOURCE is set, and tokens are not exchanged here.",
            remedy="Set HF_TOKEN to a token of the hub, and unset HF_OIDC_RESOURCE.",
        )
    return os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or _token_of_file()


def _token_of_file() -> str | None:
    """The content of ``$HF_TOKEN_PATH``, or else of ``token`` in ``$HF_HOME``."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{caches}/huggingface"
    path = Path(os.path.expandvars(os.environ.get("HF_TOKEN_PATH") or f"{home}/token"))
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError):  # RuntimeError: there is no home
        return None


def _clean(token: str | None) -> str | None:
    """The token without line ends, which files and Secrets add; None for nothing."""
    return (token or "").strip() or None


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in _TRUE
