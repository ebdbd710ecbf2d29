from __future__ import annotations

import base64
import logging
import shutil
import ssl
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_storage_mlflow.provider import MlflowProvider
from fairlead_storage_mlflow_tests.servers import before

if TYPE_CHECKING:
    from fairlead_storage_mlflow_tests.conftest import MakeProvider
    from fairlead_storage_mlflow_tests.servers import Proxy, Tracking

SECRET = "s3cret-token"
BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
LOGIN = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": SECRET}
TOKEN = {"MLFLOW_TRACKING_TOKEN": SECRET}


@pytest.fixture(scope="module")
def run(server: Tracking) -> str:
    return server.run({"model/a.bin": b"aaaa", "model/b.bin": b"bb" * 50_000, "model/empty": b""})


@pytest.mark.parametrize(("credentials", "expected"), [(LOGIN, BASIC), (TOKEN, f"Bearer {SECRET}")])
def test_credentials_are_sent_as_mlflow_sends_them(
    proxy: Proxy, provider: MakeProvider, run: str, credentials: dict[str, str], expected: str
) -> None:
    proxy.faults.authorization = expected
    maker = provider(proxy.url, **credentials)
    items = maker.list(f"runs:/{run}/model")
    assert [item.name for item in items] == ["a.bin", "b.bin", "empty"]
    assert b"".join(maker.open_range(items[0])) == b"aaaa"


