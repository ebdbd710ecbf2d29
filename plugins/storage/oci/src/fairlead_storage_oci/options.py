"""Options: what the credentials, and else the environment, say of how to fetch."""

from __future__ import annotations

import dataclasses
import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage.policy import Policy
from fairlead_storage_oci import keys
from fairlead_storage_oci.logins import DockerConfig

if TYPE_CHECKING:
    from fairlead_storage_oci.keys import Key

__all__ = ["DEFAULT_CONFIG", "Options", "read"]

_SECRET: Final = ".dockerconfigjson"  # noqa: S105  # the name of a key
_LEGACY_SECRET: Final = ".dockercfg"  # noqa: S105  # the name of a key
_CONFIG: Final = "KSERVE_OCI_DOCKER_CONFIG"
_INSECURE: Final = "KSERVE_OCI_INSECURE_REGISTRY"
_COSIGN: Final = "FAIRLEAD_STORAGE_COSIGN_"
_COSIGN_KEY: Final = f"{_COSIGN}KEY"
_BUNDLE_NAME: Final = "CA_BUNDLE_CONFIGMAP_NAME"
_BUNDLE_FOLDER: Final = "CA_BUNDLE_VOLUME_MOUNT_POINT"
_DEFAULT_BUNDLE_FOLDER: Final = "/etc/ssl/custom-certs"
DEFAULT_CONFIG: Final = Path("/mnt/oci-fetch-auth/config.json")
"""Where KServe puts the pull secret of a pod."""

_TRUE: Final = frozenset({"1", "true", "yes"})
_FALSE: Final = frozenset({"", "0", "false", "no"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to fetch.

    Attributes:
        policy: what may be connected to.
        tls: what certificates are verified with; None for what the environment names.
        insecure: whether registries are asked over plain http; None for only those on this machine.
        config: where logins are looked up; None for none.
        keys: the keys that an artefact has to be signed by, each of them.
    """

    policy: Policy
    tls: ssl.SSLContext | None
    insecure: bool | None
    config: DockerConfig | None = dataclasses.field(repr=False)
    keys: tuple[Key, ...]


def read(credentials: Mapping[str, str], environment: Mapping[str, str], default: Path = DEFAULT_CONFIG) -> Options:
    """Read the options.

    Raises:
        ConfigurationError: one of them cannot be read.
    """

    def either(name: str) -> str:
        return credentials.get(name) or environment.get(name) or ""

    return Options(
        policy=Policy.of(credentials),
        tls=_tls(either, environment),
        insecure=_insecure(either(_INSECURE)),
        config=_given(credentials) or _found(environment, default),
        keys=_keys(credentials, environment),
    )


def _insecure(text: str) -> bool | None:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise errors.ConfigurationError(f"{_INSECURE}: {text!a} is not one of 1, true, yes, 0, false, no.")
    return None if not word else word in _TRUE


def _tls(either: Callable[[str], str], environment: Mapping[str, str]) -> ssl.SSLContext | None:
    """The authorities that KServe mounts into a pod, beside those of the system."""
    if not either(_BUNDLE_NAME) and not either(_BUNDLE_FOLDER):
        return None
    path = os.path.join(either(_BUNDLE_FOLDER) or _DEFAULT_BUNDLE_FOLDER, "cabundle.crt")  # noqa: PTH118  # passed on as text
    named = environment.get("REQUESTS_CA_BUNDLE") or None
    folder = named is not None and os.path.isdir(named)  # noqa: PTH112  # a setting that is passed on as text
    try:
        context = ssl.create_default_context(cafile=None if folder else named, capath=named if folder else None)
        context.load_verify_locations(path)
    except OSError as error:
        reason = "no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise errors.ConfigurationError(
            f"The authorities of {_BUNDLE_NAME} cannot be read from {path}: {reason}.",
            remedy=f"Mount the ConfigMap at {_BUNDLE_FOLDER}, or unset both.",
        ) from error
    return context


def _given(credentials: Mapping[str, str]) -> DockerConfig | None:
    given = [name for name in (_SECRET, _LEGACY_SECRET) if name in credentials]
    given += [_CONFIG] if credentials.get(_CONFIG) else []
    if not given:
        return None
    if len(given) > 1:
        raise errors.ConfigurationError(
            f"The credentials have {' and '.join(given)}, and only one of them can be used.",
            remedy=f"Put all logins into one {_SECRET}.",
        )
    if given[0] == _CONFIG:
        return _file(Path(credentials[_CONFIG]), _CONFIG, needed=True)
    return DockerConfig(
        credentials[given[0]], source=f"The Secret's {given[0]}", legacy=given[0] == _LEGACY_SECRET, helpers=False
    )


def _found(environment: Mapping[str, str], default: Path) -> DockerConfig | None:
    """The first of KServe's file and Docker's that is there."""
    if named := environment.get(_CONFIG):
        return _file(Path(named), _CONFIG, needed=True)
    if config := _file(default, "KServe's pull secret"):
        return config
    folder = environment.get("DOCKER_CONFIG") or os.path.join(environment.get("HOME", ""), ".docker")  # noqa: PTH118  # text, also without HOME
    return _file(Path(folder, "config.json"), "The Docker configuration")


def _file(path: Path, what: str, *, needed: bool = False) -> DockerConfig | None:
    if not needed and not path.is_absolute():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if not needed:
            return None
        raise errors.ConfigurationError(
            f"{what} names {path}, which is not there.", remedy=f"Name a Docker configuration file in {_CONFIG}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise errors.ConfigurationError(f"{what} {path} cannot be read: {reason}.") from None
    return DockerConfig(text, source=f"{what} {path}", helpers=True)


def _keys(credentials: Mapping[str, str], environment: Mapping[str, str]) -> tuple[Key, ...]:
    """The keys: what this machine asks for holds beside what a service asks for."""
    found: list[Key] = []
    for place in (environment, credentials):
        for name in sorted(place):
            if name.startswith(_COSIGN) and name != _COSIGN_KEY and place[name]:
                raise errors.ConfigurationError(
                    f"{name} is not supported: signatures are checked by a public key alone, not by certificates of "
                    "Fulcio or the log Rekor (keyless).",
                    remedy=f"Sign with cosign sign --key, and name the public key in {_COSIGN_KEY}.",
                )
        if value := place.get(_COSIGN_KEY):
            found.append(keys.load(value, _COSIGN_KEY))
    return tuple(found)
