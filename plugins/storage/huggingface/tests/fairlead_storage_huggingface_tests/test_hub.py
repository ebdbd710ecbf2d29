"""Listing and reading: commits, pages, redirects, refusals, faults."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fairlead import errors
from fairlead_storage_huggingface_tests.conftest import Fetch, Provide, shown
from fairlead_storage_huggingface_tests.hub import LARGE, Hub, oid

SMALL = b'{"model_type": "bert"}'
WEIGHTS = os.urandom(3 * 1024 * 1024)
FILES = {
    "config.json": SMALL,
    "model.safetensors": WEIGHTS,
    "onnx/model v1.onnx": WEIGHTS[:LARGE],
    "a/__init__.py": b"",
}


# -- listing ------------------------------------------------------------------------------------------------


def test_the_double_is_a_hub_to_the_client_of_hugging_face(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    """Otherwise what is tested here says little; both bring the same files."""
    hub.repo("org/model", FILES)
    script = "import sys, huggingface_hub; huggingface_hub.snapshot_download('org/model', local_dir=sys.argv[1])"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", script, str(tmp_path / "theirs")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    theirs = {name: (tmp_path / "theirs" / name).read_bytes() for name in FILES}
    assert theirs == fetch("hf://org/model") == FILES


def test_sizes_tags_and_digests_are_those_that_the_hub_tells(hub: Hub, provide: Provide) -> None:
    hub.repo("org/model", FILES)
    items = {item.name: item for item in provide().list("hf://org/model")}
    assert {name: item.size for name, item in items.items()} == {name: len(data) for name, data in FILES.items()}
    assert (items["config.json"].etag, items["config.json"].digest) == (oid(SMALL), None)
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert (items["model.safetensors"].etag, items["model.safetensors"].digest) == (sha256, f"sha256:{sha256}")


def test_a_list_goes_on_over_pages(hub: Hub, fetch: Fetch) -> None:
    files = {f"{number // 10}/{number}.txt": str(number).encode() for number in range(50)}
    hub.repo("org/model", files)
    hub.page = 7
    assert fetch("hf://org/model") == files
    assert sum("/tree/" in request.path for request in hub.requests) == 8


def test_more_files_than_can_be_meant_are_refused(hub: Hub, provide: Provide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_storage_huggingface.provider._MAX_FILES", 20)
    hub.repo("org/model", {f"{number}.txt": b"x" for number in range(21)})
    hub.page = 7
    with pytest.raises(errors.StorageLimitExceeded, match="more than 20 files"):
        provide().list("hf://org/model")


def test_pages_without_an_end_are_refused(hub: Hub, provide: Provide) -> None:
    hub.repo("org/model", FILES)
    hub.page = 1
    hub.next_page = lambda url: url.partition("?")[0] + "?recursive=true"
    with pytest.raises(errors.StorageError, match="without an end"):
        provide().list("hf://org/model")


def test_a_next_page_at_another_host_gets_neither_token_nor_request(hub: Hub, provide: Provide) -> None:
    hub.tokens.add("hf_secret")
    hub.repo("org/model", FILES)
    hub.page = 1
    hub.next_page = lambda _url: f"{hub.store.url}/steal"
    with pytest.raises(errors.UnsafeArtifact, match="goes on at another host"):
        provide(HF_TOKEN="hf_secret").list("hf://org/model")
    assert hub.store.requests == []


@pytest.mark.parametrize("revision", ["main", "v1", "refs/pr/1"])
def test_a_revision_is_turned_into_its_commit(hub: Hub, provide: Provide, revision: str) -> None:
    repo = hub.repo("org/model", {"model.bin": b"other"})
    commit = repo.commit({"model.bin": b"content"}, revision)
    (item,) = provide().list(f"hf://org/model:{revision}")
    assert f"/resolve/{commit}/" in item.key
    assert b"".join(provide().open_range(item)) == b"content"


def test_a_branch_that_moves_meanwhile_mixes_nothing(hub: Hub, provide: Provide) -> None:
    repo = hub.repo("org/model", {"a.bin": b"old a", "b.bin": b"old b"})
    provider = provide()
    first, second = provider.list("hf://org/model")
    assert b"".join(provider.open_range(first)) == b"old a"
    repo.commit({"a.bin": b"new a", "b.bin": b"new b"})
    assert b"".join(provider.open_range(second)) == b"old b"


def test_a_file_that_did_not_change_is_known_again_in_the_next_commit(hub: Hub, provide: Provide) -> None:
    repo = hub.repo("org/model", FILES)
    before = {item.name: item.etag for item in provide().list("hf://org/model")}
    repo.commit({**FILES, "config.json": b"{}"})
    after = {item.name: item.etag for item in provide().list("hf://org/model")}
    assert {name for name in before if before[name] != after[name]} == {"config.json"}


def test_a_repository_without_files_is_not_found(hub: Hub, provide: Provide) -> None:
    hub.repo("org/model", {})
    with pytest.raises(errors.ArtifactNotFound, match="no file in org/model"):
        provide().list("hf://org/model")


def test_names_that_would_leave_the_target_are_refused_by_the_fetch(hub: Hub, fetch: Fetch) -> None:
    for name in ("../evil.bin", "a/../../evil.bin", "/evil.bin", "a//evil.bin", "a\\evil.bin"):
        hub.repos.clear()
        hub.repo("org/model", {name: b"x", "model.bin": b"x"})
        with pytest.raises(errors.UnsafeArtifact):
            fetch("hf://org/model")


@pytest.mark.parametrize(
    "document", ["", "{}", '{"sha": 1}', '{"sha": "../../x"}', "[]", "<html>", "[" * 100_000, '{"sha": "\\ud800"}']
)
def test_what_is_no_description_is_an_error(hub: Hub, provide: Provide, document: str) -> None:
    hub.repo("org/model", FILES)
    hub.documents.append(document.encode())
    with pytest.raises(errors.StorageError, match="HF_ENDPOINT"):
        provide().list("hf://org/model")


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "symlink", "path": "a"},
        {"type": "file", "path": "a"},
        {"type": "file", "path": "a", "oid": "0", "size": -1},
        {"type": "file", "path": "a", "oid": "0", "size": 9, "lfs": {"oid": "../", "size": 9}},
        "a",
    ],
)
def test_what_is_no_file_in_a_list_is_an_error(hub: Hub, provide: Provide, entry: object) -> None:
    hub.repo("org/model", FILES)
    hub.documents += [json.dumps({"sha": "0" * 40}).encode(), json.dumps([entry]).encode()]
    with pytest.raises(errors.StorageError, match="neither a file nor a folder"):
        provide().list("hf://org/model")


# -- reading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_range_is_one_request_for_its_bytes(hub: Hub, provide: Provide, name: str) -> None:
    hub.repo("org/model", FILES)
    provider = provide()
    item = next(item for item in provider.list("hf://org/model") if item.name == name)
    hub.requests.clear()
    assert b"".join(provider.open_range(item, 3, 11)) == FILES[name][3:11]
    assert [request.headers["Range"] for request in [*hub.requests, *hub.store.requests]] == ["bytes=3-10"] * (
        2 if name == "model.safetensors" else 1
    )


def test_the_host_of_large_files_gets_no_token(hub: Hub, fetch: Fetch) -> None:
    hub.tokens.add("hf_secret")
    hub.repo("org/model", FILES, private=True)
    assert fetch("hf://org/model", HF_TOKEN="hf_secret") == FILES
    assert {request.headers.get("Authorization") for request in hub.requests} == {"Bearer hf_secret"}
    assert hub.store.requests
    assert not any("Authorization" in request.headers for request in hub.store.requests)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_another_content_under_the_same_name_is_seen(hub: Hub, provide: Provide, name: str) -> None:
    """No hub gives one; a mirror might."""
    repo = hub.repo("org/model", FILES)
    provider = provide()
    item = next(item for item in provider.list("hf://org/model") if item.name == name)
    repo.commits[repo.names["main"]][name] = FILES[name][::-1] + b"x" * (name != "config.json")
    for start, end in ((0, None), (5, 9)):
        with pytest.raises(errors.IntegrityError, match="another content"):
            list(provider.open_range(item, start, end))
    repo.commits[repo.names["main"]][name] = b"short"
    with pytest.raises(errors.IntegrityError, match="another content"):
        list(provider.open_range(item, 7, 9))


def test_large_files_are_held_to_their_digest(hub: Hub, fetch: Fetch) -> None:
    hub.repo("org/model", FILES)
    hub.store.put(WEIGHTS)
    hub.store.files[hashlib.sha256(WEIGHTS).hexdigest()] = WEIGHTS[::-1]
    with pytest.raises(errors.IntegrityError):
        fetch("hf://org/model")


def test_a_download_that_is_cut_off_goes_on(hub: Hub, fetch: Fetch) -> None:
    hub.repo("org/model", FILES)
    hub.store.truncate = [100_000]
    assert fetch("hf://org/model") == FILES
    assert any(request.headers.get("Range") for request in hub.store.requests)


def test_an_address_whose_signature_is_refused_is_asked_for_anew(hub: Hub, fetch: Fetch) -> None:
    hub.repo("org/model", FILES)
    hub.store.broken = [(403, {})]
    assert fetch("hf://org/model") == FILES


def test_closing_ends_a_download_that_stalls(hub: Hub, provide: Provide) -> None:
    hub.repo("org/model", FILES)
    hub.store.stall = threading.Event()
    provider = provide()
    item = next(item for item in provider.list("hf://org/model") if item.name == "model.safetensors")
    chunks = provider.open_range(item)
    next(chunks)
    closing = threading.Timer(0.05, provider.close)
    closing.start()
    with pytest.raises(errors.StorageUnavailable):
        list(chunks)
    hub.store.stall.set()
    closing.join()


def test_an_encoding_that_nobody_asked_for_is_refused(hub: Hub, provide: Provide) -> None:
    hub.repo("org/model", FILES)
    provider = provide()
    items = [item for item in provider.list("hf://org/model") if item.size]
    hub.headers["Content-Encoding"] = hub.store.headers["Content-Encoding"] = "gzip"
    for item in items:
        with pytest.raises(errors.StorageError, match="encoding that nobody asked for"):
            list(provider.open_range(item))


# -- refusals -----------------------------------------------------------------------------------------------


def test_what_does_not_exist_or_is_private_is_not_found_and_the_remedy_fits(hub: Hub, provide: Provide) -> None:
    hub.tokens.add("hf_secret")
    hub.repo("org/private", FILES, private=True)
    for uri in ("hf://org/missing", "hf://org/private"):
        with pytest.raises(errors.ArtifactNotFound, match=r"or is private.*Set HF_TOKEN"):
            provide().list(uri)
    with pytest.raises(errors.ArtifactNotFound, match="whether the token may read it"):
        provide(HF_TOKEN="hf_secret").list("hf://org/missing")


def test_a_revision_that_does_not_exist_is_named(hub: Hub, provide: Provide) -> None:
    hub.repo("org/model", FILES)
    with pytest.raises(errors.ArtifactNotFound, match="org/model at v9 has no such revision"):
        provide().list("hf://org/model:v9")


def test_a_file_that_is_gone_is_named(hub: Hub, provide: Provide) -> None:
    repo = hub.repo("org/model", FILES)
    provider = provide()
    (item,) = [item for item in provider.list("hf://org/model") if item.name == "config.json"]
    del repo.commits[repo.names["main"]]["config.json"]
    with pytest.raises(errors.ArtifactNotFound, match=r"config\.json is not in its repository"):
        list(provider.open_range(item))


def test_a_gated_model_says_how_to_get_access(hub: Hub, fetch: Fetch) -> None:
    hub.tokens.add("hf_secret")
    hub.repo("org/model", FILES, gated=True)
    with pytest.raises(errors.AccessDenied, match=r"is gated.*Ask for access.*HF_TOKEN"):
        fetch("hf://org/model")
    assert fetch("hf://org/model", HF_TOKEN="hf_secret") == FILES
    for uri in ("hf://org/model", "hf://org/model/"):  # the list of a gated model is public
        with pytest.raises(errors.AccessDenied, match="is gated"):
            fetch(uri)


def test_a_token_that_is_not_valid_is_denied_and_not_shown(
    hub: Hub, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    hub.repo("org/model", FILES)
    with pytest.raises(errors.AccessDenied, match=r"to this token.*HF_TOKEN") as caught:
        fetch("hf://org/model", HF_TOKEN="hf_secret")
    assert "hf_secret" not in shown(caught.value) + caplog.text


def test_a_model_that_was_disabled_is_denied(hub: Hub, provide: Provide) -> None:
    hub.repo("org/model", FILES, disabled=True)
    with pytest.raises(errors.AccessDenied, match="has been disabled"):
        provide().list("hf://org/model")


# -- faults that may pass -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "17"}, {"RateLimit": '"api";r=0;t=17', "RateLimit-Policy": '"fixed";"api";q=500;w=300'}]
)
def test_the_rate_limit_is_waited_for_as_long_as_the_hub_says(hub: Hub, fetch: Fetch, headers: dict[str, str]) -> None:
    hub.repo("org/model", FILES)
    hub.broken = [(429, headers)]
    assert fetch("hf://org/model") == FILES
    assert fetch.pauses == [17.0]


def test_the_rate_limit_tells_who_has_no_token_of_tokens(hub: Hub, provide: Provide) -> None:
    hub.tokens.add("hf_secret")
    hub.broken = [(429, {})] * 2
    with pytest.raises(errors.StorageUnavailable, match="HF_TOKEN"):
        provide().list("hf://org/model")
    with pytest.raises(errors.StorageUnavailable) as caught:
        provide(HF_TOKEN="hf_secret").list("hf://org/model")
    assert caught.value.remedy is None


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_hub_that_fails_and_recovers_is_asked_again(hub: Hub, fetch: Fetch, status: int) -> None:
    hub.repo("org/model", FILES)
    hub.broken = [(status, {})]
    hub.store.broken = [(status, {})]
    assert fetch("hf://org/model") == FILES


def test_no_signed_address_is_in_an_error_or_a_log(hub: Hub, fetch: Fetch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    hub.repo("org/model", FILES)
    hub.store.broken = [(503, {})] * 99
    with pytest.raises(errors.StorageUnavailable, match="answered 503") as caught:
        fetch("hf://org/model")
    assert "signed-url-secret" not in shown(caught.value) + caplog.text
