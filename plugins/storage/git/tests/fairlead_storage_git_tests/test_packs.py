"""Packs that no git makes: a server that means harm may."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import pytest

from fairlead import errors
from fairlead_storage_git import indexing, packs


def head(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    out = []
    while size:
        out.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes([*out, first])


def entry(kind: int, content: bytes, *, size: int | None = None, base: bytes = b"") -> bytes:
    return head(kind, len(content) if size is None else size) + base + zlib.compress(content)


def pack(*entries: bytes, count: int | None = None) -> bytes:
    body = struct.pack(">4sLL", b"PACK", 2, len(entries) if count is None else count) + b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def index(tmp_path: Path, content: bytes, most: int = 10_000_000) -> dict[bytes, int]:
    path = tmp_path / "a.pack"
    path.write_bytes(content)
    return indexing.index(path, most=most, going=lambda: None)


def blob_id(content: bytes) -> bytes:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest()


def delta(base: int, result: bytes) -> bytes:
    """Instructions that make a short result of any base."""
    return bytes([base, len(result), len(result)]) + result


def test_deltas_are_found_by_place_and_by_id(tmp_path: Path) -> None:
    first = entry(packs.BLOB, b"base")
    second = entry(6, delta(4, b"second"), base=bytes([len(first)]))
    third = entry(7, delta(6, b"third"), base=blob_id(b"second"))
    found = index(tmp_path, pack(first, second, third))
    assert set(found) == {blob_id(b"base"), blob_id(b"second"), blob_id(b"third")}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PACK",
        b"JUNK" + pack()[4:],
        pack(entry(packs.BLOB, b"a"), count=2),
        pack(entry(packs.BLOB, b"a"), count=0),
        pack(entry(packs.BLOB, b"a")) + b"more",
        pack(entry(packs.BLOB, b"a"))[:-1],
        pack(entry(packs.BLOB, b"a"))[:-1] + b"!",
        pack(entry(packs.BLOB, bytes(5_000_000), size=10)),
        pack(entry(packs.BLOB, b"short", size=500)),
        pack(entry(0, b"no kind")),
        pack(entry(5, b"no kind")),
        pack(entry(6, delta(4, b"x"), base=bytes([120]))),
        pack(entry(6, delta(4, b"x"), base=bytes([0]))),
        pack(entry(7, delta(4, b"x"), base=b"0" * 20)),
        pack(entry(packs.BLOB, b"base"), entry(7, delta(9, b"x"), base=blob_id(b"base"))),
        pack(entry(packs.BLOB, b"base"), entry(7, b"", base=blob_id(b"base"))),
        pack(entry(packs.BLOB, b"base"), entry(7, bytes([4, 9, 0x91, 200, 9]), base=blob_id(b"base"))),
        pack(b"\xff" * 30),
    ],
)
def test_a_pack_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises((packs.Corrupt, errors.StorageLimitExceeded)):  # what follows may look like a huge object
        index(tmp_path, content)


def test_what_inflates_too_far_is_refused_before_it_does(tmp_path: Path) -> None:
    for most, content in ((1000, bytes(1001)), (1_500_000, bytes(1_000_000))):
        bomb = pack(entry(packs.BLOB, content), entry(packs.BLOB, content + b"!"))
        with pytest.raises(errors.StorageLimitExceeded, match="GIT_MAX_BYTES"):
            index(tmp_path, bomb, most=most)


def test_a_delta_that_says_it_becomes_huge_is_refused(tmp_path: Path) -> None:
    size = packs.HELD + 1
    huge = bytes([4]) + bytes((size >> shift & 0x7F) | (0x80 if size >> shift + 7 else 0) for shift in range(0, 35, 7))
    with pytest.raises(errors.StorageLimitExceeded):
        index(tmp_path, pack(entry(packs.BLOB, b"base"), entry(7, huge + b"\x01x", base=blob_id(b"base"))))


def test_more_objects_than_any_model_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.StorageLimitExceeded):
        index(tmp_path, pack(count=4_000_000_000))
