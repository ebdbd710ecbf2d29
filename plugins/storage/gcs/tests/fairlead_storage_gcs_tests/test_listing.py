"""What is found behind an address, and what is said of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_storage_gcs_tests.emulator import BUCKET, Emulator

if TYPE_CHECKING:
    from fairlead_storage_gcs_tests.conftest import Connect
    from fairlead_storage_gcs_tests.front import Front


def test_an_object_is_known_by_its_generation_and_its_md5(connect: Connect, emulator: Emulator) -> None:
    emulator.put("known/model.bin", b"content")
    (item,) = connect().list(f"gs://{BUCKET}/known/model.bin")
    assert item.etag == emulator.resource("known/model.bin")["generation"]
    assert item.digest == f"md5:{hashlib.md5(b'content').hexdigest()}"


def test_an_exact_object_wins_over_what_is_below_its_name(connect: Connect, emulator: Emulator) -> None:
    emulator.put("both/model", b"exact")
    emulator.put("both/model/a.bin", b"below")
    assert [item.name for item in connect().list(f"gs://{BUCKET}/both/model")] == ["model"]
    assert [item.name for item in connect().list(f"gs://{BUCKET}/both/model/")] == ["a.bin"]


def test_markers_of_folders_are_left_out(connect: Connect, emulator: Emulator) -> None:
    emulator.put("marked/", b"")
    emulator.put("marked/sub/", b"")
    emulator.put("marked/sub/a.bin", b"a")
    assert [item.name for item in connect().list(f"gs://{BUCKET}/marked")] == ["sub/a.bin"]


def test_a_folder_without_objects_is_not_found(connect: Connect, emulator: Emulator) -> None:
    emulator.put("hollow/", b"")
    with pytest.raises(errors.ArtifactNotFound):
        connect().list(f"gs://{BUCKET}/hollow")


def test_a_missing_bucket_is_not_found(connect: Connect) -> None:
    with pytest.raises(errors.ArtifactNotFound):
        connect().list("gs://no-such-bucket/model")


def test_a_part_of_a_name_lists_no_neighbours(connect: Connect, emulator: Emulator, front: Front) -> None:
    emulator.put("near/model-old/a.bin", b"a")
    with pytest.raises(errors.ArtifactNotFound):
        connect().list(f"gs://{BUCKET}/near/model")
    assert len(front.requests) == 2, "one for the object, one for what is below it"


@pytest.mark.parametrize("uri", ["gs://", "gs:///model", "gs://a bucket/model", "gs://b\nx/model"])
def test_an_address_names_a_bucket(connect: Connect, uri: str) -> None:
    with pytest.raises(errors.StorageError, match="gs://<bucket>/<path>"):
        connect().list(uri)


@pytest.mark.parametrize("key", ["odd//twice.bin", "odd/./dot.bin", "odd/question?.bin", "odd/#1"])
def test_odd_names_are_those_of_the_bucket(connect: Connect, emulator: Emulator, key: str) -> None:
    emulator.put(key, key.encode())
    provider = connect()
    (item,) = provider.list(f"gs://{BUCKET}/{key}")
    assert b"".join(provider.open_range(item)) == key.encode()
    assert key.removeprefix("odd/") in {item.name for item in provider.list(f"gs://{BUCKET}/odd")}


def test_a_name_may_begin_with_a_slash(connect: Connect, emulator: Emulator) -> None:
    emulator.put("/rooted/a.bin", b"a")
    (item,) = connect().list(f"gs://{BUCKET}//rooted/a.bin")
    assert item.size == 1


def test_a_name_that_leads_upwards_is_passed_on_as_it_is(connect: Connect, emulator: Emulator, front: Front) -> None:
    emulator.put("upwards/up.bin", b"up")
    front.faults.names = {"upwards/../../up.bin": "upwards/up.bin"}
    provider = connect()
    (item,) = provider.list(f"gs://{BUCKET}/upwards")
    assert item.name == "../../up.bin"
    assert b"".join(provider.open_range(item)) == b"up"


def test_a_listing_of_several_pages_is_whole(connect: Connect, emulator: Emulator, front: Front) -> None:
    for number in range(5):
        emulator.put(f"many/{number}", b"x")
    front.faults.page = 2
    assert [item.name for item in connect().list(f"gs://{BUCKET}/many/")] == ["0", "1", "2", "3", "4"]
    assert len(front.requests) == 3


def test_a_listing_without_an_end_is_refused(
    connect: Connect, emulator: Emulator, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_storage_gcs.buckets._MOST_PAGES", 2)
    for number in range(4):
        emulator.put(f"endless/{number}", b"x")
    front.faults.page = 1
    with pytest.raises(errors.StorageLimitExceeded, match="more than 2 pages"):
        connect().list(f"gs://{BUCKET}/endless")


def test_a_page_that_fills_the_memory_is_refused(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_storage_gcs.buckets._PAGE_BYTES", 100)
    emulator.put("broad/model", b"x")
    with pytest.raises(errors.StorageLimitExceeded, match="more than 100 bytes"):
        connect().list(f"gs://{BUCKET}/broad/")
