"""Asking MLflow's tracking server, over its REST API."""

from __future__ import annotations

import contextlib
import http
import json
import re
import socket
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.storage.http import client
from fairlead.storage.http.client import Client
from fairlead_storage_mlflow.settings import REGISTRY, REMEDY, TRACKING, Settings

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Resolve
    from fairlead.storage.http.client import Answer

__all__ = ["Missing", "Server", "failure", "length"]

_API: Final = "/api/2.0/"
_LONGEST: Final = 64 * 1024 * 1024


class Missing(Exception):  # named for what the server says
    """The server does not know what it was asked for, or not the question."""


class Server:
    """A tracking server; safe to use from several threads.

    Args:
        given: settings and credentials, as `Settings` takes them.
        timeout: seconds that a single network operation may take.
        resolve: resolves names.
    """

    def __init__(self, given: Mapping[str, str], *, timeout: float, resolve: Resolve = socket.getaddrinfo) -> None:
        self._settings = Settings(given)
        self._client = Client(timeout=timeout, credentials=given, resolve=resolve, tls=self._settings.tls())

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._settings.server()

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, by its own name."""
        return urllib.parse.urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")

    def close(self) -> None:
        """Break what is under way, from any thread."""
        self._client.close()

    def ask(self, question: str, *, registry: bool = False, body: Any = None, **parameters: str) -> Any:
        """The answer to a question, from JSON.

        Args:
            question: the path of the API, after its version.
            registry: whether the registry is asked, which may be another server.
            body: what to send, as JSON; the question is a POST then.
            parameters: the query.

        Raises:
            Missing: 404, or a 400 that says that something does not exist.
            AccessDenied: the server refuses.
            StorageUnavailable: a fault that may pass.
            StorageError: the answer is of another kind.
        """
        base = self._settings.server(REGISTRY if registry else TRACKING)
        url = f"{base}{_API}{question}" + (f"?{urllib.parse.urlencode(parameters)}" if parameters else "")
        content = None if body is None else json.dumps(body).encode()
        fields = {} if content is None else {"Content-Type": "application/json"}
        with contextlib.closing(self.send("GET" if content is None else "POST", url, fields, content)) as answer:
            if answer.status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.BAD_REQUEST):
                raise Missing
            if answer.status != http.HTTPStatus.OK:
                raise failure(answer)
            try:
                return json.loads(answer.whole(_LONGEST))
            except ValueError:
                raise errors.StorageError(
                    f"{answer.location} does not answer as MLflow's tracking server does.",
                    remedy=f"{TRACKING} is the address that shows MLflow's pages, without their part after #.",
                ) from None

    def send(self, method: str, url: str, fields: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        """Send a request, with credentials if it goes to the tracking server or the registry."""
        known = {_origin(self._settings.server(name)) for name in (TRACKING, REGISTRY)}
        # None stands for the headers that a user sets for the host.
        secret = self._settings.secret() if _origin(url) in known else {}
        return self._client.send(method, url, {**self._settings.fields(), **(fields or {})}, secret=secret, body=body)

    def artifact(self, authority: str, path: str) -> str:
        """The URL at which the server hands an artefact out."""
        return f"{self._base(authority)}{_API}mlflow-artifacts/artifacts/{urllib.parse.quote(path)}"

    def folder(self, authority: str, path: str) -> list[Any]:
        """What the server lists in a folder: mappings with ``path`` (a name), ``is_dir`` and ``file_size``.

        Raises:
            StorageError: as `ask`.
        """
        url = f"{self._base(authority)}{_API}mlflow-artifacts/artifacts?{urllib.parse.urlencode({'path': path})}"
        with contextlib.closing(self.send("GET", url)) as answer:
            if answer.status != http.HTTPStatus.OK:
                raise failure(answer)
            try:
                files = json.loads(answer.whole(_LONGEST)).get("files", [])
            except (ValueError, AttributeError):
                raise errors.StorageError(f"{answer.location} does not list artefacts as MLflow does.") from None
        return list(files) if isinstance(files, list) else []

    def _base(self, authority: str) -> str:
        if not authority:
            return self.url
        parts = urllib.parse.urlsplit(self.url)
        return f"{parts.scheme}://{authority}{parts.path}"


def failure(answer: Answer) -> errors.StorageError:
    """The error that a status means; it names what MLflow calls its credentials."""
    if answer.status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return errors.AccessDenied(f"{answer.location} answered {answer.status}.", remedy=REMEDY)
    return client.failure(answer)


def length(answer: Answer) -> int | None:
    """The length of a body, where the answer announces it."""
    text = answer.headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
