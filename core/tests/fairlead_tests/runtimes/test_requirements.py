from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead.runtimes import requirements


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "requirements.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_requirements_are_read_as_pip_writes_them(tmp_path: Path) -> None:
    text = "\ufeff# what it needs\n\nnumpy >= 1.26 , <3  # arrays\r\nscipy[a,b]==1.11.*\nsix; python_version < '3'\n"
    assert requirements.read(written(tmp_path, text)) == (
        "numpy<3,>=1.26",
        "scipy[a,b]==1.11.*",
        'six; python_version < "3"',
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--index-url https://example.org/simple", "option"),
        ("-r others.txt", "option"),
        ("-e .", "option"),
        ("--find-links=wheels", "option"),
        ("numpy==2.0 --hash=sha256:abc", "option"),
        ("numpy==2.0 \\", "no requirement specifier"),
        ("pack @ https://example.org/pack.whl", "where the package comes from"),
        ("pack @ file:///tmp/pack", "where the package comes from"),
        ("https://example.org/pack.whl", "no requirement specifier"),
        ("git+https://example.org/pack.git", "no requirement specifier"),
        ("./pack-1.0-py3-none-any.whl", "no requirement specifier"),
        ("../pack", "no requirement specifier"),
        ("pack = 1.0", "no requirement specifier"),
        ("pack" + "x" * 2000, "too long"),
    ],
)
def test_what_is_no_plain_requirement_is_refused_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(errors.ModelLoadError) as refused:
        requirements.read(written(tmp_path, f"numpy\n\n{line}\n"))
    assert "requirements.txt:3:" in str(refused.value)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 500
    with pytest.raises(errors.ModelLoadError, match=r"^the plugin:"):
        requirements.check([line], "the plugin")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("#" * (requirements.MOST_BYTES + 1), "bytes"),
        ("six\n" * (requirements.MOST_LINES + 1), "at most 500"),
        (b"numpy\xff", "not UTF-8"),
    ],
)
def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(errors.ModelLoadError, match=reason):
        requirements.read(written(tmp_path, content))


def test_a_file_that_cannot_be_read_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"absent\.txt cannot be read"):
        requirements.read(tmp_path / "absent.txt")
