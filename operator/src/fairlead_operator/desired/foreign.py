"""Credentials for the image of a ClusterStorageContainer: variables, as far as the operator can know them.

KServe's operator reads Secrets, and writes a variable for each key that it knows. Here all keys of a Secret become
variables of their own names; a key that is to be a file, a header or a part of another variable cannot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead.resolve.mounted import Mounted
    from fairlead.resolve.service import Source
    from fairlead_operator.desired.wiring import Wiring

__all__ = ["Parts", "add"]

_HUGGING_FACE: Final = {
    "HF_HUB_ENABLE_HF_TRANSFER": "1",
    "HF_XET_HIGH_PERFORMANCE": "1",
    "HF_XET_NUM_CONCURRENT_RANGE_GETS": "8",
}
_GCS_FOLDER: Final = "/var/secrets"
_HDFS_FOLDER: Final = "/var/secrets/kserve-hdfscreds"
_LOGIN_FOLDER: Final = "/mnt/oci-fetch-auth"
_LOGIN: Final = ".dockerconfigjson"
_READABLE: Final = 0o444


@dataclasses.dataclass(slots=True)
class Parts:
    """What the init container gets.

    Attributes:
        made: gets the volumes.
        env: its variables by name: ``value`` or ``valueFrom``.
        env_from: where all keys become variables.
        mounts: what it mounts.
    """

    made: Wiring
    env: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    env_from: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    mounts: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def mount(self, name: str, path: str, **source: Any) -> None:
        """Have it mount a volume, which only it does."""
        self.made.volume(name, **source)
        self.mounts.append({"name": name, "mountPath": path, "readOnly": True})


def add(sources: Sequence[Source], mounted: Mounted, parts: Parts) -> None:
    """Give an image of somebody else what it needs to fetch artefacts.

    Files come only from the one Secret that an annotation names: which Secret of several has them, nobody knows here.
    """
    names, schemes = mounted.credentials, {each.uri.partition("://")[0].lower() for each in sources}
    parts.env |= {name: {"value": value} for name, value in _HUGGING_FACE.items()}
    parts.env |= {name: {"value": value} for name, value in sorted(mounted.options.items())}
    pulls = (*names.pull_secrets, *(names.holder.pull_secrets if names.holder else ()))
    for name in mounted.secrets:
        if name == names.secret:
            parts.env_from.append({"secretRef": {"name": name}})
        elif name not in pulls:
            parts.env_from.append({"secretRef": {"name": name, "optional": True}})
    if names.secret is not None and "gs" in schemes:
        key = mounted.config.gcs_key
        parts.mount("user-gcp-sa", _GCS_FOLDER, secret={"secretName": names.secret})
        parts.env["GOOGLE_APPLICATION_CREDENTIALS"] = {"value": f"{_GCS_FOLDER}/{key}"}
    if names.secret is not None and schemes & {"hdfs", "webhdfs"}:
        parts.mount("hdfs-secrets", _HDFS_FOLDER, secret={"secretName": names.secret})
    if pulls and any(each.startswith("oci") for each in schemes):
        # Not 0400 as in KServe: the container is not the root user, who owns the file.
        items = [{"key": _LOGIN, "path": "config.json", "mode": _READABLE}]
        parts.mount("oci-fetch-auth", _LOGIN_FOLDER, secret={"secretName": pulls[0], "items": items, "optional": True})
        parts.env["KSERVE_OCI_DOCKER_CONFIG"] = {"value": f"{_LOGIN_FOLDER}/config.json"}
