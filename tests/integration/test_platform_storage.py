"""Artefacts behind credentials: `fairlead up` asks with those of the service, from Secrets among its manifests."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from fairlead_tests.ports import held_port
from fairlead_tests.waiting import eventually
from integration.platforms import Platform, constant, platform

ANNOTATION = "serving.kserve.io/storageSecretName"
TOKEN, OTHER = "Bearer tok-3f9a1c", "Bearer tok-77b2e0"  # what must be nowhere but in requests


class Guarded(http.server.SimpleHTTPRequestHandler):
    """Shows files to whoever has the token of the first part of their path."""

    tokens: ClassVar[Mapping[str, str]] = {}
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def send_head(self) -> Any:
        said = self.headers.get("Authorization")
        self.asked.append((self.path, said))
        wanted = self.tokens.get(self.path.split("/")[1])
        if wanted is not None and said != wanted:
            return self.send_error(401)
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class has
        """Say nothing."""


@contextlib.contextmanager
def guarded(folder: Path) -> Iterator[tuple[str, type[Guarded]]]:
    handler = type("Handler", (Guarded,), {"tokens": {}, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def service(name: str, *, metadata: Mapping[str, Any] | None = None, model: Mapping[str, Any], **predictor: Any) -> Any:
    spec = {"predictor": {**predictor, "model": {"modelFormat": {"name": "sklearn"}, **model}}}
    head = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    return {**head, "metadata": {"name": name, **(metadata or {})}, "spec": spec}


def secret(name: str, texts: Mapping[str, str], **metadata: Any) -> Any:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, **metadata}, "stringData": dict(texts)}


def headers(name: str, token: str, **metadata: Any) -> Any:
    said = {"https-host": "127.0.0.1", "headers": json.dumps({"Authorization": token})}
    return secret(name, said, **metadata)


def account(name: str, *secrets: str) -> Any:
    named = [{"name": each} for each in secrets]
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, "secrets": named}


def manifest(*objects: Any) -> str:
    return "# objects of a test\n" + "\n---\n".join(json.dumps(each) for each in objects)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, type[Guarded]]]:
    folder = tmp_path_factory.mktemp("site")
    for number, name in enumerate(("open", "one", "two", "three", "four")):
        constant(folder / name, float(number))
    with guarded(folder) as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("storage")
    environ = {"FAIRLEAD_CACHE": str(folder / "cache")}
    with platform(folder / "manifests", environ=environ) as made:
        yield made


def answer(running: Platform, name: str, expected: float) -> None:
    running.wait_ready(name)
    assert running.ask(name).json() == {"predictions": [expected]}


def traces(running: Platform, name: str) -> str:
    """Everything that a platform shows and keeps of a service."""
    shown = [running.run(*words, name) for words in (("describe",), ("logs",), ("status", "-o", "yaml"))]
    shown += ["".join(running.lines), json.dumps(running.view(name))]
    state = Path(running.environ["FAIRLEAD_STATE"])
    shown += [*contents(state), *contents(Path(running.environ["FAIRLEAD_CACHE"]), ".json")]
    for replica in running.replicas(name):
        if replica["pid"]:
            shown += [Path(f"/proc/{replica['pid']}/{each}").read_bytes().decode() for each in ("cmdline", "environ")]
    return "\n".join(shown)


def contents(folder: Path, suffix: str = "") -> Iterator[str]:
    """What the files below a folder hold; a fetch that is tried again makes and removes some all the while."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(suffix):
                with contextlib.suppress(FileNotFoundError):
                    yield Path(place, name).read_bytes().decode("latin-1")


def assert_hidden(text: str, *values: str) -> None:
    for each in values:
        assert each not in text
        assert base64.b64encode(each.encode()).decode() not in text


# -- headers of an http server --------------------------------------------------------------------------


def test_a_service_asks_with_the_secret_that_its_annotation_names_and_tells_nobody(
    running: Platform, site: tuple[str, type[Guarded]]
) -> None:
    url, handler = site
    handler.tokens = {**handler.tokens, "one": TOKEN}
    model = {"storageUri": f"{url}/one/model.joblib"}
    named = {"annotations": {ANNOTATION: "one"}}
    running.declare(manifest(headers("one", TOKEN), service("one", metadata=named, model=model)), "one.yaml")
    answer(running, "one", 1.0)
    assert {said for path, said in handler.asked if path.startswith("/one/")} == {TOKEN}
    assert_hidden(traces(running, "one"), TOKEN, TOKEN.split()[1])


