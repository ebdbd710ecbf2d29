"""Listing and reading the objects of a bucket."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import RemoteObject, errors
from fairlead.storage import policy
from fairlead.storage.filesystems import FilesystemProvider, Stream
from fairlead_storage_s3 import connection, failures, session
from fairlead_storage_s3.options import Options
from fairlead_storage_s3.requests import Answer, Requests

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from s3fs import S3FileSystem

__all__ = ["S3Provider"]

_MAX_OBJECTS: Final = 1_000_000
"""The longest listing; a bucket may hold any number of objects, and their names are held in memory."""

_MAX_CONNECTIONS: Final = 64
_REQUESTS: Final = 4
"""The most requests of one call, each as often as it is tried: it, where the bucket is, it again, and one to spare."""

_MD5: Final = re.compile(r'"?([0-9a-f]{32})"?')
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class S3Provider(FilesystemProvider):
    """Lists and reads objects of Amazon S3, and of services that speak its protocol.

    Args:
        credentials: see `Options.read`, and the keys of `fairlead.storage.policy`.
        timeout: seconds that any single network operation may take, unless S3_CONNECT_TIMEOUT or S3_READ_TIMEOUT say
            otherwise.

    Raises:
        StorageError: the credentials and settings contradict themselves.
    """

    def __init__(self, *, credentials: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        super().__init__(credentials=credentials, timeout=timeout)
        self._policy = policy.Policy.of(self.credentials)
        self._options = Options.read(self.credentials, timeout)
        self.timeout = max(self._options.connect_timeout, self._options.read_timeout)
        self._places = threading.Semaphore(self._options.files or _MAX_CONNECTIONS)
        self._refusal: ClientError | None = None
        self._senders: list[Any] = []
        self._requests: Requests | None = None

    # -- the client -------------------------------------------------------------------------------------

    def connect(self) -> S3FileSystem:
        """The file system, without caches and without retries: the fetcher retries."""
        from s3fs import S3FileSystem

        options = self._options
        session.quiet()
        if options.endpoint is not None:
            self._policy.check_endpoint(options.endpoint)
        botocore = session.session_for(options)
        region = options.region or botocore.get_config_variable("region") or "us-east-1"
        addressing: dict[str, Any] = (
            {} if options.virtual is None else {"addressing_style": "virtual" if options.virtual else "path"}
        )
        return S3FileSystem(
            anon=options.anonymous,
            key=options.key,
            secret=options.secret,
            token=options.token,
            endpoint_url=options.endpoint,
            use_ssl=options.https,
            session=botocore,
            client_kwargs={"region_name": region, "verify": options.verify if options.verify is not True else None},
            config_kwargs={
                "connect_timeout": options.connect_timeout,
                "read_timeout": options.read_timeout,
                "retries": {"total_max_attempts": options.attempts, "mode": "standard"},
                "max_pool_connections": _MAX_CONNECTIONS,
                "s3": {"use_accelerate_endpoint": options.accelerate, **addressing},
                "response_checksum_validation": "when_required",  # the fetcher hashes what it writes
                "signature_version": None if options.anonymous else "s3v4",
                "http_session_cls": connection.http_session(self._senders),
                "connector_args": {"socket_factory": connection.judged_sockets(self._policy.network)},
            },
            skip_instance_cache=True,
            use_listings_cache=False,
        )

    async def disconnect(self, filesystem: S3FileSystem) -> None:
        """Close the connections."""
        if filesystem._s3 is not None:
            await filesystem._s3.close()

    # -- listing ----------------------------------------------------------------------------------------

    def path(self, uri: str) -> str:
        """The bucket and the key, as they are written: names of objects are not encoded in these URIs.

        Raises:
            StorageError: there is no bucket, or it is the resource name of an access point.
        """
        path = uri.partition("://")[2]
        bucket = path.partition("/")[0]
        if not bucket:
            raise errors.StorageError(f"{uri!r} names no bucket.", remedy="Write s3://<bucket>/<key>.")
        if bucket.startswith("arn:"):
            raise errors.StorageError(
                "A bucket cannot be given as a resource name (arn:…) in a URI.",
                remedy="Give the alias of the access point: s3://<alias>/<key>.",
            )
        return path.removesuffix("/")

    def exact(self, path: str) -> Mapping[str, Any] | None:
        """The object of that key. Why there is none is for the listing to tell: answers to HEAD have no body."""
        from botocore.exceptions import ClientError

        bucket, _, key = path.partition("/")
        self._refusal = None
        if not key:
            return None
        try:
            answer: Mapping[str, Any] = self.call(
                self._ask("head_object", Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            )
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if error.operation_name != "HeadObject" or not 400 <= status < 500 or status in (408, 429):
                raise
            self._refusal = None if status == 404 else error
            return None
        return {**answer, "Key": key, "Size": answer["ContentLength"], "bucket": bucket, "digest": _digest(answer)}

    def below(self, path: str) -> Mapping[str, Mapping[str, Any]]:
        """What is below a key, at a path boundary; what stands for a folder alone is dropped."""
        bucket, _, key = path.partition("/")
        found = self.call(self._below(bucket, f"{key}/" if key else ""))
        if not found and self._refusal is not None:
            raise self._refusal
        return found

    async def _below(self, bucket: str, prefix: str) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        following: dict[str, str] = {}
        while True:
            page = await self._ask("list_objects_v2", Bucket=bucket, Prefix=prefix, **following)
            for entry in page.get("Contents", ()):
                key, size = entry["Key"], entry["Size"]
                if key.startswith(prefix) and not (size == 0 and key.endswith("/")):
                    found[key[len(prefix) :]] = {"Key": key, "Size": size, "ETag": entry.get("ETag"), "bucket": bucket}
            if len(found) > _MAX_OBJECTS:
                raise errors.StorageLimitExceeded(
                    f"There are more than {_MAX_OBJECTS} objects below s3://{bucket}/{prefix}.",
                    remedy="Name a prefix that holds one model.",
                )
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return found
            following = {"ContinuationToken": page["NextContinuationToken"]}

    def describe(self, name: str, info: Mapping[str, Any]) -> RemoteObject:
        """An object as the service tells of it."""
        return RemoteObject(
            name=name,
            key=f"{info['bucket']}/{info['Key']}",
            size=info["Size"],
            etag=info.get("ETag") or None,
            digest=info.get("digest"),
        )

    # -- reading ----------------------------------------------------------------------------------------

    def open_range(self, item: RemoteObject, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from byte ``start`` up to, and without, byte ``end``; by one request.

        No more objects are read at once than S3_MAX_FILE_CONCURRENCY says; whoever comes later waits here.

        Raises:
            IntegrityError: the object has changed since it was listed, or is gone.
            AccessDenied: the credentials do not suffice.
            StorageUnavailable: a fault that may pass.
        """
        with self._places:
            yield from super().open_range(item, start, end)

    def close(self) -> None:
        """End what is under way, from any thread: whoever waits for it gets `StorageUnavailable`."""
        super().close()
        self._places.release(_MAX_CONNECTIONS)

    async def open(self, item: RemoteObject, start: int, end: int | None) -> Stream:
        """Ask for a range, on the condition that the object still has the tag that was listed.

        Raises:
            IntegrityError: it has another one, or is gone.
            StorageError: the service does not answer with what was asked for.
        """
        from botocore.exceptions import ClientError

        bucket, _, key = item.key.partition("/")
        fields: dict[str, str] = {}
        if item.etag is not None:
            fields["If-Match"] = item.etag
        ranged = start > 0 or (end is not None and (item.size is None or end < item.size))
        if ranged:
            fields["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            answer = await self._get(bucket, key, fields, item.name)
        except ClientError as error:
            if failures.code_of(error) in ("NoSuchKey", "404"):
                raise failures.changed(item.name) from None
            raise
        try:
            _judge(item, answer, start if ranged else None)
        except BaseException:
            answer.body.close()
            raise
        return _Body(answer.body)

    async def _get(self, bucket: str, key: str, fields: Mapping[str, str], subject: str) -> Answer:
        """The content, by one request; by a second one, of the SDK, where an answer has to be understood."""
        client = await self.filesystem.set_session()
        if self._requests is None:
            self._requests = Requests(self._options, self.filesystem.session, self._senders[0])
        answer = await self._requests.get(client, bucket, key, fields)
        status = 0 if answer is None else answer.status
        if answer is not None:
            if status in (200, 206):
                return answer
            answer.body.close()
            if status in (412, 416):
                raise failures.changed(subject)
            if (status == 429 or status >= 500) and self._options.attempts == 1:
                raise failures.busy(status, answer.headers, subject)
        named = {name.replace("-", ""): value for name, value in fields.items()}
        told = await self._ask("get_object", Bucket=bucket, Key=key, **named)
        if 300 <= status <= 400:
            self._requests.leave(bucket)
        meta = told["ResponseMetadata"]
        return Answer(meta["HTTPStatusCode"], meta["HTTPHeaders"], told["Body"])

    async def _ask(self, operation: str, **arguments: str) -> Any:
        client = await self.filesystem.set_session()
        with connection.bounded(self._options.attempts * _REQUESTS):
            return await getattr(client, operation)(**arguments)

    def failure(self, error: Exception, subject: str) -> errors.StorageError:
        """What an exception of the client means."""
        return failures.meaning(error, subject)


class _Body:
    """The body of an answer; aiobotocore closes it without waiting."""

    def __init__(self, body: Any) -> None:
        self.read = body.read
        self._body = body

    async def close(self) -> None:
        self._body.close()


def _judge(item: RemoteObject, answer: Answer, start: int | None) -> None:
    """Return if an answer is of the object that was listed, and of the range that was asked for, if one was."""
    if item.etag is not None and answer.headers.get("etag") != item.etag:
        raise failures.changed(item.name)  # a service that knows no conditions
    if start is None:
        return
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if found is None and start == 0:
        return  # all of it, of which the end is dropped
    if found is None or int(found[1]) != start:
        raise errors.StorageError(f"{item.name}: the service does not answer with the range that it was asked for.")
    if item.size is not None and found[2] not in ("*", str(item.size)):
        raise failures.changed(item.name)


def _digest(answer: Mapping[str, Any]) -> str | None:
    """The digest of a whole object, where the answer to HEAD tells one.

    The entity tag is the MD5 of what was stored in one part, unless it was encrypted by a key of KMS or of the customer
    (Amazon S3 API reference, "Object": "ETag"); directory buckets have other tags. A checksum of several parts is
    marked ``COMPOSITE``, and ends with their number.
    """
    import base64
    import binascii

    try:
        checksum = base64.b64decode(answer.get("ChecksumSHA256", ""), validate=True)
    except binascii.Error:
        checksum = b""
    if len(checksum) == 32 and answer.get("ChecksumType") != "COMPOSITE":
        return f"sha256:{checksum.hex()}"
    found = _MD5.fullmatch(answer.get("ETag", ""))
    plain = answer.get("ServerSideEncryption", "AES256") == "AES256" and "SSECustomerAlgorithm" not in answer
    if found and plain and answer.get("StorageClass") != "EXPRESS_ONEZONE":
        return f"md5:{found[1]}"
    return None
