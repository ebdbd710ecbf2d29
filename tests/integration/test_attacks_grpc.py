"""Hostile gRPC clients of a running server: each is refused or cut off, others are served, memory stays flat."""

from __future__ import annotations

import contextlib
import random
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.protocol._pb import messages
from fairlead_tests.waiting import eventually
from integration import frames
from integration.frames import Connection, Kind
from integration.processes import ServerProcess, served

CODE = grpc.StatusCode
MIB = 1024 * 1024
CAP = 8 * MIB
FLAT = 64 * MIB
PATIENCE = 30.0
MODEL = """
import ctypes
import time
import numpy as np
from fairlead import CustomModel, Datatype, InferRequest, InferResponse, Tensor

class Echo(CustomModel):
    def predict(self, request: InferRequest) -> InferResponse:
        outputs = request.inputs
        if "trim" in request.parameters:
            ctypes.CDLL(None).malloc_trim(0)
        if "seconds" in request.parameters:
            time.sleep(request.parameters["seconds"])
        if "mebibytes" in request.parameters:
            zeros = np.zeros((request.parameters["mebibytes"], 1 << 20), np.uint8)
            outputs = [Tensor("x", zeros, Datatype.UINT8)]
        return InferResponse(model_name="", outputs=outputs)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    model = tmp_path_factory.mktemp("model") / "echo.py"
    model.write_text(MODEL)
    limits = ["--header-timeout", "2", "--body-timeout", "2"]
    limits += ["--grpc-max-receive-message-length", str(CAP)]
    with served(model, limits) as running:
        asked(running, request(bytes(4 * MIB)))  # what a first request allocates
        yield running


@pytest.fixture(autouse=True)
def the_server_goes_on_and_its_memory_stays_flat(server: ServerProcess) -> Iterator[None]:
    before = held(server)
    with others_are_served(server):
        yield
    assert server.process.poll() is None
    assert server.client.get("/v2/health/ready").status_code == 200
    eventually(lambda: held(server) - before < FLAT)


def held(server: ServerProcess) -> int:
    """Bytes that the server holds, without those that the C library keeps for the next to ask for some."""
    assert asked(server, request(trim=1)) is CODE.OK
    return server.memory()


@contextlib.contextmanager
def others_are_served(server: ServerProcess) -> Iterator[None]:
    """Ask again and again, as a client that has nothing to do with what happens meanwhile."""
    end = threading.Event()
    outcomes: list[grpc.StatusCode] = []

    def ask() -> None:
        with channel_to(server) as channel:
            while not outcomes or not end.wait(0.01):
                outcomes.append(asked(server, request(), channel))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
    assert set(outcomes) == {CODE.OK}


@contextlib.contextmanager
def peak(server: ServerProcess, most: int = FLAT) -> Iterator[None]:
    """See that the server's memory does not grow by more than this, not even for a moment."""
    process = Path(f"/proc/{server.process.pid}")
    before = held(server)
    (process / "clear_refs").write_text("5")  # from here on the peak is counted anew: see proc(5)
    yield
    highest = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM"))
    assert int(highest.split()[1]) * 1024 - before < most


def request(content: bytes = b"12", **parameters: float) -> bytes:
    made = messages.ModelInferRequest(model_name="echo")
    made.inputs.add(name="x", datatype="UINT8", shape=[len(content)])
    made.raw_input_contents.append(content)
    for name, value in parameters.items():
        if isinstance(value, int):
            made.parameters[name].int64_param = value
        else:
            made.parameters[name].double_param = value
    found: bytes = made.SerializeToString()
    return found


def channel_to(server: ServerProcess) -> grpc.Channel:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.insecure_channel(server.grpc_address, options=options)


def asked(
    server: ServerProcess, body: bytes, channel: grpc.Channel | None = None, path: str = frames.INFER, **options: Any
) -> grpc.StatusCode:
    """How a call ended."""
    options.setdefault("timeout", PATIENCE)
    with channel_to(server) if channel is None else contextlib.nullcontext(channel) as chosen:
        method: Any = chosen.unary_unary(path)
        try:
            method(body, **options)
        except grpc.RpcError as error:
            failed: Any = error  # it is the call as well, which the types do not say
            assert failed.details()
            code: grpc.StatusCode = failed.code()
            return code
    return CODE.OK


