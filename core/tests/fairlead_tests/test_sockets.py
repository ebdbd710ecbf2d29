"""Which of several sockets on one port gets the new connections, and how one is closed without a loss."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import errors, sockets
from fairlead.cli import ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can steer connections")


@pytest.fixture
def port() -> Iterator[int]:
    with ports.hold("127.0.0.1", 0) as held:
        yield held


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as made:
        yield made


def listener(stack: contextlib.ExitStack, port: int) -> socket.socket:
    sock = stack.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(100)
    sock.setblocking(False)
    return sock


def connect(stack: contextlib.ExitStack, port: int, count: int = 50) -> None:
    for _ in range(count):
        stack.enter_context(socket.create_connection(("127.0.0.1", port)))


def accepted(stack: contextlib.ExitStack, sock: socket.socket) -> list[socket.socket]:
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(stack.enter_context(sock.accept()[0]))
    return found


def test_all_new_connections_go_to_the_one_that_is_named(stack: contextlib.ExitStack, port: int) -> None:
    old, new = listener(stack, port), listener(stack, port)
    assert sockets.steer(port, 1)
    connect(stack, port)
    assert (len(accepted(stack, old)), len(accepted(stack, new))) == (0, 50)


def test_when_another_one_is_closed_connections_are_spread_as_before(stack: contextlib.ExitStack, port: int) -> None:
    old, kept, new = (listener(stack, port) for _ in range(3))
    assert sockets.steer(port, 2)
    old.close()
    connect(stack, port, 100)
    counts = [len(accepted(stack, sock)) for sock in (kept, new)]
    assert sum(counts) == 100
    assert min(counts) > 0


def test_a_process_that_does_not_listen_there_steers_nothing(port: int) -> None:
    assert not sockets.steer(port, 0)


def test_a_copy_makes_nobody_wait_who_shares_the_queue(stack: contextlib.ExitStack, port: int) -> None:
    sock = listener(stack, port)
    inherited = stack.enter_context(socket.socket(fileno=os.dup(sock.fileno())))
    assert inherited.gettimeout() is None  # a process that takes a socket over does not know how others use it
    copy = stack.enter_context(sockets.copy_of(inherited))
    assert not os.get_blocking(sock.fileno())
    connect(stack, port, 1)
    assert len(accepted(stack, copy)) == 1


def test_connections_are_counted_until_they_are_closed(stack: contextlib.ExitStack, port: int) -> None:
    sock = listener(stack, port)
    with socket.create_connection(("127.0.0.1", port)):
        assert sockets.connections(port) == 0  # not accepted
        (mine,) = accepted(stack, sock)
        assert sockets.connections(port) == 1
        mine.close()
    assert sockets.connections(port) == 0


def test_a_port_that_is_held_can_be_listened_on_only_by_those_who_share_it(
    stack: contextlib.ExitStack, port: int
) -> None:
    listener(stack, port)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))


def test_a_port_that_is_taken_is_an_error_that_names_the_flag(stack: contextlib.ExitStack) -> None:
    taken = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
    with pytest.raises(errors.ConfigurationError, match="--grpc-port"), ports.hold("127.0.0.1", taken):
        pass


def test_who_asks_after_nobody_is_let_in_is_refused_once_the_socket_is_closed(
    stack: contextlib.ExitStack, port: int
) -> None:
    sock = listener(stack, port)
    connect(stack, port, 3)
    sockets.let_nobody_in(sock)
    late = stack.enter_context(socket.socket())
    late.setblocking(False)
    assert late.connect_ex(("127.0.0.1", port)) == errno.EINPROGRESS
    assert len(accepted(stack, sock)) == 3  # what was made before is there to be accepted
    assert select.select([], [late], [], 0.1)[1] == []  # neither made nor refused
    sock.close()
    assert select.select([], [late], [], 30)[1] == [late]
    assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_nothing_is_said_to_a_connection_that_is_there_when_a_port_is_closed(
    stack: contextlib.ExitStack, port: int
) -> None:
    sock = listener(stack, port)
    client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    (mine,) = accepted(stack, sock)
    sockets.let_nobody_in_at(port)
    sockets.close(port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    mine.sendall(b"still here")
    assert client.recv(20) == b"still here"


def test_looking_for_sockets_leaves_no_descriptor_open(stack: contextlib.ExitStack, port: int) -> None:
    listener(stack, port)
    before = opened()
    for _ in range(10):
        sockets.connections(port)
    assert opened() - before == set()


def opened() -> set[tuple[str, Path]]:
    """The descriptors of this process; threads of earlier tests may close some of theirs at any moment."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add((descriptor.name, descriptor.readlink()))
    return found
