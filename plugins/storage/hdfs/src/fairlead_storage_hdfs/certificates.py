"""The TLS settings of a connection, from certificates that are given as text."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage.http.connections import Trust

if TYPE_CHECKING:
    from fairlead_storage_hdfs.configuration import Configuration

__all__ = ["context"]

_BEGIN: Final = "-----BEGIN "


def context(configuration: Configuration) -> ssl.SSLContext | None:
    """The TLS settings that a configuration asks for; None where it leaves them to the client.

    Raises:
        ConfigurationError: a certificate or a key cannot be read. Its text is never shown.
        StorageError: the certificates that the environment names cannot be read.
    """
    if configuration.certificate is None and configuration.authority is None and configuration.verify:
        return None
    if configuration.authority is not None:
        trusted = _trusting(_pem("TLS_CA", configuration.authority))
    else:
        trusted = Trust().context()
    if not configuration.verify:
        trusted.check_hostname = False
        trusted.verify_mode = ssl.CERT_NONE
    if configuration.certificate is not None and configuration.key is not None:
        _present(trusted, _pem("TLS_CERT", configuration.certificate), _pem("TLS_KEY", configuration.key))
    return trusted


def _trusting(authority: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError):
        raise errors.ConfigurationError("TLS_CA holds no certificate that can be read.") from None


def _pem(key: str, text: str) -> str:
    """A value as PEM; in the Secret ``storage-config`` it is that in base64."""
    if _BEGIN not in text:
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
    if _BEGIN not in text:
        raise errors.ConfigurationError(
            f"{key} is neither PEM nor PEM in base64.", remedy="Give the text of the file, not its path."
        )
    return text


def _present(trusted: ssl.SSLContext, certificate: str, key: str) -> None:
    # OpenSSL reads them from files only. The folder is of mode 0700, the files of 0600, and both are gone after this.
    with tempfile.TemporaryDirectory(prefix="fairlead-hdfs-") as folder:
        certificate_file, key_file = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        for path, text in ((certificate_file, certificate), (key_file, key)):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        try:
            trusted.load_cert_chain(certificate_file, key_file, password=_no_password)
        except (ssl.SSLError, ValueError):
            raise errors.ConfigurationError(
                "TLS_CERT and TLS_KEY are no certificate with its key.",
                remedy="Give both as PEM, the key without a password.",
            ) from None


def _no_password() -> str:
    """What to answer to a question for a password, which OpenSSL would ask on the terminal."""
    return ""
