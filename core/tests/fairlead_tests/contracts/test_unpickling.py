from __future__ import annotations

import hashlib
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from fairlead import UnpicklingMode, UnpicklingPolicy, errors


class Payload:
    """Creates a file as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([1, 2, 3]))
    return path


def test_files_are_allowed_when_nothing_is_said(model: Path) -> None:
    policy = UnpicklingPolicy()
    assert policy.mode is UnpicklingMode.ALLOW
    assert policy.permits(model)
    with policy.open(model) as file:
        assert pickle.load(file) == [1, 2, 3]


@pytest.mark.parametrize("policy", ["deny", f"sha256:{'0' * 64}"])
def test_nothing_of_a_refused_file_runs(tmp_path: Path, policy: str) -> None:
    mark = tmp_path / "it ran"
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Payload(mark)))
    parsed = UnpicklingPolicy.parse(policy)
    assert not parsed.permits(path)
    with (
        pytest.raises(errors.UnpicklingRefused, match=r"model.pkl can run code as it loads"),
        parsed.open(path) as file,
    ):
        pickle.load(file)
    assert not mark.exists()


def test_the_payload_of_an_allowed_file_does_run(tmp_path: Path) -> None:
    """Otherwise, the test above would prove nothing."""
    mark = tmp_path / "it ran"
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Payload(mark)))
    with UnpicklingPolicy().open(path) as file:
        pickle.load(file)
    assert mark.exists()


def test_a_listed_digest_opens_that_file_and_no_other(model: Path) -> None:
    policy = UnpicklingPolicy.parse(digest(model.read_bytes()))
    assert policy.mode is UnpicklingMode.TRUSTED
    assert policy.permits(model)
    with policy.open(model) as file:
        assert pickle.load(file) == [1, 2, 3]
    model.write_bytes(model.read_bytes() + b".")
    assert not policy.permits(model)
    with pytest.raises(errors.UnpicklingRefused, match="is not trusted"), policy.open(model):
        pytest.fail("an unlisted file was opened")


def test_what_was_hashed_is_what_is_read_even_when_the_file_changes_in_between(model: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    policy = UnpicklingPolicy.parse(digest(model.read_bytes()))
    with policy.open(model) as file:
        model.write_bytes(pickle.dumps(Payload(mark)))
        assert pickle.load(file) == [1, 2, 3]
    assert not mark.exists()


def test_the_refusal_of_deny_says_how_to_trust_this_file_alone(model: Path) -> None:
    with pytest.raises(errors.UnpicklingRefused) as caught, UnpicklingPolicy.parse("deny").open(model):
        pytest.fail("a file was opened")
    assert caught.value.remedy is not None
    assert f"--unpickling {digest(model.read_bytes())}" in caught.value.remedy


def test_the_refusal_of_an_unlisted_file_names_its_digest(model: Path) -> None:
    policy = UnpicklingPolicy.parse(f"sha256:{'0' * 64}")
    with pytest.raises(errors.UnpicklingRefused) as caught, policy.open(model):
        pytest.fail("a file was opened")
    assert digest(model.read_bytes()) in caught.value.reason


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("allow", UnpicklingPolicy(UnpicklingMode.ALLOW)),
        (" DENY ", UnpicklingPolicy(UnpicklingMode.DENY)),
        (
            f"sha256:{'a' * 64}, SHA256:{'B' * 64},",
            UnpicklingPolicy(UnpicklingMode.TRUSTED, frozenset({f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"})),
        ),
    ],
)
def test_a_policy_is_read_from_text(text: str, policy: UnpicklingPolicy) -> None:
    assert UnpicklingPolicy.parse(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "trusted",
        "yes",
        "allow,deny",
        "a" * 64,
        "sha256:abc",
        f"sha256:{'g' * 64}",
        f"sha256:{'a' * 65}",
        f"md5:{'a' * 32}",
        f"allow,sha256:{'a' * 64}",
    ],
)
def test_a_text_that_is_no_policy_is_refused_and_never_read_as_allow(text: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="is not an unpickling policy") as caught:
        UnpicklingPolicy.parse(text)
    assert "Use allow, deny, or digests" in str(caught.value)


def test_a_trusted_policy_without_digests_opens_nothing(model: Path) -> None:
    policy = UnpicklingPolicy(UnpicklingMode.TRUSTED)
    assert not policy.permits(model)
    with pytest.raises(errors.UnpicklingRefused), policy.open(model):
        pytest.fail("a file was opened")


def test_a_policy_cannot_be_changed_after_it_was_made() -> None:
    policy = UnpicklingPolicy()
    with pytest.raises(AttributeError):
        policy.mode = UnpicklingMode.ALLOW  # type: ignore[misc]  # that it is refused is the test


def test_refusing_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    tracemalloc.start()
    try:
        with pytest.raises(errors.UnpicklingRefused, match="sha256:"), UnpicklingPolicy.parse("deny").open(path):
            pass
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
