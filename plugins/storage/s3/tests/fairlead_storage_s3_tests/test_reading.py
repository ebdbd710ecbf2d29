"""What is read of an object, and what a service that fails leads to."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import threading
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_storage_s3_tests import proxy as proxies

if TYPE_CHECKING:
    from fairlead_storage_s3_tests.bucket import Bucket
    from fairlead_storage_s3_tests.conftest import Connect
    from fairlead_storage_s3_tests.proxy import Proxy

CONTENT = os.urandom(3 * 1024 * 1024 + 5)


def test_a_range_takes_one_request_on_the_condition_of_its_tag(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    provider = connect(url=proxy.url)
    (item,) = provider.list(bucket.put("model.bin", CONTENT))
    del proxy.requests[:]
    assert b"".join(provider.open_range(item, 10, 20)) == CONTENT[10:20]
    (request,) = proxy.requests
    assert b"bytes=10-19" in request
    assert item.etag is not None
    assert f"If-Match: {item.etag}".encode().lower() in request.lower()


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, len(CONTENT)), (0, len(CONTENT) + 9), (1, len(CONTENT)), (5, 1 << 20), (0, 1)]
)
def test_a_range_is_what_lies_between_its_ends(bucket: Bucket, connect: Connect, start: int, end: int | None) -> None:
    provider = connect()
    (item,) = provider.list(bucket.put("model.bin", CONTENT))
    assert b"".join(provider.open_range(item, start, end)) == CONTENT[start:end]


def test_eight_threads_read_at_once(bucket: Bucket, connect: Connect) -> None:
    provider = connect()
    (item,) = provider.list(bucket.put("model.bin", CONTENT))
    step = len(CONTENT) // 16 + 1
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        starts = range(0, len(CONTENT), step)
        assert b"".join(threads.map(lambda at: b"".join(provider.open_range(item, at, at + step)), starts)) == CONTENT


def test_no_more_objects_are_read_at_once_than_is_set(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    provider = connect(url=proxy.url, S3_MAX_FILE_CONCURRENCY="1")
    (item,) = provider.list(bucket.put("model.bin", CONTENT))
    first = provider.open_range(item)
    next(first)
    asked = len(proxy.requests)
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        second = threads.submit(lambda: b"".join(provider.open_range(item)))
        assert concurrent.futures.wait([second], timeout=0.2).not_done
        assert len(proxy.requests) == asked
        b"".join(first)
        assert second.result(20) == CONTENT


def test_closing_ends_whoever_waits_for_a_place(bucket: Bucket, connect: Connect) -> None:
    provider = connect(S3_MAX_FILE_CONCURRENCY="1")
    (item,) = provider.list(bucket.put("model.bin", CONTENT))
    first = provider.open_range(item)
    next(first)
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        second = threads.submit(lambda: b"".join(provider.open_range(item)))
        provider.close()
        with pytest.raises(errors.StorageUnavailable, match="closed meanwhile"):
            second.result(20)


@pytest.mark.parametrize("start", [0, 3])
def test_a_change_between_listing_and_reading_is_an_error(bucket: Bucket, connect: Connect, start: int) -> None:
    provider = connect()
    (item,) = provider.list(bucket.put("model.bin", b"before"))
    assert b"".join(provider.open_range(item, start)) == b"before"[start:]
    bucket.put("model.bin", b"after!")
    with pytest.raises(errors.IntegrityError, match=r"model\.bin has another content"):
        list(provider.open_range(item, start))


def test_an_object_that_is_gone_has_changed(bucket: Bucket, connect: Connect) -> None:
    provider = connect()
    (item,) = provider.list(bucket.put("model.bin", b"before"))
    bucket.server.client.delete_object(Bucket=bucket.name, Key="model.bin")
    with pytest.raises(errors.IntegrityError):
        list(provider.open_range(item))


def test_a_change_is_seen_where_the_service_knows_no_conditions(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    provider = connect(url=proxy.url)
    (item,) = provider.list(bucket.put("model.bin", b"before"))
    proxy.faults.answers = [b'HTTP/1.1 200 OK\r\nETag: "other"\r\nContent-Length: 6\r\n\r\nafter!']
    with pytest.raises(errors.IntegrityError):
        list(provider.open_range(item))


def test_a_service_that_knows_no_ranges_is_refused(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    provider = connect(url=proxy.url)
    (item,) = provider.list(bucket.put("model.bin", b"content"))
    whole = f"HTTP/1.1 200 OK\r\nETag: {item.etag}\r\nContent-Length: 7\r\n\r\ncontent".encode()
    proxy.faults.answers = [whole, whole]
    assert b"".join(provider.open_range(item, 0, 3)) == b"con"
    with pytest.raises(errors.StorageError, match="not answer with the range"):
        list(provider.open_range(item, 3))


def test_what_is_stored_encoded_is_read_as_it_is_stored(bucket: Bucket, connect: Connect) -> None:
    import gzip

    packed = gzip.compress(b"content")
    provider = connect()
    (item,) = provider.list(bucket.put("model.gz", packed, ContentEncoding="gzip"))
    assert b"".join(provider.open_range(item)) == packed


def test_an_answer_that_breaks_may_pass(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    provider = connect(url=proxy.url)
    (item,) = provider.list(bucket.put("model.bin", CONTENT))
    proxy.faults.cut_at = 1_500_000
    reading = provider.open_range(item)
    first = next(reading)
    with pytest.raises(errors.StorageUnavailable, match=r"model\.bin"):
        list(reading)
    proxy.faults.cut_at = None
    assert first + b"".join(provider.open_range(item, len(first))) == CONTENT


def test_a_service_that_stalls_is_given_up(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    (item,) = connect(url=proxy.url).list(bucket.put("model.bin", CONTENT))
    proxy.faults.stall_at = 100_000
    hasty = connect(url=proxy.url, S3_READ_TIMEOUT="0.3", S3_CONNECT_TIMEOUT="0.3")
    with pytest.raises(errors.StorageUnavailable, match=r"model\.bin"):
        list(hasty.open_range(item))


def test_closing_from_another_thread_ends_the_waiting(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    provider = connect(url=proxy.url)
    (item,) = provider.list(bucket.put("model.bin", CONTENT))
    proxy.faults.stall_at = 1_500_000
    reading = provider.open_range(item)
    next(reading)
    closing = threading.Timer(0.1, provider.close)
    closing.start()
    with pytest.raises(errors.StorageUnavailable, match="closed meanwhile"):
        list(reading)
    closing.join()
    assert proxy.wait_for_open(0)


def test_an_iterator_that_is_closed_early_releases_its_connection(
    bucket: Bucket, connect: Connect, proxy: Proxy
) -> None:
    provider = connect(url=proxy.url)
    (item,) = provider.list(bucket.put("model.bin", CONTENT))
    proxy.faults.stall_at = 1_500_000
    reading = provider.open_range(item)
    next(reading)
    assert proxy.open
    reading.close()  # type: ignore[attr-defined]  # a generator
    assert proxy.wait_for_open(0)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (proxies.error(503, "SlowDown"), errors.StorageUnavailable, "503 (SlowDown)"),
        (proxies.error(500, "InternalError"), errors.StorageUnavailable, "500 (InternalError)"),
        (proxies.empty(502), errors.StorageUnavailable, "502"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<Error><C", errors.StorageUnavailable, "500"),
        (b"nonsense\r\n\r\n", errors.StorageUnavailable, "connection broke"),
        (b"", errors.StorageUnavailable, "connection broke"),
        (proxies.error(404, "NoSuchBucket"), errors.ArtifactNotFound, "no bucket"),
        (proxies.error(403, "AccessDenied"), errors.AccessDenied, "s3:ListBucket"),
        (proxies.error(403, "InvalidAccessKeyId"), errors.AccessDenied, "AWS_ACCESS_KEY_ID"),
        (proxies.error(403, "SignatureDoesNotMatch"), errors.AccessDenied, "AWS_SECRET_ACCESS_KEY"),
        (proxies.error(400, "ExpiredToken"), errors.AccessDenied, "AWS_SESSION_TOKEN"),
        (proxies.error(403, "RequestTimeTooSkewed"), errors.AccessDenied, "clock"),
        (proxies.error(403, "something <odd>"), errors.AccessDenied, "refuses access"),
        (proxies.error(301, "PermanentRedirect"), errors.StorageError, "AWS_DEFAULT_REGION"),
        (proxies.error(400, "SomethingElse"), errors.StorageError, "400 (SomethingElse)"),
    ],
)
def test_what_the_service_answers_becomes_an_error_that_says_what_to_do(
    bucket: Bucket, connect: Connect, proxy: Proxy, answer: bytes, kind: type[errors.StorageError], said: str
) -> None:
    proxy.faults.always = answer
    with pytest.raises(errors.StorageError) as caught:
        connect(url=proxy.url).list(f"{bucket.uri}/model/")
    assert type(caught.value) is kind
    assert said in str(caught.value)
    assert "secret-in-the-text" not in str(caught.value)


def test_the_wrong_region_is_an_error_with_the_right_one(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    wrong = proxies.error(301, "PermanentRedirect", **{"x-amz-bucket-region": "eu-west-3"})
    proxy.faults.answers = [wrong] * 4
    with pytest.raises(errors.StorageError, match="Set AWS_DEFAULT_REGION to eu-west-3"):
        connect(url=proxy.url).list(f"{bucket.uri}/model/")


def test_the_region_that_the_service_names_is_asked_next(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    bucket.put("model/a.bin", b"a")
    wrong = proxies.error(400, "AuthorizationHeaderMalformed", Region="eu-west-3")
    proxy.faults.answers = [wrong]
    provider = connect(url=proxy.url)
    (item,) = provider.list(f"{bucket.uri}/model/")
    assert [b"/eu-west-3/s3/" in request for request in proxy.requests] == [False, True]
    proxy.faults.answers = [wrong]
    for _ in range(2):
        assert b"".join(provider.open_range(item)) == b"a"
    assert [b"/eu-west-3/s3/" in request for request in proxy.requests[2:]] == [False, True, True]


def test_reading_from_a_service_that_is_busy_takes_one_request(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    provider = connect(url=proxy.url)
    (item,) = provider.list(bucket.put("model.bin", b"a"))
    proxy.faults.answers = [proxies.error(503, "SlowDown", **{"Retry-After": "7"})]
    with pytest.raises(errors.StorageUnavailable) as caught:
        list(provider.open_range(item))
    assert caught.value.retry_after == 7
    assert len(proxy.asked("GET")) == 1
    proxy.faults.answers = [proxies.error(403, "ExpiredToken")] * 2
    with pytest.raises(errors.AccessDenied, match="AWS_SESSION_TOKEN"):
        list(provider.open_range(item))


def test_objects_are_asked_for_at_one_place_and_by_one_kind_of_signature(
    bucket: Bucket, connect: Connect, proxy: Proxy
) -> None:
    """Whether the SDK asks, which lists, or the provider itself, which reads."""
    bucket.put("model/a b+%.bin", b"a")
    provider = connect(url=proxy.url, AWS_SESSION_TOKEN="token")
    (item,) = provider.list(f"{bucket.uri}/model")
    del proxy.requests[:]
    list(provider.open_range(item))
    provider.list(f"{bucket.uri}/model/a b+%.bin")
    read, asked = proxy.requests
    assert read.split()[1] == asked.split()[1].partition(b"?")[0]
    for request in (read, asked):
        assert b"AWS4-HMAC-SHA256" in request
        assert b"X-Amz-Security-Token: token" in request


def test_a_service_that_is_busy_says_when_to_come_again(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    proxy.faults.answers = [proxies.error(503, "SlowDown", **{"Retry-After": "7"})]
    with pytest.raises(errors.StorageUnavailable) as caught:
        connect(url=proxy.url).list(f"{bucket.uri}/model/")
    assert caught.value.retry_after == 7
    assert len(proxy.requests) == 1  # the fetcher retries, not the client


def test_requests_are_tried_as_often_as_is_set(bucket: Bucket, connect: Connect, proxy: Proxy) -> None:
    bucket.put("model/a.bin", b"a")
    proxy.faults.answers = [proxies.empty(500)]
    assert connect(url=proxy.url, S3_MAX_ATTEMPTS="2").list(f"{bucket.uri}/model/")
    assert len(proxy.requests) == 2


def test_nobody_who_listens_may_pass(connect: Connect, proxy: Proxy) -> None:
    proxy.close()
    with pytest.raises(errors.StorageUnavailable, match="cannot be connected to"):
        connect(url=proxy.url).list("s3://bucket/model/")


def test_an_item_of_another_fetch_is_read_by_its_key_alone(bucket: Bucket, connect: Connect) -> None:
    """What a fetch that was killed had listed is enough to go on."""
    (item,) = connect().list(bucket.put("model.bin", CONTENT))
    again = dataclasses.replace(item, digest=None)
    assert b"".join(connect().open_range(again, 100)) == CONTENT[100:]
