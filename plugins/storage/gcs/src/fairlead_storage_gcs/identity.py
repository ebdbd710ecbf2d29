"""Who reads: a key that was given, the machine's own identity, or nobody."""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from fairlead import errors

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from fairlead.storage.policy import Policy

__all__ = ["EMULATOR", "FILE", "REMEDY", "SECRET", "Identity", "find"]

SECRET: Final = "gcloud-application-credentials.json"  # noqa: S105  # the name of the key, which KServe gives it
FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
EMULATOR: Final = "STORAGE_EMULATOR_HOST"
REMEDY: Final = (
    f"Give a service account that may read the bucket: its JSON key in a Secret under {SECRET}, or the path of that "
    f"key in {FILE}. It needs the role Storage Object Viewer."
)

_TOKENS: Final = "oauth2.googleapis.com"
_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"


class Identity:
    """Makes the headers that say who asks; safe from threads.

    Args:
        credentials: Google's credentials, or None for nobody.
        timeout: seconds that asking for a token may take.
    """

    def __init__(self, credentials: Credentials | None, timeout: float) -> None:
        self._credentials = credentials
        self._timeout = timeout
        self._lock = threading.Lock()

    @property
    def anonymous(self) -> bool:
        """Whether requests carry no credentials."""
        return self._credentials is None

    @property
    def fresh(self) -> bool:
        """Whether `headers` answers at once, without asking for a token."""
        return self._credentials is None or self._credentials.valid

    def headers(self) -> dict[str, str]:
        """The headers of a request; asks for a token where there is none that is still good.

        Raises:
            google.auth.exceptions.GoogleAuthError: no token was given.
        """
        headers: dict[str, str] = {}
        if self._credentials is not None:
            import requests
            from google.auth.transport.requests import Request

            with self._lock, requests.Session() as session:
                ask = functools.partial(Request(session), timeout=self._timeout)
                self._credentials.before_request(ask, "GET", "", headers)  # type: ignore[no-untyped-call]  # Google gives no types
        return headers


def find(given: Mapping[str, str], *, emulated: bool, policy: Policy, timeout: float) -> Identity:
    """The identity that was given, or else the one that Google's libraries find on this machine, or else nobody.

    Args:
        given: the credentials of the provider. Where they name an identity or a server, the machine's own identity is
            not looked for.
        emulated: whether the server is an emulator, which gets no token of the machine's, as with Google's clients.
        policy: where tokens may be asked for, besides Google's own server.
        timeout: seconds that asking for a token may take.

    Raises:
        AccessDenied: what was given is no key.
        UnsafeArtifact: the key names a server for tokens that may not be connected to.
    """
    if text := given.get(SECRET):
        return Identity(_of_key(text, f"The key {SECRET}", policy), timeout)
    if path := given.get(FILE):
        return Identity(_of_key(_read(path), f"{path}, which {FILE} names,", policy), timeout)
    if SECRET in given or FILE in given:
        raise errors.AccessDenied(f"{SECRET if SECRET in given else FILE} is empty.", remedy=REMEDY)
    if EMULATOR in given or (emulated and FILE not in os.environ):
        return Identity(None, timeout)  # who names a server and no key does not get the machine's own sent there
    return Identity(_of_machine(), timeout)


def _of_machine() -> Credentials | None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    # It warns of machines that are not Google's, and of projects, which reading does not need.
    logging.getLogger("google.auth").setLevel(logging.ERROR)
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except DefaultCredentialsError:
        if path := os.environ.get(FILE):  # a key that was meant to be used is not left out in silence
            raise errors.AccessDenied(f"{path}, which {FILE} names, holds no credentials.", remedy=REMEDY) from None
        return None
    return credentials


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise errors.AccessDenied(f"{path}, which {FILE} names, cannot be read.", remedy=REMEDY) from None


def _of_key(text: str, subject: str, policy: Policy) -> Credentials:
    """Credentials of the two kinds that hold a secret of their own.

    The others name programs, files and servers to get a token from. Google asks not to take these from others
    unchecked: https://cloud.google.com/docs/authentication/external/externally-sourced-credentials
    """
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2 import credentials, service_account

    try:
        key: Any = json.loads(text)
        kind = key["type"]
        if kind == "service_account":
            policy.trusting(_TOKENS).check_endpoint(key["token_uri"])
            make: Any = service_account.Credentials.from_service_account_info
            return cast("Credentials", make(key, scopes=[_SCOPE]))
        if kind == "authorized_user":
            make = credentials.Credentials.from_authorized_user_info
            return cast("Credentials", make(key, scopes=[_SCOPE]))
    except (ValueError, TypeError, KeyError, AttributeError, GoogleAuthError):  # their texts may quote the key
        raise errors.AccessDenied(f"{subject} is not the JSON key of a service account.", remedy=REMEDY) from None
    raise errors.AccessDenied(
        f"{subject} is of the type {str(kind)!a}, which is taken from this machine's environment only.",
        remedy=f"Name its file in the environment variable {FILE}, or give the key of a service account.",
    )
