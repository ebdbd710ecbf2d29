"""The requests that are sent, as bytes, and what their answers must say."""

from __future__ import annotations

import dataclasses
import functools
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CALLS", "GRPC_PATH", "Call", "WrongAnswer", "framed"]

GRPC_PATH: Final = "/inference.GRPCInferenceService/ModelInfer"

_FLOWER: Final = np.array([[6.8, 2.8, 4.8, 1.4]], np.float32)
_KIND: Final = np.array([1])
_JSON: Final = {"content-type": "application/json"}
_JSON_LENGTH: Final = "inference-header-content-length"


class WrongAnswer(Exception):
    """A server answered with an error, or with other values than the model gives."""


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request, the same every time.

    Attributes:
        path: its path.
        body: its body; for gRPC, the message.
        headers: its headers; empty for gRPC.
        expected: the values that the answer must have.
        read: the values of an answer's body and headers.
    """

    path: str
    body: bytes
    headers: Mapping[str, str]
    expected: NDArray[Any]
    read: Callable[[bytes, Mapping[str, str]], NDArray[Any]]

    @property
    def is_grpc(self) -> bool:
        """Whether it is a call of gRPC."""
        return self.path == GRPC_PATH

    def check(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Compare an answer with what is expected.

        Raises:
            WrongAnswer: it says something else, or cannot be read.
        """
        try:
            found = self.read(body, headers)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise WrongAnswer(f"its answer cannot be read: {error!r}; it begins with {body[:100]!r}") from error
        if found.size != self.expected.size or not np.allclose(found.reshape(-1), self.expected.reshape(-1), 1e-4):
            raise WrongAnswer(f"it answers {found.reshape(-1)[:4]}, not {self.expected.reshape(-1)[:4]}")


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it: a flag that says it is not compressed, its length, and itself."""
    return struct.pack(">BI", 0, len(message)) + message


@functools.cache
def _pixels() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)


@functools.cache
def _boosted() -> NDArray[Any]:
    """What the library itself predicts: training it is deterministic."""
    from comparison.train import booster

    return np.asarray(booster().predict(_FLOWER.astype(np.float64)))


# -- HTTP -----------------------------------------------------------------------------------------------


def _v1(name: str, row: list[float], expected: NDArray[Any]) -> Call:
    body = orjson.dumps({"instances": [row]})
    return Call(f"/v1/models/{name}:predict", body, _JSON, expected, _read_v1)


def _v2(name: str, array: NDArray[Any], expected: NDArray[Any], datatype: str = "FP32") -> Call:
    tensor = {"name": "input-0", "shape": array.shape, "datatype": datatype, "data": array.reshape(-1)}
    body = orjson.dumps({"inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Call(f"/v2/models/{name}/infer", body, _JSON, expected, _read_v2)


def _binary(name: str, array: NDArray[np.float32], expected: NDArray[Any]) -> Call:
    data = array.astype("<f4").tobytes()
    tensor = {
        "name": "input-0",
        "shape": array.shape,
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(data)},
    }
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"content-type": "application/octet-stream", _JSON_LENGTH: str(len(head))}
    return Call(f"/v2/models/{name}/infer", head + data, headers, expected, _read_v2)


def _read_v1(body: bytes, headers: Mapping[str, str]) -> NDArray[Any]:  # noqa: ARG001  # the signature of a reader
    return np.array(orjson.loads(body)["predictions"])


def _read_v2(body: bytes, headers: Mapping[str, str]) -> NDArray[Any]:
    length = int(headers.get(_JSON_LENGTH, len(body)))
    output = orjson.loads(body[:length])["outputs"][0]
    if "data" in output:
        return np.array(output["data"])
    return np.frombuffer(body, {"FP32": "<f4", "INT64": "<i8", "FP64": "<f8"}[output["datatype"]], offset=length)


# -- gRPC -----------------------------------------------------------------------------------------------


def _grpc(name: str, array: NDArray[np.float32], expected: NDArray[Any], *, raw: bool) -> Call:
    from tritonclient.grpc import service_pb2  # when gRPC is not measured, its absence is no error

    request = service_pb2.ModelInferRequest(model_name=name)
    tensor = request.inputs.add(name="input-0", datatype="FP32", shape=array.shape)
    if raw:
        request.raw_input_contents.append(array.astype("<f4").tobytes())
    else:
        tensor.contents.fp32_contents.extend(array.reshape(-1).tolist())
    return Call(GRPC_PATH, request.SerializeToString(), {}, expected, _read_grpc)


def _read_grpc(body: bytes, headers: Mapping[str, str]) -> NDArray[Any]:  # noqa: ARG001  # the signature of a reader
    from tritonclient.grpc import service_pb2

    response = service_pb2.ModelInferResponse.FromString(body)
    output = response.outputs[0]
    if response.raw_output_contents:
        dtype = {"FP32": "<f4", "INT64": "<i8", "FP64": "<f8"}[output.datatype]
        return np.frombuffer(response.raw_output_contents[0], dtype)
    [(_, values)] = output.contents.ListFields()
    return np.array(list(values))


CALLS: Final[Mapping[str, Callable[[], Call]]] = {
    "v1": lambda: _v1("iris", [6.8, 2.8, 4.8, 1.4], _KIND),
    "v2": lambda: _v2("iris", _FLOWER, _KIND),
    "boosted-v1": lambda: _v1("boosted", [6.8, 2.8, 4.8, 1.4], _boosted()),
    "boosted-v2": lambda: _v2("boosted", _FLOWER, _boosted()),
    "json-in": lambda: _v2("mean", _pixels(), np.array([_pixels().mean()])),
    "json-echo": lambda: _v2("echo", _pixels(), _pixels()),
    "binary-in": lambda: _binary("mean", _pixels(), np.array([_pixels().mean()])),
    "binary-echo": lambda: _binary("echo", _pixels(), _pixels()),
    "grpc": lambda: _grpc("iris", _FLOWER, _KIND, raw=False),
    "grpc-raw": lambda: _grpc("mean", _pixels(), np.array([_pixels().mean()]), raw=True),
    "grpc-typed": lambda: _grpc("mean", _pixels(), np.array([_pixels().mean()]), raw=False),
    "cost-v1": lambda: _v1("cost", [1.0], np.array([1 / 128])),
    "cost-v2": lambda: _v2("cost", np.ones((1, 1)), np.array([1 / 128]), "FP64"),
}
"""The requests by name; made when they are needed, because the large ones take a moment."""
