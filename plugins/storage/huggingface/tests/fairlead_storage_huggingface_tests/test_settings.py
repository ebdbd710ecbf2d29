"""Endpoints, tokens and policies: where they come from, and what they must not be mixed with."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead_storage_huggingface.provider import HuggingFaceProvider
from fairlead_storage_huggingface.settings import ENDPOINT, HubSettings
from fairlead_storage_huggingface_tests.conftest import Fetch, Provide, shown

if TYPE_CHECKING:
    from fairlead_storage_huggingface_tests.hub import Hub

FILES = {"config.json": b"{}", "model.bin": bytes(5000)}


def token(**given: str) -> str | None:
    return HubSettings.of(given).token


# -- tokens -------------------------------------------------------------------------------------------------


def test_a_token_is_looked_for_where_the_client_of_hugging_face_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert token() is None
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "token").write_text("hf_file\n")
    assert token() == "hf_file"
    (tmp_path / "elsewhere").write_text("hf_path")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "elsewhere"))
    assert token() == "hf_path"
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_old")
    assert token() == "hf_old"
    monkeypatch.setenv("HF_TOKEN", " hf_environment\n")
    assert token() == "hf_environment"
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert token() is None
    assert token(HF_TOKEN="hf_given") == "hf_given"


def test_a_token_file_below_the_cache_of_the_user_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "token").write_text("hf_home")
    assert token() == "hf_home"


def test_what_is_given_is_not_mixed_with_the_token_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_process")
    assert token() == "hf_process"
    assert token(HF_TOKEN="hf_service") == "hf_service"
    assert token(HF_TOKEN="") is None
    assert token(HF_ENDPOINT="https://evil.example") is None


def test_a_token_that_would_be_exchanged_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_OIDC_RESOURCE", "org")
    with pytest.raises(errors.StorageError, match=r"HF_OIDC_RESOURCE.*Set HF_TOKEN"):
        token()
    assert token(HF_TOKEN="hf_given") == "hf_given"


def test_a_token_is_in_no_representation() -> None:
    assert "hf_secret" not in repr(HubSettings.of({"HF_TOKEN": "hf_secret"}))


def test_a_token_that_is_no_header_is_refused_and_not_shown(hub: Hub, provide: Provide) -> None:
    with pytest.raises(errors.ConfigurationError, match="Authorization") as caught:
        provide(HF_TOKEN="hf_secret\r\nX: y").list("hf://org/model")
    assert "hf_secret" not in shown(caught.value)
    assert hub.requests == []


def test_headers_for_the_host_of_the_hub_are_not_sent_besides(
    hub: Hub, provide: Provide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("127.0.0.1-headers", '{"Authorization": "Bearer other"}')
    hub.repo("org/model", FILES)
    assert len(provide().list("hf://org/model")) == 2


# -- endpoints ----------------------------------------------------------------------------------------------


def test_the_endpoint_is_given_or_of_the_environment_or_the_public_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HubSettings.of({}).endpoint == ENDPOINT
    assert HubSettings.of({}).is_public_hub
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/hub/")
    assert HubSettings.of({}).endpoint == "https://mirror.example/hub"
    assert HubSettings.of({"HF_TOKEN": "hf_x"}).endpoint == "https://mirror.example/hub"
    assert HubSettings.of({"HF_ENDPOINT": "https://other.example"}).endpoint == "https://other.example"


@pytest.mark.parametrize(
    "endpoint", ["mirror", "ftp://mirror", "https://user:hf_secret@mirror", "https://m?token=hf_secret"]
)
def test_an_endpoint_that_is_no_url_is_refused_and_not_shown(endpoint: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="HF_ENDPOINT") as caught:
        HubSettings.of({"HF_ENDPOINT": endpoint})
    assert "hf_secret" not in shown(caught.value)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_nothing_is_fetched_offline(hub: Hub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    hub.repo("org/model", FILES)
    monkeypatch.setenv(name, "0")
    assert fetch("hf://org/model") == FILES
    hub.requests.clear()
    monkeypatch.setenv(name, "1")
    with pytest.raises(errors.StorageError, match=f"{name} is set"):
        fetch("hf://org/model")
    assert hub.requests == []


# -- policies -----------------------------------------------------------------------------------------------


def test_under_the_public_policy_a_hub_on_loopback_is_refused(hub: Hub, provide: Provide) -> None:
    hub.repo("org/model", FILES)
    with pytest.raises(errors.UnsafeArtifact, match="FAIRLEAD_STORAGE_NETWORK=public"):
        provide(FAIRLEAD_STORAGE_NETWORK="public").list("hf://org/model")
    assert hub.requests == []


def test_an_endpoint_and_where_it_redirects_to_are_on_the_list_of_hosts_or_refused(
    hub: Hub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repo("org/model", FILES)
    own, store = (url.removeprefix("http://") for url in (hub.url, hub.store.url))
    monkeypatch.setenv("FAIRLEAD_STORAGE_HOSTS", "hf://org")
    with pytest.raises(errors.UnsafeArtifact):
        fetch("hf://org/model")
    assert hub.requests == []
    monkeypatch.setenv("FAIRLEAD_STORAGE_HOSTS", f"hf://org,{own}")
    with pytest.raises(errors.UnsafeArtifact):
        fetch("hf://org/model")
    assert hub.store.requests == []
    monkeypatch.setenv("FAIRLEAD_STORAGE_HOSTS", f"hf://org,{own},{store}")
    assert fetch("hf://org/model") == FILES
    monkeypatch.setenv("FAIRLEAD_STORAGE_HOSTS", f"hf://other,{own},{store}")
    with pytest.raises(errors.UnsafeArtifact, match="add hf://org to FAIRLEAD_STORAGE_HOSTS"):
        fetch("hf://org/model")


def test_the_public_hub_needs_no_entry_for_its_hosts() -> None:
    asked: list[str] = []

    def resolve(host: str, *_arguments: object, **_options: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    provider = HuggingFaceProvider(credentials={"FAIRLEAD_STORAGE_HOSTS": "hf://org"}, resolve=resolve)
    with contextlib.closing(provider), pytest.raises(errors.StorageUnavailable, match="cannot be resolved"):
        provider.list("hf://org/model")
    assert asked == ["huggingface.co"]


def test_a_hub_whose_name_resolves_to_metadata_is_refused() -> None:
    def resolve(_host: str, port: int, **_options: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("169.254.169.254", port))]

    with (
        contextlib.closing(HuggingFaceProvider(credentials={}, resolve=resolve)) as provider,
        pytest.raises(errors.UnsafeArtifact, match=r"169\.254\.169\.254"),
    ):
        provider.list("hf://org/model")