@pytest.fixture
def raw(server: ServerProcess) -> Iterator[Connection]:
    with Connection(server.grpc_address) as connection:
        yield connection


# -- how much -------------------------------------------------------------------------------------------


def test_a_message_over_the_cap_is_refused(server: ServerProcess) -> None:
    with peak(server):
        assert asked(server, request(bytes(64 * MIB))) is CODE.RESOURCE_EXHAUSTED


def test_a_message_that_says_it_is_over_the_cap_is_refused_before_it_comes(raw: Connection) -> None:
    raw.send(frames.call(1), frames.data(1, frames.message(b"", length=2**32 - 1)))
    received = b""
    for _, stream, payload in raw.frames():
        received += payload
        if stream == 1 and b"larger than max" in received:
            return
    raise AssertionError(received)


def test_a_decompression_bomb_is_not_unpacked(server: ServerProcess) -> None:
    with peak(server):
        bomb = bytes(512 * MIB)
        assert asked(server, bomb, compression=grpc.Compression.Gzip) is CODE.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "metadata",
    [(("x-long", "x" * MIB),), tuple((f"x-{number}", "x" * 100) for number in range(10_000))],
    ids=["one of 1 MB", "ten thousand"],
)
def test_metadata_over_the_limit_is_refused(server: ServerProcess, metadata: tuple[tuple[str, str], ...]) -> None:
    assert asked(server, request(), metadata=metadata) in (CODE.RESOURCE_EXHAUSTED, CODE.UNAVAILABLE)


# -- what a message can say -----------------------------------------------------------------------------


def tensor(*, raw: list[bytes] | None = None, name: str = "x", count: int = 1, **fields: Any) -> bytes:
    made = messages.ModelInferRequest(model_name="echo")
    made.raw_input_contents.extend(raw or [])
    contents = {key: fields.pop(key) for key in list(fields) if key.endswith("_contents")}
    for _ in range(count):
        added = made.inputs.add(**{"name": name, "datatype": "FP32", "shape": [2]} | fields)
        for key, values in contents.items():
            getattr(added.contents, key).extend(values)
    found: bytes = made.SerializeToString()
    return found


EIGHT = bytes(8)
LIES = {
    "too few elements": tensor(fp32_contents=[1]),
    "too many elements": tensor(fp32_contents=[1, 2, 3]),
    "too few bytes": tensor(raw=[bytes(4)]),
    "too many bytes": tensor(raw=[bytes(12)]),
    "a negative dimension": tensor(raw=[EIGHT], shape=[-2]),
    "two negative dimensions": tensor(raw=[EIGHT], shape=[-1, -2]),
    "a product that overflows to 0": tensor(raw=[b""], shape=[2**32, 2**32]),
    "a product that overflows to 2": tensor(raw=[EIGHT], shape=[2**63 - 1, 2, 2**63 - 1]),
    "zero and a product that overflows": tensor(raw=[b""], shape=[0, 2**62, 2**62]),
    "more than there is memory": tensor(raw=[EIGHT], shape=[2**40]),
    "ten thousand dimensions": tensor(raw=[EIGHT], shape=[1] * 10_000 + [2]),
    "an unknown datatype": tensor(raw=[EIGHT], datatype="FP31"),
    "no datatype": tensor(raw=[EIGHT], datatype=""),
    "halves as typed contents": tensor(fp32_contents=[1, 2], datatype="FP16"),
    "bfloats that are too many": tensor(raw=[EIGHT], datatype="BF16", shape=[2**30]),
    "contents of another field": tensor(int_contents=[1, 2]),
    "contents of two fields": tensor(fp32_contents=[1, 2], int_contents=[1, 2]),
    "elements out of range": tensor(int_contents=[1, 300], datatype="INT8"),
    "a boolean of 2": tensor(raw=[b"\0\2"], datatype="BOOL"),
    "raw and typed contents": tensor(raw=[EIGHT], fp32_contents=[1, 2]),
    "fewer raw contents than inputs": tensor(raw=[EIGHT], count=2),
    "more raw contents than inputs": tensor(raw=[EIGHT] * 1000),
    "raw contents of nothing": tensor(raw=[EIGHT], count=0),
    "no inputs": tensor(count=0),
    "two inputs of one name": tensor(raw=[EIGHT, EIGHT], count=2),
    "a text of 4 GiB": tensor(raw=[struct.pack("<I", 2**32 - 1) + bytes(4)], datatype="BYTES", shape=[1]),
    "a text that is cut off": tensor(raw=[struct.pack("<IH", 3, 0)], datatype="BYTES", shape=[1]),
    "more texts than bytes": tensor(raw=[EIGHT], datatype="BYTES", shape=[2**40]),
    "fewer texts than bytes": tensor(raw=[EIGHT], datatype="BYTES", shape=[1]),
}


