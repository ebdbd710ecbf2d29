"""Archives that are unpacked while they arrive, and several that become one tree as the layers of an image do."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from fairlead import errors
from fairlead.contracts.storage import Unpacking
from fairlead.storage.cache import Slot
from fairlead.storage.layers import Tree
from fairlead.storage.settings import FetchSettings
from fairlead.testing.storage import RecordingProgress
from fairlead_tests.storage.buckets import bucket
from fairlead_tests.storage.conftest import MakeFetcher, leftovers
from fairlead_tests.storage.server import CHUNK, contents

if TYPE_CHECKING:
    from fairlead_tests.plugins.distributions import Site
    from fairlead_tests.storage.server import Server

MIB = 1024 * 1024
Member: TypeAlias = "tuple[str, bytes] | tarfile.TarInfo"
Image: TypeAlias = "Callable[..., dict[str, bytes]]"


def tar(*members: Member) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def compressed(kind: str, content: bytes) -> bytes:
    if kind == "tar.zst":
        return bytes(pytest.importorskip("zstandard").ZstdCompressor().compress(content))
    return gzip.compress(content, 1) if kind == "tar.gz" else content


@pytest.fixture
def image(server: Server, fetcher: MakeFetcher, site: Site) -> Image:
    """Fetch an image of these layers, and return what it becomes."""

    def fetch(*layers: bytes, **options: Any) -> dict[str, bytes]:
        unpacking = Unpacking(**{"kind": "tar", "layered": True, **options})
        tree = {f"layer-{number}": layer for number, layer in enumerate(layers)}
        return contents(fetcher().fetch(bucket(server, tree, unpacking=dict.fromkeys(tree, unpacking))).path)

    return fetch


# -- while it arrives ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.zst"])
@pytest.mark.parametrize("size", [3 * MIB, 20 * MIB])
def test_the_first_member_is_on_the_disk_before_the_last_byte_was_sent(
    server: Server, fetcher: MakeFetcher, cache: Path, kind: str, size: int
) -> None:
    first, rest = os.urandom(100_000), os.urandom(size)
    uri = server.put(f"/model.{kind}", compressed(kind, tar(("first", first), ("rest", rest))))
    content = server.files[f"/model.{kind}"]
    there = threading.Event()

    def look(sent: int) -> None:
        if sent >= len(content) - 2 * CHUNK and not there.is_set():
            deadline = threading.Event()
            for _ in range(1000):
                found = [path.stat().st_size for path in Slot(cache, uri).partial.rglob("first")]
                if found == [len(first)]:
                    there.set()
                    return
                deadline.wait(0.01)

    server.faults.on_chunk = look
    assert contents(fetcher().fetch(uri).path) == {"first": first, "rest": rest}
    assert there.is_set()


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.zst"])
def test_a_member_that_is_refused_stops_the_download(
    server: Server, fetcher: MakeFetcher, cache: Path, kind: str
) -> None:
    content = compressed(kind, tar(("../evil", os.urandom(500_000)), ("rest", os.urandom(60 * MIB))))
    refused = threading.Event()
    server.faults.on_chunk = lambda sent: void(sent < 8 * MIB or refused.wait(60))
    try:
        with pytest.raises(errors.UnsafeArtifact, match="evil"):
            fetcher().fetch(server.put(f"/model.{kind}", content))  # who waited for the rest would be told of silence
    finally:
        refused.set()
    assert server.sent < len(content) / 2
    assert leftovers(cache) == []


def test_an_archive_that_is_damaged_at_its_end_leaves_nothing(
    server: Server, fetcher: MakeFetcher, cache: Path
) -> None:
    content = gzip.compress(tar(("a", os.urandom(MIB))), 1)
    with pytest.raises(errors.IntegrityError):
        fetcher().fetch(server.put("/model.tar.gz", content[:-4] + bytes(4)))
    assert leftovers(cache) == []


def test_an_archive_that_changes_while_it_is_unpacked_is_never_a_mixture(server: Server, fetcher: MakeFetcher) -> None:
    old, new = (tar(*((f"{number}", os.urandom(MIB)) for number in range(20))) for _ in range(2))
    uri = server.put("/model.tar", old)
    server.faults.truncate_at = 9 * MIB

    def change() -> None:
        if server.sent:
            server.put("/model.tar", new)

    server.faults.before_get = change
    path = fetcher().fetch(uri).path
    with tarfile.open(fileobj=io.BytesIO(new)) as archive:
        assert contents(path) == {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]  # each is a file


def test_an_archive_whose_length_nobody_knows_is_unpacked(server: Server, fetcher: MakeFetcher) -> None:
    server.faults.no_length = True
    content = os.urandom(MIB)
    assert contents(fetcher().fetch(server.put("/model.tar", tar(("a", content)))).path) == {"a": content}


def test_a_large_zip_archive_is_unpacked(server: Server, fetcher: MakeFetcher) -> None:
    packed, content = io.BytesIO(), os.urandom(20 * MIB)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", content)
    assert contents(fetcher().fetch(server.put("/model.zip", packed.getvalue())).path) == {"a": content}


def test_an_archive_of_very_many_members_is_unpacked_in_little_time_for_each(
    server: Server, fetcher: MakeFetcher
) -> None:
    members = [(f"{number % 50}/{number}", b"x") for number in range(5000)]
    path = fetcher().fetch(server.put("/model.tar.gz", gzip.compress(tar(*members), 1))).path
    assert sum(1 for each in path.rglob("*") if each.is_file()) == 5000


# -- layers -------------------------------------------------------------------------------------------------


def test_a_later_layer_replaces_files_of_an_earlier_one(image: Image) -> None:
    found = image(tar(("a", b"old"), ("d/b", b"kept")), tar(("a", b"new"), ("d/c", b"added")))
    assert found == {"a": b"new", "d/b": b"kept", "d/c": b"added"}


def test_a_whiteout_removes_a_file_or_a_folder_of_an_earlier_layer(image: Image) -> None:
    first = tar(("a", b"a"), ("d/b", b"b"), ("d/e/c", b"c"), ("dd", b"dd"))
    assert image(first, tar(("d/.wh.e", b""), (".wh.a", b""))) == {"d/b": b"b", "dd": b"dd"}
    assert image(first, tar((".wh.d", b""))) == {"a": b"a", "dd": b"dd"}


def test_a_whiteout_says_nothing_of_its_own_layer(image: Image) -> None:
    assert image(tar(("a", b"old")), tar(("a", b"new"), (".wh.a", b""))) == {"a": b"new"}


def test_a_whiteout_of_what_is_not_there_is_nothing(image: Image) -> None:
    assert image(tar(("a", b"a")), tar((".wh.b", b""), ("c/.wh.d", b""))) == {"a": b"a"}


def test_an_opaque_folder_hides_what_earlier_layers_have_in_it(image: Image) -> None:
    first = tar(("d/a", b"a"), ("d/e/b", b"b"), ("de", b"kept"), ("c", b"c"))
    assert image(first, tar(("d/n", b"new"), ("d/.wh..wh..opq", b""))) == {"d/n": b"new", "de": b"kept", "c": b"c"}
    assert image(first, tar((".wh..wh..opq", b""), ("n", b"new"))) == {"n": b"new"}


def test_an_opaque_root_of_a_layer_that_goes_into_a_folder_leaves_what_is_beside_it(
    server: Server, fetcher: MakeFetcher, site: Site
) -> None:
    tree = {"model.bin": tar(("x", b"beside")), "layer": tar((".wh..wh..opq", b""), ("n", b"new"))}
    how = {"model.bin": Unpacking(kind="tar"), "layer": Unpacking(kind="tar", into="sub", layered=True)}
    assert contents(fetcher().fetch(bucket(server, tree, unpacking=how)).path) == {"x": b"beside", "sub/n": b"new"}


@pytest.mark.parametrize("name", [".wh.", "d/.wh.", ".wh..", "d/.wh..", ".wh...", "d/.wh..."])
def test_a_whiteout_of_no_name_is_refused(image: Image, cache: Path, name: str) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        image(tar(("d/a", b"a")), tar((name, b"")))
    assert leftovers(cache) == []


def test_whiteouts_are_bounded(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", "image", FetchSettings(cache=tmp_path, max_members=10), lambda: None)
    layer = tar(*((f".wh.{number}", b"") for number in range(11)))
    with pytest.raises(errors.StorageLimitExceeded, match="whiteouts"):
        tree.unpack("layer", Unpacking(kind="tar", layered=True), io.BytesIO(layer), len(layer))


def test_without_layers_a_name_like_a_whiteout_is_a_name(image: Image) -> None:
    assert image(tar(("a", b"a"), (".wh.a", b"b")), layered=False) == {"a": b"a", ".wh.a": b"b"}


def test_a_file_takes_the_place_of_a_folder_and_a_folder_that_of_a_file(image: Image) -> None:
    first = tar(("d/a", b"a"), ("d/e/b", b"b"), ("f", b"f"))
    assert image(first, tar(("d", b"file"), ("f/g", b"g"))) == {"d": b"file", "f/g": b"g"}


def test_a_folder_takes_the_place_of_a_link_so_that_nothing_is_written_through_it(image: Image) -> None:
    first = tar(("real/a", b"a"), link("d", "real"))
    assert image(first, tar(("d/b", b"b"))) == {"real/a": b"a", "d/b": b"b"}


def test_a_link_may_lead_to_a_file_of_another_layer(image: Image) -> None:
    assert image(tar(link("latest", "v/model"), ("v/old", b"o")), tar(("v/model", b"m"))) == {
        "latest": b"m",
        "v/model": b"m",
        "v/old": b"o",
    }


@pytest.mark.parametrize("second", [tar((".wh.a", b"")), tar(link("a", "/etc/passwd")), tar(link("a", "../../x"))])
def test_a_link_that_leads_nowhere_or_out_in_the_end_is_refused(image: Image, cache: Path, second: bytes) -> None:
    with pytest.raises(errors.UnsafeArtifact, match="link"):
        image(tar(("a", b"a"), ("b", b"b"), link("to", "a")), second)
    assert leftovers(cache) == []


def test_links_of_two_layers_that_lead_out_together_are_refused(image: Image) -> None:
    first = tar(("d/here", b""), link("d/up", ".."), ("x", b"x"))
    with pytest.raises(errors.UnsafeArtifact, match="outside"):
        image(first, tar(link("out", "d/up/..")))


def test_a_hard_link_within_a_layer_is_the_same_file(image: Image) -> None:
    assert image(tar(("a", b"a"), link("b", "a", tarfile.LNKTYPE))) == {"a": b"a", "b": b"a"}


def test_only_what_is_below_a_folder_is_kept(image: Image) -> None:
    first = tar(("models/a", b"a"), ("models-old/b", b"b"), ("etc/passwd", b"p"), link("etc/x", "/etc/shadow"))
    second = tar(("models/d/.wh.x", b""), ("models/.wh.b", b""), (".wh.models-old", b""), ("./models/c", b"c"))
    assert image(first, second, below="models") == {"a": b"a", "c": b"c"}


def test_what_is_not_kept_may_be_anything(image: Image) -> None:
    device = tarfile.TarInfo("dev/null")
    device.type = tarfile.CHRTYPE
    assert image(tar(device, ("models/a", b"a")), below="models") == {"a": b"a"}


def test_an_image_without_files_of_a_model_is_told(image: Image) -> None:
    with pytest.raises(errors.ArtifactNotFound, match="no files of a model"):
        image(tar(("etc/passwd", b"p")), below="models")


@pytest.mark.parametrize("into", ["..", "../..", "a/../..", "a//b"])
def test_a_folder_outside_is_refused_before_anything_is_put_there(image: Image, tmp_path: Path, into: str) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        image(tar(("evil", b"evil")), into=into)
    assert not list(tmp_path.rglob("evil"))


def test_packed_and_plain_objects_become_one_tree(server: Server, fetcher: MakeFetcher, site: Site) -> None:
    tree = {"config.json": b"{}", "weights": compressed("tar.gz", tar(("w/a", b"a"))), "code/run.py": b"run"}
    how = {"weights": Unpacking(kind="tar.gz", below="w", into="model")}
    found = contents(fetcher().fetch(bucket(server, tree, unpacking=how)).path)
    assert found == {"config.json": b"{}", "model/a": b"a", "code/run.py": b"run"}


def test_a_layer_that_is_not_what_its_digest_says_leaves_nothing(
    server: Server, fetcher: MakeFetcher, site: Site, cache: Path
) -> None:
    tree = {"layer-0": tar(("a", b"a")), "layer-1": tar(("b", b"b"))}
    how = dict.fromkeys(tree, Unpacking(kind="tar", layered=True))
    uri = bucket(server, tree, unpacking=how, lies={"layer-1": {"digest": "sha256:" + "0" * 64}})
    with pytest.raises(errors.IntegrityError, match="digest"):
        fetcher().fetch(uri)
    assert leftovers(cache) == []


def test_layers_that_were_fetched_before_a_failure_are_not_fetched_again(
    server: Server, fetcher: MakeFetcher, site: Site
) -> None:
    layers = {f"layer-{number}": tar((f"{number}", os.urandom(MIB))) for number in range(4)}
    uri = bucket(server, layers, unpacking=dict.fromkeys(layers, Unpacking(kind="tar", layered=True)), digests=True)
    server.faults.before_get = lambda: server.faults.broken.extend([503] * server.requests[-1].path.endswith("-2"))
    with pytest.raises(errors.StorageUnavailable):
        fetcher(retries=0, connections=1).fetch(uri)
    server.faults.before_get = None
    server.faults.broken.clear()
    progress = RecordingProgress()
    assert len(contents(fetcher(progress).fetch(uri).path)) == 4
    assert progress.arrived == len(layers["layer-3"])


def void(_result: object) -> None:
    """Nothing, of what has a result."""


def test_archives_together_unpack_to_no_more_than_a_fetch_may_have(tmp_path: Path) -> None:
    settings = FetchSettings(max_bytes=5 * MIB)
    tree = Tree(tmp_path / "unpacked", "x", settings, lambda: None)
    layer = tar(("model.bin", bytes(2 * MIB)))
    for number in range(2):
        tree.unpack(str(number), Unpacking(kind="tar"), io.BytesIO(layer), len(layer))
    with pytest.raises(errors.StorageLimitExceeded):
        tree.unpack("2", Unpacking(kind="tar"), io.BytesIO(layer), len(layer))


def test_archives_together_have_no_more_members_than_a_fetch_may_have(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "unpacked", "x", FetchSettings(max_members=3), lambda: None)
    layer = tar(("a", b"a"), ("b", b"b"))
    tree.unpack("0", Unpacking(kind="tar"), io.BytesIO(layer), len(layer))
    with pytest.raises(errors.StorageLimitExceeded, match="together"):
        tree.unpack("1", Unpacking(kind="tar"), io.BytesIO(layer), len(layer))
