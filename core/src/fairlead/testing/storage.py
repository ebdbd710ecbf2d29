"""The conformance kit of storage providers.

A provider's test file is a subclass that says which plugin is meant and how to put files onto a real server::

    class TestContract(StorageContract):
        @pytest.fixture
        def plugin(self) -> str:
            return "s3"

        @pytest.fixture
        def place(self, bucket: Bucket) -> Place:
            return bucket.place

Everything goes through `Plugins.discover`, the door that users come through.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias, cast

import pytest

from fairlead import errors
from fairlead.contracts.storage import StorageProvider, StorageSpec
from fairlead.plugins import Kind, Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import Advance, Progress, SilentProgress
from fairlead.storage.settings import FetchSettings

if TYPE_CHECKING:
    from fairlead.contracts.runtime import Artifact

__all__ = ["Change", "Place", "RecordingProgress", "StorageContract"]

Place: TypeAlias = "Callable[[Mapping[str, bytes]], str]"
"""Puts files, by relative name, onto the server below a new root, and returns the root's URI."""

Change: TypeAlias = "Callable[[str, bytes], None]"
"""Gives the object of a URI another content."""

_CONTENT = bytes(range(256)) * 1024
_LARGE = 8 * 1024 * 1024
_AWKWARD_NAMES = ("model v1.bin", "modèle.bin", "模型.bin", "a+b=c&d.bin", "100%.bin")


