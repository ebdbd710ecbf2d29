"""What the tests of this room share: bodies as a transport would hand them over, and tensors of every kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairlead.contracts.tensors import Datatype, InferRequest, Tensor
from fairlead.protocol import v2

if TYPE_CHECKING:
    from fairlead.protocol.encoded import Encoded

JSON_DATATYPES: list[Datatype] = [d for d in Datatype if d not in (Datatype.FP16, Datatype.BF16)]


def body(encoded: Encoded) -> bytes:
    """All chunks, as they arrive at the other side."""
    return b"".join(encoded.chunks)


def headers(encoded: Encoded) -> dict[str, str]:
    """The headers that arrive with them."""
    known = dict(encoded.headers)
    return known if encoded.content_type is None else {**known, "content-type": encoded.content_type}


def v2_input(**changes: Any) -> dict[str, Any]:
    """A good input, with changes; a change to None removes the key."""
    good = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1.0, 2.0], **changes}
    return {key: value for key, value in good.items() if value is not None}


def v2_json(*inputs: dict[str, Any], **more: Any) -> bytes:
    """A request of these inputs, as JSON."""
    return json.dumps({"inputs": list(inputs), **more}).encode()


def decode_v2(content: bytes, **more: str) -> InferRequest:
    """Decode a V2 body that came with these headers."""
    return v2.decode(content, model_name="m", headers=more)


def decode_v2_binary(document: dict[str, Any], *chunks: bytes) -> InferRequest:
    """Decode a V2 body with a binary part."""
    head = json.dumps(document).encode()
    return v2.decode(
        head + b"".join(chunks), model_name="m", headers={"inference-header-content-length": str(len(head))}
    )


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
scalars = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), names
)
parameters = st.dictionaries(names.filter(lambda name: name != "binary_data_size"), scalars, max_size=2)


@st.composite
def tensors(draw: st.DrawFn, datatypes: list[Datatype], *, text: bool = False) -> Tensor:
    """A tensor of one of these datatypes, of no to four dimensions, empty ones among them."""
    datatype = draw(st.sampled_from(datatypes))
    shape = draw(shapes)
    if datatype is Datatype.BYTES:
        elements = st.text(st.characters(codec="utf-8"), max_size=5).map(str.encode) if text else st.binary(max_size=5)
        array = draw(hnp.arrays(object, shape, elements=elements, fill=st.nothing()))
    elif datatype is Datatype.BF16:
        halves = draw(hnp.arrays(np.uint16, shape, fill=st.nothing()))
        array = (halves.astype(np.uint32) << 16).view(np.float32).reshape(shape)
    else:
        array = draw(hnp.arrays(datatype.numpy, shape))
    return Tensor(draw(names), array, datatype, draw(parameters))


def named_apart(drawn: list[Tensor]) -> list[Tensor]:
    """The same tensors under names that differ."""
    return [Tensor(f"{i}-{t.name}", t.data, t.datatype, t.parameters) for i, t in enumerate(drawn)]
