"""The places that models live in: one model behind each kind of address, and what opens it.

The servers are those of the plugins' own tests. Each is started when the first address on it is asked for.
"""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import dataclasses
import functools
import io
import json
import tarfile
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import joblib
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sklearn.dummy import DummyRegressor

if TYPE_CHECKING:
    from fairlead_storage_azure_tests.azurite import Azurite
    from fairlead_storage_hdfs_tests.hadoop import Cluster
    from fairlead_storage_oci_tests.registries import Registry

__all__ = ["SCHEMES", "SECRET", "Place", "Storages", "packed"]

SECRET: Final = "b3h1nd-the-door"
"""Every password and token here; it must be nowhere but in requests."""

# That of the registry, by bcrypt, which is the only form that it reads.
_HTPASSWD: Final = "ada:$2b$04$abcdefghijklmnopqrstuuEfvdd/rt8u02GqMWR9mjGb/RhzmMsLu\n"
_NAME: Final = "model.joblib"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a model is.

    Attributes:
        uri: its address.
        value: what it answers.
        environ: variables with which a process may read it.
        secret: the texts of a Secret with which a service may.
        kind: the type of that Secret.
    """

    uri: str
    value: float
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)
    secret: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kind: str = "Opaque"


class Storages:
    """Starts servers, and puts models onto them.

    Args:
        folder: for whatever is on disk.
        stack: ends the servers.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
        self._places: dict[str, concurrent.futures.Future[Place]] = {}

    def begin(self, scheme: str) -> None:
        """Start the server of a scheme beside whatever else is done."""
        self._places[scheme] = self._pool.submit(SCHEMES[scheme], self)

    def place(self, scheme: str) -> Place:
        """The place of a scheme; the test is skipped where its server cannot be started."""
        if scheme not in self._places:
            made: concurrent.futures.Future[Place] = concurrent.futures.Future()
            try:
                made.set_result(SCHEMES[scheme](self))
            except pytest.skip.Exception as skipped:
                made.set_exception(skipped)
            self._places[scheme] = made
        return self._places[scheme].result()

    def folder(self, name: str) -> Path:
        made = self._folder / name
        made.mkdir()
        return made

    # -- servers that several schemes share -------------------------------------------------------------

    @functools.cached_property
    def azurite(self) -> Azurite:
        from fairlead_storage_azure_tests import azurite

        return self._stack.enter_context(azurite.running())

    @functools.cached_property
    def cluster(self) -> Cluster:
        from fairlead_storage_hdfs_tests import hadoop

        return self._stack.enter_context(hadoop.running())

    @functools.cached_property
    def registries(self) -> tuple[Registry, Registry]:
        """One to push to, and one that shows the same to whoever logs in."""
        from fairlead_storage_oci_tests import registries

        contents, guarded = self.folder("contents"), self.folder("guarded")
        (guarded / "htpasswd").write_text(_HTPASSWD)
        auth = {"htpasswd": {"realm": "tests", "path": str(guarded / "htpasswd")}}
        pushed = self._stack.enter_context(registries.running(self.folder("pushed"), contents))
        return pushed, self._stack.enter_context(registries.running(guarded, contents, auth=auth))

    # -- places -----------------------------------------------------------------------------------------

    def file(self) -> Place:
        folder = self.folder("file")
        (folder / _NAME).write_bytes(_model(1.0))
        return Place(f"file://{folder}", 1.0)

    def http(self) -> Place:
        server = self._serve(_archive_handler(packed({_NAME: _model(2.0)})))
        headers = json.dumps({"Authorization": f"Bearer {SECRET}"})
        return Place(
            f"{server}/iris.tar.gz",
            2.0,
            {"127.0.0.1-headers": headers},
            {"https-host": "127.0.0.1", "headers": headers},
        )

    def s3(self) -> Place:
        from fairlead_storage_s3_tests import bucket

        keys = bucket.credentials((server := self._stack.enter_context(bucket.serving())).url)
        self._stack.callback(server.client.close)
        return Place(server.bucket().place({_NAME: _model(3.0)}), 3.0, keys, keys)

    def gs(self) -> Place:
        from fairlead_storage_gcs_tests import emulator, front

        running = self._stack.enter_context(emulator.running())
        before = self._stack.enter_context(front.standing(running))
        endpoint = {"STORAGE_EMULATOR_HOST": before.url}
        key = _account_key(self._serve(_TokenHandler))
        (self._folder / "key.json").write_text(key)
        environ = {**endpoint, "GOOGLE_APPLICATION_CREDENTIALS": str(self._folder / "key.json")}
        uri = running.place({_NAME: _model(4.0)})
        return Place(uri, 4.0, environ, {**endpoint, "gcloud-application-credentials.json": key})

    def azure(self) -> Place:
        self.azurite.put(f"https/{_NAME}", _model(5.0))
        given = self.azurite.credentials
        return Place("https://models.blob.core.windows.net/zoo/https", 5.0, given, given)

    def az(self) -> Place:
        self.azurite.put(f"az/{_NAME}", _model(6.0))
        return Place("az://zoo/az", 6.0, self.azurite.credentials, self.azurite.credentials)

    def hf(self) -> Place:
        from fairlead_storage_huggingface_tests import hub

        running = self._stack.enter_context(hub.serving())
        running.tokens.add(SECRET)
        running.repo("models/iris", {_NAME: _model(7.0)}, private=True)
        given = {"HF_ENDPOINT": running.url, "HF_TOKEN": SECRET}
        return Place("hf://models/iris", 7.0, given, given)

    def oci_artefact(self) -> Place:
        from fairlead_storage_oci_tests import images

        pushed, guarded = self.registries
        images.files(pushed, "iris", "artefact", {_NAME: _model(8.0)})
        return self._of_registry(f"oci://{guarded.host}/iris:artefact", 8.0)

    def oci_image(self) -> Place:
        from fairlead_storage_oci_tests import images

        pushed, guarded = self.registries
        images.image(pushed, "iris", "image", {"etc/os-release": b"ID=none"}, {f"models/{_NAME}": _model(9.0)})
        return self._of_registry(f"oci://{guarded.host}/iris:image", 9.0)

    def _of_registry(self, uri: str, value: float) -> Place:
        _, guarded = self.registries
        config = json.dumps({"auths": {guarded.host: {"username": "ada", "password": SECRET}}})
        (self._folder / "config.json").write_text(config)
        environ = {"KSERVE_OCI_DOCKER_CONFIG": str(self._folder / "config.json")}
        return Place(uri, value, environ, {".dockerconfigjson": config}, "kubernetes.io/dockerconfigjson")

    def hdfs(self) -> Place:
        return self._of_cluster("hdfs://models/hdfs", "hdfs", 10.0)

    def webhdfs(self) -> Place:
        return self._of_cluster("webhdfs://models/webhdfs", "webhdfs", 11.0)

    def _of_cluster(self, uri: str, name: str, value: float) -> Place:
        self.cluster.put(f"/models/{name}/{_NAME}", _model(value))
        self.cluster.private["/models"] = "alice"
        self.cluster.proxies["fairlead"] = {"alice"}
        given = {"HDFS_NAMENODE": self.cluster.urls[0], "HADOOP_USER_NAME": "fairlead", "USER_PROXY": "alice"}
        return Place(uri, value, given, given)

    def git_file(self) -> Place:
        return Place(f"git+file://{self._repository('file.git', 12.0)}@main#subdirectory=iris", 12.0)

    def git_http(self) -> Place:
        from fairlead_storage_git_tests import servers

        path = self._repository("http.git", 13.0)
        server = self._stack.enter_context(servers.serving(path.parent, "dulwich"))
        server.faults.login = ("ada", SECRET)
        given = {"GIT_USERNAME": "ada", "GIT_PASSWORD": SECRET}
        return Place(f"git+{server.url}/http.git#subdirectory=iris", 13.0, given, given)

    def _repository(self, name: str, value: float) -> Path:
        from fairlead_storage_git_tests import repositories

        repository = repositories.Repository(self._folder / name)
        repository.commit({f"iris/{_NAME}": _model(value), "README.md": b"flowers"})
        repository.close()
        return repository.path

    def mlflow(self) -> Place:
        from fairlead_storage_mlflow_tests import servers

        tracking = self._stack.enter_context(servers.tracking(self.folder("mlflow")))
        run = tracking.run({f"model/{_NAME}": _model(14.0)})
        version = tracking.register("iris", run, "model")
        proxy = self._stack.enter_context(servers.before(tracking.url))
        proxy.faults.authorization = f"Basic {base64.b64encode(f'ada:{SECRET}'.encode()).decode()}"
        given = {"MLFLOW_TRACKING_URI": proxy.url, "MLFLOW_TRACKING_USERNAME": "ada"}
        given["MLFLOW_TRACKING_PASSWORD"] = SECRET
        return Place(f"models:/iris/{version}", 14.0, given, given)

    def _serve(self, handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self._stack.callback(server.server_close)
        self._stack.callback(thread.join)
        self._stack.callback(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"


SCHEMES: Final[Mapping[str, Callable[[Storages], Place]]] = {
    "file": Storages.file,
    "http": Storages.http,
    "s3": Storages.s3,
    "gs": Storages.gs,
    "azure": Storages.azure,
    "az": Storages.az,
    "hf": Storages.hf,
    "oci-artefact": Storages.oci_artefact,
    "oci-image": Storages.oci_image,
    "hdfs": Storages.hdfs,
    "webhdfs": Storages.webhdfs,
    "git-file": Storages.git_file,
    "git-http": Storages.git_http,
    "mlflow": Storages.mlflow,
}
"""Kinds of addresses, and how a model is put behind one."""


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar archive, compressed with gzip."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _model(value: float) -> bytes:
    """The file of a model that answers every row with the same number."""
    buffer = io.BytesIO()
    joblib.dump(DummyRegressor(strategy="constant", constant=value).fit([[0.0]], [value]), buffer)
    return buffer.getvalue()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Say nothing."""

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _archive_handler(content: bytes) -> type[_Handler]:
    """What shows an archive to whoever has the token."""

    class Handler(_Handler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == f"Bearer {SECRET}"
            self.answer(200 if known else 401, content if known else b"")

        def do_HEAD(self) -> None:
            self.do_GET()

    return Handler


class _TokenHandler(_Handler):
    """What gives tokens to service accounts of Google Cloud."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        token = {"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"}
        self.answer(200, json.dumps(token).encode())


def _account_key(url: str) -> str:
    """The key of a service account of Google Cloud, for a server of tokens."""
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key: dict[str, Any] = {"type": "service_account", "project_id": "tests", "private_key_id": "1"}
    key |= {"client_email": "reader@tests.iam.gserviceaccount.com", "private_key": pem.decode(), "token_uri": url}
    return json.dumps(key)
