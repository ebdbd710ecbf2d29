"""Who asks, and that nobody else learns of it."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import logging
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_storage_azure.credentials import Request, SharedKey
from fairlead_storage_azure_tests import front as fronts
from fairlead_storage_azure_tests.azurite import ACCOUNT, CONTAINER, PUBLIC, Azurite

if TYPE_CHECKING:
    from fairlead_storage_azure_tests.conftest import Connect
    from fairlead_storage_azure_tests.front import Front

TOKEN = "eyJ0.the-token"
PRINCIPAL = {"AZURE_CLIENT_ID": "reader", "AZURE_CLIENT_SECRET": "hush-hush", "AZURE_TENANT_ID": "some-tenant"}


@pytest.fixture
def uri(azurite: Azurite) -> str:
    azurite.put("credentials/model.bin", b"content")
    return f"az://{CONTAINER}/credentials/model.bin"


@pytest.fixture
def open_uri(azurite: Azurite) -> str:
    azurite.put("credentials/model.bin", b"content", container=PUBLIC)
    return f"az://{PUBLIC}/credentials/model.bin"


@pytest.fixture
def here(front: Front) -> dict[str, str]:
    """Where the account is, and not who asks."""
    return {"AZURE_SERVICE_URL": f"{front.url}/{ACCOUNT}", "AZURE_ACCOUNT_NAME": ACCOUNT}


def _signature(azurite: Azurite) -> str:
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    kinds, may = ResourceTypes(container=True, object=True), AccountSasPermissions(read=True, list=True)
    return str(generate_account_sas(ACCOUNT, azurite.key, kinds, may, until, protocol="https,http"))


# -- keys and signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY"])
def test_a_key_of_the_account_is_who_asks(
    connect: Connect, azurite: Azurite, here: dict[str, str], uri: str, key: str
) -> None:
    provider = connect({**here, key: azurite.key})
    (item,) = provider.list(uri)
    assert b"".join(provider.open_range(item)) == b"content"


@pytest.mark.parametrize("signed", [False, True])
def test_a_connection_string_says_where_and_who(
    connect: Connect, azurite: Azurite, front: Front, uri: str, signed: bool
) -> None:
    who = f"SharedAccessSignature={_signature(azurite)}" if signed else f"AccountKey={azurite.key}"
    text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};{who};BlobEndpoint={front.url}/{ACCOUNT};"
    (item,) = connect({"AZURE_STORAGE_CONNECTION_STRING": text}).list(uri)
    assert item.size == 7


def test_a_signature_in_the_address_is_who_asks_and_is_not_shown(
    connect: Connect, azurite: Azurite, here: dict[str, str], front: Front, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signature = _signature(azurite)
    address = f"https://{ACCOUNT}.blob.core.windows.net/{CONTAINER}/credentials"
    provider = connect(here)
    items = [item for where in (address, uri) for item in provider.list(f"{where}?{signature}")]
    assert [b"".join(provider.open_range(item)) for item in items] == [b"content"] * 2
    with pytest.raises(errors.ArtifactNotFound) as missing:
        provider.list(f"{address}/missing?{signature}")
    front.faults.statuses = [403]
    with pytest.raises(errors.AccessDenied) as denied:
        provider.list(f"{address}?{signature}")
    shown = f"{missing.value} {denied.value} {items!r} {caplog.text}"
    assert signature.partition("sig=")[2].partition("&")[0] not in shown


def test_a_signature_is_kept_nowhere(azurite: Azurite, uri: str, tmp_path: Path) -> None:
    signature = _signature(azurite)
    given = {"AZURE_SERVICE_URL": azurite.url, "AZURE_ACCOUNT_NAME": ACCOUNT}
    address = f"https://{ACCOUNT}.blob.core.windows.net/{CONTAINER}/credentials?{signature}"
    settings = FetchSettings(cache=tmp_path, credentials=given)
    artifact = Fetcher(Plugins.discover(), settings, SilentProgress()).fetch(address)
    assert (artifact.path / "model.bin").read_bytes() == b"content"
    secret = signature.partition("sig=")[2].partition("&")[0].encode()
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not any(secret in path.read_bytes() for path in kept)


def test_a_signature_for_the_account_is_who_asks(
    connect: Connect, azurite: Azurite, here: dict[str, str], uri: str
) -> None:
    (item,) = connect({**here, "AZURE_STORAGE_SAS_TOKEN": f"?{_signature(azurite)}"}).list(uri)
    assert item.size == 7


def test_a_public_container_is_read_by_anybody(
    connect: Connect, here: dict[str, str], front: Front, open_uri: str
) -> None:
    provider = connect(here)
    (item,) = provider.list(open_uri)
    assert b"".join(provider.open_range(item)) == b"content"
    assert all("authorization" not in request.headers for request in front.requests)


def test_a_private_container_says_what_to_set(connect: Connect, here: dict[str, str], uri: str) -> None:
    with pytest.raises((errors.AccessDenied, errors.ArtifactNotFound), match="AZURE_STORAGE_ACCESS_KEY"):
        connect(here).list(uri)


def test_a_wrong_key_is_denied_unseen(connect: Connect, here: dict[str, str], uri: str) -> None:
    key = base64.b64encode(b"a wrong key").decode()
    with pytest.raises(errors.AccessDenied, match="AZURE_STORAGE_ACCESS_KEY") as caught:
        connect({**here, "AZURE_STORAGE_ACCESS_KEY": key}).list(uri)
    assert key not in str(caught.value)


def test_a_signature_covers_headers_and_query_in_their_order() -> None:
    key = SharedKey(ACCOUNT, base64.b64encode(b"key").decode())
    fields = {"x-ms-version": "1", "X-MS-Date": "now", "If-Match": '"a"'}
    one = key.headers(Request("GET", "/zoo", {"restype": "container", "comp": "list"}, fields))
    other = key.headers(
        Request("GET", "/zoo", {"comp": "list", "restype": "container"}, dict(reversed(fields.items())))
    )
    assert one == other
    assert one != key.headers(Request("GET", "/zoo", {"comp": "list"}, fields))
    assert one != key.headers(
        Request("GET", "/zoo", {"restype": "container", "comp": "list"}, {**fields, "If-Match": "b"})
    )


# -- what is given, and what the environment says ---------------------------------------------------------


def test_the_environment_is_read_where_nothing_is_given(
    connect: Connect, azurite: Azurite, front: Front, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in azurite.credentials_at(f"{front.url}/{ACCOUNT}").items():
        monkeypatch.setenv(name, value)
    (item,) = connect({"FAIRLEAD_STORAGE_NETWORK": "any"}).list(uri)
    assert item.size == 7


def test_the_environment_is_not_read_where_anything_is_given(
    connect: Connect, azurite: Azurite, here: dict[str, str], front: Front, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCESS_KEY", azurite.key)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName={ACCOUNT};AccountKey={azurite.key}")
    with pytest.raises((errors.AccessDenied, errors.ArtifactNotFound)):
        connect(here).list(uri)
    assert all("authorization" not in request.headers for request in front.requests)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"AZURE_STORAGE_ACCESS_KEY": ""}, "AZURE_STORAGE_ACCESS_KEY is empty"),
        ({"AZURE_STORAGE_ACCESS_KEY": "no base64"}, "not in base64"),
        ({"AZURE_STORAGE_CONNECTION_STRING": "nonsense"}, "names no account"),
        ({"AZURE_STORAGE_CONNECTION_STRING": "AccountName=other;AccountKey=a2V5"}, "another storage account"),
        ({"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"}, "UseDevelopmentStorage"),
        ({"AZURE_CLIENT_ID": "reader"}, "without AZURE_CLIENT_SECRET"),
        ({"AZ_CLIENT_ID": "reader", "AZ_CLIENT_SECRET": "hush"}, "without AZURE_TENANT_ID"),
        ({"AZURE_TENANT_ID": "some-tenant"}, "its client is missing"),
        ({"AZURE_ACCESS_TOKEN": TOKEN, "AZURE_ACCESS_EXPIRES_ON_SECONDS": "1"}, "has expired"),
        ({"AZURE_ACCESS_TOKEN": TOKEN, "AZURE_ACCESS_EXPIRES_ON_SECONDS": "soon"}, "not a number of seconds"),
        ({"AZURE_SERVICE_URL": "ftp://x", "AZURE_ACCOUNT_NAME": "models"}, "AZURE_SERVICE_URL"),
    ],
)
def test_credentials_that_do_not_suffice_say_why(connect: Connect, given: dict[str, str], said: str) -> None:
    with pytest.raises(errors.StorageError, match=said) as caught:
        connect(given).list(f"https://{ACCOUNT}.blob.core.windows.net/{CONTAINER}/model")
    assert not any(secret in str(caught.value) for secret in ("hush", TOKEN, "a2V5", "no base64"))


def test_an_address_without_an_account_says_what_to_set(connect: Connect) -> None:
    with pytest.raises(errors.StorageError, match="AZURE_ACCOUNT_NAME"):
        connect({}).list(f"az://{CONTAINER}/model")


def test_a_token_is_not_sent_over_a_connection_that_is_not_encrypted(
    connect: Connect, here: dict[str, str], front: Front, uri: str
) -> None:
    with pytest.raises(errors.AccessDenied, match="not encrypted"):
        connect({**here, "AZURE_ACCESS_TOKEN": TOKEN}).list(uri)
    assert front.requests == []


def test_public_addresses_only_refuses_loopback(connect: Connect, azurite: Azurite, front: Front, uri: str) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        connect({**azurite.credentials_at(f"{front.url}/{ACCOUNT}"), "FAIRLEAD_STORAGE_NETWORK": "public"}).list(uri)
    assert front.requests == []


def test_an_endpoint_that_the_list_of_hosts_does_not_name_is_refused(
    connect: Connect, azurite: Azurite, front: Front, uri: str
) -> None:
    given = {**azurite.credentials_at(f"{front.url}/{ACCOUNT}"), "FAIRLEAD_STORAGE_HOSTS": f"az://{CONTAINER}"}
    with pytest.raises(errors.UnsafeArtifact, match="FAIRLEAD_STORAGE_HOSTS"):
        connect(given).list(uri)
    assert front.requests == []


def test_a_redirect_to_another_server_gets_no_secret(
    connect: Connect, azurite: Azurite, front: Front, uri: str
) -> None:
    with fronts.standing(azurite.port) as other:
        front.faults.location = f"{other.url}/{ACCOUNT}/{CONTAINER}/credentials/model.bin"
        with pytest.raises(errors.StorageError):
            connect().list(uri)
        assert "authorization" in front.requests[0].headers
        assert all("authorization" not in request.headers for request in other.requests)


# -- tokens, over connections that are encrypted ----------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate for this machine and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def secure(azurite: Azurite, tls: ssl.SSLContext) -> Iterator[Front]:
    """A server that asks for the token, before a container that is public."""
    with fronts.standing(azurite.port, tls) as front:
        front.faults.token = TOKEN
        yield front


class _Entra(BaseHTTPRequestHandler):
    """What gives tokens to service principals."""

    asked: list[str]
    status: int

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        return

    def do_GET(self) -> None:
        at = f"https://{self.headers['Host']}/{PRINCIPAL['AZURE_TENANT_ID']}"
        self._answer(
            200,
            {
                "token_endpoint": f"{at}/oauth2/v2.0/token",
                "authorization_endpoint": f"{at}/oauth2/v2.0/authorize",
                "issuer": f"{at}/v2.0",
            },
        )

    def do_POST(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        given: dict[str, object] = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        refused: dict[str, object] = {
            "error": "invalid_client",
            "error_description": "AADSTS7000215: hush-hush is no secret",
        }
        self._answer(self.status, given if self.status == 200 else refused)

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def entra(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Entra]]:
    handler = type("Entra", (_Entra,), {"asked": [], "status": 200})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", f"https://localhost:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def _at(front: Front) -> dict[str, str]:
    return {"AZURE_SERVICE_URL": f"{front.url}/{ACCOUNT}", "AZURE_ACCOUNT_NAME": ACCOUNT}


def test_a_token_that_is_given_is_who_asks(connect: Connect, secure: Front, open_uri: str) -> None:
    given = {"AZURE_ACCESS_TOKEN": TOKEN, "AZURE_ACCESS_EXPIRES_ON_SECONDS": str(time.time() + 3600)}
    provider = connect({**_at(secure), **given})
    (item,) = provider.list(open_uri)
    assert b"".join(provider.open_range(item)) == b"content"


@pytest.mark.parametrize("start", ["AZURE_", "AZ_"])
def test_a_service_principal_is_who_asks(
    connect: Connect, secure: Front, entra: type[_Entra], open_uri: str, start: str
) -> None:
    principal = {name.replace("AZURE_", start): value for name, value in PRINCIPAL.items()}
    provider = connect({**_at(secure), **principal, f"{start}SUBSCRIPTION_ID": "some-subscription"})
    (item,) = provider.list(open_uri)
    assert b"".join(provider.open_range(item)) == b"content"
    (asked,) = entra.asked
    assert "client_id=reader" in asked
    assert "storage.azure.com" in asked


def test_an_identity_of_the_environment_is_who_asks(
    connect: Connect, secure: Front, entra: type[_Entra], open_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**_at(secure), **PRINCIPAL}.items():
        monkeypatch.setenv(name, value)
    (item,) = connect({}).list(open_uri)
    assert item.size == 7


def test_a_service_principal_that_gets_no_token_is_denied_unseen(
    connect: Connect, secure: Front, entra: type[_Entra], open_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    entra.status = 401
    with pytest.raises(errors.AccessDenied, match="gave no token") as caught:
        connect({**_at(secure), **PRINCIPAL}).list(open_uri)
    assert "hush-hush" not in "".join(traceback.format_exception(caught.value))
    assert "hush-hush" not in caplog.text
    assert secure.requests == []
