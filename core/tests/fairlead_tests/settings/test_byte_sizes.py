"""Numbers of bytes, as people write them and as they are shown."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.settings import ByteSize, ServerSettings, options


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("12", 12),
        ("5B", 5),
        ("2kB", 2000),
        ("3 MB", 3_000_000),
        ("2GiB", 2 << 30),
        ("2gib", 2 << 30),
        ("512Mi", 512 << 20),
        ("1.5 TiB", 3 << 39),
    ],
)
def test_bytes_are_read_with_the_suffixes_of_people_and_of_kubernetes(text: str, size: int) -> None:
    assert ByteSize.parse(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1 potato", "1e3", "0x10", "1.2.3MB", "nan"])
def test_what_is_no_number_of_bytes_is_refused(text: str) -> None:
    option = next(each for each in options() if each.name == "model_memory_budget")
    with pytest.raises(errors.ConfigurationError, match=r"--model-memory-budget.*for example 500MB or 2GiB"):
        option.parse(text)


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0"), (1023, "1023"), (1024, "1 KiB"), (3 << 29, "1.5 GiB"), (1 << 62, "4.194e+06 TiB")]
)
def test_bytes_are_shown_in_the_largest_unit_that_they_fill(size: int, shown: str) -> None:
    assert str(ByteSize(size)) == shown


def test_the_environment_sets_the_budget() -> None:
    settings = ServerSettings.from_environment({"FAIRLEAD_MODEL_MEMORY_BUDGET": "2GiB", "FAIRLEAD_MAX_LOADS": "1"})
    assert (settings.model_memory_budget, settings.max_loads) == (2 << 30, 1)


def test_no_load_at_all_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="--max-loads"):
        ServerSettings(max_loads=0)
