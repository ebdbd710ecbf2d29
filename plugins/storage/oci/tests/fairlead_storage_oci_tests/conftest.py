"""Tests of this plugin ask real registries on this machine, and a double where a real one cannot misbehave."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead_storage_oci.provider import OciProvider
from fairlead_storage_oci_tests import registries
from fairlead_storage_oci_tests.double import Double

if TYPE_CHECKING:
    from fairlead_storage_oci_tests.registries import Registry


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a Docker configuration, and an environment without settings."""
    for name in tuple(os.environ):
        if name.startswith(("KSERVE_", "FAIRLEAD_STORAGE_", "DOCKER_", "CA_BUNDLE_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is pushed, for all registries."""
    return tmp_path_factory.mktemp("contents")


@pytest.fixture(scope="session")
def registry(contents: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that asks nobody who he is."""
    with registries.running(tmp_path_factory.mktemp("registry"), contents) as running:
        yield running


@pytest.fixture
def double() -> Iterator[Double]:
    """A registry that does what a test tells it."""
    made = Double()
    yield made
    made.close()


@pytest.fixture
def make() -> Iterator[Callable[..., OciProvider]]:
    """Makes providers, and closes them."""
    made: list[OciProvider] = []

    def make(credentials: Mapping[str, str] | None = None, timeout: float = 10.0, **options: Any) -> OciProvider:
        made.append(OciProvider(credentials=credentials, timeout=timeout, **options))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def provider(make: Callable[..., OciProvider]) -> OciProvider:
    """A provider without credentials."""
    return make()
