"""Reading files of this machine."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from fairlead import errors
from fairlead.contracts.storage import RemoteObject, StorageProvider
from fairlead.storage import uris

__all__ = ["FileProvider"]

_CHUNK: Final = 1024 * 1024
_SHOWN: Final = 10


class FileProvider(StorageProvider):
    """Lists and reads ``file://`` URIs and bare paths; a bare path is relative to the working directory."""

    def list(self, uri: str) -> Sequence[RemoteObject]:
        """The file, or every file below the folder; links are followed, and a circle of links is walked once.

        Raises:
            ArtifactNotFound: there is nothing, with what is there instead; or a folder without files.
            AccessDenied: it may not be read.
            StorageError: it is a device, a pipe or a socket.
        """
        path = uris.local_path(uri)
        try:
            if path.is_file():
                return [_described(path, path.name)]
            if path.is_dir():
                found = [_described(file, file.relative_to(path).as_posix()) for file in _files(path, ())]
                if found:
                    return sorted(found, key=lambda item: item.name)
                raise errors.ArtifactNotFound(f"The folder {path} holds no files.")
            if path.exists():
                raise errors.StorageError(f"{path} is neither a file nor a folder.")
        except PermissionError as error:
            raise _denied(path) from error
        raise errors.ArtifactNotFound(f"There is nothing at {path}. {_nearby(path)}")

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content of a file from byte ``start`` up to, and without, byte ``end``.

        Raises:
            IntegrityError: the file was changed or removed since it was listed.
        """
        path = Path(item.key)
        try:
            with path.open("rb") as file:
                if item.etag is not None and _tag(os.fstat(file.fileno())) != item.etag:
                    raise errors.IntegrityError(f"{path} was changed after it was listed.")
                file.seek(start)
                left = _CHUNK if end is None else end - start
                while chunk := file.read(min(_CHUNK, left)):
                    left -= 0 if end is None else len(chunk)
                    yield chunk
        except FileNotFoundError:
            raise errors.IntegrityError(f"{path} was removed after it was listed.") from None
        except PermissionError as error:
            raise _denied(path) from error


def _files(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """The regular files below a folder; ``above`` are the folders on the way, by which a circle is seen."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, (*above, here))
        elif entry.is_file():
            yield entry


def _described(path: Path, name: str) -> RemoteObject:
    if not os.access(path, os.R_OK):
        raise _denied(path)
    status = path.stat()
    return RemoteObject(name=name, key=str(path), size=status.st_size, etag=_tag(status))


def _tag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _denied(path: Path) -> errors.AccessDenied:
    return errors.AccessDenied(f"{path} may not be read by user {os.geteuid()}.", remedy="Change its permissions.")


def _nearby(path: Path) -> str:
    """A sentence about what exists close to a path that does not."""
    parent = next((folder for folder in path.parents if folder.is_dir()), Path("/"))
    try:
        entries = sorted(entry.name for entry in parent.iterdir())
    except OSError:
        return f"The folder {parent} cannot be listed."
    wanted = path.relative_to(parent).parts[0]
    close = difflib.get_close_matches(wanted, entries, n=1)
    hint = f"; did you mean {parent / close[0]}?" if close else "."
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return f"{parent} holds {', '.join(entries[:_SHOWN]) or 'nothing'}{more}{hint}"
