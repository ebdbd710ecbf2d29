"""The keeper: what the next life of the platform has to know of each service, in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.local.folder import Folder
    from fairlead.local.service import Key, Service

__all__ = ["Keeper"]

_Version: TypeAlias = tuple[Any, ...]


class Keeper:
    """Saves what changed, and nothing else.

    Args:
        folder: the folder of the platform.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._saved: dict[Key, _Version] = {}

    def load(self, key: Key) -> Mapping[str, Any]:
        """What was saved of a service; empty where nothing was."""
        found = self._folder.load_json(_name(key))
        return found if isinstance(found, dict) else {}

    def save(self, service: Service) -> str | None:
        """Save a service if it changed; returns why that is not possible, if it is not."""
        version = (service.generation, *((name, each.ledger) for name, each in sorted(service.tracks.items())))
        if service.deleted or self._saved.get(service.key) == version:
            return None
        try:
            self._folder.save_json(_name(service.key), service.record())
        except errors.FairleadError as error:
            return str(error)
        self._saved[service.key] = version
        return None

    def forget(self, key: Key) -> None:
        """Remove what was saved of a service."""
        self._saved.pop(key, None)
        self._folder.remove_json(_name(key))


def _name(key: Key) -> str:
    return f"service_{key[0]}_{key[1]}"  # neither has an underscore
