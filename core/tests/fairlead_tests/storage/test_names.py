from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.storage import names


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        ("../evil", "leaves the target"),
        ("a/../../evil", "leaves the target"),
        ("a/..", "leaves the target"),
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("C:evil", "drive letter"),
        ("c:/evil", "drive letter"),
        ("a\\..\\evil", "backslash"),
        ("a//b", "empty component"),
        ("a/", "empty component"),
        ("./a", "component '.'"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("\udcff", "Unicode"),
        ("a" * 256, "longer than 255"),
        ("é" * 128, "longer than 255"),
        ("a/" * 2048 + "a", "longer than 1024"),
    ],
)
def test_an_unsafe_name_is_refused_with_the_reason(name: str, problem: str) -> None:
    with pytest.raises(errors.UnsafeArtifact, match=problem):
        names.check(name)


@pytest.mark.parametrize("name", ["a", "a/b.bin", "..a", "a..b/...", "模型/é.bin", "a b", "..2024_01/model", "-rf"])
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert "/".join(names.check(name)) == name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Model.bin", "model.bin"),
        ("Folder/a", "folder/b"),
        ("straße", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("model", "model"),
        ("a", "a/b"),
        ("a/b", "a"),
    ],
)
def test_two_names_that_clash_are_refused(first: str, second: str) -> None:
    known = names.Names(10)
    known.add(first)
    with pytest.raises(errors.UnsafeArtifact):
        known.add(second)


def test_a_folder_may_be_named_again() -> None:
    known = names.Names(10)
    known.add("a/b")
    known.add("a", folder=True)
    known.add("a", folder=True)
    known.add("a/c")
    assert known.count == 5


def test_folders_that_only_other_names_imply_are_counted() -> None:
    known = names.Names(100)
    with pytest.raises(errors.StorageLimitExceeded, match="folders included"):
        known.add("a/" * 200 + "b")


def test_more_names_than_the_limit_are_refused() -> None:
    known = names.Names(2)
    known.add("a")
    known.add("b")
    with pytest.raises(errors.StorageLimitExceeded, match="more than 2 members"):
        known.add("c")


@given(st.text(max_size=40))
def test_a_name_that_passes_stays_below_any_folder(name: str) -> None:
    import posixpath

    try:
        names.check(name)
    except errors.UnsafeArtifact:
        return
    assert posixpath.normpath(posixpath.join("/root/target", name)) == f"/root/target/{name}"
