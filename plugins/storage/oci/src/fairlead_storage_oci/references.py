"""References: which repository of which registry a URI names, and what of it."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from typing import Final

from fairlead import errors
from fairlead.storage import uris

__all__ = ["DIGEST", "Reference"]

DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
"""A digest, of an algorithm that `hashlib` has; OCI image specification, "Digests"."""

_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._\-]{0,127}")
_MAX_REPOSITORY: Final = 255

_HUB: Final = "docker.io"
_HUB_NAMES: Final = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})
_FORM: Final = "An address has the form oci://registry/repository[:tag][@sha256:<hexadecimal>]."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a URI names.

    Attributes:
        registry: host and, where it is given, port; in lower case. All names of Docker Hub are ``docker.io``.
        repository: the path of the repository.
        tag: the tag; ``latest`` where neither a tag nor a digest is given.
        digest: the digest of the manifest, which wins over the tag.
    """

    registry: str
    repository: str
    tag: str = "latest"
    digest: str | None = None

    @classmethod
    def parse(cls, uri: str) -> Reference:
        """Read an ``oci://`` or ``oci+fetch://`` URI, by the grammars of the OCI distribution specification.

        Raises:
            StorageError: it names no registry or no repository, or belongs to a cluster.
            UnsafeArtifact: it contains a user name or a password.
        """
        shown = uris.redact(uri)
        if uris.scheme(uri) == "oci+native":
            raise errors.StorageError(
                f"{shown} asks a cluster to mount the image as a volume; nothing is there to be fetched.",
                remedy="Use oci:// or oci+fetch:// to fetch the image.",
            )
        registry, slash, path = uri.partition("://")[2].removesuffix("/").partition("/")
        if "@" in registry:
            raise errors.UnsafeArtifact(
                f"{shown} is given with a user name or password, which would show in logs.",
                remedy="Put them into a Docker configuration file; see KSERVE_OCI_DOCKER_CONFIG.",
            )
        if not slash or not _HOST.fullmatch(registry):
            raise errors.StorageError(f"{shown} names no registry.", remedy=_FORM)
        path, at, digest = path.partition("@")
        repository, colon, tag = path.partition(":")
        if at and not DIGEST.fullmatch(digest):
            raise errors.StorageError(f"{shown} has a digest that cannot be read.", remedy=_FORM)
        if colon and not _TAG.fullmatch(tag):
            raise errors.StorageError(f"{shown} has a tag that cannot be read.", remedy=_FORM)
        if not _REPOSITORY.fullmatch(repository) or len(repository) > _MAX_REPOSITORY:
            raise errors.StorageError(f"{shown} names no repository; its name has lower case only.", remedy=_FORM)
        registry = registry.lower()
        if registry in _HUB_NAMES:
            registry = _HUB
            repository = repository if "/" in repository else f"library/{repository}"
        return cls(registry=registry, repository=repository, tag=tag or "latest", digest=digest or None)

    @property
    def identifier(self) -> str:
        """What the registry is asked for: the digest, or else the tag."""
        return self.digest or self.tag

    @property
    def authority(self) -> str:
        """The host, and port where it is given, to connect to."""
        return "registry-1.docker.io" if self.registry == _HUB else self.registry

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine."""
        host = re.sub(r":[0-9]+$", "", self.registry).strip("[]")
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def blob(self, digest: str) -> str:
        """A blob of the same repository, in the form that `parse` reads."""
        return f"oci://{self.registry}/{self.repository}@{digest}"

    def __str__(self) -> str:
        """The URI."""
        what = f"@{self.digest}" if self.digest else f":{self.tag}"
        return f"oci://{self.registry}/{self.repository}{what}"
