"""The ConfigMap with authorities that every namespace of services has."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead import errors
from fairlead_operator.desired import authorities
from fairlead_operator_tests import golden


def bundle(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "company", "namespace": "kserve"},
        "data": data,
    }


def test_a_namespace_has_the_certificates_and_nothing_else() -> None:
    found = authorities.copied(bundle(**{"cabundle.crt": "PEM", "notes": "of mine"}), "models")
    golden.valid(found)
    assert found["metadata"] == {"name": "global-ca-bundle", "namespace": "models"}
    assert found["data"] == {"cabundle.crt": "PEM"}


def test_a_bundle_without_certificates_is_an_error() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"The ConfigMap company of the operator has no cabundle\.crt"):
        authorities.copied(bundle(notes="of mine"), "models")
