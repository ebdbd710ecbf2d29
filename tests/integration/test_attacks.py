"""Hostile requests to a running server: each is refused clearly, the server goes on, and its memory stays flat."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.processes import ServerProcess, served

MIB = 1024 * 1024
INFER = "/v2/models/echo/infer"
PREDICT = "/v1/models/echo:predict"
MODEL = """
from fairlead import CustomModel, InferRequest, InferResponse

class Echo(CustomModel):
    def predict(self, request: InferRequest) -> InferResponse:
        payload = None if request.inputs else request.payload
        return InferResponse(model_name="", outputs=request.inputs, payload=payload)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    model = tmp_path_factory.mktemp("model") / "echo.py"
    model.write_text(MODEL)
    limits = ["--max-body-bytes", str(4 * MIB), "--header-timeout", "3", "--body-timeout", "3"]
    with served(model, limits) as running:
        running.client.post(PREDICT, json={"instances": [[1.0] * 1000] * 100})  # what a first request allocates
        yield running


@pytest.fixture(autouse=True)
def the_server_goes_on_and_its_memory_stays_flat(server: ServerProcess) -> Iterator[None]:
    before = server.memory()
    yield
    assert server.process.poll() is None
    assert server.client.post(PREDICT, json={"instances": [1]}).json() == {"predictions": [1]}
    assert server.memory() - before < 64 * MIB


class Raw:
    """A connection that sends what no HTTP client would."""

    def __init__(self, server: ServerProcess) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> Raw:
        for part in parts:
            try:
                self.socket.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break  # refused before all was sent; the answer may still be there
        return self

    def answer(self) -> tuple[int, bytes]:
        """The status and the body of the next answer; 0 when the connection ends without one."""
        response = http.client.HTTPResponse(self.socket)
        try:
            response.begin()
            return response.status, response.read()
        except (http.client.BadStatusLine, ConnectionResetError):
            return 0, b""


def head(path: str = INFER, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode("latin-1")


def v2(**changes: object) -> bytes:
    tensor = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]} | changes
    return json.dumps({"inputs": [tensor]}).encode()


def post(server: ServerProcess, body: bytes, path: str = INFER, **headers: str) -> tuple[int, str]:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    response = server.client.post(path, content=body, headers={"content-type": "application/json", **named})
    return response.status_code, response.json().get("error", "")


# -- how much, and how fast -----------------------------------------------------------------------------


EVERY_BODY = pytest.mark.parametrize("path", [INFER, PREDICT, "/v2/repository/index"])


@EVERY_BODY
def test_a_body_over_the_limit_is_refused_before_it_is_read(server: ServerProcess, path: str) -> None:
    with Raw(server) as raw:
        status, body = raw.send(head(path, f"Content-Length: {10**12}")).answer()
    assert (status, b"--max-body-bytes" in body) == (413, True)


@EVERY_BODY
def test_a_chunked_body_without_length_is_cut_off_at_the_limit(server: ServerProcess, path: str) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    lines = ["Transfer-Encoding: chunked", "Content-Type: application/json"]
    with Raw(server) as raw:
        status, _ = raw.send(head(path, *lines), *[chunk] * 1000).answer()
    assert status in (400, 413)


def test_a_million_chunks_of_one_byte_are_one_body(server: ServerProcess) -> None:
    with Raw(server) as raw:
        chunks = (b"1\r\n \r\n" * 10_000 for _ in range(100))
        status, _ = raw.send(head(INFER, "Transfer-Encoding: chunked"), *chunks, b"0\r\n\r\n").answer()
    assert status == 400


def test_a_head_that_comes_too_slowly_is_cut_off(server: ServerProcess) -> None:
    with Raw(server) as raw:
        status, body = raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ").answer()
    assert (status, b"headers were not complete" in body) == (408, True)


def test_a_body_that_comes_too_slowly_is_cut_off(server: ServerProcess) -> None:
    with Raw(server) as raw:
        status, body = raw.send(head(INFER, "Content-Length: 100"), b"{").answer()
    assert status in (400, 408)
    assert b"not complete within" in body


@pytest.mark.parametrize(
    "lines",
    [
        ["X-Long: " + "a" * MIB],
        [f"X-{number}: a" for number in range(10_000)],
        [f"Content-Type: multipart/form-data; boundary={'b' * MIB}"],
    ],
    ids=["one long header", "many headers", "a multipart boundary of 1 MB"],
)
def test_a_head_over_the_limit_is_refused(server: ServerProcess, lines: list[str]) -> None:
    with Raw(server) as raw:
        status, body = raw.send(head(INFER, *lines)).answer()
    assert status in (0, 431)
    assert not body or b"bytes" in body


