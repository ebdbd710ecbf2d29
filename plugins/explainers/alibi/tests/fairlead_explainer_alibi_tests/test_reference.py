from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fairlead import Artifact, errors
from fairlead_explainer_alibi import reference

if TYPE_CHECKING:
    from fairlead_explainer_alibi.reference import Reference


def read(folder: Path) -> Reference:
    return reference.read(Artifact(path=folder, uri=str(folder)))


def described(folder: Path, **values: Any) -> None:
    (folder / "features.json").write_text(json.dumps(values))


def test_a_csv_names_its_columns_and_text_becomes_categories(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age, sex,pay\n30,male,1.5\n41,female,2\n")
    found = read(tmp_path)
    assert found.names == ("age", "sex", "pay")
    assert found.categories == {1: ("female", "male")}
    assert found.values.tolist() == [[30, 1, 1.5], [41, 0, 2]]
    assert read(tmp_path / "rows.csv").values.tolist() == found.values.tolist()


def test_an_array_gets_its_names_and_categories_from_the_file_beside_it(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([[1.0, 0.0], [2.0, 1.0]], np.float32))
    assert read(tmp_path).names == ("feature_0", "feature_1")
    described(tmp_path, feature_names=["age", "sex"], categorical_names={"1": ["female", "male"]})
    found = read(tmp_path)
    assert found.names == ("age", "sex")
    assert found.categories == {1: ("female", "male")}
    described(tmp_path, feature_names=["age", "sex"], categorical_names={"sex": ["female", "male"]})
    assert read(tmp_path).categories == found.categories
    (tmp_path / "rows.npy").unlink()
    np.savez(tmp_path / "rows.npz", anything=found.values)
    assert read(tmp_path).values.tolist() == found.values.tolist()


def test_categories_whose_names_are_numbers_are_known_by_name(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("code,x\n10,1\n20,2\n10,3\n")
    described(tmp_path, categorical_names={"code": ["10", "20"]})
    assert read(tmp_path).values[:, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.csv", "", "no rows"),
        ("rows.csv", "a,b\n", "no rows"),
        ("rows.csv", "1,2\n3,4\n", "first line is numbers"),
        ("rows.csv", "a,b\n1,2\n3\n", "line 3 has 1 values"),
        ("rows.csv", "a,a\n1,2\n", "Name each column once"),
        ("rows.csv", "a,b\n1,\n", "empty"),
        ("rows.csv", "a,b\n1,nan\n", "missing or infinite"),
        ("rows.csv", "a,b\nx,1\n,2\n", "empty cells"),
        ("rows.csv", b"a,b\n\xff,1\n", "cannot be read"),
        ("rows.npy", b"no array", "cannot be read"),
        ("rows.npz", b"PK\x03\x04 cut", "cannot be read"),
    ],
)
def test_data_that_is_none_is_an_error_that_says_so(
    tmp_path: Path, name: str, content: str | bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(errors.ModelLoadError, match=reason):
        read(tmp_path)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(3), r"\[rows, features\]"),
        (np.zeros((0, 3)), r"\[rows, features\]"),
        (np.array([[1.0, np.inf]]), "missing or infinite"),
        (np.array([[object()]], dtype=object), "cannot be read"),
    ],
)
def test_an_array_that_is_no_table_of_numbers_is_refused(tmp_path: Path, array: Any, reason: str) -> None:
    np.save(tmp_path / "rows.npy", array, allow_pickle=True)
    with pytest.raises(errors.ModelLoadError, match=reason):
        read(tmp_path)


@pytest.mark.parametrize(
    ("described_as", "reason"),
    [
        ({"feature_names": ["a"]}, "has 2 columns"),
        ({"feature_names": "ab"}, "not what it has to be"),
        ({"names": ["a", "b"]}, "not what it has to be"),
        ({"categorical_names": {"b": "xy"}}, "not what it has to be"),
        ({"categorical_names": {"c": ["x"]}}, "no such feature"),
        ({"categorical_names": {"7": ["x"]}}, "no such feature"),
        ({"categorical_names": {"a": ["x"]}}, "none of the 1 categories"),
        ({"categorical_names": {"b": ["x"]}}, "'y', which features.json does not name"),
        ([], "not what it has to be"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, described_as: Any, reason: str) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "features.json").write_text(json.dumps(described_as))
    with pytest.raises(errors.ModelLoadError, match=reason):
        read(tmp_path)


def test_no_data_and_too_much_of_it_are_errors(tmp_path: Path) -> None:
    with pytest.raises(errors.ArtifactMissing):
        read(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("a\n1\n")
    with pytest.raises(errors.ArtifactAmbiguous):
        read(tmp_path)
