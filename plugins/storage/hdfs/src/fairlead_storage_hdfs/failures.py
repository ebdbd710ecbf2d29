"""What a server of WebHDFS says that went wrong, as errors of Fairlead.

The status alone says little: HDFS answers 403 to every `IOException`, be it a lack of rights, a namenode that stands
by, or a block that nobody has. So the exception's name in the answer decides. Its message is not repeated.
"""

from __future__ import annotations

import json
import re
import ssl
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage.http import client

if TYPE_CHECKING:
    from fairlead.storage.http.client import Answer

__all__ = ["RIGHTS", "Elsewhere", "OperationUnknown", "of_answer", "of_connection", "read_json"]

RIGHTS: Final = (
    "Name a user who may read it in USER_PROXY (for whom to ask) or HADOOP_USER_NAME (who asks), a token in "
    "HDFS_DELEGATION_TOKEN, or the headers of a gateway in HEADERS: in the Secret, or in the environment beside "
    "HDFS_NAMENODE."
)

_MOST_BYTES: Final = 64 * 1024
_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,100}")

_NOT_FOUND: Final = frozenset(
    {"FileNotFoundException", "ParentNotDirectoryException", "PathNotFoundException", "PathIsNotDirectoryException"}
)
_DENIED: Final = frozenset(
    {
        "AccessControlException",
        "AuthenticationException",
        "AuthorizationException",
        "InvalidToken",
        "SecurityException",
        "TokenExpiredException",
    }
)
_ELSEWHERE: Final = frozenset({"StandbyException", "ObserverRetryOnActiveException"})
_WRONG: Final = frozenset(
    {"IllegalArgumentException", "InvalidPathException", "UnsupportedOperationException", "UnresolvedPathException"}
)


class Elsewhere(Exception):
    """The cause of an error: this namenode does not answer such questions now, and another one may."""


class OperationUnknown(Exception):
    """The cause of an error: the server knows no such operation, or does not take one of its parameters."""


def of_answer(answer: Answer, subject: str) -> errors.StorageError:
    """The error that an answer means; closes it.

    Args:
        answer: an answer whose status is not 200.
        subject: what was asked for, to begin a sentence with.
    """
    try:
        name = _exception(answer)
    finally:
        answer.close()
    host = answer.location.authority
    if name is None:
        return _of_status(answer, subject)
    said = f"{host} answered {name} for {subject}."
    if name in _NOT_FOUND:
        return errors.ArtifactNotFound(f"There is nothing at {subject} (asked of {host}).")
    if name in _DENIED:
        return errors.AccessDenied(f"{host} does not let {subject} be read ({name}).", remedy=RIGHTS)
    if name in _ELSEWHERE:
        error: errors.StorageError = errors.StorageUnavailable(
            f"The namenode {host} is not the active one.",
            remedy="Name all namenodes in HDFS_NAMENODE, with `;` between them.",
        )
        error.__cause__ = Elsewhere()
        return error
    if name == "SafeModeException":
        return errors.StorageUnavailable(f"The namenode {host} is in safe mode.")
    if name in _WRONG:
        error = errors.StorageError(said)
        error.__cause__ = OperationUnknown()
        return error
    # What is left are faults inside the cluster: blocks that cannot be found, a server too busy, a lost lease.
    return errors.StorageUnavailable(said)


def of_connection(fault: errors.StorageError) -> errors.StorageError:
    """The error of a connection that was not made, with what to do about it where certificates are the reason."""
    cause = fault.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return errors.StorageError(
            fault.reason, remedy="Put the certificate of the authority that vouches for the server into TLS_CA."
        )
    if isinstance(cause, ssl.SSLError) and re.search(
        "ALERT.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)", cause.reason or ""
    ):
        return errors.AccessDenied(
            f"{fault.reason} It may want a client certificate from an authority that it trusts.",
            remedy="Set TLS_CERT and TLS_KEY to a certificate and its key, as PEM.",
        )
    if fault.reason.startswith("https:") and isinstance(cause, (ssl.SSLError, ConnectionResetError, BrokenPipeError)):
        # With TLS 1.3 a server that misses a certificate may be gone before its alert is read.
        return errors.StorageUnavailable(
            fault.reason,
            remedy="If the server asks for client certificates, set TLS_CERT and TLS_KEY to one it trusts.",
        )
    return fault


def _of_status(answer: Answer, subject: str) -> errors.StorageError:
    """The error of a server that does not speak as WebHDFS does: a gateway, a login page, another port."""
    status, host = answer.status, answer.location.authority
    if status in (401, 403):
        kerberos = "negotiate" in answer.headers.get("WWW-Authenticate", "").lower()
        asks = " It asks for Kerberos, which is not supported." if kerberos else ""
        return errors.AccessDenied(f"{host} answered {status} for {subject}.{asks}", remedy=RIGHTS)
    failure = client.failure(answer)
    if isinstance(failure, errors.StorageUnavailable):
        return failure
    return errors.StorageError(
        f"{host} answered {status}, and not as WebHDFS does.",
        remedy="Use the port of the namenode's web interface, 9870 or 9871 (https); Hadoop's own protocol has another.",
    )


def _exception(answer: Answer) -> str | None:
    """The short name of the exception that an answer reports."""
    try:
        found = json.loads(answer.whole(_MOST_BYTES))
    except (ValueError, RecursionError, errors.StorageError):
        return None
    inner = found.get("RemoteException") if isinstance(found, dict) else None
    name = inner.get("exception") if isinstance(inner, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    return name.replace("$", ".").rpartition(".")[2]


def read_json(answer: Answer, most: int) -> dict[str, object]:
    """The object that an answer holds; closes it.

    Args:
        answer: an answer whose status is 200.
        most: the most bytes that it may have.

    Raises:
        StorageError: it has more, or is no JSON object.
        StorageUnavailable: the connection broke.
    """
    host = answer.location.authority
    try:
        content = answer.whole(most)
    finally:
        answer.close()
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise errors.StorageError(
            f"{host} does not answer as WebHDFS does.",
            remedy="HDFS_NAMENODE is the URL of the namenode's web interface, for example http://namenode:9870.",
        )
    return found
