"""Weights in other files are used where they belong to the artefact, and refused elsewhere."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.descriptor import Descriptor
from onnx import TensorProto, helper

from fairlead import errors
from fairlead_runtime_onnx import graph, wire
from fairlead_runtime_onnx.graph import CHILDREN, Kind
from fairlead_runtime_onnx_tests import graphs
from fairlead_runtime_onnx_tests.loading import ask, load

X = np.ones((1, 2), dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a model, with a file of numbers beside the folder."""
    graphs.weights(tmp_path / "outside.bin")
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


@pytest.mark.parametrize("location", ["weights.bin", "./weights.bin", "deep/weights.bin"])
def test_a_file_in_the_folder_of_the_model_is_read(folder: Path, location: str) -> None:
    (folder / "deep").mkdir()
    graphs.weights(folder / location)
    graphs.saved(folder, graphs.with_external(location))
    np.testing.assert_array_equal(ask(load(folder), x=X)["y"], [[2, 3]])


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    graphs.weights(folder / "real.bin")
    (folder / "link.bin").symlink_to("real.bin")
    graphs.saved(folder, graphs.with_external("link.bin"))
    np.testing.assert_array_equal(ask(load(folder), x=X)["y"], [[2, 3]])


@pytest.mark.parametrize(
    "location",
    [
        "../outside.bin",
        "deep/../../outside.bin",
        "deep/../weights.bin",
        "/etc/passwd",
        "..\\outside.bin",
        "C:\\windows\\win.ini",
        "\\\\server\\share",
        "link.bin",
        "linked/outside.bin",
        "missing.bin",
        "deep",
        "",
        "pipe",
        "weights.bin\0.png",
        "weights.bin\n",
        "*/_ORT_MEM_ADDR_/*",
    ],
)
def test_a_path_out_of_the_folder_or_to_no_file_is_refused(folder: Path, location: str) -> None:
    graphs.weights(folder / "weights.bin")
    (folder / "deep").mkdir()
    (folder / "link.bin").symlink_to("../outside.bin")
    (folder / "linked").symlink_to("..")
    os.mkfifo(folder / "pipe")
    graphs.saved(folder, graphs.with_external(location))
    with pytest.raises(errors.ModelLoadError, match=r"model\.onnx keeps data in the file"):
        load(folder)


