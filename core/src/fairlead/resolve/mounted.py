"""Secrets that are mounted where artefacts are fetched, because whoever resolves a service may not read them.

What writes a pod says in one variable which Secrets are there, and in whose name; what runs in it makes a vault of the
files, so that credentials are found by the same rules as everywhere. Nothing here is secret but the files.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from fairlead import errors
from fairlead.resolve import s3_options
from fairlead.resolve.config import CredentialsConfig
from fairlead.resolve.credentials import ROLE_ANNOTATION, Credentials
from fairlead.resolve.secrets import ConfigMap, Secret, ServiceAccount, Vault

__all__ = ["CONFIG_MAPS", "FOLDER_VARIABLE", "NAMES_VARIABLE", "SECRETS", "Files", "Mounted"]

FOLDER_VARIABLE: Final = "FAIRLEAD_CREDENTIALS"
"""Names the folder in which Secrets and ConfigMaps are mounted."""

NAMES_VARIABLE: Final = "FAIRLEAD_CREDENTIALS_NAMES"
"""Holds what is mounted there, as `Mounted.text` writes it."""

SECRETS: Final = "secrets"
"""The folder of Secrets in it: each is a folder of its name, with a file for each key."""

CONFIG_MAPS: Final = "configmaps"
"""The folder of ConfigMaps in it."""

Files: TypeAlias = Mapping[str, Mapping[str, bytes]]
"""What is mounted, by name and key."""

_BUNDLE_MAP: Final = "AWS_CA_BUNDLE_CONFIGMAP"
_OF_ENTRIES: Final = "cabundle_configmap"
_TYPES: Final[Mapping[frozenset[str], str]] = {
    frozenset({"ca.crt", "namespace", "token"}): "kubernetes.io/service-account-token",
    frozenset({"tls.crt", "tls.key"}): "kubernetes.io/tls",
}
"""The types of Secrets that are no credentials of storage, by their keys: a file does not say its Secret's type."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """What is mounted for artefacts of one service.

    Attributes:
        namespace: the namespace of the service.
        credentials: what names their credentials, with the ServiceAccount.
        config: how Secrets are read.
    """

    namespace: str
    credentials: Credentials
    config: CredentialsConfig = dataclasses.field(default_factory=CredentialsConfig)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The Secrets that may hold credentials, in the order in which they count."""
        names, account = self.credentials, self.credentials.holder
        if names.specified:
            return ()
        own = (names.secret,) if names.secret is not None else account.secrets if account else ()
        return tuple(dict.fromkeys((*own, *names.pull_secrets, *(account.pull_secrets if account else ()))))

    @property
    def options(self) -> dict[str, str]:
        """Settings of S3 that no Secret says, as variables; empty where neither a Secret nor a role is given."""
        account = self.credentials.holder
        role = account is not None and ROLE_ANNOTATION in account.annotations
        if self.credentials.specified or not (role or self.secrets):
            return {}
        return s3_options.options(None, account.annotations if account else {}, self.config.s3)

    @property
    def config_map(self) -> str | None:
        """The ConfigMap with authorities for S3 that is known without the Secrets."""
        of_entry = dict(self.credentials.parameters).get(_OF_ENTRIES)
        return of_entry or self.options.get(_BUNDLE_MAP) or None

    def text(self) -> str:
        """What a container is told of it: a JSON object."""
        names, account = self.credentials, self.credentials.holder
        defaults = CredentialsConfig()
        config = {
            field.name: value
            for field in dataclasses.fields(CredentialsConfig)
            if (value := getattr(self.config, field.name)) != getattr(defaults, field.name)
        }
        told: dict[str, Any] = {
            "namespace": self.namespace,
            "secret": names.secret,
            "pullSecrets": names.pull_secrets,
            "account": names.account,
            "annotations": account and dict(account.annotations),
            "accountSecrets": account and names.secret is None and account.secrets,
            "accountPullSecrets": account and account.pull_secrets,
            "config": config,
        }
        return json.dumps({key: value for key, value in told.items() if value}, sort_keys=True)

    @classmethod
    def of(cls, text: str) -> Mounted:
        """What `text` says.

        Raises:
            ConfigurationError: it was written by nobody who knows how.
        """
        try:
            told = json.loads(text)
            namespace = str(told["namespace"])
            account = ServiceAccount(
                namespace=namespace,
                name=str(told["account"]),
                annotations=dict(told.get("annotations") or {}),
                secrets=tuple(told.get("accountSecrets") or ()),
                pull_secrets=tuple(told.get("accountPullSecrets") or ()),
            )
            names = Credentials(
                secret=told.get("secret"),
                account=account.name,
                pull_secrets=tuple(told.get("pullSecrets") or ()),
                holder=account,
            )
            return cls(namespace=namespace, credentials=names, config=CredentialsConfig(**(told.get("config") or {})))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise errors.ConfigurationError(
                f"The variable {NAMES_VARIABLE} does not say what is mounted: {error}.",
                remedy="It is written by the operator; give the container the image of the same version.",
            ) from error

    def vault(self, secrets: Files, config_maps: Files) -> Vault:
        """What there is, made of files; a Secret without any is not there."""
        found = {
            (self.namespace, name): Secret(
                namespace=self.namespace,
                name=name,
                type=_TYPES.get(frozenset(files), "Opaque"),
                data={key: base64.b64encode(content).decode() for key, content in files.items()},
            )
            for name, files in secrets.items()
            if files
        }
        maps = {
            (self.namespace, name): ConfigMap(
                namespace=self.namespace,
                name=name,
                data={key: base64.b64encode(content).decode() for key, content in files.items()},
            )
            for name, files in config_maps.items()
            if files
        }
        account = self.credentials.holder
        accounts = {(self.namespace, account.name): account} if account is not None else {}
        return Vault(secrets=found, config_maps=maps, accounts=accounts)
