"""Entries of the storage secret: the JSON object by which ``storage`` of a model says where it is, and who asks for it.

An entry is an object of texts under a key of the Secret ``storage-config``. Parameters of the model are laid over it.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
from collections.abc import Mapping
from typing import Final

from fairlead import errors
from fairlead.resolve.secret_kinds import KEYTAB

__all__ = ["SPECIFIED_TYPES", "check_parameters", "parsed", "unknown_fields", "uri", "variables"]

SPECIFIED_TYPES: Final = ("s3", "hdfs", "webhdfs")
"""The types of storage that an entry can describe."""

_OF_S3: Final[Mapping[str, str]] = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "endpoint_url": "AWS_ENDPOINT_URL",
    "region": "AWS_DEFAULT_REGION",
    "ca_bundle": "AWS_CA_BUNDLE",
    "cabundle_configmap": "AWS_CA_BUNDLE_CONFIGMAP",
    "verify_ssl": "S3_VERIFY_SSL",
    "anonymous": "awsAnonymousCredential",
}
"""What providers call the fields of an entry for S3."""

_ENCODED: Final = ("TLS_CERT", "TLS_KEY", "TLS_CA", KEYTAB)
_OF_HDFS: Final = (
    *("HDFS_NAMENODE", "USER_PROXY", "HDFS_ROOTPATH", "TLS_SKIP_VERIFY", "HEADERS", "N_THREADS"),
    *("KERBEROS_PRINCIPAL", *_ENCODED),
)
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": ("type", "bucket", *_OF_S3),
    "hdfs": ("type", *_OF_HDFS),
    "webhdfs": ("type", *_OF_HDFS),
}
_CONDITION: Final = "InvalidStorageSpec"


def parsed(text: str, who: str) -> dict[str, str]:
    """An entry.

    Args:
        text: what is at its key.
        who: what it is, for errors: the beginning of a sentence.

    Raises:
        Unresolvable: it is no JSON object of texts; the text is never shown.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None  # the decoder's message would quote the text
    if not isinstance(found, dict):
        raise errors.Unresolvable(
            "InvalidSecret", f"{who} is no JSON object.", remedy='For example: {"type": "s3", "bucket": "models", ...}'
        )
    wrong = [name for name, value in found.items() if not isinstance(value, str)]
    if wrong:
        raise errors.Unresolvable(
            "InvalidSecret", f"{who} has at {wrong[0][:60]!r} what is no text.", remedy="Write the value in quotes."
        )
    return found


def check_parameters(parameters: Mapping[str, str], kind: str | None, place: str) -> None:
    """Refuse parameters that no entry of the type has.

    Raises:
        Unresolvable: there is one; the nearest is named.
    """
    for name in unknown_fields(parameters, kind):
        known = _known(kind)
        near = difflib.get_close_matches(name, known, n=1)
        raise errors.Unresolvable(
            _CONDITION,
            f"{place} has no {name[:60]!r}.",
            remedy=f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}.",
        )


def unknown_fields(fields: Mapping[str, str], kind: str | None) -> tuple[str, ...]:
    """The fields that mean nothing in an entry of a type, or of any where it is not known."""
    known = _known(kind)
    return tuple(name for name in fields if name not in known)


def _known(kind: str | None) -> tuple[str, ...]:
    return _FIELDS.get(kind or "") or tuple(dict.fromkeys(name for each in _FIELDS.values() for name in each))


def uri(fields: Mapping[str, str], path: str, who: str) -> str:
    """The address of a path within the storage that an entry describes.

    Args:
        fields: the entry, with the parameters laid over it.
        path: the path; a slash at its beginning does not count.
        who: what asks for it, for errors: the beginning of a sentence.

    Raises:
        Unresolvable: it says no type that is known, or no bucket where there has to be one.
    """
    kind = _kind(fields, who)
    inside = path.lstrip("/")
    if kind != "s3":
        return f"{kind}://{inside}"
    if not fields.get("bucket"):
        raise errors.Unresolvable(_CONDITION, f"{who} is of the type s3, and says no bucket.", remedy="Set bucket.")
    return f"s3://{fields['bucket'].strip('/')}/{inside}"


def _kind(fields: Mapping[str, str], who: str) -> str:
    kind = fields.get("type")
    known = ", ".join(SPECIFIED_TYPES)
    if not kind:
        raise errors.Unresolvable(
            _CONDITION, f"{who} says no type.", remedy=f"Set the type in the entry or in parameters: one of {known}."
        )
    if kind not in SPECIFIED_TYPES:
        raise errors.Unresolvable(
            _CONDITION,
            f"{who} is of the type {kind[:60]!r}, and has to be one of {known}.",
            remedy="For other storage give the whole address as storageUri, and the credentials by a ServiceAccount.",
        )
    return kind


def variables(fields: Mapping[str, str], who: str) -> dict[str, str]:
    """The credentials and settings of an entry by what providers call them; empty values are left out.

    Args:
        fields: the entry, with the parameters laid over it.
        who: what it is, for errors: the beginning of a sentence.

    Raises:
        Unresolvable: it says no type that is known, a field that has to be in base64 is not, or an access key has one
            half only.
    """
    if _kind(fields, who) == "s3":
        found = {_OF_S3[name]: value for name, value in fields.items() if value and name in _OF_S3}
        halves = ("access_key_id", "secret_access_key")
        missing = [name for name in halves if not fields.get(name)]
        if len(missing) == 1:
            raise errors.Unresolvable(
                "InvalidSecret", f"{who} has one half of an access key.", remedy=f"Set {missing[0]} as well."
            )
        return found
    return {
        name: _decoded(name, value, who) if name in _ENCODED else value
        for name, value in fields.items()
        if value and name in _OF_HDFS
    }


def _decoded(name: str, value: str, who: str) -> str:
    """The text of a field in base64; a keytab, which is no text, stays in it."""
    try:
        content = base64.b64decode("".join(value.split()), validate=True)
        return value if name == KEYTAB else content.decode()
    except (binascii.Error, ValueError):
        raise errors.Unresolvable(
            "InvalidSecret", f"{who} has at {name} what is no text in base64.", remedy="Encode the file with base64."
        ) from None
