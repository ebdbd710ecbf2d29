"""Which account is read, where, and as whom: what credentials and environment say of it.

Where any key of this provider is given, the environment is not read: an identity of the process must never go to a
server that somebody else names, nor take the place of one that was left out.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import os
import time
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead_storage_azure.credentials import (
    REMEDY,
    Bearer,
    Credential,
    SharedKey,
    Signature,
    Tokens,
)
from fairlead_storage_azure.places import Kind, Place

if TYPE_CHECKING:
    from fairlead.storage.policy import Policy

__all__ = ["Account", "find"]

_OURS: Final = "FAIRLEAD_STORAGE_"
_CONNECTION: Final = "AZURE_STORAGE_CONNECTION_STRING"
_KEYS: Final = ("AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY")
_NAMES: Final = ("AZURE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_NAME")
_ENTRA: Final = "login.microsoftonline.com"


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """An account, as it is read.

    Attributes:
        endpoint: its server and the path before containers, as a URL without ``/`` at its end.
        credential: who asks.
        custom: whether the endpoint was set by somebody, and is not the account's own.
    """

    endpoint: str
    credential: Credential
    custom: bool = False


def find(place: Place, given: Mapping[str, str], policy: Policy, timeout: float) -> Account:
    """The account of a place.

    Args:
        place: where to.
        given: the credentials of the provider.
        policy: where tokens may be asked for.
        timeout: seconds that asking for a token may take.

    Raises:
        StorageError: neither the address nor the credentials name an account.
        AccessDenied: the credentials are none, or another account's.
        UnsafeArtifact: tokens would come from a server that may not be connected to.
    """
    named = {name: value for name, value in given.items() if not name.startswith(_OURS)}
    for name, value in named.items():
        if not value.strip():  # it was meant to say something
            raise errors.AccessDenied(f"{name} is empty.", remedy=REMEDY)
    said = _Said(named or os.environ, from_environment=not named)
    connection = said.connection()
    if connection and place.account not in (None, connection.get("accountname")):
        if not said.from_environment:
            raise errors.AccessDenied(
                f"{_CONNECTION} is of another storage account than {place.account}.",
                remedy="Give the credentials of the account that the address names.",
            )
        connection = {}  # the environment's is for other addresses
    account = place.account or connection.get("accountname") or said.first(*_NAMES)
    endpoint, custom = _endpoint(place, account, connection, said)
    name = account or _account_of(endpoint)
    credential = _credential(place, name, connection, said, policy, timeout)
    if isinstance(credential, Bearer) and not endpoint.startswith("https://"):
        raise errors.AccessDenied(
            f"{endpoint} is not asked with a token, because the connection is not encrypted.",
            remedy="Name an address with https in AZURE_SERVICE_URL, or give another kind of credentials.",
        )
    return Account(endpoint, credential, custom)


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """What the credentials say, or else the environment; ``AZ_`` comes before ``AZURE_``, as in KServe."""

    values: Mapping[str, str] = dataclasses.field(repr=False)
    from_environment: bool

    def first(self, *names: str) -> str | None:
        """The first of several keys that is not empty."""
        return next((value.strip() for name in names if (value := self.values.get(name)) and value.strip()), None)

    def entra(self, name: str) -> str | None:
        """A part of an identity of Microsoft Entra ID."""
        return self.first(f"AZ_{name}", f"AZURE_{name}")

    def connection(self) -> dict[str, str]:
        """The parts of the connection string, by name in lower case; none without one."""
        text = self.first(_CONNECTION)
        if text is None:
            return {}
        parts = [part.partition("=") for part in text.split(";") if part.strip()]
        found = {name.strip().lower(): value.strip() for name, _, value in parts}
        if "usedevelopmentstorage" in found:
            raise errors.StorageError(
                f"{_CONNECTION} says UseDevelopmentStorage, which is not read.",
                remedy="Write AccountName, AccountKey and BlobEndpoint of the emulator in full.",
            )
        if "accountname" not in found and "sharedaccesssignature" not in found:
            raise errors.AccessDenied(f"{_CONNECTION} names no account.", remedy=REMEDY)
        return found


def _endpoint(place: Place, account: str | None, connection: Mapping[str, str], said: _Said) -> tuple[str, bool]:
    """The server of an account, and whether it was set by somebody."""
    if set_to := connection.get(f"{place.kind}endpoint"):
        return _url(set_to, _CONNECTION), True
    if connection and account:
        scheme, suffix = connection.get("defaultendpointsprotocol", "https"), connection.get("endpointsuffix")
        if suffix or scheme != "https":
            return _url(f"{scheme}://{account}.{place.kind}.{suffix or 'core.windows.net'}", _CONNECTION), True
    service = said.first("AZURE_SERVICE_URL")
    if service is not None and place.kind is Kind.BLOB:
        url = _url(service, "AZURE_SERVICE_URL")
        if place.account in (None, said.first(*_NAMES) or _account_of(url)):
            return url, True
    if place.endpoint is not None:
        return place.endpoint, False
    if account is None:
        raise errors.StorageError(
            "The address names no storage account, and neither do the credentials.",
            remedy="Name it in AZURE_ACCOUNT_NAME, or write https://<account>.blob.core.windows.net/<container>/<path>.",
        )
    return _url(f"https://{account}.{place.kind}.core.windows.net", " or ".join(_NAMES)), False


def _url(text: str, named: str) -> str:
    url = text.rstrip("/")
    parts = urllib.parse.urlsplit(url)
    try:
        sound = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
    except ValueError:
        sound = False
    if not sound or "@" in parts.netloc:
        raise errors.StorageError(f"{named} does not give the http or https address of a storage account.")
    return url


def _account_of(endpoint: str) -> str:
    """The account of an endpoint: the first part of its path where the host is an address, else of its host's name."""
    parts = urllib.parse.urlsplit(endpoint)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        by_path = "." not in host
    else:
        by_path = True
    return (parts.path.strip("/") if by_path else host).partition("/" if by_path else ".")[0]


