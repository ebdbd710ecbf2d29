"""What exceptions of botocore and answers of the service mean; their own text is not used: it may hold signatures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.storage import uris
from fairlead.storage.http import headers
from fairlead_storage_s3.options import IDENTITY_REMEDY

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

__all__ = ["busy", "changed", "code_of", "meaning"]

_REGION_REMEDY: Final = "Set AWS_DEFAULT_REGION to the region of the bucket."
_BUCKET_REMEDY: Final = "Correct the name of the bucket, or the endpoint that is asked for it: AWS_ENDPOINT_URL."
_WORD: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}")

_MISSING: Final = {
    "404": "There is nothing at {subject}.",
    "NoSuchBucket": "There is no bucket for {subject}.",
    "NoSuchKey": "There is nothing at {subject}.",
    "NoSuchVersion": "There is nothing at {subject}.",
}

_DENIED: Final = {
    "401": ("refuses these credentials", IDENTITY_REMEDY),
    "403": ("refuses access", IDENTITY_REMEDY),
    "AccessDenied": (
        "refuses access",
        f"The credentials need s3:GetObject and s3:ListBucket, and kms:Decrypt for a key of KMS. {IDENTITY_REMEDY}",
    ),
    "AccountProblem": ("refuses this account", None),
    "AllAccessDisabled": ("refuses access to everybody", None),
    "ExpiredToken": ("says that the session token has expired", "Renew AWS_SESSION_TOKEN, and the keys that it is of."),
    "InvalidAccessKeyId": ("does not know the access key", "Correct AWS_ACCESS_KEY_ID, or the endpoint."),
    "InvalidPayer": ("lets only requesters read that pay", "Requester-pays buckets are not supported: copy the model."),
    "InvalidSecurity": ("refuses these credentials", IDENTITY_REMEDY),
    "InvalidToken": ("refuses the session token", "Correct AWS_SESSION_TOKEN; it belongs to its access key."),
    "NotSignedUp": ("refuses this account", None),
    "RequestTimeTooSkewed": ("says that the clock of this machine is wrong", "Set the clock."),
    "SignatureDoesNotMatch": ("refuses the signature", "Correct AWS_SECRET_ACCESS_KEY; it belongs to its access key."),
    "TokenRefreshRequired": ("says that the session token must be renewed", "Renew AWS_SESSION_TOKEN."),
}

_ELSEWHERE: Final = frozenset(
    {
        "301",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "Redirect",
        "TemporaryRedirect",
    }
)

_PASSING: Final = frozenset(
    {
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)

_CHANGED: Final = frozenset({"412", "416", "InvalidRange", "PreconditionFailed"})


def changed(subject: str) -> errors.IntegrityError:
    """The error that an object is not the one that was listed."""
    return errors.IntegrityError(f"{subject} has another content than when it was listed.")


def busy(status: int, fields: Mapping[str, str], subject: str, code: str = "") -> errors.StorageUnavailable:
    """The error that the service cannot answer now."""
    return errors.StorageUnavailable(
        f"{subject}: the service answered {status}{_named(code)}.",
        retry_after=headers.retry_after(fields.get("retry-after")),
    )


def code_of(error: ClientError) -> str:
    """The service's word for what went wrong, or the status of an answer without a body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def meaning(error: Exception, subject: str) -> errors.StorageError:
    """The error of `fairlead.errors` that an exception means.

    Args:
        error: what was raised.
        subject: what was asked for, to begin a sentence with.
    """
    from botocore import exceptions

    for cause in _causes(error):
        if isinstance(cause, errors.StorageError):
            return cause
    if isinstance(error, exceptions.ClientError):
        return _answer(error, subject)
    denied = _without_identity(error, subject)
    if denied is not None:
        return denied
    if isinstance(error, exceptions.SSLError):
        return errors.StorageError(
            f"{subject}: no encrypted connection to the endpoint is possible, or its certificate is not trusted.",
            remedy="Name a file of trusted certificates in AWS_CA_BUNDLE. An endpoint without encryption is written "
            "http://<host>, or with S3_USE_HTTPS=false.",
        )
    if isinstance(error, exceptions.ParamValidationError):
        return errors.StorageError(f"{subject} does not name a bucket and a key that S3 could hold.")
    if _is_passing(error):
        return errors.StorageUnavailable(f"{subject}: {_reason(error)}.")
    return errors.StorageError(f"{subject} was not read: the S3 client raised {type(error).__name__}.")


