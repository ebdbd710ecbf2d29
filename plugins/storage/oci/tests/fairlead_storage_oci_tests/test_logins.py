"""Docker configurations: which login is whose, and what cannot be read."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead_storage_oci import options
from fairlead_storage_oci.helpers import Helpers
from fairlead_storage_oci.logins import DockerConfig, Login

_SECRET = "s3cr3t"


def _auth(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _config(document: Any, *, helpers: bool = False) -> DockerConfig:
    return DockerConfig(json.dumps(document), source="The test's configuration", helpers=helpers)


def _nobody(name: str, server: str) -> Login | None:
    raise AssertionError("no helper is to be asked")


@pytest.mark.parametrize(
    "entry",
    [
        {"auth": _auth("ada", _SECRET)},
        {"auth": base64.b64encode(f"ada:{_SECRET}\0\0".encode()).decode()},
        {"username": "ada", "password": _SECRET},
        {"Username": "ada", "Password": _SECRET, "email": "ada@example.com"},
    ],
)
def test_a_name_and_password_are_read_from_either_form(entry: dict[str, str]) -> None:
    login = _config({"auths": {"ghcr.io": entry}}).login("ghcr.io", "iris", _nobody)
    assert login == Login(username="ada", password=_SECRET)
    assert _SECRET not in repr(login)


def test_tokens_are_read() -> None:
    config = _config({"auths": {"a.io": {"identitytoken": "one"}, "b.io": {"registrytoken": "two"}}})
    assert config.login("a.io", "iris", _nobody) == Login(identity_token="one")
    assert config.login("b.io", "iris", _nobody) == Login(registry_token="two")


@pytest.mark.parametrize(
    ("keys", "registry", "repository", "expected"),
    [
        (["ghcr.io"], "ghcr.io", "iris", "ghcr.io"),
        (["https://ghcr.io"], "ghcr.io", "iris", "https://ghcr.io"),
        (["https://ghcr.io/v1/"], "ghcr.io", "iris", "https://ghcr.io/v1/"),
        (["GHCR.io/v2"], "ghcr.io", "iris", "GHCR.io/v2"),
        (["https://index.docker.io/v1/"], "docker.io", "library/iris", "https://index.docker.io/v1/"),
        (["localhost:5000"], "localhost:5000", "iris", "localhost:5000"),
        (["localhost"], "localhost:5000", "iris", None),
        (["ghcr.io", "ghcr.io/org", "ghcr.io/org/iris"], "ghcr.io", "org/iris", "ghcr.io/org/iris"),
        (["ghcr.io/org"], "ghcr.io", "organisation/iris", None),
        (["*.example.com"], "eu.example.com", "iris", "*.example.com"),
        (["*.example.com", "eu.example.com"], "eu.example.com", "iris", "eu.example.com"),
        (["*.example.com"], "a.eu.example.com", "iris", None),
        (["*"], "ghcr.io", "iris", None),
        (["[::1]:5000"], "[::1]:5000", "iris", "[::1]:5000"),
        (["[a-z]hcr.io"], "ghcr.io", "iris", None),
        (["evil-ghcr.io", "ghcr.io.evil"], "ghcr.io", "iris", None),
    ],
)
def test_the_entry_of_a_registry_is_found(
    keys: list[str], registry: str, repository: str, expected: str | None
) -> None:
    config = _config({"auths": {key: {"auth": _auth(key.replace(":", "_"), "p")} for key in keys}})
    login = config.login(registry, repository, _nobody)
    assert (login and login.username) == (expected and expected.replace(":", "_"))


def test_an_empty_entry_is_none() -> None:
    assert _config({"auths": {"ghcr.io": {}}}).login("ghcr.io", "iris", _nobody) is None
    assert _config({}).login("ghcr.io", "iris", _nobody) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{{'auth': '{_SECRET}'}}",
        "[]",
        '{"auths": []}',
        f'{{"auths": {{"ghcr.io": "{_SECRET}"}}}}',
        '{"credHelpers": 1}',
        '{"credHelpers": {"ghcr.io": 1}}',
        '{"credsStore": 1}',
    ],
)
def test_a_configuration_that_cannot_be_read_is_an_error_and_not_shown(text: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        DockerConfig(text, source="The Secret")
    assert _SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"auth": _SECRET},
        {"auth": base64.b64encode(_SECRET.encode()).decode()},
        {"auth": 7},
        {"username": "ada", "password": 7},
    ],
)
def test_an_entry_that_cannot_be_read_is_an_error_and_not_shown(entry: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"ghcr\.io") as caught:
        _config({"auths": {"ghcr.io": entry}}).login("ghcr.io", "iris", _nobody)
    assert _SECRET not in str(caught.value)


# -- where it comes from --------------------------------------------------------------------------------


def _written(folder: Path, user: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.json"
    file.write_text(json.dumps({"auths": {"ghcr.io": {"auth": _auth(user, "p")}}}))
    return file


def _user(credentials: dict[str, str], environment: dict[str, str], default: Path) -> str | None:
    config = options.read(credentials, environment, default).config
    login = config and config.login("ghcr.io", "iris", _nobody)
    return login.username if login else None


def test_the_first_file_that_is_there_is_read(tmp_path: Path) -> None:
    home, docker, named = (str(tmp_path / name) for name in ("home", "docker", "named"))
    environment = {"HOME": home, "DOCKER_CONFIG": docker, "KSERVE_OCI_DOCKER_CONFIG": f"{named}/config.json"}
    default = tmp_path / "kserve" / "config.json"
    assert _user({}, {"HOME": home}, default) is None
    _written(Path(home, ".docker"), "home")
    assert _user({}, {"HOME": home}, default) == "home"
    _written(Path(docker), "docker")
    assert _user({}, {"HOME": home, "DOCKER_CONFIG": docker}, default) == "docker"
    _written(default.parent, "kserve")
    assert _user({}, {"HOME": home, "DOCKER_CONFIG": docker}, default) == "kserve"
    _written(Path(named), "named")
    assert _user({}, environment, default) == "named"


def test_what_the_credentials_give_is_not_mixed_with_what_the_machine_has(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "KSERVE_OCI_DOCKER_CONFIG": str(_written(tmp_path / "machine", "machine"))}
    nothing = tmp_path / "nothing"
    secret = json.dumps({"auths": {"ghcr.io": {"auth": _auth("secret", "p")}}})
    legacy = json.dumps({"ghcr.io": {"auth": _auth("legacy", "p")}})
    assert _user({".dockerconfigjson": secret}, environment, nothing) == "secret"
    assert _user({".dockercfg": legacy}, environment, nothing) == "legacy"
    assert _user({"KSERVE_OCI_DOCKER_CONFIG": str(_written(tmp_path / "b", "b"))}, environment, nothing) == "b"
    assert _user({".dockerconfigjson": '{"auths": {"quay.io": {}}}'}, environment, nothing) is None
    assert _user({"KSERVE_OCI_INSECURE_REGISTRY": "true"}, environment, nothing) == "machine"


@pytest.mark.parametrize(
    "credentials",
    [
        {".dockerconfigjson": "{", ".dockercfg": "{}"},
        {".dockerconfigjson": ""},
        {"KSERVE_OCI_DOCKER_CONFIG": "/nowhere/config.json"},
    ],
)
def test_credentials_that_cannot_be_used_are_an_error(credentials: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError):
        options.read(credentials, {}, tmp_path / "nothing")


def test_a_file_that_is_named_or_broken_is_never_passed_over(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="which is not there"):
        options.read({}, {"KSERVE_OCI_DOCKER_CONFIG": str(tmp_path / "missing.json")}, tmp_path / "nothing")
    broken = tmp_path / "config.json"
    broken.write_text("{")
    for environment in ({"DOCKER_CONFIG": str(tmp_path)}, {"KSERVE_OCI_DOCKER_CONFIG": str(broken)}):
        with pytest.raises(errors.ConfigurationError, match="not a JSON object"):
            options.read({}, environment, tmp_path / "nothing")
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(errors.ConfigurationError, match="cannot be read"):
        options.read({}, {}, broken)


# -- helpers --------------------------------------------------------------------------------------------


def _helper(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "programs"
    _helper(folder, "good", 'read server; echo "{\\"Username\\": \\"$1 $server\\", \\"Secret\\": \\"p\\"}"')
    _helper(folder, "token", 'cat > /dev/null; echo \'{"Username": "<token>", "Secret": "t"}\'')
    _helper(folder, "empty", "cat > /dev/null; echo 'credentials not found in native keychain'; exit 1")
    _helper(folder, "broken", f"cat > /dev/null; echo {_SECRET}; exit 3")
    _helper(folder, "odd", f"cat > /dev/null; echo {_SECRET}")
    _helper(folder, "slow", "exec sleep 60")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.mark.usefixtures("programs")
def test_helpers_are_asked_as_docker_asks_them() -> None:
    ask = Helpers(10.0).get
    document = {
        "auths": {"ghcr.io": {"auth": _auth("file", "p")}, "empty.io": {"auth": _auth("file", "p")}},
        "credHelpers": {"ghcr.io": "good", "token.io": "token", "empty.io": "empty"},
        "credsStore": "good",
    }
    config = _config(document, helpers=True)
    found = {
        name: config.login(name, "iris", ask) for name in ("ghcr.io", "token.io", "empty.io", "quay.io", "docker.io")
    }
    assert found == {
        "ghcr.io": Login(username="get ghcr.io", password="p"),
        "token.io": Login(identity_token="t"),
        "empty.io": Login(username="file", password="p"),
        "quay.io": Login(username="get quay.io", password="p"),
        "docker.io": Login(username="get https://index.docker.io/v1/", password="p"),
    }


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("broken", errors.AccessDenied),
        ("odd", errors.ConfigurationError),
        ("missing", errors.ConfigurationError),
        ("../../bin/sh", errors.ConfigurationError),
    ],
)
def test_a_helper_that_fails_is_an_error_and_its_output_is_not_shown(name: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        Helpers(10.0).get(name, "ghcr.io")
    assert _SECRET not in str(caught.value)


@pytest.mark.usefixtures("programs")
def test_a_helper_that_hangs_is_ended() -> None:
    with pytest.raises(errors.StorageUnavailable, match=r"did not answer within 0\.1 s"):
        Helpers(0.1).get("slow", "ghcr.io")


@pytest.mark.usefixtures("programs")
def test_closing_ends_a_helper() -> None:
    helpers = Helpers(60.0)
    timer = threading.Timer(0.1, helpers.close)
    timer.start()
    with pytest.raises(errors.StorageUnavailable, match="has ended"):
        helpers.get("slow", "ghcr.io")
    timer.join()
    with pytest.raises(errors.StorageUnavailable):
        helpers.get("good", "ghcr.io")


def test_a_secret_cannot_name_a_helper_of_this_machine() -> None:
    for document in ({"credHelpers": {"ghcr.io": "good"}}, {"credsStore": "good"}):
        with pytest.raises(errors.ConfigurationError, match="login of this machine"):
            _config(document).login("ghcr.io", "iris", _nobody)
