"""Artefacts that are handed over before their digests are taken."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.storage import cache as caches
from fairlead.storage import verifying
from fairlead.storage.blobs import Blobs
from fairlead_tests.storage.server import Server, contents
from fairlead_tests.storage.stopping import CONTENT, sha256, stop_after

if TYPE_CHECKING:
    from fairlead_tests.storage.conftest import MakeFetcher, Time

LARGE = CONTENT * 40  # in blocks


def record(cache: Path) -> caches.Record:
    (path,) = (cache / "artifacts").glob("*/record.json")
    found = caches.read_record(path)
    assert found is not None
    return found


@pytest.mark.parametrize("content", [b"", CONTENT, LARGE], ids=["empty", "small", "in blocks"])
def test_the_digest_is_taken_after_the_artefact_was_handed_over(
    server: Server, fetcher: MakeFetcher, cache: Path, content: bytes
) -> None:
    made = fetcher(settle_later=True)
    artifact = made.fetch(server.put("/model.bin", content))
    assert contents(artifact.path) == {"model.bin": content}
    made.settle()
    assert record(cache).sha256 == {"model.bin": sha256(content)}
    assert record(cache).files == {"model.bin": (len(content), sha256(content))}
    assert Blobs(cache).path(sha256(content)).samefile(artifact.path / "model.bin")
    assert contents(artifact.path) == {"model.bin": content}


def test_what_was_settled_is_used_again_and_can_be_pinned(server: Server, fetcher: MakeFetcher) -> None:
    made, uri = fetcher(settle_later=True), server.put("/model.bin", CONTENT)
    first = made.fetch(uri)
    made.settle()
    server.requests.clear()
    assert fetcher().fetch(uri).path == first.path
    assert server.methods() == ["HEAD"]
    assert fetcher().fetch(f"{uri}#sha256={sha256(CONTENT)}").path == first.path
    assert server.methods() == ["HEAD"]


def test_what_was_never_settled_is_not_trusted_after_a_restart_of_the_machine(
    server: Server, fetcher: MakeFetcher, cache: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairlead.storage.settling import Settling

    uri = server.put("/model.bin", CONTENT)
    with monkeypatch.context() as patch:
        patch.setattr(Settling, "begin", lambda *_: None)  # the process died before
        path = fetcher(settle_later=True).fetch(uri).path
    assert record(cache).sha256 == {}
    assert [(each.damaged, each.settled) for each in verifying.verify(cache)] == [([], False)]
    server.requests.clear()
    assert fetcher(settle_later=True).fetch(uri).path == path
    assert server.methods() == ["HEAD"]
    (path / "model.bin").chmod(0o644)
    (path / "model.bin").write_bytes(bytes(len(CONTENT)))  # as a power cut leaves it
    time.boot = "another"
    assert contents(fetcher().fetch(uri).path) == {"model.bin": CONTENT}


def test_a_digest_that_is_wanted_is_taken_before(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    uri = server.put("/model.bin", CONTENT)
    with pytest.raises(errors.IntegrityError):
        fetcher(settle_later=True).fetch(f"{uri}#sha256={'0' * 64}")
    fetcher(settle_later=True).fetch(f"{uri}#sha256={sha256(CONTENT)}")
    assert record(cache).sha256 == {"model.bin": sha256(CONTENT)}


def test_what_a_killed_fetch_left_without_a_digest_is_compared_where_one_is_wanted(
    server: Server, fetcher: MakeFetcher
) -> None:
    uri = server.put("/model.bin", CONTENT)
    server.faults.truncate_at, server.faults.truncate_always = 100_000, True
    with pytest.raises(errors.StorageUnavailable):
        fetcher(settle_later=True, retries=0).fetch(uri)
    server.faults.truncate_at = None
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert contents(fetcher().fetch(f"{uri}#sha256={digest}").path) == {"model.bin": CONTENT}


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_pin_of_any_algorithm_is_found_in_the_cache_without_asking(
    server: Server, fetcher: MakeFetcher, algorithm: str
) -> None:
    uri, digest = server.put("/model.bin", CONTENT), f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    first = fetcher().fetch(uri, digest=digest)
    server.requests.clear()
    assert fetcher().fetch(uri, digest=digest).path == first.path
    assert server.requests == []


def test_an_interrupted_fetch_goes_on_without_digests_too(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    uri = server.put("/model.bin", LARGE)
    stop_after(server, fetcher, uri, len(LARGE) // 2)
    server.faults.truncate_at = None
    made = fetcher(settle_later=True)
    assert contents(made.fetch(uri).path) == {"model.bin": LARGE}
    made.settle()
    assert record(cache).sha256 == {"model.bin": sha256(LARGE)}


def test_what_is_verified_at_each_use_is_not_left_for_later(server: Server, fetcher: MakeFetcher, cache: Path) -> None:
    fetcher(settle_later=True, verify=True).fetch(server.put("/model.bin", CONTENT))
    assert record(cache).sha256 == {"model.bin": sha256(CONTENT)}


def test_a_version_that_goes_away_meanwhile_is_left_alone(
    server: Server, fetcher: MakeFetcher, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, uri = fetcher(settle_later=True), server.put("/model.bin", CONTENT)
    old = made.fetch(uri)
    server.put("/model.bin", CONTENT[::-1])
    new = made.fetch(uri)
    made.settle()
    assert contents(new.path) == {"model.bin": CONTENT[::-1]}
    assert contents(old.path) == {"model.bin": CONTENT}
    assert record(cache).sha256 == {"model.bin": sha256(CONTENT[::-1])}
    assert [each.damaged for each in verifying.verify(cache)] == [[]]
