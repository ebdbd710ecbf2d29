"""What an address means."""

from __future__ import annotations

import re

import pytest

from fairlead import errors
from fairlead_storage_azure import places
from fairlead_storage_azure._plugin import SPEC
from fairlead_storage_azure.places import Kind, Place

_ENDPOINT = "https://models.blob.core.windows.net"


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (
            f"{_ENDPOINT}/zoo/iris/model%20v1.bin",
            Place(kind=Kind.BLOB, account="models", endpoint=_ENDPOINT, container="zoo", path="iris/model v1.bin"),
        ),
        (
            "https://models.z12.blob.storage.azure.net/zoo/iris/",
            Place(
                kind=Kind.BLOB,
                account="models",
                endpoint="https://models.z12.blob.storage.azure.net",
                container="zoo",
                path="iris",
                folder=True,
            ),
        ),
        (
            "https://models.file.core.windows.net/shelf/a/b",
            Place(
                kind=Kind.FILE,
                account="models",
                endpoint="https://models.file.core.windows.net",
                container="shelf",
                path="a/b",
            ),
        ),
        ("az://zoo/100%25/a+b", Place(kind=Kind.BLOB, container="zoo", path="100%25/a+b")),
        ("az://zoo/why?", Place(kind=Kind.BLOB, container="zoo", path="why?")),
        ("az://zoo", Place(kind=Kind.BLOB, container="zoo", path="")),
        ("abfs://zoo/iris", Place(kind=Kind.BLOB, container="zoo", path="iris")),
        (
            "abfss://zoo@models.dfs.core.windows.net/iris",
            Place(kind=Kind.BLOB, account="models", endpoint=_ENDPOINT, container="zoo", path="iris"),
        ),
        (
            f"{_ENDPOINT}/zoo/iris?sv=2022&sig=abc%3D",
            Place(
                kind=Kind.BLOB,
                account="models",
                endpoint=_ENDPOINT,
                container="zoo",
                path="iris",
                sas="sv=2022&sig=abc%3D",
            ),
        ),
    ],
)
def test_an_address_is_read(uri: str, place: Place) -> None:
    assert places.parse(uri) == place
    assert "abc" not in repr(places.parse(uri))


@pytest.mark.parametrize(
    "uri",
    [
        "https://models.blob.core.windows.net",
        "https://models.blob.core.windows.net/",
        "https://models.blob.core.windows.net/a container/x",
        "https://models.blob.core.windows.net:8080/zoo/x",
        "https://models.blob.core.windows.net/zoo/x?versionid=1",
        "abfs://zoo@evil.example.com/x",
        "az:///x",
        "az://ZOO/x",
    ],
)
def test_an_address_that_lacks_a_part_is_an_error(uri: str) -> None:
    with pytest.raises(errors.StorageError) as caught:
        places.parse(uri)
    assert "versionid" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "ours"),
    [
        ("https://models.blob.core.windows.net/zoo/x", True),
        ("https://models.z7.blob.storage.azure.net/zoo/x", True),
        ("https://models.file.core.windows.net/shelf/x", True),
        ("https://models.z42.file.storage.azure.net/shelf/x?sig=a", True),
        ("https://models.z123.blob.storage.azure.net/zoo/x", False),
        ("https://example.com/models.blob.core.windows.net/zoo/x", False),
        ("https://models.blob.core.windows.net.example.com/zoo/x", False),
        ("https://models-blob-core.windows.net/zoo/x", False),
        ("http://models.blob.core.windows.net/zoo/x", False),
    ],
)
def test_only_addresses_of_azure_are_taken(uri: str, ours: bool) -> None:
    assert any(re.match(pattern, uri) for pattern in SPEC.patterns) is ours
