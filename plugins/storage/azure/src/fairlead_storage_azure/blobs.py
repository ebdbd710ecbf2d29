"""Finding blobs in a container."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from fairlead_storage_azure.service import name_of

if TYPE_CHECKING:
    from fairlead import RemoteObject
    from fairlead_storage_azure.places import Place
    from fairlead_storage_azure.service import Service

__all__ = ["below", "exact"]


def exact(service: Service, place: Place) -> RemoteObject | None:
    """The blob of that very name; None where there is none, or a folder."""
    path = f"{place.container}/{place.path}"
    found = service.properties(path)
    if found is None or found.get("x-ms-meta-hdi_isfolder") == "true" or found.get("x-ms-resource-type") == "directory":
        return None
    length, tag, md5 = (found.get(each) for each in ("Content-Length", "ETag", "Content-MD5"))
    return service.described(place.name, path, length, tag, md5)


def below(service: Service, place: Place) -> Iterator[RemoteObject]:
    """All blobs below a path, without what stands for a folder alone."""
    start = f"{place.path}/" if place.path else ""
    query = {"restype": "container", "comp": "list", "include": "metadata"}
    if start:
        query["prefix"] = start
    marker: str | None = ""
    while marker is not None:
        page = service.document(place.container, {**query, "marker": marker} if marker else query)
        for entry in page.iterfind("Blobs/Blob"):
            name = name_of(entry)
            if name.startswith(start) and not name.endswith("/") and not _is_folder(entry):
                yield _described(service, place.container, name, name.removeprefix(start), entry)
        marker = page.findtext("NextMarker") or None


def _is_folder(entry: ET.Element) -> bool:
    """Whether it is a folder of a hierarchical namespace, or what the drivers of Hadoop make in its place."""
    return (
        entry.findtext("Properties/ResourceType") == "directory"
        or (entry.findtext("Metadata/hdi_isfolder") or "").lower() == "true"
    )


def _described(service: Service, container: str, name: str, shown: str, entry: ET.Element) -> RemoteObject:
    length, tag, md5 = (entry.findtext(f"Properties/{each}") for each in ("Content-Length", "Etag", "Content-MD5"))
    return service.described(shown, f"{container}/{name}", length, tag, md5)
