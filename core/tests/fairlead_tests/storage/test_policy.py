"""What may be fetched from where: lists of schemes and hosts, and endpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.storage.http.provider import HttpProvider
from fairlead.storage.policy import HOSTS_VARIABLE, SCHEMES_VARIABLE, Policy, check_endpoint
from fairlead.storage.settings import NETWORK_VARIABLE, NetworkPolicy
from fairlead_tests.storage.server import Server, contents, serving

if TYPE_CHECKING:
    from fairlead_tests.storage.conftest import MakeFetcher


def admits(policy: Policy, uri: str) -> bool:
    try:
        policy.admit(uri)
    except errors.UnsafeArtifact:
        return False
    return True


def hosts(*entries: str) -> Policy:
    return Policy(hosts=entries)


# -- schemes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "fine"),
    [
        ("s3://bucket/model", True),
        ("S3://bucket/model", True),
        ("https://host/model.bin", True),
        ("http://host/model.bin", False),
        ("HTTP://host/model.bin", False),
        ("file:///models/iris", False),
        ("/models/iris", False),
        ("models/iris", False),
        ("models:/iris/1", False),
        ("git+https://host/x", False),
        ("gopher://host/x", False),
    ],
)
def test_only_listed_schemes_are_admitted(uri: str, fine: bool) -> None:
    assert admits(Policy(schemes=("s3", "https")), uri) is fine
    assert admits(Policy(), uri)


def test_a_path_of_this_machine_counts_as_file() -> None:
    assert admits(Policy(schemes=("file",)), "/models/iris")
    assert admits(Policy(schemes=("file",)), "file:///models/iris")
    assert admits(Policy(schemes=("models",)), "models:/iris/1")


# -- hosts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "uri", "fine"),
    [
        ("models.example.com", "https://models.example.com/x", True),
        ("models.example.com", "https://MODELS.example.com./x", True),
        ("Models.Example.com", "https://models.example.com:8443/x", True),
        ("models.example.com", "https://models.example.com.evil.org/x", False),
        ("models.example.com", "https://evil.org/models.example.com", False),
        ("models.example.com", "https://evil.org\\@models.example.com/x", False),
        ("models.example.com", "https://models.example.com@evil.org/x", False),
        ("models.example.com", "https://evil.org?@models.example.com/x", False),
        ("models.example.com", "https://evil.org#@models.example.com/x", False),
        ("*.example.com", "https://a.b.example.com/x", True),
        ("*.example.com", "https://example.com/x", False),
        ("*.example.com", "https://evilexample.com/x", False),
        ("*.example.com", "https://evil.org/.example.com", False),
        ("minio:9000", "http://minio:9000/x", True),
        ("minio:9000", "http://minio:9001/x", False),
        ("minio:80", "http://minio/x", True),
        ("[::1]", "http://[::1]:8080/x", True),
        ("[::1]:8080", "http://[::1]:8081/x", False),
        ("127.0.0.1", "http://2130706433/x", False),
        ("127.0.0.1", "http://0177.0.0.1/x", False),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/x", False),
        ("ghcr.io", "oci://ghcr.io/org/model:1", True),
        ("ghcr.io", "oci+fetch://ghcr.io/org/model@sha256:00", True),
        ("host", "git+https://host/org/model.git@main", True),
        ("host", "git+ssh://git@host/org/model.git", True),
        ("namenode", "webhdfs://namenode:9870/models", True),
        ("account.dfs.core.windows.net", "abfs://container@account.dfs.core.windows.net/model", True),
        ("account.dfs.core.windows.net", "abfs://account.dfs.core.windows.net@evil.net/model", False),
        ("bücher.example", "https://xn--bcher-kva.example/x", False),
    ],
)
def test_a_host_is_admitted_by_its_name(entry: str, uri: str, fine: bool) -> None:
    assert admits(hosts("other.example.org", entry), uri) is fine


@pytest.mark.parametrize(
    ("entry", "uri", "fine"),
    [
        ("s3://models", "s3://models/iris", True),
        ("s3://models", "s3://models", True),
        ("s3://models", "s3://models-old/iris", False),
        ("s3://models", "gs://models/iris", False),
        ("s3://models", "S3://models/iris", True),
        ("s3://team-*", "s3://team-a/iris", True),
        ("s3://team-*", "s3://other/team-a", False),
        ("s3://models/public", "s3://models/public/iris", True),
        ("s3://models/public", "s3://models/public-not/iris", False),
        ("s3://models/public", "s3://models/public/../private", False),
        ("s3://models/public", "s3://models/public/%2e%2e/private", False),
        ("s3://models/*/public", "s3://models/a/public/iris", True),
        ("s3://models/*/public", "s3://models/a/b/public/iris", False),
        ("models", "s3://models/iris", False),
        ("*.example.com", "s3://models.example.com/iris", False),
        ("hf://org", "hf://org/model:main", True),
        ("hf://org/model", "hf://org/model:refs/pr/1", True),
        ("hf://org/model", "hf://org/model-evil", False),
        ("hf://org/model", "hf://org/other:model", False),
        ("oci://ghcr.io/org", "oci://ghcr.io/org/model:1", True),
        ("oci://ghcr.io/org/model", "oci://ghcr.io/org/model@sha256:00", True),
        ("oci://ghcr.io/org/model", "oci://ghcr.io/org/model:1", True),
        ("oci://ghcr.io/org/model", "oci://ghcr.io/org/model-evil:1", False),
        ("oci://ghcr.io/org", "https://ghcr.io/org/model", False),
        ("https://host/models", "https://host/models/iris.bin", True),
        ("https://host/models", "https://host/models/../other.bin", False),
        ("https://host/models", "https://host/models/%2e%2e/other.bin", False),
        ("https://host/models", "https://host/models%2f..%2f..%2fother.bin", False),
        ("models://iris", "models:/iris/1", True),
        ("models://iris", "models:/other/1", False),
    ],
)
def test_an_entry_with_a_scheme_admits_what_is_below_it(entry: str, uri: str, fine: bool) -> None:
    assert admits(hosts(entry), uri) is fine


def test_files_of_this_machine_have_no_host() -> None:
    for uri in ("/models/iris", "file:///models/iris", "pvc://claim/iris", "git+file:///models/iris"):
        assert admits(hosts("models.example.com"), uri)


def test_an_empty_list_admits_nothing_and_a_star_everything() -> None:
    assert not admits(Policy.of({HOSTS_VARIABLE: ""}), "https://host/x")
    assert not admits(Policy.of({SCHEMES_VARIABLE: " , "}), "https://host/x")
    assert Policy.of({HOSTS_VARIABLE: "*", SCHEMES_VARIABLE: "s3, *"}) == Policy()


def test_what_is_refused_says_what_to_add_and_shows_no_secret() -> None:
    with pytest.raises(errors.UnsafeArtifact) as caught:
        hosts("internal.example.com").admit("https://user:secret@host/x?signature=secret")
    assert "add host to FAIRLEAD_STORAGE_HOSTS" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "internal" not in str(caught.value)
    with pytest.raises(errors.UnsafeArtifact, match="add s3://bucket to FAIRLEAD_STORAGE_HOSTS"):
        hosts("a").admit("s3://bucket/key")
    with pytest.raises(errors.UnsafeArtifact, match="add hdfs to FAIRLEAD_STORAGE_SCHEMES"):
        Policy(schemes=("s3",)).admit("hdfs://namenode/key")


@pytest.mark.parametrize(
    "entry", ["https//host", "host/path", "a b", "user@host", "s3://", "://host", "[evil", "h[a-z]st"]
)
def test_an_entry_that_names_no_host_is_a_mistake_of_the_settings(entry: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="FAIRLEAD_STORAGE_HOSTS"):
        Policy.of({HOSTS_VARIABLE: f"host,{entry}"})


def test_a_scheme_is_written_as_its_name() -> None:
    with pytest.raises(errors.ConfigurationError, match="FAIRLEAD_STORAGE_SCHEMES: 'https://' is not"):
        Policy.of({SCHEMES_VARIABLE: "https://"})


# -- from where it comes, and how it travels ----------------------------------------------------------------


def test_a_policy_comes_from_the_mapping_and_else_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, "a.example.com, b.example.com")
    monkeypatch.setenv(SCHEMES_VARIABLE, "HTTPS")
    monkeypatch.setenv(NETWORK_VARIABLE, "public")
    policy = Policy.of({})
    assert policy == Policy(network=NetworkPolicy.PUBLIC, schemes=("https",), hosts=("a.example.com", "b.example.com"))
    assert Policy.of({HOSTS_VARIABLE: "c", NETWORK_VARIABLE: "any"}) == dataclasses.replace(
        policy, hosts=("c",), network=NetworkPolicy.ANY
    )


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(network=NetworkPolicy.PUBLIC, schemes=("s3",), hosts=("a", "s3://b"))]
)
def test_a_policy_survives_its_way_to_a_provider_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    for name in (HOSTS_VARIABLE, SCHEMES_VARIABLE):
        monkeypatch.setenv(name, "other")
    assert Policy.of(policy.variables()) == policy


# -- connections --------------------------------------------------------------------------------------------


def test_a_connection_may_go_to_the_host_of_every_entry() -> None:
    policy = hosts("a.example.com", "oci://ghcr.io/org", "s3://bucket.example.com")
    policy.admit_connection("https://a.example.com/x")
    policy.admit_connection("https://ghcr.io/v2/")
    for url in ("https://bucket.example.com/x", "https://b.example.com/x"):
        with pytest.raises(errors.UnsafeArtifact):
            policy.admit_connection(url)


def test_hosts_of_a_service_are_trusted_besides_those_that_are_listed() -> None:
    policy = hosts("hf://org").trusting("huggingface.co", "*.hf.co")
    policy.admit_connection("https://cdn.hf.co/x")
    with pytest.raises(errors.UnsafeArtifact):
        policy.admit_connection("https://evil.org/x")
    assert Policy().trusting("huggingface.co") == Policy()


def test_a_redirect_to_a_host_that_is_not_listed_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, f"127.0.0.1:{server.port}")
    with serving() as second:
        server.faults.redirects["/model.bin"] = second.put("/model.bin", b"x")
        with contextlib.closing(HttpProvider()) as provider, pytest.raises(errors.UnsafeArtifact, match="127"):
            provider.list(f"{server.url}/model.bin")
        assert second.requests == []


def test_a_redirect_to_a_host_that_is_listed_is_followed(
    server: Server, fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, "127.0.0.1,localhost")
    server.put("/real.bin", b"x")
    server.faults.redirects["/model.bin"] = f"http://localhost:{server.port}/real.bin"
    assert contents(fetcher().fetch(f"{server.url}/model.bin").path) == {"model.bin": b"x"}


@pytest.mark.parametrize("name", [HOSTS_VARIABLE, SCHEMES_VARIABLE])
def test_a_fetch_of_what_is_not_listed_asks_nobody(
    server: Server, fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "other")
    with pytest.raises(errors.UnsafeArtifact, match=name):
        fetcher().fetch(server.put("/model.bin", b"x"))
    assert server.requests == []


# -- endpoints ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "network", "fine"),
    [
        ("http://127.0.0.1:9000", NetworkPolicy.ANY, True),
        ("http://127.0.0.1:9000", NetworkPolicy.PUBLIC, False),
        ("http://2130706433", NetworkPolicy.PUBLIC, False),
        ("http://[::ffff:10.0.0.1]", NetworkPolicy.PUBLIC, False),
        ("http://10.0.0.1", NetworkPolicy.ANY, True),
        ("https://8.8.8.8", NetworkPolicy.PUBLIC, True),
        ("http://169.254.169.254", NetworkPolicy.ANY, False),
        ("http://0xa9fea9fe", NetworkPolicy.ANY, False),
        ("http://[fd00:ec2::254]", NetworkPolicy.ANY, False),
        ("http://0", NetworkPolicy.ANY, False),
        ("file:///etc/passwd", NetworkPolicy.ANY, False),
        ("https://user:secret@8.8.8.8", NetworkPolicy.ANY, False),
    ],
)
def test_an_endpoint_is_judged_by_its_addresses(url: str, network: NetworkPolicy, fine: bool) -> None:
    if fine:
        check_endpoint(url, network)
        return
    with pytest.raises(errors.UnsafeArtifact) as caught:
        check_endpoint(url, network)
    assert "secret" not in str(caught.value)


def test_an_endpoint_is_judged_by_what_its_name_resolves_to() -> None:
    def resolve(_host: str, port: int, **_options: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.96.0.1", port))]

    check_endpoint("http://minio.models.svc", NetworkPolicy.ANY, resolve)
    with pytest.raises(errors.UnsafeArtifact, match=r"10\.96\.0\.1"):
        check_endpoint("http://minio.models.svc", NetworkPolicy.PUBLIC, resolve)
    with pytest.raises(errors.StorageUnavailable, match="cannot be resolved"):
        check_endpoint("http://minio.invalid", NetworkPolicy.ANY)


def test_an_endpoint_that_somebody_sets_is_on_the_list_of_hosts_or_refused() -> None:
    policy = hosts("s3://models", "127.0.0.1")
    policy.check_endpoint("http://127.0.0.1:9000")
    with pytest.raises(errors.UnsafeArtifact, match=r"add evil\.example to FAIRLEAD_STORAGE_HOSTS"):
        policy.check_endpoint("https://evil.example")
