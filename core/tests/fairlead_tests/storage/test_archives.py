from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.storage import archives
from fairlead.storage.settings import FetchSettings
from fairlead_tests.storage.server import contents, memory

MIB = 1024 * 1024


def unpack(archive: Path, target: Path, **limits: float) -> None:
    settings = FetchSettings(cache=target.parent, **limits)  # type: ignore[arg-type]  # limits by name
    kind = archives.kind_of(archive.name)
    assert kind is not None
    with archive.open("rb") as source:
        packed = archives.Archive(archive.name, kind, source, archive.stat().st_size)
        place = archives.Target(target, packed, settings, lambda: None)
        archives.unpack(packed, place)
        place.finish()


def tar(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is a parameter here
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        (".tar", "w"),
        (".tar.gz", "w:gz"),
        (".tgz", "w:gz"),
        (".tar.bz2", "w:bz2"),
        (".tar.xz", "w:xz"),
    ],
)
def test_every_kind_of_tar_unpacks_to_what_was_packed(tmp_path: Path, suffix: str, mode: str) -> None:
    big = os.urandom(300_000)
    archive = tar(tmp_path / f"m{suffix}", ("./a.bin", big), ("./1/b.bin", b"b"), ("empty", b""), mode=mode)
    unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == {"a.bin": big, "1/b.bin": b"b", "empty": b""}


def test_an_archive_of_the_system_tar_unpacks(tmp_path: Path) -> None:
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "model" / "1" / ("n" * 150)).write_bytes(b"long")
    (tmp_path / "model" / "run.sh").write_bytes(b"x")
    (tmp_path / "model" / "run.sh").chmod(0o755)
    (tmp_path / "model" / "latest").symlink_to("1")
    subprocess.run(["tar", "-czf", "model.tar.gz", "-C", "model", "."], cwd=tmp_path, check=True)
    unpack(tmp_path / "model.tar.gz", tmp_path / "out")
    assert (tmp_path / "out" / "latest" / ("n" * 150)).read_bytes() == b"long"
    assert (tmp_path / "out" / "run.sh").stat().st_mode & 0o777 == 0o755


def test_a_zip_unpacks_to_what_was_packed(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "m.zip", ("a.bin", b"a" * 100_000), ("1/", b""), ("1/b.bin", b""))
    unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == {"a.bin": b"a" * 100_000, "1/b.bin": b""}


