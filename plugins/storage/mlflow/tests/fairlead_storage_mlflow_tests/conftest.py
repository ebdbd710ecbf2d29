"""The boundary under test: the plugin, against MLflow's own tracking server, and a proxy that misbehaves for it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import pytest

from fairlead_storage_mlflow.provider import MlflowProvider
from fairlead_storage_mlflow_tests.servers import Proxy, Tracking, before, tracking

if TYPE_CHECKING:
    from pathlib import Path

MakeProvider: TypeAlias = "Callable[..., MlflowProvider]"


@dataclasses.dataclass(frozen=True)
class Logged:
    """A model that was logged with MLflow's client, and registered."""

    name: str
    run: str
    model: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    with tracking(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def logged(server: Tracking) -> Logged:
    name = "a doubler"
    run, model = server.log_model(name)
    return Logged(name, run, model)


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    for name in os.environ:
        if name.startswith("MLFLOW_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def proxy(server: Tracking) -> Iterator[Proxy]:
    with before(server.url) as proxy:
        yield proxy


@pytest.fixture
def provider(server: Tracking) -> Iterator[MakeProvider]:
    """Makes providers for the server; arguments are settings."""
    made: list[MlflowProvider] = []

    def make(url: str = server.url, timeout: float = 10.0, **settings: str) -> MlflowProvider:
        made.append(MlflowProvider(credentials={"MLFLOW_TRACKING_URI": url, **settings}, timeout=timeout))
        return made[-1]

    yield make
    for each in made:
        each.close()
