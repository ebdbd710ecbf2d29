"""Secrets that are not read where a service is resolved: they are named, mounted, and looked at by the same rules."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import StorageSpec, errors
from fairlead.resolve import credential_values, credentials, storage_spec
from fairlead.resolve.config import Config, CredentialsConfig
from fairlead.resolve.credentials import Credentials
from fairlead.resolve.mounted import Mounted
from fairlead.resolve.secrets import SecretKey, Vault
from fairlead_tests.resolve import vaults, worlds
from fairlead_tests.resolve.vaults import account, config_map, secret

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedService, Source

S3 = StorageSpec(name="s3", prefixes=("s3://",), factory="nowhere:S3", credentials=("AWS_*", "S3_*"))
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hidden"}
LOGIN = {".dockerconfigjson": json.dumps({"auths": {"registry.example": {"auth": "x"}}})}
ROLE = {"eks.amazonaws.com/role-arn": "arn", "serving.kserve.io/s3-region": "eu", "example.com/owner": "me"}


def sealed(*manifests: Mapping[str, Any]) -> Vault:
    return Vault.of(manifests, sealed=True)


def resolved(text: str, there: Vault, config: Config | None = None, **metadata: Any) -> ResolvedService:
    known = worlds.catalogue(vault=there, storage={**worlds.STORAGE, "s3": S3})
    return worlds.resolved(text, known, config, **metadata)


def of_uri(uri: str, there: Vault, pod: str = "serviceAccountName: ml,", **more: Any) -> Source:
    text = f"{{predictor: {{{pod} model: {{modelFormat: {{name: sklearn}}, storageUri: '{uri}'}}}}}}"
    (source,) = resolved(text, there, **more).predictor.sources
    return source


def of_storage(storage: dict[str, Any], uri: str = "", **metadata: Any) -> Source:
    beside = f", storageUri: '{uri}'" if uri else ""
    text = f"{{predictor: {{model: {{modelFormat: {{name: sklearn}}, storage: {json.dumps(storage)}{beside}}}}}}}"
    (source,) = resolved(text, sealed(), **metadata).predictor.sources
    return source


# -- names without Secrets --------------------------------------------------------------------------------


def test_secrets_of_a_sealed_vault_are_named_and_need_not_be_known() -> None:
    there = sealed(secret("minio", KEYS), account("ml", "minio", "gone", metadata={"annotations": ROLE}))
    assert there.secrets == {}
    names = of_uri("s3://b/iris", there).credentials
    assert names is not None
    assert names.account == "ml"
    assert names.holder is not None
    assert names.holder.secrets == ("minio", "gone")
    assert set(names.holder.annotations) == {"eks.amazonaws.com/role-arn", "serving.kserve.io/s3-region"}


def test_an_account_that_is_not_known_leaves_the_names() -> None:
    assert of_uri("s3://b/iris", sealed()).credentials == Credentials(account="ml")
    assert of_uri("/mnt/iris", sealed()).credentials is None


def test_only_artefacts_in_registries_have_logins() -> None:
    there = sealed(account("ml", imagePullSecrets=[{"name": "login"}]))
    of_account = [of_uri(uri, there).credentials for uri in ("s3://b/iris", "oci://r/iris")]
    assert [each and each.holder and each.holder.pull_secrets for each in of_account] == [(), ("login",)]


def test_annotations_of_an_account_without_a_role_do_not_count() -> None:
    there = sealed(account("ml", metadata={"annotations": {"serving.kserve.io/s3-region": "eu"}}))
    names = of_uri("s3://b/iris", there).credentials
    assert names is not None
    assert names.holder is not None
    assert names.holder.annotations == {}


# -- storage without its entry ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage", "uri", "entry", "optional"),
    [
        ({"path": "/iris/1"}, "<scheme-placeholder>://iris/1", "default", True),
        ({"key": "minio", "path": "iris"}, "<scheme-placeholder>://iris", "minio", False),
        ({"path": "iris", "parameters": {"type": "s3"}}, "<scheme-placeholder>://iris", "default_s3", True),
        ({"path": "iris", "parameters": {"type": "s3", "bucket": "b"}}, "s3://b/iris", "default_s3", True),
        ({"path": "iris", "parameters": {"type": "hdfs"}}, "hdfs://iris", "default_hdfs", True),
    ],
)
def test_a_path_becomes_an_address_as_far_as_it_can(
    storage: dict[str, Any], uri: str, entry: str, optional: bool
) -> None:
    source = of_storage(storage)
    assert source.uri == uri
    assert source.credentials == Credentials(
        specified=True,
        entry=SecretKey("storage-config", entry),
        optional=optional,
        parameters=tuple(sorted(storage.get("parameters", {}).items())),
    )


def test_the_annotation_names_the_secret_of_the_entry() -> None:
    source = of_storage({"key": "minio", "path": "iris"}, annotations={vaults.ANNOTATION: "mine"})
    assert source.credentials is not None
    assert source.credentials.entry == SecretKey("mine", "minio")


def test_a_whole_address_stays() -> None:
    source = of_storage({"key": "minio"}, uri="s3://other/iris")
    assert source.uri == "s3://other/iris"
    assert source.credentials is not None
    assert source.credentials.parameters == ()


@pytest.mark.parametrize(
    ("storage", "uri", "said"),
    [
        ({"key": "minio"}, "", "says no path"),
        ({"path": "a", "parameters": {"type": "gs"}}, "", "of the type 'gs'"),
        ({"path": "a", "parameters": {"buckt": "x"}}, "", "has no 'buckt'"),
        ({"key": "minio"}, "gs://a/b", "another type"),
        ({"parameters": {"type": "hdfs"}}, "s3://a/b", "storageUri is s3://"),
    ],
)
def test_what_is_wrong_without_the_entry_is_refused_before(storage: dict[str, Any], uri: str, said: str) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        of_storage(storage, uri)
    assert said in caught.value.reason


ENTRY = {"type": "s3", "bucket": "models", "access_key_id": "a", "secret_access_key": "b"}


@pytest.mark.parametrize(
    ("uri", "entry", "parameters", "expected"),
    [
        ("<scheme-placeholder>://iris", ENTRY, {}, "s3://models/iris"),
        ("<scheme-placeholder>://iris", ENTRY, {"bucket": "mine"}, "s3://mine/iris"),
        ("<scheme-placeholder>://iris", {}, {"type": "webhdfs"}, "webhdfs://iris"),
        ("s3://other/iris", ENTRY, {}, "s3://other/iris"),
        ("notes://iris", ENTRY, {}, "notes://iris"),
    ],
)
def test_the_entry_completes_an_address(
    uri: str, entry: dict[str, str], parameters: dict[str, str], expected: str
) -> None:
    assert storage_spec.completed(uri, entry, parameters)[0] == expected


def test_an_entry_without_a_type_has_that_of_the_address() -> None:
    assert storage_spec.completed("s3://b/iris", {"region": "eu"}, {})[1] == {"type": "s3"}


@pytest.mark.parametrize(
    ("uri", "entry", "said"),
    [
        ("<scheme-placeholder>://iris", {}, "says no type"),
        ("<scheme-placeholder>://iris", {"type": "s3"}, "says no bucket"),
        ("hdfs://iris", ENTRY, "storageUri is hdfs://"),
    ],
)
def test_an_entry_that_does_not_describe_the_address_is_refused(uri: str, entry: dict[str, str], said: str) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        storage_spec.completed(uri, entry, {})
    assert said in caught.value.reason


# -- the same rules, over files ---------------------------------------------------------------------------

WORLDS: dict[str, list[dict[str, Any]]] = {
    "a key": [secret("one", KEYS), account("ml", "one")],
    "two of one kind": [secret("one", KEYS), secret("two", {**KEYS, "AWS_REGION": "eu"}), account("ml", "one", "two")],
    "several kinds": [secret("one", {"HF_TOKEN": "t\n", "GIT_PASSWORD": "p"}), account("ml", "one")],
    "a role": [account("ml", metadata={"annotations": ROLE})],
    "a login": [secret("login", LOGIN), account("ml", imagePullSecrets=[{"name": "login"}, {"name": "gone"}])],
    "headers": [secret("one", {"https-host": "Host", "headers": "{}"}), account("ml", "one")],
    "a file": [secret("one", {"gcloud-application-credentials.json": "{}"}), account("ml", "one")],
    "authorities": [
        secret("one", {**KEYS, "AWS_CA_BUNDLE_CONFIGMAP": "bundle"}),
        account("ml", "one"),
        config_map("bundle", **{"cabundle.crt": "PEM"}),
    ],
    "the token of an account": [
        secret(
            "token", {"ca.crt": "x", "namespace": "default", "token": "t"}, type="kubernetes.io/service-account-token"
        ),
        account("ml", "token"),
    ],
    "nothing": [],
}


def files(vault: Vault) -> tuple[dict[str, dict[str, bytes]], dict[str, dict[str, bytes]]]:
    """What Kubernetes would mount of it."""
    return (
        {each.name: {key: each.content(key) for key in each.keys} for each in vault.secrets.values()},
        {each.name: {key: each.content(key) for key in each.keys} for each in vault.config_maps.values()},
    )


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("config", [CredentialsConfig(), CredentialsConfig(s3={"S3_ENDPOINT": "minio:9000"})])
def test_files_give_what_declared_secrets_give(name: str, config: CredentialsConfig) -> None:
    opened = vaults.vault(*WORLDS[name])
    names = of_uri("oci://r/iris", sealed(*WORLDS[name])).credentials
    assert names is not None
    told = Mounted(namespace="default", credentials=names, config=config).text()
    mounted = Mounted.of(told)
    there = mounted.vault(*files(opened))
    given = credentials.given(mounted.credentials, "default", there, mounted.config, {"s3": S3})
    expected = credentials.given(Credentials(account="ml"), "default", opened, config, {"s3": S3})
    assert given == expected
    assert credential_values.values(given, "default", there) == credential_values.values(expected, "default", opened)
    assert "hidden" not in told


def test_a_secret_without_files_is_not_there() -> None:
    mounted = Mounted(namespace="models", credentials=Credentials(secret="mine"))
    with pytest.raises(errors.Unresolvable, match="names the Secret 'mine'"):
        credentials.given(mounted.credentials, "models", mounted.vault({"mine": {}}, {}), mounted.config, {})


def test_what_is_mounted_is_in_the_order_in_which_it_counts() -> None:
    there = sealed(account("ml", "one", "two", imagePullSecrets=[{"name": "login"}, {"name": "one"}]))
    pod = "serviceAccountName: ml, imagePullSecrets: [{name: own}],"
    names = of_uri("oci://r/iris", there, pod).credentials
    assert names is not None
    assert Mounted(namespace="default", credentials=names).secrets == ("one", "two", "own", "login")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"namespace": "a"}', '{"namespace": "a", "account": "b", "config": 1}']
)
def test_what_nobody_wrote_is_refused(text: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="FAIRLEAD_CREDENTIALS_NAMES"):
        Mounted.of(text)


def test_binary_keys_come_through_files() -> None:
    mounted = Mounted(namespace="a", credentials=Credentials())
    found = mounted.vault({"keytab": {"KERBEROS_KEYTAB": b"\xff\x00"}}, {}).secrets["a", "keytab"]
    assert base64.b64decode(found.data["KERBEROS_KEYTAB"]) == b"\xff\x00"
