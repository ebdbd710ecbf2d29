"""Connections that a process has open to an address, as Linux lists them."""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.local.gateway.topology import Address

__all__ = ["open_to"]

_PROC: Final = Path("/proc")
_ESTABLISHED: Final = "01"


def open_to(address: Address, pid: int) -> int:
    """How many connections to an address a process has open; 0 where the system does not list them.

    Args:
        address: the far end of the connections.
        pid: the process at the near end.
    """
    ip = ipaddress.ip_address(address.host)
    # As proc(5) has it for tcp and tcp6: words of four bytes, each a number in the order of the machine.
    words = struct.unpack(f"={len(ip.packed) // 4}I", ip.packed)
    far = "".join(f"{word:08X}" for word in words) + f":{address.port:04X}"
    table = _PROC / str(pid) / "net" / ("tcp" if isinstance(ip, ipaddress.IPv4Address) else "tcp6")
    sockets: set[str] = set()
    with contextlib.suppress(OSError):
        for line in table.read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[2] == far and fields[3] == _ESTABLISHED:
                sockets.add(f"socket:[{fields[9]}]")
    return len(sockets & _files(pid)) if sockets else 0


def _files(pid: int) -> set[str]:
    """What the open files of a process are."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for each in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(each.readlink()))
    return found
