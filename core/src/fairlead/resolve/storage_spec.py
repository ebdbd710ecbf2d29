"""``storage`` of a model: its address, and the entry of the storage secret that describes it and grants access.

The rules are KServe's. What it looks at only where the type comes from the secret, it does not look at otherwise; here
the type, the bucket and the parameters are looked at always.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.resolve import storage_entries
from fairlead.resolve.credentials import Credentials
from fairlead.resolve.secrets import SecretKey, Vault
from fairlead.resolve.storage_entries import SPECIFIED_TYPES

if TYPE_CHECKING:
    from fairlead.api.predictor import ModelStorage
    from fairlead.resolve.config import CredentialsConfig

__all__ = ["PENDING", "Located", "completed", "located"]

PENDING: Final = "<scheme-placeholder>://"
"""How an address begins that lacks what only an entry of the storage secret says, which was not looked at."""

_DEFAULT: Final = "default"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where ``storage`` leads.

    Attributes:
        uri: the address.
        credentials: what names its credentials.
        warnings: what a user should know: one sentence each.
    """

    uri: str
    credentials: Credentials
    warnings: tuple[str, ...] = ()


def located(
    storage: ModelStorage,
    storage_uri: str | None,
    place: str,
    *,
    namespace: str,
    annotations: Mapping[str, str],
    vault: Vault,
    config: CredentialsConfig,
) -> Located:
    """Where ``storage`` leads.

    Where the vault is sealed, an address that needs the entry begins with `PENDING`, for `completed`.

    Args:
        storage: what the model says.
        storage_uri: the whole address, where the model says that as well.
        place: the place of the model in its InferenceService, for messages.
        namespace: the namespace of the service, in which the storage secret is looked for.
        annotations: those of the component.
        vault: what there is.
        config: how Secrets are named.

    Raises:
        Unresolvable: the entry is not there, is no entry, or does not say where the model is.
    """
    who, parameters = f"{place}.storage", dict(storage.parameters or {})
    named = annotations.get(config.annotation)
    if vault.sealed:
        return _unread(storage, storage_uri, place, named or config.entries)
    entry = _entry(storage.key, parameters, named, who, namespace=namespace, vault=vault, config=config)
    own = {} if entry is None else _parsed(vault, namespace, entry)
    fields = {**own, **parameters}
    kind = fields.get("type") or _scheme(storage_uri)
    storage_entries.check_parameters(parameters, kind, f"{who}.parameters")
    if storage_uri:
        _check_uri(storage_uri, fields, who)
        parameters.setdefault("type", fields.get("type") or kind or "")
        uri = storage_uri
    elif storage.path:
        uri = storage_entries.uri(fields, storage.path, who)
    else:
        raise _no_path(place)
    warnings = []
    if entry is not None and (unknown := storage_entries.unknown_fields(own, kind)):
        warnings.append(
            f"The entry {entry.key} of the Secret {namespace}/{entry.secret} has fields that are not used:"
            f" {', '.join(unknown)[:200]}."
        )
    warnings += _of_schema(storage, who)
    credentials = Credentials(specified=True, entry=entry, parameters=tuple(sorted(parameters.items())))
    return Located(uri=uri, credentials=credentials, warnings=tuple(warnings))


