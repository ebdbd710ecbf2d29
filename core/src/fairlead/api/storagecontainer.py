"""ClusterStorageContainer ``v1alpha1``: the container that fetches artefacts of some addresses."""

from typing import Literal

from fairlead.api import base, values

__all__ = ["ClusterStorageContainer", "ClusterStorageContainerSpec", "SupportedUriFormat"]


class SupportedUriFormat(base.Part):
    """Addresses that the container fetches from."""

    prefix: str | None = None
    """How they begin."""
    regex: str | None = None
    """What is found in them, where no prefix is set."""


class ClusterStorageContainerSpec(base.Part):
    """A container, and what it fetches."""

    container: values.Plain
    """The container (``core/v1`` Container)."""
    supported_uri_formats: list[SupportedUriFormat]
    """The addresses that it fetches from."""
    workload_type: str = "initContainer"
    """What it is used as: ``initContainer`` or ``localModelDownloadJob``."""
    supports_multi_model_download: values.Flag = False
    """Whether it fetches several artefacts in one run."""


class ClusterStorageContainer(base.Resource):
    """The container that fetches artefacts of some addresses."""

    api_version: Literal["serving.kserve.io/v1alpha1"] = "serving.kserve.io/v1alpha1"
    kind: Literal["ClusterStorageContainer"] = "ClusterStorageContainer"
    spec: ClusterStorageContainerSpec
    """A container, and what it fetches."""
    disabled: values.Flag | None = None
    """Whether it is not to be used."""
