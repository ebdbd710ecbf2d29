"""Files of reference data: names and columns, or an error that names the file."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fairlead import Artifact, errors
from fairlead.runtimes import reference

if TYPE_CHECKING:
    from fairlead.runtimes.reference import Reference


def read(folder: Path) -> Reference:
    return reference.read(Artifact(path=folder, uri=str(folder)))


def archive(path: Path, compression: int, **members: bytes) -> None:
    """An archive of arrays, or of other bytes."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def array(values: Any) -> bytes:
    """What `numpy.save` writes."""
    file = io.BytesIO()
    np.save(file, np.asarray(values))
    return file.getvalue()


def damaged(content: bytes) -> bytes:
    """The same with other bytes in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 4]) + content[middle + 4 :]


def test_a_csv_names_its_columns_and_an_empty_cell_is_missing(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("\ufeff age, sex,pay\n\n30,male,1.5\n41, female ,\n", encoding="utf-8")
    found = read(tmp_path)
    assert (found.file, found.names) == ("rows.csv", ("age", "sex", "pay"))
    assert [found.is_text(place) for place in range(3)] == [False, True, False]
    assert found.columns[1].tolist() == ["male", "female"]
    np.testing.assert_array_equal(found.numbers(2), [1.5, np.nan])
    with pytest.raises(errors.ModelLoadError, match=r"column 'sex' of rows\.csv is not of numbers: .*'male'"):
        found.matrix()


def test_a_csv_whose_first_line_is_numbers_has_no_names(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2\n3,\n")
    found = read(tmp_path / "rows.csv")
    assert found.names == ()
    np.testing.assert_array_equal(found.matrix(), [[1, 2], [3, np.nan]])
    (tmp_path / "rows.csv").write_text("1,2\n3,x\n")
    with pytest.raises(errors.ModelLoadError, match="column 2 of rows"):
        read(tmp_path).matrix()


@pytest.mark.parametrize("values", [[[1.0, 2.0], [3.0, 4.0]], [[1, 2], [3, 4]], [["1", "2"], ["3", "4"]]])
def test_an_array_and_an_archive_of_one_are_rows(tmp_path: Path, values: Any) -> None:
    np.save(tmp_path / "rows.npy", values)
    assert read(tmp_path).matrix().tolist() == [[1, 2], [3, 4]]
    (tmp_path / "rows.npy").unlink()
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "rows.npz", anything=np.asarray(values))
        found = read(tmp_path)
        assert (found.names, found.matrix().tolist()) == ((), [[1, 2], [3, 4]])


def test_an_array_of_text_has_columns_of_text(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", [["1", "a"], ["2", "b"]])
    found = read(tmp_path)
    assert [found.is_text(place) for place in range(2)] == [False, True]
    assert found.columns[1].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.csv", b"", "holds no rows"),
        ("rows.csv", b"a,b\n", "holds no rows"),
        ("rows.csv", b"a,b\n\n1,2\n3\n", "line 4 has 1 values, and the first 2"),
        ("rows.csv", b"a,b,a\n1,2,3\n", "two columns 'a'.* Name each column once"),
        ("rows.csv", b"a,b\n\xff,1\n", "cannot be read: UnicodeDecodeError"),
        ("rows.csv", b"a\n" + b"1" * 200_000, "cannot be read: Error: field larger"),
        ("rows.npy", b"", "cannot be read: EOFError"),
        ("rows.npy", b"no array", "cannot be read: ValueError"),
        ("rows.npy", array(np.zeros((3, 2)))[:-8], "cannot be read: ValueError"),
        ("rows.npy", array(np.zeros((3, 2))).replace(b"(3, 2)", b"(3, 2,"), "cannot be read: "),
        ("rows.npy", array(np.zeros((3, 2))).replace(b"(3, 2), }       ", b"(3, 99999999999999)}"), "cannot be read: "),
        ("rows.npz", b"PK\x03\x04 cut", "cannot be read: BadZipFile"),
        ("rows.npz", array(np.zeros(3)), r"shape \[3\], and not \[rows, features\]"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.ModelLoadError, match=reason) as caught:
        read(tmp_path)
    assert name in str(caught.value)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_an_error_that_names_it(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "rows.npz"
    archive(path, compression, rows=array(np.random.default_rng(0).normal(size=(50, 4))))
    assert read(tmp_path).matrix().shape == (50, 4)
    path.write_bytes(damaged(path.read_bytes()))
    with pytest.raises(errors.ModelLoadError, match=r"rows\.npz cannot be read: "):
        read(tmp_path)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "holds 0 arrays"),
        ({"a": array([[1.0]]), "b": array([[1.0]])}, "holds 2 arrays"),
        ({"a": b"no array"}, "is bytes, and neither numbers nor text"),
    ],
)
def test_an_archive_of_something_else_than_one_array_is_refused(
    tmp_path: Path, members: dict[str, bytes], reason: str
) -> None:
    archive(tmp_path / "rows.npz", zipfile.ZIP_DEFLATED, **members)
    with pytest.raises(errors.ModelLoadError, match=reason):
        read(tmp_path)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros(3), r"shape \[3\], and not \[rows, features\]"),
        (np.zeros((0, 3)), r"shape \[0, 3\]"),
        (np.zeros((3, 0)), r"shape \[3, 0\]"),
        (np.zeros((1, 2, 3)), r"shape \[1, 2, 3\]"),
        (np.zeros((1, 2), complex), "is complex128, and neither numbers nor text"),
        (np.array([[b"a"]]), "neither numbers nor text"),
        (np.zeros((1, 2), "datetime64[s]"), "neither numbers nor text"),
        (np.zeros((1, 2), [("a", "f8")]), "neither numbers nor text"),
    ],
)
def test_an_array_that_is_no_table_is_refused(tmp_path: Path, values: Any, reason: str) -> None:
    np.save(tmp_path / "rows.npy", values)
    with pytest.raises(errors.ModelLoadError, match=reason):
        read(tmp_path)


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    folder, ran = tmp_path / "files", tmp_path / "ran"
    folder.mkdir()
    objects = np.array([[Runs(ran)]], object)
    path = folder / "rows.npy"
    for write in (
        lambda: np.save(path, objects, allow_pickle=True),
        lambda: path.write_bytes(pickle.dumps(Runs(ran))),
        lambda: np.savez(path.with_suffix(".npz"), rows=objects),
    ):
        path.unlink(missing_ok=True)
        write()
        with pytest.raises(errors.ModelLoadError, match=r"cannot be read: ValueError: .*allow_pickle="):
            read(folder)
        assert not ran.exists()


def test_a_file_and_an_archive_that_are_too_large_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    with path.open("wb") as file:
        file.truncate(reference.LIMIT + 1)
    with pytest.raises(errors.ModelLoadError, match=r"rows\.npy has \d+ bytes, and more than \d+ are not read"):
        read(tmp_path)
    path.unlink()
    path = tmp_path / "rows.npz"
    archive(path, zipfile.ZIP_DEFLATED, rows=array(np.zeros((2, reference.LIMIT // 16), np.float64)))
    assert path.stat().st_size < reference.LIMIT / 100
    with pytest.raises(errors.ModelLoadError, match=r"rows\.npz has \d+ bytes"):
        read(tmp_path)


def test_no_data_and_too_much_of_it_are_errors(tmp_path: Path) -> None:
    with pytest.raises(errors.ArtifactMissing):
        read(tmp_path)
    for name in ("a.csv", "b.npy"):
        (tmp_path / name).write_text("a\n1\n")
    with pytest.raises(errors.ArtifactAmbiguous):
        read(tmp_path)