def test_credentials_are_found_in_the_environment_and_in_the_home(
    proxy: Proxy, run: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy.faults.authorization = BASIC
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    kept = tmp_path / ".mlflow" / "credentials"
    kept.parent.mkdir()
    kept.write_text(f"[mlflow]\nmlflow_tracking_username = another\nmlflow_tracking_password = {SECRET}\n")
    provider = MlflowProvider()
    assert len(provider.list(f"runs:/{run}/model")) == 3
    provider.close()


def test_given_settings_are_not_mixed_with_credentials_of_the_environment(
    proxy: Proxy, provider: MakeProvider, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.faults.authorization = BASIC
    for name, value in {**LOGIN, **TOKEN}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(errors.AccessDenied, match="MLFLOW_TRACKING_TOKEN"):
        provider(proxy.url).list(f"runs:/{run}/model")
    assert all("Authorization" not in request.headers for request in proxy.requests)


def test_credentials_show_nowhere(
    proxy: Proxy, provider: MakeProvider, run: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy.faults.authorization = "another"
    for credentials in (LOGIN, TOKEN):
        maker = provider(proxy.url, **credentials)
        with pytest.raises(errors.AccessDenied, match="MLFLOW_TRACKING_PASSWORD") as raised:
            maker.list(f"runs:/{run}/model")
        for text in (str(raised.value), repr(maker), caplog.text):
            assert SECRET not in text
            assert BASIC.removeprefix("Basic ") not in text


def test_half_a_login_is_refused(proxy: Proxy, provider: MakeProvider) -> None:
    with pytest.raises(errors.AccessDenied, match="only one"):
        provider(proxy.url, MLFLOW_TRACKING_USERNAME="me").list("runs:/any/model")
    assert proxy.requests == []


def test_another_host_gets_no_credentials(server: Tracking, proxy: Proxy, provider: MakeProvider, run: str) -> None:
    with before(server.url) as other:
        proxy.faults.redirect = other.url
        assert len(provider(proxy.url, **LOGIN).list(f"mlflow-artifacts:/0/{run}/artifacts/model")) == 3
        maker = provider(proxy.url, **LOGIN)
        netloc = other.url.removeprefix("http://")
        assert len(maker.list(f"mlflow-artifacts://{netloc}/0/{run}/artifacts/model")) == 3
        assert proxy.requests[0].headers["Authorization"] == BASIC
        assert other.requests
        assert all("Authorization" not in request.headers for request in other.requests)


def test_a_workspace_is_named_to_the_server(proxy: Proxy, provider: MakeProvider) -> None:
    proxy.faults.replies["/api/2.0/mlflow/model-versions/get-download-uri"] = b'{"artifact_uri": "s3://bucket/0"}'
    assert provider(proxy.url, MLFLOW_WORKSPACE="team-a").resolve("models:/any/1") == "s3://bucket/0"
    assert [request.headers["X-MLFLOW-WORKSPACE"] for request in proxy.requests] == ["team-a"]


def test_a_registry_may_be_another_server(server: Tracking, proxy: Proxy, provider: MakeProvider, run: str) -> None:
    server.register("elsewhere", run, "model")
    maker = provider(server.url, MLFLOW_REGISTRY_URI=proxy.url)
    assert maker.resolve("models:/elsewhere/1") == f"mlflow-artifacts:/0/{run}/artifacts/model"
    assert len(proxy.requests) == 1


def test_certificates_are_those_that_mlflow_is_told_of(
    server: Tracking, provider: MakeProvider, run: str, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is not installed")
    made, key, both = tmp_path / "server.crt", tmp_path / "server.key", tmp_path / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    command += [
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(made),
    ]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + made.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    context.load_verify_locations(made)
    context.verify_mode = ssl.CERT_REQUIRED
    with before(server.url, context) as proxy:
        with pytest.raises(errors.StorageError, match="not trusted"):
            provider(proxy.url).list(f"runs:/{run}/model")
        authority = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(made)}
        with pytest.raises(errors.StorageError):  # the server asks for the client's
            provider(proxy.url, **authority).list(f"runs:/{run}/model")
        maker = provider(proxy.url, **authority, MLFLOW_TRACKING_CLIENT_CERT_PATH=str(both))
        assert len(maker.list(f"runs:/{run}/model")) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_TRACKING_INSECURE_TLS", "true"),
        ("MLFLOW_TRACKING_AWS_SIGV4", "True"),
        ("MLFLOW_TRACKING_AUTH", "a-plugin"),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/nowhere/ca.pem"),
        ("MLFLOW_TRACKING_CLIENT_CERT_PATH", "/nowhere/client.pem"),
    ],
)
def test_what_cannot_be_honoured_is_refused(name: str, value: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=name):
        MlflowProvider(credentials={name: value})


def test_what_is_switched_off_is_no_error(provider: MakeProvider, run: str) -> None:
    maker = provider(MLFLOW_TRACKING_INSECURE_TLS="false", MLFLOW_TRACKING_AWS_SIGV4="0")
    assert len(maker.list(f"runs:/{run}/model")) == 3


@pytest.mark.parametrize(
    "url", ["", "databricks", "sqlite:///store.db", "file:///mlruns", "http://", "http://host:x", "http://host?a=b"]
)
def test_without_a_server_the_remedy_names_the_setting(provider: MakeProvider, url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="MLFLOW_TRACKING_URI"):
        provider(url).list("models:/any/1")


def test_a_password_in_the_address_of_the_server_is_refused_and_not_repeated(provider: MakeProvider) -> None:
    with pytest.raises(errors.UnsafeArtifact) as raised:
        provider(f"http://me:{SECRET}@127.0.0.1").list("models:/any/1")
    assert SECRET not in str(raised.value)


def test_the_policy_public_refuses_a_server_of_this_machine(proxy: Proxy, provider: MakeProvider) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        provider(proxy.url, FAIRLEAD_STORAGE_NETWORK="public").list("models:/any/1")
    assert proxy.requests == []


def test_a_page_is_no_tracking_server(proxy: Proxy, provider: MakeProvider) -> None:
    proxy.faults.page = b"<html>Sign in</html>"
    with pytest.raises(errors.StorageError, match="MLFLOW_TRACKING_URI") as raised:
        provider(proxy.url).list("models:/any/1")
    assert "Sign in" not in str(raised.value)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_fault_of_the_server_may_pass(proxy: Proxy, provider: MakeProvider, run: str, status: int) -> None:
    proxy.faults.statuses = [status]
    maker = provider(proxy.url)
    with pytest.raises(errors.StorageUnavailable):
        maker.list(f"runs:/{run}/model")
    assert len(maker.list(f"runs:/{run}/model")) == 3


def test_tags_of_the_server_tell_of_changes(server: Tracking, provider: MakeProvider) -> None:
    run = server.run({"model/a.bin": b"1111", "model/b.bin": b"2222"})
    before_it = {item.name: item.etag for item in provider().list(f"runs:/{run}/model")}
    server.put(run, "model/a.bin", b"3333")
    after_it = {item.name: item.etag for item in provider().list(f"runs:/{run}/model")}
    assert before_it["a.bin"] != after_it["a.bin"]
    assert before_it["b.bin"] == after_it["b.bin"]


@pytest.mark.parametrize("fault", ["as_a_bucket", "fresh_tags"])
def test_a_server_before_a_bucket_is_read_from_the_start_and_once(
    proxy: Proxy, provider: MakeProvider, run: str, fault: str
) -> None:
    setattr(proxy.faults, fault, True)
    maker = provider(proxy.url)
    items = maker.list(f"runs:/{run}/model")
    assert not any(item.resumable for item in items)
    assert {item.etag for item in items if item.size} == {None}
    probed = [request.path for request in proxy.requests if "Range" in request.headers]
    assert all(path.endswith("a.bin") for path in probed)
    assert [len(b"".join(maker.open_range(item))) for item in items] == [4, 100_000, 0]
    assert b"".join(maker.open_range(items[1], 0, 10)) == b"bb" * 5


def test_a_logged_model_before_a_bucket_is_taken_as_it_is(
    server: Tracking, proxy: Proxy, provider: MakeProvider
) -> None:
    proxy.faults.as_a_bucket = True
    model = f"m-{'c' * 32}"
    server.ask(f"mlflow-artifacts/artifacts/0/models/{model}/artifacts/MLmodel", b"flavors: {}", "PUT")
    uri = f"mlflow-artifacts:/0/models/{model}/artifacts"
    first, second = (provider(proxy.url).list(uri) for _ in range(2))
    assert first == second
    assert first[0].etag is not None
    assert model in first[0].etag


def test_an_artefact_that_is_cut_off_may_pass(proxy: Proxy, provider: MakeProvider, run: str) -> None:
    maker = provider(proxy.url)
    (item,) = maker.list(f"runs:/{run}/model/b.bin")
    proxy.faults.cut_at = 1000
    with pytest.raises(errors.StorageUnavailable):
        list(maker.open_range(item))


def test_an_artefact_of_another_length_is_another(server: Tracking, proxy: Proxy, provider: MakeProvider) -> None:
    proxy.faults.as_a_bucket = True
    run = server.run({"model/a.bin": b"1111"})
    maker = provider(proxy.url)
    (item,) = maker.list(f"runs:/{run}/model")
    server.put(run, "model/a.bin", b"55555")
    with pytest.raises(errors.IntegrityError):
        list(maker.open_range(item))


def test_closing_ends_a_question_that_waits(proxy: Proxy, provider: MakeProvider) -> None:
    proxy.faults.hold = threading.Event()
    maker = provider(proxy.url, timeout=60.0)

    def close() -> None:
        while not proxy.requests:
            pass
        maker.close()

    closing = threading.Thread(target=close)
    closing.start()
    try:
        with pytest.raises(errors.StorageUnavailable):
            maker.list("models:/any/1")
    finally:
        proxy.faults.hold.set()
        closing.join()


def test_names_that_the_server_makes_up_are_names_only(proxy: Proxy, provider: MakeProvider) -> None:
    listing = "/api/2.0/mlflow-artifacts/artifacts"
    proxy.faults.as_a_bucket = True
    proxy.faults.replies[listing] = b'{"files": [{"path": "../../evil", "is_dir": false, "file_size": "4"}]}'
    with pytest.raises(errors.ArtifactNotFound):  # it is asked for as `evil`, which is not there
        provider(proxy.url).list("mlflow-artifacts:/0/model")
    for nonsense in (b'{"files": [{"is_dir": false}]}', b'{"files": [5]}', b"[]", b"nothing"):
        proxy.faults.replies[listing] = nonsense
        with pytest.raises(errors.StorageError):
            provider(proxy.url).list("mlflow-artifacts:/0/model")
