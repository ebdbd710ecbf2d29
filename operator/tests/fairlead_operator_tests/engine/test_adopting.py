"""Whose fields become the operator's when it takes an object over."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_operator.adopting import inherited
from fairlead_operator.cluster.client import MANAGER

MADE: dict[str, Any] = {"f:metadata": {"f:ownerReferences": {}}, "f:spec": {}}


def entry(manager: str, fields: dict[str, Any], operation: str = "Update", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def test_the_fields_of_the_maker_are_inherited_and_those_of_others_are_not() -> None:
    others = entry("kubectl-edit", {"f:spec": {}}), entry("scaler", {"f:spec": {}}, subresource="scale")
    found = inherited([others[0], entry("manager", MADE), others[1]])
    assert found == [others[0], entry(MANAGER, MADE, "Apply"), others[1]]


@pytest.mark.parametrize("entries", [[], [entry("manager", {"f:spec": {}})], [entry(MANAGER, MADE, "Apply")]])
def test_where_nobody_else_has_made_it_nothing_is_inherited(entries: list[dict[str, Any]]) -> None:
    assert inherited(entries) is None
