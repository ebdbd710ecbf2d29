"""Listing: files, folders, pages, and what is at a URI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fairlead import errors

if TYPE_CHECKING:
    from fairlead_storage_hdfs_tests.conftest import MakeProvider
    from fairlead_storage_hdfs_tests.hadoop import Cluster


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_a_large_folder_is_listed_in_pages(cluster: Cluster, provider: MakeProvider, page: int) -> None:
    tree = {f"model/{name}": b"x" for name in ("a", "b/c", "b/d", "b/e/f", "Z", "ä", "z z")}
    root = cluster.place(tree)
    cluster.faults.page = page
    items = provider().list(f"hdfs://{cluster.authority}{root}/model")
    assert sorted(f"model/{item.name}" for item in items) == sorted(tree)
    assert len(cluster.asked("LISTSTATUS_BATCH")) == {1: 9, 2: 6, 3: 4}.get(page, 3)
    assert not cluster.asked("LISTSTATUS")


def test_a_server_without_pages_is_listed_at_once(cluster: Cluster, provider: MakeProvider) -> None:
    root = cluster.place({"model/a": b"1", "model/b/c": b"22"})
    cluster.faults.no_pages = True
    items = provider().list(f"hdfs://{cluster.authority}{root}/model")
    assert {item.name: item.size for item in items} == {"a": 1, "b/c": 2}
    assert len(cluster.asked("LISTSTATUS_BATCH")) == 1
    assert len(cluster.asked("LISTSTATUS")) == 2


def test_a_proxy_that_tells_no_numbers_of_files_is_read_too(cluster: Cluster, provider: MakeProvider) -> None:
    root = cluster.place({"model/a": b"1", "model/b": b"22"})
    cluster.faults.proxy = True
    one = provider()
    items = one.list(f"hdfs://{cluster.authority}{root}/model")
    assert [b"".join(one.open_range(item)) for item in items] == [b"1", b"22"]
    cluster.put(f"{root}/model/b", b"33")
    with pytest.raises(errors.IntegrityError):
        list(one.open_range(items[1]))


def test_the_tag_changes_with_the_content_and_not_without(cluster: Cluster, provider: MakeProvider) -> None:
    root = cluster.place({"a": b"1"})
    uri = f"hdfs://{cluster.authority}{root}/a"
    tags = [provider().list(uri)[0].etag, provider().list(uri)[0].etag]
    cluster.put(f"{root}/a", b"2")
    tags.append(provider().list(uri)[0].etag)
    cluster.append(f"{root}/a", b"3")
    tags.append(provider().list(uri)[0].etag)
    assert len(tags) == 4
    assert len(set(tags)) == 3
    assert tags[0] == tags[1]


def test_no_digest_is_told_since_that_of_hdfs_is_not_of_the_content(cluster: Cluster, provider: MakeProvider) -> None:
    root = cluster.place({"a": b"1"})
    (item,) = provider().list(f"hdfs://{cluster.authority}{root}/a")
    assert item.digest is None
    assert item.resumable


def test_a_file_is_not_found_where_a_folder_is_named(cluster: Cluster, provider: MakeProvider) -> None:
    root = cluster.place({"a": b"1"})
    with pytest.raises(errors.ArtifactNotFound, match="is a file"):
        provider().list(f"hdfs://{cluster.authority}{root}/a/")


def test_a_folder_without_files_is_not_found(cluster: Cluster, provider: MakeProvider) -> None:
    root = cluster.place({"a/b": b"1"})
    cluster.folders.add(f"{root}/empty/inner")
    cluster.folders.add(f"{root}/empty")
    with pytest.raises(errors.ArtifactNotFound, match="no file"):
        provider().list(f"hdfs://{cluster.authority}{root}/empty")
    assert [item.name for item in provider().list(f"hdfs://{cluster.authority}{root}")] == ["a/b"]


def test_the_root_of_the_file_system_can_be_listed(cluster: Cluster, provider: MakeProvider) -> None:
    cluster.put("/a", b"1")
    cluster.put("/b/c", b"2")
    one = provider()
    items = one.list(f"hdfs://{cluster.authority}/")
    assert [item.name for item in items] == ["a", "b/c"]
    assert [b"".join(one.open_range(item)) for item in items] == [b"1", b"2"]


def test_a_link_is_refused(cluster: Cluster, provider: MakeProvider) -> None:
    root = cluster.place({"model/a": b"1", "model/link": b"2"})
    cluster.faults.links = frozenset({f"{root}/model/link"})
    with pytest.raises(errors.UnsafeArtifact, match="link"):
        provider().list(f"hdfs://{cluster.authority}{root}/model")


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "/etc/passwd", ""])
def test_a_name_that_no_folder_holds_does_not_become_another_place(
    cluster: Cluster, provider: MakeProvider, name: str
) -> None:
    root = cluster.place({"model/a": b"1"})

    def mangle(body: dict[str, object]) -> object:
        listing = body.get("DirectoryListing")
        if isinstance(listing, dict):
            listing["partialListing"]["FileStatuses"]["FileStatus"][0]["pathSuffix"] = name
        return body

    cluster.faults.mangle = mangle
    with pytest.raises(errors.UnsafeArtifact, match="name"):
        provider().list(f"hdfs://{cluster.authority}{root}/model")


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"FileStatus": None},
        {"FileStatus": {"pathSuffix": "", "type": "FILE", "length": -1, "modificationTime": 1}},
        {"FileStatus": {"pathSuffix": "", "type": "FILE", "length": "1", "modificationTime": 1}},
        {"FileStatus": {"pathSuffix": "", "type": "FILE", "length": True, "modificationTime": 1}},
        {"FileStatus": {"pathSuffix": "", "type": "DIRECTORY", "length": 0, "modificationTime": 0}},
    ],
)
def test_an_answer_of_another_form_is_an_error(cluster: Cluster, provider: MakeProvider, answer: object) -> None:
    cluster.put("/a/b", b"1")
    cluster.faults.mangle = lambda _: answer
    with pytest.raises(errors.StorageError, match="WebHDFS") as caught:
        provider().list(f"hdfs://{cluster.authority}/a")
    assert not isinstance(caught.value, errors.StorageUnavailable)


def test_a_page_that_comes_again_ends_the_listing(cluster: Cluster, provider: MakeProvider) -> None:
    root = cluster.place({"model/a": b"1"})

    def mangle(body: dict[str, object]) -> object:
        listing = body.get("DirectoryListing")
        if isinstance(listing, dict):
            listing["remainingEntries"] = 1
            listing["partialListing"]["FileStatuses"]["FileStatus"] = [
                {"pathSuffix": "a", "type": "FILE", "length": 1, "modificationTime": 1}
            ]
        return body

    cluster.faults.mangle = mangle
    with pytest.raises(errors.StorageError, match="WebHDFS"):
        provider().list(f"hdfs://{cluster.authority}{root}/model")
    assert len(cluster.asked("LISTSTATUS_BATCH")) == 2


@pytest.mark.parametrize("root", ["data", "data/"])
def test_a_relative_root_starts_from_the_home_folder(cluster: Cluster, provider: MakeProvider, root: str) -> None:
    cluster.put("/user/alice/data/iris/model.bin", b"1")
    one = provider(HDFS_NAMENODE=cluster.urls[0], HDFS_ROOTPATH=root, HADOOP_USER_NAME="alice")
    (item,) = one.list("hdfs://iris")
    assert item.name == "model.bin"
    assert b"".join(one.open_range(item)) == b"1"
