from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.storage import StorageSpec
from fairlead.plugins import Kind, Plugins
from fairlead_storage_git.address import Address


def test_an_address_names_a_ref_and_a_folder_as_pip_does() -> None:
    address = Address.parse("git+https://me@example.com:8443/org/models.git@feature/x#subdirectory=a%20b/c")
    assert (address.url, address.user) == ("https://example.com:8443/org/models.git", "me")
    assert (address.ref, address.folder, address.tree) == ("feature/x", "a b/c", False)
    assert address.shown == "git+https://example.com:8443/org/models.git"


def test_the_ref_follows_the_last_at_of_the_path() -> None:
    assert Address.parse("git+file:///home/me%40work/models@v1").path == Path("/home/me@work/models")
    assert Address.parse("git+file:///home/me%40work/models@v1").ref == "v1"


@pytest.mark.parametrize(
    "uri", ["https://example.com/org/models.git", "https://example.com/models.git@v1#subdirectory=a"]
)
def test_https_addresses_that_end_with_git_are_repositories_as_in_kserve(uri: str) -> None:
    assert _claims(uri)
    assert Address.parse(uri).url in ("https://example.com/org/models.git", "https://example.com/models.git")


@pytest.mark.parametrize(
    "uri",
    [
        "https://models.github.example/model.bin",
        "https://example.com/repo.git/raw/main/model.bin",
        "https://example.com/model.bin?of=repo.git",
        "http://example.com/repo.git",
        "https://x.git",
    ],
)
def test_other_https_addresses_stay_with_the_http_provider(uri: str) -> None:
    assert not _claims(uri)


def _claims(uri: str) -> bool:
    (spec,) = Plugins.discover().specs(Kind.STORAGE, "git")
    assert isinstance(spec, StorageSpec)
    return any(re.match(pattern, uri) for pattern in spec.patterns)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(errors.UnsafeArtifact, match="GIT_PASSWORD") as raised:
        Address.parse("git+https://me:hunter2@example.com/models.git")
    assert "hunter2" not in str(raised.value)


def test_ssh_is_refused_with_what_to_do() -> None:
    with pytest.raises(errors.StorageError, match=r"Use git\+https"):
        Address.parse("git+ssh://git@example.com/models.git")


@pytest.mark.parametrize(
    "uri",
    [
        "git+https://example.com/models.git#egg=models",
        "git+https://example.com/models.git#subdirectory=a&subdirectory=b",
        "git+https://example.com/models.git?ref=main",
        "git+https://example.com/models.git@",
        "git+https://example.com",
        "git+file://other-host/models.git",
        "git+https://example.com/mod\nels.git",
    ],
)
def test_what_would_be_ignored_is_refused(uri: str) -> None:
    with pytest.raises(errors.StorageError):
        Address.parse(uri)


@pytest.mark.parametrize("folder", ["..", "a/../../b", "%2e%2e/b", "a%00"])
def test_a_folder_outside_the_repository_is_refused(folder: str) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        Address.parse(f"git+https://example.com/models.git#subdirectory={folder}")