def test_a_service_asks_with_the_secrets_of_its_account_and_another_with_its_own(
    running: Platform, site: tuple[str, type[Guarded]]
) -> None:
    url, handler = site
    handler.tokens = {**handler.tokens, "two": TOKEN}
    model = {"storageUri": f"{url}/two/model.joblib"}
    objects = [
        *(headers("right", TOKEN), headers("wrong", OTHER), account("right", "right"), account("wrong", "wrong")),
        service("right", model=model, serviceAccountName="right"),
        service("wrong", model=model, serviceAccountName="wrong"),
        service("nobody", model=model),
    ]
    running.declare(manifest(*objects), "two.yaml")
    answer(running, "right", 2.0)
    for name in ("wrong", "nobody"):
        eventually(lambda name=name: running.condition(name, "PredictorReady").get("reason") == "FetchFailed")  # type: ignore[misc]  # bound now
        assert not running.is_ready(name)
    assert {said for path, said in handler.asked if path.startswith("/two/")} == {TOKEN, OTHER, None}
    assert_hidden(traces(running, "wrong"), OTHER, OTHER.split()[1])


def test_a_secret_that_changes_is_used_for_the_next_fetch(running: Platform, site: tuple[str, type[Guarded]]) -> None:
    url, handler = site
    handler.tokens = {**handler.tokens, "three": TOKEN}
    model = {"storageUri": f"{url}/three/model.joblib"}
    named = {"annotations": {ANNOTATION: "three"}}
    running.declare(manifest(service("three", metadata=named, model=model)), "three.yaml")
    running.declare(manifest(headers("three", OTHER)), "three-secret.yaml")
    eventually(lambda: running.condition("three", "PredictorReady").get("reason") == "FetchFailed")
    running.declare(manifest(headers("three", TOKEN)), "three-secret.yaml")
    answer(running, "three", 3.0)
    (replica,) = running.replicas("three")
    assert replica["revision"].endswith("-00001")


# -- what is wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "objects", "reason"),
    [
        ("absent", [], "SecretNotFound"),
        ("elsewhere", [headers("elsewhere", TOKEN, namespace="theirs")], "SecretNotFound"),
        ("unknown", [secret("unknown", {"passphrase": TOKEN})], "InvalidSecret"),
        ("halved", [secret("halved", {"AWS_SECRET_ACCESS_KEY": TOKEN})], "InvalidSecret"),
        (
            "garbled",
            [
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": "garbled"},
                    "data": {"https-host": "bW9kZWxz", "headers": "Bearer tok-3f9a1c"},
                }
            ],
            "InvalidSecret",
        ),
    ],
)
def test_a_secret_that_cannot_be_used_is_a_condition_and_others_go_on(
    running: Platform, site: tuple[str, type[Guarded]], name: str, objects: list[Any], reason: str
) -> None:
    url, _ = site
    model = {"storageUri": f"{url}/one/model.joblib"}
    wanted = service(name, metadata={"annotations": {ANNOTATION: name}}, model=model)
    running.declare(manifest(*objects, wanted), f"{name}.yaml")
    eventually(lambda: running.condition(name).get("reason") == reason)
    message = running.condition(name)["message"]
    assert name in message
    assert_hidden(running.run("describe", name) + "".join(running.lines), TOKEN.split()[1])
    running.declare(manifest(service(name, model={"storageUri": f"{url}/open/model.joblib"})), f"{name}.yaml")
    answer(running, name, 0.0)


# -- variables of containers ----------------------------------------------------------------------------

