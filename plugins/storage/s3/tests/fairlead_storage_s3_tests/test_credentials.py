"""Who asks: given credentials, those of the machine, and where neither may go."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_storage_s3.provider import S3Provider
from fairlead_storage_s3_tests import bucket as buckets
from fairlead_storage_s3_tests import proxy as proxies

if TYPE_CHECKING:
    from fairlead_storage_s3_tests.bucket import Bucket, Server
    from fairlead_storage_s3_tests.conftest import Connect
    from fairlead_storage_s3_tests.proxy import Proxy

SECRET = buckets.KEYS["AWS_SECRET_ACCESS_KEY"]
KEY = buckets.KEYS["AWS_ACCESS_KEY_ID"]


def signer(request: bytes) -> str | None:
    """The access key that a request is signed with."""
    found = re.search(rb"(?i)authorization: .*credential=([^/]+)/", request)
    return found[1].decode() if found else None


def environment(monkeypatch: pytest.MonkeyPatch, url: str, key: str = "AMBIENT") -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "ambient-token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)


def test_given_keys_sign_and_nothing_of_the_environment_goes_with_them(
    bucket: Bucket, connect: Connect, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "one-that-does-not-exist")
    bucket.put("model/a.bin", b"a")
    provider = connect(url=proxy.url)
    (item,) = provider.list(f"{bucket.uri}/model")
    list(provider.open_range(item))
    assert {signer(request) for request in proxy.requests} == {KEY}
    assert not any(b"ambient" in request.lower() for request in proxy.requests)


def test_a_given_session_token_is_sent(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    bucket.put("model.bin", b"a")
    connect(url=proxy.url, AWS_SESSION_TOKEN="given-token").list(f"{bucket.uri}/model.bin")
    assert b"X-Amz-Security-Token: given-token" in proxy.requests[0]


def test_without_given_ones_the_credentials_of_the_environment_are_used(
    bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, proxy.url)
    bucket.put("model.bin", b"a")
    provider = S3Provider()
    provider.list(f"{bucket.uri}/model.bin")
    provider.close()
    assert signer(proxy.requests[0]) == "AMBIENT"
    assert b"/eu-west-1/s3/" in proxy.requests[0]


def test_a_profile_of_the_machine_is_used(
    bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text("[team]\naws_access_key_id = PROFILE\naws_secret_access_key = secret\n")
    (tmp_path / "config").write_text("[profile team]\nregion = eu-west-2\n")
    monkeypatch.setenv("AWS_PROFILE", "team")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    bucket.put("model.bin", b"a")
    provider = S3Provider()
    provider.list(f"{bucket.uri}/model.bin")
    provider.close()
    assert signer(proxy.requests[0]) == "PROFILE"
    assert b"/eu-west-2/s3/" in proxy.requests[0]


def test_a_profile_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    provider = S3Provider()
    with pytest.raises(errors.AccessDenied, match="AWS_PROFILE"):
        provider.list("s3://bucket/model")
    provider.close()


def test_no_credentials_are_an_error_that_names_the_variables(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    provider = S3Provider()
    with pytest.raises(
        errors.AccessDenied, match=r"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.*awsAnonymousCredential"
    ):
        provider.list("s3://bucket/model")
    provider.close()


def test_anonymous_requests_are_not_signed(bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, "http://127.0.0.1:9")
    bucket.put("model.bin", b"a", ACL="public-read")
    provider = S3Provider(credentials={"awsAnonymousCredential": "true", "AWS_ENDPOINT_URL": proxy.url})
    (item,) = provider.list(f"{bucket.uri}/model.bin")
    assert list(provider.open_range(item)) == [b"a"]
    provider.close()
    assert {signer(request) for request in proxy.requests} == {None}
    assert not any(b"ambient" in request.lower() for request in proxy.requests)


def test_a_given_web_identity_is_exchanged_for_keys(
    bucket: Bucket, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment(monkeypatch, "http://127.0.0.1:9")
    token = tmp_path / "token"
    token.write_text("header.payload.signature")
    bucket.put("model/a.bin", b"a")
    provider = S3Provider(
        credentials={
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/reader",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ENDPOINT_URL_STS": server.url,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    )
    (item,) = provider.list(f"{bucket.uri}/model")
    assert list(provider.open_range(item)) == [b"a"]
    provider.close()
    signers = {signer(request) for request in proxy.requests}
    assert len(signers) == 1
    assert not signers & {None, "AMBIENT"}
    assert not any(b"ambient" in request.lower() for request in proxy.requests)


def test_a_web_identity_without_its_token_is_said(server: Server) -> None:
    provider = S3Provider(
        credentials={
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/reader",
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/none",
            "AWS_ENDPOINT_URL": server.url,
        }
    )
    with pytest.raises(errors.AccessDenied, match="AWS_WEB_IDENTITY_TOKEN_FILE"):
        provider.list("s3://bucket/model")
    provider.close()


def test_a_role_that_is_refused_is_said(proxy: Proxy, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("header.payload.signature")
    proxy.faults.answers = [proxies.error(403, "AccessDenied")]
    provider = S3Provider(
        credentials={
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/reader",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ENDPOINT_URL_STS": proxy.url,
        }
    )
    with pytest.raises(errors.AccessDenied, match="AWS_ROLE_ARN"):
        provider.list("s3://bucket/model")
    provider.close()


def test_secrets_are_in_no_log_and_no_error(
    bucket: Bucket, connect: Connect, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bucket.put("model.bin", b"a")
    provider = connect(url=proxy.url, AWS_SESSION_TOKEN="the-token-that-nobody-prints")
    (item,) = provider.list(f"{bucket.uri}/model.bin")
    list(provider.open_range(item))
    proxy.faults.answers = [proxies.error(403, "AccessDenied"), proxies.error(403, "AccessDenied")]
    with pytest.raises(errors.AccessDenied) as caught:
        provider.list(f"{bucket.uri}/model.bin/")
    seen = f"{caplog.text} {caught.value} {provider!r}"
    for secret in (SECRET, KEY, "the-token-that-nobody-prints", "Signature="):
        assert secret not in seen


def test_a_redirect_to_another_host_is_not_followed(
    bucket: Bucket, connect: Connect, proxy: Proxy, server: Server
) -> None:
    """It would take the session token there."""
    provider = connect(url=proxy.url, AWS_SESSION_TOKEN="given-token")
    (item,) = provider.list(bucket.put("model.bin", b"a"))
    with proxies.before(server.port) as other:
        proxy.faults.always = proxies.empty(307, Location=f"{other.url}/{bucket.name}/model.bin")
        with pytest.raises(errors.StorageError, match="redirects without an end"):
            list(provider.open_range(item))
        assert not other.requests
        assert len(proxy.requests) < 8


def test_a_public_policy_refuses_an_endpoint_on_loopback(proxy: Proxy) -> None:
    provider = S3Provider(credentials={**buckets.credentials(proxy.url), "FAIRLEAD_STORAGE_NETWORK": "public"})
    with pytest.raises(errors.UnsafeArtifact, match=r"127\.0\.0\.1"):
        provider.list("s3://bucket/model")
    provider.close()
    assert not proxy.requests


def test_a_list_of_hosts_is_kept_to(proxy: Proxy) -> None:
    provider = S3Provider(
        credentials={**buckets.credentials(proxy.url), "FAIRLEAD_STORAGE_HOSTS": "s3://bucket,models.example.com"}
    )
    with pytest.raises(errors.UnsafeArtifact, match="FAIRLEAD_STORAGE_HOSTS"):
        provider.list("s3://bucket/model")
    provider.close()
    assert not proxy.requests


def test_an_address_is_judged_when_it_is_connected_to(
    proxy: Proxy, bucket: Bucket, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may resolve to another address than it did when it was judged."""
    monkeypatch.setattr("fairlead.storage.policy.Policy.check_endpoint", lambda *_: None)
    provider = connect(url=proxy.url, FAIRLEAD_STORAGE_NETWORK="public")
    with pytest.raises(errors.UnsafeArtifact, match=r"127\.0\.0\.1 is loopback"):
        provider.list(f"{bucket.uri}/model")
    assert not proxy.requests


