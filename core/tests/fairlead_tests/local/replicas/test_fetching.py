from __future__ import annotations

import asyncio
import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fairlead import errors
from fairlead.local.declared import Declared
from fairlead.local.replicas.fetching import Fetching, given, lay_out
from fairlead.plugins import Plugins
from fairlead.resolve.credential_values import Values
from fairlead.resolve.credentials import Credentials
from fairlead.resolve.service import Source
from fairlead.storage.settings import FetchSettings
from fairlead_tests.resolve import vaults


class Counting(http.server.SimpleHTTPRequestHandler):
    gets = 0
    tokens: ClassVar[set[str | None]] = set()
    wanted: str | None = None

    def do_GET(self) -> None:
        type(self).gets += 1
        super().do_GET()

    def send_head(self) -> Any:
        self.tokens.add(self.headers.get("Authorization"))
        if self.wanted not in (None, self.headers.get("Authorization")):
            return self.send_error(401)
        return super().send_head()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, type[Counting]]]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "model.bin").write_bytes(b"x" * 1000)
    handler = type("Handler", (Counting,), {"tokens": set()})
    made = functools.partial(handler, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/model.bin", handler
        server.shutdown()
        thread.join()


def test_replicas_that_start_together_share_one_download(tmp_path: Path, site: tuple[str, type[Counting]]) -> None:
    uri, handler = site
    said: list[str] = []

    async def scenario() -> list[Path]:
        fetching = Fetching(Plugins.discover(), FetchSettings(cache=tmp_path / "cache"))
        return await asyncio.gather(*(fetching.fetch(Source(uri=uri), "default", said.append) for _ in range(5)))

    found = asyncio.run(scenario())
    assert len(set(found)) == 1
    assert (found[0] / "model.bin").read_bytes() == b"x" * 1000
    assert handler.gets == 1
    assert any("fetched" in line for line in said)


def test_a_fetch_that_one_gives_up_goes_on_for_others(tmp_path: Path, site: tuple[str, type[Counting]]) -> None:
    uri, _ = site

    async def scenario() -> Path:
        fetching = Fetching(Plugins.discover(), FetchSettings(cache=tmp_path / "cache"))
        first, second = (
            asyncio.ensure_future(fetching.fetch(Source(uri=uri), "default", lambda _line: None)) for _ in range(2)
        )
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(scenario()).is_dir()


# -- credentials ----------------------------------------------------------------------------------------


def headers(name: str, token: str, namespace: str = "default") -> dict[str, Any]:
    """A Secret with headers for this machine."""
    said = {"https-host": "127.0.0.1", "headers": json.dumps({"Authorization": token})}
    return vaults.secret(name, said, namespace=namespace)


def asking(uri: str, secret: str) -> Source:
    return Source(uri=uri, credentials=Credentials(secret=secret))


def fetching_of(folder: Path, declared: Declared) -> Fetching:
    return Fetching(Plugins.discover(), FetchSettings(cache=folder / "cache"), declared=declared)


def test_who_asks_with_other_credentials_has_a_fetch_of_its_own(
    tmp_path: Path, site: tuple[str, type[Counting]]
) -> None:
    uri, handler = site
    handler.wanted = "Bearer right"
    declared = Declared(vaults.vault(headers("right", "Bearer right"), headers("wrong", "Bearer wrong")))
    said: list[str] = []

    async def scenario() -> list[Any]:
        fetching = fetching_of(tmp_path, declared)
        asked = [asking(uri, "right"), asking(uri, "wrong"), Source(uri=uri), asking(uri, "right")]
        wanted = (fetching.fetch(each, "default", said.append) for each in asked)
        return await asyncio.gather(*wanted, return_exceptions=True)

    right, wrong, nobody, again = asyncio.run(scenario())
    assert (right / "model.bin").is_file()
    assert again == right
    for error in (wrong, nobody):
        assert isinstance(error, errors.AccessDenied)
        assert "Bearer" not in str(error)
    assert handler.tokens == {"Bearer right", "Bearer wrong", None}
    assert not any("Bearer" in line for line in said)


def test_a_secret_counts_for_its_own_namespace_alone_and_a_change_for_the_next_fetch(
    tmp_path: Path, site: tuple[str, type[Counting]]
) -> None:
    uri, handler = site
    handler.wanted = "Bearer new"
    declared = Declared(vaults.vault(headers("token", "Bearer old", "mine"), headers("only", "Bearer new", "theirs")))

    async def scenario() -> None:
        fetching = fetching_of(tmp_path, declared)
        with pytest.raises(errors.AccessDenied):
            await fetching.fetch(asking(uri, "token"), "mine", lambda _line: None)
        with pytest.raises(errors.Unresolvable, match="none in the namespace mine"):
            await fetching.fetch(asking(uri, "only"), "mine", lambda _line: None)
        declared.vault = vaults.vault(headers("token", "Bearer new", "mine"))
        assert (await fetching.fetch(asking(uri, "token"), "mine", lambda _line: None)).is_dir()

    asyncio.run(scenario())


def test_headers_of_the_environment_are_used_where_nothing_is_named(
    tmp_path: Path, site: tuple[str, type[Counting]], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, handler = site
    monkeypatch.setenv("127.0.0.1-headers", '{"Authorization": "Bearer mine"}')
    declared = Declared(vaults.vault(headers("token", "Bearer secret")))

    async def scenario() -> None:
        fetching = fetching_of(tmp_path, declared)
        await fetching.fetch(asking(uri, "token"), "default", lambda _line: None)
        assert handler.tokens == {"Bearer secret"}
        handler.tokens.clear()
        await fetching.fetch(Source(uri=uri), "default", lambda _line: None)
        assert handler.tokens == {"Bearer mine"}

    asyncio.run(scenario())


def test_authorities_are_a_file_that_is_named_by_its_content(tmp_path: Path) -> None:
    """Variables that change with every fetch would be the credentials of somebody else."""
    values = Values(variables={"S3_VERIFY_SSL": "1"}, authorities=b"PEM")
    first, again = given(values, tmp_path), given(values, tmp_path)
    assert first == again
    assert first["S3_VERIFY_SSL"] == "1"
    assert Path(first["AWS_CA_BUNDLE"]).read_bytes() == b"PEM"
    other = given(Values(authorities=b"OTHER"), tmp_path)
    assert Path(other["AWS_CA_BUNDLE"]).read_bytes() == b"OTHER"
    assert given(Values(variables={"A": "b"}), tmp_path) == {"A": "b"}
    assert len(list((tmp_path / "authorities").iterdir())) == 2


def test_a_folder_is_used_in_place(tmp_path: Path) -> None:
    found = lay_out([Source(uri="x")], [tmp_path], tmp_path / "made")
    assert found == {"/mnt/models": tmp_path}
    assert not (tmp_path / "made").exists()


def test_a_file_stands_in_the_folder_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text("content")
    for _ in range(2):
        found = lay_out([Source(uri="x")], [tmp_path / "model.bin"], tmp_path / "made")
        assert (found["/mnt/models"] / "model.bin").read_text() == "content"


def test_several_artefacts_stand_below_their_parent(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    sources = [Source(uri=name, mount_path=f"/mnt/models/{name}") for name in ("a", "b")]
    found = lay_out(sources, [tmp_path / "a", tmp_path / "b"], tmp_path / "made")
    assert set(found) == {"/mnt/models", "/mnt/models/a", "/mnt/models/b"}
    assert (found["/mnt/models"] / "b" / "file").read_text() == "b"
    assert (found["/mnt/models/a"] / "file").read_text() == "a"


def test_artefacts_at_one_path_stand_together_unless_their_files_have_one_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    sources, fetched = [Source(uri="a"), Source(uri="b")], [tmp_path / "a", tmp_path / "b"]
    found = lay_out(sources, fetched, tmp_path / "made")
    assert sorted(path.name for path in found["/mnt/models"].iterdir()) == ["a", "b"]
    (tmp_path / "b" / "a").touch()
    with pytest.raises(errors.StorageError, match="a of b is at /mnt/models already"):
        lay_out(sources, fetched, tmp_path / "made")


def test_what_signs_an_address_is_in_no_error_of_its_place(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    signed = Source(uri="https://account.blob.core.windows.net/c/model.bin?sig=hidden")
    with pytest.raises(errors.StorageError) as caught:
        lay_out([signed, signed], [tmp_path / "model.bin"] * 2, tmp_path / "made")
    assert "hidden" not in str(caught.value)