@pytest.mark.parametrize("body", LIES.values(), ids=LIES)
def test_tensors_that_lie_are_refused(server: ServerProcess, body: bytes) -> None:
    assert asked(server, body) is CODE.INVALID_ARGUMENT


def test_an_empty_tensor_is_no_attack(server: ServerProcess) -> None:
    assert asked(server, tensor(shape=[0, 4])) is CODE.OK


def field(number: int, kind: int, rest: bytes = b"") -> bytes:
    """A field of protobuf's wire format; of kind 2, with its length."""
    return _varint(number << 3 | kind) + (_varint(len(rest)) if kind == 2 else b"") + rest


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 127:
        octets.append(number & 127 | 128)
        number >>= 7
    return bytes((*octets, number))


ECHO = field(1, 2, b"echo")
VALID = tensor(raw=[EIGHT])
MALFORMED = {
    "nothing": b"",
    "zeros": bytes(1000),
    "noise": random.Random(1).randbytes(10_000),
    "JSON": b'{"inputs": []}',
    "truncated": VALID[:-1],
    "truncated, and large": tensor(raw=[bytes(MIB)])[:-1],
    "a length without end": ECHO + b"\x2a" + b"\xff" * 20,
    "a length of 2^63": ECHO + b"\x2a" + _varint(2**63) + b"x",
    "a name that is a number": field(1, 0, b"\1"),
    "inputs that are numbers": ECHO + field(5, 0, b"\1"),
    "a shape that is doubles": ECHO + field(5, 2, field(1, 2, b"x") + field(3, 1, EIGHT)),
    "field 0": VALID + b"\0\0",
    "wire type 7": VALID + b"\x0f",
    "groups without end": VALID + field(100, 3) * 100_000,
    "groups within groups": VALID + field(100, 3) * 100_000 + field(100, 4) * 100_000,
    "inputs within inputs": ECHO + field(5, 2, field(100, 3) * 5000 + field(100, 4) * 5000),
    "a group that ends another": VALID + field(100, 3) + field(101, 4),
    "a model's name that is not UTF-8": field(1, 2, b"\xff\xfe") + VALID,
    "an input's name that is not UTF-8": ECHO + field(5, 2, field(1, 2, b"\xed\xa0\x80")),
    "a parameter's name that is not UTF-8": VALID + field(4, 2, field(1, 2, b"\xc0\x80")),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_message_is_refused(server: ServerProcess, body: bytes) -> None:
    assert asked(server, body) in (CODE.INVALID_ARGUMENT, CODE.NOT_FOUND)


REPEATED = {
    "inputs": field(5, 2),
    "raw contents": field(7, 2),
    "outputs": field(6, 2),
    "parameters": field(4, 2, field(1, 2, b"a")),
    "unknown fields": field(100, 0, b"\1"),
}


@pytest.mark.parametrize("part", REPEATED.values(), ids=REPEATED)
def test_millions_of_parts_are_one_message(server: ServerProcess, part: bytes) -> None:
    body = VALID + part * ((CAP - 1000) // len(part))
    assert asked(server, body) in (CODE.INVALID_ARGUMENT, CODE.OK)


def test_a_shape_of_millions_of_dimensions_is_not_looked_at(server: ServerProcess) -> None:
    shape = field(3, 2, b"\x80\x02" * (CAP // 2 - 1000))
    with peak(server, 2 * FLAT):  # protobuf makes 8 bytes of 2
        body = ECHO + field(5, 2, field(1, 2, b"x") + field(2, 2, b"FP32") + shape)
        assert asked(server, body) is CODE.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ["x" * MIB, "\N{GRINNING FACE}" * MIB, "%\n" * MIB], ids=["x", "emoji", "escapes"])
def test_a_refusal_that_quotes_a_client_fits_into_its_trailers(server: ServerProcess, name: str) -> None:
    body = messages.ModelInferRequest(model_name=name).SerializeToString()
    codes = {asked(server, body) for _ in range(10)}  # of what is near its limit, a client refuses some by chance
    assert codes == {CODE.NOT_FOUND}


@pytest.mark.parametrize("name", ["ModelReady", "ModelMetadata", "RepositoryModelLoad", "RepositoryIndex"])
def test_other_methods_refuse_what_is_no_message(server: ServerProcess, name: str) -> None:
    path = f"/inference.GRPCInferenceService/{name}"
    assert asked(server, field(100, 3) * 100_000, path=path) is CODE.INVALID_ARGUMENT
    assert asked(server, bytes(CAP + 1), path=path) is CODE.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("path", ["/", "//", "/x/y", "/inference.GRPCInferenceService/", "/" + "x" * 4000])
def test_methods_that_there_are_not_are_refused(server: ServerProcess, path: str) -> None:
    assert asked(server, request(), path=path) in (CODE.UNIMPLEMENTED, CODE.INTERNAL)


# -- calls that do not end ------------------------------------------------------------------------------


def test_calls_that_are_never_closed_are_ended(server: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(server.grpc_address)) for _ in range(5)]
        for client in clients:
            client.send(*(frames.call(stream) for stream in range(1, 400, 2)))
        assert all(resets(client, 200) == 200 for client in clients)


def resets(client: Connection, count: int) -> int:
    """Wait until the server has reset so many calls."""
    found = 0
    for kind, _, _ in client.frames():
        found += kind == Kind.RST_STREAM
        if found == count:
            break
    return found


def test_clients_that_send_half_a_message_are_ended(server: ServerProcess) -> None:
    half = frames.message(bytes(60_000), length=4 * MIB)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(server.grpc_address)) for _ in range(200)]
        for client in clients:
            client.send(frames.call(1), frames.data(1, half))
        assert all(resets(client, 1) == 1 for client in clients)


