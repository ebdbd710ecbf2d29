"""Finding and reading files of a share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from fairlead import errors
from fairlead_storage_azure.provider import AzureProvider
from fairlead_storage_azure_tests.azurite import ACCOUNT
from fairlead_storage_azure_tests.filer import SHARE, Filer

ROOT = f"https://{ACCOUNT}.file.core.windows.net/{SHARE}"


@pytest.fixture
def provider(filer: Filer) -> Iterator[AzureProvider]:
    provider = AzureProvider(credentials=filer.credentials)
    yield provider
    provider.close()


def test_folders_are_listed_however_deep(provider: AzureProvider, filer: Filer) -> None:
    deep = "/".join("abcdefghij")
    filer.files = {f"model/{deep}/weights.bin": b"w", "model/a.bin": b"a"}
    assert {item.name for item in provider.list(f"{ROOT}/model")} == {f"{deep}/weights.bin", "a.bin"}


def test_a_folder_of_several_pages_is_whole(provider: AzureProvider, filer: Filer) -> None:
    filer.files = {f"model/{number}": b"x" for number in range(7)}
    assert [item.name for item in provider.list(f"{ROOT}/model")] == ["0", "1", "2", "3", "4", "5", "6"]
    assert len(filer.requests) == 4, "one for a file of that name, three for pages"


def test_a_whole_share_is_listed(provider: AzureProvider, filer: Filer) -> None:
    filer.files = {"a.bin": b"a", "b/c.bin": b"c"}
    assert {item.name: item.size for item in provider.list(ROOT)} == {"a.bin": 1, "b/c.bin": 1}


def test_names_that_xml_cannot_hold_are_read(provider: AzureProvider, filer: Filer) -> None:
    filer.files = {"model/\ufffe%20.bin": b"odd", "model/<&>.bin": b"plain"}
    items = {item.name: item for item in provider.list(f"{ROOT}/model")}
    assert items.keys() == {"\ufffe%20.bin", "<&>.bin"}
    assert b"".join(provider.open_range(items["\ufffe%20.bin"])) == b"odd"


def test_a_single_file_has_a_digest(provider: AzureProvider, filer: Filer) -> None:
    filer.files = {"model.bin": b"content"}
    (item,) = provider.list(f"{ROOT}/model.bin")
    assert item.digest == f"md5:{hashlib.md5(b'content').hexdigest()}"


def test_a_change_is_seen_in_the_answer(provider: AzureProvider, filer: Filer) -> None:
    filer.files = {"model/a.bin": b"first"}
    (item,) = provider.list(f"{ROOT}/model")
    assert b"".join(provider.open_range(item, 0, 2)) == b"fi"
    filer.files = {"model/a.bin": b"other"}
    with pytest.raises(errors.IntegrityError):
        list(provider.open_range(item, 2))


def test_a_file_that_is_gone_has_changed(provider: AzureProvider, filer: Filer) -> None:
    filer.files = {"model/a.bin": b"first"}
    (item,) = provider.list(f"{ROOT}/model")
    filer.files = {}
    with pytest.raises(errors.IntegrityError):
        list(provider.open_range(item))


def test_each_request_is_signed(provider: AzureProvider, filer: Filer) -> None:
    filer.files = {"model/a.bin": b"a"}
    (item,) = provider.list(f"{ROOT}/model")
    list(provider.open_range(item))
    assert {fields["authorization"].partition(":")[0] for _, _, fields in filer.requests} == {f"SharedKey {ACCOUNT}"}


def test_a_share_that_asks_for_a_signature_says_so(filer: Filer) -> None:
    provider = AzureProvider(
        credentials={"AZURE_STORAGE_CONNECTION_STRING": f"AccountName={ACCOUNT};FileEndpoint={filer.url}"}
    )
    with pytest.raises(errors.AccessDenied, match=r"AuthenticationFailed.*AZURE_STORAGE_ACCESS_KEY"):
        provider.list(f"{ROOT}/model")
    provider.close()
