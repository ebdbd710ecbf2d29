"""A load that counts every outcome: clients that keep their connections, and clients that make one for each request.

No client tries anything twice, and what is not an answer is counted by what was raised.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

__all__ = ["Counted", "load"]


class Counted:
    """What clients have seen so far.

    Attributes:
        outcomes: how often each status, and each exception, was seen.
        answers: how often each answer was seen.
        refused: connections that nobody accepted; only a server that ends may cause them.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.refused = 0
        self._lock = threading.Lock()

    @property
    def answered(self) -> int:
        return self.outcomes["200"]

    def count(self, outcome: str, answer: str = "") -> None:
        with self._lock:
            self.outcomes[outcome] += 1
            self.answers[answer] += outcome == "200"

    def refuse(self) -> None:
        with self._lock:
            self.refused += 1


@contextlib.contextmanager
def load(port: int, path: str, body: str, *, kept: int = 4, fresh: int = 4) -> Iterator[Counted]:
    """Ask one server all the while, until the block ends or the server refuses connections.

    Args:
        port: the server's port on this machine's loopback.
        path: the route.
        body: what is asked.
        kept: clients that keep their connection as long as the server does.
        fresh: clients that make a connection for each request.
    """
    counted = Counted()
    stop = threading.Event()

    def client(keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            while not stop.is_set():
                if connection.sock is None:
                    try:
                        connection.connect()
                    except ConnectionRefusedError:
                        counted.refuse()
                        return
                    except OSError as error:
                        counted.count(type(error).__name__)
                        continue
                ask(connection)
                if not keeps:
                    connection.close()

    def ask(connection: http.client.HTTPConnection) -> None:
        try:
            connection.request("POST", path, body, {"content-type": "application/json"})
            response = connection.getresponse()  # closes the connection when the answer says so
            counted.count(str(response.status), response.read().decode())
        except (OSError, http.client.HTTPException) as error:
            counted.count(type(error).__name__)
            connection.close()

    with ThreadPoolExecutor(kept + fresh) as pool:
        clients = [pool.submit(client, number < kept) for number in range(kept + fresh)]
        try:
            yield counted
        finally:
            stop.set()
        for each in clients:
            each.result(60)
