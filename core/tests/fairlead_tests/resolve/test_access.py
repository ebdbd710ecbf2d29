"""The artefacts of every component are told what names their credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead import StorageSpec, errors
from fairlead.resolve.credentials import Credentials
from fairlead.resolve.resolving import revision_digest
from fairlead_tests.resolve import vaults, worlds
from fairlead_tests.resolve.vaults import account, secret, vault

if TYPE_CHECKING:
    from fairlead.resolve.secrets import Vault

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hidden"}
S3 = StorageSpec(name="s3", prefixes=("s3://",), factory="nowhere:S3", credentials=("AWS_*",))
MODEL = "model: {modelFormat: {name: sklearn}, storageUri: '%s'}"


def resolved(text: str, there: Vault, **metadata: Any) -> Any:
    known = worlds.catalogue(vault=there, storage={**worlds.STORAGE, "s3": S3})
    return worlds.resolved(text, known, **metadata)


def test_a_component_has_the_credentials_of_its_own_account() -> None:
    there = vault(secret("one", KEYS), account("ml", "one"))
    transformer = "containers: [{name: a, image: x, env: [{name: STORAGE_URI, value: 's3://b/t'}]}]"
    predictor = f"predictor: {{serviceAccountName: ml, {MODEL % 's3://b/p'}}}"
    found = resolved(f"{{{predictor}, transformer: {{{transformer}}}}}", there)
    assert found.predictor.sources[0].credentials == Credentials(account="ml")
    assert found.entry.sources[0].credentials is None
    assert found.warnings == ()


def test_the_annotation_counts_for_every_component_and_a_component_has_its_own() -> None:
    there = vault(secret("one", KEYS), secret("two", KEYS))
    text = f"{{predictor: {{{MODEL % 's3://b/p'}}}, transformer: {{annotations: {{{vaults.ANNOTATION}: two}}, "
    text += "containers: [{name: a, image: x}], storageUris: [{uri: 's3://b/t'}]}}"
    found = resolved(text, there, annotations={vaults.ANNOTATION: "one"})
    names = [each.sources[0].credentials.secret for each in found.components.values()]
    assert names == ["one", "two"]


def test_a_canary_is_asked_for_with_the_credentials_of_its_predictor() -> None:
    there = vault(secret("one", KEYS), account("ml", "one"))
    canary = f"{{trafficPercent: 10, predictor: {{name: next, serviceAccountName: ml, {MODEL % 's3://b/c'}}}}}"
    found = resolved(f"{{predictor: {{name: now, {MODEL % 's3://b/p'}}}, canary: [{canary}]}}", there)
    assert found.canaries[0].component.sources[0].credentials == Credentials(account="ml")


@pytest.mark.parametrize("uri", ["/models/iris", "file:///models/iris", "pvc://claim/iris"])
def test_what_needs_no_credentials_asks_for_none(uri: str) -> None:
    found = resolved(f"{{predictor: {{{MODEL % uri}}}}}", vault(), annotations={vaults.ANNOTATION: "absent"})
    assert found.predictor.sources[0].credentials is None


def test_an_address_with_one_slash_has_credentials_too() -> None:
    there = vault(secret("one", {"MLFLOW_TRACKING_TOKEN": "x"}), account("ml", "one"))
    found = resolved(f"{{predictor: {{serviceAccountName: ml, {MODEL % 'models:/iris/1'}}}}}", there)
    assert found.predictor.sources[0].credentials == Credentials(account="ml")


def test_logins_of_registries_are_for_artefacts_in_them() -> None:
    there = vault(secret("login", {".dockerconfigjson": "{}"}))
    for uri, expected in (("oci://r/a", Credentials(pull_secrets=("login",))), ("s3://b/a", None)):
        found = resolved(f"{{predictor: {{imagePullSecrets: [{{name: login}}], {MODEL % uri}}}}}", there)
        assert found.predictor.sources[0].credentials == expected


def test_a_secret_that_is_missing_or_of_another_namespace_cannot_be_resolved() -> None:
    there = vault(secret("one", KEYS, namespace="theirs"), account("ml", "one"))
    for text, said in ((f"serviceAccountName: ml, {MODEL}", {}), (MODEL, {vaults.ANNOTATION: "one"})):
        with pytest.raises(errors.Unresolvable) as caught:
            resolved(f"{{predictor: {{{text % 's3://b/p'}}}}}", there, annotations=said)
        assert caught.value.condition == "SecretNotFound"


def test_secrets_that_are_not_for_this_storage_are_told() -> None:
    there = vault(secret("one", {"HF_TOKEN": "x"}))
    found = resolved(f"{{predictor: {{{MODEL % 's3://b/p'}}}}}", there, annotations={vaults.ANNOTATION: "one"})
    (warning,) = found.warnings
    assert warning.startswith("spec.predictor: the Secrets that it names have no credentials for s3://")


def test_another_secret_of_the_annotation_makes_another_revision() -> None:
    there = vault(secret("one", KEYS), secret("two", KEYS))
    text = f"{{predictor: {{{MODEL % 's3://b/p'}}}}}"
    none, one, two = (
        revision_digest(resolved(text, there, annotations=each).predictor)
        for each in ({}, {vaults.ANNOTATION: "one"}, {vaults.ANNOTATION: "two"})
    )
    assert len({none, one, two}) == 3
