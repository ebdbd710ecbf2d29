"""Logins at work: anonymous, Basic and Bearer, with real registries and with one that misbehaves."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import logging
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead_storage_oci import challenges
from fairlead_storage_oci.provider import OciProvider
from fairlead_storage_oci_tests import images, registries
from fairlead_storage_oci_tests.certificates import Authority
from fairlead_storage_oci_tests.double import Double, Guard, Request, bearer

if TYPE_CHECKING:
    from fairlead_storage_oci_tests.registries import Registry

_PASSWORD = "wunderbar-7f3"
_HTPASSWD = "ada:$2b$04$abcdefghijklmnopqrstuuYv1sTY3/C0a2LiqgpsTO/Nh6CaHYMfK\n"
_BASIC = f"Basic {base64.b64encode(f'ada:{_PASSWORD}'.encode()).decode()}"

_Make = Callable[..., OciProvider]


def _secret(host: str, **entry: str) -> dict[str, str]:
    entry = entry or {"username": "ada", "password": _PASSWORD}
    return {".dockerconfigjson": json.dumps({"auths": {host: entry}})}


@pytest.fixture(autouse=True)
def nothing_secret_is_said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for secret in (_PASSWORD, _BASIC, "t0k3n", "1d3nt1ty", "s3cr3t"):
        assert secret not in caplog.text


# -- Basic, with the registry's own file of passwords ----------------------------------------------------


@pytest.fixture(scope="module")
def guarded(contents: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "htpasswd").write_text(_HTPASSWD)
    auth = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    with registries.running(folder, contents, auth=auth) as running:
        yield running


@pytest.fixture(scope="module")
def pushed(registry: Registry) -> str:
    images.files(registry, "private/iris", "1", {"model.bin": b"model" * 1000})
    return "private/iris:1"


def test_a_name_and_a_password_open_a_registry(make: _Make, guarded: Registry, pushed: str) -> None:
    provider = make(_secret(guarded.host))
    (item,) = provider.list(f"oci://{guarded.host}/{pushed}")
    assert b"".join(provider.open_range(item, 5, 10)) == b"model"


@pytest.mark.parametrize(
    ("credentials", "how"),
    [
        (None, "without a login"),
        (lambda _: _secret("quay.io"), "without a login"),
        (lambda host: _secret(host, username="ada", password="wr0ng"), "with the login that was found"),
    ],
)
def test_without_a_right_login_access_is_denied_with_a_remedy(
    make: _Make, guarded: Registry, pushed: str, credentials: Any, how: str
) -> None:
    provider = make(credentials and credentials(guarded.host))
    with pytest.raises(errors.AccessDenied, match=how) as caught:
        provider.list(f"oci://{guarded.host}/{pushed}")
    assert "wr0ng" not in str(caught.value)
    assert "KSERVE_OCI_DOCKER_CONFIG" in str(caught.value)
    assert "kubernetes.io/dockerconfigjson" in str(caught.value)


def test_the_login_of_this_machine_is_not_used_for_a_service_with_its_own(
    make: _Make, guarded: Registry, pushed: str, home: Path
) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(_secret(guarded.host)[".dockerconfigjson"])
    assert make().list(f"oci://{guarded.host}/{pushed}")
    with pytest.raises(errors.AccessDenied):
        make(_secret("quay.io")).list(f"oci://{guarded.host}/{pushed}")


# -- Bearer, with a registry that checks signed tokens ---------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def _token_server(authority: Authority, users: dict[str, str]) -> Callable[[Request], tuple[int, Any]]:
    """A token server: what it grants is what the user may read."""

    def answer(request: Request) -> tuple[int, Any]:
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.path).query or request.body))
        shown = asked.get("refresh_token") or request.headers.get("authorization", "")
        if shown not in users:
            return 401, {}
        _, name, actions = asked["scope"].rsplit(":", 2)
        may = name == users[shown] and actions == "pull"
        now = int(time.time())
        claims = {
            "iss": "tests",
            "sub": "ada",
            "aud": asked["service"],
            "iat": now,
            "nbf": now - 10,
            "exp": now + 60,
            "access": [{"type": "repository", "name": name, "actions": ["pull"] if may else []}],
        }
        return 200, {"access_token" if request.method == "POST" else "token": authority.token(claims)}

    return answer


@pytest.fixture(scope="module")
def tokens(authority: Authority) -> Iterator[Double]:
    """The token server."""
    double = Double()
    double.token = _token_server(authority, {_BASIC: "private/iris", "1d3nt1ty": "private/iris", "": "public/iris"})
    yield double
    double.close()


@pytest.fixture(scope="module")
def issued(
    contents: Path, authority: Authority, tokens: Double, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    auth = {
        "token": {
            "realm": f"{tokens.url}/token",
            "service": "tests",
            "issuer": "tests",
            "rootcertbundle": str(authority.certificate),
        }
    }
    with registries.running(tmp_path_factory.mktemp("issued"), contents, auth=auth) as running:
        yield running


def test_a_password_is_exchanged_for_a_token(make: _Make, issued: Registry, tokens: Double, pushed: str) -> None:
    tokens.requests.clear()
    provider = make(_secret(issued.host))
    (item,) = provider.list(f"oci://{issued.host}/{pushed}")
    assert b"".join(provider.open_range(item)) == b"model" * 1000
    assert [request.method for request in tokens.requests] == ["GET"], "one token for all requests"


def test_an_identity_token_is_exchanged_for_a_token(make: _Make, issued: Registry, tokens: Double, pushed: str) -> None:
    tokens.requests.clear()
    assert make(_secret(issued.host, identitytoken="1d3nt1ty")).list(f"oci://{issued.host}/{pushed}")
    (request,) = tokens.requests
    assert request.method == "POST"
    assert "1d3nt1ty" not in request.path
    assert "authorization" not in request.headers


def test_what_is_public_needs_no_login(make: _Make, issued: Registry, registry: Registry) -> None:
    images.files(registry, "public/iris", "1", {"model.bin": b"model"})
    assert make().list(f"oci://{issued.host}/public/iris:1")


def test_a_token_for_another_repository_does_not_help(make: _Make, issued: Registry, registry: Registry) -> None:
    images.files(registry, "private/other", "1", {"model.bin": b"model"})
    with pytest.raises(errors.AccessDenied, match="with the login that was found"):
        make(_secret(issued.host)).list(f"oci://{issued.host}/private/other:1")


def test_a_login_that_the_token_server_refuses_is_denied(make: _Make, issued: Registry, pushed: str) -> None:
    for entry in ({"username": "ada", "password": "wr0ng"}, {"identitytoken": "wr0ng"}):
        with pytest.raises(errors.AccessDenied) as caught:
            make(_secret(issued.host, **entry)).list(f"oci://{issued.host}/{pushed}")
        assert "wr0ng" not in str(caught.value)


# -- Bearer, with a registry that does what a test tells it ----------------------------------------------


@pytest.fixture
def held(double: Double) -> str:
    images.files(double, "iris", "1", {"model.bin": bytes(range(256)) * 4096})
    return f"oci://{double.host}/iris:1"


def _numbered(request: Request, made: list[str]) -> tuple[int, Any]:
    made.append(f"t0k3n-{len(made)}")
    return 200, {"token": made[-1]}


def test_a_token_that_expires_is_renewed_between_two_ranges(make: _Make, double: Double, held: str) -> None:
    made: list[str] = []
    double.token = lambda request: _numbered(request, made)
    double.guard = bearer(double, *(f"t0k3n-{number}" for number in range(100)))
    double.guard.uses = 2
    provider = make()
    (item,) = provider.list(held)
    assert item.size is not None
    parts = [b"".join(provider.open_range(item, start, start + 65536)) for start in range(0, item.size, 65536)]
    assert b"".join(parts) == bytes(range(256)) * 4096
    assert len(made) == (len(parts) + 2) // 2, "each was used as long as it held"


def test_threads_whose_token_expires_together_renew_it_once(make: _Make, double: Double, held: str) -> None:
    made: list[str] = []
    double.token = lambda request: _numbered(request, made)
    double.guard = bearer(double, "t0k3n-0")
    provider = make()
    (item,) = provider.list(held)
    double.guard.good = {"Bearer t0k3n-1"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda number: b"".join(provider.open_range(item, number, number + 1)), range(8))
        assert b"".join(read) == bytes(range(8))
    assert made == ["t0k3n-0", "t0k3n-1"]


def test_tokens_that_are_never_taken_end_in_an_error(make: _Make, double: Double, held: str) -> None:
    made: list[str] = []
    double.token = lambda request: _numbered(request, made)
    double.guard = bearer(double)
    with pytest.raises(errors.AccessDenied):
        make().list(held)
    assert len(made) <= 3


def test_a_registry_token_is_shown_as_it_is(make: _Make, double: Double, held: str) -> None:
    double.guard = bearer(double, "t0k3n")
    assert make(_secret(double.host, registrytoken="t0k3n")).list(held)
    assert not double.asked("/token")


def test_the_scope_and_service_that_are_asked_for_are_passed_on(make: _Make, double: Double, held: str) -> None:
    double.token = lambda _: (200, {"token": "t0k3n"})
    double.guard = bearer(double, "t0k3n", scope="repository:iris:pull repository:base:pull")
    make().list(held)
    (request,) = double.asked("/token")
    asked = urllib.parse.parse_qsl(urllib.parse.urlsplit(request.path).query)
    assert asked == [
        ("service", "registry.example"),
        ("scope", "repository:iris:pull"),
        ("scope", "repository:base:pull"),
    ]


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (200, {"token": ""}, errors.StorageError),
        (200, {"token": "a\r\nX-Evil: t0k3n"}, errors.StorageError),
        (200, ["t0k3n"], errors.StorageError),
        (200, {"token": "t" * (2 * 1024 * 1024)}, errors.StorageError),
        (503, {}, errors.StorageUnavailable),
        (403, {}, errors.AccessDenied),
    ],
)
def test_a_token_server_that_gives_no_token_is_an_error(
    make: _Make, double: Double, held: str, status: int, answer: Any, error: type[Exception]
) -> None:
    double.token = lambda _: (status, answer)
    double.guard = bearer(double, "t0k3n")
    with pytest.raises(error):
        make().list(held)


def test_a_registry_cannot_lead_to_an_address_of_another_kind(make: _Make, double: Double, held: str) -> None:
    """As for redirects: a public registry must not have this machine ask its own network."""
    port = int(double.host.rpartition(":")[2])

    def resolve(host: str, port: int, **options: Any) -> Any:
        address = {"tokens.example": "10.1.2.3"}.get(host, host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    for realm in ("http://tokens.example/token", "http://169.254.169.254/token"):
        double.guard = bearer(double, "t0k3n", realm=realm)
        with pytest.raises(errors.UnsafeArtifact, match="must not lead to"):
            make(_secret(double.host), resolve=resolve).list(held)
    assert f":{port}" in held


def test_a_realm_that_is_no_url_of_http_is_refused(make: _Make, double: Double, held: str) -> None:
    for realm in ("file:///etc/passwd", "ftp://example.com", ""):
        double.guard = Guard(challenge=f'Bearer realm="{realm}"', good=set())
        with pytest.raises(errors.StorageError):
            make().list(held)


def test_an_unknown_way_to_log_in_is_denied(make: _Make, double: Double, held: str) -> None:
    double.guard = Guard(challenge="Negotiate", good=set())
    with pytest.raises(errors.AccessDenied):
        make(_secret(double.host)).list(held)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Bearer realm="https://a/b?c=d,e",service=x', [("bearer", {"realm": "https://a/b?c=d,e", "service": "x"})]),
        (
            'Basic realm="a \\"b\\"", Bearer Realm = "r" , scope="x y"',
            [("basic", {"realm": 'a "b"'}), ("bearer", {"realm": "r", "scope": "x y"})],
        ),
        ("realm=x", []),
        ('Bearer realm="unfinished', [("bearer", {})]),
    ],
)
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(one.scheme, dict(one.parameters)) for one in challenges.parse(header)] == expected
