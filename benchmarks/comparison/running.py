"""The servers' processes: started on their core, asked until they answer, and ended with all that they started."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from comparison import calls, machine
from comparison.calls import Call, WrongAnswer
from comparison.catalogue import Ports, Server

__all__ = ["Running", "Silent", "ask", "call", "running"]

PATIENCE: Final = 90.0
_HERE: Final = Path(__file__).resolve().parents[1]
_NOT_PASSED: Final = ("FAIRLEAD_", "KSERVE_", "MLSERVER_", "MOSEC_", "PYTHONDONTWRITEBYTECODE")
"""Variables that would change a server's settings, or make it compile its modules at every start."""
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Silent(Exception):
    """A server did not answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        server: what it is.
        ports: where it listens.
        session: the number of the session of its processes.
        started: seconds from the start of its process to its first answer.
    """

    server: Server
    ports: Ports
    session: int
    started: float


def call(server: Server, name: str) -> Call:
    """A call as this server wants it."""
    found = calls.CALLS[name]()
    return dataclasses.replace(found, path=server.paths.get(name, found.path))


@contextlib.contextmanager
def running(server: Server, folder: Path, models: Sequence[str], core: int, products: int = 1) -> Iterator[Running]:
    """Run a server until the block ends, and wait until it gives the right answer.

    Args:
        server: what to run.
        folder: where its models are.
        models: the names of the models to serve.
        core: where to run it.
        products: how many matrix products a row of the model ``cost`` takes.

    Raises:
        Silent: it ended, or did not answer in time.
    """
    ports = Ports(*_free_ports(3))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED)}
    path = os.pathsep.join(filter(None, (str(_HERE), environ.get("PYTHONPATH"))))
    environ |= {**_ONE_THREAD, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "COMPARE_FOLDER": str(folder)}
    environ |= {"COMPARE_MODELS": ",".join(models), "COMPARE_PRODUCTS": str(products)}
    environ |= {name: ports.fill(value) for name, value in server.environ.items()}
    command = server.command(server.python(), folder, ports)
    first = call(server, _first(server, models))
    began = time.perf_counter()
    with machine.on_core(core):
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        machine.prioritise(process.pid)
        _await_answer(server, process, ports.http, first)
        yield Running(server, ports, process.pid, time.perf_counter() - began)
    finally:
        _end(process)


def _first(server: Server, models: Sequence[str]) -> str:
    if "iris" in models:
        return "v2" if "v1" in server.lacks else "v1"
    return "cost-v2" if "cost-v1" in server.lacks else "cost-v1"


def _await_answer(server: Server, process: subprocess.Popen[bytes], port: int, first: Call) -> None:
    end = time.monotonic() + PATIENCE
    problem: Exception = Silent("nothing")
    while time.monotonic() < end:
        try:
            ask(port, first)
        except (OSError, http.client.HTTPException, WrongAnswer) as error:
            problem = error
        else:
            return
        if process.poll() is not None:
            command = " ".join(map(str, process.args))  # type: ignore[arg-type]  # a list of texts and paths
            raise Silent(f"{server.name} ended with status {process.returncode} before it answered: {command}")
        time.sleep(0.005)
    raise Silent(f"{server.name} gave no right answer within {PATIENCE:.0f} seconds: {problem}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and all that it started: in order, and by force when it takes too long or is interrupted."""
    try:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        process.wait(20)
    except subprocess.TimeoutExpired:
        pass
    finally:
        for pid in machine.processes(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def ask(port: int, asked: Call) -> bytes:
    """Send a call once, and check its answer; returns the answer's body.

    Raises:
        WrongAnswer: it is an error, or has other values.
        OSError: there is none.
    """
    if asked.is_grpc:
        return _ask_grpc(port, asked)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", asked.path, asked.body, dict(asked.headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise WrongAnswer(f"HTTP {response.status}: {body[:200].decode(errors='replace')}")
    asked.check(body, {name.lower(): value for name, value in response.getheaders()})
    return body


def _ask_grpc(port: int, asked: Call) -> bytes:
    import grpc  # only the workloads of gRPC need it

    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
    try:
        infer: Any = channel.unary_unary(calls.GRPC_PATH, request_serializer=None, response_deserializer=None)
        body: bytes = infer(asked.body, timeout=10)
    except grpc.RpcError as error:
        failed: Any = error  # grpcio's types do not say that it is the call as well
        raise WrongAnswer(f"gRPC {failed.code().name}: {failed.details()}") from error
    finally:
        channel.close()
    asked.check(body, {})
    return body


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
