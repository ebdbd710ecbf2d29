"""Asking a server over every protocol, with clients that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import np_to_triton_dtype

if TYPE_CHECKING:
    from fairlead.testing import RunningServer

__all__ = ["PROTOCOLS", "ask"]

PROTOCOLS: Final = ("v1", "v2 json", "v2 binary", "grpc-v2")
"""What `ask` can be told."""


def ask(
    server: RunningServer, protocol: str, model: str, inputs: Mapping[str, Any], **parameters: Any
) -> Mapping[str, Any]:
    """Ask a model; one array is a matrix, several are the columns of a table.

    Args:
        server: a server with gRPC.
        protocol: one of `PROTOCOLS`.
        model: the model's name.
        inputs: arrays by name; text as objects.
        parameters: parameters of the request.

    Returns:
        The outputs by name, text as ``str``; over V1 there is one, ``output-0``.
    """
    if protocol == "v1":
        return {"output-0": np.array(_predictions(server, model, inputs, parameters))}
    if len(inputs) > 1:
        parameters = {"content_type": "pd", **parameters}
    if protocol == "grpc-v2":
        client: Any = tritonclient.grpc.InferenceServerClient(server.grpc_address)
        tensors = [_filled(tritonclient.grpc.InferInput, name, each) for name, each in inputs.items()]
        options: dict[str, Any] = {}
    else:
        client = tritonclient.http.InferenceServerClient(server.url.removeprefix("http://"))
        binary = protocol == "v2 binary"
        tensors = [
            _filled(tritonclient.http.InferInput, name, each, binary_data=binary) for name, each in inputs.items()
        ]
        options = {"outputs": [tritonclient.http.InferRequestedOutput("output-0", binary_data=binary)]}
    try:
        answer = client.infer(model, tensors, parameters=parameters or None, **options)
        outputs = answer.get_response()["outputs"] if protocol != "grpc-v2" else answer.get_response().outputs
        names = [each["name"] if isinstance(each, dict) else each.name for each in outputs]
        return {name: _text(answer.as_numpy(name)) for name in names}
    finally:
        client.close()


def _predictions(server: RunningServer, model: str, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    columns = {name: each.tolist() for name, each in inputs.items()}
    if len(columns) == 1:
        (instances,) = columns.values()
    else:
        instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    body = {"instances": instances, **({"parameters": dict(parameters)} if parameters else {})}
    answer = server.client.post(f"/v1/models/{model}:predict", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def _filled(kind: Any, name: str, array: Any, **options: Any) -> Any:
    tensor = kind(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array, **options)
    return tensor


def _text(array: Any) -> Any:
    if array.dtype.kind not in "OS":
        return array
    decoded = [each.decode() if isinstance(each, bytes) else each for each in array.ravel()]
    return np.array(decoded).reshape(array.shape)
