"""Tokens: what a registry is shown, and how it is come by (Docker's token authentication, RFC 6750, RFC 7617)."""

from __future__ import annotations

import contextlib
import http
import json
import re
import socket
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead import errors
from fairlead.storage.http import addresses, client
from fairlead.storage.http.locations import Location
from fairlead_storage_oci import challenges

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Reach, Resolve
    from fairlead.storage.http.client import Answer, Client
    from fairlead.storage.settings import NetworkPolicy
    from fairlead_storage_oci.challenges import Challenge
    from fairlead_storage_oci.logins import Login

__all__ = ["REMEDY", "Authorizer", "Connect"]

Connect: TypeAlias = "Callable[[Resolve], Client]"
"""Makes a client that resolves names in a given way."""

REMEDY: Final = (
    "Give a login: docker login on this machine, a Docker configuration file named in KSERVE_OCI_DOCKER_CONFIG, or a "
    "Secret of the type kubernetes.io/dockerconfigjson."
)

_CLIENT: Final = "fairlead"
_MAX_ANSWER: Final = 1024 * 1024
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_REFUSED: Final = frozenset({400, 401, 403})


class Authorizer:
    """Knows what one registry is shown for one repository; safe to use from several threads.

    Args:
        registry: where the registry is.
        repository: the path of the repository.
        login: looks up the login, once, when the registry first asks for one.
        network: which addresses may be connected to.
        connect: makes the client for a token server.
        resolve: resolves names.
    """

    def __init__(
        self,
        registry: Location,
        repository: str,
        *,
        login: Callable[[], Login | None],
        network: NetworkPolicy,
        connect: Connect,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._find = login
        self._network = network
        self._connect = connect
        self._resolve = resolve
        self._lock = threading.Lock()
        self._login: Login | None = None
        self._asked = False
        self._clients: dict[tuple[str, str, int], Client] = {}
        self.header: str | None = None

    def renew(self, refused: str | None, asked: str, reach: Reach) -> str:
        """Another value for the Authorization header, after one was refused.

        Threads whose token has expired together get the token that the first of them fetches.

        Args:
            refused: the value that was refused; None where none was shown.
            asked: the registry's ``WWW-Authenticate``.
            reach: how far the address reaches that asked.

        Raises:
            AccessDenied: there is nothing else to show.
            UnsafeArtifact: the token server is one that the registry must not lead to.
            StorageUnavailable: the token server does not answer.
        """
        with self._lock:
            if self.header is not None and self.header != refused:
                return self.header
            header = self._answer(challenges.parse(asked), reach)
            if header is None or header == refused:
                raise self.denied()
            self.header = header
            return header

    def denied(self) -> errors.AccessDenied:
        """The error for what the registry refuses."""
        how = "without a login" if self._login is None else "with the login that was found"
        return errors.AccessDenied(
            f"The registry {self._registry.authority} does not let {self._repository} be read {how}.", remedy=REMEDY
        )

    def _answer(self, asked: Sequence[Challenge], reach: Reach) -> str | None:
        if not self._asked:
            self._login, self._asked = self._find(), True
        login = self._login
        bearer = next((one for one in asked if one.scheme == "bearer" and "realm" in one.parameters), None)
        if login is not None and login.registry_token:
            return f"Bearer {login.registry_token}" if _PRINTABLE.fullmatch(login.registry_token) else None
        if bearer is not None:
            return f"Bearer {self._token(bearer.parameters, login, reach)}"
        basic = any(one.scheme == "basic" for one in asked)
        return login.basic if basic and login is not None and login.username else None

    # -- the token server -------------------------------------------------------------------------------

    def _token(self, parameters: Mapping[str, str], login: Login | None, reach: Reach) -> str:
        realm = Location.parse(parameters["realm"])
        query = {
            name: value
            for name, value in (
                ("service", parameters.get("service", "")),
                ("scope", parameters.get("scope") or f"repository:{self._repository}:pull"),
            )
            if value
        }
        sender = self._client(realm, reach)
        with contextlib.closing(self._ask(sender, parameters["realm"], query, login)) as answer:
            if answer.status in _REFUSED:
                raise self.denied()
            if answer.status != http.HTTPStatus.OK:
                raise client.failure(answer)
            content = answer.whole(_MAX_ANSWER)
        return _read(content, realm)

    @staticmethod
    def _ask(sender: Client, realm: str, query: Mapping[str, str], login: Login | None) -> Answer:
        if login is not None and login.identity_token:
            form = {
                "grant_type": "refresh_token",
                "client_id": _CLIENT,
                **query,
                "refresh_token": login.identity_token,
            }
            fields = {"Content-Type": "application/x-www-form-urlencoded"}
            return sender.send("POST", realm, fields, secret={}, body=urllib.parse.urlencode(form).encode())
        pairs = [
            (name, part) for name, value in query.items() for part in (value.split() if name == "scope" else [value])
        ]
        address = f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(pairs)}"
        secret = {"Authorization": login.basic} if login is not None and login.username else {}
        return sender.send("GET", address, secret=secret)

    def _client(self, realm: Location, reach: Reach) -> Client:
        """The client for a token server.

        A registry steers requests with its realm as a redirect does, so the same is allowed: no other class of address
        than its own but a public one, and no way from https to http, which the password would take.
        """
        if realm.origin not in self._clients:
            if self._registry.scheme == "https" and realm.scheme != "https":
                raise errors.UnsafeArtifact(
                    f"The registry {self._registry.authority} sends for its token to {realm}, which is not encrypted."
                )
            self._clients[realm.origin] = self._connect(self._judged(realm, reach))
        return self._clients[realm.origin]

    def _judged(self, realm: Location, reach: Reach) -> Resolve:
        def resolve(host: str, port: int, **options: Any) -> Sequence[tuple[Any, ...]]:
            answers = self._resolve(host, port, **options)
            if (host, port) != (realm.host, realm.port):
                return answers  # of a redirect, which the client judges
            network = self._network
            good = [each for each in answers if addresses.may_reach(addresses.classify(each[4][0]), network, reach)]
            if not good:
                raise errors.UnsafeArtifact(
                    f"The {reach} registry {self._registry.authority} sends for its token to {realm}, an address that "
                    "it must not lead to.",
                    remedy="A token server is on a public address, or on one of the registry's own kind.",
                )
            return good

        return resolve


def _read(content: bytes, realm: Location) -> str:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
    if not isinstance(token, str) or not _PRINTABLE.fullmatch(token):
        raise errors.StorageError(f"The token server {realm} answered without a token.")
    return token
