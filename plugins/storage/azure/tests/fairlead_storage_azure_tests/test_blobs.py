"""Finding and reading blobs, from Azurite and from a server that fails."""

from __future__ import annotations

import hashlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import ContentSettings

from fairlead import RemoteObject, errors
from fairlead_storage_azure import service
from fairlead_storage_azure_tests.azurite import ACCOUNT, CONTAINER, PUBLIC, Azurite

if TYPE_CHECKING:
    from fairlead_storage_azure.provider import AzureProvider
    from fairlead_storage_azure_tests.conftest import Connect
    from fairlead_storage_azure_tests.front import Front

CONTENT = bytes(range(256)) * 4096 * 3
_names = (f"reading-{number}.bin" for number in itertools.count())


@pytest.fixture
def name(azurite: Azurite) -> str:
    name = next(_names)
    azurite.put(name, CONTENT)
    return name


@pytest.fixture
def provider(connect: Connect) -> AzureProvider:
    return connect()


@pytest.fixture
def item(provider: AzureProvider, name: str) -> RemoteObject:
    (item,) = provider.list(f"az://{CONTAINER}/{name}")
    return item


def test_a_blob_is_known_by_its_tag_and_its_md5(provider: AzureProvider, azurite: Azurite) -> None:
    tag = azurite.put("known/model.bin", b"content")
    digest = hashlib.md5(b"content").digest()
    azurite.put("known/model.bin", b"content", settings=ContentSettings(content_md5=bytearray(digest)))
    for uri in (f"az://{CONTAINER}/known/model.bin", f"az://{CONTAINER}/known"):
        (item,) = provider.list(uri)
        assert item.etag
        assert item.etag != tag.strip('"')
        assert item.digest == f"md5:{digest.hex()}"


def test_a_blob_has_the_same_tag_in_a_listing_and_by_itself(provider: AzureProvider, azurite: Azurite) -> None:
    tag = azurite.put("tagged/model.bin", b"content")
    (alone,) = provider.list(f"az://{CONTAINER}/tagged/model.bin")
    (below,) = provider.list(f"az://{CONTAINER}/tagged")
    assert alone.etag == below.etag == tag.strip('"')


def test_an_exact_blob_wins_over_what_is_below_its_name(provider: AzureProvider, azurite: Azurite) -> None:
    azurite.put("both/model", b"exact")
    azurite.put("both/model/a.bin", b"below")
    assert [item.name for item in provider.list(f"az://{CONTAINER}/both/model")] == ["model"]
    assert [item.name for item in provider.list(f"az://{CONTAINER}/both/model/")] == ["a.bin"]


def test_folders_of_data_lakes_are_left_out(provider: AzureProvider, azurite: Azurite) -> None:
    azurite.put("lake", b"", metadata={"hdi_isfolder": "true"})
    azurite.put("lake/sub", b"", metadata={"hdi_isfolder": "true"})
    azurite.put("lake/sub/a.bin", b"a", metadata={"owner": "me"})
    assert [item.name for item in provider.list(f"az://{CONTAINER}/lake")] == ["sub/a.bin"]


def test_a_missing_container_is_not_found(provider: AzureProvider) -> None:
    with pytest.raises(errors.ArtifactNotFound):
        provider.list("az://no-such-container/model")


@pytest.mark.parametrize("name", ["odd//twice.bin", "odd/why?.bin", "odd/#1", "odd/a~b.bin", "odd/a%2Fb.bin"])
def test_odd_names_are_those_of_the_container(provider: AzureProvider, azurite: Azurite, name: str) -> None:
    azurite.put(name, name.encode())
    (item,) = provider.list(f"az://{CONTAINER}/{name}")
    assert b"".join(provider.open_range(item)) == name.encode()
    assert name.removeprefix("odd/") in {item.name for item in provider.list(f"az://{CONTAINER}/odd")}