def test_a_message_whose_call_is_not_closed_is_answered(raw: Connection) -> None:
    raw.send(frames.call(1), frames.data(1, frames.message(request())))
    assert Kind.DATA in {kind for kind, stream, _ in until(raw, Kind.RST_STREAM) if stream == 1}


def until(client: Connection, last: Kind) -> list[tuple[int, int, bytes]]:
    """What the server sends, up to the first frame of this type."""
    found = []
    for each in client.frames():
        found.append(each)
        if each[0] == last:
            break
    return found


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Watch", "/grpc.reflection.v1alpha.ServerReflection/x"])
def test_streams_that_stay_open_hold_up_nobody(server: ServerProcess, path: str) -> None:
    with Connection(server.grpc_address) as client:
        assert client.send(*(frames.call(stream, path) for stream in range(1, 1000, 2)))


def test_calls_that_are_given_up_while_the_model_computes_leave_nothing(server: ServerProcess) -> None:
    with channel_to(server) as channel:
        method: Any = channel.unary_unary(frames.INFER)
        for _ in range(20):
            held_up = [method.future(request(bytes(MIB), seconds=0.01, mebibytes=7), timeout=PATIENCE) for _ in "12345"]
            assert asked(server, request(), channel) is CODE.OK
            for each in held_up:
                each.cancel()


def test_connections_that_end_amid_a_message_leave_nothing(server: ServerProcess) -> None:
    for _ in range(300):
        with Connection(server.grpc_address) as client:
            client.send(frames.call(1), frames.data(1, frames.message(bytes(60_000), length=CAP - 1)))


def test_a_client_that_does_not_read_its_answers_is_cut_off(server: ServerProcess) -> None:
    question = frames.message(request(mebibytes=7))
    with Connection(server.grpc_address, frames.PREFACE + frames.settings(window=0)) as client:
        for stream in range(1, 60, 2):
            client.send(frames.call(stream), frames.data(stream, question, end=True))
        assert resets(client, 30) == 30


# -- HTTP/2 itself --------------------------------------------------------------------------------------


def test_thousands_of_calls_that_are_reset_at_once_leave_nothing(raw: Connection) -> None:
    whole = frames.message(request())
    for stream in range(1, 10_000, 2):
        octets = frames.data(stream, whole) if stream % 4 == 1 else b""
        if not raw.send(frames.call(stream) + octets + frames.reset(stream)):
            break


