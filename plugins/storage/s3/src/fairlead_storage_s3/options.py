"""What KServe's and Amazon's variables ask for, read once for one provider."""

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from collections.abc import Mapping
from typing import Final

from fairlead import errors
from fairlead.storage import uris

__all__ = ["IDENTITY_REMEDY", "Options"]

IDENTITY_REMEDY: Final = (
    "Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if the key is a temporary one), or "
    "awsAnonymousCredential=true for a public bucket."
)

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})

_IDENTITY: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT")
_MOUNT_POINT: Final = "/etc/ssl/custom-certs"
_LEGACY: Final = "https://s3.amazonaws.com"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Who asks, where, and how.

    Attributes:
        given: whether an identity is given for this provider, so that none of the environment is used.
        anonymous: whether requests are not signed.
        key: the access key.
        secret: the secret access key.
        token: the session token of a temporary key.
        role: the role that a web identity stands for.
        token_file: where the token of the web identity is read from.
        session_name: the name of the session of the role.
        sts_endpoint: where the role is asked for; None for Amazon's.
        endpoint: the URL of the service; None for Amazon's.
        region: the region; None for that of the machine's configuration.
        https: whether Amazon's own endpoints are asked over https.
        virtual: whether the bucket is part of the host's name; None for the usual, by the endpoint.
        accelerate: whether S3 Transfer Acceleration is used.
        verify: whether certificates are verified, or the file of the authorities that are trusted.
        connect_timeout: seconds for a connection.
        read_timeout: seconds for a read.
        attempts: how often one request is tried before the fetcher hears of a fault.
        files: how many objects are read at once; None for as many as the fetcher asks for.
    """

    given: bool = False
    anonymous: bool = False
    key: str | None = dataclasses.field(default=None, repr=False)
    secret: str | None = dataclasses.field(default=None, repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)
    role: str | None = None
    token_file: str | None = None
    session_name: str | None = None
    sts_endpoint: str | None = None
    endpoint: str | None = None
    region: str | None = None
    https: bool = True
    virtual: bool | None = None
    accelerate: bool = False
    verify: bool | str = True
    connect_timeout: float = 30.0
    read_timeout: float = 30.0
    attempts: int = 1
    files: int | None = None

    @classmethod
    def read(cls, given: Mapping[str, str], timeout: float, environ: Mapping[str, str] = os.environ) -> Options:
        """Read what is given, and from the environment what is not.

        An identity is taken whole from one of them. Where a key, a role or an endpoint is given, and no anonymous
        access, the identity has to be given as well: that of this process must not be lent to a service that brings
        its own, nor to a server that it names.

        Raises:
            AccessDenied: an identity is given in part.
            StorageError: a value cannot be read, or two contradict each other.
        """
        values = _Values(given, environ)
        anonymous = values.flag("awsAnonymousCredential") is True
        own = anonymous or any(given.get(name) for name in (*_IDENTITY, *_ENDPOINTS, "AWS_ENDPOINT_URL_STS"))
        identity = {} if anonymous or not own else {name: given[name] for name in _IDENTITY if given.get(name)}
        if own and not anonymous:
            _judge_identity(identity)
        https = values.flag("S3_USE_HTTPS") is not False
        endpoint = _endpoint(values, https=https)
        region = values.text("AWS_DEFAULT_REGION", "AWS_REGION")
        virtual = values.flag("S3_USER_VIRTUAL_BUCKET", "S3_USE_VIRTUAL_BUCKET")
        if endpoint == _LEGACY and region not in (None, "us-east-1"):
            virtual = True  # only so does that host lead to the buckets of other regions
        accelerate = values.flag("S3_USE_ACCELERATE") is True
        if (
            accelerate
            and endpoint is not None
            and not (urllib.parse.urlsplit(endpoint).hostname or "").endswith(".amazonaws.com")
        ):
            raise errors.StorageError(
                "S3_USE_ACCELERATE is set beside an endpoint that is not Amazon's.",
                remedy="Unset S3_USE_ACCELERATE, or the endpoint (AWS_ENDPOINT_URL, S3_ENDPOINT).",
            )
        signed = "AWS_ACCESS_KEY_ID" in identity
        return cls(
            given=own,
            anonymous=anonymous,
            key=identity.get("AWS_ACCESS_KEY_ID"),
            secret=identity.get("AWS_SECRET_ACCESS_KEY"),
            token=identity.get("AWS_SESSION_TOKEN"),
            role=None if signed else identity.get("AWS_ROLE_ARN"),
            token_file=None if signed else identity.get("AWS_WEB_IDENTITY_TOKEN_FILE"),
            session_name=given.get("AWS_ROLE_SESSION_NAME") or None,
            sts_endpoint=given.get("AWS_ENDPOINT_URL_STS") or None,
            endpoint=endpoint,
            region=region,
            https=https,
            virtual=virtual,
            accelerate=accelerate,
            verify=_authorities(values),
            connect_timeout=values.seconds("S3_CONNECT_TIMEOUT", timeout),
            read_timeout=values.seconds("S3_READ_TIMEOUT", timeout),
            attempts=values.count("S3_MAX_ATTEMPTS") or 1,
            files=values.count("S3_MAX_FILE_CONCURRENCY"),
        )


class _Values:
    """Values by name: those that are given, then those of the environment; an empty one counts as none."""

    def __init__(self, given: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._given = given
        self._environ = environ

    def find(self, *names: str) -> tuple[str, str] | None:
        """The first of some names that has a value, and the value."""
        for source in (self._given, self._environ):
            for name in names:
                if value := source.get(name, "").strip():
                    return name, value
        return None

    def text(self, *names: str) -> str | None:
        found = self.find(*names)
        return None if found is None else found[1]

    def flag(self, *names: str) -> bool | None:
        found = self.find(*names)
        if found is None:
            return None
        name, value = found
        if value.lower() not in _TRUE | _FALSE:
            raise errors.StorageError(f"{name}: {value!r} is neither true nor false.", remedy="Write true or false.")
        return value.lower() in _TRUE

    def seconds(self, name: str, default: float) -> float:
        found = self.find(name)
        if found is None:
            return default
        try:
            seconds = float(found[1])
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise errors.StorageError(f"{name}: {found[1]!r} is not a number of seconds above zero.")
        return seconds

    def count(self, name: str) -> int | None:
        found = self.find(name)
        if found is None:
            return None
        if not (found[1].isascii() and found[1].isdigit() and int(found[1])):
            raise errors.StorageError(f"{name}: {found[1]!r} is not a whole number above zero.")
        return int(found[1])


def _judge_identity(identity: Mapping[str, str]) -> None:
    keys = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if name in identity]
    roles = [name for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE") if name in identity]
    if len(keys) == 2 or (not keys and len(roles) == 2):
        return
    if keys or "AWS_SESSION_TOKEN" in identity:
        raise errors.AccessDenied(
            f"The credentials for s3:// are not complete; given: {', '.join(identity)}.",
            remedy=IDENTITY_REMEDY,
        )
    if roles:
        raise errors.AccessDenied(
            f"Of a web identity for s3://, only {roles[0]} is given.",
            remedy="Give AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE together.",
        )
    raise errors.AccessDenied(
        "An endpoint for s3:// is given without credentials, and those of this process are not sent to it.",
        remedy=IDENTITY_REMEDY,
    )


def _endpoint(values: _Values, *, https: bool) -> str | None:
    found = values.find(*_ENDPOINTS)
    if found is None:
        return None
    name, text = found
    kind = uris.scheme(text)
    if kind is None:
        text = f"{'https' if https else 'http'}://{text}"
    elif kind not in ("http", "https"):
        raise errors.StorageError(f"{name} is neither http nor https.", remedy=f"{name}=https://<host>")
    parts = urllib.parse.urlsplit(text)
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise errors.StorageError(
            f"{name} is not the URL of a service.", remedy=f"Write a scheme, a host and a port: {name}=https://<host>"
        )
    return text.rstrip("/")


def _authorities(values: _Values) -> bool | str:
    """Whether certificates are verified, or the file of authorities; it has to exist, as in KServe."""
    if values.flag("S3_VERIFY_SSL") is False:
        return False
    found = values.find("AWS_CA_BUNDLE")
    if found is None and (named := values.find("CA_BUNDLE_CONFIGMAP_NAME", "AWS_CA_BUNDLE_CONFIGMAP")) is not None:
        folder = values.text("CA_BUNDLE_VOLUME_MOUNT_POINT") or _MOUNT_POINT
        found = named[0], f"{folder.rstrip('/')}/cabundle.crt"
    # Those that all else of a machine is told by are used where they are, and not asked for.
    shared = values.text("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    if found is None:
        return shared if shared is not None and os.path.isfile(shared) else True  # noqa: PTH113  # a setting, as text
    name, path = found
    if not os.path.isfile(path):  # noqa: PTH113  # a setting that is passed on as text
        raise errors.StorageError(f"{name}: there is no file {path}.", remedy="Name a file of trusted certificates.")
    return path
