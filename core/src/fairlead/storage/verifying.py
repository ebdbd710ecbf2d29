"""Whether what is in the cache is still what was fetched."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.storage import cache, digests, eviction
from fairlead.storage.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Verified", "verify"]


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """What was found of one version.

    Attributes:
        uri: what was fetched, without what may be secret.
        folder: its folder.
        damaged: the files that are missing or are not what was fetched.
        removed: whether it is not in the cache any more.
        settled: whether it is known what all of its files should be; see `fairlead.storage.settling`.
    """

    uri: str
    folder: Path
    damaged: Sequence[str]
    removed: bool = False
    settled: bool = True


def verify(folder: Path, *, remove: bool = False) -> list[Verified]:
    """Read every file of the current versions in a cache, and compare it with what was fetched.

    Args:
        folder: the cache.
        remove: whether versions that are damaged are removed, unless they are in use; they are fetched again then.
    """
    found = []
    for path in sorted((folder / "artifacts").glob("*/record.json")):
        record = cache.read_record(path)
        if record is None:
            continue
        version = path.parent / "versions" / record.version
        damaged = [name for name, content in record.files.items() if not _is(version / name, content)]
        try:
            uri = json.loads(path.read_text(encoding="utf-8"))["uri"]
        except FileNotFoundError:
            continue  # it was evicted meanwhile
        removed = False
        if remove and damaged:
            for name in damaged:
                Blobs(folder).drop(record.files[name][1])
            removed = eviction.remove(folder, version)
        found.append(Verified(uri, version, damaged, removed, not record.unsettled(version)))
    return found


def _is(path: Path, content: cache.Content) -> bool:
    size, digest = content
    try:
        if path.lstat().st_size != size:
            return False
        return digest is None or digests.of_file(path, digests.Hashes(())).sha256 == digest
    except OSError:
        return False
