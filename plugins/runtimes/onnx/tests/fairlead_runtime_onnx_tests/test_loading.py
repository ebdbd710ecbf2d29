"""What does not load says why; what does says of itself what its file tells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from fairlead import Capability, Datatype, TensorSpec, errors
from fairlead_runtime_onnx import devices
from fairlead_runtime_onnx_tests import graphs
from fairlead_runtime_onnx_tests.loading import ask, load

X = np.ones((1, 2), dtype=np.float32)
VERSION = onnxruntime.__version__


# -- bad files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "model.onnx is empty"),
        (b"<html>not found</html>", "model.onnx is no ONNX model, or is damaged"),
        (b"\x80\x04\x95pickle", "model.onnx is no ONNX model, or is damaged"),
        (graphs.doubling().SerializeToString()[:-9], "model.onnx is no ONNX model, or is damaged: a field at byte"),
        (b"\x08\x0a", "model.onnx does not load with onnxruntime .*No graph was found"),
    ],
)
def test_a_file_that_is_no_whole_model_is_an_error_that_says_so(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(errors.ModelLoadError, match=message):
        load(tmp_path)


def test_a_newer_file_format_is_an_error_that_names_both_versions(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.doubling(ir_version=99))
    with pytest.raises(errors.ModelLoadError, match=rf"version 99 .* onnxruntime {VERSION} reads those up to \d+"):
        load(tmp_path)


def test_a_newer_opset_is_an_error_that_names_both_versions(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.doubling(opset=99))
    message = rf"opset 99 of ai\.onnx, and onnxruntime {VERSION} has opsets up to \d+"
    with pytest.raises(errors.ModelLoadError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("node", "opsets", "operator"),
    [
        (("Twist", "com.vendor"), [("com.vendor", 1)], "com.vendor:Twist"),
        (("Twist", "com.vendor"), [], "com.vendor:Twist"),
        (("Twist", ""), [], "Twist, which onnxruntime .* does not have in opset 21"),
    ],
)
def test_an_operator_that_onnxruntime_lacks_is_named(
    tmp_path: Path, node: tuple[str, str], opsets: list[tuple[str, int]], operator: str
) -> None:
    made = graphs.model(
        [graphs.value("x", ["rows", 2])],
        [graphs.value("y", ["rows", 2])],
        [helper.make_node(node[0], ["x"], ["y"], domain=node[1])],
        opsets=[helper.make_opsetid(*each) for each in opsets],
    )
    graphs.saved(tmp_path, made)
    with pytest.raises(errors.ModelLoadError, match=f"uses the operator {operator}"):
        load(tmp_path)


@pytest.mark.parametrize("kind", [TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN])
def test_a_type_that_no_tensor_carries_is_an_error(tmp_path: Path, kind: int) -> None:
    graphs.saved(tmp_path, graphs.identity(kind))
    with pytest.raises(errors.ModelLoadError, match=r"the input 'x' of type tensor\(\w+\), which cannot be served"):
        load(tmp_path)


@pytest.mark.parametrize("kind", [TensorProto.COMPLEX64, TensorProto.INT4])
def test_a_type_that_onnxruntime_does_not_compute_with_is_an_error(tmp_path: Path, kind: int) -> None:
    graphs.saved(tmp_path, graphs.identity(kind))
    with pytest.raises(errors.ModelLoadError, match=r"model\.onnx (does not load|uses Identity)"):
        load(tmp_path)


def test_sequences_and_optional_values_are_errors(tmp_path: Path) -> None:
    sequence = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    optional = helper.make_value_info("y", helper.make_optional_type_proto(graphs.value("y", [None, 2]).type))
    for operator, output, named in (("SplitToSequence", sequence, "seq"), ("Optional", optional, "optional")):
        made = graphs.model([graphs.value("x", ["rows", 2])], [output], [helper.make_node(operator, ["x"], ["y"])])
        graphs.saved(tmp_path, made)
        with pytest.raises(errors.ModelLoadError, match=rf"the output 'y' of type {named}\(tensor\(float\)\)"):
            load(tmp_path)


def test_several_files_are_ambiguous(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.doubling())
    graphs.saved(tmp_path, graphs.doubling(), "other.onnx")
    with pytest.raises(errors.ArtifactAmbiguous, match=r"model\.onnx, other\.onnx"):
        load(tmp_path)


def test_nothing_is_printed_by_onnxruntime(tmp_path: Path) -> None:
    """A shape that does not fit and an initializer that nobody uses make it warn; a failed load is an exception."""
    made = graphs.doubling()
    made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    made.graph.initializer.append(helper.make_tensor("unused", TensorProto.FLOAT, [1], [1.0]))
    graphs.saved(tmp_path / "good", made)
    graphs.saved(tmp_path / "bad", graphs.doubling(opset=99))
    code = (
        "import sys, numpy; from pathlib import Path; from fairlead import errors\n"
        "from fairlead_runtime_onnx_tests.loading import ask, load\n"
        "ask(load(Path(sys.argv[1])), x=numpy.ones((1, 2), numpy.float32))\n"
        "try: load(Path(sys.argv[2]))\n"
        "except errors.ModelLoadError: sys.exit(0)\n"
        "sys.exit(1)\n"
    )
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", code, str(tmp_path / "good"), str(tmp_path / "bad")]
    done = subprocess.run(command, check=False, capture_output=True, cwd=tests, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# -- settings -------------------------------------------------------------------------------------------


def test_a_provider_that_is_not_available_is_an_error_and_no_other_takes_its_place(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.doubling())
    with pytest.raises(errors.ConfigurationError, match=rf"onnxruntime {VERSION} as installed does not have qnn.*cpu"):
        load(tmp_path, providers="cpu, qnn")


@pytest.mark.parametrize("asked", ["cpu", "CPU", "CPUExecutionProvider", " cpu ,cpu"])
def test_providers_are_named_short_or_in_full(asked: str) -> None:
    assert devices.resolve(asked, ["AzureExecutionProvider", devices.CPU], "1") == [devices.CPU]


def test_cuda_is_chosen_only_where_a_device_is_visible() -> None:
    chosen = devices.resolve("", [devices.CUDA, devices.CPU], "1")
    assert chosen == ([devices.CUDA, devices.CPU] if devices.cuda_is_visible() else [devices.CPU])


def test_the_providers_that_are_used_and_what_the_file_says_are_in_the_metadata(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.doubling())
    assert load(tmp_path, providers="cpu").metadata.properties == {
        "device": "cpu",
        "providers": "CPUExecutionProvider",
        "ir_version": "10",
        "opset": "ai.onnx 21",
        "producer": "graphs 1.2",
    }


@pytest.mark.parametrize("level", ["disabled", "basic", "extended", "all"])
def test_every_level_of_optimisation_answers_the_same(tmp_path: Path, level: str) -> None:
    graphs.saved(tmp_path, graphs.affine())
    feeds = {"a": np.ones((2, 3), np.float32), "b": np.ones((2, 2), np.float32)}
    answer = ask(load(tmp_path, optimization=level, spinning=True, nthread=2), **feeds)
    np.testing.assert_allclose(answer["sum"], graphs.own_answer(tmp_path, feeds)["sum"])


def test_the_number_of_threads_is_set(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.doubling())
    options = load(tmp_path, nthread=3).native.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    with pytest.raises(errors.ConfigurationError, match="negative"):
        load(tmp_path, nthread=-1)


# -- metadata and capabilities --------------------------------------------------------------------------

KINDS = {
    TensorProto.BOOL: Datatype.BOOL,
    TensorProto.UINT8: Datatype.UINT8,
    TensorProto.UINT16: Datatype.UINT16,
    TensorProto.UINT32: Datatype.UINT32,
    TensorProto.UINT64: Datatype.UINT64,
    TensorProto.INT8: Datatype.INT8,
    TensorProto.INT16: Datatype.INT16,
    TensorProto.INT32: Datatype.INT32,
    TensorProto.INT64: Datatype.INT64,
    TensorProto.FLOAT16: Datatype.FP16,
    TensorProto.FLOAT: Datatype.FP32,
    TensorProto.DOUBLE: Datatype.FP64,
    TensorProto.STRING: Datatype.BYTES,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_datatype_goes_in_and_comes_out(tmp_path: Path, kind: int) -> None:
    graphs.saved(tmp_path, graphs.identity(kind))
    datatype = KINDS[kind]
    model = load(tmp_path)
    assert model.metadata.inputs == (TensorSpec("x", datatype, (-1,)),)
    assert model.metadata.outputs == (TensorSpec("y", datatype, (-1,)),)
    sent = np.array([b"a", "ä".encode()] if datatype is Datatype.BYTES else [0, 1], dtype=datatype.numpy)
    answer = ask(model, x=sent)["y"]
    assert answer.dtype == datatype.numpy
    assert answer.tolist() == sent.tolist()


@pytest.mark.parametrize(
    ("first_in", "first_out", "joined"),
    [
        ("rows", "rows", True),
        (None, None, True),
        (1, 1, False),
        ("rows", "others", False),
        ("rows", None, False),
    ],
)
def test_requests_are_joined_where_one_free_dimension_comes_first_everywhere(
    tmp_path: Path, first_in: int | str | None, first_out: int | str | None, joined: bool
) -> None:
    # A shape that onnxruntime cannot infer stays as it is declared.
    made = graphs.model(
        [graphs.value("x", [first_in, 2])],
        [graphs.value("y", [first_out, 2])],
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Reshape", ["x", "shape"], ["y"]),
        ],
    )
    graphs.saved(tmp_path, made)
    assert load(tmp_path).metadata.supports(Capability.BATCHING) is joined


def test_scalars_and_fixed_batches_are_not_joined(tmp_path: Path) -> None:
    total = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    graphs.saved(tmp_path, graphs.model([graphs.value("x", ["rows", 2])], [graphs.value("y", [])], [total]))
    model = load(tmp_path)
    assert not model.metadata.supports(Capability.BATCHING)
    assert model.metadata.outputs == (TensorSpec("y", Datatype.FP32, ()),)
    assert ask(model, x=X)["y"].shape == ()


def test_a_sequence_whose_steps_belong_together_is_not_joined_and_a_note_says_so(tmp_path: Path) -> None:
    steps = helper.make_node("CumSum", ["x", "axis"], ["y"])
    made = graphs.model(
        [graphs.value("x", ["steps", 2])], [graphs.value("y", ["steps", 2])], [steps], {"axis": np.array(0)}
    )
    graphs.saved(tmp_path, made)
    model = load(tmp_path)
    assert not model.metadata.supports(Capability.BATCHING)
    assert ["two rows are answered otherwise together" in note for note in model.notes] == [True]


def test_a_graph_that_takes_one_row_only_is_not_joined(tmp_path: Path) -> None:
    fixed = helper.make_node("Reshape", ["x", "shape"], ["y"])
    made = graphs.model(
        [graphs.value("x", ["rows", 2])], [graphs.value("y", ["rows", 2])], [fixed], {"shape": np.array([1, 2])}
    )
    made.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    graphs.saved(tmp_path, made)
    assert not load(tmp_path).metadata.supports(Capability.BATCHING)


def test_maps_are_declared_as_an_array_with_the_classes_in_the_metadata(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.forest(labels=("virginica", "setosa", "versicolor")))
    metadata = load(tmp_path).metadata
    assert metadata.outputs[1] == TensorSpec("output_probability", Datatype.FP32, (-1, 3))
    assert metadata.properties["classes.output_probability"] == '["setosa", "versicolor", "virginica"]'
    assert metadata.properties["producer"].startswith("skl2onnx ")
    assert metadata.supports(Capability.BATCHING)


def test_the_version_of_the_producer_is_not_taken_for_that_of_onnxruntime(tmp_path: Path) -> None:
    graphs.saved(tmp_path, graphs.forest())
    assert load(tmp_path).saved_with == {}
