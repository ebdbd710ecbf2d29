"""What a pickle says of itself, read without unpickling it."""

from __future__ import annotations

import bz2
import collections
import decimal
import fractions
import gzip
import lzma
import pathlib
import pickle
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.runtimes import pickles

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
COMPRESSIONS = [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)]


class Holder:
    """An object with attributes, as estimators are."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Payload:
    """Creates a file as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


class Made:
    """Is made by a function of another module."""

    def __reduce__(self) -> Any:
        return (fractions.Fraction, (1, 2))


def pickled(folder: Path, value: Any, protocol: int) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


def dumped(folder: Path, value: Any, compress: Any) -> Path:
    path = folder / "model.joblib"
    joblib.dump(value, path, compress=compress)
    return path


ARRAYS = {
    "numbers": np.arange(1000.0),
    "one": np.float32(3),
    "none": np.empty((0, 3)),
    "columns": np.asfortranarray(np.ones((7, 300), dtype="i2")),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "dates": np.array(["2024-01-01"], dtype="M8[s]"),
    "records": np.zeros(9, dtype=[("a", "f4"), ("b", "U3")]),
    "truth": np.array([True]),
    "large": np.zeros(1 << 18),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_packages_that_a_pickle_names_are_found_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    held = Holder(a=decimal.Decimal(1), arrays=ARRAYS, last=collections.OrderedDict(x=fractions.Fraction(1, 2)))
    assert pickles.modules(pickled(tmp_path, held, protocol)) >= {
        __name__.partition(".")[0],
        "decimal",
        "numpy",
        "collections",
        "fractions",
    }


@pytest.mark.parametrize("compress", COMPRESSIONS, ids=str)
@pytest.mark.parametrize("name", ARRAYS)
def test_what_follows_an_array_of_joblib_is_found(tmp_path: Path, name: str, compress: Any) -> None:
    """joblib writes the elements between the opcodes."""
    path = dumped(tmp_path, [ARRAYS[name], decimal.Decimal(1)], compress)
    assert "decimal" in pickles.modules(path)


@pytest.mark.parametrize("compress", COMPRESSIONS, ids=str)
def test_what_an_array_of_objects_holds_is_found_and_what_follows_it(tmp_path: Path, compress: Any) -> None:
    held = [np.array([decimal.Decimal(1), "text"], dtype=object), fractions.Fraction(1, 2)]
    assert {"decimal", "fractions"} <= pickles.modules(dumped(tmp_path, held, compress))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "module"),
    [
        (Holder(inner=decimal.Decimal(1), data=np.ones(3)), __name__),
        (Holder, __name__),
        (decimal.Decimal(1), "decimal"),
        (Made(), "fractions"),
        (collections.OrderedDict(a=Holder()), "collections"),
        ({"model": Holder()}, "builtins"),
        ([Holder()], "builtins"),
        ({1, 2}, "builtins"),
        ((Holder(), 1, 2, 3), "builtins"),
        ("sklearn", "builtins"),
        (7, "builtins"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_the_outermost_object_tells_its_module(tmp_path: Path, value: Any, module: str, protocol: int) -> None:
    assert pickles.outermost(pickled(tmp_path, value, protocol)) == module


@pytest.mark.parametrize("compress", COMPRESSIONS, ids=str)
def test_the_outermost_object_of_a_joblib_file_tells_its_module(tmp_path: Path, compress: Any) -> None:
    assert pickles.outermost(dumped(tmp_path, Holder(data=np.ones(1000)), compress)) == __name__


def test_the_outermost_object_of_a_file_that_is_cut_off_is_found_all_the_same(tmp_path: Path) -> None:
    path = dumped(tmp_path, Holder(data=np.ones(1000)), 0)
    path.write_bytes(path.read_bytes()[:-2000])
    assert pickles.outermost(path) == __name__
    assert __name__.partition(".")[0] in pickles.modules(path)


def test_nothing_runs(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    path = pickled(tmp_path, Payload(mark), 4)
    assert pickles.outermost(path) == pathlib.Path.__module__
    assert pickles.modules(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b'{"not": "a model"}', b"tree\nversion=v4\n", b"PK\x03\x04schema", b"\x08\x07onnx", b"\x78\x9cbroken"],
    ids=["empty", "JSON", "text", "zip", "protobuf", "damaged zlib"],
)
def test_what_is_no_pickle_names_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    assert pickles.modules(path) == frozenset()
    assert pickles.outermost(path) is None
    assert pickles.recorded(path, b"_version") is None


def test_a_file_that_is_not_there_names_nothing(tmp_path: Path) -> None:
    assert pickles.modules(tmp_path / "gone.pkl") == frozenset()
    assert pickles.outermost(tmp_path / "gone.pkl") is None
    assert pickles.recorded(tmp_path / "gone.pkl", b"_version") is None


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x80\x04", pickle.dumps({"a": [1, "b"]})[:-1]]))
def test_no_bytes_raise(content: bytes, start: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(start + content)
        file.flush()
        assert isinstance(pickles.modules(Path(file.name)), frozenset)
        assert isinstance(pickles.outermost(Path(file.name)), str | None)


@pytest.mark.parametrize(
    "state",
    [
        {"dtype": 1, "shape": (1,)},
        {"dtype": np.dtype("f8"), "shape": ("a",)},
        {"dtype": np.dtype("f8"), "shape": (1 << 70, 1 << 70)},
        {"shape": (1,)},
        [1],
    ],
    ids=["no dtype", "text for a length", "no such array", "nothing", "a list"],
)
def test_a_false_array_ends_the_look(tmp_path: Path, state: Any) -> None:
    opcodes = b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + pickle.dumps(state, protocol=4)[2:-1] + b"b."
    path = tmp_path / "model.joblib"
    path.write_bytes(opcodes)
    assert pickles.modules(path) >= {"joblib"}


def test_of_a_file_without_an_end_only_the_start_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(zlib.compress(b"\x80\x04cdecimal\nDecimal\n" + b"N0" * 2_000_000))
    assert pickles.modules(path) == {"decimal"}


@pytest.mark.parametrize("offset", [1, 8, 17, 26, 28, 30, 32, 40])
@pytest.mark.parametrize("pack", [bytes, zlib.compress, gzip.compress, bz2.compress, lzma.compress])
def test_a_recorded_version_is_found_across_the_pieces_of_a_large_file(
    tmp_path: Path, offset: int, pack: Callable[[bytes], bytes]
) -> None:
    record = b"\x8c\x10_sklearn_version\x94\x8c\x061.16.2\x94ub."
    path = tmp_path / "model.joblib"
    path.write_bytes(pack(b"\x80" * ((1 << 20) - offset) + record + b"\x00" * 100))
    assert pickles.recorded(path, b"_sklearn_version") == "1.16.2"


@pytest.mark.parametrize(
    ("written", "version"),
    [
        (b"V_a.b_version\np5\nV1.5.2\np6\ns", "1.5.2"),
        (b"X\x10\x00\x00\x00_a.b_versionq\x05X\x05\x00\x00\x001.5.2q\x06u", "1.5.2"),
        (b"\x8c\x10_a.b_version\x94\x8c\x081.6.dev0\x94u", "1.6.dev0"),
        (b"\x8c\x10_a.b_version\x94\x8c\x081.9.0rc1\x94u", "1.9.0rc1"),
        (b"\x8c\x10_aXb_version\x94\x8c\x081.9.0\x94u", None),
        (b"no version at all, 1.2.3", None),
        (b"", None),
    ],
)
def test_a_recorded_version_is_read_from_every_protocol(tmp_path: Path, written: bytes, version: str | None) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(written)
    assert pickles.recorded(path, b"_a.b_version") == version


@pytest.mark.parametrize(
    ("text", "is_one"), [("1.5.2", True), ("1.6.dev0", True), ("2.13.0+cpu", True), ("pre-0.18", False), ("3", False)]
)
def test_a_version_is_one_that_could_be_installed(text: str, is_one: bool) -> None:
    assert pickles.is_version(text) is is_one
