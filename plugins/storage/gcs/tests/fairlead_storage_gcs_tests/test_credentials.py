"""Who asks, and that nobody else learns of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.server
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead import errors
from fairlead_storage_gcs.provider import GcsProvider
from fairlead_storage_gcs_tests.emulator import BUCKET, Emulator

if TYPE_CHECKING:
    from fairlead_storage_gcs_tests.conftest import Connect
    from fairlead_storage_gcs_tests.front import Front

TOKEN = "ya29.the-token"
SECRET = "gcloud-application-credentials.json"
FILE = "GOOGLE_APPLICATION_CREDENTIALS"


@dataclasses.dataclass
class Tokens:
    """A server that gives tokens to service accounts."""

    url: str
    asked: list[str] = dataclasses.field(default_factory=list)
    status: int = 200


class _Giver(http.server.BaseHTTPRequestHandler):
    def __init__(self, tokens: Tokens, *args: object) -> None:
        self.tokens = tokens
        super().__init__(*args)  # type: ignore[arg-type]  # the server passes what its handlers take

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_POST(self) -> None:
        self.tokens.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        granted = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        body = json.dumps(granted if self.tokens.status == 200 else {"error": "invalid_grant"}).encode()
        self.send_response(self.tokens.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    tokens = Tokens("")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Giver, tokens))
    tokens.url = f"http://127.0.0.1:{server.server_address[1]}/token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield tokens
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def key(private_key: str, tokens: Tokens) -> str:
    """The JSON key of a service account."""
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "reader@project.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": private_key,
            "project_id": "project",
            "token_uri": tokens.url,
        }
    )


@pytest.fixture
def uri(emulator: Emulator) -> str:
    emulator.put("credentials/model.bin", b"content")
    return f"gs://{BUCKET}/credentials/model.bin"


def test_a_key_from_a_secret_is_who_asks(connect: Connect, front: Front, tokens: Tokens, key: str, uri: str) -> None:
    provider = connect({SECRET: key})
    (item,) = provider.list(uri)
    assert b"".join(provider.open_range(item)) == b"content"
    assert {request.headers["authorization"] for request in front.requests} == {f"Bearer {TOKEN}"}
    assert len(tokens.asked) == 1


def test_a_key_in_a_file_is_who_asks(connect: Connect, front: Front, key: str, uri: str, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(key)
    connect({FILE: str(tmp_path / "key.json")}).list(uri)
    assert front.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_key_that_the_environment_names_is_who_asks(
    front: Front, key: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.json").write_text(key)
    monkeypatch.setenv(FILE, str(tmp_path / "key.json"))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", front.url)
    with contextlib.closing(GcsProvider()) as provider:
        provider.list(uri)
    assert front.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_server_that_a_service_names_does_not_get_the_identity_of_the_machine(
    connect: Connect, front: Front, key: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.json").write_text(key)
    monkeypatch.setenv(FILE, str(tmp_path / "key.json"))
    connect().list(uri)
    assert all("authorization" not in request.headers for request in front.requests)


def test_a_given_key_is_not_mixed_with_the_environment(
    connect: Connect, front: Front, key: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE, "/does/not/exist.json")
    connect({SECRET: key}).list(uri)
    assert front.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_key_that_was_given_empty_is_no_reason_to_ask_as_the_machine(
    connect: Connect, front: Front, key: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.json").write_text(key)
    monkeypatch.setenv(FILE, str(tmp_path / "key.json"))
    with pytest.raises(errors.AccessDenied, match=SECRET):
        connect({SECRET: ""}).list(uri)
    assert front.requests == []


def test_nobody_asks_where_there_are_no_credentials(connect: Connect, front: Front, uri: str) -> None:
    connect().list(uri)
    assert "authorization" not in front.requests[0].headers


def test_a_file_that_the_environment_names_and_that_is_missing_is_an_error(
    front: Front, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE, "/does/not/exist.json")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", front.url)
    with contextlib.closing(GcsProvider()) as provider, pytest.raises(errors.AccessDenied, match=FILE):
        provider.list(uri)


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"type": "service_account"}', '{"type": "authorized_user"}'])
def test_what_is_no_key_is_refused_unseen(connect: Connect, uri: str, text: str) -> None:
    with pytest.raises(errors.AccessDenied, match=SECRET) as caught:
        connect({SECRET: text}).list(uri)
    assert text not in str(caught.value)


def test_a_key_that_names_programs_or_files_is_taken_from_the_environment_only(connect: Connect, uri: str) -> None:
    key = {"type": "external_account", "credential_source": {"file": "/etc/hostname"}, "token_url": "http://evil"}
    with pytest.raises(errors.AccessDenied, match="external_account"):
        connect({SECRET: json.dumps(key)}).list(uri)


def test_a_refusal_says_what_to_set(connect: Connect, front: Front, uri: str) -> None:
    for status in (401, 403, 403):  # an object that may not be looked up is looked for in a listing
        front.faults.statuses = [status] * 2
        with pytest.raises(errors.AccessDenied, match=SECRET) as caught:
            connect().list(uri)
        assert FILE in str(caught.value)


def test_an_account_that_gets_no_token_is_refused(connect: Connect, tokens: Tokens, key: str, uri: str) -> None:
    tokens.status = 400
    with pytest.raises(errors.AccessDenied, match="gave no token"):
        connect({SECRET: key}).list(uri)


def test_secrets_are_not_shown(
    connect: Connect,
    front: Front,
    tokens: Tokens,
    key: str,
    uri: str,
    private_key: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = connect({SECRET: key})
    (item,) = provider.list(uri)
    list(provider.open_range(item))
    front.faults.refuse = f"no access for {TOKEN}"
    with pytest.raises(errors.AccessDenied) as caught:
        provider.list(uri)
    shown = caplog.text + str(caught.value) + repr(caught.value) + repr(provider.filesystem)
    for secret in (TOKEN, private_key.splitlines()[1], tokens.asked[0]):
        assert secret not in shown


def test_a_redirect_is_not_followed(connect: Connect, front: Front, tokens: Tokens, key: str, uri: str) -> None:
    provider = connect({SECRET: key})
    provider.list(uri)
    asked = len(front.requests)
    front.faults.location = f"{front.url}/elsewhere"
    with pytest.raises(errors.StorageError):
        provider.list(uri)
    assert len(front.requests) == asked + 1


def test_public_addresses_only_refuses_loopback(connect: Connect, front: Front, uri: str) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        connect({"FAIRLEAD_STORAGE_NETWORK": "public"}).list(uri)
    assert front.requests == []


def test_a_name_that_resolves_to_another_address_the_second_time_is_refused(front: Front, uri: str) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])

    def resolve(host: str, port: int, *args: object, **kwargs: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    endpoint = front.url.replace("127.0.0.1", "rebinding.example.com")
    given = {"STORAGE_EMULATOR_HOST": endpoint, "FAIRLEAD_STORAGE_NETWORK": "public"}
    with (
        contextlib.closing(GcsProvider(credentials=given, resolve=resolve)) as provider,
        pytest.raises(errors.UnsafeArtifact),
    ):
        provider.list(uri)
    assert next(answers, None) is None
    assert front.requests == []


def test_an_emulator_that_the_list_of_hosts_does_not_name_is_refused(connect: Connect, front: Front, uri: str) -> None:
    with pytest.raises(errors.UnsafeArtifact, match="FAIRLEAD_STORAGE_HOSTS"):
        connect({"FAIRLEAD_STORAGE_HOSTS": f"gs://{BUCKET}"}).list(uri)
    assert front.requests == []


def test_a_key_may_not_name_a_server_for_tokens_that_is_refused(connect: Connect, key: str, uri: str) -> None:
    steered = {**json.loads(key), "token_uri": "http://169.254.169.254/token"}
    with pytest.raises(errors.UnsafeArtifact):
        connect({SECRET: json.dumps(steered)}).list(uri)
