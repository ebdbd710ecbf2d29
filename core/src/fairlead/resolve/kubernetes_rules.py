"""Rules about Kubernetes' own objects that services name: what an API server would refuse, as far as it matters here.

What is wrong with one is a warning: a service that needs it is told by its conditions, and others go on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.resolve import findings, secrets

if TYPE_CHECKING:
    from fairlead.api.kubernetes import ConfigMap, Secret, ServiceAccount

__all__ = ["check_account", "check_values"]

_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def check_values(found: findings.Findings, resource: Secret | ConfigMap) -> None:
    """The keys of a Secret or ConfigMap, and whether what is to be in base64 is; values are not shown."""
    made = (secrets.Secret if resource.kind == "Secret" else secrets.ConfigMap).of(resource.manifest())
    texts = "stringData" if resource.kind == "Secret" else "data"
    for key in made.keys:
        field = texts if key in made.texts else "data" if texts == "stringData" else "binaryData"
        if not _KEY.fullmatch(key):
            found.warn(
                f"{field}.{findings.shown(key)}",
                "Kubernetes refuses this key. Use letters, digits, hyphens, underscores and dots.",
            )
        try:
            made.content(key)
        except errors.Unresolvable:
            found.warn(f"{field}.{key}", f"it is no base64. Encode it, or write it as text under {texts}.")


def check_account(found: findings.Findings, resource: ServiceAccount) -> None:
    """The Secrets that a ServiceAccount names; they are in its own namespace."""
    lists = {"secrets": resource.secrets, "imagePullSecrets": resource.image_pull_secrets}
    for field, references in lists.items():
        for index, each in enumerate(references or ()):
            path = f"{field}[{index}]"
            if not isinstance(each.get("name"), str) or not each["name"]:
                found.problem(f"{path}.name", "it has to name a Secret. Write its name, or take the entry out.")
            other = each.get("namespace")
            if other not in (None, "", resource.metadata.namespace):
                found.problem(
                    f"{path}.namespace",
                    f"{findings.shown(other)} is another namespace, and a ServiceAccount uses Secrets of its own alone."
                    " Declare the Secret there, and take namespace out.",
                )
