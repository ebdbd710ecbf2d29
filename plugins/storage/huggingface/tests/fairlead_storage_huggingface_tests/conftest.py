"""The boundary under test: the provider and the fetcher over it, against a hub on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.machine import Machine
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_storage_huggingface.provider import HuggingFaceProvider
from fairlead_storage_huggingface_tests.hub import Hub, serving

_VARIABLES = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
    *("HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_OIDC_RESOURCE", "FAIRLEAD_STORAGE_NETWORK", "FAIRLEAD_STORAGE_HOSTS"),
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of Hugging Face's is set, and nobody has logged in."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as hub:
        yield hub


Provide = Callable[..., HuggingFaceProvider]


@pytest.fixture
def provide(hub: Hub) -> Iterator[Provide]:
    """Make providers for the hub; arguments are credentials."""
    made: list[HuggingFaceProvider] = []

    def make(**credentials: str) -> HuggingFaceProvider:
        made.append(HuggingFaceProvider(credentials={"HF_ENDPOINT": hub.url, **credentials}, timeout=60))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


class Fetch:
    """Fetches into a cache of the test's own; pauses are noted, not waited."""

    def __init__(self, cache: Path, hub: Hub) -> None:
        self.pauses: list[float] = []
        self._cache = cache
        self._hub = hub

    def __call__(self, uri: str, **credentials: str) -> dict[str, bytes]:
        settings = FetchSettings(cache=self._cache, credentials={"HF_ENDPOINT": self._hub.url, **credentials})
        machine = Machine(wait=lambda _event, seconds: self.pauses.append(seconds), chance=lambda: 0.0)
        root = Fetcher(Plugins.discover(), settings, SilentProgress(), machine=machine).fetch(uri).path
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def fetch(tmp_path: Path, hub: Hub) -> Fetch:
    return Fetch(tmp_path / "cache", hub)


def shown(error: BaseException | None) -> str:
    """All that an error and its causes say."""
    text = ""
    while error is not None:
        text += f"{error!r} {error} {error.remedy if isinstance(error, errors.FairleadError) else ''}\n"
        error = error.__cause__ or error.__context__
    return text
