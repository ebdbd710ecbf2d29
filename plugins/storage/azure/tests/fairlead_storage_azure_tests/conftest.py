"""One Azurite for the session; before it, for each test that wants one, a server with faults; and a share of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from fairlead_storage_azure.provider import AzureProvider
from fairlead_storage_azure_tests import azurite as azurites
from fairlead_storage_azure_tests import filer as filers
from fairlead_storage_azure_tests import front as fronts
from fairlead_storage_azure_tests.azurite import ACCOUNT, Azurite

if TYPE_CHECKING:
    from fairlead_storage_azure_tests.filer import Filer
    from fairlead_storage_azure_tests.front import Front


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with azurites.running() as azurite:
        yield azurite


@pytest.fixture
def front(azurite: Azurite) -> Iterator[Front]:
    with fronts.standing(azurite.port) as front:
        yield front


@pytest.fixture
def filer() -> Iterator[Filer]:
    with filers.running() as filer:
        yield filer


@pytest.fixture(autouse=True)
def _no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith(("AZURE_", "AZ_", "FAIRLEAD_STORAGE_")):
            monkeypatch.delenv(variable)


Connect = Callable[..., AzureProvider]


@pytest.fixture
def connect(azurite: Azurite, front: Front) -> Iterator[Connect]:
    """Makes providers of the server with faults, and closes them."""
    made: list[AzureProvider] = []

    def make(credentials: dict[str, str] | None = None, timeout: float = 30.0) -> AzureProvider:
        given = azurite.credentials_at(f"{front.url}/{ACCOUNT}") if credentials is None else credentials
        made.append(AzureProvider(credentials=given, timeout=timeout))
        return made[-1]

    yield make
    for provider in made:
        provider.close()
