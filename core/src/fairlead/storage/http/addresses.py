"""Which addresses may be connected to.

A name is resolved once, every address is judged, and the connection is made to an address that was judged. So it does
not matter how an address is spelled (``0x7f.1``, ``2130706433``, ``::ffff:127.0.0.1``, a name that resolves to it), nor
what the name resolves to a moment later.
"""

from __future__ import annotations

import enum
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from fairlead import errors
from fairlead.storage.settings import NETWORK_VARIABLE, NetworkPolicy

__all__ = ["Reach", "Resolve", "allowed", "classify", "may_reach"]

Resolve: TypeAlias = "Callable[..., Sequence[tuple[Any, ...]]]"
"""Resolves a name; `socket.getaddrinfo`."""

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

_METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "fd00:ec2::254",  # Amazon EC2 over IPv6
        "fd00:ec2::23",  # Amazon EKS pod identities over IPv6
        "fd20:ce::254",  # Google Compute Engine over IPv6
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's wire server
        "192.0.0.192",  # Oracle Cloud
    )
)
"""Metadata services outside the link-local ranges. They hand out credentials to whoever asks."""

_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""What of IPv6 is routed between networks; `ipaddress` takes all else that no registry names for public."""

_V4_COMPATIBLE: Final = ipaddress.ip_network("::/96")
_V4_INSIDE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64 within a network, RFC 8215
        "::ffff:0:0:0/96",  # IPv4-translated, RFC 7915
    )
)
"""Ranges whose last 32 bits are an IPv4 address."""

_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")


class Reach(enum.StrEnum):
    """How far an address reaches."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    FORBIDDEN = "forbidden"


def classify(text: str) -> Reach:
    """Say how far an address reaches; an IPv4 address inside an IPv6 one is judged as what it is."""
    address = _unwrapped(ipaddress.ip_address(text.partition("%")[0]))
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return Reach.FORBIDDEN
    if isinstance(address, ipaddress.IPv4Address) and (address in _THIS_NETWORK or address.is_reserved):
        return Reach.FORBIDDEN  # the reserved range ends with the broadcast address
    if address.is_loopback:
        return Reach.LOOPBACK
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return Reach.PRIVATE
    return Reach.PUBLIC if address.is_global else Reach.PRIVATE


def _unwrapped(address: _Address) -> _Address:
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return inner
    low = int(address) & 0xFFFFFFFF
    if any(address in network for network in _V4_INSIDE) or (address in _V4_COMPATIBLE and low > 1):
        return ipaddress.IPv4Address(low)
    return address


def allowed(
    host: str, port: int, policy: NetworkPolicy, came_from: Reach | None, resolve: Resolve
) -> list[tuple[str, Reach]]:
    """The addresses of a host that may be connected to.

    Args:
        host: a name or an address, without brackets.
        port: the port.
        policy: which addresses a user's own URI may name.
        came_from: for a redirect, how far the address reaches that sent it.
        resolve: resolves the name.

    Raises:
        StorageUnavailable: the name cannot be resolved.
        UnsafeArtifact: none of its addresses may be connected to.
    """
    try:
        answers = resolve(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a host name"
        raise errors.StorageUnavailable(f"The host {host} cannot be resolved: {reason}.") from error
    judged = {answer[4][0]: classify(answer[4][0]) for answer in answers}
    good = [(address, reach) for address, reach in judged.items() if may_reach(reach, policy, came_from)]
    if good:
        return good
    seen = ", ".join(f"{address} ({reach})" for address, reach in judged.items()) or "no address"
    if came_from is not None and policy is NetworkPolicy.ANY and Reach.FORBIDDEN not in judged.values():
        raise errors.UnsafeArtifact(
            f"A redirect from a {came_from} address leads to {host}, which is {seen}.",
            remedy="If that is meant, give the address that it leads to.",
        )
    rule = f" by {NETWORK_VARIABLE}=public" if policy is NetworkPolicy.PUBLIC else ""
    raise errors.UnsafeArtifact(
        f"The host {host} is {seen}, which must not be connected to{rule}.",
        remedy="Link-local, metadata, unspecified and multicast addresses are never allowed.",
    )


def may_reach(reach: Reach, policy: NetworkPolicy, came_from: Reach | None) -> bool:
    """Whether an address that reaches so far may be connected to; see `allowed`."""
    if reach is Reach.PUBLIC:
        return True
    if reach is Reach.FORBIDDEN or policy is NetworkPolicy.PUBLIC:
        return False
    return came_from in (None, reach)
