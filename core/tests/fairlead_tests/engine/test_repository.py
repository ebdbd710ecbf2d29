"""A folder of models: which folders are models, by which names, and how little is looked at for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead.engine.repository import Listing, Repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("iris", "roses.v2", "_shared", ".git", "my model", "b:predict", "rosé"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.txt").touch()
    return tmp_path


def test_folders_are_models_and_what_is_hidden_is_not(root: Path) -> None:
    assert [source.name for source in Repository(root).sources()] == ["iris", "roses.v2"]


def test_folders_whose_names_no_route_can_hold_are_told_and_not_served(root: Path) -> None:
    repository = Repository(root)
    assert repository.unservable() == ("b:predict", "my model", "rosé")
    for name in repository.unservable():
        with pytest.raises(errors.ModelNotFound):
            repository.source(name)


@pytest.mark.parametrize("name", ["", ".", "..", "../iris", "iris/", "/etc", "./iris", "_shared", ".git", "README.txt"])
def test_a_name_is_never_a_path(root: Path, name: str) -> None:
    with pytest.raises(errors.ModelNotFound):
        Repository(root).source(name)


def test_a_link_to_a_folder_is_a_model(root: Path) -> None:
    (root / "tulips").symlink_to(root / "iris", target_is_directory=True)
    assert Repository(root).source("tulips").uri == str(root / "tulips")
    assert "tulips" in [source.name for source in Repository(root).sources()]


def test_one_model_is_found_without_looking_at_the_others(root: Path) -> None:
    root.chmod(0o311)  # a folder of this mode cannot be listed, except by root
    try:
        assert Repository(root).source("iris").name == "iris"
    finally:
        root.chmod(0o755)


def test_a_listing_matches_files_and_folders_apart(root: Path) -> None:
    listing = Listing.of(root)
    assert listing.holds(["*.joblib", "*.txt"])
    assert listing.holds(["iris/"])
    assert not listing.holds(["iris"])
    assert not listing.holds(["README.txt/"])
