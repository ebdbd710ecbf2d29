"""Almost right inference messages to a running gRPC server: answered, or refused as the client's mistake."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlead.contracts.tensors import Datatype
from fairlead.protocol._pb import messages
from integration.frames import INFER
from integration.processes import ServerProcess, served

MIB = 1024 * 1024
ALLOWED = frozenset(
    (
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,  # a version, or an extension of Triton's
    )
)
MODEL = """
from fairlead import CustomModel, InferRequest, InferResponse

class Echo(CustomModel):
    def predict(self, request: InferRequest) -> InferResponse:
        return InferResponse(model_name="", outputs=request.inputs, parameters=request.parameters)
"""
CONTENTS = {
    "bool_contents": st.booleans(),
    "int_contents": st.integers(-(2**31), 2**31 - 1),
    "int64_contents": st.integers(-(2**63), 2**63 - 1),
    "uint_contents": st.integers(0, 2**32 - 1),
    "uint64_contents": st.integers(0, 2**64 - 1),
    "fp32_contents": st.floats(width=32),
    "fp64_contents": st.floats(),
    "bytes_contents": st.binary(max_size=3),
}
NAMES = st.sampled_from(["x", "y", "", "\N{GRINNING FACE}", "a\0b"])
SHAPES = st.lists(st.sampled_from([0, 1, 1, 2, 2, 3, -1, 2**31, 2**62, 2**63 - 1, -(2**63)]), max_size=4) | st.just(
    [1] * 40
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["binary_data_size", "binary_data", "binary_data_output", "classification", "priority", "a", ""]),
    st.fixed_dictionaries({})
    | st.fixed_dictionaries({"bool_param": st.booleans()})
    | st.fixed_dictionaries({"int64_param": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 16)})
    | st.fixed_dictionaries({"uint64_param": st.integers(0, 2**64 - 1)})
    | st.fixed_dictionaries({"double_param": st.floats()})
    | st.fixed_dictionaries({"string_param": st.text(max_size=3)}),
    max_size=2,
)
FITTING = {
    Datatype.BOOL: "bool_contents",
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents",
    Datatype.INT64: "int64_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
    Datatype.UINT32: "uint_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}


def oddly(draw: st.DrawFn, usual: Any, odd: st.SearchStrategy[Any]) -> Any:
    """What belongs there, or, now and then, something else."""
    return draw(odd) if draw(st.integers(0, 19)) == 19 else usual


def set_input(draw: st.DrawFn, made: Any, name: str, *, is_raw: bool) -> None:
    """Add an input, mostly with as many elements of the right kind as its shape says."""
    datatype = draw(st.sampled_from([*Datatype]))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    count = oddly(draw, math.prod(shape), st.integers(0, 9))
    added = made.inputs.add(
        name=oddly(draw, name, NAMES),
        datatype=oddly(draw, datatype.value, st.sampled_from(["", "fp32", "FP31", "\N{GRINNING FACE}"])),
        shape=oddly(draw, shape, SHAPES),
    )
    set_parameters(added.parameters, oddly(draw, {}, PARAMETERS))
    if is_raw:
        made.raw_input_contents.append(oddly(draw, raw(draw, datatype, count), st.binary(max_size=40)))
    if oddly(draw, not is_raw, st.booleans()):
        field = oddly(draw, FITTING.get(datatype, "fp32_contents"), st.sampled_from([*CONTENTS]))
        elements = st.integers(0, 1) if "int" in field else CONTENTS[field]
        elements = oddly(draw, elements, st.just(CONTENTS[field]))
        getattr(added.contents, field).extend(draw(st.lists(elements, min_size=count, max_size=count)))


def raw(draw: st.DrawFn, datatype: Datatype, count: int) -> bytes:
    if datatype is Datatype.BYTES:
        return b"".join(
            oddly(draw, struct.pack("<I", len(text)), st.binary(min_size=4, max_size=4)) + text
            for text in draw(st.lists(st.binary(max_size=3), min_size=count, max_size=count))
        )
    size = count * (datatype.itemsize or 1)
    if datatype is Datatype.BOOL:
        return bytes(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    return draw(st.binary(min_size=size, max_size=size))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request whose parts are plausible each, and sometimes do not fit together."""
    made = messages.ModelInferRequest(id=draw(st.text(max_size=3)))
    made.model_name = oddly(draw, "echo", st.sampled_from(["", "none", "../echo", "e" * 5000]))
    made.model_version = oddly(draw, "", st.just("1"))
    set_parameters(made.parameters, oddly(draw, {}, PARAMETERS))
    is_raw = draw(st.booleans())
    for name in oddly(draw, "xyz"[: draw(st.integers(1, 3))], st.just("")):
        set_input(draw, made, name, is_raw=is_raw)
    for name in oddly(draw, [], st.sampled_from([["x"], ["y", "x"], ["x", "x"], ["none"]])):
        set_parameters(made.outputs.add(name=name).parameters, oddly(draw, {}, PARAMETERS))
    made.raw_input_contents.extend(oddly(draw, [], st.lists(st.binary(max_size=9), max_size=2)))
    return damaged(draw, made.SerializeToString())


def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """Sometimes, the same with a part missing, doubled or changed."""
    kind = oddly(draw, "whole", st.sampled_from(["cut", "doubled", "changed"]))
    if kind == "whole" or not body:
        return body
    at = draw(st.integers(0, len(body) - 1))
    if kind == "cut":
        return body[:at]
    if kind == "doubled":
        return body + body[:at]
    return body[:at] + draw(st.binary(min_size=1, max_size=1)) + body[at + 1 :]


def set_parameters(target: messages.Parameters, values: dict[str, dict[str, Any]]) -> None:
    for name, choice in values.items():
        parameter = target[name]
        for field, value in choice.items():
            setattr(parameter, field, value)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    model = tmp_path_factory.mktemp("model") / "echo.py"
    model.write_text(MODEL)
    with served(model) as running:
        yield running


@pytest.fixture(scope="module")
def outcomes() -> Counter[grpc.StatusCode]:
    return Counter()


@pytest.fixture(scope="module")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_address) as made:
        yield made


def outcome(channel: grpc.Channel, body: bytes) -> grpc.StatusCode:
    method: Any = channel.unary_unary(INFER)
    try:
        messages.ModelInferResponse.FromString(method(body, timeout=30))
    except grpc.RpcError as error:
        failed: Any = error  # it is the call as well, which the types do not say
        assert failed.details()
        code: grpc.StatusCode = failed.code()
        return code
    return grpc.StatusCode.OK


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(bodies=st.lists(requests(), min_size=1, max_size=4))
@example(bodies=[b""])
def test_almost_right_messages_are_answered_or_the_clients_mistake(
    channel: grpc.Channel, outcomes: Counter[grpc.StatusCode], bodies: list[bytes]
) -> None:
    alone = [outcome(channel, body) for body in bodies]
    outcomes.update(alone)
    assert set(alone) <= ALLOWED
    method: Any = channel.unary_unary(INFER)
    together = [method.future(body, timeout=30) for body in bodies]
    assert [each.code() for each in together] == alone


def test_the_server_has_answered_some_refused_others_and_kept_nothing(
    server: ServerProcess, channel: grpc.Channel, outcomes: Counter[grpc.StatusCode]
) -> None:
    before = server.memory()
    test_almost_right_messages_are_answered_or_the_clients_mistake(channel, outcomes)
    assert server.memory() - before < 64 * MIB
    assert set(outcomes) >= {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
    assert server.process.poll() is None
    assert "Traceback" not in "".join(server.lines)
