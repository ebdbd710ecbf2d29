"""From what a pod names to what storage providers are given, by KServe's rules."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts.storage import StorageSpec
from fairlead.resolve import credential_values, credentials
from fairlead.resolve.config import CredentialsConfig
from fairlead.resolve.credentials import Credentials
from fairlead.resolve.secrets import SecretKey
from fairlead_tests.resolve import vaults
from fairlead_tests.resolve.vaults import account, config_map, secret, values, vault

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hidden"}
GCS = "gcloud-application-credentials.json"
PREFIX = "serving.kserve.io/s3-"
CHOSEN = Credentials(secret="one")
TAPE = {"tape": StorageSpec(name="tape", prefixes=("tape://",), factory="x:Y", credentials=("TAPE_*", "FAIRLEAD_X"))}


def of_one(texts: dict[str, str], annotations: dict[str, str] | None = None, **more: Any) -> dict[str, str]:
    """What one Secret gives."""
    made = secret("one", texts, metadata={"annotations": annotations or {}})
    return values(vault(made), CHOSEN, **more)


# -- one Secret -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (KEYS, KEYS),
        ({"awsAccessKeyID": "AKIA", "awsSecretAccessKey": "hidden"}, KEYS),
        ({**KEYS, "AWS_SESSION_TOKEN": "t"}, {**KEYS, "AWS_SESSION_TOKEN": "t"}),
        ({GCS: '{"type": "service_account"}'}, {GCS: '{"type": "service_account"}'}),
        (
            {"AZ_CLIENT_ID": "short", "AZURE_CLIENT_ID": "long", "AZURE_CLIENT_SECRET": "x", "AZURE_TENANT_ID": "t"},
            {"AZURE_CLIENT_ID": "short", "AZURE_CLIENT_SECRET": "x", "AZURE_TENANT_ID": "t"},
        ),
        (
            {"AZURE_ACCESS_TOKEN": "x", "AZURE_ACCOUNT_NAME": "a"},
            {"AZURE_ACCESS_TOKEN": "x", "AZURE_ACCOUNT_NAME": "a"},
        ),
        ({"AZURE_STORAGE_ACCESS_KEY": "x"}, {"AZURE_STORAGE_ACCESS_KEY": "x"}),
        ({"https-host": "Models.example.com", "headers": '{"A": "b"}'}, {"models.example.com-headers": '{"A": "b"}'}),
        (
            {"HDFS_NAMENODE": "http://n:1", "USER_PROXY": "u", "TLS_CA": "PEM", "N_THREADS": "4"},
            {"HDFS_NAMENODE": "http://n:1", "USER_PROXY": "u", "TLS_CA": "PEM", "N_THREADS": "4"},
        ),
        ({"HF_TOKEN": "hf_x"}, {"HF_TOKEN": "hf_x"}),
        ({"MODELSCOPE_API_TOKEN": "x"}, {"MODELSCOPE_API_TOKEN": "x"}),
        ({"GIT_USERNAME": "u", "GIT_PASSWORD": "p"}, {"GIT_USERNAME": "u", "GIT_PASSWORD": "p"}),
        ({"MLFLOW_TRACKING_TOKEN": "x", "MLFLOW_NEW": "y"}, {"MLFLOW_TRACKING_TOKEN": "x", "MLFLOW_NEW": "y"}),
        (
            {".dockerconfigjson": '{"auths": {"r": {"auth": "x"}}}'},
            {".dockerconfigjson": '{"auths": {"r": {"auth": "x"}}}'},
        ),
        ({".dockercfg": '{"r": {"auth": "x"}}'}, {".dockerconfigjson": '{"auths": {"r": {"auth": "x"}}}'}),
    ],
)
def test_keys_of_a_secret_become_what_providers_know(texts: dict[str, str], expected: dict[str, str]) -> None:
    assert of_one(texts) == expected


def test_a_secret_may_have_keys_for_several_kinds_of_storage() -> None:
    assert of_one({**KEYS, "HF_TOKEN": "x"}) == {**KEYS, "HF_TOKEN": "x"}


def test_a_keytab_which_is_no_text_is_given_in_base64() -> None:
    data = {"HDFS_NAMENODE": vaults.encoded("n"), "KERBEROS_KEYTAB": vaults.encoded(b"\x05\x02\xff")}
    found = values(vault(secret("one", data=data)), CHOSEN)
    assert base64.b64decode(found["KERBEROS_KEYTAB"]) == b"\x05\x02\xff"


def test_the_names_of_keys_are_those_of_the_platform() -> None:
    config = CredentialsConfig(s3_access_key_id="id", s3_secret_access_key="key", gcs_key="google.json")
    assert of_one({"id": "AKIA", "key": "hidden", "google.json": "{}"}, config=config) == {**KEYS, GCS: "{}"}


def test_keys_that_an_installed_provider_names_are_given_but_for_policies_of_the_platform() -> None:
    texts = {"TAPE_TOKEN": "x", "FAIRLEAD_X": "any", "FAIRLEAD_STORAGE_NETWORK": "any"}
    assert of_one(texts, specs=TAPE) == {"TAPE_TOKEN": "x"}


@pytest.mark.parametrize(
    "key",
    [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "KSERVE_OCI_DOCKER_CONFIG",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    ],
)
def test_a_secret_cannot_name_a_file_of_this_machine_as_an_identity(key: str) -> None:
    specs = {"any": StorageSpec(name="any", prefixes=("any://",), factory="x:Y", credentials=("*",))}
    assert of_one({key: "/home/operator/private", "HF_TOKEN": "x"}, specs=specs) == {"HF_TOKEN": "x"}


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        ({"AWS_ACCESS_KEY_ID": "hidden"}, "has AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY"),
        ({"https-host": "hidden.com"}, "has https-host and no headers"),
        ({"https-host": "https://hidden.com/x", "headers": "{}"}, "has at https-host what is no host"),
        ({"https-host": "h.com", "headers": "hidden"}, "has at headers what is no JSON object"),
        ({GCS: "hidden"}, f"has at {GCS} what is no JSON object"),
        ({".dockerconfigjson": "hidden"}, "has at .dockerconfigjson what is no JSON object"),
        ({".dockerconfigjson": '{"auths": "hidden"}'}, "has at .dockerconfigjson what is no JSON object of auths"),
        ({"token": "hidden"}, "has no credentials that are known: its keys are token"),
        ({}, "has no credentials that are known: its keys are none"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_by_its_keys_alone(texts: dict[str, str], named: str) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        of_one(texts)
    assert caught.value.condition == "InvalidSecret"
    assert named in caught.value.reason
    assert caught.value.remedy
    assert "hidden" not in str(caught.value)


def test_keys_that_nothing_knows_are_told_beside_those_that_are() -> None:
    found = vaults.given(vault(secret("one", {**KEYS, "AWS_S3_BUCKET": "b"})), CHOSEN)
    assert found.warnings == (
        "The Secret default/one has keys that no storage provider knows, so that they are not used: AWS_S3_BUCKET.",
    )


# -- settings of S3 -------------------------------------------------------------------------------------


def test_an_annotation_wins_over_the_secret_and_that_over_the_platform() -> None:
    config = CredentialsConfig(s3={"AWS_DEFAULT_REGION": "platform", "S3_VERIFY_SSL": "0", "S3_ENDPOINT": "p:9000"})
    texts = {**KEYS, "AWS_DEFAULT_REGION": "secret", "S3_ENDPOINT": "s:9000"}
    found = of_one(texts, {f"{PREFIX}endpoint": "a:9000"}, config=config)
    assert found == {
        **KEYS,
        "S3_ENDPOINT": "a:9000",
        "AWS_ENDPOINT_URL": "https://a:9000",
        "AWS_DEFAULT_REGION": "secret",
        "S3_VERIFY_SSL": "0",
    }


@pytest.mark.parametrize(
    ("endpoint", "https", "url"),
    [
        ("m:9000", None, "https://m:9000"),
        ("m:9000", "0", "http://m:9000"),
        ("m:9000", "false", "http://m:9000"),
        ("m:9000", "1", "https://m:9000"),
        ("http://m:9000", "1", "http://m:9000"),
        ("https://m:9000", "0", "https://m:9000"),
    ],
)
def test_the_endpoint_is_a_url_whose_own_scheme_wins(endpoint: str, https: str | None, url: str) -> None:
    said = {f"{PREFIX}endpoint": endpoint, **({f"{PREFIX}usehttps": https} if https else {})}
    found = of_one(KEYS, said)
    assert found["AWS_ENDPOINT_URL"] == url
    assert found.get("S3_USE_HTTPS", "1") in (("1", "true") if url.startswith("https") else ("0", "false"))


def test_every_setting_of_s3_may_be_an_annotation() -> None:
    names = {
        "region": "AWS_DEFAULT_REGION",
        "verifyssl": "S3_VERIFY_SSL",
        "usevirtualbucket": "S3_USER_VIRTUAL_BUCKET",
        "useaccelerate": "S3_USE_ACCELERATE",
        "useanoncredential": "awsAnonymousCredential",
        "cabundle": "AWS_CA_BUNDLE",
    }
    found = of_one({}, {f"{PREFIX}{name}": f"v-{name}" for name in names})
    assert found == {variable: f"v-{name}" for name, variable in names.items()}


def test_certificates_of_a_config_map_are_given_beside_the_variables() -> None:
    made = secret("one", KEYS, metadata={"annotations": {f"{PREFIX}cabundle-configmap": "authorities"}})
    there = vault(made, config_map("authorities", **{"cabundle.crt": "PEM", "other.crt": "OTHER"}))
    found = credential_values.values(vaults.given(there, CHOSEN), "default", there)
    assert (found.variables, found.authorities) == (KEYS, b"PEM")
    made["metadata"]["annotations"][f"{PREFIX}cabundle"] = "/etc/ssl/custom-certs/other.crt"
    there = vault(made, config_map("authorities", **{"other.crt": "OTHER"}))
    assert credential_values.values(vaults.given(there, CHOSEN), "default", there).authorities == b"OTHER"
    for lacking, condition in (
        (vault(made), "ConfigMapNotFound"),
        (vault(made, config_map("authorities")), "InvalidConfigMap"),
    ):
        with pytest.raises(errors.Unresolvable) as caught:
            credential_values.values(vaults.given(lacking, CHOSEN), "default", lacking)
        assert caught.value.condition == condition


# -- who is asked ---------------------------------------------------------------------------------------


def test_the_secrets_of_a_service_account_count_in_their_order() -> None:
    later = {"AWS_ACCESS_KEY_ID": "AKIB", "AWS_SECRET_ACCESS_KEY": "other"}
    there = vault(
        secret("first", {**KEYS, "S3_ENDPOINT": "first:9000"}),
        secret("second", {"HF_TOKEN": "x"}),
        secret("third", later),
        account("ml", "first", "second", "third"),
    )
    names = Credentials(account="ml")
    assert values(there, names) == {**later, "HF_TOKEN": "x"}  # the keys of one never go to the endpoint of another
    assert vaults.given(there, names).warnings == ("The Secrets first and third are both for s3, and third counts.",)


def test_headers_of_several_hosts_count_together() -> None:
    there = vault(
        secret("a", {"https-host": "a.com", "headers": '{"A": "1"}'}),
        secret("b", {"https-host": "b.com", "headers": '{"B": "2"}'}),
        account("ml", "a", "b"),
    )
    assert values(there, Credentials(account="ml")) == {"a.com-headers": '{"A": "1"}', "b.com-headers": '{"B": "2"}'}


def test_the_account_default_counts_for_who_names_none_and_an_account_that_is_not_there_gives_nothing() -> None:
    there = vault(secret("one", KEYS), account("default", "one"))
    assert values(there) == KEYS
    assert values(there, Credentials(account="absent")) == {}
    assert values(vault()) == {}


def test_a_secret_that_is_named_is_the_only_one() -> None:
    there = vault(secret("one", KEYS), secret("two", {"HF_TOKEN": "x"}), account("ml", "two"))
    assert values(there, Credentials(secret="one", account="ml")) == KEYS


@pytest.mark.parametrize(
    ("names", "who"),
    [
        (Credentials(secret="absent"), "The annotation serving.kserve.io/storageSecretName"),
        (Credentials(account="ml"), "The ServiceAccount ml"),
    ],
)
def test_a_secret_that_is_not_there_is_told_with_who_names_it(names: Credentials, who: str) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        vaults.given(vault(account("ml", "absent")), names)
    assert caught.value.condition == "SecretNotFound"
    assert caught.value.reason.startswith(f"{who} names the Secret 'absent'")


def test_nothing_of_another_namespace_is_given() -> None:
    there = vault(
        secret("one", KEYS, namespace="theirs"),
        account("ml", "one", namespace="theirs"),
        account("ours", "one", namespace="mine"),
    )
    assert values(there, Credentials(account="ml"), "theirs") == KEYS
    assert values(there, Credentials(account="ml"), "mine") == {}
    for names in (Credentials(secret="one"), Credentials(secret="theirs/one"), Credentials(account="ours")):
        with pytest.raises(errors.Unresolvable, match="none in the namespace mine"):
            values(there, names, "mine")


def test_tokens_of_service_accounts_are_passed_over_and_other_secrets_without_credentials_are_told() -> None:
    there = vault(
        secret("token", {"token": "x", "ca.crt": "y"}, type="kubernetes.io/service-account-token"),
        secret("notes", {"hello": "x"}),
        account("ml", "token", "notes"),
    )
    found = vaults.given(there, Credentials(account="ml"))
    assert found.names == frozenset()
    (warning,) = found.warnings
    assert "default/notes" in warning
    assert "hello" in warning


def test_a_role_of_eks_gives_the_settings_of_its_account_and_secrets_win_over_them() -> None:
    said = {credentials.ROLE_ANNOTATION: "arn:aws:iam::1:role/x", f"{PREFIX}region": "eu", f"{PREFIX}verifyssl": "0"}
    there = vault(account("ml", metadata={"annotations": said}))
    names = Credentials(account="ml")
    assert values(there, names) == {"AWS_DEFAULT_REGION": "eu", "S3_VERIFY_SSL": "0"}
    there = vault(account("ml", "one", metadata={"annotations": said}), secret("one", {**KEYS, "AWS_REGION": "us"}))
    assert values(there, names) == {**KEYS, "AWS_DEFAULT_REGION": "us", "S3_VERIFY_SSL": "0"}
    del said[credentials.ROLE_ANNOTATION]
    assert values(vault(account("ml", metadata={"annotations": said})), names) == {}


def test_logins_of_registries_are_joined_and_the_first_for_a_registry_wins() -> None:
    def logins(name: str, **auths: str) -> dict[str, Any]:
        return secret(name, {".dockerconfigjson": json.dumps({"auths": {at: {"auth": x} for at, x in auths.items()}})})

    there = vault(
        logins("own", a="1"),
        logins("pod", a="2", b="2"),
        logins("default", b="3", c="3"),
        account("ml", "own", imagePullSecrets=[{"name": "default"}]),
    )
    found = values(there, Credentials(account="ml", pull_secrets=("pod", "absent")))
    expected = {"a": {"auth": "1"}, "b": {"auth": "2"}, "c": {"auth": "3"}}
    assert json.loads(found[".dockerconfigjson"]) == {"auths": expected}


# -- names, references, values --------------------------------------------------------------------------


def test_what_a_pod_names_is_its_annotation_its_account_and_its_pull_secrets() -> None:
    config = CredentialsConfig()
    assert credentials.of_pod({"containers": []}, {"x": "y"}, config) is None
    assert credentials.of_pod({"serviceAccount": "old"}, {}, config) == Credentials(account="old")
    pod = {"serviceAccountName": "ml", "serviceAccount": "old", "imagePullSecrets": [{"name": "a"}, {}]}
    found = credentials.of_pod(pod, {vaults.ANNOTATION: "one"}, config)
    assert found == Credentials(secret="one", account="ml", pull_secrets=("a",))


def test_references_say_where_each_value_is_and_nothing_shows_one() -> None:
    there = vault(secret("one", {**KEYS, "AWS_DEFAULT_REGION": "hidden-region"}))
    found = vaults.given(there, CHOSEN)
    assert found.references == {name: SecretKey("one", name) for name in KEYS}
    assert found.options == {"AWS_DEFAULT_REGION": "hidden-region"}
    shown = repr((found, there, credential_values.values(found, "default", there)))
    assert "hidden" not in shown
    assert "AKIA" not in shown


def test_variables_of_kserves_initializer_become_what_providers_are_given() -> None:
    entry = json.dumps({"type": "s3", "access_key_id": "AKIA", "secret_access_key": "hidden", "region": "eu"})
    found = credential_values.expanded(
        {"STORAGE_CONFIG": entry, "STORAGE_OVERRIDE_CONFIG": '{"region": "us"}', "X": "y"}
    )
    assert found == {**KEYS, "AWS_DEFAULT_REGION": "us", "X": "y"}
    assert credential_values.expanded({"X": "y"}) == {"X": "y"}
    with pytest.raises(errors.Unresolvable, match="The variable STORAGE_CONFIG is no JSON object") as caught:
        credential_values.expanded({"STORAGE_CONFIG": "hidden"})
    assert "hidden" not in str(caught.value)
