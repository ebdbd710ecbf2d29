"""Which content types of a V1 request are JSON."""

from __future__ import annotations

import pytest

from fairlead import Capability, Datatype, ModelMetadata, TensorSpec, errors
from fairlead.protocol import v1

TENSORS = ModelMetadata(inputs=(TensorSpec("x", Datatype.FP64, (-1,)),))


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "Application/JSON; charset=utf-8", "application/octet-stream", "application/ld+json"],
)
def test_json_by_its_content_type_is_read(content_type: str | None) -> None:
    request = v1.decode(b'{"instances":[1]}', model_name="m", metadata=TENSORS, content_type=content_type, headers={})
    assert request.inputs[0].data.tolist() == [1]


def test_what_curl_announces_by_default_is_read_as_json() -> None:
    content_type = "application/x-www-form-urlencoded"
    request = v1.decode(b'{"instances":[1]}', model_name="m", metadata=TENSORS, content_type=content_type, headers={})
    assert request.inputs[0].data.tolist() == [1]


def test_other_types_are_refused_for_a_model_of_tensors_with_what_to_send() -> None:
    with pytest.raises(errors.UnsupportedMediaType, match=r"image/png.*application/json"):
        v1.decode(b"\x89PNG", model_name="m", metadata=TENSORS, content_type="image/png", headers={})


@pytest.mark.parametrize("metadata", [ModelMetadata(), ModelMetadata(capabilities=frozenset({Capability.JSON}))])
def test_other_types_are_handed_on_as_bytes_to_a_model_that_may_take_them(metadata: ModelMetadata) -> None:
    request = v1.decode(b"\x89PNG", model_name="m", metadata=metadata, content_type="image/png", headers={})
    assert request.payload == b"\x89PNG"
