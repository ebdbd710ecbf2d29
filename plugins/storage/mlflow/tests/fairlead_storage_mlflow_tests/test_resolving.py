from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.settings import FetchSettings
from fairlead_storage_mlflow.locations import address_of
from fairlead_storage_mlflow.server import Server

if TYPE_CHECKING:
    from fairlead_storage_mlflow_tests.conftest import Logged, MakeProvider
    from fairlead_storage_mlflow_tests.servers import Proxy, Tracking

DOWNLOAD = "/api/2.0/mlflow/model-versions/get-download-uri"


def test_every_way_to_name_a_model_leads_to_its_files(logged: Logged, server: Tracking, provider: MakeProvider) -> None:
    alias = {"name": logged.name, "alias": "champion", "version": "1"}
    server.ask("mlflow/registered-models/alias", alias, "POST")
    files = f"mlflow-artifacts:/0/models/{logged.model}/artifacts"
    names = (f"{logged.name}/1", f"{logged.name}/latest", f"{logged.name}@champion", logged.model)
    for uri in (*(f"models:/{name}" for name in names), f"runs:/{logged.run}/doubler", files):
        assert provider().resolve(uri) == files
    assert provider().resolve(f"models:/{logged.name}/1/MLmodel") == f"{files}/MLmodel"
    assert provider().resolve(f"runs:/{logged.run}/doubler/MLmodel") == f"{files}/MLmodel"
    assert provider().resolve(f"runs:/{logged.run}") == f"mlflow-artifacts:/0/{logged.run}/artifacts"


def test_a_logged_model_is_fetched_whole(logged: Logged, server: Tracking, tmp_path: Path) -> None:
    settings = FetchSettings(cache=tmp_path / "cache", credentials={"MLFLOW_TRACKING_URI": server.url})
    fetched = Fetcher(Plugins.discover(), settings).fetch(f"models:/{logged.name}/1").path
    kept = server.folder / "0" / "models" / logged.model / "artifacts"
    wanted = {path.relative_to(kept): path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    assert Path("MLmodel") in wanted
    assert {path.relative_to(fetched): path.read_bytes() for path in fetched.rglob("*") if path.is_file()} == wanted


def test_latest_and_stages_are_those_of_the_registry(server: Tracking, provider: MakeProvider) -> None:
    runs = [server.run({"model/MLmodel": b"flavors: {}"}) for _ in range(11)]
    numbers = [server.register("staged", run, "model") for run in runs]
    stage = {"name": "staged", "version": "2", "stage": "Production", "archive_existing_versions": False}
    server.ask("mlflow/model-versions/transition-stage", stage, "POST")
    assert numbers[-1] == "11"
    assert provider().resolve("models:/staged/latest") == f"mlflow-artifacts:/0/{runs[10]}/artifacts/model"
    assert provider().resolve("models:/staged/production") == f"mlflow-artifacts:/0/{runs[1]}/artifacts/model"
    with pytest.raises(errors.ArtifactNotFound, match="Staging"):
        provider().resolve("models:/staged/Staging")


@pytest.mark.parametrize(
    "uri", ["models:/nope/1", "models:/nope/latest", "models:/nope@a", f"models:/m-{'0' * 32}", "runs:/nope/model"]
)
def test_what_the_server_does_not_know_is_not_found(provider: MakeProvider, uri: str) -> None:
    with pytest.raises(errors.ArtifactNotFound):
        provider().resolve(uri)


def test_a_missing_version_or_alias_is_not_found(logged: Logged, provider: MakeProvider) -> None:
    for uri in (f"models:/{logged.name}/99", f"models:/{logged.name}@nobody"):
        with pytest.raises(errors.ArtifactNotFound, match=r"no (version|alias)"):
            provider().resolve(uri)


def test_artefacts_and_a_model_of_one_name_are_ambiguous(server: Tracking, provider: MakeProvider) -> None:
    run = server.run({"doubler/notes.txt": b"notes"})
    body = {"experiment_id": "0", "name": "doubler", "source_run_id": run}
    model = server.ask("mlflow/logged-models", body)["model"]["info"]["model_id"]
    with pytest.raises(errors.StorageError, match=f"models:/{model}"):
        provider().resolve(f"runs:/{run}/doubler")


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("s3://bucket/0/model", "s3://bucket/0/model"),
        ("gs://bucket/0/model", "gs://bucket/0/model"),
        ("hdfs://name/0/model", "hdfs://name/0/model"),
        ("wasbs://c@a.blob.core.windows.net/0/model", "https://a.blob.core.windows.net/c/0/model"),
        ("abfss://c@a.dfs.core.windows.net/0/model", "https://a.blob.core.windows.net/c/0/model"),
        ("mlflow-artifacts://other:5000/0/model", "mlflow-artifacts://other:5000/0/model"),
        ("/srv/my mlruns/0", "file:///srv/my%20mlruns/0"),
        ("file:///srv/mlruns/0", "file:///srv/mlruns/0"),
        ("file:/srv/mlruns/0", "file:///srv/mlruns/0"),
    ],
)
def test_files_elsewhere_are_an_address_for_another_provider(
    proxy: Proxy, provider: MakeProvider, said: str, address: str
) -> None:
    proxy.faults.replies[DOWNLOAD] = json.dumps({"artifact_uri": said}).encode()
    assert provider(proxy.url).resolve("models:/any/1") == address


