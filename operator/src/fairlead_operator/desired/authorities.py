"""The authorities that all init containers trust, copied from the operator's namespace to where services are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead_operator.desired.initializing import GLOBAL_BUNDLE

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

__all__ = ["KEY", "copied"]

KEY: Final = "cabundle.crt"
"""The key of the certificates."""


def copied(bundle: Manifest, namespace: str) -> Manifest:
    """The ConfigMap of a namespace with the authorities of the operator's.

    No service owns it: all of the namespace use it.

    Args:
        bundle: the ConfigMap of the operator's namespace.
        namespace: the namespace.

    Raises:
        ConfigurationError: it has no certificates at their key.
    """
    text = (bundle.get("data") or {}).get(KEY)
    if not text:
        raise errors.ConfigurationError(
            f"The ConfigMap {bundle['metadata']['name']} of the operator has no {KEY}.",
            remedy="Put the certificates of the authorities there, in PEM.",
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": GLOBAL_BUNDLE, "namespace": namespace},
        "data": {KEY: text},
    }
