"""What the server gives to Services: addresses and ports of nodes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead_apiserver.store import Object

__all__ = ["Allocator"]

_ADDRESSES: Final = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


class Allocator:
    """Hands out each address once."""

    def __init__(self) -> None:
        self._hosts = itertools.count(10)
        self._ports = itertools.count(30_000)

    def service(self, given: Object, old: Object | None) -> None:
        """Complete a Service, in place; what it has already stays its own."""
        spec: dict[str, Any] = given["spec"]
        before: dict[str, Any] = (old or {}).get("spec", {})
        if spec["type"] == "ExternalName":
            return
        for key in _ADDRESSES:
            if key in before and before.get("type") != "ExternalName":
                spec.setdefault(key, before[key])
        if "clusterIP" not in spec:
            host = next(self._hosts)
            spec["clusterIP"] = f"10.{96 + host // 65536}.{host // 256 % 256}.{host % 256}"
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec["type"] in ("NodePort", "LoadBalancer"):
            taken = {(each["port"], each["protocol"]): each.get("nodePort") for each in before.get("ports", ())}
            for port in spec.get("ports", ()):
                known = taken.get((port["port"], port["protocol"]))
                port.setdefault("nodePort", known or next(self._ports))
