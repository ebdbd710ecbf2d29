"""The objects of Kubernetes' own that services name: Secret, ConfigMap and ServiceAccount (``core/v1``)."""

from typing import ClassVar, Literal

from pydantic import Field

from fairlead.api import base, values

__all__ = ["ConfigMap", "Secret", "ServiceAccount"]


class Secret(base.Resource):
    """Values that are shown nowhere, by key."""

    hidden_fields: ClassVar[frozenset[str]] = frozenset({"data", "stringData"})

    api_version: Literal["v1"] = "v1"
    kind: Literal["Secret"] = "Secret"
    type: str | None = None
    """What it is for, such as ``kubernetes.io/dockerconfigjson``."""
    data: values.Texts | None = Field(default=None, repr=False)
    """Values in base64."""
    string_data: values.Texts | None = Field(default=None, repr=False)
    """Values as texts; they win over those in ``data``."""
    immutable: values.Flag | None = None
    """Whether it may not be changed."""


class ConfigMap(base.Resource):
    """Values by key."""

    api_version: Literal["v1"] = "v1"
    kind: Literal["ConfigMap"] = "ConfigMap"
    data: values.Texts | None = None
    """Values as texts."""
    binary_data: values.Texts | None = None
    """Values in base64."""
    immutable: values.Flag | None = None
    """Whether it may not be changed."""


class ServiceAccount(base.Resource):
    """Whom a pod runs as, with the Secrets that it may use."""

    api_version: Literal["v1"] = "v1"
    kind: Literal["ServiceAccount"] = "ServiceAccount"
    secrets: list[values.Plain] | None = None
    """Its Secrets (``core/v1`` ObjectReference)."""
    image_pull_secrets: list[values.Plain] | None = None
    """The Secrets by which images are pulled (``core/v1`` LocalObjectReference)."""
    automount_service_account_token: values.Flag | None = None
    """Whether its token is mounted into pods."""