def test_artefacts_that_the_server_itself_hands_out_over_http_stay_here(proxy: Proxy, provider: MakeProvider) -> None:
    said = f"{proxy.url}/api/2.0/mlflow-artifacts/artifacts/0/a%20b"
    proxy.faults.replies[DOWNLOAD] = json.dumps({"artifact_uri": said}).encode()
    assert provider(proxy.url).resolve("models:/any/1") == "mlflow-artifacts:/0/a b"


@pytest.mark.parametrize("said", ["dbfs:/models/0", "wasbs://nothing", "ftp://host/0", "./mlruns/0", "file://host/0"])
def test_stores_that_are_not_read_are_refused(proxy: Proxy, provider: MakeProvider, said: str) -> None:
    proxy.faults.replies[DOWNLOAD] = json.dumps({"artifact_uri": said}).encode()
    with pytest.raises(errors.StorageError):
        provider(proxy.url).resolve("models:/any/1")


@pytest.mark.parametrize("said", ["/etc", "file:///etc", "file:/etc"])
def test_a_server_elsewhere_names_no_files_of_this_machine(said: str) -> None:
    elsewhere = Server({"MLFLOW_TRACKING_URI": "https://mlflow.example.com"}, timeout=1.0)
    with pytest.raises(errors.UnsafeArtifact, match="--serve-artifacts"):
        address_of(said, elsewhere)


def test_models_that_stand_for_each_other_end(proxy: Proxy, provider: MakeProvider) -> None:
    proxy.faults.replies[DOWNLOAD] = json.dumps({"artifact_uri": "models:/any/1"}).encode()
    with pytest.raises(errors.StorageError, match="and so on"):
        provider(proxy.url).resolve("models:/any/1")


@pytest.mark.parametrize("reply", [b"{}", b"[]", b'{"artifact_uri": 5.5}', b"null"])
def test_an_answer_without_an_address_is_refused(proxy: Proxy, provider: MakeProvider, reply: bytes) -> None:
    proxy.faults.replies[DOWNLOAD] = reply
    with pytest.raises(errors.StorageError):
        provider(proxy.url).resolve("models:/any/1")


def test_a_model_that_is_still_logged_may_come(proxy: Proxy, provider: MakeProvider) -> None:
    model = f"m-{'a' * 32}"
    for status, expected in (("PENDING", errors.StorageUnavailable), ("UPLOAD_FAILED", errors.StorageError)):
        info = {"artifact_uri": "mlflow-artifacts:/0/x", "status": f"LOGGED_MODEL_{status}"}
        reply = json.dumps({"model": {"info": info}}).encode()
        proxy.faults.replies[f"/api/2.0/mlflow/logged-models/{model}"] = reply
        with pytest.raises(expected):
            provider(proxy.url).resolve(f"models:/{model}")
