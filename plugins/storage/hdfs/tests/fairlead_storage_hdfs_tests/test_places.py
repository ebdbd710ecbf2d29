"""What a URI names, with and without a configuration."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead_storage_hdfs import places
from fairlead_storage_hdfs.configuration import Configuration

KSERVE = Configuration(namenodes=("http://nn1:9870", "https://nn2:9871/gateway"))


@pytest.mark.parametrize(
    ("uri", "namenode", "path"),
    [
        ("hdfs://nn:9999/models/iris", "http://nn:9999", "/models/iris"),
        ("webhdfs://nn/models/iris", "http://nn:9870", "/models/iris"),
        ("swebhdfs://nn/models/iris", "https://nn:9871", "/models/iris"),
        ("webhdfs://[::1]:9870/a", "http://[::1]:9870", "/a"),
        ("webhdfs://nn", "http://nn:9870", "/"),
    ],
)
def test_a_uri_can_name_its_namenode(uri: str, namenode: str, path: str) -> None:
    place = places.parse(uri, Configuration())
    assert (place.namenodes, place.path) == ((namenode,), path)
    assert places.parse(place.uri(place.path), Configuration()).path == path


@pytest.mark.parametrize(
    ("uri", "root", "path"),
    [
        ("hdfs://models/iris", "/", "/models/iris"),
        ("webhdfs://models/iris/", "/data", "/data/models/iris"),
        ("hdfs:///models/iris", "/data", "/models/iris"),
        ("hdfs://models/iris", "data", "data/models/iris"),
        ("hdfs://nn1/models/iris", "/data", "/models/iris"),
        ("hdfs://NN2:8020/models/iris", "/data", "/models/iris"),
        ("webhdfs://nn1:9870/models/iris", "/data", "/models/iris"),
        ("hdfs://models//iris", "/", "/models/iris"),
        ("hdfs://a b/100%/?#.bin", "/", "/a b/100%/?#.bin"),
    ],
)
def test_with_namenodes_configured_what_follows_is_a_path(uri: str, root: str, path: str) -> None:
    configuration = Configuration(namenodes=KSERVE.namenodes, root=root)
    place = places.parse(uri, configuration)
    assert (place.namenodes, place.path, place.folder) == (KSERVE.namenodes, path, uri.endswith("/"))
    if path.startswith("/"):
        again = places.parse(place.uri(path), configuration)
        assert (again.namenodes, again.path) == (KSERVE.namenodes, path)


@pytest.mark.parametrize("uri", ["hdfs://elsewhere:9870/a", "webhdfs://nn1:9999/a"])
def test_credentials_for_one_namenode_do_not_go_to_another(uri: str) -> None:
    with pytest.raises(errors.UnsafeArtifact, match="HDFS_NAMENODE"):
        places.parse(uri, KSERVE)


def test_a_uri_needs_a_namenode_from_somewhere() -> None:
    with pytest.raises(errors.StorageError, match="HDFS_NAMENODE"):
        places.parse("hdfs:///models/iris", Configuration())


@pytest.mark.parametrize("uri", ["hdfs://user:secret@nn/a", "hdfs://nn:port/a", "hdfs://nn:9870:1/a"])
def test_what_is_no_host_is_refused(uri: str) -> None:
    with pytest.raises(errors.UnsafeArtifact) as caught:
        places.parse(uri, Configuration())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["hdfs:///a/../b", "hdfs:///a/./b", "hdfs://../b", "hdfs:///a\0b"])
def test_parts_that_no_path_of_hdfs_has_are_refused(uri: str) -> None:
    with pytest.raises(errors.StorageError, match="no path of HDFS"):
        places.parse(uri, KSERVE)
