"""A TCP proxy before the server, whose faults can be chosen; it notes what was asked."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import threading
from collections.abc import Callable, Iterator


@dataclasses.dataclass
class Faults:
    """What goes wrong with the next answers; all off at first."""

    always: bytes | None = None  # to give in place of the server's
    answers: list[bytes] = dataclasses.field(default_factory=list)  # to give before that, one each
    cut_at: int | None = None  # close after so many bytes of an answer to GET
    stall_at: int | None = None  # send nothing more after so many
    change: Callable[[bytes], bytes] | None = None  # change the head of an answer


class Proxy:
    """Accepts connections, and takes one request of each to the server."""

    def __init__(self, target: int) -> None:
        self.faults = Faults()
        self.requests: list[bytes] = []
        self.open = 0
        self.changed = threading.Condition()
        self._target = target
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        self._count(1)
        try:
            with contextlib.suppress(OSError), client:
                client.settimeout(30)
                self._answer(client)
        finally:
            self._count(-1)

    def _answer(self, client: socket.socket) -> None:
        request = _head(client)
        if not request:
            return
        self.requests.append(request)
        given = self.faults.answers.pop(0) if self.faults.answers else self.faults.always
        if given is not None:
            _drain(client, request)
            client.sendall(given.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.startswith(b"HEAD ") else given)
            return
        with socket.create_connection(("127.0.0.1", self._target), timeout=30) as server:
            server.sendall(re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", request)[:-2] + b"Connection: close\r\n\r\n")
            self._relay(server, client, request)

    def _relay(self, server: socket.socket, client: socket.socket, request: bytes) -> None:
        sent = 0
        head = _head(server)
        if self.faults.change is not None:
            head = self.faults.change(head)
        client.sendall(head)
        while part := server.recv(65536):
            for limit in (self.faults.cut_at, self.faults.stall_at):
                if limit is not None and request.startswith(b"GET") and sent + len(part) >= limit:
                    client.sendall(part[: limit - sent])
                    if limit == self.faults.stall_at:
                        client.settimeout(60)
                        client.recv(1)  # until the client goes away
                    return
            client.sendall(part)
            sent += len(part)

    def _count(self, step: int) -> None:
        with self.changed:
            self.open += step
            self.changed.notify_all()

    def wait_for_open(self, count: int) -> bool:
        """Wait until so many connections are open."""
        with self.changed:
            return self.changed.wait_for(lambda: self.open == count, timeout=20)

    def asked(self, method: str) -> list[bytes]:
        return [request for request in self.requests if request.startswith(method.encode() + b" ")]

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(timeout=10)


def error(status: int, code: str, **fields: str) -> bytes:
    """An answer as S3 gives it, with a text that holds what must not be shown."""
    more = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if "-" not in name)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if "-" in name)
    body = (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>secret-in-the-text</Message>{more}</Error>'
    ).encode()
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\n{lines}Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode() + body


def empty(status: int, **fields: str) -> bytes:
    """An answer without a body."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


def _drain(connection: socket.socket, request: bytes) -> None:
    """Take the body of a request: what is closed with bytes unread resets its connection."""
    found = re.search(rb"(?i)content-length: (\d+)", request)
    left = int(found[1]) if found else 0
    while left > 0 and (part := connection.recv(left)):
        left -= len(part)


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(1)
        if not part:
            return b""
        head += part
    return head


@contextlib.contextmanager
def before(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