def test_a_long_path_is_refused(server: ServerProcess) -> None:
    with Raw(server) as raw:
        status, _ = raw.send(head("/" + "a" * MIB)).answer()
    assert status in (0, 431)


def test_trailers_without_end_are_not_kept(server: ServerProcess) -> None:
    with Raw(server) as raw:
        raw.send(head(INFER, "Transfer-Encoding: chunked"), b"0\r\n")
        raw.send(*[b"X-Trailer: " + b"t" * 50_000 + b"\r\n"] * 2000)
        status, _ = raw.send(b"\r\n").answer()
    assert status in (0, 400)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_decompression_bomb_is_not_unpacked(server: ServerProcess, encoding: str, compress: object) -> None:
    assert callable(compress)
    bomb = compress(b" " * 512 * MIB)
    assert len(bomb) < MIB
    status, error = post(server, bomb, content_encoding=encoding)
    assert (status, "--max-body-bytes" in error) == (413, True)


@pytest.mark.parametrize(
    "body",
    [b"not gzip", gzip.compress(b"{}")[:-5], gzip.compress(b"{}") + b"tail"],
    ids=["none at all", "cut short", "with a tail"],
)
def test_what_does_not_decompress_is_refused(server: ServerProcess, body: bytes) -> None:
    assert post(server, body, content_encoding="gzip")[0] == 400


# -- what JSON allows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [INFER, PREDICT])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"{" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"inputs":' + b"[" * 100_000 + b"1" + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"NaN" + b"}" * 100_000,
        b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[' + b"9" * 5000 + b"e999999]}]}",
        b"9" * 5000,
        b'"\\ud800"',
        b"\xff\xfe",
        b"null",
        b"[]",
        b"1",
        b'{"inputs": null, "instances": null}',
        b'{"inputs": {}, "instances": {}}',
        b'{"instances": [], "inputs": []}',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_hostile_json_is_refused(server: ServerProcess, path: str, body: bytes) -> None:
    status, error = post(server, body, path)
    assert status in (400, 413, 422)
    assert error


def test_of_repeated_keys_the_last_counts(server: ServerProcess) -> None:
    valid = v2()[1:-1]
    assert post(server, b"{" + valid + b',"inputs":[]}')[0] in (400, 422)
    assert post(server, b'{"inputs":[],' + valid + b"}")[0] == 200


def test_a_million_keys_are_read_and_refused(server: ServerProcess) -> None:
    body = b"{" + b",".join(b'"%x":1' % number for number in range(250_000)) + b"}"
    assert post(server, body)[0] == 422


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"shape": [3]}, (400, 422)),
        ({"shape": [-2]}, (400, 422)),
        ({"shape": [-1, -2]}, (400, 422)),
        ({"shape": [2**31, 2**33]}, (400, 422)),
        ({"shape": [2**63]}, (400, 422)),
        ({"shape": [10**30]}, (400, 422)),
        ({"shape": [1] * 10_000 + [2]}, (400, 422)),
        ({"shape": "2"}, (422,)),
        ({"shape": [1.5]}, (422,)),
        ({"datatype": "FP31"}, (400, 422)),
        ({"datatype": "FP16"}, (400,)),
        ({"datatype": "BF16"}, (400,)),
        ({"datatype": "INT8", "data": [1, 300]}, (400,)),
        ({"datatype": "UINT64", "data": [1, -1]}, (400,)),
        ({"datatype": "INT64", "data": [1, 2**64]}, (400,)),
        ({"datatype": "INT32", "data": [1, 1.5]}, (400,)),
        ({"datatype": "BOOL", "data": ["true", "false"]}, (400,)),
        ({"datatype": "BYTES", "data": ["a", "\ud800"]}, (400,)),
        ({"data": ["1", "2"]}, (400,)),
        ({"data": [[1], [2, 3]]}, (400,)),
        ({"data": [1, {"a": 1}]}, (400,)),
        ({"data": 1}, (400, 422)),
        ({"parameters": {"binary_data_size": 2**63}}, (400, 422)),
        ({"parameters": {"nested": {"a": 1}}}, (422,)),
    ],
    ids=lambda value: str(value)[:60],
)
def test_tensors_that_lie_are_refused(
    server: ServerProcess, changes: dict[str, object], status: tuple[int, ...]
) -> None:
    answered, error = post(server, v2(**changes))
    assert answered in status
    assert error


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}] * 2,
        [1],
        [None],
    ],
    ids=["none", "two of one name", "a number", "null"],
)
def test_lists_of_inputs_that_make_no_sense_are_refused(server: ServerProcess, inputs: list[object]) -> None:
    assert post(server, json.dumps({"inputs": inputs}).encode())[0] in (400, 422)


