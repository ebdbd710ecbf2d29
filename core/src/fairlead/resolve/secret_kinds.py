"""What a Secret gives: which of its keys are credentials, for which kind of storage, and what providers call them.

The keys are KServe's, and those that installed providers name. A Secret may have those of several kinds.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.resolve import s3_options
from fairlead.resolve.secrets import Secret, SecretKey

if TYPE_CHECKING:
    from fairlead.contracts.storage import StorageSpec
    from fairlead.resolve.config import CredentialsConfig

__all__ = [
    "GCS_KEY",
    "HEADERS_SUFFIX",
    "KEYTAB",
    "REGISTRIES",
    "REGISTRY_KEYS",
    "S3",
    "Share",
    "known_keys",
    "shares",
]

GCS_KEY: Final = "gcloud-application-credentials.json"
"""What providers call a service account file of Google Cloud: its text."""

HEADERS_SUFFIX: Final = "-headers"
"""The end of the key for headers of an http host."""

KEYTAB: Final = "KERBEROS_KEYTAB"
"""The only credential that is no text; providers get it in base64."""

REGISTRY_KEYS: Final = (".dockerconfigjson", ".dockercfg")
"""Logins of container registries, in the form of today and in the one before it."""

S3: Final = "s3"
REGISTRIES: Final = "oci"
"""Kinds of storage that are joined in a way of their own."""

_OURS: Final = "FAIRLEAD_"
"""Keys that set policies of the platform; a Secret has no say in these."""

_OF_FILES: Final = frozenset(
    {
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "KSERVE_OCI_DOCKER_CONFIG",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    }
)
"""Keys that name a file with an identity of this machine; it is not for whoever writes a Secret to hand that out."""

_HOST_KEY: Final = "https-host"
_HEADERS_KEY: Final = "headers"
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_OF_MLFLOW: Final = "MLFLOW_"
_HDFS_MARK: Final = "HDFS_NAMENODE"

_SAME: Final[Mapping[str, tuple[str, ...]]] = {
    "huggingface": ("HF_TOKEN",),
    "modelscope": ("MODELSCOPE_API_TOKEN",),
    "git": ("GIT_USERNAME", "GIT_PASSWORD"),
    "azure": (
        *("AZURE_STORAGE_ACCESS_KEY", "AZURE_ACCESS_TOKEN", "AZURE_ACCESS_EXPIRES_ON_SECONDS"),
        *("AZURE_ACCOUNT_NAME", "AZURE_SERVICE_URL"),
    ),
}
"""Keys that providers know by the same name, by the kind of storage."""

_OF_HDFS: Final = (
    *(_HDFS_MARK, "USER_PROXY", "HDFS_ROOTPATH", "TLS_CERT", "TLS_KEY", "TLS_CA", "TLS_SKIP_VERIFY"),
    *("HEADERS", "N_THREADS", "KERBEROS_PRINCIPAL", KEYTAB),
)
_OF_AZURE_IDENTITY: Final = ("SUBSCRIPTION_ID", "TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a Secret gives to one kind of storage.

    Attributes:
        kind: the kind; for headers of an http server with its host.
        references: where each credential is, by what providers call it.
        options: settings that are no secrets, by what providers call them.
        keys: the keys of the Secret that these are made of.
    """

    kind: str
    references: Mapping[str, SecretKey]
    options: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    keys: frozenset[str] = frozenset()


def known_keys(config: CredentialsConfig) -> tuple[str, ...]:
    """The keys by which Secrets are known that KServe knows, for messages."""
    return (
        *(config.s3_secret_access_key, config.gcs_key, "AZURE_CLIENT_ID", "AZURE_STORAGE_ACCESS_KEY", _HOST_KEY),
        *(_HDFS_MARK, "HF_TOKEN", "MODELSCOPE_API_TOKEN", "GIT_PASSWORD", "MLFLOW_TRACKING_TOKEN", REGISTRY_KEYS[0]),
    )


def shares(
    secret: Secret, account: Mapping[str, str], config: CredentialsConfig, specs: Mapping[str, StorageSpec]
) -> tuple[list[Share], tuple[str, ...]]:
    """What a Secret gives to each kind of storage, and the keys of it that nothing knows.

    Args:
        secret: the Secret.
        account: annotations of the ServiceAccount that count.
        config: how Secrets are read.
        specs: the storage providers that are installed, whose keys count as well.

    Raises:
        Unresolvable: a key is missing beside another, or what says how others are read cannot be read.
    """
    found = [*_of_s3(secret, account, config), *_same(secret, config), *_of_azure(secret), *_of_http(secret)]
    used = frozenset[str]().union(*(each.keys for each in found))
    more: dict[str, dict[str, SecretKey]] = {}
    for key in secret.keys:
        if key not in used and (kind := _named_by(key, specs)):
            more.setdefault(kind, {})[key] = SecretKey(secret.name, key)
    found += [Share(kind=kind, references=each, keys=frozenset(each)) for kind, each in more.items()]
    used |= frozenset(key for each in more.values() for key in each)
    return _joined(found), tuple(key for key in secret.keys if key not in used)


