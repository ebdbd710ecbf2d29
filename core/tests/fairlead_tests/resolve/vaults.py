"""Secrets and what names them, for tests of credentials."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fairlead.resolve import credential_values, credentials
from fairlead.resolve.config import CredentialsConfig
from fairlead.resolve.secrets import Vault

if TYPE_CHECKING:
    from fairlead.contracts.storage import StorageSpec
    from fairlead.resolve.credentials import Credentials, Given

__all__ = ["ANNOTATION", "account", "config_map", "encoded", "given", "secret", "values", "vault"]

ANNOTATION = "serving.kserve.io/storageSecretName"


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def secret(name: str, texts: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A Secret of texts, or of what `more` says."""
    metadata = {"name": name, "namespace": more.pop("namespace", "default"), **more.pop("metadata", {})}
    data = {"data": {key: encoded(text) for key, text in texts.items()}} if texts is not None else {}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **data, **more}


def account(name: str, *secrets: str, **more: Any) -> dict[str, Any]:
    """A ServiceAccount with these Secrets."""
    metadata = {"name": name, "namespace": more.pop("namespace", "default"), **more.pop("metadata", {})}
    named = [{"name": each} for each in secrets]
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "secrets": named, **more}


def config_map(name: str, **texts: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": texts}


def vault(*manifests: Mapping[str, Any]) -> Vault:
    return Vault.of(json.loads(json.dumps(manifests)))


def given(
    there: Vault,
    names: Credentials | None = None,
    namespace: str = "default",
    specs: Mapping[str, StorageSpec] | None = None,
    config: CredentialsConfig | None = None,
) -> Given:
    return credentials.given(names, namespace, there, config or CredentialsConfig(), specs or {})


def values(there: Vault, names: Credentials | None = None, namespace: str = "default", **more: Any) -> dict[str, str]:
    """What providers are given."""
    found = credential_values.values(given(there, names, namespace, **more), namespace, there)
    assert found.authorities is None
    return dict(found.variables)
