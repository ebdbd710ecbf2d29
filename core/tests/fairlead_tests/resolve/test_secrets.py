"""Secrets are found in one namespace, decoded key by key, and never shown."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead import errors
from fairlead.resolve.secrets import Secret, SecretKey, Vault
from fairlead_tests.resolve import vaults

VALUE = "s3cr3t-value"


def one(**fields: Any) -> Secret:
    return Secret.of(vaults.secret("token", **fields))


def test_values_are_decoded_and_texts_win() -> None:
    found = one(data={"a": vaults.encoded("one"), "b": vaults.encoded("two")}, stringData={"b": "three", "c": "four"})
    assert found.keys == ("a", "b", "c")
    assert [found.text(key) for key in found.keys] == ["one", "three", "four"]


def test_base64_may_be_in_several_lines_and_a_text_may_end_in_a_line_end() -> None:
    text = vaults.encoded("one two three\n")
    assert one(data={"a": f"{text[:8]}\n{text[8:]}\n"}).text("a") == "one two three"
    assert one(data={"a": vaults.encoded(b"\x00\xff")}).content("a") == b"\x00\xff"


@pytest.mark.parametrize("data", ["not base64!", "abc", VALUE, vaults.encoded(b"\xff" + VALUE.encode())])
def test_what_cannot_be_decoded_is_told_by_its_key_alone(data: str) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        one(data={"password": data}).text("password")
    assert caught.value.condition == "InvalidSecret"
    assert caught.value.reason.startswith("The Secret default/token has at password what is no ")
    assert caught.value.remedy
    assert VALUE not in str(caught.value)
    assert data not in str(caught.value)
    assert caught.value.__suppress_context__


def test_nothing_shows_what_a_secret_holds() -> None:
    manifest = vaults.secret("token", {"a": VALUE}, stringData={"b": VALUE})
    there = vaults.vault(manifest)
    for shown in (repr(there), repr(there.secrets), str(one(stringData={"b": VALUE}))):
        assert VALUE not in shown
        assert vaults.encoded(VALUE) not in shown


def test_a_secret_is_found_in_its_own_namespace_alone() -> None:
    there = vaults.vault(vaults.secret("token", {"a": VALUE}, namespace="theirs"))
    assert there.secret("theirs", "token", "It").text("a") == VALUE
    for namespace, name in (("ours", "token"), ("ours", "theirs/token"), ("", "theirs/token")):
        with pytest.raises(errors.Unresolvable, match="there is none in the namespace") as caught:
            there.secret(namespace, name, "It")
        assert caught.value.condition == "SecretNotFound"


def test_a_key_that_is_not_there_is_told_with_those_that_are() -> None:
    there = vaults.vault(vaults.secret("token", {"a": VALUE, "b": VALUE}))
    with pytest.raises(
        errors.Unresolvable, match=r"It names the key 'c' of the Secret default/token, which has a, b\."
    ):
        there.value("default", SecretKey("token", "c"), "It")


def test_objects_without_a_namespace_are_in_the_default_one_and_other_kinds_are_left_out() -> None:
    manifests: list[dict[str, Any]] = [
        {"kind": "Secret", "metadata": {"name": "s"}},
        {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}, "binaryData": {"c": vaults.encoded("d")}},
        {"kind": "ServiceAccount", "metadata": {"name": "a"}, "imagePullSecrets": [{"name": "p"}]},
        {"kind": "Deployment", "metadata": {"name": "d"}},
    ]
    there = Vault.of(manifests)
    assert [list(each) for each in (there.secrets, there.config_maps, there.accounts)] == [
        [("default", "s")],
        [("default", "c")],
        [("default", "a")],
    ]
    found = there.config_map("default", "c", "It")
    assert [found.content(key) for key in found.keys] == [b"b", b"d"]
    assert there.accounts["default", "a"].pull_secrets == ("p",)
    with pytest.raises(errors.Unresolvable) as caught:
        there.config_map("default", "x", "It")
    assert caught.value.condition == "ConfigMapNotFound"
