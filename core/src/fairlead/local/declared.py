"""What is declared now of Secrets, ConfigMaps and ServiceAccounts: in memory alone, and the same for all replicas."""

from __future__ import annotations

import dataclasses

from fairlead.resolve.secrets import Vault

__all__ = ["Declared"]


@dataclasses.dataclass(slots=True, eq=False)
class Declared:
    """Holds the vault of what is declared now, so that a change counts for whatever is done next.

    Attributes:
        vault: the objects.
    """

    vault: Vault = dataclasses.field(default_factory=Vault, repr=False)
