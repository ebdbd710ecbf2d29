"""What is listed of a bucket."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_storage_s3_tests import proxy as proxies
from fairlead_storage_s3_tests.bucket import PAGE

if TYPE_CHECKING:
    from fairlead_storage_s3_tests.bucket import Bucket
    from fairlead_storage_s3_tests.conftest import Connect
    from fairlead_storage_s3_tests.proxy import Proxy


def test_an_exact_object_wins_over_what_is_below_its_name(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    bucket.put("model", b"file")
    bucket.put("model/a.bin", b"tree")
    provider = connect(url=proxy.url)
    assert [(item.name, item.size) for item in provider.list(f"{bucket.uri}/model")] == [("model", 4)]
    assert len(proxy.requests) == 1
    assert [item.name for item in provider.list(f"{bucket.uri}/model/")] == ["a.bin"]


def test_a_whole_bucket_is_listed(bucket: Bucket, connect: Connect) -> None:
    bucket.put("a.bin", b"a")
    bucket.put("folder/b.bin", b"b")
    for uri in (bucket.uri, f"{bucket.uri}/"):
        assert [item.name for item in connect().list(uri)] == ["a.bin", "folder/b.bin"]


def test_markers_of_folders_are_dropped_and_empty_objects_kept(bucket: Bucket, connect: Connect) -> None:
    for key in ("model/", "model/1/", "model/1/__init__.py"):
        bucket.put(key, b"")
    assert [(item.name, item.size) for item in connect().list(f"{bucket.uri}/model")] == [("1/__init__.py", 0)]
    bucket.put("only/", b"")
    with pytest.raises(errors.ArtifactNotFound):
        connect().list(f"{bucket.uri}/only")


def test_a_listing_goes_on_page_after_page(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    count = 2 * PAGE + 1
    for number in range(count):
        bucket.put(f"model/{number:04} +%", b"")
    items = connect(url=proxy.url).list(f"{bucket.uri}/model/")
    assert [item.name for item in items] == [f"{number:04} +%" for number in range(count)]
    assert len(proxy.asked("GET")) == 3


def test_a_listing_without_end_is_refused(bucket: Bucket, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_storage_s3.provider._MAX_OBJECTS", 2)
    for number in range(3):
        bucket.put(f"model/{number}", b"")
    with pytest.raises(errors.StorageLimitExceeded, match="more than 2 objects"):
        connect().list(f"{bucket.uri}/model")


@pytest.mark.parametrize(
    "name", ["../up.bin", "a/../b.bin", "./a.bin", "/absolute.bin", "a//b.bin", "a b+c%41&d=e?f#g.bin", "模型 é.bin"]
)
def test_names_are_passed_on_as_the_service_says_them(bucket: Bucket, connect: Connect, name: str) -> None:
    """Whether they may be written is for the fetcher to say."""
    bucket.put(f"model/{name}", b"content")
    provider = connect()
    (item,) = provider.list(f"{bucket.uri}/model")
    assert item.name == name
    assert b"".join(provider.open_range(item)) == b"content"


def test_names_of_objects_are_not_decoded(bucket: Bucket, connect: Connect) -> None:
    bucket.put("a%20b?c", b"content")
    (item,) = connect().list(f"{bucket.uri}/a%20b?c")
    assert item.name == "a%20b?c"


def test_the_digest_is_the_services_own_sha256_or_else_the_md5_of_one_part(bucket: Bucket, connect: Connect) -> None:
    bucket.put("one.bin", b"content")
    bucket.put("known.bin", b"content", ChecksumAlgorithm="SHA256")
    provider = connect()
    (one,) = provider.list(f"{bucket.uri}/one.bin")
    assert one.digest == f"md5:{hashlib.md5(b'content').hexdigest()}"
    (known,) = provider.list(f"{bucket.uri}/known.bin")
    assert known.digest == f"sha256:{hashlib.sha256(b'content').hexdigest()}"


def test_no_digest_is_told_where_the_tag_is_none(bucket: Bucket, connect: Connect) -> None:
    """An object of several parts, or one that a key of KMS encrypts, has a tag that is no digest."""
    client = bucket.server.client
    upload = client.create_multipart_upload(Bucket=bucket.name, Key="parts.bin")["UploadId"]
    part = client.upload_part(Bucket=bucket.name, Key="parts.bin", UploadId=upload, PartNumber=1, Body=b"content")
    client.complete_multipart_upload(
        Bucket=bucket.name,
        Key="parts.bin",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    bucket.put("encrypted.bin", b"content", ServerSideEncryption="aws:kms")
    provider = connect()
    for name in ("parts.bin", "encrypted.bin"):
        (item,) = provider.list(f"{bucket.uri}/{name}")
        assert item.etag
        assert item.digest is None
        assert b"".join(provider.open_range(item)) == b"content"


def test_the_objects_of_a_tree_have_tags_and_no_digests(bucket: Bucket, connect: Connect) -> None:
    """The listing does not tell how they are encrypted."""
    bucket.put("model/a.bin", b"a")
    (item,) = connect().list(f"{bucket.uri}/model")
    assert item.etag == f'"{hashlib.md5(b"a").hexdigest()}"'
    assert item.digest is None


def test_a_tree_is_listed_where_its_name_may_not_be_asked_for(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    """A policy that allows ``model/*`` alone answers 403 to a question about ``model``."""
    bucket.put("model/a.bin", b"a")
    proxy.faults.answers = [proxies.empty(403)]
    assert [item.name for item in connect(url=proxy.url).list(f"{bucket.uri}/model")] == ["a.bin"]


def test_an_object_that_may_not_be_read_is_not_called_missing(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    proxy.faults.answers = [proxies.empty(403)]
    with pytest.raises(errors.AccessDenied, match="refuses access"):
        connect(url=proxy.url).list(f"{bucket.uri}/model.bin")


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://arn:aws:s3:eu-west-1:1:accesspoint/x/key", "s3://A B/key"])
def test_a_uri_without_a_bucket_is_refused(connect: Connect, uri: str) -> None:
    with pytest.raises(errors.StorageError, match="bucket"):
        connect().list(uri)
