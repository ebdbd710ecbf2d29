"""Fetches that stop half-way and are taken up again."""

from __future__ import annotations

import email.utils
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.testing.storage import RecordingProgress
from fairlead_tests.storage.conftest import MakeFetcher, Time, leftovers
from fairlead_tests.storage.server import CHUNK, Server, contents
from fairlead_tests.storage.stopping import CONTENT, stop_after

# -- resuming -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_fetch_killed_at_any_tenth_goes_on_where_it_stopped(
    server: Server, cache: Path, fetcher: MakeFetcher, tenth: int
) -> None:
    uri = server.put("/model.bin", CONTENT)
    at = len(CONTENT) * tenth // 10
    script = "import sys; from fairlead.testing import storage; storage.fetch_and_die(*sys.argv[1:])"
    died = subprocess.run([sys.executable, "-c", script, uri, str(cache), str(at)], input=b"{}", check=False)
    assert died.returncode == -signal.SIGKILL
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": CONTENT}
    # A killed process may lose what it had not yet handed to the system: at most one buffer.
    assert progress.done[0] >= at - CHUNK
    assert progress.arrived == len(CONTENT) - progress.done[0]


def test_a_truncated_download_is_resumed_where_it_stopped(server: Server, fetcher: MakeFetcher, time: Time) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.truncate_at = 3 * CHUNK + 7
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}
    ranges = [request.headers.get("Range") for request in server.requests if request.method == "GET"]
    assert ranges == [None, f"bytes={3 * CHUNK + 7}-"]
    assert time.pauses == [0.5]


def test_a_server_that_ignores_ranges_is_read_past_what_is_there(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.truncate_at = 5 * CHUNK
    server.faults.ignore_range = True
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": CONTENT}
    assert progress.arrived == len(CONTENT)
    assert server.methods() == ["HEAD", "GET", "GET"]


def test_without_an_etag_a_truncated_download_starts_again(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.no_etag = True
    server.faults.truncate_at = 5 * CHUNK
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": CONTENT}
    assert [request.headers.get("Range") for request in server.requests] == [None, None, None]
    assert progress.arrived == len(CONTENT)


def test_parts_of_two_contents_under_one_weak_etag_are_not_joined(server: Server, fetcher: MakeFetcher) -> None:
    old, new = b"a" * len(CONTENT), b"b" * len(CONTENT)
    uri = server.put("/model.bin", old)
    server.faults.no_etag = True
    server.faults.headers = {"ETag": 'W/"1"'}
    server.faults.truncate_at = 3 * CHUNK

    def change() -> None:
        if server.sent:
            server.put("/model.bin", new)

    server.faults.before_get = change
    assert contents(fetcher().fetch(uri).path) == {"model.bin": new}


@pytest.mark.parametrize(("age", "resumed"), [(0, False), (1, True)])
def test_a_date_proves_a_content_once_its_second_is_over(
    server: Server, fetcher: MakeFetcher, age: int, resumed: bool
) -> None:
    """RFC 9110, section 8.8.2.2."""
    uri = server.put("/model.bin", CONTENT)
    server.faults.no_etag = True
    server.faults.now = 1_700_000_000
    modified = email.utils.formatdate(server.faults.now - age, usegmt=True)
    server.faults.headers = {"Last-Modified": modified}
    server.faults.truncate_at = 3 * CHUNK
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}
    assert ("Range" in server.requests[-1].headers) is resumed


def test_a_partial_file_of_other_content_is_not_continued(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    stop_after(server, fetcher, uri, 5 * CHUNK)
    other = os.urandom(len(CONTENT))
    server.put("/model.bin", other)
    progress = RecordingProgress()
    assert contents(fetcher(progress).fetch(uri).path) == {"model.bin": other}
    assert progress.done == [0]


def test_a_file_swapped_while_it_is_downloaded_is_never_a_mixture(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", CONTENT)
    other = os.urandom(len(CONTENT))
    server.faults.truncate_at = 5 * CHUNK

    def swap(_sent: int) -> None:
        server.put("/model.bin", other)

    server.faults.on_chunk = swap
    assert contents(fetcher().fetch(uri).path) == {"model.bin": other}


def test_a_file_swapped_between_listing_and_reading_is_listed_again(server: Server, fetcher: MakeFetcher) -> None:
    uri = server.put("/model.bin", b"old")

    def swap() -> None:
        server.put("/model.bin", b"new content")

    server.faults.before_get = swap
    assert contents(fetcher().fetch(uri).path) == {"model.bin": b"new content"}


def test_a_file_that_changes_again_and_again_is_an_error(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    uri = server.put("/model.bin", b"0")
    server.faults.before_get = lambda: server.files.update({"/model.bin": os.urandom(8)})
    with pytest.raises(errors.IntegrityError, match="another content than when it was listed"):
        fetcher().fetch(uri)
    assert leftovers(cache) == []
