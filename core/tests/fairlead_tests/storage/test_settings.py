"""Settings that variables give and what they do to a fetch, addresses that stand for others, and credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.storage.settings import VARIABLES, FetchSettings
from fairlead_tests.storage.buckets import bucket
from fairlead_tests.storage.server import contents
from fairlead_tests.storage.stopping import CONTENT, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead_tests.plugins.distributions import Site
    from fairlead_tests.storage.conftest import MakeFetcher
    from fairlead_tests.storage.server import Server

TREE = {"model.safetensors": b"s", "model.bin": b"b", "config.json": b"c", "onnx/model.onnx": b"o", "README.md": b"r"}


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("FAIRLEAD_CACHE_MAX_BYTES", "1.5 GiB", "max_cache_bytes", 3 * 512 * 1024**2),
        ("FAIRLEAD_STORAGE_CONNECTIONS", "3", "connections", 3),
        ("FAIRLEAD_STORAGE_DEADLINE", "90.5", "deadline", 90.5),
        ("FAIRLEAD_STORAGE_MAX_BYTES", "1MB", "max_bytes", 1_000_000),
        ("FAIRLEAD_STORAGE_MAX_EXPANDED_BYTES", "2MiB", "max_expanded_bytes", 2 * 1024**2),
        ("FAIRLEAD_STORAGE_MAX_MEMBERS", "7", "max_members", 7),
        ("FAIRLEAD_STORAGE_MAX_RATE", "10MB", "max_rate", 10_000_000),
        ("FAIRLEAD_STORAGE_RETRIES", "0", "retries", 0),
        ("FAIRLEAD_STORAGE_TIMEOUT", "5", "timeout", 5.0),
        ("FAIRLEAD_STORAGE_VERIFY", "True", "verify", True),
        ("FAIRLEAD_STORAGE_VERIFY", "off", "verify", False),
        ("STORAGE_ALLOW_PATTERNS", '["*.json", "a,b"]', "allow", ("*.json", "a,b")),
        ("STORAGE_ALLOW_PATTERNS", '"*.json"', "allow", ("*.json",)),
        ("STORAGE_ALLOW_PATTERNS", "*.json", "allow", ("*.json",)),
        ("STORAGE_IGNORE_PATTERNS", " *.bin , *.md,", "ignore", ("*.bin", "*.md")),
    ],
)
def test_each_variable_gives_its_setting(variable: str, text: str, name: str, value: object) -> None:
    assert getattr(FetchSettings.from_environment({variable: text}), name) == value


def test_a_variable_without_text_counts_as_not_set() -> None:
    empty = FetchSettings.from_environment(dict.fromkeys(VARIABLES, " "))
    assert empty == FetchSettings(credentials=empty.credentials)


def test_what_is_given_comes_before_the_variables() -> None:
    settings = FetchSettings.from_environment({"FAIRLEAD_STORAGE_RETRIES": "wrong"}, retries=2)
    assert settings.retries == 2


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FAIRLEAD_CACHE_MAX_BYTES", "much"),
        ("FAIRLEAD_CACHE_MAX_BYTES", "0"),
        ("FAIRLEAD_STORAGE_CONNECTIONS", "1.5"),
        ("FAIRLEAD_STORAGE_CONNECTIONS", "-1"),
        ("FAIRLEAD_STORAGE_CONNECTIONS", "0"),
        ("FAIRLEAD_STORAGE_DEADLINE", "soon"),
        ("FAIRLEAD_STORAGE_DEADLINE", "nan"),
        ("FAIRLEAD_STORAGE_DEADLINE", "inf"),
        ("FAIRLEAD_STORAGE_TIMEOUT", "-5"),
        ("FAIRLEAD_STORAGE_TIMEOUT", "1e12"),
        ("FAIRLEAD_STORAGE_VERIFY", "perhaps"),
        ("STORAGE_ALLOW_PATTERNS", "[1]"),
        ("STORAGE_IGNORE_PATTERNS", "[*.bin]"),
    ],
)
def test_what_cannot_be_read_is_an_error(variable: str, text: str) -> None:
    with pytest.raises(errors.ConfigurationError):
        FetchSettings.from_environment({variable: text})


def test_credentials_are_not_shown() -> None:
    assert "hidden" not in repr(FetchSettings.from_environment({"AWS_SECRET_ACCESS_KEY": "hidden"}))


# -- patterns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({"allow": ("*.json", "*.safetensors")}, {"config.json", "model.safetensors"}),
        ({"ignore": ("*.bin", "*.md")}, {"config.json", "model.safetensors", "onnx/model.onnx"}),
        ({"allow": ("*model*",), "ignore": ("onnx/*",)}, {"model.safetensors", "model.bin"}),
        ({"allow": ("onnx/*",)}, {"onnx/model.onnx"}),
        ({"ignore": ("MODEL*",)}, set(TREE)),
    ],
)
def test_only_objects_that_the_patterns_leave_are_fetched(
    server: Server, fetcher: MakeFetcher, site: Site, patterns: dict[str, Any], expected: set[str]
) -> None:
    uri = bucket(server, TREE)
    assert set(contents(fetcher(**patterns).fetch(uri).path)) == expected
    asked = {request.path for request in server.requests if request.method == "GET"}
    assert asked == {"/models/index.json", *(f"/models/{name}" for name in expected)}


def test_patterns_that_leave_nothing_are_told(server: Server, fetcher: MakeFetcher, site: Site) -> None:
    with pytest.raises(errors.ArtifactNotFound, match=r"None of the 5 objects.*Allowed are \*\.h5, ignored none"):
        fetcher(allow=("*.h5",)).fetch(bucket(server, TREE))


def test_an_object_that_is_named_itself_is_fetched_whatever_the_patterns(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", b"b")
    assert contents(fetcher(allow=("*.json",), ignore=("*.bin",)).fetch(uri).path) == {"model.bin": b"b"}


def test_other_patterns_make_another_artefact(server: Server, fetcher: MakeFetcher, site: Site) -> None:
    uri = bucket(server, TREE)
    whole = fetcher().fetch(uri).path
    part = fetcher(allow=("*.json",)).fetch(uri).path
    assert (set(contents(whole)), set(contents(part))) == (set(TREE), {"config.json"})
    server.requests.clear()
    assert fetcher().fetch(uri).path == whole
    assert fetcher(allow=("*.json",)).fetch(uri).path == part
    assert {request.path for request in server.requests} == {"/models/index.json"}


# -- addresses that stand for others --------------------------------------------------------------------------


def alias(server: Server, name: str, address: str) -> str:
    return server.put(f"/{name}", address.encode()).replace("http://", "alias://")


def test_an_address_may_stand_for_one_of_another_provider(server: Server, fetcher: MakeFetcher, site: Site) -> None:
    uri = alias(server, "latest", server.put("/model.bin", b"b"))
    found = fetcher().fetch(uri)
    assert contents(found.path) == {"model.bin": b"b"}
    assert found.uri == uri


def test_what_an_address_stands_for_may_change(server: Server, fetcher: MakeFetcher, site: Site) -> None:
    uri = alias(server, "latest", server.put("/1/model.bin", b"one"))
    assert contents(fetcher().fetch(uri).path) == {"model.bin": b"one"}
    alias(server, "latest", server.put("/2/model.bin", b"two"))
    assert contents(fetcher().fetch(uri).path) == {"model.bin": b"two"}


def test_addresses_in_a_circle_are_refused(server: Server, fetcher: MakeFetcher, site: Site) -> None:
    first, second = alias(server, "a", ""), alias(server, "b", "")
    alias(server, "a", second)
    alias(server, "b", first)
    with pytest.raises(errors.StorageError, match="stands for an address that stands for another"):
        fetcher().fetch(first)


def test_a_fault_that_passes_while_an_address_is_looked_up_is_tried_again(
    server: Server, fetcher: MakeFetcher, site: Site
) -> None:
    uri = alias(server, "latest", server.put("/model.bin", b"b"))
    server.faults.broken = [503]
    assert contents(fetcher().fetch(uri).path) == {"model.bin": b"b"}


def test_an_address_that_stands_for_one_that_nobody_takes_says_so(
    server: Server, fetcher: MakeFetcher, site: Site
) -> None:
    with pytest.raises(errors.StorageError, match="No installed storage provider takes gopher://"):
        fetcher().fetch(alias(server, "latest", "gopher://host/x"))


def test_credentials_go_only_to_the_provider_whose_spec_names_them(
    server: Server, fetcher: MakeFetcher, site: Site
) -> None:
    uri = alias(server, "latest", server.put("/model.bin", b"b"))
    given = {"127.0.0.1-headers": '{"Authorization": "Bearer x"}', "BUCKET_TOKEN": "secret"}
    fetcher().fetch(uri, credentials=given)
    told = {request.path: request.headers.get("Authorization") for request in server.requests}
    assert told == {"/latest": None, "/model.bin": "Bearer x"}
    assert "secret" not in str([request.headers for request in server.requests])


# -- credentials --------------------------------------------------------------------------------------------


def test_a_pinned_artefact_is_not_given_to_who_has_other_credentials(server: Server, fetcher: MakeFetcher) -> None:
    uri, pin = server.put("/model.bin", CONTENT), f"sha256:{sha256(CONTENT)}"
    mine = {"127.0.0.1-headers": '{"Authorization": "mine"}'}
    fetcher().fetch(uri, digest=pin, credentials=mine)
    server.requests.clear()
    fetcher().fetch(uri, digest=pin, credentials=mine)
    assert server.requests == []
    server.faults.broken = [403, 403]
    with pytest.raises(errors.AccessDenied):
        fetcher().fetch(uri, digest=pin)
    server.requests.clear()
    theirs = {"127.0.0.1-headers": '{"Authorization": "theirs"}'}
    fetcher().fetch(uri, digest=pin, credentials=theirs)  # whom the source lets have it
    assert server.methods() == ["HEAD", "GET"]  # of its first byte: who may list may not be one who may read
    fetcher().fetch(uri, digest=pin, credentials=theirs)
    assert server.methods() == ["HEAD", "GET"]


def test_the_cache_does_not_hold_credentials(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    uri = server.put("/model.bin", CONTENT)
    fetcher().fetch(uri, credentials={"127.0.0.1-headers": '{"Authorization": "hidden"}'})
    assert all(b"hidden" not in path.read_bytes() for path in cache.rglob("*") if path.is_file())
