"""Reading .safetensors files: those of the library that defines them, and those that somebody has made to deceive."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.runtimes.safetensors import Tensors

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bias": np.array([True, False, True]),
    "half": np.array([1.5], dtype=np.float16),
    "long": np.array(-(2**40)),
    "none": np.empty((0, 4), dtype=np.uint8),
}


def packed(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def read(content: bytes) -> Tensors:
    return Tensors(io.BytesIO(content), "model.safetensors")


def of(**entry: Any) -> dict[str, Any]:
    return {"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]} | entry}


@pytest.mark.parametrize("mapped", [True, False], ids=["a file on disk", "a stream"])
def test_what_the_library_writes_is_read(tmp_path: Path, mapped: bool) -> None:
    saving = pytest.importorskip("safetensors.numpy", reason="install safetensors to compare with it")
    path = tmp_path / "model.safetensors"
    saving.save_file(ARRAYS, path, {"made": "here"})
    with path.open("rb") if mapped else io.BytesIO(path.read_bytes()) as file:
        tensors = Tensors(file, path.name)
        assert tensors.metadata == {"made": "here"}
        assert tensors.entries.keys() == ARRAYS.keys()
        found = {name: tensors.array(name) for name in tensors.entries}
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)
    found["weight"][0, 0] = 7  # the file stays as it is
    assert path.read_bytes().count(np.float32(7).tobytes()) == 0


def test_a_tensor_that_is_not_aligned_is_read(tmp_path: Path) -> None:
    header = {"a": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}}
    content = packed(json.dumps(header).encode() + b" " * (3 - len(json.dumps(header)) % 8), np.arange(2.0).tobytes())
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert Tensors(file, path.name).array("a").tolist() == [0, 1]


def test_a_dtype_that_numpy_lacks_is_an_error_and_its_bytes_can_be_had() -> None:
    tensors = read(packed(of(dtype="BF16", shape=[1]), b"\x80\x3f"))
    assert tensors.data("a").tobytes() == b"\x80\x3f"
    with pytest.raises(errors.ModelLoadError, match=r"'a' in model\.safetensors is BF16"):
        tensors.array("a")
    with pytest.raises(KeyError):
        tensors.data("b")


def test_a_file_without_tensors_is_one() -> None:
    assert read(packed({})).entries == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ends before byte 8"),
        (b"\x00" * 7, "ends before byte 8"),
        (packed({}, length=2**63), "its header would have 9223372036854775808 bytes"),
        (packed({}, length=3), "its header would have 3 bytes"),
        (packed({}, length=0), "no JSON object"),
        (packed([]), "no JSON object"),
        (packed(b"[" * 100_000), "no JSON object"),
        (packed(b"\xff\xff"), "no JSON object"),
        (packed(b'{"a": {}, "a": {}}'), "a name is there twice"),
        (packed({"__metadata__": {"a": 1}}), "tensors and texts"),
        (packed({"a": []}), "no dtype, shape or data_offsets"),
        (packed(of(shape=None), b"ab"), "no dtype, shape or data_offsets"),
        (packed(of(data_offsets=[0]), b"ab"), "no dtype, shape or data_offsets"),
        (packed(of(shape=[-1, -2]), b"ab"), "none"),
        (packed(of(shape=[True, 2]), b"ab"), "none"),
        (packed(of(shape=[2.0]), b"ab"), "none"),
        (packed(of(data_offsets=[-2, 0]), b"ab"), "none"),
        (packed(of(shape=[1] * 65 + [2]), b"ab"), "none"),
        (packed(of(dtype="Q4"), b"ab"), "'Q4', which is not known"),
        (packed(of(dtype=[]), b"ab"), "which is not known"),
        (packed(of(shape=[3]), b"ab"), "which are not those of U8"),
        (packed(of(shape=[2**40, 2**40], data_offsets=[0, 2]), b"ab"), "which are not those of U8"),
        (packed(of(data_offsets=[2, 0]), b"ab"), "which are not those of U8"),
        (packed(of(data_offsets=[1, 3]), b"abc"), "do not begin where those before it end"),
        (packed(of() | {"b": of(data_offsets=[1, 3])["a"]}, b"abc"), "do not begin where those before it end"),
        (packed(of() | {"b": of()["a"]}, b"ab"), "do not begin where those before it end"),
        (packed(of(), b"a"), "and it has"),
        (packed(of(), b"abc"), "and it has"),
    ],
)
def test_a_file_that_is_damaged_or_deceives_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(errors.ModelLoadError, match=said) as caught:
        read(content)
    assert caught.value.reason.startswith("model.safetensors is no whole file of safetensors: ")
