"""Finding files in a file share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from fairlead import RemoteObject, errors
from fairlead_storage_azure.service import name_of

if TYPE_CHECKING:
    from fairlead_storage_azure.places import Place
    from fairlead_storage_azure.service import Service

__all__ = ["below", "exact"]

_LIST: Final = {"restype": "directory", "comp": "list", "include": "ETag"}


def exact(service: Service, place: Place) -> RemoteObject | None:
    """The file of that very name; None where there is none, or a folder."""
    path = f"{place.container}/{place.path}"
    found = service.properties(path)
    if found is None or found.get("x-ms-type", "File") != "File":
        return None
    length, tag, md5 = (found.get(each) for each in ("Content-Length", "ETag", "Content-MD5"))
    return service.described(place.name, path, length, tag, md5)


def below(service: Service, place: Place) -> Iterator[RemoteObject]:
    """All files below a folder, however deep, folder after folder."""
    folders = [""]
    while folders:
        folder = folders.pop()
        at = "/".join(part for part in (place.container, place.path, folder) if part)
        for entry in _entries(service, at):
            name = f"{folder}/{name_of(entry)}" if folder else name_of(entry)
            if entry.tag == "Directory":
                folders.append(name)
            elif entry.tag == "File":
                yield _described(service, name, f"{at}/{name_of(entry)}", entry)
            else:
                raise errors.StorageError(f"{name} of the share is neither a file nor a folder.")


def _entries(service: Service, path: str) -> Iterator[ET.Element]:
    marker: str | None = ""
    while marker is not None:
        page = service.document(path, {**_LIST, "marker": marker} if marker else _LIST)
        yield from page.iterfind("Entries/*")
        marker = page.findtext("NextMarker") or None


def _described(service: Service, name: str, path: str, entry: ET.Element) -> RemoteObject:
    length, tag = (entry.findtext(f"Properties/{each}") for each in ("Content-Length", "Etag"))
    return service.described(name, path, length, tag, None)  # listings of shares tell no MD5
