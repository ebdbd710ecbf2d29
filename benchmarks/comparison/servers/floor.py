"""The floor: what is left when there is no framework, no check and no error handling. No product: a measure.

An ``asyncio.Protocol`` on httptools and uvloop reads the request, orjson parses it, rows that arrive in the same turn
of the event loop are predicted together on the loop, and the answer is written. Binary tensors are views in and out.

    python -m comparison.servers.floor PORT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, cast

import httptools
import joblib
import numpy as np
import orjson
import uvloop
from numpy.typing import NDArray

from comparison import models

Predict = Callable[[NDArray[Any]], NDArray[Any]]


class Batch:
    """The rows that arrived in this turn of the event loop."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self._rows: list[NDArray[Any]] = []
        self._answers: list[Callable[[NDArray[Any]], None]] = []

    def add(self, rows: NDArray[Any], answer: Callable[[NDArray[Any]], None]) -> None:
        """Predict the rows at the end of this turn."""
        if not self._rows:
            asyncio.get_running_loop().call_soon(self._flush)
        self._rows.append(rows)
        self._answers.append(answer)

    def _flush(self) -> None:
        rows, answers = self._rows, self._answers
        self._rows, self._answers = [], []
        found = self._predict(rows[0] if len(rows) == 1 else np.concatenate(rows))
        begin = 0
        for each, answer in zip(rows, answers, strict=True):
            answer(found[begin : begin + len(each)])
            begin += len(each)


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, served: dict[str, tuple[Predict, Batch | None]]) -> None:
        self._served = served
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._body: list[bytes] = []
        self._json = 0

    def on_url(self, url: bytes) -> None:
        """Keep the path."""
        self._path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the length of the JSON before binary data."""
        if name.lower() == b"inference-header-content-length":
            self._json = int(value)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Predict, now or at the end of this turn."""
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        name, rest = self._path.split("/", 3)[3].replace("/", ":").split(":")
        predict, batch = self._served[name]
        if rest == "predict":
            array = np.array(orjson.loads(body)["instances"])
            answer: Callable[[NDArray[Any]], None] = self._v1
        else:
            tensor = orjson.loads(memoryview(body)[: self._json] if self._json else body)["inputs"][0]
            shape, data = tensor["shape"], tensor.get("data")
            flat = np.frombuffer(body, "<f4", offset=self._json) if self._json else np.array(data, np.float32)
            array, answer = flat.reshape(shape), self._binary if self._json else self._v2
        if batch is None:
            answer(predict(array))
        else:
            batch.add(array, answer)

    def _v1(self, found: NDArray[Any]) -> None:
        self._write(orjson.dumps({"predictions": found.tolist()}))

    def _v2(self, found: NDArray[Any]) -> None:
        self._write(self._document(found, {"data": found.reshape(-1)}))

    def _binary(self, found: NDArray[Any]) -> None:
        head = self._document(found, {"parameters": {"binary_data_size": found.nbytes}})
        self._write(head, found.reshape(-1).data.cast("B"))

    def _document(self, found: NDArray[Any], rest: dict[str, Any]) -> bytes:
        datatype = "FP32" if found.dtype == np.float32 else "INT64"
        output = {"name": "output-0", "shape": found.shape, "datatype": datatype, **rest}
        return orjson.dumps({"model_name": "floor", "outputs": [output]}, option=orjson.OPT_SERIALIZE_NUMPY)

    def _write(self, head: bytes, tail: memoryview | None = None) -> None:
        if tail is None:
            headers = b"content-type: application/json\r\ncontent-length: %d" % len(head)
            self._transport.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (headers, head))
        else:
            headers = b"content-type: application/octet-stream\r\ninference-header-content-length: %d" % len(head)
            length = b"content-length: %d" % (len(head) + len(tail))
            self._transport.writelines([b"HTTP/1.1 200 OK\r\n%b\r\n%b\r\n\r\n%b" % (headers, length, head), tail])


async def main() -> None:
    """Serve until the process is ended."""
    iris = joblib.load(models.folder() / "iris" / "model.joblib").predict
    served: dict[str, tuple[Predict, Batch | None]] = {"iris": (iris, Batch(iris))}
    served |= {name: (function, None) for name, function in models.ARRAYS.items()}
    server = await asyncio.get_running_loop().create_server(lambda: Connection(served), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
