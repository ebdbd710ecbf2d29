"""Which URIs name what."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead_storage_oci.references import Reference

_HEX = "ab" * 32


@pytest.mark.parametrize(
    ("uri", "registry", "repository", "identifier"),
    [
        ("oci://ghcr.io/org/iris:1.0", "ghcr.io", "org/iris", "1.0"),
        ("oci://ghcr.io/org/iris", "ghcr.io", "org/iris", "latest"),
        ("oci://ghcr.io/org/iris/", "ghcr.io", "org/iris", "latest"),
        ("oci+fetch://localhost:5000/iris:v1", "localhost:5000", "iris", "v1"),
        ("oci://[::1]:5000/a/b_c/d-e:T", "[::1]:5000", "a/b_c/d-e", "T"),
        (f"oci://GHCR.io/iris@sha256:{_HEX}", "ghcr.io", "iris", f"sha256:{_HEX}"),
        (f"oci://ghcr.io:443/iris:tag@sha256:{_HEX}", "ghcr.io:443", "iris", f"sha256:{_HEX}"),
        ("oci://docker.io/iris:1", "docker.io", "library/iris", "1"),
        ("oci://index.docker.io/ai/smollm2", "docker.io", "ai/smollm2", "latest"),
    ],
)
def test_a_uri_names_registry_repository_and_what_of_it(
    uri: str, registry: str, repository: str, identifier: str
) -> None:
    reference = Reference.parse(uri)
    assert (reference.registry, reference.repository, reference.identifier) == (registry, repository, identifier)


@pytest.mark.parametrize(
    "uri",
    [
        "oci://ghcr.io",
        "oci://ghcr.io/",
        "oci:///iris",
        "oci://ghcr.io/Iris",
        "oci://ghcr.io/../v2/other",
        "oci://ghcr.io/iris//model",
        "oci://ghcr.io/iris:",
        "oci://ghcr.io/iris:a/b",
        "oci://ghcr.io/iris@sha256:abc",
        "oci://ghcr.io/iris@md5:" + "ab" * 16,
        "oci://ghcr.io/iris:tag?x=1",
        "oci://ghcr.io/iris%2e%2e:1",
        "oci://ghcr.io:port/iris",
        "oci://ghcr.io\r\nX: y/iris",
        "oci://ghcr.io/" + "a" * 256,
    ],
)
def test_what_is_no_reference_is_refused(uri: str) -> None:
    with pytest.raises(errors.StorageError):
        Reference.parse(uri)


def test_an_image_that_a_cluster_mounts_is_refused_with_a_reason() -> None:
    with pytest.raises(errors.StorageError, match="asks a cluster to mount") as caught:
        Reference.parse("oci+native://ghcr.io/iris:1")
    assert "oci+fetch://" in (caught.value.remedy or "")


def test_a_password_in_the_uri_is_refused_and_not_repeated() -> None:
    with pytest.raises(errors.UnsafeArtifact) as caught:
        Reference.parse("oci://user:s3cr3t@ghcr.io/iris")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("registry", "loopback"),
    [("localhost:5000", True), ("127.3.2.1", True), ("[::1]:5000", True), ("a.localhost", True),
     ("ghcr.io", False), ("10.0.0.1:5000", False), ("localhost.example.com", False)],
)  # fmt: skip
def test_a_registry_of_this_machine_is_known_as_one(registry: str, loopback: bool) -> None:
    assert Reference.parse(f"oci://{registry}/iris").is_loopback is loopback
