"""Settings of S3 that are no secrets: endpoint, region, TLS, addressing.

An annotation wins over a key of the Secret, that over an annotation of the ServiceAccount, and that over what the
platform says for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.resolve.secrets import Secret

__all__ = ["KEYS", "PREFIX", "options"]

PREFIX: Final = "serving.kserve.io/s3-"
"""How annotations begin that set one of them."""

_ENDPOINT: Final = "S3_ENDPOINT"
_URL: Final = "AWS_ENDPOINT_URL"
_USE_HTTPS: Final = "S3_USE_HTTPS"
_FALSE: Final = frozenset({"0", "false", "no", "off"})

_SETTINGS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    _ENDPOINT: ("endpoint", (_ENDPOINT, "AWS_S3_ENDPOINT")),
    _USE_HTTPS: ("usehttps", (_USE_HTTPS,)),
    "AWS_DEFAULT_REGION": ("region", ("AWS_DEFAULT_REGION", "AWS_REGION")),
    "S3_VERIFY_SSL": ("verifyssl", ("S3_VERIFY_SSL",)),
    # KServe spells the variable so.
    "S3_USER_VIRTUAL_BUCKET": ("usevirtualbucket", ("S3_USER_VIRTUAL_BUCKET", "S3_USE_VIRTUAL_BUCKET")),
    "S3_USE_ACCELERATE": ("useaccelerate", ("S3_USE_ACCELERATE",)),
    "awsAnonymousCredential": ("useanoncredential", ("awsAnonymousCredential",)),
    "AWS_CA_BUNDLE_CONFIGMAP": ("cabundle-configmap", ("AWS_CA_BUNDLE_CONFIGMAP",)),
    "AWS_CA_BUNDLE": ("cabundle", ("AWS_CA_BUNDLE",)),
}
"""The end of the annotation, and the keys of a Secret, by the variable that providers know."""

KEYS: Final = frozenset(key for _, keys in _SETTINGS.values() for key in keys) | {_URL}
"""The keys of a Secret that hold one of them."""


def options(secret: Secret | None, account: Mapping[str, str], platform: Mapping[str, str]) -> dict[str, str]:
    """The settings as variables that providers know, ``AWS_ENDPOINT_URL`` made of the endpoint among them.

    Args:
        secret: the Secret of the access key, where there is one.
        account: annotations of the ServiceAccount that count.
        platform: what the platform says for all, as variables.

    Raises:
        Unresolvable: a value of the Secret cannot be read.
    """
    found: dict[str, str] = {}
    for name, (suffix, keys) in _SETTINGS.items():
        value = _first(secret, f"{PREFIX}{suffix}", keys) or account.get(f"{PREFIX}{suffix}") or platform.get(name)
        if value:
            found[name] = value.strip()
    return found | _with_url(found, _first(secret, "", (_URL,)))


def _first(secret: Secret | None, annotation: str, keys: tuple[str, ...]) -> str:
    if secret is None:
        return ""
    if said := secret.annotations.get(annotation):
        return said
    return next((text for key in keys if key in secret.keys and (text := secret.text(key))), "")


def _with_url(found: Mapping[str, str], url: str) -> dict[str, str]:
    """The URL of the endpoint, and whether it is https, which a scheme in the endpoint decides."""
    endpoint = found.get(_ENDPOINT) or url
    if not endpoint:
        return {}
    if "://" not in endpoint:
        plain = found.get(_USE_HTTPS, "1").lower() in _FALSE
        return {_URL: f"{'http' if plain else 'https'}://{endpoint}"}
    return {_URL: endpoint, _USE_HTTPS: "0" if endpoint.lower().startswith("http://") else "1"}
