"""Trusting the authorities of a mounted ConfigMap, beside those of the system, in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

__all__ = ["trusted"]

_NAME: Final = "CA_BUNDLE_CONFIGMAP_NAME"
_FOLDER: Final = "CA_BUNDLE_VOLUME_MOUNT_POINT"
_DEFAULT_FOLDER: Final = "/etc/ssl/custom-certs"
_FILE: Final = "cabundle.crt"
_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")

_log = logging.getLogger("fairlead.storage")


@contextlib.contextmanager
def trusted(environ: Mapping[str, str]) -> Iterator[None]:
    """Set the variables by which clients find authorities, where they are not set, as long as the block runs.

    They name one file with the authorities of the system, of ``certifi`` where it is installed, and of the ConfigMap.
    As with KServe's initializer a ConfigMap that is not mounted or holds no certificate is told, and the run goes on.

    Args:
        environ: the variables of KServe that say where the ConfigMap is mounted.
    """
    added = _mounted(environ)
    if not added:
        yield
        return
    # It is in memory, since neither the root file system nor the folder for temporary files has to be writable.
    descriptor = os.memfd_create("authorities")
    try:
        with os.fdopen(os.dup(descriptor), "w", encoding="ascii") as bundle:
            bundle.write("\n".join([*_known(), *added, ""]))
        unset = [name for name in _VARIABLES if not environ.get(name)]
        os.environ.update(dict.fromkeys(unset, f"/proc/{os.getpid()}/fd/{descriptor}"))
        try:
            yield
        finally:
            for name in unset:
                del os.environ[name]
    finally:
        os.close(descriptor)


def _mounted(environ: Mapping[str, str]) -> list[str]:
    """The certificates of the ConfigMap, in PEM; one that cannot be read is left out."""
    name = environ.get(_NAME)
    if not name:
        return []
    path = Path(environ.get(_FOLDER) or _DEFAULT_FOLDER) / _FILE
    try:
        blocks = _BLOCK.findall(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        _log.warning("%s cannot be read, and is not trusted: %s; mount the ConfigMap %s", path, error.strerror, name)
        return []
    found = [block for block in blocks if _is_certificate(block)]
    if len(found) < len(blocks) or not found:
        _log.warning(
            "%s has %d certificates that can be read, and %d that cannot; see the ConfigMap %s",
            path,
            len(found),
            len(blocks) - len(found),
            name,
        )
    return found


def _is_certificate(block: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block)
    except (ValueError, ssl.SSLError):
        return False
    return True


def _known() -> Iterator[str]:
    """The certificates that are trusted without the ConfigMap, in PEM."""
    paths = [ssl.get_default_verify_paths().cafile]
    with contextlib.suppress(ImportError):
        import certifi

        paths.append(certifi.where())
    for path in paths:
        if path is not None:
            with contextlib.suppress(OSError):
                yield from _BLOCK.findall(Path(path).read_text(encoding="utf-8", errors="replace"))
