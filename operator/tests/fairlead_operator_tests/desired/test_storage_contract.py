"""What is written into a pod does what it is for: the initializer finds credentials, and a shell links a model."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.cli import granting
from fairlead.resolve import credential_values, credentials
from fairlead.resolve.config import CredentialsConfig
from fairlead.resolve.credentials import Credentials
from fairlead.resolve.secrets import Vault
from fairlead_operator_tests.desired import services
from fairlead_operator_tests.desired.pods_of_storage import account, predictor, wired
from fairlead_tests.waiting import eventually

SECRETS = {
    "minio": {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_ENDPOINT_URL": "http://minio:9000"},
    "hub": {"HF_TOKEN": "t"},
    "login": {".dockerconfigjson": json.dumps({"auths": {"registry.example": {"auth": "x"}}})},
    "storage-config": {"minio": json.dumps({"type": "s3", "bucket": "models", "region": "eu"})},
}


def started(pod: Mapping[str, Any], folder: Path) -> tuple[list[str], dict[str, str]]:
    """The arguments and variables of the init container as a kubelet gives them, with its volumes in a folder."""
    (made,) = pod["initContainers"]
    sources = {each["name"]: each for each in pod["volumes"]}
    for mount in made["volumeMounts"]:
        name = sources[mount["name"]].get("secret", {}).get("secretName")
        for key, text in SECRETS.get(name, {}).items():
            file = folder / mount["mountPath"].lstrip("/") / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    env = {}
    for each in made.get("env", ()):
        reference = each.get("valueFrom", {}).get("secretKeyRef")
        env[each["name"]] = each["value"].replace("$$", "$") if reference is None else _value(reference)
    if "FAIRLEAD_CREDENTIALS" in env:
        env["FAIRLEAD_CREDENTIALS"] = str(folder / env["FAIRLEAD_CREDENTIALS"].lstrip("/"))
    return [each.replace("$$", "$") for each in made["args"]], env


def _value(reference: Mapping[str, Any]) -> str:
    return SECRETS[reference["name"]][reference["key"]]


def given(spec: str, folder: Path, *accounts: dict[str, Any], **more: Any) -> list[granting.Granted]:
    arguments, env = started(wired(spec, *accounts, **more), folder)
    specs = services.catalogue().storage
    with granting.granted(arguments[::2], env, specs) as found:
        return found


@pytest.mark.parametrize(
    ("uri", "more"),
    [
        ("s3://models/iris", {}),
        ("s3://models/$(HOME)", {}),
        ("hf://org/model", {"annotations": {"serving.kserve.io/storageSecretName": "hub"}}),
        ("oci+fetch://registry.example/iris:1", {}),
    ],
)
def test_the_initializer_finds_what_a_laptop_finds(uri: str, more: dict[str, Any], tmp_path: Path) -> None:
    ml = account("ml", "minio", "hub", pulls=("login",))
    (found,) = given(predictor(f"storageUri: '{uri}'", "serviceAccountName: ml,"), tmp_path, ml, **more)
    declared = [
        {"kind": "Secret", "metadata": {"name": name, "namespace": "models"}, "stringData": texts}
        for name, texts in SECRETS.items()
    ]
    opened = Vault.of([*declared, ml if uri.startswith("oci") else {**ml, "imagePullSecrets": []}])
    names = Credentials(account="ml", secret=next(iter(("hub",) if more else ()), None))
    expected = credentials.given(names, "models", opened, CredentialsConfig(), services.catalogue().storage)
    assert found.uri == uri
    assert found.credentials == credential_values.values(expected, "models", opened).variables


def test_the_initializer_completes_what_storage_says(tmp_path: Path) -> None:
    spec = predictor("storage: {key: minio, path: iris, parameters: {region: 'us$$'}}")
    (found,) = given(spec, tmp_path)
    assert found == granting.Granted("s3://models/iris", {"AWS_DEFAULT_REGION": "us$$"})


def test_a_sidecar_links_its_models_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "it's a $HOME" / "model"
    path.parent.mkdir()
    uris = yaml.safe_dump([{"uri": "oci://registry.example/iris:1", "mountPath": str(path)}], default_flow_style=True)
    pod = wired(f"{{predictor: {{storageUris: {uris.strip()}, model: {{modelFormat: {{name: sklearn}}}}}}}}")
    check, sidecar = ([part.replace("$$", "$") for part in each["command"]] for each in pod["initContainers"])
    if not Path("/models").exists():
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "The image has no folder /models.\n")
    with subprocess.Popen(sidecar) as process:
        try:
            eventually(path.is_symlink)
            assert str(path.readlink()) == f"/proc/{process.pid}/root/models"
        finally:
            process.kill()
