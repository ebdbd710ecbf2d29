"""What the fetches of one process share: streams from one host, and bytes a second."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.storage.machine import Deadline, Machine
from fairlead.storage.settings import FetchSettings
from fairlead.storage.shares import Growth, Shares
from fairlead_tests.storage.buckets import bucket
from fairlead_tests.storage.server import Server, contents

if TYPE_CHECKING:
    from fairlead_tests.plugins.distributions import Site
    from fairlead_tests.storage.conftest import MakeFetcher, Time

MIB = 1024 * 1024


@pytest.fixture
def shares(cache: Path, time: Time) -> Callable[..., Shares]:
    return lambda **settings: Shares(FetchSettings(cache=cache, **settings), time.machine())


def soon(time: Time) -> Deadline:
    return Deadline("bucket://b", 10, lambda: time.now)


# -- streams ------------------------------------------------------------------------------------------------


def test_a_host_has_as_many_streams_as_are_allowed_and_others_have_their_own(
    shares: Callable[..., Shares], time: Time
) -> None:
    made, stop = shares(connections=2), threading.Event()
    with made.stream("s3://a", soon(time), stop), made.stream("s3://a", soon(time), stop):
        with made.stream("s3://b", soon(time), stop):
            pass
        stop.set()
        with pytest.raises(errors.StorageUnavailable), made.stream("s3://a", soon(time), stop):
            pass
    with made.stream("s3://a", soon(time), stop):
        pass


def test_waiting_for_a_stream_ends_at_the_deadline(shares: Callable[..., Shares], time: Time) -> None:
    made, stop = shares(connections=1), threading.Event()
    deadline = soon(time)
    with made.stream("s3://a", deadline, stop):
        time.now += 11
        with pytest.raises(errors.StorageTimeout, match="within 10 seconds"), made.stream("s3://a", deadline, stop):
            pass


def test_two_fetches_at_once_never_have_more_streams_of_a_host_than_allowed(
    server: Server, fetcher: MakeFetcher, site: Site
) -> None:
    trees = [{f"{number}.bin": bytes([number]) * 200_000 for number in range(start, start + 8)} for start in (0, 8)]
    uris = [bucket(server, tree, folder=f"models{number}") for number, tree in enumerate(trees)]
    server.faults.on_chunk = lambda _sent: clock.sleep(0.002)
    made = fetcher(connections=3)
    found: dict[str, dict[str, bytes]] = {}

    def fetch(uri: str) -> None:
        found[uri] = contents(made.fetch(uri).path)

    threads = [threading.Thread(target=fetch, args=(uri,)) for uri in uris]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[uri] for uri in uris] == trees
    assert 2 <= server.most_sending <= 3


# -- the rate -----------------------------------------------------------------------------------------------


def test_bytes_arrive_at_the_rate_that_is_set(server: Server, fetcher: MakeFetcher, time: Time) -> None:
    content = bytes(range(256)) * 20_000
    uri = server.put("/model.bin", content)
    began = time.now
    assert contents(fetcher(max_rate=100_000).fetch(uri).path) == {"model.bin": content}
    assert time.now - began == pytest.approx(len(content) / 100_000)


def test_fetches_share_the_rate(shares: Callable[..., Shares], time: Time) -> None:
    made, stop = shares(max_rate=1000), threading.Event()
    began = time.now
    deadline = Deadline("x", 100, lambda: time.now)
    for count in (500, 1500, 2000):
        made.pace(count, deadline, stop)
    assert time.now - began == pytest.approx(4.0)


def test_without_a_rate_nobody_waits(shares: Callable[..., Shares], time: Time) -> None:
    shares().pace(1 << 40, soon(time), threading.Event())
    assert time.pauses == []


def test_a_slow_rate_ends_at_the_deadline_of_the_fetch(server: Server, fetcher: MakeFetcher, time: Time) -> None:
    uri = server.put("/model.bin", bytes(4 * MIB))
    began = time.now
    with pytest.raises(errors.StorageTimeout):
        fetcher(max_rate=1000, deadline=100).fetch(uri)
    assert time.now - began <= 101


def test_a_fetch_that_is_stopped_does_not_wait_for_its_rate(cache: Path) -> None:
    made, stop = Shares(FetchSettings(cache=cache, max_rate=1), Machine()), threading.Event()
    stop.set()
    made.pace(MIB, Deadline("x", 1_000_000, clock.monotonic), stop)  # days, were it not stopped


# -- more streams -------------------------------------------------------------------------------------------


def test_streams_are_added_while_they_make_the_whole_faster() -> None:
    growth = Growth(0.0)
    assert not growth.wants(0.1, 100)  # too early to tell
    assert growth.wants(1.0, 1000)
    assert growth.wants(2.0, 3000)
    assert not growth.wants(3.0, 5100)  # no faster than before


def test_more_streams_are_tried_once_more_later() -> None:
    growth = Growth(0.0)
    assert growth.wants(1.0, 1000)
    assert not growth.wants(2.0, 2000)
    assert not growth.wants(5.5, 5500)
    assert growth.wants(6.5, 6500)