def completed(uri: str, entry: Mapping[str, str], parameters: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The address of an artefact, and what is laid over the entry, once the entry can be read.

    Args:
        uri: an address, or what `located` made of a path without the entry.
        entry: the entry; empty where there is none.
        parameters: what is laid over it.

    Raises:
        Unresolvable: the two do not say where the model is, or describe another type than the address has.
    """
    who, fields = "storage of the model", {**entry, **parameters}
    if uri.startswith(PENDING):
        return storage_entries.uri(fields, uri.removeprefix(PENDING), who), dict(parameters)
    kind = _scheme(uri)
    if kind not in SPECIFIED_TYPES:
        return uri, dict(parameters)
    _check_uri(uri, fields, who)
    return uri, {"type": fields.get("type") or kind, **parameters}


def _unread(storage: ModelStorage, storage_uri: str | None, place: str, secret: str) -> Located:
    """Where ``storage`` leads as far as can be said without the entry."""
    who, parameters = f"{place}.storage", dict(storage.parameters or {})
    kind = parameters.get("type")
    storage_entries.check_parameters(parameters, kind or _scheme(storage_uri), f"{who}.parameters")
    if storage_uri:
        _check_uri(storage_uri, parameters, who)
        uri = storage_uri
    elif not storage.path:
        raise _no_path(place)
    elif not kind or (kind == "s3" and not parameters.get("bucket")):
        uri = PENDING + storage.path.lstrip("/")
    else:
        uri = storage_entries.uri(parameters, storage.path, who)
    credentials = Credentials(
        specified=True,
        entry=SecretKey(secret, _key(storage.key, parameters)),
        optional=storage.key is None,
        parameters=tuple(sorted(parameters.items())),
    )
    return Located(uri=uri, credentials=credentials, warnings=_of_schema(storage, who))


def _no_path(place: str) -> errors.Unresolvable:
    return errors.Unresolvable(
        "InvalidStorageSpec",
        f"{place}.storage says no path.",
        remedy=f"Set {place}.storage.path, or {place}.storageUri.",
    )


def _of_schema(storage: ModelStorage, who: str) -> tuple[str, ...]:
    return (f"{who}.schemaPath has no effect: nothing reads the schema of a model.",) if storage.schema_path else ()


def _key(key: str | None, parameters: Mapping[str, str]) -> str:
    """The key of the entry: the one that is named, else the default one of the type."""
    return key or (f"{_DEFAULT}_{parameters['type']}" if parameters.get("type") else _DEFAULT)


def _entry(
    key: str | None,
    parameters: Mapping[str, str],
    named: str | None,
    who: str,
    *,
    namespace: str,
    vault: Vault,
    config: CredentialsConfig,
) -> SecretKey | None:
    """The entry that counts; None where none is named, and the one that counts by default is not there."""
    name = named or config.entries
    wanted = _key(key, parameters)
    if named is None and key is None and (namespace, name) not in vault.secrets:
        return None
    secret = vault.secret(namespace, name, who if named is None else f"The annotation {config.annotation}")
    if wanted in secret.keys:
        return SecretKey(name, wanted)
    if key is None:
        return None
    raise errors.Unresolvable(
        "InvalidStorageSpec",
        f"{who} names the key {key!r}, and the Secret {namespace}/{name} has {', '.join(secret.keys)[:200] or 'none'}.",
        remedy=f"Add the key to the Secret, or choose another with {who}.key.",
    )


def _parsed(vault: Vault, namespace: str, entry: SecretKey) -> dict[str, str]:
    shown = f"The entry {entry.key} of the Secret {namespace}/{entry.secret}"
    return storage_entries.parsed(vault.value(namespace, entry, "A model"), shown)


def _check_uri(uri: str, fields: Mapping[str, str], who: str) -> None:
    """Refuse an address that the entry does not describe."""
    kind = _scheme(uri)
    if kind not in SPECIFIED_TYPES:
        raise errors.Unresolvable(
            "InvalidStorageSpec",
            f"{who} is beside a storageUri of another type than it can describe.",
            remedy=f"Take storage out, or give an address of {', '.join(SPECIFIED_TYPES)}.",
        )
    said = fields.get("type") or kind
    if (said == "s3") != (kind == "s3"):
        raise errors.Unresolvable(
            "InvalidStorageSpec",
            f"{who} is of the type {said[:60]!r}, and storageUri is {kind}://.",
            remedy="Choose another entry with key, or another address.",
        )


def _scheme(uri: str | None) -> str | None:
    return uri.partition("://")[0].lower() if uri and "://" in uri else None
