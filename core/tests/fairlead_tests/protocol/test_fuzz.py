"""Whatever arrives, a decoder answers with a request or with an error of the client's."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.runtime import Capability, ModelMetadata
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, TensorSpec
from fairlead.protocol import v1, v2
from fairlead_tests.protocol import wire

METADATA = [
    ModelMetadata(),
    ModelMetadata(capabilities=frozenset({Capability.JSON})),
    ModelMetadata(
        inputs=(TensorSpec("a", Datatype.FP64, (-1,)), TensorSpec("b", Datatype.BYTES, (-1,))),
        capabilities=frozenset({Capability.COLUMNS}),
    ),
    ModelMetadata(inputs=(TensorSpec("a", Datatype.FP32, (-1,)), TensorSpec("b", Datatype.BYTES, ()))),
    ModelMetadata(inputs=(TensorSpec("a", Datatype.FP32, ()),)),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("b64"), inner, max_size=4)
    ),
    max_leaves=25,
)
LENGTHS = st.sampled_from(["0", "1", "10", "40", "-1", "9223372036854775808", "9" * 5000, "x", "", "1_0", "²", "4.0"])


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What belongs there, or anything."""
    return st.one_of(good, good, good, JSON)


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "binary_data_size": mostly(st.integers(-1, 20)),
        "binary_data": mostly(st.booleans()),
        "binary_data_output": mostly(st.booleans()),
        "classification": st.integers(),
    },
)
TENSOR = st.fixed_dictionaries(
    {"name": mostly(st.sampled_from("xy")), "shape": mostly(st.lists(st.integers(-1, 3), max_size=3))},
    optional={
        "datatype": mostly(st.sampled_from([*Datatype, "fp32", "FP8"])),
        "parameters": mostly(PARAMETERS),
        "data": mostly(st.lists(JSON, max_size=6)),
    },
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "id": mostly(st.text(max_size=3)),
        "model_name": st.just("m"),
        "inputs": mostly(st.lists(mostly(TENSOR), max_size=3)),
        "outputs": mostly(st.lists(mostly(TENSOR), max_size=3)),
        "parameters": mostly(PARAMETERS),
    },
)


def decoded_everywhere(content: bytes, headers: dict[str, str]) -> bool:
    """Give a body to every decoder; whether each made a message of it or gave a reason why it could not."""

    def decoded(decode: Callable[[], object]) -> bool:
        try:
            return isinstance(decode(), InferRequest | InferResponse)
        except (errors.InvalidInput, errors.NotSupported) as error:
            return bool(error.reason)

    as_v1 = functools.partial(v1.decode, content, model_name="m", content_type=None, headers=headers)
    return (
        all(decoded(functools.partial(as_v1, metadata=metadata)) for metadata in METADATA)
        and decoded(functools.partial(v2.decode, content, model_name="m", headers=headers))
        and decoded(functools.partial(v2.decode_response, content, headers))
    )


@given(content=st.binary(max_size=60), length=st.none() | LENGTHS)
def test_arbitrary_bytes_are_the_clients_mistake(content: bytes, length: str | None) -> None:
    assert decoded_everywhere(content, {} if length is None else {"inference-header-content-length": length})


@given(document=JSON)
@example(document={"instances": [{"a": {"b64": "x"}}]})
@example(document={"instances": [{}]})
@example(document={"instances": [[]]})
@example(document={"instances": [{"a": []}]})
@example(document={"inputs": {"a": [], "b": {"b64": ""}}, "signature_name": "s"})
def test_arbitrary_json_is_read_or_the_clients_mistake(document: Any) -> None:
    assert decoded_everywhere(json.dumps(document).encode(), {})
    assert decoded_everywhere(json.dumps({"instances": document, "inputs": document}).encode(), {})
    assert decoded_everywhere(json.dumps({"instances": [document, document]}).encode(), {})


@given(document=MESSAGE, tail=st.binary(max_size=20), cut=st.integers(-3, 3))
def test_almost_right_v2_messages_are_read_or_the_clients_mistake(
    document: dict[str, Any], tail: bytes, cut: int
) -> None:
    head = json.dumps(document).encode()
    assert decoded_everywhere(head, {})
    assert decoded_everywhere(head + tail, {"inference-header-content-length": str(len(head) + cut)})
    assert decoded_everywhere(head + tail, {"inference-header-content-length": str(len(head))})


HOSTILE = {
    "a hundred thousand lists": b"[" * 100_000 + b"]" * 100_000,
    "a hundred thousand lists and NaN": b"[" * 100_000 + b"NaN" + b"]" * 100_000,
    "a hundred thousand objects": b'{"inputs":' * 100_000 + b"1" + b"}" * 100_000,
    "deep data": b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":' + b"[" * 900 + b"]" * 900 + b"}]}",
    "deep instances": b'{"instances":' + b"[" * 900 + b"1" + b"]" * 900 + b"}",
    "a million keys": b"{" + b",".join(b'"%d":1' % i for i in range(1_000_000)) + b"}",
    "a huge integer": wire.v2_json(wire.v2_input(shape=[1], data=[1])).replace(b"[1]", b"[" + b"1" * 5000 + b"]"),
    "a huge integer and NaN": b'{"inputs":[' + b"1" * 5000 + b",NaN]}",
    "a large integer and NaN": wire.v2_json(wire.v2_input(data=[1, float("nan")])).replace(b"1,", b"1" * 400 + b","),
    "a lone surrogate": wire.v2_json(wire.v2_input(datatype="BYTES", shape=[1], data=["\ud800"])),
    "a lone surrogate and NaN": wire.v2_json(wire.v2_input(), id="\udfff", parameters={"a": float("nan")}),
    "a NUL byte": b'{"inputs":\x00[]}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"instances":[1]}'.encode("utf-16"),
    "invalid UTF-8": b'{"inputs":"\xff"}',
    "invalid UTF-8 and NaN": b'{"inputs":[NaN,"\xff"]}',
    "nothing": b"",
    "two documents": b"{}{}",
    "an infinite double": b'{"instances":[1e400],"inputs":[1e400]}',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_document_is_the_clients_mistake(content: bytes) -> None:
    for decode in (decode_as_v1, decode_as_v2):
        with pytest.raises(errors.InvalidInput):
            decode(content)


def decode_as_v1(content: bytes) -> InferRequest:
    return v1.decode(content, model_name="m", metadata=ModelMetadata(), content_type=None, headers={})


def decode_as_v2(content: bytes) -> InferRequest:
    return v2.decode(content, model_name="m", headers={})
