"""The credentials of artefacts, without their values: which Secrets a pod names, and where in them each value is.

There are three steps, so that whoever makes Kubernetes objects can stop before the values: `of_pod` gives names,
`given` references to keys, and `fairlead.resolve.credential_values.values` what storage providers get. The rules are
those of KServe (package ``pkg/credentials``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve import s3_options, secret_kinds
from fairlead.resolve.secret_kinds import REGISTRIES, REGISTRY_KEYS, S3, Share
from fairlead.resolve.secrets import DEFAULT_ACCOUNT, Secret, SecretKey, ServiceAccount, Vault

if TYPE_CHECKING:
    from fairlead.contracts.storage import StorageSpec
    from fairlead.resolve.config import CredentialsConfig

__all__ = [
    "OVERRIDE_VARIABLE",
    "ROLE_ANNOTATION",
    "STORAGE_CONFIG_VARIABLE",
    "Credentials",
    "Given",
    "given",
    "of_pod",
]

ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"
"""The annotation of a ServiceAccount by which pods on EKS become an AWS role."""

STORAGE_CONFIG_VARIABLE: Final = "STORAGE_CONFIG"
"""What holds an entry of the storage secret."""

OVERRIDE_VARIABLE: Final = "STORAGE_OVERRIDE_CONFIG"
"""What holds the parameters that are laid over it, as a JSON object."""

_SHOWN: Final = 200
_NO_CREDENTIALS: Final = ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "kubernetes.io/tls")
"""Types of Secrets that ServiceAccounts have for other ends."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What names the credentials of an artefact, within the namespace of its service. Nothing here is secret.

    Attributes:
        secret: the one Secret that an annotation names; None for those of the ServiceAccount.
        account: the ServiceAccount.
        pull_secrets: Secrets by which images are pulled, for artefacts in registries.
        specified: whether the artefact is described by ``storage``: then the entry and the parameters alone count.
        entry: the entry of the storage secret; None where there is none.
        optional: whether the entry need not be there; known only where it was not looked at.
        parameters: what is laid over it, as pairs.
        holder: the ServiceAccount, where Secrets were not looked at (a sealed `Vault`), with what of it matters to the
            artefact; None where they were, and where there is no such account.
    """

    secret: str | None = None
    account: str = DEFAULT_ACCOUNT
    pull_secrets: tuple[str, ...] = ()
    specified: bool = False
    entry: SecretKey | None = None
    optional: bool = False
    parameters: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    holder: ServiceAccount | None = None

    @property
    def declared(self) -> tuple[object, ...]:
        """What of it makes another revision of a component, beside its pod."""
        if self.specified:
            return (self.entry and dataclasses.astuple(self.entry), self.parameters)
        return () if self.secret is None else (self.secret,)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Where the credentials of an artefact are, by what providers call them.

    Attributes:
        references: where each value is.
        options: settings that are no secrets.
        registries: where logins of registries are; all of them count, the first for a registry wins.
        warnings: what a user should know: one sentence each.
    """

    references: Mapping[str, SecretKey] = dataclasses.field(default_factory=dict)
    options: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    registries: tuple[SecretKey, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """What providers are given, by its names."""
        return frozenset((*self.references, *self.options, *(REGISTRY_KEYS[:1] if self.registries else ())))


# -- names ----------------------------------------------------------------------------------------------


def of_pod(pod: Mapping[str, Any], annotations: Mapping[str, str], config: CredentialsConfig) -> Credentials | None:
    """What names the credentials of the artefacts of a pod.

    Args:
        pod: its PodSpec.
        annotations: its annotations, and those of its service.
        config: how Secrets are named.

    Returns:
        The names; None where nothing is named, so that the ServiceAccount ``default`` counts if there is one.
    """
    pulls = tuple(str(each["name"]) for each in pod.get("imagePullSecrets") or () if each.get("name"))
    found = Credentials(
        secret=annotations.get(config.annotation) or None,
        account=pod.get("serviceAccountName") or pod.get("serviceAccount") or DEFAULT_ACCOUNT,
        pull_secrets=pulls,
    )
    return None if found == Credentials() else found


# -- references -----------------------------------------------------------------------------------------


def given(
    credentials: Credentials | None,
    namespace: str,
    vault: Vault,
    config: CredentialsConfig,
    specs: Mapping[str, StorageSpec],
) -> Given:
    """Where the credentials are that names lead to.

    Args:
        credentials: the names; None for the ServiceAccount ``default``.
        namespace: the namespace of the service; nothing of another one is found.
        vault: what there is.
        config: how Secrets are read.
        specs: the storage providers that are installed.

    Raises:
        Unresolvable: a Secret is not there, or cannot be what it is named for.
    """
    names = credentials or Credentials()
    if names.specified:
        return _of_entry(names, namespace, vault)
    account = vault.accounts.get((namespace, names.account))
    collector = _Collector(account, config, specs)
    if names.secret is not None:
        collector.add(vault.secret(namespace, names.secret, f"The annotation {config.annotation}"), chosen=True)
    else:
        for each in account.secrets if account else ():
            collector.add(vault.secret(namespace, each, f"The ServiceAccount {names.account}"), chosen=False)
    for name in (*names.pull_secrets, *(account.pull_secrets if account else ())):
        if (
            pull := vault.secrets.get((namespace, name))
        ) is not None:  # Kubernetes does without those that are not there
            collector.add_logins(pull)
    return collector.given()


def _of_entry(names: Credentials, namespace: str, vault: Vault) -> Given:
    options = {OVERRIDE_VARIABLE: json.dumps(dict(names.parameters), sort_keys=True)} if names.parameters else {}
    if names.entry is None:
        return Given(options=options)
    vault.secret(namespace, names.entry.secret, "storage of the model")
    return Given(references={STORAGE_CONFIG_VARIABLE: names.entry}, options=options)


class _Collector:
    """Joins what several Secrets give: of two for one kind of storage, the later counts, and nothing of the other.

    A part of each would send the keys of one to the endpoint of the other.
    """

    def __init__(
        self, account: ServiceAccount | None, config: CredentialsConfig, specs: Mapping[str, StorageSpec]
    ) -> None:
        self._config, self._specs = config, specs
        self._role = account is not None and ROLE_ANNOTATION in account.annotations
        self._annotations = account.annotations if account is not None and self._role else {}
        self._by_kind: dict[str, tuple[str, Share]] = {}
        self._registries: dict[SecretKey, None] = {}
        self._warnings: list[str] = []

    def add(self, secret: Secret, *, chosen: bool) -> None:
        """Take what a Secret gives.

        Args:
            secret: the Secret.
            chosen: whether it was named for its credentials, so that it has to have some.

        Raises:
            Unresolvable: it has none, or cannot be read.
        """
        shares, unknown = secret_kinds.shares(secret, self._annotations, self._config, self._specs)
        self._tell_unknown(secret, unknown, alone=not shares, chosen=chosen)
        for share in shares:
            if share.kind == REGISTRIES:
                self.add_logins(secret)
            elif (before := self._by_kind.get(share.kind)) is not None:
                self._warnings.append(
                    f"The Secrets {before[0]} and {secret.name} are both for {share.kind}, and {secret.name} counts."
                )
            self._by_kind[share.kind] = (secret.name, share)

    def add_logins(self, secret: Secret) -> None:
        """Take the logins of registries that a Secret has."""
        self._registries |= {SecretKey(secret.name, key): None for key in REGISTRY_KEYS if key in secret.keys}

    def given(self) -> Given:
        """What they give together."""
        shares = [share for _, share in self._by_kind.values()]
        options = {key: each for share in shares for key, each in share.options.items()}
        if self._role and S3 not in self._by_kind:
            options |= s3_options.options(None, self._annotations, self._config.s3)
        references = {key: each for share in shares for key, each in share.references.items()}
        return Given(
            references={key: each for key, each in references.items() if key not in REGISTRY_KEYS},
            options=options,
            registries=tuple(self._registries),
            warnings=tuple(self._warnings),
        )

    def _tell_unknown(self, secret: Secret, unknown: tuple[str, ...], *, alone: bool, chosen: bool) -> None:
        who = f"The Secret {secret.namespace}/{secret.name}"
        if alone and chosen:
            raise errors.Unresolvable(
                "InvalidSecret",
                f"{who} has no credentials that are known: its keys are {', '.join(secret.keys)[:_SHOWN] or 'none'}.",
                remedy=f"Keys that are known are {', '.join(secret_kinds.known_keys(self._config))}, and those that the"
                " page of a storage provider lists.",
            )
        if unknown and not (alone and secret.type in _NO_CREDENTIALS):
            keys = ", ".join(unknown)[:_SHOWN]
            self._warnings.append(f"{who} has keys that no storage provider knows, so that they are not used: {keys}.")
