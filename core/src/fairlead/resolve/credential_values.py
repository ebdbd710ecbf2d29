"""The values of credentials: what storage providers are given, from Secrets and from KServe's variables.

All is pure, and no value is in a representation or an error.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve import storage_entries
from fairlead.resolve.credentials import OVERRIDE_VARIABLE, STORAGE_CONFIG_VARIABLE
from fairlead.resolve.secret_kinds import GCS_KEY, HEADERS_SUFFIX, KEYTAB, REGISTRY_KEYS

if TYPE_CHECKING:
    from fairlead.resolve.credentials import Given
    from fairlead.resolve.secrets import SecretKey, Vault

__all__ = ["Values", "expanded", "values"]

_BUNDLE: Final = "AWS_CA_BUNDLE"
_BUNDLE_MAP: Final = "AWS_CA_BUNDLE_CONFIGMAP"
_BUNDLE_KEY: Final = "cabundle.crt"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What storage providers are given. Nothing of it is in its representation.

    Attributes:
        variables: credentials and settings, by what providers call them.
        authorities: certificates of authorities in PEM, for the file that ``AWS_CA_BUNDLE`` is to name; None for none.
    """

    variables: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    authorities: bytes | None = dataclasses.field(default=None, repr=False)


def values(found: Given, namespace: str, vault: Vault) -> Values:
    """What storage providers are given.

    Args:
        found: where it is.
        namespace: the namespace of the service.
        vault: what there is.

    Raises:
        Unresolvable: a value is not there, is no base64 or no text, or is not of the form that it has to have.
    """
    variables = {key: _value(key, each, namespace, vault) for key, each in found.references.items()}
    variables = expanded({**variables, **found.options})
    if found.registries:
        variables[REGISTRY_KEYS[0]] = _logins(found.registries, namespace, vault)
    name_of_map = variables.pop(_BUNDLE_MAP, None)
    if not name_of_map:
        return Values(variables=variables)
    authorities = _authorities(name_of_map, variables.pop(_BUNDLE, None), namespace, vault)
    return Values(variables=variables, authorities=authorities)


def expanded(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables with an entry of the storage secret, and what is laid over it, as what providers are given.

    Args:
        variables: those of KServe's storage initializer: ``STORAGE_CONFIG`` and ``STORAGE_OVERRIDE_CONFIG`` among them,
            or neither.

    Raises:
        Unresolvable: they are no JSON objects of texts, or describe nothing that is known.
    """
    found = dict(variables)
    parts = [(name, found.pop(name)) for name in (STORAGE_CONFIG_VARIABLE, OVERRIDE_VARIABLE) if name in found]
    fields = {
        name: value
        for who, text in parts
        for name, value in storage_entries.parsed(text, f"The variable {who}").items()
    }
    return found | (storage_entries.variables(fields, "The entry of the storage secret") if parts else {})


def _value(key: str, reference: SecretKey, namespace: str, vault: Vault) -> str:
    who = "A reference"
    if key == KEYTAB:
        secret = vault.secret(namespace, reference.secret, who)
        return base64.b64encode(secret.content(reference.key)).decode()
    text = vault.value(namespace, reference, who)
    if key == GCS_KEY or key.endswith(HEADERS_SUFFIX):
        _checked(text, f"The Secret {namespace}/{reference.secret} has at {reference.key} what is no JSON object.")
    return text


def _checked(text: str, problem: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None  # the decoder's message would quote the text
    if not isinstance(found, dict):
        raise errors.Unresolvable("InvalidSecret", problem, remedy="Write the JSON object itself, or its base64.")
    return found


def _logins(references: Iterable[SecretKey], namespace: str, vault: Vault) -> str:
    """One configuration of Docker with the logins of several; the first for a registry wins."""
    found: dict[str, Any] = {}
    for each in references:
        problem = f"The Secret {namespace}/{each.secret} has at {each.key} what is no JSON object"
        content = _checked(vault.value(namespace, each, "A reference"), f"{problem}.")
        logins = content.get("auths", {}) if each.key == REGISTRY_KEYS[0] else content
        if not isinstance(logins, dict):
            raise errors.Unresolvable("InvalidSecret", f"{problem} of auths.", remedy="See `docker login`.")
        found = {**logins, **found}
    return json.dumps({"auths": found})


def _authorities(name: str, path: str | None, namespace: str, vault: Vault) -> bytes:
    """The certificates that a ConfigMap holds: at the key that the path of their file ends in, if one is given."""
    key = path.rpartition("/")[2] if path else _BUNDLE_KEY
    found = vault.config_map(namespace, name, _BUNDLE_MAP)
    if key not in found.keys:
        raise errors.Unresolvable(
            "InvalidConfigMap",
            f"The ConfigMap {namespace}/{name} has no {key}, which is to hold certificates of authorities.",
            remedy=f"Put them there in PEM, or name another key with {_BUNDLE}.",
        )
    return found.content(key)
