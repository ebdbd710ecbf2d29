"""Secrets, ConfigMaps and ServiceAccounts are read beside the kinds, and what a Secret holds is in no message."""

from __future__ import annotations

import pytest

from fairlead import api, errors
from fairlead.api import crds

HIDDEN = "s3cr3t"


def test_objects_that_services_name_are_read() -> None:
    documents = (
        "{apiVersion: v1, kind: Secret, metadata: {name: s}, type: Opaque, data: {a: Yg==}, stringData: {c: d}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: b}}",
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, secrets: [{name: s}]}",
    )
    found = api.read("# objects\n" + "\n---\n".join(documents), "x.yaml")
    assert [each.kind for each in found] == ["Secret", "ConfigMap", "ServiceAccount"]
    assert found[0].manifest()["stringData"] == {"c": "d"}


def test_they_are_no_kinds_of_ours_with_definitions() -> None:
    assert not set(api.KUBERNETES_KINDS) & set(api.KINDS)
    assert all(each["spec"]["group"] == api.GROUP for each in crds.definitions())


def test_the_representation_of_a_secret_shows_no_value() -> None:
    (found,) = api.read(
        f"{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {{a: {HIDDEN}}}, stringData: {{b: {HIDDEN}}}}}",
        "x",
    )
    assert HIDDEN not in repr(found)
    assert HIDDEN not in str(found)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("stringData: {a: 5417}", "x:1: Secret s: stringData.a is not a text. Write it in quotes."),
        ("stringData: {a: [5417]}", "x:1: Secret s: stringData.a is not a text. Write it in quotes."),
        ("data: 's5417'", "x:1: Secret s: data is not an object."),
        ("stringData: {a: !!int s5417}", "x:1: it is not of the type !!int."),
        (f"stringData: {{a: {'5417' * 20}}}", "x:1: it is too large for a number."),
        ("stringData: {a: 5417e999}", "x:1: it is too large for a number."),
    ],
)
def test_a_mistake_in_a_secret_is_told_without_its_value(fields: str, expected: str) -> None:
    with pytest.raises(errors.InvalidManifest) as caught:
        api.read(f"{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, {fields}}}", "x")
    assert caught.value.problems == (expected,)
    assert "5417" not in str(caught.value)