def test_a_folder_named_as_the_mark_of_an_address_does_not_help(folder: Path) -> None:
    (folder / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    graphs.weights(folder / "*" / "_ORT_MEM_ADDR_" / "*")
    graphs.saved(folder, graphs.with_external("*/_ORT_MEM_ADDR_/*"))
    with pytest.raises(errors.ModelLoadError, match="no name of a file"):
        load(folder)


def test_a_file_alone_uses_those_beside_it_that_are_named_after_it(folder: Path) -> None:
    graphs.weights(folder / "model.onnx.data")
    graphs.saved(folder, graphs.with_external("model.onnx.data"))
    np.testing.assert_array_equal(ask(load(folder / "model.onnx"), x=X)["y"], [[2, 3]])


@pytest.mark.parametrize("location", ["weights.bin", "model/weights.bin", "model_link.bin"])
def test_a_file_alone_uses_no_other_file(folder: Path, location: str) -> None:
    (folder / "model").mkdir()
    graphs.weights(folder / "weights.bin")
    graphs.weights(folder / "model" / "weights.bin")
    (folder / "model_link.bin").symlink_to("../outside.bin")
    graphs.saved(folder, graphs.with_external(location))
    with pytest.raises(errors.ModelLoadError, match=r"the artefact is model\.onnx alone\. Give the folder"):
        load(folder / "model.onnx")


def test_a_file_of_weights_that_is_too_short_is_an_error(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"\0\0\0\0")
    graphs.saved(folder, graphs.with_external("weights.bin"))
    with pytest.raises(errors.ModelLoadError, match=r"model\.onnx does not load"):
        load(folder)


# -- every place that a tensor can stand in -------------------------------------------------------------


def _attribute(tensor: Any) -> Any:
    return helper.make_node("Constant", [], ["c"], value=tensor)


def _subgraph(node: Any) -> Any:
    inner = helper.make_graph([node], "inner", [], [graphs.value("c", [2])])
    return helper.make_node("If", ["yes"], ["c"], then_branch=inner)


def _sparse(tensor: Any) -> Any:
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    return helper.make_sparse_tensor(tensor, indices, [4])


def _hidden(tensor: Any) -> Iterator[tuple[str, Any]]:
    """A model for each place that a tensor can stand in."""
    one = onnx.ModelProto()
    one.graph.initializer.append(tensor)
    yield "initializer", one
    one = onnx.ModelProto()
    one.graph.sparse_initializer.append(_sparse(tensor))
    yield "sparse values", one
    one = onnx.ModelProto()
    one.graph.sparse_initializer.append(
        helper.make_sparse_tensor(helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]), tensor, [4])
    )
    yield "sparse indices", one
    one = onnx.ModelProto()
    one.graph.node.append(_attribute(tensor))
    yield "attribute", one
    one = onnx.ModelProto()
    one.graph.node.append(helper.make_node("Op", [], ["c"], several=[tensor, tensor]))
    yield "attribute of tensors", one
    one = onnx.ModelProto()
    one.graph.node.append(helper.make_node("Op", [], ["c"], value=_sparse(tensor)))
    yield "sparse attribute", one
    one = onnx.ModelProto()
    one.graph.node.append(_subgraph(_subgraph(_attribute(tensor))))
    yield "subgraph of a subgraph", one
    one = onnx.ModelProto()
    one.functions.append(helper.make_function("f", "F", [], ["c"], [_subgraph(_attribute(tensor))], []))
    yield "function", one
    one = onnx.ModelProto()
    one.functions.append(helper.make_function("f", "F", [], ["c"], [], [], attribute_protos=[]))
    one.functions[0].attribute_proto.append(helper.make_attribute("given", tensor))
    yield "default of a function's attribute", one
    one = onnx.ModelProto()
    one.training_info.add().algorithm.initializer.append(tensor)
    yield "training", one


HIDDEN = dict(_hidden(graphs.external("../outside.bin")))


@pytest.mark.parametrize("place", HIDDEN)
def test_a_tensor_is_found_wherever_it_stands(folder: Path, place: str) -> None:
    assert graph.external_locations(HIDDEN[place].SerializeToString()) == {b"../outside.bin"}
    graphs.saved(folder, HIDDEN[place])
    with pytest.raises(errors.ModelLoadError, match="a path out of the model's own folder is refused"):
        load(folder)


def test_a_location_counts_whatever_else_the_tensor_says() -> None:
    model = graphs.with_external("inside.bin")
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.DEFAULT
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../outside.bin"
    assert graph.external_locations(model.SerializeToString()) == {b"inside.bin", b"../outside.bin"}


def test_every_path_of_the_schema_to_a_tensor_is_walked() -> None:
    """Against the descriptors of the onnx package: a field that a later version adds makes this fail."""
    kinds = {
        "ModelProto": Kind.MODEL,
        "TrainingInfoProto": Kind.TRAINING,
        "FunctionProto": Kind.FUNCTION,
        "GraphProto": Kind.GRAPH,
        "NodeProto": Kind.NODE,
        "AttributeProto": Kind.ATTRIBUTE,
        "SparseTensorProto": Kind.SPARSE,
        "TensorProto": Kind.TENSOR,
    }
    for name, kind in kinds.items():
        descriptor: Descriptor = getattr(onnx, name).DESCRIPTOR
        nested = {field.number: field.message_type.name for field in descriptor.fields if field.message_type}
        found = {number: kinds[child] for number, child in nested.items() if child in kinds}
        if kind is Kind.TENSOR:
            (number,) = (field.number for field in descriptor.fields if field.name == "external_data")
            found[number] = Kind.ENTRY
        assert found == CHILDREN[kind], name
    assert {field.name: field.number for field in onnx.StringStringEntryProto.DESCRIPTOR.fields} == {
        "key": 1,
        "value": 2,
    }


# -- what is no model -----------------------------------------------------------------------------------