def test_the_bucket_is_part_of_the_host_where_that_is_set(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    bucket.put("model.bin", b"a")
    url = proxy.url.replace("127.0.0.1", "localhost")
    connect(url=url).list(f"{bucket.uri}/model.bin")
    assert f"HEAD /{bucket.name}/model.bin".encode() in proxy.requests[-1]
    with pytest.raises(errors.StorageError):  # the server, or no name server, knows no such host
        connect(url=url, S3_USER_VIRTUAL_BUCKET="true").list(f"{bucket.uri}/model.bin")


def test_the_signature_is_that_of_what_was_sent(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    """The server of these tests does not verify it, and Amazon's does."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import ReadOnlyCredentials

    provider = connect(url=proxy.url, AWS_SESSION_TOKEN="token")
    (item,) = provider.list(bucket.put("model/a b+%é.bin", b"content"))
    list(provider.open_range(item, 1, 3))
    for sent in proxy.requests:
        first, *lines = sent.decode().split("\r\n")
        method, path, _ = first.split(" ")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        scope, names, signature = re.findall(r"(?:Credential|SignedHeaders|Signature)=([^,]+)", fields["authorization"])
        assert scope.endswith("/us-east-1/s3/aws4_request")
        signed = {name: fields[name] for name in names.split(";")}
        assert {"host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"} <= signed.keys()
        request = AWSRequest(method=method, url=f"http://{fields['host']}{path}", headers=signed)
        request.context["timestamp"] = fields["x-amz-date"]
        signer = S3SigV4Auth(ReadOnlyCredentials(KEY, SECRET, "token"), "s3", "us-east-1")
        text = signer.string_to_sign(request, signer.canonical_request(request))
        assert signer.signature(text, request) == signature
    assert b";if-match;range;" in proxy.requests[-1]


def test_a_proxy_of_the_environment_is_used(
    bucket: Bucket, connect: Connect, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    (item,) = connect().list(bucket.put("model.bin", b"content"))
    assert item.size == 7
    assert proxy.requests[0].startswith(f"HEAD {bucket.server.url}/{bucket.name}/model.bin ".encode())
