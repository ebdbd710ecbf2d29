"""Secrets, ConfigMaps and ServiceAccounts: found in one namespace by their name, and read key by key.

They are made from Kubernetes' objects as plain data. What a Secret holds is decoded when it is asked for, and is in no
representation and no error.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from fairlead import errors

__all__ = ["DEFAULT_ACCOUNT", "ConfigMap", "Identity", "Secret", "SecretKey", "ServiceAccount", "Vault"]

DEFAULT_ACCOUNT: Final = "default"
"""The ServiceAccount of pods that name none."""

_NAMESPACE: Final = "default"
_SHOWN: Final = 200
_LINE_ENDS: Final = str.maketrans("", "", "\r\n")

Identity: TypeAlias = tuple[str, str]
"""A namespace and a name."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class SecretKey:
    """Where a value is, without the value: what ``secretKeyRef`` says.

    Attributes:
        secret: the name of the Secret.
        key: the key in it.
    """

    secret: str
    key: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A Secret.

    Attributes:
        namespace: its namespace.
        name: its name.
        type: what it is for, such as ``Opaque``.
        annotations: its annotations.
        data: its values in base64, by key.
        texts: its values as texts, by key; they win.
    """

    namespace: str
    name: str
    type: str = "Opaque"
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    data: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Secret:
        """The Secret that plain data declares."""
        namespace, name = _identity(manifest)
        return cls(
            namespace=namespace,
            name=name,
            type=manifest.get("type") or "Opaque",
            annotations=_annotations(manifest),
            data=dict(manifest.get("data") or {}),
            texts=dict(manifest.get("stringData") or {}),
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it has."""
        return tuple(dict.fromkeys((*self.data, *self.texts)))

    def content(self, key: str) -> bytes:
        """What is at a key that it has.

        Raises:
            Unresolvable: it is not in base64.
        """
        if key in self.texts:
            return self.texts[key].encode()
        return _decoded(self.data[key], f"The Secret {self.namespace}/{self.name} has at {key} what is no base64.")

    def text(self, key: str) -> str:
        """The text at a key that it has; without an end of line, which ``echo`` leaves and no credential has.

        Raises:
            Unresolvable: it is not in base64, or no text.
        """
        try:
            return self.content(key).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise errors.Unresolvable(
                "InvalidSecret",
                f"The Secret {self.namespace}/{self.name} has at {key} what is no text.",
                remedy="Encode the text itself with base64, or write it under stringData.",
            ) from None  # the decoder's error holds the value


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMap:
    """A ConfigMap.

    Attributes:
        namespace: its namespace.
        name: its name.
        texts: its values as texts, by key.
        data: its values in base64, by key.
    """

    namespace: str
    name: str
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    data: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> ConfigMap:
        """The ConfigMap that plain data declares."""
        namespace, name = _identity(manifest)
        return cls(
            namespace=namespace,
            name=name,
            texts=dict(manifest.get("data") or {}),
            data=dict(manifest.get("binaryData") or {}),
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it has."""
        return tuple(dict.fromkeys((*self.texts, *self.data)))

    def content(self, key: str) -> bytes:
        """What is at a key that it has.

        Raises:
            Unresolvable: it is not in base64.
        """
        if key in self.texts:
            return self.texts[key].encode()
        return _decoded(self.data[key], f"The ConfigMap {self.namespace}/{self.name} has at {key} what is no base64.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A ServiceAccount.

    Attributes:
        namespace: its namespace.
        name: its name.
        annotations: its annotations.
        secrets: the names of its Secrets, in their order.
        pull_secrets: the names of the Secrets by which images are pulled, in their order.
    """

    namespace: str
    name: str
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    pull_secrets: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> ServiceAccount:
        """The ServiceAccount that plain data declares."""
        namespace, name = _identity(manifest)
        return cls(
            namespace=namespace,
            name=name,
            annotations=_annotations(manifest),
            secrets=_names(manifest.get("secrets")),
            pull_secrets=_names(manifest.get("imagePullSecrets")),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """What there is to be named by services, by namespace and name; nobody is given what is in another namespace.

    Attributes:
        secrets: the Secrets.
        config_maps: the ConfigMaps.
        accounts: the ServiceAccounts.
        sealed: whether there are Secrets that nobody here may read: they are named, and looked at by what fetches.
    """

    secrets: Mapping[Identity, Secret] = dataclasses.field(default_factory=dict)
    config_maps: Mapping[Identity, ConfigMap] = dataclasses.field(default_factory=dict)
    accounts: Mapping[Identity, ServiceAccount] = dataclasses.field(default_factory=dict)
    sealed: bool = False

    @classmethod
    def of(cls, manifests: Iterable[Mapping[str, Any]], *, sealed: bool = False) -> Vault:
        """The vault of objects as plain data; objects of other kinds are left out.

        Args:
            manifests: the objects.
            sealed: whether Secrets may not be read; those among the objects are left out, too.
        """
        secrets, maps, accounts = {}, {}, {}
        for each in manifests:
            match each.get("kind"):
                case "Secret" if not sealed:
                    secrets[_identity(each)] = Secret.of(each)
                case "ConfigMap":
                    maps[_identity(each)] = ConfigMap.of(each)
                case "ServiceAccount":
                    accounts[_identity(each)] = ServiceAccount.of(each)
        return cls(secrets=secrets, config_maps=maps, accounts=accounts, sealed=sealed)

    def secret(self, namespace: str, name: str, who: str) -> Secret:
        """The Secret of a name.

        Args:
            namespace: where it is looked for.
            name: its name.
            who: what names it, for the error: the beginning of a sentence.

        Raises:
            Unresolvable: there is none.
        """
        found = self.secrets.get((namespace, name))
        if found is None:
            raise errors.Unresolvable(
                "SecretNotFound",
                f"{who} names the Secret {name!r}, and there is none in the namespace {namespace}.",
                remedy="Declare it in this namespace, or name another.",
            )
        return found

    def holder(self, namespace: str, reference: SecretKey, who: str) -> Secret:
        """The Secret that a reference leads to; it has the key.

        Raises:
            Unresolvable: it is not there, or has no such key.
        """
        found = self.secret(namespace, reference.secret, who)
        if reference.key not in found.keys:
            raise errors.Unresolvable(
                "InvalidSecret",
                f"{who} names the key {reference.key!r} of the Secret {namespace}/{found.name}, which has"
                f" {', '.join(found.keys)[:_SHOWN] or 'none'}.",
                remedy="Add the key to the Secret, or name another.",
            )
        return found

    def value(self, namespace: str, reference: SecretKey, who: str) -> str:
        """The text that a reference leads to, as `Secret.text`.

        Raises:
            Unresolvable: the Secret or its key is not there, or holds no text.
        """
        return self.holder(namespace, reference, who).text(reference.key)

    def config_map(self, namespace: str, name: str, who: str) -> ConfigMap:
        """The ConfigMap of a name; arguments as for `secret`.

        Raises:
            Unresolvable: there is none.
        """
        found = self.config_maps.get((namespace, name))
        if found is None:
            raise errors.Unresolvable(
                "ConfigMapNotFound",
                f"{who} names the ConfigMap {name!r}, and there is none in the namespace {namespace}.",
                remedy="Declare it in this namespace, or name another.",
            )
        return found


def _identity(manifest: Mapping[str, Any]) -> Identity:
    metadata = manifest["metadata"]
    return metadata.get("namespace") or _NAMESPACE, metadata["name"]


def _annotations(manifest: Mapping[str, Any]) -> dict[str, str]:
    return dict(manifest["metadata"].get("annotations") or {})


def _names(references: Iterable[Mapping[str, Any]] | None) -> tuple[str, ...]:
    """The names in a list of references; a namespace that one has beside it does not count, as in Kubernetes."""
    return tuple(str(each["name"]) for each in references or () if each.get("name"))


def _decoded(text: str, problem: str) -> bytes:
    try:
        return base64.b64decode(text.translate(_LINE_ENDS), validate=True)
    except (binascii.Error, ValueError):
        raise errors.Unresolvable(
            "InvalidSecret" if problem.startswith("The Secret") else "InvalidConfigMap",
            problem,
            remedy="Encode it with base64, or write it as text: under stringData of a Secret, or data of a ConfigMap.",
        ) from None