def test_an_empty_tensor_is_no_attack(server: ServerProcess) -> None:
    response = server.client.post(
        INFER, json={"inputs": [{"name": "x", "shape": [0, 4], "datatype": "FP32", "data": []}]}
    )
    assert response.json()["outputs"][0]["shape"] == [0, 4]


# -- the binary extension -------------------------------------------------------------------------------


def binary(size: int, shape: list[int], datatype: str, content: bytes, length: str | None = None) -> tuple[bytes, str]:
    tensor = {"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}
    header = json.dumps({"inputs": [tensor]}).encode()
    return header + content, str(len(header)) if length is None else length


@pytest.mark.parametrize(
    ("body", "length"),
    [
        binary(8, [2], "FP32", bytes(4)),
        binary(4, [2], "FP32", bytes(4)),
        binary(8, [2], "FP32", bytes(12)),
        binary(-8, [2], "FP32", bytes(8)),
        binary(2**63, [2], "FP32", bytes(8)),
        binary(8, [2**62], "FP32", bytes(8)),
        binary(8, [2], "FP32", bytes(8), "-1"),
        binary(8, [2], "FP32", bytes(8), "999999"),
        binary(8, [2], "FP32", bytes(8), str(2**63)),
        binary(8, [2], "FP32", bytes(8), "ten"),
        binary(8, [2], "FP32", bytes(8), "0"),
        binary(8, [2], "BYTES", struct.pack("<I", 2**32 - 1) + bytes(4)),
        binary(8, [2**40], "BYTES", struct.pack("<II", 0, 0)),
        binary(8, [1], "BYTES", struct.pack("<II", 0, 0)),
        binary(6, [1], "BYTES", struct.pack("<IH", 3, 0)),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_binary_tensors_that_lie_are_refused(server: ServerProcess, body: bytes, length: str) -> None:
    response = server.client.post(
        INFER,
        content=body,
        headers={"inference-header-content-length": length, "content-type": "application/octet-stream"},
    )
    assert response.status_code in (400, 422)
    assert response.json()["error"]


# -- HTTP itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes",
    [
        head(INFER, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head(INFER, "Content-Length: 5", "Content-Length: 6") + b"hello",
        head(INFER, "Content-Length: -5"),
        head(INFER, "Content-Length: 0x10"),
        head(INFER, "Transfer-Encoding: chunked") + b"zz\r\n",
        head(INFER, "Transfer-Encoding: chunked") + b"fffffffffffffffffff\r\n",
        b"POST " + INFER.encode() + b" HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00" + bytes(100),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    ],
    ids=[
        "length and chunked",
        "two lengths",
        "negative length",
        "hexadecimal length",
        "bad chunk",
        "overflowing chunk",
        "unknown version",
        "TLS",
        "HTTP/2",
        "space in a header name",
        "NUL in a header",
    ],
)
def test_what_is_not_http_is_refused(server: ServerProcess, request_bytes: bytes) -> None:
    with Raw(server) as raw:
        status, _ = raw.send(request_bytes).answer()
    assert status in (0, 400, 505)


def test_header_injection_through_the_request_id_is_not_possible(server: ServerProcess) -> None:
    with Raw(server) as raw:
        raw.send(head(PREDICT, "Content-Length: 17", "X-Request-Id: a\tb\x01c"), b'{"instances":[1]}')
        response = http.client.HTTPResponse(raw.socket)
        response.begin()
        assert response.status in (200, 400)
        assert len(response.headers.get_all("x-request-id") or [""]) == 1


def test_a_hundred_connections_that_say_nothing_do_not_keep_others_out(server: ServerProcess) -> None:
    idle = [Raw(server) for _ in range(100)]
    try:
        assert server.client.get("/v2/health/live").status_code == 200
    finally:
        for raw in idle:
            raw.socket.close()


def test_idle_connections_up_to_the_systems_limit_leave_room_for_probes(tmp_path: Path) -> None:
    model = tmp_path / "echo.py"
    model.write_text(MODEL)
    frugally = tmp_path / "python"
    frugally.write_text(f'#!/bin/sh\nulimit -S -n 128\nexec {sys.executable} "$@"\n')
    frugally.chmod(0o755)
    with served(model, python=str(frugally)) as frugal:
        idle = [Raw(frugal) for _ in range(300)]
        assert frugal.client.get("/v2/health/live").status_code == 200
        for raw in idle:
            raw.socket.close()
