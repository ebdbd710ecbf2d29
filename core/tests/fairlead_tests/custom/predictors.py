"""A predictor that does as a test says: a real HTTP server in a thread, which keeps what it was asked."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Asked", "Predictor", "predictor"]


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request: its path, its headers (names in lower case), its body, and the port that it came from."""

    path: str
    headers: dict[str, str]
    body: bytes
    port: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass
class Predictor:
    """A predictor.

    Attributes:
        host: its ``host:port``.
        asked: what it was asked, in order.
        answer: makes status, headers and body of a request; an empty status closes the connection.
    """

    host: str
    asked: list[Asked]
    answer: Callable[[Asked], tuple[int, dict[str, str], bytes]]

    def say(self, status: int, value: Any, **headers: str) -> None:
        """Answer every request like this from now on."""
        named = {"content-type": "application/json"} | {key.replace("_", "-"): text for key, text in headers.items()}
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answer = lambda _: (status, named, body)


@contextlib.contextmanager
def predictor() -> Iterator[Predictor]:
    """Run a predictor that answers V1 with the instances it was sent."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            asked = Asked(self.path, headers, body, self.client_address[1])
            made.asked.append(asked)
            status, answered, content = made.answer(asked)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            return

    def echo(asked: Asked) -> tuple[int, dict[str, str], bytes]:
        body = json.dumps({"predictions": asked.json.get("instances")}).encode()
        return 200, {"content-type": "application/json"}, body

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Predictor(f"127.0.0.1:{server.server_address[1]}", [], echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