class RecordingProgress(Progress):
    """Notes what a fetch reports: bytes that were there when it began, and bytes that arrived."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.arrived = 0

    @contextlib.contextmanager
    def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:  # noqa: ARG002  # noted: done
        """Open a report."""
        self.done.append(done)

        def advance(count: int) -> None:
            self.arrived += count

        yield advance


class _LethalProgress(Progress):
    """Kills its own process, as an out-of-memory killer would, when so many bytes are there."""

    def __init__(self, at: int) -> None:
        self._at = at

    @contextlib.contextmanager
    def transfer(self, label: str, *, total: int | None, done: int = 0) -> Iterator[Advance]:  # noqa: ARG002  # counted: done
        reached = done

        def advance(count: int) -> None:
            nonlocal reached
            reached += count
            if reached >= self._at:
                os.kill(os.getpid(), signal.SIGKILL)

        yield advance


def fetch_and_die(uri: str, cache: str, at: str) -> None:
    """Fetch until so many bytes are there, and be killed; credentials come as JSON on standard input."""
    settings = FetchSettings(cache=Path(cache), credentials=json.load(sys.stdin))
    Fetcher(Plugins.discover(), settings, _LethalProgress(int(at))).fetch(uri)


class StorageContract:
    """What every storage provider keeps to; subclass it and override `plugin` and `place`."""

    trees: ClassVar[bool] = True
    """Whether the source can list what is below a URI; without it, only single objects are tested."""

    resumable: ClassVar[bool] = True
    """Whether reading can start past zero, and a killed fetch goes on where it stopped."""

    tells_changes: ClassVar[bool] = True
    """Whether the source has a tag, a version or a digest that changes with the content."""

    awkward_names: ClassVar[tuple[str, ...]] = _AWKWARD_NAMES
    """Object names that the source can hold."""

    # -- what the author gives --------------------------------------------------------------------------

    @pytest.fixture
    def plugin(self) -> str:
        """The plugin's name."""
        raise NotImplementedError("override the fixture `plugin`")

    @pytest.fixture
    def place(self) -> Place:
        """How to put files onto the server."""
        raise NotImplementedError("override the fixture `place`")

    @pytest.fixture
    def change(self) -> Change:
        """How to give an object another content; leave it where the objects of the source never change."""
        pytest.skip("the objects of this source do not change")

    @pytest.fixture
    def credentials(self) -> dict[str, str]:
        """Credentials for the server, by the keys that the spec names."""
        return {}

    def join(self, uri: str, name: str) -> str:
        """The URI of an object below a root; override it where names are encoded."""
        return f"{uri}/{name}"

    # -- what the tests use -----------------------------------------------------------------------------

    @pytest.fixture
    def plugins(self) -> Plugins:
        """The plugins of this environment."""
        return Plugins.discover()

    @pytest.fixture
    def spec(self, plugins: Plugins, plugin: str) -> StorageSpec:
        """The provider's spec."""
        (spec,) = plugins.specs(Kind.STORAGE, plugin)
        return cast("StorageSpec", spec)

    @pytest.fixture
    def provider(self, plugins: Plugins, spec: StorageSpec, credentials: dict[str, str]) -> Iterator[StorageProvider]:
        """The provider, made as the fetcher makes it."""
        provider: StorageProvider = plugins.factory(Kind.STORAGE, spec)(credentials=credentials, timeout=30.0)
        yield provider
        provider.close()

    @pytest.fixture
    def settings(self, tmp_path: Path, credentials: dict[str, str]) -> FetchSettings:
        """Settings with a cache of the test's own."""
        return FetchSettings(cache=tmp_path / "cache", credentials=credentials)

    # -- the plugin -------------------------------------------------------------------------------------

    def test_the_spec_is_well_formed(self, spec: StorageSpec, plugins: Plugins, plugin: str) -> None:
        """It is named as its entry point, takes some URIs, and names a provider."""
        assert spec.name == plugin
        assert spec.prefixes or spec.patterns
        assert all(prefix.partition("://")[1] and prefix == prefix.lower() for prefix in spec.prefixes)
        assert issubclass(cast("type", plugins.factory(Kind.STORAGE, spec)), StorageProvider)

    def test_importing_the_plugin_loads_no_client_library(self, plugins: Plugins, plugin: str) -> None:
        """A process that never fetches from this source does not pay for its client."""
        module = plugins.info(Kind.STORAGE, plugin).module
        script = (
            "import sys; before = set(sys.modules); __import__(sys.argv[1]); "
            "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
        )
        done = subprocess.run([sys.executable, "-c", script, module], capture_output=True, text=True, check=True)
        allowed = {"fairlead", "pluggy", module.partition(".")[0], *sys.stdlib_module_names}
        assert set(done.stdout.split()) <= allowed

    # -- listing ----------------------------------------------------------------------------------------

    def test_a_single_object_is_listed_under_its_own_name(self, provider: StorageProvider, place: Place) -> None:
        """The URI of an object lists that object, with its size."""
        (item,) = provider.list(self.join(place({"folder/model.bin": _CONTENT}), "folder/model.bin"))
        assert item.name == "model.bin"
        assert item.size == len(_CONTENT)

    def test_a_tree_is_listed_with_relative_names(self, provider: StorageProvider, place: Place) -> None:
        """A prefix lists all that is below it, also in folders."""
        self._needs_trees()
        uri = self.join(place({"model/a.bin": b"a", "model/1/b.bin": b"bb", "model/1/c/d.bin": b"ccc"}), "model")
        for root in (uri, f"{uri}/"):
            assert {item.name: item.size for item in provider.list(root)} == {"a.bin": 1, "1/b.bin": 2, "1/c/d.bin": 3}

    def test_a_prefix_ends_at_a_path_boundary(self, provider: StorageProvider, place: Place) -> None:
        """``model`` lists nothing of ``model-old``."""
        self._needs_trees()
        uri = self.join(place({"model/a.bin": b"a", "model-old/b.bin": b"b", "model.txt": b"c"}), "model")
        assert [item.name for item in provider.list(uri)] == ["a.bin"]

    def test_an_empty_object_is_kept(
        self, provider: StorageProvider, plugins: Plugins, place: Place, settings: FetchSettings
    ) -> None:
        """A file without content is a file."""
        if self.trees:
            uri = self.join(place({"model/__init__.py": b"", "model/a.bin": b"a"}), "model")
            wanted = {"__init__.py": b"", "a.bin": b"a"}
        else:
            uri = self.join(place({"empty.bin": b""}), "empty.bin")
            wanted = {"empty.bin": b""}
        assert {item.name for item in provider.list(uri)} == wanted.keys()
        assert self._contents(Fetcher(plugins, settings, SilentProgress()).fetch(uri)) == wanted

    def test_names_with_spaces_and_unicode_survive(self, provider: StorageProvider, place: Place) -> None:
        """Names come back as they were given."""
        uri = place({f"model/{name}": name.encode() for name in self.awkward_names})
        if not self.trees:
            uris = [self.join(uri, f"model/{name}") for name in self.awkward_names]
            items = [item for one in uris for item in provider.list(one)]
        else:
            items = list(provider.list(self.join(uri, "model")))
        assert {item.name for item in items} == set(self.awkward_names)
        for item in items:
            assert b"".join(provider.open_range(item)) == item.name.encode()

    def test_what_does_not_exist_is_not_found(self, provider: StorageProvider, place: Place) -> None:
        """Neither a missing object nor a part of a name is found."""
        root = place({"folder/model.bin": _CONTENT})
        for name in ("folder/missing.bin", "folder/mod"):
            with pytest.raises(errors.ArtifactNotFound):
                provider.list(self.join(root, name))

    # -- reading ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("start", [0, 1, len(_CONTENT) // 2, len(_CONTENT) - 1])
    def test_reading_starts_at_any_byte(self, provider: StorageProvider, place: Place, start: int) -> None:
        """A range is what the object holds from there on."""
        (item,) = provider.list(self.join(place({"model.bin": _CONTENT}), "model.bin"))
        if start and not item.resumable:
            pytest.skip("the source reads from the start only")
        chunks = list(provider.open_range(item, start))
        assert b"".join(chunks) == _CONTENT[start:]
        assert all(chunks), "a chunk is never empty"

    def test_a_range_ends_where_it_is_asked_to(self, provider: StorageProvider, place: Place) -> None:
        """What comes after it is not given, wherever it begins."""
        (item,) = provider.list(self.join(place({"model.bin": _CONTENT}), "model.bin"))
        ranges = [(0, 1), (0, 100_000)] if not item.resumable else [(0, 1), (7, 100_007), (len(_CONTENT) - 5, None)]
        for start, end in ranges:
            assert b"".join(provider.open_range(item, start, end)) == _CONTENT[start:end]

    def test_several_threads_read_at_once(self, provider: StorageProvider, place: Place) -> None:
        """Each gets the bytes that it asked for."""
        uri = place({"model.bin": _CONTENT, "other.bin": _CONTENT[::-1]})
        items = [provider.list(self.join(uri, name))[0] for name in ("model.bin", "other.bin")]
        step = len(_CONTENT) // 8

        def read(number: int) -> bool:
            item, wanted = items[number % 2], (_CONTENT, _CONTENT[::-1])[number % 2]
            start = number * step if item.resumable else 0
            return b"".join(provider.open_range(item, start, start + step)) == wanted[start : start + step]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(8)))

    def test_a_reader_that_stops_early_leaves_the_provider_usable(
        self, provider: StorageProvider, place: Place
    ) -> None:
        """A range that was not read to its end takes nothing away from the next one."""
        (item,) = provider.list(self.join(place({"model.bin": _CONTENT * 16}), "model.bin"))
        for _ in range(20):
            with contextlib.closing(cast("Generator[bytes, None, None]", provider.open_range(item))) as chunks:
                assert _CONTENT.startswith(next(chunks)[: len(_CONTENT)])
        assert sum(map(len, provider.open_range(item))) == len(_CONTENT) * 16

    def test_a_change_is_found_out_between_two_ranges(
        self, provider: StorageProvider, place: Place, change: Change
    ) -> None:
        """Two contents are never joined, though they are of the same length."""
        uri = self.join(place({"model.bin": _CONTENT}), "model.bin")
        (item,) = provider.list(uri)
        middle = len(_CONTENT) // 2 if item.resumable else 0
        assert b"".join(provider.open_range(item, 0, middle or None))[:10] == _CONTENT[:10]
        change(uri, _CONTENT[::-1])
        with pytest.raises(errors.IntegrityError):
            list(provider.open_range(item, middle))

    def test_a_provider_that_is_closed_does_not_hold_a_reader(self, provider: StorageProvider, place: Place) -> None:
        """Closing it from another thread ends what is read, with an error that may pass."""
        (item,) = provider.list(self.join(place({"model.bin": bytes(_LARGE)}), "model.bin"))
        chunks = provider.open_range(item)
        next(chunks)
        threading.Thread(target=provider.close).start()
        with contextlib.suppress(errors.StorageUnavailable):
            for _ in chunks:  # what was on its way may still come
                pass

    # -- fetching ---------------------------------------------------------------------------------------

    def test_many_objects_are_fetched(self, plugins: Plugins, place: Place, settings: FetchSettings) -> None:
        """More than there are streams, at once."""
        self._needs_trees()
        tree = {f"{number // 10}/{number}.bin": str(number).encode() * number for number in range(100)}
        uri = self.join(place({f"model/{name}": content for name, content in tree.items()}), "model")
        assert self._contents(Fetcher(plugins, settings, SilentProgress()).fetch(uri)) == tree

    def test_what_is_in_the_cache_is_not_fetched_again(
        self, spec: StorageSpec, plugins: Plugins, place: Place, settings: FetchSettings
    ) -> None:
        """A second fetch takes no byte, where the source can tell that nothing has changed."""
        if spec.local:
            pytest.skip("local files are used in place")
        uri = self.join(place({"model.bin": _CONTENT}), "model.bin")
        first = Fetcher(plugins, settings, SilentProgress()).fetch(uri)
        progress = RecordingProgress()
        again = Fetcher(plugins, settings, progress).fetch(uri)
        assert self._contents(again) == {"model.bin": _CONTENT}
        if self.tells_changes:
            assert (again.path, progress.done) == (first.path, [])

    def test_a_fetched_object_equals_the_original(
        self, plugins: Plugins, place: Place, settings: FetchSettings
    ) -> None:
        """The bytes on this machine are those of the source."""
        uri = self.join(place({"model.bin": _CONTENT}), "model.bin")
        assert self._contents(Fetcher(plugins, settings, SilentProgress()).fetch(uri)) == {"model.bin": _CONTENT}

    def test_a_fetched_tree_equals_the_original(self, plugins: Plugins, place: Place, settings: FetchSettings) -> None:
        """So are the files of a tree, in their folders."""
        self._needs_trees()
        tree = {"a.bin": _CONTENT, "1/b.bin": b"b", "1/c/d.bin": b""}
        uri = self.join(place({f"model/{name}": content for name, content in tree.items()}), "model")
        assert self._contents(Fetcher(plugins, settings, SilentProgress()).fetch(uri)) == tree

    def test_a_killed_fetch_goes_on_where_it_stopped(
        self, spec: StorageSpec, plugins: Plugins, place: Place, settings: FetchSettings
    ) -> None:
        """After SIGKILL half-way, a second fetch has all bytes, and did not ask for the first half again."""
        if spec.local:
            pytest.skip("local files are used in place")
        content = os.urandom(_LARGE)
        uri = self.join(place({"model.bin": content}), "model.bin")
        call = "import sys; from fairlead.testing import storage; storage.fetch_and_die(*sys.argv[1:])"
        died = subprocess.run(
            [sys.executable, "-c", call, uri, str(settings.cache), str(_LARGE // 2)],
            input=json.dumps(dict(settings.credentials)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert died.returncode == -signal.SIGKILL, died.stderr
        progress = RecordingProgress()
        assert self._contents(Fetcher(plugins, settings, progress).fetch(uri)) == {"model.bin": content}
        if self.resumable:
            assert progress.done[0] >= _LARGE // 2
            assert progress.arrived == _LARGE - progress.done[0]

    def _needs_trees(self) -> None:
        if not self.trees:
            pytest.skip("the source lists single objects only")

    @staticmethod
    def _contents(artifact: Artifact) -> dict[str, bytes]:
        if artifact.path.is_file():
            return {artifact.path.name: artifact.path.read_bytes()}
        files = [path for path in artifact.path.rglob("*") if path.is_file()]
        return {path.relative_to(artifact.path).as_posix(): path.read_bytes() for path in files}
