from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage import choosing
from fairlead_storage_mlflow.addresses import Address, Alias, Artifacts, LoggedModel, Run, Version, parse

MODEL = f"m-{'0123456789abcdef' * 2}"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("models:/iris/3", Version("iris", "3", "")),
        ("models:/iris/3/", Version("iris", "3", "")),
        ("models:/my iris/Latest", Version("my iris", "latest", "")),
        ("models:/iris/Production", Version("iris", "Production", "")),
        ("models:/iris/3/data/a b.bin", Version("iris", "3", "data/a b.bin")),
        ("models:/iris@champion", Alias("iris", "champion", "")),
        ("models:/iris@champion/MLmodel", Alias("iris", "champion", "MLmodel")),
        (f"models:/{MODEL}", LoggedModel(MODEL, "")),
        (f"models:/{MODEL}/data", LoggedModel(MODEL, "data")),
        ("runs:/abc123/model", Run("abc123", "model")),
        ("runs:/abc123", Run("abc123", "")),
        ("mlflow-artifacts:/0/abc/100%.bin", Artifacts("", "0/abc/100%.bin")),
        ("mlflow-artifacts://Host:5000/0/abc", Artifacts("host:5000", "0/abc")),
    ],
)
def test_addresses_are_read_as_mlflow_reads_them(uri: str, address: Address) -> None:
    assert parse(uri) == address
    assert choosing.choose(Plugins.discover(), uri).name == "mlflow"


@pytest.mark.parametrize(
    "uri",
    [
        "models:/iris",
        "models:/",
        "models:/@a",
        "models:/a@",
        "models:/a//1",
        "models:/a/1\n",
        "models://profile@databricks/a/1",
        "models://profile/a/1",
        "runs:/",
        "runs:/a b/c",
        "mlflow-artifacts:/",
        "mlflow://iris/1",
    ],
)
def test_what_is_none_is_refused_with_what_to_write(uri: str) -> None:
    with pytest.raises(errors.StorageError):
        parse(uri)


def test_the_scheme_that_looks_right_says_what_to_write() -> None:
    with pytest.raises(errors.StorageError, match="models:/name/version"):
        parse("mlflow://iris/1")


@pytest.mark.parametrize(
    "uri", ["models:/iris/1/../../2", "runs:/a/..", "mlflow-artifacts:/0/../../etc", "models:/./1"]
)
def test_a_path_that_leads_upwards_is_refused(uri: str) -> None:
    with pytest.raises(errors.UnsafeArtifact):
        parse(uri)


def test_a_user_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(errors.UnsafeArtifact) as raised:
        parse("mlflow-artifacts://me:hunter2@host/0/abc")
    assert "hunter2" not in str(raised.value)