def test_an_archive_inside_an_archive_stays_packed(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", ("../evil", b"x")).read_bytes()
    unpack(tar(tmp_path / "m.tar", ("inner.zip", inner)), tmp_path / "out")
    assert contents(tmp_path / "out") == {"inner.zip": inner}


EVIL_NAMES = ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil", "a//b", "a\nb"]


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_a_tar_member_whose_name_leaves_the_target_is_refused(tmp_path: Path, name: str) -> None:
    archive = tar(tmp_path / "m.tar", (name, b"evil"))
    with pytest.raises(errors.UnsafeArtifact):
        unpack(archive, tmp_path / "in" / "out")
    assert contents(tmp_path) == {"m.tar": archive.read_bytes()}


@pytest.mark.parametrize("name", [*EVIL_NAMES, "a\0b", "evil/../../x/"])
def test_a_zip_member_whose_name_leaves_the_target_is_refused(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    archive = zipped(tmp_path / "m.zip", (info, b"evil"))
    with pytest.raises(errors.UnsafeArtifact):
        unpack(archive, tmp_path / "in" / "out")
    assert contents(tmp_path) == {"m.zip": archive.read_bytes()}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symbolic", "hard"])
@pytest.mark.parametrize("link", ["/etc/passwd", "../secret", "a/../../secret", "missing"])
def test_a_link_that_leaves_the_target_is_refused(tmp_path: Path, kind: bytes, link: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    archive = tar(tmp_path / "m.tar", ("file", b"x"), special("link", kind, link))
    with pytest.raises(errors.UnsafeArtifact):
        unpack(archive, tmp_path / "out")


def test_links_that_leave_the_target_only_together_are_refused(tmp_path: Path) -> None:
    archive = tar(
        tmp_path / "m.tar",
        ("file", b"x"),
        special("d/here", tarfile.SYMTYPE, ".."),
        special("out", tarfile.SYMTYPE, "d/here/.."),
    )
    with pytest.raises(errors.UnsafeArtifact, match="outside the target"):
        unpack(archive, tmp_path / "in" / "out")


@pytest.mark.parametrize("link", ["inside", "../outside"])
def test_nothing_is_written_through_a_link(tmp_path: Path, link: str) -> None:
    (tmp_path / "outside").mkdir()
    archive = tar(
        tmp_path / "m.tar", ("inside/a", b"x"), special("link", tarfile.SYMTYPE, link), ("link/evil", b"evil")
    )
    with pytest.raises(errors.UnsafeArtifact):
        unpack(archive, tmp_path / "out")
    assert not list(tmp_path.rglob("evil"))


def test_nothing_is_written_through_a_hard_link(tmp_path: Path) -> None:
    archive = tar(tmp_path / "m.tar", ("a", b"x"), special("b", tarfile.LNKTYPE, "a"), ("b", b"evil"))
    with pytest.raises(errors.UnsafeArtifact, match="two files of the same name"):
        unpack(archive, tmp_path / "out")


def test_links_within_the_target_are_kept(tmp_path: Path) -> None:
    archive = tar(
        tmp_path / "m.tar",
        special("latest", tarfile.SYMTYPE, "v2/model.bin"),
        ("v2/model.bin", b"two"),
        special("same", tarfile.LNKTYPE, "v2/model.bin"),
    )
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "latest").read_bytes() == (tmp_path / "out" / "same").read_bytes() == b"two"


def test_a_symbolic_link_in_a_zip_is_judged_as_one(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(errors.UnsafeArtifact, match="outside the target"):
        unpack(zipped(tmp_path / "m.zip", ("a", b"a"), (info, b"../../etc/passwd")), tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.FIFOTYPE, "named pipe"),
        (b"Z", "unknown kind"),
    ],
)
def test_a_member_that_is_no_file_is_refused(tmp_path: Path, kind: bytes, word: str) -> None:
    with pytest.raises(errors.UnsafeArtifact, match=word):
        unpack(tar(tmp_path / "m.tar", special("x", kind)), tmp_path / "out")


def test_setuid_and_other_odd_modes_are_not_kept(tmp_path: Path) -> None:
    info = tarfile.TarInfo("tool")
    info.mode = 0o7777
    unpack(tar(tmp_path / "m.tar", info), tmp_path / "out")
    mode = (tmp_path / "out" / "tool").stat().st_mode
    assert stat.S_IMODE(mode) & 0o7022 == 0
    assert mode & stat.S_IXUSR


@pytest.mark.parametrize("pack", [tar, zipped])
def test_names_that_differ_in_case_only_are_refused(tmp_path: Path, pack: Callable[..., Path]) -> None:
    archive = pack(tmp_path / ("m.tar" if pack is tar else "m.zip"), ("Model", b"1"), ("model", b"2"))
    with pytest.raises(errors.UnsafeArtifact, match="upper from lower case"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_too_many_members_are_refused(tmp_path: Path, suffix: str) -> None:
    members = [(f"{number}", b"") for number in range(101)]
    pack = tar if suffix == ".tar" else zipped
    with pytest.raises(errors.StorageLimitExceeded, match="100"):
        unpack(pack(tmp_path / f"m{suffix}", *members), tmp_path / "out", max_members=100)


def test_a_tar_of_very_many_members_is_left_at_the_limit(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "m.tar.gz", "wb", compresslevel=1) as file:
        for number in range(20_000):
            file.write(special(f"{number}", tarfile.DIRTYPE).tobuf())
    with memory() as peak, pytest.raises(errors.StorageLimitExceeded, match="more than 10000 members"):
        unpack(tmp_path / "m.tar.gz", tmp_path / "out", max_members=10_000)
    assert peak[0] < 8 * 1024 * 1024


def test_the_list_of_members_of_a_zip_is_refused_before_it_is_read_when_it_is_too_long(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "m.zip", *((f"{number}", b"") for number in range(25_000)))
    with memory() as peak, pytest.raises(errors.StorageLimitExceeded, match="list of members"):
        unpack(archive, tmp_path / "out", max_members=10)
    assert peak[0] < 2 * 1024 * 1024


@pytest.mark.parametrize("size", [40 * MIB, 10 * MIB])
@pytest.mark.parametrize(
    ("suffix", "compress"), [(".tar.gz", gzip.compress), (".tar.bz2", bz2.compress), (".tar.xz", lzma.compress)]
)
def test_a_decompression_bomb_is_refused_before_it_fills_the_disk(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], size: int
) -> None:
    plain = tar(tmp_path / "plain.tar", *((f"zeros{number}", bytes(size)) for number in range(40 * MIB // size)))
    (tmp_path / f"m{suffix}").write_bytes(compress(plain.read_bytes()))
    with pytest.raises(errors.StorageLimitExceeded, match="unpacks to more than 16777216 bytes"):
        unpack(tmp_path / f"m{suffix}", tmp_path / "out")
    assert sum(map(len, contents(tmp_path / "out").values())) <= archives.RATIO_FLOOR


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "m.zip", *((f"{number}", bytes(1024 * 1024)) for number in range(20)))
    with pytest.raises(errors.StorageLimitExceeded):
        unpack(archive, tmp_path / "out")


def test_an_archive_may_not_unpack_to_more_than_the_limit(tmp_path: Path) -> None:
    archive = tar(tmp_path / "m.tar", ("a", os.urandom(200_000)))
    with pytest.raises(errors.StorageLimitExceeded, match="100000"):
        unpack(archive, tmp_path / "out", max_expanded_bytes=100_000)


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_a_sparse_petabyte_is_refused_without_writing_it(tmp_path: Path, form: str) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(8 * 1024**3)
    subprocess.run(["tar", "-Scf", "m.tar", f"--format={form}", "sparse"], cwd=tmp_path, check=True)
    with pytest.raises(errors.UnsafeArtifact, match="sparse file"):
        unpack(tmp_path / "m.tar", tmp_path / "out")


def test_a_member_that_announces_a_petabyte_is_refused_at_once(tmp_path: Path) -> None:
    info = tarfile.TarInfo("huge")
    info.size = 1 << 50
    (tmp_path / "m.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    with pytest.raises(errors.StorageLimitExceeded):
        unpack(tmp_path / "m.tar", tmp_path / "out")


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    long_name = special("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=200 * 1024 * 1024).tobuf()
    with gzip.open(tmp_path / "m.tar.gz", "wb") as file:
        file.write(long_name)
        for _ in range(200):
            file.write(b"a" * 1024 * 1024)
    with pytest.raises(errors.StorageLimitExceeded, match="headers of more than"):
        unpack(tmp_path / "m.tar.gz", tmp_path / "out")


def test_attributes_that_pile_up_from_member_to_member_are_refused(tmp_path: Path) -> None:
    archive = io.BytesIO()
    for number in range(100):
        info = tarfile.TarInfo(f"f{number}")
        archive.write(info.create_pax_global_header({f"key{number}": "v" * 100}))
        archive.write(info.tobuf(tarfile.USTAR_FORMAT))
    archive.write(bytes(2 * tarfile.BLOCKSIZE))
    (tmp_path / "m.tar").write_bytes(archive.getvalue())
    with pytest.raises(errors.StorageLimitExceeded, match="global attributes"):
        unpack(tmp_path / "m.tar", tmp_path / "out")


def test_headers_that_nest_without_end_are_refused(tmp_path: Path) -> None:
    header = special("x", tarfile.XHDTYPE).tobuf()
    (tmp_path / "m.tar").write_bytes(header * 1900 + bytes(1024))
    with pytest.raises(errors.StorageError):
        unpack(tmp_path / "m.tar", tmp_path / "out")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_truncated_archive_is_damaged_and_never_half_a_model(tmp_path: Path, suffix: str, kept: float) -> None:
    members = [(f"{number}.bin", os.urandom(5_000)) for number in range(10)]
    path = tmp_path / f"m{suffix}"
    if suffix == ".zip":
        zipped(path, *members)
    else:
        tar(path, *members, mode={".tar": "w", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}[suffix])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(errors.IntegrityError, match=r"damaged or incomplete|announces"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_a_file_that_is_no_archive_is_damaged(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"m{suffix}").write_bytes(b"not an archive " * 100)
    with pytest.raises(errors.IntegrityError):
        unpack(tmp_path / f"m{suffix}", tmp_path / "out")


def test_a_tar_cut_between_two_members_is_damaged(tmp_path: Path) -> None:
    path = tar(tmp_path / "m.tar", ("a", b"a" * 512), ("b", b"b" * 512))
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(errors.IntegrityError, match="no end"):
        unpack(path, tmp_path / "out")


def test_a_changed_byte_in_a_compressed_archive_is_noticed(tmp_path: Path) -> None:
    for suffix, pack in ((".tar.gz", tar), (".zip", zipped)):
        content = os.urandom(50_000)
        options = {"mode": "w:gz"} if pack is tar else {}
        path = pack(tmp_path / f"m{suffix}", ("a", content), **options)
        raw = bytearray(path.read_bytes())
        raw[25_000] ^= 0xFF
        path.write_bytes(raw)
        with pytest.raises(errors.IntegrityError):
            unpack(path, tmp_path / suffix)


@pytest.mark.parametrize("lie", [0, 10, 1 << 20, (1 << 64) - 2])
def test_zip_sizes_that_lie_are_noticed(tmp_path: Path, lie: int) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(os.urandom(1000))
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\x01\x02")
    if lie < 1 << 32:
        raw[entry + 24 : entry + 28] = struct.pack("<L", lie)
    else:
        # The size moves to a zip64 extra field, and the entry says that it is there.
        raw[entry + 24 : entry + 28] = b"\xff" * 4
        raw[entry + 30 : entry + 32] = struct.pack("<H", 12)
        raw[entry + 47 : entry + 47] = struct.pack("<HHQ", 1, 8, lie)
        end = raw.rindex(b"PK\x05\x06")
        raw[end + 12 : end + 16] = struct.pack("<L", end - entry)
    path.write_bytes(raw)
    with pytest.raises((errors.IntegrityError, errors.StorageLimitExceeded)):
        unpack(path, tmp_path / "out")


def test_a_link_in_a_zip_that_unpacks_to_more_than_it_announces_takes_little_memory(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive = zipped(tmp_path / "m.zip", (info, bytes(100 * MIB)))
    content = bytearray(archive.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 100)
    archive.write_bytes(content)
    with memory() as peak, pytest.raises(errors.StorageError):
        unpack(archive, tmp_path / "out")
    assert peak[0] < 50 * MIB


def test_a_zip_whose_offsets_lead_before_its_start_is_damaged(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "m.zip", ("a", b"1"))
    content = bytearray(archive.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 42 : entry + 46] = struct.pack("<I", 0)
    content[end + 16 : end + 20] = struct.pack("<I", entry + 50)
    archive.write_bytes(content)
    with pytest.raises(errors.IntegrityError, match="damaged"):
        unpack(archive, tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "m.zip", ("a", b"a"))
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(errors.UnsafeArtifact, match="encrypted"):
        unpack(path, tmp_path / "out")


def test_a_zip_method_without_a_bound_on_memory_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a", bytes(1000))
    with pytest.raises(errors.UnsafeArtifact, match="stored or deflated"):
        unpack(tmp_path / "m.zip", tmp_path / "out")


def test_an_archive_without_files_is_no_artefact(tmp_path: Path) -> None:
    with pytest.raises(errors.ArtifactNotFound, match="holds no files"):
        unpack(tar(tmp_path / "m.tar", special("folder", tarfile.DIRTYPE)), tmp_path / "out")


def test_unpacking_a_large_archive_takes_little_memory(tmp_path: Path) -> None:
    tar(tmp_path / "m.tar.gz", ("a", os.urandom(30 * 1024 * 1024)), mode="w:gz")
    with memory() as peak:
        unpack(tmp_path / "m.tar.gz", tmp_path / "out")
    assert peak[0] < 4 * 1024 * 1024


def test_importing_the_fetcher_loads_no_archive_client_or_terminal_library() -> None:
    script = "import sys, fairlead.storage.fetcher; print(*{'urllib3', 'rich', 'tarfile', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
