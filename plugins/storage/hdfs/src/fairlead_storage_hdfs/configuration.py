"""KServe's configuration of HDFS: where it is looked for, and what each key means."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairlead import errors
from fairlead.storage.http import headers
from fairlead.storage.http.locations import Location
from fairlead_storage_hdfs._plugin import KEYS

__all__ = ["DEFAULT_SECRETS", "FOLDER_VARIABLE", "Configuration", "read"]

FOLDER_VARIABLE: Final = "HDFS_SECRET_DIR"
DEFAULT_SECRETS: Final = Path("/var/secrets/kserve-hdfscreds")
"""Where KServe mounts the Secret of a service account."""

_BOUND: Final = ("HDFS_DELEGATION_TOKEN", "HEADERS", "TLS_CERT", "TLS_KEY", "TLS_CA", "TLS_SKIP_VERIFY")
"""What is meant for one server, and is not sent to whatever server a URI names."""

_MOST_BYTES: Final = 1024 * 1024
_SWITCH: Final = {"true": True, "1": True, "yes": True, "": False, "false": False, "0": False, "no": False}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What to ask, and as whom.

    Attributes:
        namenodes: the base URLs of namenodes, the preferred first, without ``/`` at the end; none where a URI names it.
        root: the folder that paths without a leading ``/`` start from; relative to the home folder if it has none.
        user: who asks (``user.name``).
        proxy_user: for whom (``doas``).
        token: a delegation token (``delegation``).
        headers: headers for the namenodes.
        certificate: a client certificate, as it was given: PEM, or that in base64.
        key: its key.
        authority: certificates of those who may vouch for a namenode or datanode.
        verify: whether a server has to prove who it is.
        reads: how many files may be read at once; None for as many as the fetcher likes.
    """

    namenodes: tuple[str, ...] = ()
    root: str = "/"
    user: str | None = None
    proxy_user: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    certificate: str | None = dataclasses.field(default=None, repr=False)
    key: str | None = dataclasses.field(default=None, repr=False)
    authority: str | None = dataclasses.field(default=None, repr=False)
    verify: bool = True
    reads: int | None = None


def read(credentials: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read the configuration from the first place that has one.

    The places are: the credentials that were given; the files of a folder; the environment, where it names a namenode.
    Two of them are never mixed, so that nobody's credentials go to somebody else's server.

    Args:
        credentials: the credentials that were given, by key.
        environment: the environment of the process.

    Raises:
        ConfigurationError: a value cannot be read, or asks for what is not supported. Values are never shown.
    """
    values = {key: credentials[key].strip() for key in KEYS if credentials.get(key, "").strip()}
    if not values:
        values = _of_files(environment)
    if not values and environment.get("HDFS_NAMENODE", "").strip():
        values = {key: environment[key].strip() for key in KEYS if environment.get(key, "").strip()}
    elif not values and environment.get("HADOOP_USER_NAME"):
        values = {"HADOOP_USER_NAME": environment["HADOOP_USER_NAME"]}  # as every client of Hadoop does
    _refuse_kerberos(values)
    if not values.get("HDFS_NAMENODE") and (loose := [key for key in _BOUND if key in values]):
        raise errors.ConfigurationError(
            f"{', '.join(loose)} is set without HDFS_NAMENODE, so that it is not known which server it is for.",
            remedy="Set HDFS_NAMENODE to the URL of the namenode, for example https://namenode:9871.",
        )
    if ("TLS_CERT" in values) != ("TLS_KEY" in values):
        raise errors.ConfigurationError("TLS_CERT and TLS_KEY belong together, and one of them is not set.")
    return Configuration(
        namenodes=_namenodes(values.get("HDFS_NAMENODE", "")),
        root=values.get("HDFS_ROOTPATH", "/"),
        user=values.get("HADOOP_USER_NAME"),
        proxy_user=values.get("USER_PROXY"),
        token=values.get("HDFS_DELEGATION_TOKEN"),
        headers=headers.parse(values.get("HEADERS", ""), "HEADERS"),
        certificate=values.get("TLS_CERT"),
        key=values.get("TLS_KEY"),
        authority=values.get("TLS_CA"),
        verify=not _switch("TLS_SKIP_VERIFY", values.get("TLS_SKIP_VERIFY", "")),
        reads=_count("N_THREADS", values.get("N_THREADS")),
    )


def _of_files(environment: Mapping[str, str]) -> dict[str, str]:
    named = environment.get(FOLDER_VARIABLE)
    folder = Path(named) if named else DEFAULT_SECRETS
    if named and not folder.is_dir():
        raise errors.ConfigurationError(f"{FOLDER_VARIABLE} names {folder}, which is not a folder.")
    values = {}
    for key in KEYS:
        file = folder / key
        try:
            if file.stat().st_size > _MOST_BYTES:
                raise errors.ConfigurationError(f"{file} has more than {_MOST_BYTES} bytes.")
            # A keytab is not text; it is enough to know that there is one.
            text = file.read_bytes().decode(errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise errors.ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error
        if text:
            values[key] = text
    return values


def _refuse_kerberos(values: Mapping[str, str]) -> None:
    if given := [key for key in ("KERBEROS_PRINCIPAL", "KERBEROS_KEYTAB") if key in values]:
        raise errors.ConfigurationError(
            f"{' and '.join(given)}: Kerberos is not supported.",
            remedy="Set HDFS_DELEGATION_TOKEN instead (the answer to GETDELEGATIONTOKEN holds one), or name a gateway, "
            "such as Apache Knox, in HDFS_NAMENODE, and its Authorization header in HEADERS.",
        )


def _namenodes(text: str) -> tuple[str, ...]:
    found = tuple(part.strip().rstrip("/") for part in re.split(r"[;,]", text) if part.strip())
    for url in found:
        try:
            location = Location.parse(url)
        except errors.StorageError:
            location = None
        if location is None or "?" in location.path:
            raise errors.ConfigurationError(
                "HDFS_NAMENODE is not the URL of a namenode's web interface, or several with `;` between them.",
                remedy="For example: http://namenode:9870. Headers belong into HEADERS, and a user into USER_PROXY.",
            )
    return found


def _switch(key: str, text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise errors.ConfigurationError(f"{key} is neither true nor false.")
    return _SWITCH[text.lower()]


def _count(key: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < 1:
        raise errors.ConfigurationError(f"{key} is not a number from 1 to 9999.")
    return int(text)
