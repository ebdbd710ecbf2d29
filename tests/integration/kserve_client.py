"""Asks a server through KServe's own client; run by the Python of an environment that has it.

Prints one JSON object: what each call answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

FLOWERS = np.array([[6.8, 2.8, 4.8, 1.4], [5.1, 3.5, 1.4, 0.2]], dtype=np.float32)


async def main(url: str) -> dict[str, Any]:
    v1 = InferenceRESTClient(RESTConfig(protocol="v1", timeout=30))
    v2 = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    answers: dict[str, Any] = {}
    answers["v1 live"] = await v1.is_server_live(url)
    answers["v1 model ready"] = await v1.is_model_ready(url, "iris")
    answers["v1 infer"] = await v1.infer(url, {"instances": FLOWERS.tolist()}, model_name="iris")
    answers["v2 live"] = await v2.is_server_live(url)
    answers["v2 server ready"] = await v2.is_server_ready(url)
    answers["v2 model ready"] = await v2.is_model_ready(url, "iris")
    answers["v2 unknown model ready"] = await v2.is_model_ready(url, "unknown")
    for name, binary_in, parameters in (
        ("v2 json", False, None),
        ("v2 binary in", True, None),
        ("v2 binary in and out", True, {"binary_data_output": True}),
    ):
        tensor = InferInput("input-0", list(FLOWERS.shape), "FP32")
        tensor.set_data_from_numpy(FLOWERS, binary_data=binary_in)
        request = InferRequest("iris", [tensor], request_id="7", parameters=parameters)
        response = await v2.infer(url, request, model_name="iris")
        output = response.outputs[0]
        answers[name] = [response.id, response.model_name, output.name, output.datatype, output.as_numpy().tolist()]
    try:
        await v2.infer(url, {"inputs": []}, model_name="iris")
    except httpx.HTTPStatusError as error:
        answers["v2 error"] = [error.response.status_code, str(error).partition(" for url")[0]]
    await v1.close()
    await v2.close()
    return answers


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
