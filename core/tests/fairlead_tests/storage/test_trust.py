"""A cache that several services share: none of them reads, or changes, what another one fetched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.storage import eviction, verifying
from fairlead_tests.storage.buckets import BucketProvider
from fairlead_tests.storage.server import Server, contents, etag_of, serving
from fairlead_tests.storage.stopping import sha256

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject
    from fairlead_tests.plugins.distributions import Site
    from fairlead_tests.storage.conftest import MakeFetcher

CONTENT = b"weights of a private model" * 100
FORGED = b"weights of somebody else's" * 100
URI = "shelf://models"

_PLUGIN = """
from fairlead import StorageSpec, hookimpl

@hookimpl
def fairlead_storage_providers():
    return [StorageSpec(name={name!r}, prefixes=("shelf://",), factory="fairlead_tests.storage.test_trust:Shelf",
                        credentials=("SHELF_*",), origins=("SHELF_URL",), immutable=("shelf://.*@fixed",))]
"""


class Shelf(BucketProvider):
    """What the server at SHELF_URL has: anybody may list it, and to read it takes SHELF_TOKEN, where there is one."""

    def _root(self, uri: str) -> str:
        url = self.credentials.get("SHELF_URL") or os.environ["SHELF_URL"]
        return f"{url.replace('http://', 'bucket://')}/{uri.removeprefix('shelf://').partition('@')[0]}"

    def list(self, uri: str) -> Sequence[RemoteObject]:
        return super().list(self._root(uri))

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        if item.name != "index.json" and self.credentials.get("SHELF_TOKEN", "") != os.environ.get("SHELF_ASKS", ""):
            raise errors.AccessDenied("The shelf is locked.")
        yield from super().open_range(item, start, end)


@pytest.fixture
def shelves(site: Site) -> None:
    site.install("shelf", plugin=_PLUGIN, group="fairlead.storage", distribution="fairlead-storage-shelf")


@pytest.fixture
def other() -> Iterator[Server]:
    with serving() as server:
        yield server


def put(server: Server, content: bytes, *, announced: bytes | None = None, digest: bool = False) -> Mapping[str, str]:
    """Put a model onto a server, and return the credentials that name it; it may lie about the tag."""
    told = content if announced is None else announced
    entry = {"name": "model.bin", "size": len(content), "etag": etag_of(told)}
    if digest:
        entry["digest"] = f"sha256:{sha256(told)}"
    server.put("/models/model.bin", content)
    server.faults.headers["ETag"] = etag_of(told)
    server.put("/models/index.json", json.dumps([entry]).encode())
    return {"SHELF_URL": server.url}


# -- servers ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shelves")
def test_a_server_cannot_slip_another_ones_users_a_model_by_announcing_its_tag(
    server: Server, other: Server, fetcher: MakeFetcher
) -> None:
    honest, forging = put(server, CONTENT), put(other, FORGED, announced=CONTENT)
    assert contents(fetcher().fetch(URI, credentials=forging).path) == {"model.bin": FORGED}
    assert contents(fetcher().fetch(URI, credentials=honest).path) == {"model.bin": CONTENT}


@pytest.mark.usefixtures("shelves")
def test_a_server_that_announces_the_tag_of_a_model_does_not_get_it_read(
    server: Server, other: Server, fetcher: MakeFetcher
) -> None:
    honest, forging = put(server, CONTENT), put(other, FORGED, announced=CONTENT)
    fetcher().fetch(URI, credentials=honest)
    assert contents(fetcher().fetch(URI, credentials=forging).path) == {"model.bin": FORGED}


@pytest.mark.usefixtures("shelves")
def test_a_server_that_announces_a_digest_is_not_given_the_content_that_others_fetched(
    server: Server, other: Server, fetcher: MakeFetcher
) -> None:
    honest, forging = put(server, CONTENT, digest=True), put(other, FORGED, announced=CONTENT, digest=True)
    fetcher().fetch(URI, credentials=honest)
    with pytest.raises(errors.IntegrityError):
        fetcher().fetch("shelf://models/", credentials=forging)


@pytest.mark.usefixtures("shelves")
@pytest.mark.parametrize("uri", [URI, "shelf://models@fixed"])
def test_another_server_in_the_environment_has_models_of_its_own(
    server: Server, other: Server, fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    for each, content in ((server, CONTENT), (other, FORGED)):
        monkeypatch.setenv("SHELF_URL", put(each, content, announced=CONTENT)["SHELF_URL"])
        assert contents(fetcher().fetch(uri).path) == {"model.bin": content}


# -- credentials --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shelves")
@pytest.mark.parametrize("digest", [False, True])
def test_who_may_list_a_model_and_not_read_it_does_not_get_it_from_the_cache(
    server: Server, fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch, *, digest: bool
) -> None:
    monkeypatch.setenv("SHELF_ASKS", "secret")
    asked = put(server, CONTENT, digest=digest)
    fetcher().fetch(URI, credentials={**asked, "SHELF_TOKEN": "secret"})
    for uri in (URI, "shelf://models/"):
        with pytest.raises(errors.AccessDenied):
            fetcher().fetch(uri, credentials={**asked, "SHELF_TOKEN": "none"})


@pytest.mark.usefixtures("shelves")
def test_other_credentials_that_may_read_a_model_get_it_without_a_second_download(
    server: Server, fetcher: MakeFetcher
) -> None:
    asked = put(server, CONTENT)
    first = fetcher().fetch(URI, credentials=asked)
    sent = server.sent
    again = fetcher().fetch(URI, credentials={**asked, "SHELF_OTHER": "1"})
    assert again.path == first.path
    assert server.sent - sent < len(CONTENT)


# -- what somebody else puts into the cache -----------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that looks like a part of a cache, and is none."""
    file = tmp_path / "outside" / "versions" / ("ab" * 16) / "precious"
    file.parent.mkdir(parents=True)
    (tmp_path / "outside" / "partial").mkdir()
    for each in (file, tmp_path / "outside" / "partial" / "precious", tmp_path / "outside" / ("cd" * 32)):
        each.write_text("precious")
    return tmp_path / "outside"


