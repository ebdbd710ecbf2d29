"""Amounts as Kubernetes writes them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.quantities import in_bytes, quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0.0),
        ("3", 3.0),
        ("500m", 0.5),
        ("100m", 0.1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("2.", 2.0),
        ("-1", -1.0),
        ("+1", 1.0),
        ("250u", 0.00025),
        ("7n", 7e-9),
        ("1k", 1000.0),
        ("2M", 2e6),
        ("2G", 2e9),
        ("1T", 1e12),
        ("1P", 1e15),
        ("1E", 1e18),
        ("1E3", 1000.0),
        ("1e3", 1000.0),
        ("1e-1", 0.1),
        ("1Ki", 1024.0),
        ("100Mi", 100 * 2.0**20),
        ("2Gi", 2.0**31),
        ("1Ti", 2.0**40),
        ("1Pi", 2.0**50),
        ("1Ei", 2.0**60),
        (3, 3.0),
        (0.25, 0.25),
    ],
)
def test_an_amount_is_read(text: str | float, amount: float) -> None:
    assert quantity(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "1x",
        "1K",
        "1 Gi",
        " 1",
        "1_000",
        "nan",
        "inf",
        "0x10",
        "1e",
        "1e3Ki",
        "1e999999999",
        "\u0661",
        "1.2.3",
        True,
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="is not a quantity such as 500m, 2Gi or 3"):
        quantity(text)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="nan is not a quantity"):
        quantity(float("nan"))


@given(st.text(alphabet="0123456789.+-eEinumkKMGTP ", max_size=12))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        found = quantity(text)
    except errors.ConfigurationError as error:
        found, said = math.inf, str(error)
    else:
        said = ""
    assert (found == math.inf) == (said == f"{text!r} is not a quantity such as 500m, 2Gi or 3.")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 bytes"),
        (12, "12 bytes"),
        (1024, "1 KiB"),
        (1.5 * 2**20, "1.5 MiB"),
        (8 * 2**30, "8 GiB"),
        (3 * 2**40, "3 TiB"),
    ],
)
def test_an_amount_of_memory_is_shown(amount: float, text: str) -> None:
    assert in_bytes(amount) == text
