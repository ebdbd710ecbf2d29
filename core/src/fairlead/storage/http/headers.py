"""Headers: those that a user sets for a host, and those that a server describes a file with."""

from __future__ import annotations

import base64
import binascii
import email.utils
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Final

from fairlead import errors

__all__ = ["announced_digest", "checked", "content_range", "joined", "moment", "of_host", "parse", "retry_after"]

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "if-range", "range", "transfer-encoding"}
)
_ALGORITHMS: Final = {"sha-512": "sha512", "sha-256": "sha256"}


def of_host(host: str, credentials: Mapping[str, str]) -> dict[str, str]:
    """The headers that a user sets for a host: a JSON object under the key ``<host>-headers``.

    The key is looked for among the credentials and then in the environment, where KServe reads it.

    Raises:
        ConfigurationError: it is not an object of header names and values. The value is never shown.
    """
    key = f"{host}-headers"
    return parse(credentials.get(key, os.environ.get(key)), key)


def parse(text: str | None, subject: str) -> dict[str, str]:
    """The headers that a user writes as a JSON object; none where there is no text.

    Args:
        text: the JSON.
        subject: where it stands, for messages.

    Raises:
        ConfigurationError: it is not an object of header names and values. The value is never shown.
    """
    if not text:
        return {}
    try:
        headers = json.loads(text)
    except ValueError:
        headers = None  # the decoder's message would quote the value
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise errors.ConfigurationError(
            f"{subject} is not a JSON object of header names and values.",
            remedy="""For example: {"Authorization": "Bearer <token>"}""",
        )
    checked(headers, subject)
    for name in headers:
        if name.lower() in _OURS:
            raise errors.ConfigurationError(f"{subject}: the header {name} is set by Fairlead itself.")
    return headers


def checked(headers: Mapping[str, str], subject: str) -> Mapping[str, str]:
    """The headers, if they can be sent.

    Raises:
        ConfigurationError: one is not a header. Its value is never shown.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise errors.ConfigurationError(f"{subject}: {name!a} or its value is not a valid HTTP header.")
    return headers


def joined(*several: Mapping[str, str]) -> dict[str, str]:
    """Headers of several mappings, of which later ones replace earlier ones, whatever the case of their names."""
    found = {name.lower(): (name, value) for headers in several for name, value in headers.items()}
    return dict(found.values())


def announced_digest(headers: Mapping[str, str], *, partial: bool = False) -> str | None:
    """The digest of the whole file that a server announces, as ``<algorithm>:<hexadecimal>``.

    ``Repr-Digest`` is RFC 9530, ``Digest`` its predecessor RFC 3230, ``Content-MD5`` RFC 1864. What cannot be read is
    taken as not announced.

    Args:
        headers: the headers of the answer; names in any case.
        partial: whether the answer is to a range, of which ``Content-MD5`` would tell the range alone.
    """
    for header, value in (("Repr-Digest", r":([A-Za-z0-9+/=]+):"), ("Digest", r"([A-Za-z0-9+/=]+)")):
        for word, algorithm in _ALGORITHMS.items():
            found = re.search(rf"(?:^|,)\s*{word}={value}\s*(?:,|$)", headers.get(header, ""), re.IGNORECASE)
            if found and (digest := _from_base64(found.group(1), algorithm)):
                return digest
    return None if partial else _from_base64(headers.get("Content-MD5", ""), "md5")


def _from_base64(text: str, algorithm: str) -> str | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return f"{algorithm}:{raw.hex()}" if len(raw) == {"md5": 16, "sha256": 32, "sha512": 64}[algorithm] else None


def content_range(text: str | None) -> tuple[int | None, int | None]:
    """Where a partial answer starts, and how long the whole file is; None for what is not said."""
    found = re.fullmatch(r"\s*bytes\s+(?:(\d{1,18})-\d+|\*)/(?:(\d{1,18})|\*)\s*", text or "")
    if not found:
        return (None, None)
    start, total = found.groups()
    return (int(start) if start else None, int(total) if total else None)


def retry_after(text: str | None, now: float | None = None) -> float | None:
    """Seconds until a server wants to be asked again: a number, or a date (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", text):
        return float(text)
    until = moment(text)
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def moment(text: str | None) -> float | None:
    """A date as seconds since 1970; None when there is none that can be read."""
    try:
        return None if text is None else email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