@pytest.mark.parametrize("place", ["artifacts/slot", "artifacts/slot/versions", "artifacts/slot/partial", "blobs/cd"])
def test_a_link_in_the_cache_lets_nothing_outside_be_removed(cache: Path, outside: Path, place: str) -> None:
    (cache / place).parent.mkdir(parents=True)
    inside = outside / Path(place).name if place.count("/") == 2 else outside
    (cache / place).symlink_to(inside)
    old = cache / "artifacts" / "old" / "versions" / ("ef" * 16) / "model.bin"
    old.parent.mkdir(parents=True)
    old.write_bytes(CONTENT)
    assert eviction.evict(cache).entries == 1
    assert sum(path.is_file() for path in outside.rglob("*")) == 3


def test_a_record_that_names_a_folder_outside_lets_nothing_there_be_read_or_removed(
    server: Server, fetcher: MakeFetcher, cache: Path, outside: Path
) -> None:
    uri = server.put("/model.bin", CONTENT)
    slot = fetcher().fetch(uri).path.parents[1]
    record = json.loads((slot / "record.json").read_text())
    for change in ({"version": os.path.relpath(outside, slot / "versions")}, {"files": {"../../precious": [1, "0"]}}):
        (slot / "record.json").write_text(json.dumps(record | change))
        assert verifying.verify(cache, remove=True) == []
        assert fetcher(verify=True).fetch(uri).path.is_relative_to(slot)
    assert sum(path.is_file() for path in outside.rglob("*")) == 3


def test_a_link_in_the_place_of_a_record_to_be_is_not_written_through(
    server: Server, fetcher: MakeFetcher, tmp_path: Path
) -> None:
    uri = server.put("/model.bin", CONTENT)
    slot = fetcher().fetch(uri).path.parents[1]
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (slot / "record.json.new").symlink_to(victim)
    server.put("/model.bin", FORGED)
    assert contents(fetcher().fetch(uri).path) == {"model.bin": FORGED}
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("part", ["", "versions", "partial"])
def test_a_fetch_into_a_slot_that_leads_outside_is_refused(
    server: Server, fetcher: MakeFetcher, tmp_path: Path, part: str
) -> None:
    uri = server.put("/model.bin", CONTENT)
    place = fetcher().fetch(uri).path.parents[1] / part
    aside = tmp_path / "aside"
    place.rename(aside) if place.exists() else aside.mkdir()
    place.symlink_to(aside)
    before = sorted(aside.rglob("*"))
    with pytest.raises(errors.UnsafeArtifact, match="symbolic link"):
        fetcher().fetch(uri)
    assert sorted(aside.rglob("*")) == before
