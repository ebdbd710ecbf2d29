"""Credentials that a pod has for its initializer: Secrets in folders, as Kubernetes mounts them, and entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fairlead_tests.cli.initializing.running import Initializer, Ran, fetched, refused
from fairlead_tests.plugins.distributions import Site

PLUGIN = """
from fairlead import StorageSpec, hookimpl

@hookimpl
def fairlead_storage_providers():
    names = ("AWS_*", "S3_*", "HF_TOKEN", ".dockerconfigjson")
    return [StorageSpec(name={name!r}, prefixes=("s3://",), factory="{package}.work:Notes", credentials=names)]
"""

PROVIDER = """
import json
from pathlib import Path
from fairlead import RemoteObject, StorageProvider, errors

class Notes(StorageProvider):
    def list(self, uri):
        if uri.endswith("refused"):
            raise errors.AccessDenied("No.", remedy="Ask again.")
        return [RemoteObject(name="given.json", key=uri)]

    def open_range(self, item, start=0, end=None):
        given = dict(self.credentials)
        if "AWS_CA_BUNDLE" in given:
            given["AWS_CA_BUNDLE"] = Path(given["AWS_CA_BUNDLE"]).read_text()
        yield json.dumps({"uri": item.key, **given}).encode()[start:end]
"""

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cr3t\n", "AWS_REGION": "eu"}
GIVEN = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_DEFAULT_REGION": "eu"}
ENTRY = {"type": "s3", "bucket": "models", "access_key_id": "key", "secret_access_key": "s3cr3t"}


class Pod:
    """An initializer with a provider for ``s3://`` that answers what it was given, and what its pod mounts."""

    def __init__(self, initializer: Initializer, folder: Path) -> None:
        self._initializer = initializer
        self._target = folder / "models"
        self._mounts = folder / "mounts"
        (self._mounts / "secrets").mkdir(parents=True)

    def secret(self, name: str, files: Mapping[str, str], kind: str = "secrets") -> None:
        """Mount a Secret as a kubelet does: the files are links into a folder with a date, by way of another link."""
        folder = self._mounts / kind / name
        dated = folder / "..2026_01_01_00_00_00.1"
        dated.mkdir(parents=True)
        (folder / "..data").symlink_to(dated.name)
        for key, text in files.items():
            (dated / key).write_text(text)
            (folder / key).symlink_to(f"..data/{key}")

    def run(self, *sources: str, names: Any = None, **variables: str) -> Ran:
        told = {"namespace": "default", "account": "ml", **(names or {})}
        pairs = [part for index, uri in enumerate(sources) for part in (uri, str(self._target / str(index)))]
        mounted = {"FAIRLEAD_CREDENTIALS": str(self._mounts), "FAIRLEAD_CREDENTIALS_NAMES": json.dumps(told)}
        return self._initializer(*pairs, **(mounted if names is not None else {}), **variables)

    def given(self, index: int = 0) -> dict[str, str]:
        found: dict[str, str] = json.loads((self._target / str(index) / "given.json").read_text())
        return found


@pytest.fixture
def pod(initializer: Initializer, tmp_path: Path) -> Pod:
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    site.install("notes", plugin=PLUGIN, work=PROVIDER, group="fairlead.storage")
    path = initializer.environ.get("PYTHONPATH")
    initializer.environ["PYTHONPATH"] = f"{site.folder}:{path}" if path else str(site.folder)
    initializer.environ["FAIRLEAD_PLUGINS"] = "notes,file,http"
    return Pod(initializer, tmp_path)


def test_a_mounted_secret_of_the_account_is_given_to_the_provider(pod: Pod) -> None:
    pod.secret("minio", KEYS)
    ran = pod.run("s3://models/iris", names={"accountSecrets": ["minio"]})
    fetched(ran)
    assert pod.given() == {"uri": "s3://models/iris", **GIVEN}
    assert "s3cr3t" not in ran.said


def test_where_s3_refuses_keys_without_an_endpoint_the_error_says_that_annotations_are_not_seen(pod: Pod) -> None:
    pod.secret("minio", KEYS)
    pod.secret("here", {**KEYS, "AWS_ENDPOINT_URL": "http://minio:9000"})
    ran = pod.run("s3://models/refused", names={"accountSecrets": ["minio"]})
    refused(ran, "No. Ask again.", "with the key AWS_ENDPOINT_URL")
    refused(pod.run("s3://models/refused", names={"accountSecrets": ["here"]}), "Ask again.")
    assert "AWS_ENDPOINT_URL" not in pod.run("s3://models/refused", names={"accountSecrets": ["here"]}).message


