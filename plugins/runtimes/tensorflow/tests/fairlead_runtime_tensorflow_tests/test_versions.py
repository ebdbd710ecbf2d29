"""The versions that saved a model, read without TensorFlow."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import Artifact
from fairlead_runtime_tensorflow import versions
from fairlead_runtime_tensorflow_tests import models


def recorded(path: Path) -> dict[str, str]:
    return dict(versions.recorded(Artifact(path=path, uri=str(path))))


def test_a_saved_model_records_its_tensorflow(tmp_path: Path) -> None:
    models.affine(tmp_path / "model" / "3")
    assert recorded(tmp_path / "model") == recorded(tmp_path / "model" / "3") == {"tensorflow": tf.__version__}


def test_a_keras_model_records_its_keras(tmp_path: Path) -> None:
    assert recorded(models.sequential(tmp_path / "model.keras")) == {"keras": keras.__version__}


def test_a_loaded_model_says_what_saved_it(tmp_path: Path) -> None:
    assert models.load(models.lengths(tmp_path / "model")).saved_with == {"tensorflow": tf.__version__}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\x01",
        b"\x08\x01\x12",
        b"\x08\x01\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x12\x80\x80\x80\x80\x08\x0a",
        b"\x12\x09\x0a\x07\x2a\x05\xff\xfe\xfd\xfc\xfb",
        b"\x12\x09\x0a\x07\x2a\x05words",
        b"\x0b" * 100,
        b"\x08\x01" * 100 + b"\x12\x09\x0a\x07\x2a\x052.1.0",
    ],
    ids=repr,
)
def test_what_is_damaged_records_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    assert recorded(tmp_path) == {}


def test_a_record_is_found_behind_other_fields(tmp_path: Path) -> None:
    info = b"\x0d....\x11........\x12\x03...\x08\x05\x2a\x062.99.1"
    graph = b"\x0a" + bytes([len(info)]) + info
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12" + bytes([len(graph)]) + graph)
    assert recorded(tmp_path) == {"tensorflow": "2.99.1"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(content=st.binary(max_size=40))
def test_any_bytes_are_read_to_their_end(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "saved_model.pb"
    path.write_bytes(b"\x08\x01\x12" + content)
    found = versions.of_saved_model(path)
    assert found is None or found.encode() in content


@pytest.mark.parametrize("metadata", [None, "no JSON", "[]", '{"keras_version": 3}', '{"keras_version": "newest"}'])
def test_an_archive_that_names_no_version_records_none(tmp_path: Path, metadata: str | None) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        if metadata is not None:
            archive.writestr("metadata.json", metadata)
    assert recorded(path) == {}
    path.write_bytes(b"PK\x03\x04 and no more")
    assert recorded(path) == {}


def test_an_archive_of_a_newer_keras_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "9.1.0"}))
    assert recorded(path) == {"keras": "9.1.0"}
