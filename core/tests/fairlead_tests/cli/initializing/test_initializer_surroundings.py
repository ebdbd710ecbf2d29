"""What the program finds around it: volumes that are mounted, and the variables of its container."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_tests.cli.initializing.running import Initializer, fetched, refused
from fairlead_tests.plugins.distributions import Site
from fairlead_tests.storage.server import Server, contents, serving

LATER = "/mnt/models/of-a-test-that-nobody-has-put-there"


# -- paths of this machine ------------------------------------------------------------------------------


def test_files_of_a_mounted_volume_are_linked(initializer: Initializer, tmp_path: Path, target: Path) -> None:
    source = tmp_path / "claim" / "iris"
    (source / "labels").mkdir(parents=True)
    (source / "model.bin").write_bytes(b"x")
    (source / "labels" / "names.txt").write_bytes(b"y")
    fetched(initializer(source, target))
    assert {path.name: path.readlink() for path in target.iterdir()} == {
        "labels": source / "labels",
        "model.bin": source / "model.bin",
    }
    fetched(initializer(f"file://{source}/model.bin", target / "one"))
    assert (target / "one" / "model.bin").readlink() == source / "model.bin"


def test_files_that_are_where_they_have_to_be_stay(initializer: Initializer, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "model.bin").write_bytes(b"x")
    fetched(initializer(target, target))
    fetched(initializer(target / "model.bin", target))
    assert contents(target) == {"model.bin": b"x"}
    assert not (target / "model.bin").is_symlink()


def test_a_folder_within_its_source_is_refused(initializer: Initializer, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "model.bin").write_bytes(b"x")
    refused(initializer(target, target / "below"), str(target / "below"), "is within")


def test_models_that_come_while_the_server_runs_are_not_waited_for(initializer: Initializer, target: Path) -> None:
    ran = initializer(LATER, target)
    fetched(ran)
    assert "while the server runs" in ran.said
    assert contents(target) == {}


def test_a_path_that_is_not_there_is_an_error(initializer: Initializer, tmp_path: Path, target: Path) -> None:
    refused(initializer("/mnt/pvc/of-a-test/iris", target), "/mnt/pvc/of-a-test/iris", "within the claim")
    refused(initializer(tmp_path / "nothing", target), f"There is nothing at {tmp_path / 'nothing'}")


def test_patterns_choose_among_files_that_are_linked(initializer: Initializer, tmp_path: Path, target: Path) -> None:
    source = tmp_path / "claim"
    (source / "deep").mkdir(parents=True)
    for name in ("model.bin", "notes.md", "deep/labels.txt", "deep/notes.md"):
        (source / name).write_bytes(b"x")
    fetched(initializer(source, target, STORAGE_IGNORE_PATTERNS="*.md"))
    assert contents(target) == {"model.bin": b"x", "deep/labels.txt": b"x"}
    assert (target / "deep" / "labels.txt").readlink() == source / "deep" / "labels.txt"


# -- variables ------------------------------------------------------------------------------------------


def test_the_container_as_kserve_writes_it_fetches_and_warns_once(
    initializer: Initializer, server: Server, target: Path, tmp_path: Path
) -> None:
    variables = {
        "CA_BUNDLE_CONFIGMAP_NAME": "authorities",
        "CA_BUNDLE_VOLUME_MOUNT_POINT": str(tmp_path / "nothing"),
        "CONFIDENTIAL_ENABLED": "false",
        "HF_HUB_ENABLE_HF_TRANSFER": "1",
        "HF_XET_HIGH_PERFORMANCE": "1",
        "HF_XET_NUM_CONCURRENT_RANGE_GETS": "8",
        "FAIRLEAD_CACHE_PORT": "tcp://10.0.0.1:80",  # of a Service that is called fairlead-cache
        "FAIRLEAD_CACHE_SERVICE_HOST": "10.0.0.1",
        "TMPDIR": str(tmp_path / "nothing"),
    }
    ran = initializer(server.put("/model.bin", b"x"), target, **variables)
    fetched(ran)
    assert contents(target) == {"model.bin": b"x"}
    (warning,) = [line for line in ran.said.splitlines() if line.startswith("WARNING")]
    assert str(tmp_path / "nothing" / "cabundle.crt") in warning
    assert "authorities" in warning


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A folder with a certificate for 127.0.0.1 that it has signed itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so no certificate can be made")
    folder = tmp_path / "custom-certs"
    folder.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tests", "-days", "2"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cabundle.crt")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def secure(authority: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "cabundle.crt", authority / "key.pem")
    with serving("127.0.0.1", context) as server:
        yield server


def test_the_authorities_of_a_mounted_config_map_are_trusted(
    initializer: Initializer, secure: Server, authority: Path, target: Path
) -> None:
    uri = secure.put("/model.bin", b"x")
    refused(initializer(uri, target), "127.0.0.1", "not trusted")
    mounted = {"CA_BUNDLE_CONFIGMAP_NAME": "authorities", "CA_BUNDLE_VOLUME_MOUNT_POINT": str(authority)}
    file = authority / "cabundle.crt"
    broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    file.write_text(f"# Ünsere\n{broken}{file.read_text()}")
    ran = initializer(uri, target, **mounted)
    fetched(ran)
    assert contents(target) == {"model.bin": b"x"}
    assert "1 certificates that can be read, and 1 that cannot" in ran.said
    file.write_text(broken)
    refused(initializer(uri, target, **mounted), "not trusted")


PLUGIN = """
from fairlead import StorageSpec, hookimpl