def _field(number: int, content: bytes) -> bytes:
    """A message or text as a field, in protobuf's encoding."""
    return b"".join(map(_varint, (number << 3 | 2, len(content)))) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def test_nesting_is_bounded() -> None:
    graph_bytes = _field(5, graphs.external("../outside.bin").SerializeToString())
    for _ in range(60):
        graph_bytes = _field(1, _field(5, _field(6, graph_bytes)))  # a node, its attribute, and the graph in that
    with pytest.raises(ValueError, match="nested deeper"):
        graph.external_locations(_field(7, graph_bytes))


@pytest.mark.parametrize("tag", [b"\xba\x80\x80\x80\x10", b"\xba\x80\x80\x80\x80\x01", b"\x3b", b"\x3c", b"\x02\x00"])
def test_a_field_that_readers_may_understand_in_two_ways_is_refused(tag: bytes) -> None:
    """A number of 33 bits is the graph's own to readers that keep 32 of them; groups and the number 0 are no ONNX."""
    hidden = _field(5, graphs.external("../outside.bin").SerializeToString())
    with pytest.raises(ValueError, match="byte"):
        graph.external_locations(tag + _varint(len(hidden)) + hidden)


def test_a_model_of_more_parts_than_any_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_MOST", 3)
    with pytest.raises(ValueError, match="more than 3 nodes"):
        graph.external_locations(graphs.with_external("weights.bin").SerializeToString())


@pytest.mark.parametrize("wanted", [(), (1, 5), (5, 6, 10, 11), tuple(range(1, 15))])
def test_fields_that_are_passed_over_are_those_that_nobody_wants(wanted: tuple[int, ...]) -> None:
    """The parts of a forest, and the same bytes from any other place, which are fields of another kind, or none."""
    data = graphs.forest().SerializeToString()
    skipped = wire.runs_without(wanted)
    for start in [*range(0, len(data), 97), 0]:
        found: list[list[wire.Field] | str] = []
        for skip in (None, skipped):
            try:
                fields = wire.fields(data, start, len(data), skip)
                found.append([field for field in fields if field.wire == wire.BYTES and field.number in wanted])
            except ValueError as error:
                found.append(str(error))
        assert found[0] == found[1]


def test_a_damaged_file_is_read_or_refused_and_nothing_else() -> None:
    """Bytes are changed, cut and repeated at random: the walk ends, and raises ValueError alone."""
    whole = bytes(
        b"".join(model.SerializeToString() for model in HIDDEN.values())
        + graphs.forest(labels=("location", "b", "c")).SerializeToString()
    )
    source = random.Random(0)
    refused = 0
    for _ in range(120):
        damaged = bytearray(whole)
        for _ in range(source.randint(1, 8)):
            place = source.randrange(len(damaged))
            match source.randrange(4):
                case 0:
                    damaged[place] = source.randrange(256)
                case 1:
                    del damaged[place : place + source.randint(1, 50)]
                case 2:
                    damaged[place:place] = damaged[place : place + source.randint(1, 50)]
                case _:
                    damaged[place] ^= 1 << source.randrange(8)
        for look in (graph.header, graph.external_locations, graph.class_labels, graph.unranked_inputs):
            try:
                look(bytes(damaged))
            except ValueError:
                refused += 1
    assert refused


def test_whatever_another_reader_would_open_has_been_seen() -> None:
    """Of damaged files, none that protobuf itself can read names a file that the walk has not found."""
    source = random.Random(1)
    whole = graphs.with_external("weights.bin").SerializeToString()
    opened = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[source.randrange(len(damaged))] = source.randrange(256)
        parsed = onnx.ModelProto()
        try:
            parsed.ParseFromString(bytes(damaged))
        except Exception:  # noqa: BLE001  # no model: nobody opens it
            continue
        named = {
            entry.value if isinstance(entry.value, bytes) else entry.value.encode()
            for tensor in parsed.graph.initializer
            for entry in tensor.external_data
            if entry.key in ("location", b"location")
        }
        opened += bool(named)
        try:
            found = graph.external_locations(bytes(damaged))
        except ValueError:
            continue  # it is not served at all
        assert named <= found
    assert opened
