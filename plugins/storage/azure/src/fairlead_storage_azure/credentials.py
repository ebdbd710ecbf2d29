"""What a request is signed with."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

__all__ = ["REMEDY", "Bearer", "Credential", "Request", "SharedKey", "Signature", "Tokens"]

REMEDY: Final = (
    "Give credentials in a Secret or in the environment: AZURE_STORAGE_ACCESS_KEY, or AZURE_CLIENT_ID, "
    "AZURE_CLIENT_SECRET and AZURE_TENANT_ID of a service principal with the role Storage Blob Data Reader, or an "
    "address with a shared access signature."
)

_SCOPE: Final = "https://storage.azure.com/.default"
_MARGIN: Final = 300.0
"""Seconds before its end from which on a token is asked for anew."""

_SIGNED: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What is signed.

    Attributes:
        method: the method.
        path: the path of the URL, as it is sent.
        query: the query, by name, decoded.
        fields: the headers that are sent with it.
    """

    method: str
    path: str
    query: Mapping[str, str]
    fields: Mapping[str, str]


class Credential:
    """Says who asks: by itself, nobody in particular, who reads what is public.

    Attributes:
        query: the secret query of each request.
    """

    query: str = ""

    def headers(self, request: Request) -> dict[str, str]:  # noqa: ARG002  # signed by those that sign
        """The secret headers of a request.

        Raises:
            AccessDenied: there is no token to be had.
            StorageUnavailable: who gives tokens did not answer.
        """
        return {}

    @property
    def anonymous(self) -> bool:
        """Whether it says nothing."""
        return type(self) is Credential


class Signature(Credential):
    """A shared access signature.

    Args:
        query: it, as a query.
    """

    def __init__(self, query: str) -> None:
        self.query = query.removeprefix("?")


class SharedKey(Credential):
    """The key of an account.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key

    Args:
        account: the account's name.
        key: its key.

    Raises:
        AccessDenied: it is no key.
    """

    def __init__(self, account: str, key: str) -> None:
        self._account = account
        try:
            self._key = base64.b64decode(key.strip(), validate=True)
        except binascii.Error:
            raise errors.AccessDenied(
                "The access key of the storage account is not in base64.", remedy=REMEDY
            ) from None

    def headers(self, request: Request) -> dict[str, str]:
        """The signature of the request."""
        lower = {name.lower(): value for name, value in request.fields.items()}
        lines = [request.method, *(lower.get(name, "") for name in _SIGNED)]
        lines += [f"{name}:{lower[name]}" for name in sorted(lower) if name.startswith("x-ms-")]
        lines.append(f"/{self._account}{request.path}")
        lines += [f"{name}:{request.query[name]}" for name in sorted(request.query)]
        signature = hmac.digest(self._key, "\n".join(lines).encode(), hashlib.sha256)
        return {"Authorization": f"SharedKey {self._account}:{base64.b64encode(signature).decode()}"}


class Bearer(Credential):
    """A token of Microsoft Entra ID.

    Args:
        tokens: gives it.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def headers(self, request: Request) -> dict[str, str]:  # noqa: ARG002  # a token is for all requests
        """The token; Azure Files also asks to be told what for."""
        return {"Authorization": f"Bearer {self._tokens.token()}", "x-ms-file-request-intent": "backup"}


class Tokens:
    """Asks azure-identity for a token, and keeps it while it is good; safe from threads.

    Args:
        source: where tokens come from.
    """

    def __init__(self, source: TokenCredential) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._kept: AccessToken | None = None

    def token(self) -> str:
        """A token that is good for some minutes.

        Raises:
            AccessDenied: none is given.
            StorageUnavailable: who gives them did not answer.
        """
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        with self._lock:
            if self._kept is None or self._kept.expires_on - _MARGIN < time.time():
                try:
                    self._kept = self._source.get_token(_SCOPE)
                except ClientAuthenticationError:
                    raise errors.AccessDenied(
                        "Microsoft Entra ID gave no token for these credentials.", remedy=REMEDY
                    ) from None
                except AzureError:
                    raise errors.StorageUnavailable("Microsoft Entra ID did not answer.") from None
            return self._kept.token
