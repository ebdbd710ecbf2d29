"""The keeper: what the next life of the platform has to know of each service, in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from fairlead import errors
from fairlead.resolve import ledger

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
        """What was saved of a service; empty where nothing was, or where it is broken: then it is set aside."""
        found = self._folder.load_json(_name(key))
        if found is None:
            return {}
        if problem := _problem(found):
            self._folder.set_aside_json(_name(key), problem)
            return {}
        return dict(found)

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


def _problem(record: object) -> str:
    """Why this is no record of a service; empty where it is one."""
    match record:
        case {"generation": int(), "tracks": dict(tracks)}:
            return next(filter(None, (_problem_of_track(name, each) for name, each in tracks.items())), "")
    return "it is no record of a service"


def _problem_of_track(name: str, track: object) -> str:
    match track:
        case {"ledger": kept, "manifests": dict(made)} if all(isinstance(each, dict) for each in made.values()):
            try:
                ledger.from_plain(kept, f"what was kept of {name}")
            except errors.ConfigurationError as error:
                return error.args[0] if error.args else str(error)
            return ""
    return f"what was kept of {name} is no record of a component"


def _name(key: Key) -> str:
    return f"service_{key[0]}_{key[1]}"  # neither has an underscore
