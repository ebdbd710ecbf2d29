"""What the protocol costs for one image tensor, against plain ``json`` and lists, measured in one run.

The tensor is 1x3x224x224 FP32: 602 kB as binary data. Times are medians over alternating rounds, so that a busy
moment of the machine falls on all of them; the ratios are what to look at.

    python benchmarks/protocol.py [ROUNDS]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import orjson

from fairlead import InferRequest, InferResponse, Tensor
from fairlead.protocol import v2

Work = Callable[[], object]


def measure(works: dict[str, Work], rounds: int) -> dict[str, float]:
    """The median time of each piece of work, in microseconds."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(measured) * 1e6 for name, measured in times.items()}


def decoding(tensor: Tensor) -> dict[str, Work]:
    """Ways to read a request with the tensor; the first is what the others are compared with."""
    sent = InferRequest(model_name="m", inputs=[tensor])
    as_json, as_binary = v2.encode_request(sent, binary=False), v2.encode_request(sent, binary=True)
    text, body, headers = b"".join(as_json.chunks), b"".join(as_binary.chunks), dict(as_binary.headers)

    def with_lists(loads: Callable[[bytes], dict[str, list[dict[str, object]]]]) -> object:
        found = loads(text)["inputs"][0]
        return np.array(found["data"], dtype=np.float32).reshape(found["shape"])  # type: ignore[call-overload]  # JSON

    return {
        "json.loads and np.array": lambda: with_lists(json.loads),
        "orjson.loads and np.array": lambda: with_lists(orjson.loads),
        "v2.decode, JSON": lambda: v2.decode(text, model_name="m", headers={}),
        "v2.decode, binary": lambda: v2.decode(body, model_name="m", headers=headers),
    }


def encoding(tensor: Tensor) -> dict[str, Work]:
    """Ways to write an answer with the tensor; the first is what the others are compared with."""
    answer = InferResponse(model_name="m", outputs=[tensor], id="1")
    request = InferRequest(model_name="m")
    binary = InferRequest(model_name="m", parameters={"binary_data_output": True})
    return {
        "tolist and json.dumps": lambda: json.dumps({"data": tensor.data.ravel().tolist()}).encode(),
        "tolist and orjson.dumps": lambda: orjson.dumps({"data": tensor.data.ravel().tolist()}),
        "v2.encode, JSON": lambda: v2.encode(answer, request),
        "v2.encode, binary": lambda: v2.encode(answer, binary),
    }


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    pixels = np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)
    tensor = Tensor.from_numpy("input-0", pixels)
    for title, works in (("decode", decoding(tensor)), ("encode", encoding(tensor))):
        times = measure(works, rounds)
        plain = next(iter(times.values()))
        print(f"{title:30}{'us':>10}{'x':>10}")  # noqa: T201  # the figures are what this script is for
        for name, spent in times.items():
            print(f"  {name:28}{spent:10.0f}{plain / spent:10.1f}")  # noqa: T201  # as above


if __name__ == "__main__":
    main()
