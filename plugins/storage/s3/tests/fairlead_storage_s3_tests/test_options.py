"""What the variables of KServe and Amazon come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead_storage_s3.options import Options

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


def read(given: dict[str, str] | None = None, environ: dict[str, str] | None = None) -> Options:
    return Options.read(given or {}, 30.0, environ or {})


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "http://minio:9000/"}, "http://minio:9000"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b", "S3_ENDPOINT": "c"}, "http://b"),
        ({"AWS_ENDPOINT_URL": "http://a", "S3_ENDPOINT": "c"}, "http://a"),
        ({"S3_ENDPOINT": "minio:9000"}, "https://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "0"}, "http://minio:9000"),
        ({"S3_ENDPOINT": "https://minio", "S3_USE_HTTPS": "0"}, "https://minio"),
        ({"S3_ENDPOINT": "", "AWS_ENDPOINT_URL": " "}, None),
    ],
)
def test_the_endpoint_is_a_url_or_a_host(variables: dict[str, str], endpoint: str | None) -> None:
    assert read(environ=variables).endpoint == endpoint
    assert read({**KEYS, **variables}).endpoint == endpoint


def test_what_is_not_given_has_defaults() -> None:
    assert read() == Options()


def test_kserves_settings_are_read() -> None:
    options = read(
        {
            **KEYS,
            "AWS_SESSION_TOKEN": "token",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-2",
            "S3_USER_VIRTUAL_BUCKET": "1",
            "S3_USE_ACCELERATE": "true",
            "S3_VERIFY_SSL": "0",
            "S3_CONNECT_TIMEOUT": "15",
            "S3_READ_TIMEOUT": "60.5",
            "S3_MAX_ATTEMPTS": "3",
            "S3_MAX_FILE_CONCURRENCY": "4",
            "S3_USE_HTTPS": "false",
        }
    )
    assert options == Options(
        given=True,
        key="key",
        secret="secret",
        token="token",
        region="eu-west-2",
        virtual=True,
        accelerate=True,
        verify=False,
        connect_timeout=15,
        read_timeout=60.5,
        attempts=3,
        files=4,
        https=False,
    )
    assert read({"S3_USE_VIRTUAL_BUCKET": "false", "AWS_REGION": "eu-west-1"}).virtual is False


def test_an_identity_is_taken_whole_from_where_it_is_given() -> None:
    environ = {
        **KEYS,
        "AWS_SESSION_TOKEN": "token",
        "AWS_ENDPOINT_URL": "http://minio",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    own = read({"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other"}, environ)
    assert (own.key, own.secret, own.token, own.given) == ("other", "other", None, True)
    assert (own.endpoint, own.region) == ("http://minio", "eu-west-1")
    ambient = read({"AWS_DEFAULT_REGION": "eu-west-3"}, environ)
    assert (ambient.key, ambient.given, ambient.region) == (None, False, "eu-west-3")


def test_anonymous_access_needs_no_identity_and_uses_none() -> None:
    for options in (read({"awsAnonymousCredential": "true"}, KEYS), read({}, {**KEYS, "awsAnonymousCredential": "1"})):
        assert options.anonymous
        assert options.given
        assert options.key is None
    assert not read({**KEYS, "awsAnonymousCredential": "false"}).anonymous


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"AWS_ACCESS_KEY_ID": "key"}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "never-shown"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_SESSION_TOKEN": "never-shown"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_ROLE_ARN": "role"}, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, "AWS_ROLE_ARN"),
        ({"AWS_ENDPOINT_URL": "http://minio"}, "awsAnonymousCredential"),
        ({"S3_ENDPOINT": "minio"}, "AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_part_of_an_identity_is_not_completed_from_the_environment(given: dict[str, str], remedy: str) -> None:
    environ = {**KEYS, "AWS_ROLE_ARN": "role", "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}
    with pytest.raises(errors.AccessDenied, match=remedy) as caught:
        read(given, environ)
    assert "never-shown" not in str(caught.value)


def test_keys_come_before_a_web_identity() -> None:
    role = {"AWS_ROLE_ARN": "role", "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}
    assert read({**KEYS, **role}).role is None
    options = read({**role, "AWS_ROLE_SESSION_NAME": "name", "AWS_ENDPOINT_URL_STS": "http://sts"})
    assert (options.role, options.token_file, options.session_name) == ("role", "/token", "name")
    assert options.sts_endpoint == "http://sts"


def test_the_old_endpoint_of_amazon_leads_to_other_regions_by_the_buckets_name() -> None:
    old = {"AWS_ENDPOINT_URL": "https://s3.amazonaws.com"}
    assert read(environ={**old, "AWS_DEFAULT_REGION": "eu-west-1"}).virtual is True
    assert read(environ={**old, "AWS_DEFAULT_REGION": "us-east-1"}).virtual is None


def test_authorities_are_a_file_that_exists(tmp_path: Path) -> None:
    bundle = tmp_path / "cabundle.crt"
    bundle.touch()
    given = {"AWS_CA_BUNDLE": str(bundle)}
    assert read(given).verify == str(bundle)
    assert read({**given, "S3_VERIFY_SSL": "false"}).verify is False
    mounted = {"CA_BUNDLE_CONFIGMAP_NAME": "trusted", "CA_BUNDLE_VOLUME_MOUNT_POINT": str(tmp_path)}
    assert read(mounted).verify == str(bundle)
    assert read({"AWS_CA_BUNDLE_CONFIGMAP": "trusted"}, mounted).verify == str(bundle)
    assert read({**mounted, "AWS_CA_BUNDLE": str(bundle), "CA_BUNDLE_VOLUME_MOUNT_POINT": "/none"}).verify == str(
        bundle
    )
    assert read(environ={"SSL_CERT_FILE": str(bundle)}).verify == str(bundle)
    assert read(environ={"SSL_CERT_FILE": "/none"}).verify is True
    for missing in ({"AWS_CA_BUNDLE": "/none"}, {**mounted, "CA_BUNDLE_VOLUME_MOUNT_POINT": "/none"}):
        with pytest.raises(errors.StorageError, match="there is no file /none"):
            read(missing)


@pytest.mark.parametrize(
    "given",
    [
        {"S3_VERIFY_SSL": "maybe"},
        {"awsAnonymousCredential": "yes please"},
        {"S3_CONNECT_TIMEOUT": "soon"},
        {"S3_READ_TIMEOUT": "0"},
        {"S3_READ_TIMEOUT": "inf"},
        {"S3_MAX_ATTEMPTS": "-1"},
        {"S3_MAX_FILE_CONCURRENCY": "0"},
        {**KEYS, "AWS_ENDPOINT_URL": "ftp://host"},
        {**KEYS, "AWS_ENDPOINT_URL": "http://user:password@host"},
        {**KEYS, "AWS_ENDPOINT_URL": "http://minio", "S3_USE_ACCELERATE": "true"},
    ],
)
def test_what_cannot_be_read_is_an_error(given: dict[str, str]) -> None:
    with pytest.raises(errors.StorageError) as caught:
        read(given)
    assert "password" not in str(caught.value)


def test_no_secret_is_shown_by_what_was_read() -> None:
    options = read({"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret", "AWS_SESSION_TOKEN": "a-token"})
    assert not {"an-id", "a-secret", "a-token"} & set(repr(options).replace("'", " ").split())
