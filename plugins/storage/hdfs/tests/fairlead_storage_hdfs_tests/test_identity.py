"""As whom HDFS is asked, who gets to see what, and that nothing secret is said."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_storage_hdfs_tests.hadoop import running

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead_storage_hdfs_tests.conftest import MakeProvider
    from fairlead_storage_hdfs_tests.hadoop import Cluster


@pytest.fixture
def path(cluster: Cluster) -> str:
    root = cluster.place({"model/a.bin": b"content"})
    cluster.private[root] = "alice"
    return f"{root}/model"


def read_all(provider: MakeProvider, uri: str, **credentials: str) -> bytes:
    one = provider(**credentials)
    return b"".join(b"".join(one.open_range(item)) for item in one.list(uri))


def test_without_a_name_hdfs_decides_who_asks(cluster: Cluster, provider: MakeProvider, path: str) -> None:
    with pytest.raises(errors.AccessDenied) as caught:
        read_all(provider, f"hdfs://{cluster.authority}{path}")
    assert all(key in str(caught.value) for key in ("USER_PROXY", "HADOOP_USER_NAME", "HDFS_DELEGATION_TOKEN"))
    assert "dr.who" not in str(caught.value), "the server's own words are not repeated"


def test_the_user_who_asks_is_named(
    cluster: Cluster, provider: MakeProvider, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_all(provider, f"hdfs://{cluster.authority}{path}", HADOOP_USER_NAME="alice") == b"content"
    monkeypatch.setenv("HADOOP_USER_NAME", "alice")
    assert read_all(provider, f"hdfs://{cluster.authority}{path}") == b"content"
    with pytest.raises(errors.AccessDenied):
        read_all(provider, f"hdfs://{path}", HDFS_NAMENODE=cluster.urls[0])


def test_one_user_can_ask_for_another(cluster: Cluster, provider: MakeProvider, path: str) -> None:
    given = {"HDFS_NAMENODE": cluster.urls[0], "USER_PROXY": "alice", "HADOOP_USER_NAME": "fairlead"}
    with pytest.raises(errors.AccessDenied, match="AuthorizationException"):
        read_all(provider, f"hdfs://{path}", **given)
    cluster.proxies["fairlead"] = {"alice"}
    assert read_all(provider, f"hdfs://{path}", **given) == b"content"
    assert {(request.query["user.name"], request.query["doas"]) for request in cluster.asked("GETFILESTATUS")} == {
        ("fairlead", "alice")
    }


def test_user_proxy_alone_is_sent_as_kserve_sends_it(cluster: Cluster, provider: MakeProvider, path: str) -> None:
    cluster.proxies["dr.who"] = {"alice"}
    assert read_all(provider, f"hdfs://{path}", HDFS_NAMENODE=cluster.urls[0], USER_PROXY="alice") == b"content"
    assert "user.name" not in cluster.asked("GETFILESTATUS")[0].query


def test_a_delegation_token_says_who_asks(cluster: Cluster, provider: MakeProvider, path: str) -> None:
    cluster.tokens = {"tok/en+1=": "alice"}
    with pytest.raises(errors.AccessDenied, match="Kerberos"):
        read_all(provider, f"hdfs://{path}", HDFS_NAMENODE=cluster.urls[0])
    given = {"HDFS_NAMENODE": cluster.urls[0], "HADOOP_USER_NAME": "bob"}
    assert read_all(provider, f"hdfs://{path}", **given, HDFS_DELEGATION_TOKEN="tok/en+1=") == b"content"
    assert all("user.name" not in request.query for request in cluster.requests if request.query.get("delegation"))
    with pytest.raises(errors.AccessDenied, match="InvalidToken") as caught:
        read_all(provider, f"hdfs://{path}", **given, HDFS_DELEGATION_TOKEN="secret-token")
    assert "secret-token" not in str(caught.value)


def test_headers_go_to_the_namenode_and_not_to_a_datanode(cluster: Cluster, provider: MakeProvider, path: str) -> None:
    cluster.private.clear()
    cluster.required = {"Authorization": "Bearer secret-token"}
    given = {"HDFS_NAMENODE": cluster.urls[0], "HEADERS": json.dumps(cluster.required)}
    assert read_all(provider, f"hdfs://{path}", **given) == b"content"
    for request in cluster.requests:
        assert ("Authorization" in request.headers) is request.server.startswith("namenode")
    assert any(request.server.startswith("datanode") for request in cluster.requests)


def test_headers_go_to_a_gateway_that_stands_for_the_datanodes_too(provider: MakeProvider) -> None:
    with running(prefix="/gateway/default") as cluster:
        cluster.put("/model.bin", b"content")
        cluster.required = {"Authorization": "Bearer secret-token"}
        cluster.faults.proxy = True
        given = {"HDFS_NAMENODE": f"{cluster.urls[0]}/", "HEADERS": json.dumps(cluster.required)}
        assert read_all(provider, "hdfs:///model.bin", **given) == b"content"
        with pytest.raises(errors.AccessDenied):
            read_all(provider, "hdfs:///model.bin", HDFS_NAMENODE=cluster.urls[0])


def test_headers_of_the_process_for_that_host_are_not_sent(
    cluster: Cluster, provider: MakeProvider, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.private.clear()
    monkeypatch.setenv("127.0.0.1-headers", '{"Authorization": "Bearer of-the-process"}')
    read_all(provider, f"hdfs://{path}", HDFS_NAMENODE=cluster.urls[0])
    assert all("Authorization" not in request.headers for request in cluster.requests)


def test_a_policy_of_public_addresses_refuses_the_cluster(cluster: Cluster, provider: MakeProvider, path: str) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        provider(FAIRLEAD_STORAGE_NETWORK="public").list(f"hdfs://{cluster.authority}{path}")
    assert cluster.requests == []


def test_a_list_of_hosts_holds_for_namenodes_and_datanodes(cluster: Cluster, provider: MakeProvider, path: str) -> None:
    cluster.private.clear()
    uri, namenode = f"hdfs://{cluster.authority}{path}", cluster.authority
    datanodes = [f"127.0.0.1:{datanode.port}" for datanode in cluster.datanodes]
    assert read_all(provider, uri, FAIRLEAD_STORAGE_HOSTS=",".join([namenode, *datanodes])) == b"content"
    with pytest.raises(errors.UnsafeArtifact, match="FAIRLEAD_STORAGE_HOSTS"):
        read_all(provider, uri, FAIRLEAD_STORAGE_HOSTS=namenode)


def test_a_redirect_to_a_metadata_service_is_refused(cluster: Cluster, provider: MakeProvider, path: str) -> None:
    cluster.faults.redirect = "http://169.254.169.254"
    with pytest.raises(errors.UnsafeArtifact):
        read_all(provider, f"hdfs://{cluster.authority}{path}", HADOOP_USER_NAME="alice")


def test_a_fetch_says_no_secret(cluster: Cluster, path: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    cluster.tokens = {"secret-token": "alice"}
    cluster.required = {"X-Key": "secret-key"}
    given = {
        "HDFS_NAMENODE": cluster.urls[0],
        "HEADERS": json.dumps(cluster.required),
        "HDFS_DELEGATION_TOKEN": "secret-token",
    }
    settings = FetchSettings(cache=tmp_path, credentials=given)
    cluster.faults.reads.append((503, b"secret-body"))
    artifact = Fetcher(Plugins.discover(), settings, SilentProgress()).fetch(f"hdfs://{path}")
    assert (artifact.path / "a.bin").read_bytes() == b"content"
    assert "secret" not in caplog.text
    assert "503" in caplog.text
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"secret" in file.read_bytes()]
