"""Folders of folders: of models, or of the versions of one model."""

from __future__ import annotations

from pathlib import Path

from fairlead import Artifact
from fairlead.cli import serve
from fairlead.engine import selection
from fairlead.engine.repository import Listing
from fairlead.plugins import Plugins


def is_repository(folder: Path, model_format: str | None = None) -> bool:
    return serve._is_repository(folder, Listing.of(folder), model_format, Plugins.discover())


def saved_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")


def test_a_folder_of_versions_is_one_model_and_chosen_by_itself(tmp_path: Path) -> None:
    saved_model(tmp_path / "0001")
    plugins = Plugins.discover()
    choice = selection.choose(
        Artifact(path=tmp_path, uri=str(tmp_path)), plugins.runtimes(), recognises=plugins.recognises
    )
    assert choice.spec.name == "tensorflow"
    for model_format in (None, "tensorflow"):
        assert not is_repository(tmp_path, model_format)


def test_a_folder_of_models_that_are_named_by_numbers_stays_one(tmp_path: Path) -> None:
    for name in ("1", "2024-iris"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.joblib").write_bytes(b"")
    assert is_repository(tmp_path)


def test_a_folder_of_models_of_versions_is_a_folder_of_models(tmp_path: Path) -> None:
    saved_model(tmp_path / "half_plus_two" / "00000123")
    assert is_repository(tmp_path, "tensorflow")