def _without_identity(error: Exception, subject: str) -> errors.AccessDenied | None:
    from botocore import exceptions

    if isinstance(error, exceptions.NoCredentialsError):
        return errors.AccessDenied(f"No credentials were found for {subject}.", remedy=IDENTITY_REMEDY)
    if isinstance(error, exceptions.PartialCredentialsError):
        return errors.AccessDenied(f"The credentials found for {subject} are not complete.", remedy=IDENTITY_REMEDY)
    if isinstance(error, FileNotFoundError | PermissionError):
        return errors.AccessDenied(
            f"The token for {subject} cannot be read.", remedy="Correct AWS_WEB_IDENTITY_TOKEN_FILE."
        )
    if isinstance(error, exceptions.ProfileNotFound | exceptions.ConfigParseError | exceptions.InvalidConfigError):
        return errors.AccessDenied(
            f"The AWS configuration of this machine does not say who asks for {subject}.",
            remedy=f"Correct AWS_PROFILE, ~/.aws/config or ~/.aws/credentials. Or: {IDENTITY_REMEDY}",
        )
    if isinstance(
        error,
        exceptions.CredentialRetrievalError
        | exceptions.TokenRetrievalError
        | exceptions.SSOError
        | exceptions.RefreshWithMFAUnsupportedError
        | exceptions.UnauthorizedSSOTokenError,
    ):
        return errors.AccessDenied(f"No credentials could be had for {subject}.", remedy=IDENTITY_REMEDY)
    return None


def _answer(error: ClientError, subject: str) -> errors.StorageError:
    code, status, fields = code_of(error), _status(error), _fields(error)
    if error.operation_name.startswith("AssumeRole") and status < 500:
        return errors.AccessDenied(
            f"The role for {subject} was refused{_named(code)}.",
            remedy="Correct AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, and whom the role trusts.",
        )
    if code in _MISSING:
        remedy = _BUCKET_REMEDY if code == "NoSuchBucket" else None
        return errors.ArtifactNotFound(_MISSING[code].format(subject=subject), remedy=remedy)
    region = _region(error, fields)
    if code in _ELSEWHERE or (status == 400 and region is not None):
        return _elsewhere(region, subject)
    if code in _DENIED or status in (401, 403):
        said, remedy = _DENIED.get(code, (f"refuses access{_named(code)}", IDENTITY_REMEDY))
        if code == "InvalidObjectState":
            said, remedy = "keeps the object in an archive", "Restore the object first."
        return errors.AccessDenied(f"{subject}: the service {said}.", remedy=remedy)
    if code in _CHANGED or status in (412, 416):
        return changed(subject)
    if code in _PASSING or status in (408, 409, 425, 429) or status >= 500:
        return busy(status, fields, subject, code)
    if code == "InvalidBucketName":
        return errors.StorageError(f"{subject} does not name a bucket that S3 could hold.")
    if status == 404:
        return errors.ArtifactNotFound(_MISSING["404"].format(subject=subject))
    return errors.StorageError(f"{subject}: the service answered {status}{_named(code)}.")


def _elsewhere(region: str | None, subject: str) -> errors.StorageError:
    if region is None:
        return errors.StorageError(f"{subject} is in another region, or at another endpoint.", remedy=_REGION_REMEDY)
    return errors.StorageError(f"{subject} is in the region {region}.", remedy=f"Set AWS_DEFAULT_REGION to {region}.")


def _region(error: ClientError, fields: Mapping[str, str]) -> str | None:
    """The bucket's region, where the service tells it."""
    told = fields.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    return told if isinstance(told, str) and _WORD.fullmatch(told) else None


def _named(code: str) -> str:
    """The service's word in brackets; what is no word may hold anything."""
    return f" ({code})" if _WORD.fullmatch(code) and not code.isdigit() else ""


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _fields(error: ClientError) -> Mapping[str, str]:
    fields: Mapping[str, str] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return fields


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised from; botocore keeps that in ``kwargs`` as well."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "kwargs", {}).get("error")]


def _is_passing(error: Exception) -> bool:
    import aiohttp
    from botocore import exceptions, parsers

    return isinstance(
        error,
        OSError
        | aiohttp.ClientError
        | exceptions.ConnectionError
        | exceptions.HTTPClientError
        | exceptions.IncompleteReadError
        | exceptions.ResponseStreamingError
        | parsers.ResponseParserError,
    )


def _reason(error: Exception) -> str:
    from botocore import exceptions

    endpoint = f"the endpoint {_endpoint(error)}".rstrip()
    if isinstance(error, exceptions.ConnectTimeoutError):
        return f"{endpoint} cannot be connected to in time"
    if isinstance(error, TimeoutError | exceptions.ReadTimeoutError):
        return f"{endpoint} did not answer in time"
    if isinstance(error, exceptions.EndpointConnectionError):
        return f"{endpoint} cannot be connected to"
    return "the connection broke"


def _endpoint(error: Exception) -> str:
    """The scheme and host that were asked, where the error tells them."""
    address = getattr(error, "kwargs", {}).get("endpoint_url")
    return uris.authority(address) if isinstance(address, str) else ""