def test_a_listing_of_several_pages_is_whole(
    provider: AzureProvider, azurite: Azurite, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        azurite.put(f"many/{number}", b"x")
    monkeypatch.setattr(service, "PAGE", "2")
    assert [item.name for item in provider.list(f"az://{CONTAINER}/many/")] == ["0", "1", "2", "3", "4"]
    assert len(front.requests) == 3


@pytest.mark.parametrize("body", [b"", b"<html>", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'])
def test_a_listing_that_is_none_is_an_error(provider: AzureProvider, front: Front, body: bytes) -> None:
    front.faults.body = body
    with pytest.raises(errors.StorageError, match="not the XML of a listing"):
        provider.list(f"az://{CONTAINER}/many/")


def test_a_range_is_one_request(provider: AzureProvider, item: RemoteObject, front: Front) -> None:
    chunks = list(provider.open_range(item, 5, 2_000_005))
    assert b"".join(chunks) == CONTENT[5:2_000_005]
    assert max(map(len, chunks)) <= 1024 * 1024
    (request,) = front.reads()
    assert request.headers["x-ms-range"] == "bytes=5-2000004"
    assert request.headers["if-match"] == f'"{item.etag}"'


def test_a_change_between_two_ranges_is_seen(
    provider: AzureProvider, item: RemoteObject, azurite: Azurite, name: str
) -> None:
    assert b"".join(provider.open_range(item, 0, 100)) == CONTENT[:100]
    azurite.put(name, CONTENT[::-1])
    with pytest.raises(errors.IntegrityError):
        next(provider.open_range(item, 100, 200))


def test_a_change_is_seen_where_the_server_takes_no_notice_of_conditions(
    connect: Connect, azurite: Azurite, front: Front
) -> None:
    provider = connect({"AZURE_SERVICE_URL": f"{front.url}/{ACCOUNT}", "AZURE_ACCOUNT_NAME": ACCOUNT})
    azurite.put("changing.bin", CONTENT, container=PUBLIC)
    (item,) = provider.list(f"az://{PUBLIC}/changing.bin")
    azurite.put("changing.bin", CONTENT[::-1], container=PUBLIC)
    front.faults.unconditional = True
    with pytest.raises(errors.IntegrityError):
        next(provider.open_range(item))


def test_a_connection_that_breaks_is_a_fault_that_may_pass(
    provider: AzureProvider, item: RemoteObject, front: Front
) -> None:
    front.faults.drop_at = 1024 * 1024 + 1
    read = provider.open_range(item)
    assert next(read) == CONTENT[: 1024 * 1024]
    with pytest.raises(errors.StorageUnavailable):
        list(read)
    assert b"".join(provider.open_range(item, 1024 * 1024)) == CONTENT[1024 * 1024 :]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_that_fails_is_asked_once(connect: Connect, name: str, front: Front, status: int) -> None:
    front.faults.statuses, front.faults.headers = [status], {"Retry-After": "7"}
    with pytest.raises(errors.StorageUnavailable) as caught:
        connect().list(f"az://{CONTAINER}/{name}")
    assert caught.value.retry_after == 7
    assert len(front.requests) == 1


def test_an_archived_blob_says_what_to_do(provider: AzureProvider, item: RemoteObject, front: Front) -> None:
    front.faults.statuses, front.faults.headers = [409], {"x-ms-error-code": "BlobArchived"}
    with pytest.raises(errors.StorageError, match="Move the blob to the tier hot"):
        next(provider.open_range(item))


def test_a_server_that_stalls_is_given_up(connect: Connect, name: str, front: Front) -> None:
    (item,) = connect().list(f"az://{CONTAINER}/{name}")
    front.faults.stall = threading.Event()
    hasty = connect(timeout=0.2)
    with pytest.raises(errors.StorageUnavailable, match=r"did not answer within 0\.2 s"):
        hasty.list(f"az://{CONTAINER}/{name}")
    with pytest.raises(errors.StorageUnavailable, match=r"did not answer within 0\.2 s"):
        next(hasty.open_range(item))


def test_closing_ends_a_read_that_waits(provider: AzureProvider, item: RemoteObject, front: Front) -> None:
    front.faults.stall = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, provider.open_range(item))
        assert front.stalled.wait(30)
        provider.close()
        with pytest.raises(errors.StorageUnavailable):
            waiting.result()
