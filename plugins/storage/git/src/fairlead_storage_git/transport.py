"""Fetching one commit from a server, by git's protocol over http(s)."""

from __future__ import annotations

import base64
import contextlib
import http
import io
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dulwich.client import AbstractHttpGitClient
from dulwich.errors import GitProtocolError, HangupException
from dulwich.objects import ObjectID

from fairlead import errors
from fairlead.storage.http import client
from fairlead_storage_git import revisions
from fairlead_storage_git.indexing import too_large

if TYPE_CHECKING:
    from dulwich.refs import Ref

    from fairlead.storage.http.client import Answer, Client
    from fairlead_storage_git.address import Address

__all__ = ["Login", "fetch"]

_DISCOVERY: Final = "info/refs?service=git-upload-pack"
_ADVERTISEMENT: Final = "application/x-git-upload-pack-advertisement"
_AGENT: Final = "git/2 (fairlead)"
"""Some hosts answer a page to those whose name does not begin with ``git/``."""

REMEDY: Final = "Set GIT_USERNAME and GIT_PASSWORD (a token of the host), in the environment or in a Secret."


class Login:
    """Who asks; the password shows nowhere.

    Args:
        user: the name; empty where a host takes any.
        password: the password or token.
    """

    def __init__(self, user: str, password: str) -> None:
        self._field = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def headers(self) -> dict[str, str]:
        """The header that says so."""
        return {"Authorization": self._field}


def fetch(
    connection: Client, address: Address, login: Login | None, target: Path, *, most: int, going: Callable[[], None]
) -> str:
    """Fetch what a ref names, without its history, as one pack.

    Args:
        connection: sends requests.
        address: a repository on a server.
        login: who asks.
        target: where the pack is written to.
        most: the most bytes that it may have.
        going: raises when the fetch has ended.

    Returns:
        The id of the commit or tag.

    Raises:
        ArtifactNotFound: there is no such repository or ref.
        AccessDenied: the server refuses.
        StorageLimitExceeded: the pack is too large.
        StorageUnavailable: a fault that may pass.
    """
    assert address.url is not None
    remote = _Remote(connection, address, login)
    wanted: list[str] = []
    written = 0

    def choose(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001  # its names
        known = {name.decode(errors="replace"): value.decode() for name, value in refs.items()}
        wanted.append(revisions.choose(known, address))
        return [ObjectID(wanted[0].encode())]

    with target.open("wb") as file:

        def keep(data: bytes) -> int:
            nonlocal written
            going()
            written += len(data)
            if written > most:
                raise too_large(most)
            return file.write(data)

        with _translated(address.shown, wanted):
            remote.fetch_pack("", choose, _Nothing(), keep, depth=1, ref_prefix=revisions.prefixes(address.ref))
    return wanted[0]


class _Nothing:
    """What this side has: nothing. The library asks for it as a walk through commits."""

    shallow = frozenset[bytes]()

    def __next__(self) -> None:
        return None

    def ack(self, _commit: bytes) -> None:
        """Nothing is in common."""

    def nak(self) -> None:
        """Nothing is in common."""


class _Response:
    """An answer, as the library wants to see it."""

    def __init__(self, answer: Answer, asked: str) -> None:
        location = answer.location
        came_from = f"{location.scheme}://{location.authority}{location.path}"
        self.status = answer.status
        self.content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        self.redirect_location = came_from if came_from != asked else ""
        self.close = answer.close


class _Body(io.RawIOBase):
    """A body as a file, since the library reads exact lengths."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._answer.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Remote(AbstractHttpGitClient):
    """Git's protocol over the core's client, which judges addresses and keeps secrets to the first host."""

    def __init__(self, connection: Client, address: Address, login: Login | None) -> None:
        assert address.url is not None
        super().__init__(
            address.url, quiet=True
        )  # says that it takes thin packs, as some servers want; without commits
        self._connection = connection
        self._shown = address.shown
        self._origin = _origin(address.url)
        self._login = login

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002  # the library's signature
    ) -> Any:
        fields = {"User-Agent": _AGENT, **(headers or {})}
        fields.pop("Content-Length", None)  # the client counts
        body = data if data is None or isinstance(data, bytes) else b"".join(data)
        # After a redirect of the first request the others go to another place directly. None stands for the headers
        # that a user sets for the host.
        own = self._login.headers() if self._login else None
        secret = own if _origin(url) == self._origin else {}
        answer = self._connection.send("GET" if body is None else "POST", url, fields, secret=secret, body=body)
        reader = io.BufferedReader(_Body(answer), 64 * 1024)
        try:
            self._check(answer, discovery=url.endswith(_DISCOVERY))
            if reader.peek(8)[4:8] == b"ERR ":  # the library takes it for the end of the answer
                raise GitProtocolError(reader.peek()[8:200].decode(errors="replace"))
        except BaseException:
            answer.close()
            raise
        return _Response(answer, url), reader.read

    def _check(self, answer: Answer, *, discovery: bool) -> None:
        if answer.status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            # Hosts answer this for a repository that does not exist, too, so that nobody learns of private ones.
            raise errors.AccessDenied(f"{self._shown} does not exist, or may not be read.", remedy=REMEDY)
        if answer.status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
            raise errors.ArtifactNotFound(f"{answer.location} is not there; {self._shown} is no git repository.")
        if answer.status != http.HTTPStatus.OK:
            raise client.failure(answer)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if discovery and kind != _ADVERTISEMENT:
            raise errors.StorageError(
                f"{self._shown} does not answer as a git server does.",
                remedy="Give the address that `git clone` takes; servers without git's smart protocol are not read.",
            )


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


@contextlib.contextmanager
def _translated(shown: str, wanted: Sequence[str]) -> Iterator[None]:
    """Turn the library's errors into ours; their texts are the server's, and stay out."""
    try:
        yield
    except HangupException as error:
        raise errors.StorageUnavailable(f"{shown} ended its answer early.") from error
    except GitProtocolError as error:
        said = str(error)
        if wanted and ("not our ref" in said or "invalid object" in said):
            raise errors.ArtifactNotFound(
                f"{shown} has no commit {wanted[0]}, or gives no commit that no branch or tag names.",
                remedy="Name a branch or a tag.",
            ) from None
        if "shallow" in said:
            raise errors.StorageError(f"{shown} cannot send a commit without its history.") from None
        if "Length of pkt" in said:
            raise errors.StorageUnavailable(f"{shown} ended its answer early.") from None
        raise errors.StorageError(f"{shown} answered something that is not git's protocol, or an error.") from None
    except (AssertionError, ValueError, IndexError) as error:  # what the library raises where it expects too much
        raise errors.StorageError(f"{shown} answered something that is not git's protocol.") from error