def _joined(found: list[Share]) -> list[Share]:
    """One share for each kind."""
    by_kind: dict[str, Share] = {}
    for each in found:
        before = by_kind.setdefault(each.kind, each)
        by_kind[each.kind] = Share(
            kind=each.kind,
            references={**before.references, **each.references},
            options={**before.options, **each.options},
            keys=before.keys | each.keys,
        )
    return list(by_kind.values())


def _named_by(key: str, specs: Mapping[str, StorageSpec]) -> str:
    """The provider that names a key; empty where none does."""
    if key.startswith(_OURS) or key in _OF_FILES:
        return ""
    for name, spec in sorted(specs.items()):
        if any(fnmatch.fnmatchcase(key, pattern) for pattern in spec.credentials):
            return name
    return ""


def _share(secret: Secret, kind: str, names: Mapping[str, tuple[str, ...]]) -> Iterator[Share]:
    """The share that is made of keys which the Secret has: of several that mean the same, the first."""
    found = {
        name: SecretKey(secret.name, key)
        for name, keys in names.items()
        if (key := next((each for each in keys if each in secret.keys), ""))
    }
    if found:
        taken = frozenset(key for name in found for key in names[name])
        yield Share(kind=kind, references=found, keys=taken)


def _same(secret: Secret, config: CredentialsConfig) -> Iterator[Share]:
    for kind, names in _SAME.items():
        yield from _share(secret, kind, {name: (name,) for name in names})
    yield from _share(secret, "gcs", {GCS_KEY: (config.gcs_key, GCS_KEY)})
    if _HDFS_MARK in secret.keys:
        yield from _share(secret, "hdfs", {name: (name,) for name in _OF_HDFS})
    of_mlflow = [key for key in secret.keys if key.startswith(_OF_MLFLOW) and key not in _OF_FILES]
    yield from _share(secret, "mlflow", {key: (key,) for key in of_mlflow})
    yield from _share(secret, REGISTRIES, {key: (key,) for key in REGISTRY_KEYS})


def _of_azure(secret: Secret) -> Iterator[Share]:
    # An identity is read from the short keys where there are both, as in KServe.
    names = {f"AZURE_{each}": (f"AZ_{each}", f"AZURE_{each}") for each in _OF_AZURE_IDENTITY}
    yield from _share(secret, "azure", names)


def _of_http(secret: Secret) -> Iterator[Share]:
    if _HOST_KEY not in secret.keys:
        return
    who = f"The Secret {secret.namespace}/{secret.name}"
    if _HEADERS_KEY not in secret.keys:
        raise _invalid(
            f"{who} has {_HOST_KEY} and no {_HEADERS_KEY}.", 'For example: {"Authorization": "Bearer <token>"}'
        )
    host = secret.text(_HOST_KEY).strip().lower()
    if not _HOST.fullmatch(host):
        raise _invalid(f"{who} has at {_HOST_KEY} what is no host.", "Write a host without https://, port and path.")
    references = {f"{host}{HEADERS_SUFFIX}": SecretKey(secret.name, _HEADERS_KEY)}
    yield Share(kind=f"http {host}", references=references, keys=frozenset({_HOST_KEY, _HEADERS_KEY}))


def _of_s3(secret: Secret, account: Mapping[str, str], config: CredentialsConfig) -> Iterator[Share]:
    names = {
        "AWS_ACCESS_KEY_ID": (config.s3_access_key_id, "AWS_ACCESS_KEY_ID", "awsAccessKeyID"),
        "AWS_SECRET_ACCESS_KEY": (config.s3_secret_access_key, "AWS_SECRET_ACCESS_KEY", "awsSecretAccessKey"),
        "AWS_SESSION_TOKEN": ("AWS_SESSION_TOKEN",),
    }
    found = next(_share(secret, S3, names), None)
    own = s3_options.KEYS & set(secret.keys)
    if found is None and not own and not any(each.startswith(s3_options.PREFIX) for each in secret.annotations):
        return
    references = {} if found is None else found.references
    pair = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    missing = [name for name in pair if name not in references]
    if references and missing:
        there = next(iter(references.values())).key
        raise _invalid(
            f"The Secret {secret.namespace}/{secret.name} has {there} and no {missing[0]}.", "An access key has both."
        )
    keys = own if found is None else found.keys | own
    options = s3_options.options(secret, account, config.s3)
    yield Share(kind=S3, references=references, options=options, keys=keys)


def _invalid(reason: str, remedy: str) -> errors.Unresolvable:
    return errors.Unresolvable("InvalidSecret", reason, remedy=remedy)
