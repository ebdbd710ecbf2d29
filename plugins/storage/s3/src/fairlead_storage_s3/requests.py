"""GET requests that are signed and sent as they are, past the SDK's models of operations.

For one object, the SDK spends more time on its models, hooks and parsers than on the signature and the answer, and all
objects of a fetch share one thread. So what is simple is asked for here: a GET by signature version 4. Where something
else comes back than the content, the SDK asks again, and says what it means.
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from fairlead_storage_s3.options import Options

__all__ = ["Answer", "Requests"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_KEY: Final = "k"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to be read.

    Attributes:
        status: the status.
        headers: the headers, by names in lower case.
        body: the body, as aiobotocore gives it.
    """

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where the objects of a bucket are: the URL that a key is put behind, and the region that is signed for."""

    url: str
    region: str | None


class Requests:
    """Asks for objects with the identity and the connections of a client.

    Args:
        options: who asks.
        session: the client's session.
        sender: what the client sends with.
    """

    def __init__(self, options: Options, session: AioSession, sender: Any) -> None:
        self._options = options
        self._session = session
        self._sender = sender
        self._places: dict[str, _Place | None] = {}

    async def get(self, client: Any, bucket: str, key: str, fields: Mapping[str, str]) -> Answer | None:
        """The answer; None where a request has to be made in another way than this one."""
        from aiobotocore.response import AioStreamingBody
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        place = self._places.get(bucket)
        if place is None:
            if bucket in self._places:
                return None
            place = self._places[bucket] = await _place(client, bucket)
            if place is None:
                return None
        request = AWSRequest(
            method="GET", url=place.url + urllib.parse.quote(key, safe="/~"), headers=dict(fields), stream_output=True
        )
        if place.region is not None:
            credentials = await self._credentials()
            if credentials is None:
                return None
            S3SigV4Auth(credentials, "s3", place.region).add_auth(request)
        response = await self._sender.send(request.prepare())
        body = AioStreamingBody(response.raw, response.headers.get("content-length"))
        return Answer(response.status_code, response.headers, body)

    def leave(self, bucket: str) -> None:
        """Ask for nothing of a bucket in this way: the SDK has found it elsewhere."""
        self._places[bucket] = None

    async def _credentials(self) -> Any:
        if self._options.key is not None:
            from botocore.credentials import ReadOnlyCredentials

            return ReadOnlyCredentials(self._options.key, self._options.secret, self._options.token)
        credentials = await self._session.get_credentials()
        return None if credentials is None else await credentials.get_frozen_credentials()


async def _place(client: Any, bucket: str) -> _Place | None:
    """Where the SDK would send a request, and for which region it would sign; None for buckets of other kinds."""
    url = await client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": _KEY})
    address, _, query = url.partition("?")
    told = dict(urllib.parse.parse_qsl(query))
    if not address.endswith(f"/{_KEY}"):
        return None
    if not told:
        return _Place(address.removesuffix(_KEY), None)
    scope = told.get("X-Amz-Credential", "").rsplit("/", 4)
    if told.get("X-Amz-Algorithm") != _ALGORITHM or len(scope) != 5 or scope[3] != "s3":
        return None
    return _Place(address.removesuffix(_KEY), scope[2])
