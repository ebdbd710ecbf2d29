"""What every kind and every part of one is made from: names, strictness, metadata, and the way back to a manifest."""

from typing import Any, ClassVar, Final, Self

import pydantic
from pydantic import alias_generators

from fairlead.api import values

__all__ = ["GROUP", "Metadata", "Part", "Resource", "StatusPart", "json_name"]

GROUP: Final = "serving.kserve.io"
"""The API group of every kind."""

_SPELLINGS: Final = {"host_ipc": "hostIPC", "host_pid": "hostPID", "set_hostname_as_fqdn": "setHostnameAsFQDN"}


def json_name(attribute: str) -> str:
    """The name that a field has in JSON and YAML."""
    return _SPELLINGS.get(attribute) or alias_generators.to_camel(attribute)


class Part(pydantic.BaseModel):
    """An object within a kind.

    Attributes are in snake_case and made with these names; documents have the API's camelCase and nothing else.
    A field that is not there is an error. Values are never converted: ``"1"`` is no number, and ``1`` no text.
    """

    model_config = pydantic.ConfigDict(
        alias_generator=json_name,
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


class StatusPart(Part):
    """An object within a status: controllers write it, newer ones with fields of their own, and these are kept."""

    model_config = pydantic.ConfigDict(extra="allow")


class Metadata(Part):
    """The metadata that Kubernetes gives every object (``meta/v1`` ObjectMeta)."""

    name: values.NonEmpty
    generate_name: str | None = None
    namespace: str | None = None
    labels: values.Texts | None = None
    annotations: values.Texts | None = None
    self_link: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: values.Int64 | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: values.Int64 | None = None
    owner_references: list[values.Plain] | None = None
    finalizers: list[str] | None = None
    managed_fields: list[values.Plain] | None = None


class Resource(Part):
    """An object of one of the kinds, as a manifest declares it and a cluster stores it."""

    hidden_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields whose values are shown in no message."""

    api_version: str
    kind: str
    metadata: Metadata

    @classmethod
    def parse(cls, manifest: dict[str, Any]) -> Self:
        """Make an object of this kind from plain data, with the API's names.

        Raises:
            pydantic.ValidationError: it is no manifest of this kind; `fairlead.api.read` says so in words.
        """
        return cls.model_validate(manifest, by_alias=True, by_name=False)

    def manifest(self) -> dict[str, Any]:
        """The plain data that this was made from: what was set and nothing else, with the API's names."""
        head = {"apiVersion": self.api_version, "kind": self.kind}
        return {**head, **self.model_dump(by_alias=True, exclude_unset=True)}

    @classmethod
    def identity(cls) -> tuple[str, str]:
        """The ``apiVersion`` and ``kind`` of this kind."""
        return cls.model_fields["api_version"].default, cls.model_fields["kind"].default
