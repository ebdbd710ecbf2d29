"""Namenodes that stand by, are gone, or are no namenodes; and what their exceptions mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_storage_hdfs_tests.hadoop import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead_storage_hdfs_tests.conftest import MakeProvider
    from fairlead_storage_hdfs_tests.hadoop import Cluster


@pytest.fixture
def pair() -> Iterator[Cluster]:
    """Two namenodes, of which the second is the active one."""
    with running(namenodes=2) as cluster:
        cluster.active = 1
        cluster.put("/model/a.bin", b"content")
        yield cluster


@pytest.mark.parametrize("separator", [";", ",", " ; "])
def test_the_active_namenode_is_found_and_kept(pair: Cluster, provider: MakeProvider, separator: str) -> None:
    one = provider(HDFS_NAMENODE=separator.join(pair.urls))
    (item,) = one.list("hdfs://model")
    assert b"".join(one.open_range(item)) == b"content"
    assert [request.server for request in pair.requests].count("namenode 0") == 1


def test_a_failover_while_reading_is_followed(pair: Cluster, provider: MakeProvider) -> None:
    one = provider(HDFS_NAMENODE=";".join(pair.urls))
    (item,) = one.list("hdfs://model")
    pair.active = 0
    assert b"".join(one.open_range(item)) == b"content"


def test_a_namenode_that_is_gone_is_passed_over(pair: Cluster, provider: MakeProvider) -> None:
    one = provider(HDFS_NAMENODE=";".join(pair.urls))
    pair.namenodes[0].close()
    assert [item.name for item in one.list("hdfs://model")] == ["a.bin"]


def test_the_namenode_that_fails_is_named_and_not_the_one_that_stands_by(pair: Cluster, provider: MakeProvider) -> None:
    one = provider(HDFS_NAMENODE=";".join(pair.urls))
    pair.namenodes[1].close()
    with pytest.raises(errors.StorageUnavailable, match=str(pair.namenodes[1].port)):
        one.list("hdfs://model")


def test_a_pair_without_an_active_one_may_get_one(pair: Cluster, provider: MakeProvider) -> None:
    pair.active = 2
    with pytest.raises(errors.StorageUnavailable, match="HDFS_NAMENODE"):
        provider(HDFS_NAMENODE=";".join(pair.urls)).list("hdfs://model")


def test_safe_mode_may_pass(cluster: Cluster, provider: MakeProvider) -> None:
    cluster.put("/model.bin", b"content")
    one = provider(HDFS_NAMENODE=cluster.urls[0])
    (item,) = one.list("hdfs:///model.bin")
    cluster.faults.safe_mode = True
    with pytest.raises(errors.StorageUnavailable, match="safe mode"):
        list(one.open_range(item))


def answer(name: str, status: int = 403) -> tuple[int, bytes]:
    found = {"exception": name, "javaClassName": f"org.apache.{name}", "message": "of the server"}
    return status, json.dumps({"RemoteException": found}).encode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer("FileNotFoundException", 404), errors.ArtifactNotFound),
        (answer("ParentNotDirectoryException"), errors.ArtifactNotFound),
        (answer("AccessControlException"), errors.AccessDenied),
        (answer("SecurityException", 401), errors.AccessDenied),
        (answer("SecretManager$InvalidToken"), errors.AccessDenied),
        (answer("StandbyException"), errors.StorageUnavailable),
        (answer("RetriableException"), errors.StorageUnavailable),
        (answer("IOException"), errors.StorageUnavailable),
        (answer("RuntimeException", 500), errors.StorageUnavailable),
        (answer("IllegalArgumentException", 400), errors.StorageError),
        (answer("<script>"), errors.AccessDenied),
        ((401, b"<html>of the server</html>"), errors.AccessDenied),
        ((403, b"of the server" * 100_000), errors.AccessDenied),
        ((404, b"of the server"), errors.StorageError),
        ((404, b"[" * 50_000), errors.StorageError),
        ((502, b"of the server"), errors.StorageUnavailable),
        ((200, b"<html>of the server, please log in</html>"), errors.StorageError),
        ((204, b""), errors.StorageError),
    ],
)
def test_answers_become_errors_that_do_not_repeat_them(
    cluster: Cluster, provider: MakeProvider, given: tuple[int, bytes], expected: type[errors.StorageError]
) -> None:
    cluster.faults.answers.append(given)
    with pytest.raises(errors.StorageError) as caught:
        provider(HDFS_NAMENODE=cluster.urls[0]).list("hdfs://model")
    assert isinstance(caught.value, expected)
    if expected is errors.StorageError:
        assert not isinstance(caught.value, (errors.StorageUnavailable, errors.ArtifactNotFound, errors.AccessDenied))
    assert "of the server" not in str(caught.value)
    assert "script" not in str(caught.value)


def test_a_port_that_is_not_the_one_of_webhdfs_is_told_apart_from_a_missing_file(provider: MakeProvider) -> None:
    with running(prefix="/elsewhere") as cluster, pytest.raises(errors.StorageError, match="9870") as caught:
        provider().list(f"hdfs://{cluster.authority}/model")
    assert not isinstance(caught.value, errors.ArtifactNotFound)