def test_of_two_secrets_the_later_in_the_accounts_list_counts_and_that_is_told(pod: Pod) -> None:
    pod.secret("a", KEYS)
    pod.secret("b", {**KEYS, "AWS_REGION": "us", "notes": "of mine"})
    ran = pod.run("s3://models/iris", names={"accountSecrets": ["b", "a"]})
    fetched(ran)
    assert pod.given()["AWS_DEFAULT_REGION"] == "eu"
    assert "The Secrets b and a are both for s3, and a counts" in ran.said
    assert "not used: notes" in ran.said


def test_the_secret_of_the_annotation_counts_alone_and_has_to_hold_something(pod: Pod) -> None:
    pod.secret("mine", {"HF_TOKEN": "s3cr3t"})
    pod.secret("empty", {})
    names = {"secret": "mine", "accountSecrets": ["empty"]}
    fetched(pod.run("s3://models/iris", names=names))
    assert pod.given() == {"uri": "s3://models/iris", "HF_TOKEN": "s3cr3t"}
    pod.secret("wrong", {"words": "s3cr3t"})
    ran = pod.run("s3://models/other", names={"secret": "wrong"})
    refused(ran, "no credentials that are known: its keys are words")
    assert "s3cr3t" not in ran.said


def test_a_secret_that_is_not_mounted_is_an_error_and_a_login_that_is_not_is_none(pod: Pod) -> None:
    pod.secret("gone", {})
    refused(pod.run("s3://models/iris", names={"accountSecrets": ["gone"]}), "The ServiceAccount ml", "'gone'")
    fetched(pod.run("s3://models/iris", names={"accountPullSecrets": ["gone"]}))
    pod.secret("login", {".dockerconfigjson": json.dumps({"auths": {"registry.example": {}}})})
    fetched(pod.run("s3://models/other", names={"pullSecrets": ["login"]}))


def test_a_role_goes_with_the_settings_of_its_account(pod: Pod) -> None:
    annotations = {"eks.amazonaws.com/role-arn": "arn", "serving.kserve.io/s3-endpoint": "minio:9000"}
    token = {"AWS_ROLE_ARN": "arn", "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}
    fetched(pod.run("s3://models/iris", names={"annotations": annotations}, **token))
    given = pod.given()
    assert given["AWS_ENDPOINT_URL"] == "https://minio:9000"
    assert {name: given[name] for name in token} == token


def test_a_mounted_config_map_holds_authorities_and_one_that_is_not_mounted_is_an_error(pod: Pod) -> None:
    pod.secret("minio", {**KEYS, "AWS_CA_BUNDLE_CONFIGMAP": "authorities"})
    refused(pod.run("s3://models/iris", names={"accountSecrets": ["minio"]}), "is not mounted", "cabundle_configmap")
    pod.secret("authorities", {"cabundle.crt": "PEM"}, kind="configmaps")
    fetched(pod.run("s3://models/iris", names={"accountSecrets": ["minio"]}))
    assert pod.given()["AWS_CA_BUNDLE"] == "PEM"


def test_an_entry_completes_the_address_of_a_path(pod: Pod) -> None:
    entry = {"STORAGE_CONFIG": json.dumps(ENTRY), "STORAGE_OVERRIDE_CONFIG": json.dumps({"region": "eu"})}
    fetched(pod.run("<scheme-placeholder>://iris", **entry))
    assert pod.given() == {
        "uri": "s3://models/iris",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t",
        "AWS_DEFAULT_REGION": "eu",
    }


def test_an_entry_for_one_address_leaves_the_others_their_secrets(pod: Pod) -> None:
    pod.secret("minio", KEYS)
    sources = ("<scheme-placeholder>://iris", "s3://words/en")
    fetched(pod.run(*sources, names={"accountSecrets": ["minio"]}, STORAGE_CONFIG=json.dumps(ENTRY)))
    assert pod.given(0)["AWS_ACCESS_KEY_ID"] == "key"
    assert pod.given(1)["AWS_ACCESS_KEY_ID"] == "AKIA"


def test_an_entry_that_does_not_complete_an_address_is_told(pod: Pod) -> None:
    for entry, said in (("", "no entry that says it"), ('{"type": "s3"}', "says no bucket"), ("{}", "no entry that")):
        refused(pod.run("<scheme-placeholder>://iris", STORAGE_CONFIG=entry), said)


def test_one_of_the_two_variables_alone_is_an_error(pod: Pod) -> None:
    refused(pod.run("s3://models/iris", FAIRLEAD_CREDENTIALS="/nowhere"), "go together")