def _credential(
    place: Place, account: str, connection: Mapping[str, str], said: _Said, policy: Policy, timeout: float
) -> Credential:
    """Who asks: the address's own signature, then as KServe has it an identity before a key, then a token."""
    if place.sas:
        return Signature(place.sas)
    if connection.get("accountkey"):
        return SharedKey(account, connection["accountkey"])
    if connection.get("sharedaccesssignature"):
        return Signature(connection["sharedaccesssignature"])
    if said.entra("CLIENT_ID"):
        return Bearer(Tokens(_entra(said, policy, timeout)))
    if key := said.first(*_KEYS):
        return SharedKey(account, key)
    if token := said.first("AZURE_ACCESS_TOKEN"):
        return Bearer(Tokens(_Given(token, said.first("AZURE_ACCESS_EXPIRES_ON_SECONDS"))))
    if signature := said.first("AZURE_STORAGE_SAS_TOKEN"):
        return Signature(signature)
    half = [name for name in said.values if name.startswith(("AZ_", "AZURE_"))]
    if not said.from_environment and any("SECRET" in name or "TENANT" in name or "EXPIRES" in name for name in half):
        raise errors.AccessDenied("The credentials are a part of an identity: its client is missing.", remedy=REMEDY)
    return Credential()


def _entra(said: _Said, policy: Policy, timeout: float) -> Any:
    """Where the tokens of an identity come from."""
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    client, secret, tenant = (said.entra(name) for name in ("CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"))
    if not (client and secret and tenant) and not said.from_environment:
        missing = "AZURE_CLIENT_SECRET" if not secret else "AZURE_TENANT_ID"
        raise errors.AccessDenied(f"AZURE_CLIENT_ID is given without {missing}.", remedy=REMEDY)
    logger = logging.getLogger("azure")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)  # it warns of what is raised as well
    authority = os.environ.get("AZURE_AUTHORITY_HOST") or _ENTRA
    authority = authority if "://" in authority else f"https://{authority}"
    policy.trusting(_ENTRA).check_endpoint(authority)
    limits = {"retry_total": 0, "connection_timeout": timeout, "read_timeout": timeout, "authority": authority}
    if not (client and secret and tenant):
        return DefaultAzureCredential(managed_identity_client_id=client, workload_identity_client_id=client, **limits)
    try:
        # Asking Microsoft whether it knows the authority is of use only where users name one.
        return ClientSecretCredential(tenant, client, secret, disable_instance_discovery=True, **limits)
    except ValueError:
        raise errors.AccessDenied("AZURE_TENANT_ID is no tenant.", remedy=REMEDY) from None


class _Given:
    """A token that was given, and is not renewed."""

    def __init__(self, token: str, expires_on: str | None) -> None:
        self._token = token
        try:
            self._expires_on = None if expires_on is None else int(float(expires_on))
        except (ValueError, OverflowError):
            raise errors.AccessDenied(
                "AZURE_ACCESS_EXPIRES_ON_SECONDS is not a number of seconds since 1970.", remedy=REMEDY
            ) from None

    def get_token(self, *scopes: str, **kwargs: Any) -> Any:  # noqa: ARG002  # as of azure-identity
        """The token."""
        from azure.core.credentials import AccessToken

        if self._expires_on is not None and self._expires_on <= time.time():
            raise errors.AccessDenied("The token in AZURE_ACCESS_TOKEN has expired.", remedy=REMEDY)
        return AccessToken(self._token, self._expires_on or int(time.time()) + 3600)