SERVER = """
import http.server, json, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({name: os.environ.get(name) for name in ("TOKEN", "MODE")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_variables_of_a_container_come_from_secrets_and_config_maps_once_they_are_there(
    running: Platform, tmp_path: Path
) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    env = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "own", "key": "token"}}},
        {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "own", "key": "mode"}}},
    ]
    container = {"name": "kserve-container", "command": ["python", str(tmp_path / "server.py")], "env": env}
    head = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "own"}}
    running.declare(manifest({**head, "spec": {"predictor": {"containers": [container]}}}), "own.yaml")
    eventually(lambda: running.condition("own").get("reason") == "SecretNotFound")
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {"mode": "fast"}}
    running.declare(manifest(secret("own", {"token": TOKEN}), settings), "own-values.yaml")
    running.wait_ready("own")
    found = httpx.get(f"{running.url}/serving/default/own/", trust_env=False, timeout=60).json()
    assert found == {"TOKEN": TOKEN, "MODE": "fast"}


# -- S3 -------------------------------------------------------------------------------------------------

BUCKET = "platform-models"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}]}


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A server of S3 that verifies signatures, and the one access key that may read."""

    url: str
    key_id: str
    key: str


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("fairlead_storage_s3", reason="fairlead-storage-s3 is not installed")
    with held_port() as port:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield _filled(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("s3"))
        finally:
            process.terminate()
            process.wait(30)


def _filled(url: str, folder: Path) -> Bucket:
    """One model in the bucket, one user who may read it, and from then on nobody else."""

    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{url}/moto-api/data.json", trust_env=False).is_success
        return False

    eventually(answers)
    boto3 = pytest.importorskip("boto3", reason="moto[server] is not installed")
    root = {"endpoint_url": url, "region_name": "us-east-1"}
    session = boto3.Session(aws_access_key_id="root", aws_secret_access_key="root")
    with (
        contextlib.closing(session.client("iam", **root)) as iam,
        contextlib.closing(session.client("s3", **root)) as s3,
    ):
        iam.create_user(UserName="reader")
        iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(POLICY))
        made = iam.create_access_key(UserName="reader")["AccessKey"]
        s3.create_bucket(Bucket=BUCKET)
        model = constant(folder, 7.0) / "model.joblib"
        s3.put_object(Bucket=BUCKET, Key="seven/model.joblib", Body=model.read_bytes())
    httpx.post(f"{url}/moto-api/reset-auth", content=b"0", trust_env=False, timeout=60).raise_for_status()
    return Bucket(url, made["AccessKeyId"], made["SecretAccessKey"])


def test_a_model_in_s3_is_fetched_with_the_secret_of_an_account_and_the_endpoint_of_its_annotation(
    running: Platform, s3: Bucket
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": s3.key_id, "AWS_SECRET_ACCESS_KEY": s3.key}
    said = {f"serving.kserve.io/s3-{name}": value for name, value in (("endpoint", s3.url), ("region", "us-east-1"))}
    objects = [secret("keys", keys, annotations=said), account("reader", "keys")]
    declared = service("bucket", model={"storageUri": f"s3://{BUCKET}/seven"}, serviceAccountName="reader")
    running.declare(manifest(*objects, declared), "bucket.yaml")
    answer(running, "bucket", 7.0)
    assert_hidden(traces(running, "bucket"), s3.key)


def test_an_access_key_that_is_wrong_is_told_without_it(running: Platform, s3: Bucket) -> None:
    keys = {"AWS_ACCESS_KEY_ID": s3.key_id, "AWS_SECRET_ACCESS_KEY": "wr0ng-secret-key", "AWS_ENDPOINT_URL": s3.url}
    declared = service(
        "refused", metadata={"annotations": {ANNOTATION: "bad"}}, model={"storageUri": f"s3://{BUCKET}/seven"}
    )
    running.declare(manifest(secret("bad", keys), declared), "refused.yaml")
    eventually(lambda: running.condition("refused", "PredictorReady").get("reason") == "FetchFailed")
    assert_hidden(traces(running, "refused"), "wr0ng-secret-key")


def test_a_model_is_fetched_by_an_entry_of_the_storage_secret(running: Platform, s3: Bucket) -> None:
    entry = {"type": "s3", "access_key_id": s3.key_id, "secret_access_key": s3.key, "endpoint_url": s3.url}
    objects = [secret("storage-config", {"minio": json.dumps({**entry, "region": "us-east-1"})})]
    model = {"storage": {"key": "minio", "path": "seven", "parameters": {"bucket": BUCKET}}}
    running.declare(manifest(*objects, service("entry", model=model)), "entry.yaml")
    answer(running, "entry", 7.0)
    assert_hidden(traces(running, "entry"), s3.key)
    running.declare(manifest(service("lost", model={"storage": {"key": "maxio", "path": "a"}})), "lost.yaml")
    eventually(lambda: running.condition("lost").get("reason") == "InvalidStorageSpec")
    assert "names the key 'maxio'" in running.condition("lost")["message"]
