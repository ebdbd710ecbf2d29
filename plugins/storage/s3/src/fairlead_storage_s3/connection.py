"""Connections to a service: each address judged when it is connected to, and redirects not followed."""

from __future__ import annotations

import contextlib
import socket
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.storage.http import addresses
from fairlead.storage.http.addresses import Reach
from fairlead.storage.settings import NETWORK_VARIABLE, NetworkPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["bounded", "http_session", "judged_sockets"]

_BUFFER: Final = 512 * 1024
"""Bytes that one connection reads ahead; at aiohttp's own 64 KiB the reader pauses every few packets."""


_left: ContextVar[list[int] | None] = ContextVar("_left", default=None)
"""How many requests a call may still make; one list for all that is done for it."""


@contextlib.contextmanager
def bounded(requests: int) -> Iterator[None]:
    """Around a call that may make so many requests.

    When an answer redirects and names no region, botocore asks for the bucket; where that answer redirects as well, it
    asks again, for ever.
    """
    token = _left.set([requests])
    try:
        yield
    finally:
        _left.reset(token)


def judged_sockets(network: NetworkPolicy) -> Callable[[Any], socket.socket]:
    """Make sockets to addresses that may be connected to.

    A name that resolves to another address than before, a bucket's own host and a region that the service names are
    judged here, and not only what a user gave.
    """

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        reach = addresses.classify(address[0])
        if reach is Reach.FORBIDDEN or (network is NetworkPolicy.PUBLIC and reach is not Reach.PUBLIC):
            rule = f" by {NETWORK_VARIABLE}=public" if reach is not Reach.FORBIDDEN else ""
            raise errors.UnsafeArtifact(
                f"The address {address[0]} is {reach}, which must not be connected to{rule}.",
                remedy="Link-local, metadata, unspecified and multicast addresses are never allowed.",
            )
        return socket.socket(family, kind, protocol)

    return make


def http_session(made: list[Any]) -> type[Any]:
    """What aiobotocore sends with, and redirects are not followed: it would take the session token to another host.

    An answer that redirects goes to botocore instead, which signs anew for the bucket's region.

    Args:
        made: gets what is made of it.
    """
    from aiobotocore.httpsession import AIOHTTPSession

    if not hasattr(AIOHTTPSession, "_get_session"):  # the one name here that aiobotocore does not promise
        raise errors.StorageError("This version of aiobotocore cannot be kept from following redirects.")

    class Direct(AIOHTTPSession):  # type: ignore[misc, unused-ignore]  # it has no types
        def __init__(self, *positional: Any, **named: Any) -> None:
            super().__init__(*positional, **named)
            made.append(self)

        async def _get_session(self, proxy_url: str | None) -> Any:
            return _Unredirected(await super()._get_session(proxy_url))

    return Direct


class _Unredirected:
    """A client session of aiohttp, as far as aiobotocore uses it."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def request(self, method: str, **arguments: Any) -> Any:
        left = _left.get()
        if left is not None:
            if left[0] == 0:
                raise errors.StorageError(
                    "The service redirects without an end, or without saying where to.",
                    remedy="Set AWS_DEFAULT_REGION to the region of the bucket, or correct the endpoint.",
                )
            left[0] -= 1
        return self._session.request(method, allow_redirects=False, read_bufsize=_BUFFER, **arguments)
