from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.storage.settings import FetchSettings
from fairlead_tests.storage.conftest import MakeFetcher, leftovers
from fairlead_tests.storage.server import contents


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "my model"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.bin").write_bytes(b"model")
    (folder / "config.json").write_bytes(b"{}")
    return folder


def test_a_local_folder_is_used_in_place(model: Path, fetcher: MakeFetcher, cache: Path) -> None:
    for uri in (str(model), f"{model}/", model.as_uri(), f"file://localhost{model}"):
        assert fetcher().fetch(uri).path == model
    assert not cache.exists()


def test_a_local_file_is_used_in_place(model: Path, fetcher: MakeFetcher) -> None:
    for uri in (f"{model}/config.json", (model / "config.json").as_uri()):
        assert fetcher().fetch(uri).path == model / "config.json"


def test_a_folder_of_one_file_is_a_folder(model: Path, fetcher: MakeFetcher) -> None:
    assert fetcher().fetch(f"{model}/1").path == model / "1"
    (model / "config.json").unlink()
    assert fetcher().fetch(str(model)).path == model


def test_a_relative_path_is_below_the_working_directory(
    model: Path, fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model)
    assert fetcher().fetch("1").path == model / "1"
    assert fetcher().fetch(".").path == model


def test_a_missing_path_tells_what_is_there_and_what_may_be_meant(model: Path, fetcher: MakeFetcher) -> None:
    with pytest.raises(errors.ArtifactNotFound, match=r"holds 1, config\.json; did you mean .*/config\.json\?"):
        fetcher().fetch(f"{model}/confg.json")
    with pytest.raises(errors.ArtifactNotFound, match=f"{model.parent} holds"):
        fetcher().fetch(f"{model.parent}/other/deep/down")


def test_a_folder_without_files_is_no_artefact(tmp_path: Path, fetcher: MakeFetcher) -> None:
    (tmp_path / "empty" / "1").mkdir(parents=True)
    with pytest.raises(errors.ArtifactNotFound, match="holds no files"):
        fetcher().fetch(str(tmp_path / "empty"))


def test_a_pipe_is_no_artefact(tmp_path: Path, fetcher: MakeFetcher) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.StorageError, match="neither a file nor a folder"):
        fetcher().fetch(str(tmp_path / "pipe"))


def test_a_file_of_another_machine_is_refused_with_the_likely_meaning(fetcher: MakeFetcher) -> None:
    with pytest.raises(errors.StorageError, match="file:///models/iris"):
        fetcher().fetch("file://models/iris")


def test_links_of_a_mounted_volume_are_followed_and_a_circle_ends(tmp_path: Path, fetcher: MakeFetcher) -> None:
    # Kubernetes mounts config maps this way: a dated folder, a link to it, and links through that one.
    (tmp_path / "mnt" / "..2024").mkdir(parents=True)
    (tmp_path / "mnt" / "..2024" / "model.bin").write_bytes(b"x")
    (tmp_path / "mnt" / "..data").symlink_to("..2024")
    (tmp_path / "mnt" / "model.bin").symlink_to("..data/model.bin")
    (tmp_path / "mnt" / "self").symlink_to(".")
    assert fetcher().fetch(str(tmp_path / "mnt")).path == tmp_path / "mnt"


def test_a_local_archive_is_unpacked_into_the_cache_once(tmp_path: Path, fetcher: MakeFetcher, cache: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("a/b.bin", b"b")
    first = fetcher().fetch(str(tmp_path / "model.zip")).path
    assert contents(first) == {"a/b.bin": b"b"}
    assert first.is_relative_to(cache)
    before = (first / "a" / "b.bin").stat().st_ino
    assert fetcher().fetch(str(tmp_path / "model.zip")).path == first
    assert (first / "a" / "b.bin").stat().st_ino == before
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("new.bin", b"new")
    assert contents(fetcher().fetch(str(tmp_path / "model.zip")).path) == {"new.bin": b"new"}


def test_a_local_archive_that_is_refused_leaves_nothing(tmp_path: Path, fetcher: MakeFetcher, cache: Path) -> None:
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../evil"))
    with pytest.raises(errors.UnsafeArtifact):
        fetcher().fetch(str(tmp_path / "model.tar"))
    assert leftovers(cache) == []


def test_a_digest_of_a_local_file_is_verified(model: Path, fetcher: MakeFetcher) -> None:
    good = hashlib.sha256(b"{}").hexdigest()
    assert fetcher().fetch(f"{model}/config.json#sha256={good}").path == model / "config.json"
    with pytest.raises(errors.IntegrityError):
        fetcher().fetch(f"{model}/config.json", digest=f"sha256:{'0' * 64}")
    with pytest.raises(errors.StorageError, match="is a folder"):
        fetcher().fetch(str(model), digest=f"sha256:{good}")


def test_the_promised_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FAIRLEAD_CACHE", "FAIRLEAD_STORAGE_NETWORK", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = FetchSettings()
    assert settings.cache == tmp_path / ".cache" / "fairlead"
    assert settings.network == "any"
    assert (settings.max_bytes, settings.max_members) == (512 * 1024**3, 100_000)
    assert (settings.max_expanded_bytes, settings.max_expansion) == (64 * 1024**3, 200.0)
    assert (settings.deadline, settings.timeout) == (3600.0, 30.0)
    assert (settings.retries, settings.backoff, settings.max_backoff) == (5, 0.5, 30.0)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert FetchSettings().cache == tmp_path / ".cache" / "fairlead"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert FetchSettings().cache == Path("/xdg/fairlead")
    monkeypatch.setenv("FAIRLEAD_CACHE", "/named")
    assert FetchSettings().cache == Path("/named")


@pytest.mark.parametrize("name", ["max_bytes", "max_members", "max_expansion", "deadline", "timeout"])
def test_a_limit_of_zero_is_a_mistake(name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=name):
        FetchSettings(**{name: 0})  # type: ignore[arg-type]  # one setting by name


def test_credentials_are_not_in_the_repr_of_the_settings() -> None:
    assert "secret" not in repr(FetchSettings(credentials={"KEY": "secret"}))
