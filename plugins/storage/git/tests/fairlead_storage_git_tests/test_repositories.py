from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_storage_git.scratch import Scratch
from fairlead_storage_git_tests.repositories import Link, Repository, Submodule
from fairlead_storage_git_tests.servers import serving

if TYPE_CHECKING:
    from fairlead_storage_git_tests.conftest import MakeProvider
    from fairlead_storage_git_tests.repositories import Content

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def read(make: MakeProvider, uri: str) -> dict[str, bytes]:
    provider = make()
    return {item.name: b"".join(provider.open_range(item)) for item in provider.list(uri)}


@pytest.fixture(params=["file", "git", "dulwich"])
def uri(request: pytest.FixtureRequest, repository: Repository, root: Path) -> Iterator[str]:
    """The repository, on this machine and over HTTP by both servers."""
    if request.param == "file":
        yield f"git+{repository.path.as_uri()}"
        return
    if request.param == "git" and shutil.which("git") is None:
        pytest.skip("needs the program git; install the package git")
    with serving(root, request.param) as server:
        yield f"git+{server.url}/{repository.path.name}"


def test_a_ref_is_a_branch_a_tag_a_commit_or_what_head_says(
    repository: Repository, provider: MakeProvider, uri: str
) -> None:
    first = repository.commit({"model": b"1"})
    repository.tag("v1", first)
    repository.point("refs/tags/light", first)
    last = repository.commit({"model": b"2"})
    repository.commit({"model": b"3"}, branch="feature/x")
    for ref in ("", "@main", f"@{last}", "@refs/heads/main"):
        assert read(provider, f"{uri}{ref}") == {"model": b"2"}
    for ref in ("@v1", "@light", "@refs/tags/v1"):
        assert read(provider, f"{uri}{ref}") == {"model": b"1"}
    assert read(provider, f"{uri}@feature/x") == {"model": b"3"}


def test_a_ref_that_is_not_there_is_not_found(repository: Repository, provider: MakeProvider, uri: str) -> None:
    commit = repository.commit({"model": b"1"})
    missing = "0123456789" * 4
    for ref in ("nope", "refs/heads/nope", missing):
        with pytest.raises(errors.ArtifactNotFound):
            provider().list(f"{uri}@{ref}")
    with pytest.raises(errors.StorageError, match="all 40 digits"):
        provider().list(f"{uri}@{commit[:10]}")


def test_a_branch_may_look_like_a_commit(repository: Repository, provider: MakeProvider, uri: str) -> None:
    repository.commit({"model": b"1"}, branch="deadbeef")
    assert read(provider, f"{uri}@deadbeef") == {"model": b"1"}


def test_a_name_of_a_branch_and_a_tag_is_ambiguous(repository: Repository, provider: MakeProvider, uri: str) -> None:
    repository.tag("both", repository.commit({"model": b"1"}))
    repository.commit({"model": b"2"}, branch="both")
    with pytest.raises(errors.StorageError, match=r"@refs/heads/both or …@refs/tags/both"):
        provider().list(f"{uri}@both")
    assert read(provider, f"{uri}@refs/tags/both") == {"model": b"1"}


def test_an_empty_repository_says_so(repository: Repository, provider: MakeProvider, uri: str) -> None:
    with pytest.raises(errors.ArtifactNotFound):
        provider().list(uri)


def test_the_tag_of_a_file_is_its_content_alone(repository: Repository, provider: MakeProvider, uri: str) -> None:
    repository.commit({"a": b"1", "b": b"1", "c": b"2"})
    before = {item.name: item.etag for item in provider().list(uri)}
    repository.commit({"a": b"1", "b": b"1", "c": b"3"})
    after = {item.name: item.etag for item in provider().list(uri)}
    assert before["a"] == before["b"] == after["a"]
    assert before["c"] != after["c"]


LINKS: Mapping[str, Content] = {
    "model/weights": Link("../shared/weights"),
    "model/shared": Link("../shared"),
    "model/again": Link("weights"),
    "model/own": b"own",
    "shared/weights": b"shared",
}


def test_links_within_the_repository_become_what_they_lead_to(
    repository: Repository, provider: MakeProvider, uri: str
) -> None:
    repository.commit(LINKS)
    wanted = {"weights": b"shared", "again": b"shared", "shared/weights": b"shared", "own": b"own"}
    assert read(provider, f"{uri}#subdirectory=model") == wanted
    assert read(provider, f"{uri}#subdirectory=model/shared") == {"weights": b"shared"}
    assert read(provider, f"{uri}#subdirectory=model/again") == {"again": b"shared"}


@pytest.mark.parametrize(
    "link",
    ["/etc/passwd", "../../outside", "../model", ".", "loop", "missing", "", "weights/below", "x" * 5000],
)
def test_links_that_lead_elsewhere_are_refused(
    repository: Repository, provider: MakeProvider, uri: str, link: str
) -> None:
    repository.commit({"model/loop": Link(link), "model/weights": b"w"})
    with pytest.raises((errors.UnsafeArtifact, errors.StorageLimitExceeded)):
        provider().list(f"{uri}#subdirectory=model")


