"""``storage`` of a model: an entry of the storage secret, with parameters laid over it, is an address with access."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.resolve.resolving import revision_digest
from fairlead_tests.resolve import vaults, worlds
from fairlead_tests.resolve.vaults import secret, values, vault

if TYPE_CHECKING:
    from fairlead.resolve import Source
    from fairlead.resolve.secrets import Vault
    from fairlead.resolve.service import ResolvedService

ENTRY = {
    "type": "s3",
    "bucket": "models",
    "access_key_id": "AKIA",
    "secret_access_key": "hidden",
    "endpoint_url": "http://minio:9000",
    "region": "eu",
    "verify_ssl": "0",
    "anonymous": "false",
    "ca_bundle": "/x.crt",
}
HDFS = {"type": "hdfs", "HDFS_NAMENODE": "http://n:9870", "USER_PROXY": "u", "TLS_CA": vaults.encoded("PEM")}


def config(name: str = "storage-config", **entries: Any) -> dict[str, Any]:
    """A storage secret with these entries."""
    return secret(name, {key: each if isinstance(each, str) else json.dumps(each) for key, each in entries.items()})


def resolved(storage: dict[str, Any], there: Vault, **more: Any) -> ResolvedService:
    uri = f", storageUri: {json.dumps(more.pop('uri'))}" if "uri" in more else ""
    text = f"{{predictor: {{model: {{modelFormat: {{name: sklearn}}, storage: {json.dumps(storage)}{uri}}}}}}}"
    return worlds.resolved(text, worlds.catalogue(vault=there), **more)


def one(storage: dict[str, Any], there: Vault, **more: Any) -> Source:
    (source,) = resolved(storage, there, **more).predictor.sources
    return source


def refused(storage: dict[str, Any], there: Vault, **more: Any) -> errors.Unresolvable:
    with pytest.raises(errors.Unresolvable) as caught:
        resolved(storage, there, **more)
    assert caught.value.remedy
    assert "hidden" not in str(caught.value)
    return caught.value


def test_a_path_in_an_entry_is_an_address_and_its_credentials() -> None:
    there = vault(config(minio=ENTRY))
    source = one({"key": "minio", "path": "/iris/1"}, there)
    assert source.uri == "s3://models/iris/1"
    assert values(there, source.credentials) == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "hidden",
        "AWS_ENDPOINT_URL": "http://minio:9000",
        "AWS_DEFAULT_REGION": "eu",
        "S3_VERIFY_SSL": "0",
        "awsAnonymousCredential": "false",
        "AWS_CA_BUNDLE": "/x.crt",
    }


def test_parameters_are_laid_over_the_entry_whatever_says_the_type() -> None:
    there = vault(config(default=ENTRY, default_s3={**ENTRY, "bucket": "of-the-type"}))
    assert one({"path": "a", "parameters": {"bucket": "mine"}}, there).uri == "s3://mine/a"
    # KServe reads the bucket of an entry only where the type is not a parameter.
    found = one({"path": "a", "parameters": {"type": "s3", "region": "us"}}, there)
    assert found.uri == "s3://of-the-type/a"
    assert values(there, found.credentials)["AWS_DEFAULT_REGION"] == "us"


def test_without_a_key_an_entry_need_not_be_there() -> None:
    parameters = {"type": "s3", "bucket": "public", "anonymous": "true"}
    for there in (vault(), vault(config(other=ENTRY))):
        source = one({"path": "a", "parameters": parameters}, there)
        assert source.uri == "s3://public/a"
        assert values(there, source.credentials) == {"awsAnonymousCredential": "true"}


def test_files_of_hdfs_are_decoded() -> None:
    there = vault(config(cluster=HDFS, web={**HDFS, "type": "webhdfs"}))
    source = one({"key": "cluster", "path": "/models/iris"}, there)
    assert source.uri == "hdfs://models/iris"
    assert values(there, source.credentials) == {"HDFS_NAMENODE": "http://n:9870", "USER_PROXY": "u", "TLS_CA": "PEM"}
    assert one({"key": "web", "path": "iris"}, there).uri == "webhdfs://iris"


def test_a_whole_address_may_have_an_entry_beside_it() -> None:
    there = vault(config(minio={key: value for key, value in ENTRY.items() if key not in ("type", "bucket")}))
    source = one({"key": "minio"}, there, uri="s3://other/iris")
    assert source.uri == "s3://other/iris"
    assert values(there, source.credentials)["AWS_ACCESS_KEY_ID"] == "AKIA"


def test_the_annotation_names_another_secret() -> None:
    there = vault(config("mine", minio=ENTRY), config(minio={**ENTRY, "bucket": "wrong"}))
    found = one({"key": "minio", "path": "a"}, there, annotations={vaults.ANNOTATION: "mine"})
    assert found.uri == "s3://models/a"


@pytest.mark.parametrize(
    ("storage", "entries", "condition", "named"),
    [
        ({"key": "other", "path": "a"}, {"minio": ENTRY}, "InvalidStorageSpec", "names the key 'other'"),
        ({"key": "minio"}, {"minio": ENTRY}, "InvalidStorageSpec", "says no path"),
        ({"key": "minio", "path": "a"}, {"minio": {"bucket": "b"}}, "InvalidStorageSpec", "says no type"),
        ({"key": "minio", "path": "a"}, {"minio": {"type": "s3"}}, "InvalidStorageSpec", "says no bucket"),
        ({"key": "minio", "path": "a"}, {"minio": {"type": "gs"}}, "InvalidStorageSpec", "of the type 'gs'"),
        ({"path": "a", "parameters": {"type": "gs"}}, {}, "InvalidStorageSpec", "of the type 'gs'"),
        ({"path": "a", "parameters": {"type": "s3", "buckt": "x"}}, {}, "InvalidStorageSpec", "has no 'buckt'"),
        ({"key": "minio", "path": "a"}, {"minio": "hidden"}, "InvalidSecret", "entry minio of the Secret default/"),
        ({"key": "minio", "path": "a"}, {"minio": {**ENTRY, "verify_ssl": False}}, "InvalidSecret", "at 'verify_ssl'"),
        (
            {"key": "minio", "path": "a"},
            {"minio": {"type": "s3", "bucket": "b", "secret_access_key": "hidden"}},
            "InvalidSecret",
            "one half of an access key",
        ),
        ({"key": "h", "path": "a"}, {"h": {**HDFS, "TLS_KEY": "hidden!"}}, "InvalidSecret", "has at TLS_KEY"),
    ],
)
def test_what_describes_nothing_is_refused_and_nothing_secret_is_told(
    storage: dict[str, Any], entries: dict[str, Any], condition: str, named: str
) -> None:
    error = refused(storage, vault(config(**entries)))
    assert error.condition == condition
    assert named in error.reason


def test_a_secret_that_is_asked_for_has_to_be_there_in_the_same_namespace() -> None:
    elsewhere = config(minio=ENTRY)
    elsewhere["metadata"]["namespace"] = "theirs"
    there = vault(elsewhere)
    assert refused({"key": "minio", "path": "a"}, there).condition == "SecretNotFound"
    parameters = {"path": "a", "parameters": {"type": "s3", "bucket": "b"}}
    assert refused(parameters, there, annotations={vaults.ANNOTATION: "storage-config"}).condition == "SecretNotFound"


@pytest.mark.parametrize(("uri", "named"), [("gs://a/b", "another type"), ("hdfs://a/b", "and storageUri is hdfs://")])
def test_an_address_that_the_entry_does_not_describe_is_refused(uri: str, named: str) -> None:
    assert named in refused({"key": "minio"}, vault(config(minio=ENTRY)), uri=uri).reason


def test_fields_and_a_schema_that_nothing_reads_are_told() -> None:
    there = vault(config(minio={**ENTRY, "default_bucket": "x"}))
    warnings = resolved({"key": "minio", "path": "a", "schemaPath": "s.json"}, there).warnings
    assert any("has fields that are not used: default_bucket." in each for each in warnings)
    assert any("schemaPath has no effect" in each for each in warnings)


def test_another_entry_makes_another_revision_and_another_secret_value_does_not() -> None:
    there = vault(config(a=ENTRY, b=ENTRY))
    later = vault(config(a={**ENTRY, "secret_access_key": "new"}))
    digests = {
        name: revision_digest(resolved({"key": key, "path": "x"}, known).predictor)
        for name, key, known in (("a", "a", there), ("b", "b", there), ("later", "a", later))
    }
    assert digests["a"] == digests["later"] != digests["b"]
