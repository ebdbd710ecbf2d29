"""TLS and mutual TLS, with certificates that openssl makes for the test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead import errors
from fairlead.grpc.credentials import credentials_of
from fairlead.settings import ServerSettings
from fairlead.testing import running_server
from fairlead_tests import models
from fairlead_tests.grpc.asking import body, code_of, infer

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificates, is not installed")


def openssl(*arguments: str | Path) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *arguments], check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    """A certificate that signs others: ``name.crt`` and ``name.key``."""
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    openssl(*new, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")


def certificate(folder: Path, name: str, signer: str) -> None:
    """A certificate for 127.0.0.1 that an authority has signed."""
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    openssl(
        *(*new, "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-CA", folder / f"{signer}.crt", "-CAkey", folder / f"{signer}.key"),
        *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "theirs"):
        authority(made, name)
    certificate(made, "server", "ours")
    certificate(made, "client", "ours")
    certificate(made, "stranger", "theirs")
    return made


def asked(address: str | None, folder: Path, client: str | None = None) -> str:
    """The answer to one call over TLS; the code of its failure otherwise."""
    pair = [(folder / f"{client}.{end}").read_bytes() for end in ("key", "crt")] if client else [None, None]
    credentials = grpc.ssl_channel_credentials((folder / "ours.crt").read_bytes(), *pair)
    assert address is not None
    with grpc.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            return str(infer(channel, body("m")).model_name)
        except grpc.RpcError as error:
            return code_of(error).name


def test_a_server_with_a_certificate_speaks_tls_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    files: dict[str, Any] = {"grpc_tls_cert": str(folder / "server.crt"), "grpc_tls_key": str(folder / "server.key")}
    with running_server({"m": models.write(tmp_path, models.ECHO)}, grpc=True, **files) as running:
        assert asked(running.grpc_address, folder) == "m"
        assert running.grpc_address is not None
        with grpc.insecure_channel(running.grpc_address) as channel, pytest.raises(grpc.RpcError) as raised:
            infer(channel, body("m"))
        assert code_of(raised.value) is grpc.StatusCode.UNAVAILABLE


def test_a_server_with_an_authority_answers_its_clients_only(folder: Path, tmp_path: Path) -> None:
    files: dict[str, Any] = {
        "grpc_tls_cert": str(folder / "server.crt"),
        "grpc_tls_key": str(folder / "server.key"),
        "grpc_tls_client_ca": str(folder / "ours.crt"),
    }
    with running_server({"m": models.write(tmp_path, models.ECHO)}, grpc=True, **files) as running:
        assert asked(running.grpc_address, folder, "client") == "m"
        assert asked(running.grpc_address, folder) == "UNAVAILABLE"
        assert asked(running.grpc_address, folder, "stranger") == "UNAVAILABLE"


def test_files_that_do_not_make_a_pair_are_said(folder: Path, tmp_path: Path) -> None:
    def refusal(**files: str) -> str:
        named: dict[str, Any] = {f"grpc_tls_{name}": value for name, value in files.items()}
        settings = ServerSettings(**named)
        with pytest.raises(errors.ConfigurationError) as raised:
            credentials_of(settings)
        return str(raised.value)

    server, key = str(folder / "server.crt"), str(folder / "server.key")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    assert "both" in refusal(cert=server)
    assert "both" in refusal(client_ca=server)
    assert "No such file" in refusal(cert=server, key=str(tmp_path / "nothing"))
    assert "do not fit together" in refusal(cert=server, key=str(folder / "client.key"))
    assert "do not fit together" in refusal(cert=str(text), key=key)
    assert "holds no certificates" in refusal(cert=server, key=key, client_ca=str(text))
    locked = folder / "locked.key"
    openssl("ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked)
    assert "has a password" in refusal(cert=server, key=str(locked))
    assert credentials_of(ServerSettings()) is None