def test_a_submodule_is_refused_where_it_is_wanted(repository: Repository, provider: MakeProvider, uri: str) -> None:
    repository.commit({"model/a": b"a", "vendor/lib": Submodule()})
    assert read(provider, f"{uri}#subdirectory=model") == {"a": b"a"}
    for address in (uri, f"{uri}#subdirectory=vendor/lib"):
        with pytest.raises(errors.StorageError, match="submodule"):
            provider().list(address)


def test_a_pointer_of_git_lfs_is_refused_by_name(repository: Repository, provider: MakeProvider, uri: str) -> None:
    repository.commit({"model/weights.bin": POINTER, "notes/about-lfs.md": b"# " + POINTER})
    with pytest.raises(errors.StorageError, match=r"model/weights\.bin.*Git LFS.*https://"):
        provider().list(uri)
    assert read(provider, f"{uri}#subdirectory=notes") == {"about-lfs.md": b"# " + POINTER}


def test_a_folder_that_must_be_one_is_not_a_file(repository: Repository, provider: MakeProvider, uri: str) -> None:
    repository.commit({"model": b"a file"})
    assert read(provider, f"{uri}#subdirectory=model") == {"model": b"a file"}
    with pytest.raises(errors.ArtifactNotFound):
        provider().list(f"{uri}#subdirectory=model/")


def test_what_is_stored_as_deltas_is_whole_again(repository: Repository, provider: MakeProvider, uri: str) -> None:
    text = b"".join(b"line %d of a long file\n" % number for number in range(100_000))
    versions = {f"model/{number}.txt": text + b"the end, %d\n" % number for number in range(4)}
    repository.commit(versions)
    repository.pack()
    if shutil.which("git"):
        subprocess.run(["git", "-C", str(repository.path), "repack", "-adfq"], check=True)
    maker = provider()
    items = maker.list(f"{uri}#subdirectory=model")
    assert {f"model/{item.name}": b"".join(maker.open_range(item)) for item in items} == versions
    assert [item.size for item in items] == [len(content) for content in versions.values()]
    middle = len(text) // 2
    assert b"".join(maker.open_range(items[2], middle, middle + 50)) == text[middle : middle + 50]


def test_a_repository_may_borrow_its_objects(repository: Repository, tmp_path: Path, provider: MakeProvider) -> None:
    commit = repository.commit({"model": b"borrowed"})
    other = Repository(tmp_path / "other.git")
    (other.path / "objects" / "info" / "alternates").write_text(f"{repository.path}/objects\n")
    other.point("refs/heads/main", commit)
    other.close()
    assert read(provider, f"git+{other.path.as_uri()}@main") == {"model": b"borrowed"}


def test_a_damaged_file_is_found_out(repository: Repository, provider: MakeProvider) -> None:
    repository.commit({"model": b"x" * 100_000})
    maker = provider()
    (item,) = maker.list(f"git+{repository.path.as_uri()}")
    assert item.etag is not None
    other = repository.path / "objects"
    repository.commit({"model": b"y" * 100_000})
    (second,) = maker.list(f"git+{repository.path.as_uri()}")
    path = other / item.etag[:2] / item.etag[2:]
    path.chmod(0o600)
    path.write_bytes((other / second.etag[:2] / second.etag[2:]).read_bytes() if second.etag else b"")
    with pytest.raises(errors.IntegrityError):
        list(maker.open_range(item))


def test_a_folder_that_is_no_repository_is_not_found(tmp_path: Path, provider: MakeProvider) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(errors.ArtifactNotFound):
            provider().list(f"git+{path.as_uri()}")


def test_a_configuration_that_cannot_be_read_is_said(repository: Repository, provider: MakeProvider) -> None:
    repository.commit({"model": b"1"})
    with (repository.path / "config").open("a") as file:
        file.write("[core]\n\tbigFileThreshold = 1m\n")
    with pytest.raises(errors.StorageError, match="configuration"):
        provider().list(f"git+{repository.path.as_uri()}")


def test_nothing_temporary_stays(
    repository: Repository, provider: MakeProvider, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    repository.commit({"model": bytes(3_000_000)})
    maker = provider()
    (item,) = maker.list(uri)
    assert sum(map(len, maker.open_range(item))) == 3_000_000
    assert list(scratch.iterdir())
    maker.close()
    assert not list(scratch.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, young, foreign = (tmp_path / f"fairlead-git-{name}" for name in ("left", "young", "foreign"))
    for folder in (left, young, foreign):
        folder.mkdir()
    (left / "lock").touch()
    (young / "lock").touch()
    used = Scratch()
    for folder in (left, foreign, used.path):
        os.utime(folder, (1.0, 1.0))
    another = Scratch()
    assert set(tmp_path.iterdir()) == {young, foreign, used.path, another.path}
    another.remove()
    used.remove()
    assert set(tmp_path.iterdir()) == {young, foreign}
