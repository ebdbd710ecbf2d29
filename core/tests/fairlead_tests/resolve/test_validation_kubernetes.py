"""Rules about Secrets, ConfigMaps and ServiceAccounts."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead import api
from fairlead.resolve.catalogue import Catalogue
from fairlead.resolve.config import Config
from fairlead.resolve.validation import examined


def found(kind: str, **fields: Any) -> tuple[list[str], list[str]]:
    """What is wrong with an object, and what is to be known of it."""
    made = next(each for each in api.KUBERNETES_KINDS if each.identity()[1] == kind)
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **fields}
    (judged,) = examined([made.parse(manifest)], Config(), Catalogue())
    assert judged.who == f"{kind} default/x"
    return judged.problems, judged.warnings


def test_what_is_in_order_has_nothing_to_be_told() -> None:
    assert found("Secret", data={"a.b": "Yg=="}, stringData={"c_d-e": "f"}) == ([], [])
    assert found("ConfigMap", data={"a": "b"}, binaryData={"c": "Yg=="}) == ([], [])
    assert found("ServiceAccount", secrets=[{"name": "s", "namespace": "default"}]) == ([], [])


@pytest.mark.parametrize(
    ("kind", "fields", "path"),
    [
        ("Secret", {"data": {"token": "hidden!"}}, "data.token"),
        ("Secret", {"stringData": {"a b": "hidden!"}}, 'stringData."a b"'),
        ("ConfigMap", {"binaryData": {"file": "hidden!"}}, "binaryData.file"),
    ],
)
def test_what_an_api_server_refuses_is_told_without_the_value(kind: str, fields: dict[str, Any], path: str) -> None:
    problems, (warning,) = found(kind, **fields)
    assert problems == []
    assert warning.startswith(f"{path}: ")
    assert "hidden" not in warning


@pytest.mark.parametrize(
    ("reference", "field"), [({}, "name"), ({"name": 5}, "name"), ({"name": "s", "namespace": "theirs"}, "namespace")]
)
def test_an_account_names_secrets_of_its_own_namespace(reference: dict[str, Any], field: str) -> None:
    for place in ("secrets", "imagePullSecrets"):
        (problem,), _ = found("ServiceAccount", **{place: [reference]})
        assert problem.startswith(f"{place}[0].{field}: ")
