"""Asks a server through KServe's own gRPC client; run by the Python of an environment that has it.

Prints one JSON object: what each call answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.grpc import grpc_predict_v2_pb2, grpc_predict_v2_pb2_grpc

from integration import arrays

FLOWERS = np.array([[6.8, 2.8, 4.8, 1.4], [5.1, 3.5, 1.4, 0.2]], dtype=np.float32)
ARRAYS = {**arrays.ARRAYS, "BYTES": np.array([[b"abc", "ü".encode()]], object)}
"""KServe's client takes no bytes that are not UTF-8."""


def question(model: str, array: Any, datatype: str, binary: bool) -> InferRequest:
    tensor = InferInput("input-0", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return InferRequest(model, [tensor], request_id="7")


async def main(address: str) -> dict[str, Any]:
    client = InferenceGRPCClient(address, timeout=30)
    answers: dict[str, Any] = {}
    answers["live"] = await client.is_server_live()
    answers["ready"] = await client.is_server_ready()
    answers["model ready"] = await client.is_model_ready("iris")
    for name, binary in (("raw", True), ("typed", False)):
        response = await client.infer(question("iris", FLOWERS, "FP32", binary), headers=[("x-request-id", "42")])
        output = response.outputs[0]
        answers[name] = [response.id, response.model_name, output.name, output.datatype, output.as_numpy().tolist()]
        same = {}
        for datatype, array in ARRAYS.items():
            if not binary and datatype == "FP16":
                continue  # its messages have no such contents
            response = await client.infer(question("echo", array, datatype, binary))
            same[datatype] = bool(np.array_equal(response.outputs[0].as_numpy(), array))
        answers[f"{name} echo"] = same
    try:
        await client.infer(question("unknown", FLOWERS, "FP32", True))
    except grpc.RpcError as error:
        answers["unknown"] = [error.code().name, error.details()]
    async with grpc.aio.insecure_channel(address) as channel:
        stub = grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(channel)
        unloaded = await stub.RepositoryModelUnload(grpc_predict_v2_pb2.RepositoryModelUnloadRequest(model_name="echo"))
        answers["unloaded"] = [unloaded.model_name, unloaded.isUnloaded, await client.is_model_ready("echo")]
        loaded = await stub.RepositoryModelLoad(grpc_predict_v2_pb2.RepositoryModelLoadRequest(model_name="echo"))
        answers["loaded"] = [loaded.model_name, loaded.isLoaded, await client.is_model_ready("echo")]
    await client.close()
    return answers


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
