"""One emulator for the session; before it, for each test that wants one, a server with faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from fairlead.storage import policy
from fairlead_storage_gcs.provider import GcsProvider
from fairlead_storage_gcs_tests import emulator as emulators
from fairlead_storage_gcs_tests import front as fronts

if TYPE_CHECKING:
    from fairlead_storage_gcs_tests.emulator import Emulator
    from fairlead_storage_gcs_tests.front import Front

_VARIABLES = ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST", *policy.VARIABLES)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with emulators.running() as emulator:
        yield emulator


@pytest.fixture
def front(emulator: Emulator) -> Iterator[Front]:
    with fronts.standing(emulator) as front:
        yield front


@pytest.fixture(autouse=True)
def _no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")


Connect = Callable[..., GcsProvider]


@pytest.fixture
def connect(front: Front) -> Iterator[Connect]:
    """Makes providers of the server with faults, and closes them."""
    made: list[GcsProvider] = []

    def make(credentials: dict[str, str] | None = None, timeout: float = 30.0) -> GcsProvider:
        made.append(
            GcsProvider(credentials={"STORAGE_EMULATOR_HOST": front.url, **(credentials or {})}, timeout=timeout)
        )
        return made[-1]

    yield make
    for provider in made:
        provider.close()