@hookimpl
def fairlead_storage_providers():
    factory = "{package}.work:Notes"
    return [StorageSpec(name={name!r}, prefixes=("notes://",), factory=factory, credentials=("AWS_*", "S3_*"))]
"""

PROVIDER = """
import json
from fairlead import RemoteObject, StorageProvider

class Notes(StorageProvider):
    def list(self, uri):
        return [RemoteObject(name="given.json", key=uri)]

    def open_range(self, item, start=0, end=None):
        yield json.dumps(self.credentials).encode()[start:end]
"""


@pytest.fixture
def notes(tmp_path: Path, initializer: Initializer) -> Site:
    """A provider whose one object is what it was given."""
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    site.install("notes", plugin=PLUGIN, work=PROVIDER, group="fairlead.storage")
    path = initializer.environ.get("PYTHONPATH")
    initializer.environ["PYTHONPATH"] = f"{site.folder}:{path}" if path else str(site.folder)
    return site


ENTRY = {"type": "s3", "access_key_id": "key", "secret_access_key": "s3cr3t", "region": "here", "bucket": "models"}


@pytest.mark.usefixtures("notes")
def test_a_provider_is_given_the_entry_of_the_storage_secret_and_what_is_laid_over_it(
    initializer: Initializer, target: Path
) -> None:
    variables = {"STORAGE_CONFIG": json.dumps(ENTRY), "STORAGE_OVERRIDE_CONFIG": json.dumps({"region": "there"})}
    ran = initializer("notes://one", target, **variables)
    fetched(ran)
    given = json.loads((target / "given.json").read_bytes())
    assert given == {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_DEFAULT_REGION": "there"}
    assert "s3cr3t" not in ran.said


@pytest.mark.usefixtures("notes")
def test_what_is_laid_over_an_entry_counts_without_one_and_variables_are_left_to_providers(
    initializer: Initializer, target: Path
) -> None:
    override = json.dumps({"type": "s3", "bucket": "models", "region": "there"})
    fetched(initializer("notes://one", target, STORAGE_OVERRIDE_CONFIG=override, AWS_ACCESS_KEY_ID="another"))
    assert json.loads((target / "given.json").read_bytes()) == {"AWS_DEFAULT_REGION": "there"}


@pytest.mark.parametrize("text", ["s3cr3t", '["s3cr3t"]', '{"type": "ftp", "password": "s3cr3t"}'])
def test_an_entry_that_cannot_be_read_is_refused_and_not_shown(
    initializer: Initializer, server: Server, target: Path, text: str
) -> None:
    ran = initializer(server.put("/model.bin", b"x"), target, STORAGE_CONFIG=text)
    refused(ran)
    assert "s3cr3t" not in ran.said
    assert server.requests == []


def test_headers_for_a_host_are_sent_to_it(initializer: Initializer, server: Server, target: Path) -> None:
    headers = json.dumps({"Authorization": "Bearer s3cr3t"})
    ran = initializer(server.put("/model.bin", b"x"), target, **{"127.0.0.1-headers": headers})
    fetched(ran)
    assert {request.headers.get("Authorization") for request in server.requests} == {"Bearer s3cr3t"}
    assert "s3cr3t" not in ran.said


def test_a_pattern_does_not_hold_back_an_object_that_the_address_names(
    initializer: Initializer, server: Server, target: Path
) -> None:
    uri = server.put("/model.bin", b"x")
    fetched(initializer(uri, target, STORAGE_ALLOW_PATTERNS='["*.safetensors"]'))
    assert contents(target) == {"model.bin": b"x"}
