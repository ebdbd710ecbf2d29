"""What the tracking server hands out below a path, with tags that tell of changes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import http
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.contracts.storage import RemoteObject
from fairlead.storage.http import headers
from fairlead_storage_mlflow.server import Server, failure, length

if TYPE_CHECKING:
    from fairlead_storage_mlflow.addresses import Artifacts

__all__ = ["QUOTED", "items", "tagged"]

QUOTED: Final = '"'
"""What the tags of a server begin with, and those that are made here do not."""

_MAX_FILES: Final = 1_000_000
_MAX_DEPTH: Final = 200
_THREADS: Final = 8
_FIRST_BYTE: Final = {"Range": "bytes=0-0"}

_LOGGED_MODEL: Final = re.compile(r"(?:^|/)models/(m-[0-9a-f]{32})/artifacts(?:/|$)")
"""Where MLflow 3 keeps the files of a logged model."""

_EMPTY: Final = "empty"
"""The tag of a file without content: such a file has one content only."""


def items(server: Server, where: Artifacts, *, folder: bool) -> list[RemoteObject]:
    """Every artefact below a path, or the one that it names; none where there is none.

    Args:
        server: the tracking server.
        where: the path.
        folder: whether it must be a folder.

    Raises:
        StorageError: as `Server.ask`.
    """
    found = _walk(server, where)
    parent, _, wanted = where.path.rpartition("/")
    if found or folder or not parent:
        return found
    # Servers list nothing below a file.
    return [
        _item(server, where.authority, where.path, name, size)
        for name, is_folder, size in _entries(server.folder(where.authority, parent))
        if name == wanted and not is_folder
    ]


def _walk(server: Server, root: Artifacts) -> list[RemoteObject]:
    found: list[RemoteObject] = []
    ahead = [("", 0)]
    while ahead:
        prefix, depth = ahead.pop()
        if depth > _MAX_DEPTH or len(found) > _MAX_FILES:
            raise errors.StorageLimitExceeded(f"The folder {root.path!a} holds too many files or folders.")
        here = f"{root.path}/{prefix}".rstrip("/")
        for name, is_folder, size in _entries(server.folder(root.authority, here)):
            if is_folder:
                ahead.append((f"{prefix}{name}/", depth + 1))
            else:
                found.append(_item(server, root.authority, f"{here}/{name}", f"{prefix}{name}", size))
    return sorted(found, key=lambda item: item.name)


def _item(server: Server, authority: str, path: str, name: str, size: int | None) -> RemoteObject:
    model = _LOGGED_MODEL.search(path)
    # The files of a logged model are not meant to change; a run's may.
    tag = f"{model.group(1)} {path[model.end() :]} {size}" if model and size is not None else None
    return RemoteObject(name=name, key=server.artifact(authority, path), size=size, etag=tag, resumable=False)


def tagged(server: Server, listed: Sequence[RemoteObject]) -> list[RemoteObject]:
    """The same with the server's own tags, where it has some that stay the same from one request to the next.

    A server whose artefacts are in a bucket fetches each anew to hand it out: it takes no ranges, or its tags tell of
    its own copy. There, requests for the smallest file are all that is spent on it.
    """
    smallest = min(listed, key=lambda item: item.size or (1 << 62))
    first = _described(server, smallest)
    if first is None or _described(server, smallest) != first:
        return [*listed]
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        described = list(pool.map(lambda item: _described(server, item), listed))
    return [each or item for each, item in zip(described, listed, strict=True)]


def _described(server: Server, item: RemoteObject) -> RemoteObject | None:
    """An artefact with the server's tag and length; None where it gives no tag, or takes no range."""
    with contextlib.closing(server.send("GET", item.key, _FIRST_BYTE)) as answer:
        tag = answer.headers.get("ETag", "")
        _, total = headers.content_range(answer.headers.get("Content-Range"))
        status, announced = answer.status, length(answer)
        if status not in (
            http.HTTPStatus.OK,
            http.HTTPStatus.PARTIAL_CONTENT,
            http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        ):
            raise failure(answer)
    if status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or announced == 0:
        return dataclasses.replace(item, size=0, etag=_EMPTY)
    if status != http.HTTPStatus.PARTIAL_CONTENT or not tag.startswith(QUOTED) or total is None:
        return None
    return dataclasses.replace(item, size=total, etag=tag, resumable=True)


def _entries(files: Sequence[Any]) -> Iterator[tuple[str, bool, int | None]]:
    """Names, whether they are folders, and sizes; MLflow leaves a size of zero out."""
    for each in files:
        if not isinstance(each, dict) or not isinstance(each.get("path"), str) or not each["path"].strip("/"):
            raise errors.StorageError("The tracking server lists artefacts without a name.")
        size = each.get("file_size")
        length = int(size) if isinstance(size, (int, str)) and str(size).isdigit() else None
        yield each["path"].rstrip("/").rpartition("/")[2], each.get("is_dir") is True, length
