"""TLS of the gRPC server: a certificate and its key, and an authority for those of clients."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.settings import ServerSettings

__all__ = ["credentials_of"]


def credentials_of(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """The credentials that the settings name; None where the server speaks plain text.

    Raises:
        ConfigurationError: a file is missing, cannot be read, holds something else, or does not fit the others.
    """
    certificate, key, client_ca = settings.grpc_tls_cert, settings.grpc_tls_key, settings.grpc_tls_client_ca
    if not (certificate or key or client_ca):
        return None
    if not (certificate and key):
        raise errors.ConfigurationError(
            "TLS needs a certificate and its key.", remedy="Give both --grpc-tls-cert and --grpc-tls-key."
        )
    pair = (_read(key, "--grpc-tls-key"), _read(certificate, "--grpc-tls-cert"))
    authority = _read(client_ca, "--grpc-tls-client-ca") if client_ca else None
    if b"ENCRYPTED" in pair[0]:
        raise errors.ConfigurationError(
            f"--grpc-tls-key: {key} has a password.", remedy=f"Take it away: openssl pkey -in {key} -out plain.key"
        )
    _check(certificate, key, client_ca)
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def _read(path: str, flag: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise errors.ConfigurationError(f"{flag}: {path} cannot be read: {error.strerror or error}.") from error


def _check(certificate: str, key: str, client_ca: str) -> None:
    """Let Python's TLS look at the files, which says what is wrong; grpcio's does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")  # a key with a password is refused, and not asked for
    except (ssl.SSLError, ValueError) as error:
        raise errors.ConfigurationError(
            f"--grpc-tls-cert {certificate} and --grpc-tls-key {key} do not fit together: {error}.",
            remedy="Both are PEM files; the certificate's chain comes after it, and the key has no password.",
        ) from error
    if client_ca:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            raise errors.ConfigurationError(
                f"--grpc-tls-client-ca: {client_ca} holds no certificates: {error}."
            ) from error