FLOODS = {
    "PING": frames.frame(Kind.PING, 0, 0, bytes(8)),
    "SETTINGS": frames.settings(streams=100, window=70_000),
    "WINDOW_UPDATE": frames.frame(Kind.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)),
    "PRIORITY": frames.frame(Kind.PRIORITY, 0, 3, bytes(5)),
    "unknown": frames.frame(0x42, 0, 3, bytes(500)),
    "RST_STREAM of nothing": frames.reset(1001),
    "DATA of nothing": frames.frame(Kind.DATA, 0, 0, b"x"),
    "a window that overflows": frames.frame(Kind.WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1)),
    "calls of even numbers": frames.call(2),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_frames_whose_answers_nobody_reads_is_no_load(raw: Connection, flood: bytes) -> None:
    for _ in range(100):
        if not raw.send(flood * 1000, patience=0.5):
            break


def test_a_head_without_end_is_not_kept(server: ServerProcess, raw: Connection) -> None:
    more = frames.fields(*((b"x-more", b"y" * 1000) for _ in range(8)))
    with peak(server):
        raw.send(frames.frame(Kind.HEADERS, 0, 1, frames.head()))
        for _ in range(4000):
            if not raw.send(frames.frame(Kind.CONTINUATION, 0, 1, more)):
                break


def test_a_head_of_nothing_without_end_is_cut_off(raw: Connection) -> None:
    raw.send(frames.frame(Kind.HEADERS, 0, 1, frames.head()))
    raw.send(*[frames.frame(Kind.CONTINUATION, 0, 1) * 1000] * 100)
    assert raw.is_cut_off()


def test_heads_of_megabytes_in_a_few_bytes_are_refused(raw: Connection) -> None:
    indexed = b"\x40" + frames.fields((b"x-large", b"y" * 4000))[1:]
    raw.send(frames.frame(Kind.HEADERS, frames.END_HEADERS, 1, frames.head() + indexed))
    for stream in range(3, 403, 2):
        bomb = frames.head() + b"\xbe" * 10_000  # the entry of the table that the first head has made
        raw.send(frames.frame(Kind.HEADERS, frames.END_HEADERS, stream, bomb))
    assert resets(raw, 200) == 200


NO_GRPC = {
    "HTTP/1.1": b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "TLS": b"\x16\x03\x01\x02\x00" + bytes(600),
    "zeros": bytes(100_000),
    "noise": random.Random(2).randbytes(MIB),
    "noise after the preface": frames.PREFACE + random.Random(3).randbytes(MIB),
    "a frame of 16 MiB": frames.PREFACE + b"\xff\xff\xff\0\0\0\0\0\1",
    "settings of 5 bytes": frames.PREFACE + frames.frame(Kind.SETTINGS, 0, 0, bytes(5)),
    "a bad header block": frames.PREFACE + frames.settings() + frames.frame(Kind.HEADERS, 4, 1, b"\xff" * 100),
    "half a preface": frames.PREFACE[:10],
    "nothing": b"",
}


@pytest.mark.parametrize("octets", NO_GRPC.values(), ids=NO_GRPC)
def test_what_is_not_grpc_is_cut_off(server: ServerProcess, octets: bytes) -> None:
    with Connection(server.grpc_address, octets) as client:
        assert client.is_cut_off()


def test_hundreds_of_connections_that_say_nothing_do_not_keep_others_out(server: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(server.grpc_address, b"")) for _ in range(400)]
        assert asked(server, request()) is CODE.OK
        assert all(client.is_cut_off() for client in clients)


def test_connections_up_to_the_systems_limit_leave_room_for_rest_and_for_probes(tmp_path: Path) -> None:
    model = tmp_path / "echo.py"
    model.write_text(MODEL)
    frugally = tmp_path / "python"
    frugally.write_text(f'#!/bin/sh\nulimit -n 128\nexec {sys.executable} "$@"\n')
    frugally.chmod(0o755)
    with served(model, python=str(frugally)) as frugal, contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(Connection(frugal.grpc_address))
        assert frugal.client.get("/v2/health/live").status_code == 200
        stack.close()
        eventually(lambda: asked(frugal, request()) is CODE.OK)
