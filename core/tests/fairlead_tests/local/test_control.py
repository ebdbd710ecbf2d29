"""The socket by which commands ask a platform: what it answers, to whom, and what nonsense does to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from fairlead import errors
from fairlead.local import client, control
from fairlead.local.control import Control
from fairlead.local.folder import Folder
from fairlead_tests.local.homes import home


@pytest.fixture
def folder() -> Iterator[Folder]:
    with home() as environ:
        made = Folder(environ=environ)
        made.acquire()
        yield made
        made.release()


def _refuse(_: Mapping[str, Any]) -> None:
    raise errors.ConfigurationError("That is wrong.", remedy="Do this.")


def _fail(_: Mapping[str, Any]) -> None:
    raise ZeroDivisionError("nothing")


COMMANDS: Mapping[str, control.Command] = {
    "echo": lambda request: request.get("text"),
    "refuse": _refuse,
    "fail": _fail,
    "much": lambda _: "x" * client.MOST_BYTES,
    "long": lambda _: "x" * 5_000_000,
}


@contextlib.asynccontextmanager
async def listening(folder: Folder) -> AsyncIterator[Control]:
    made = Control(folder.control, COMMANDS)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def asked(folder: Folder, command: str, **arguments: Any) -> Any:
    """What a command is answered by a platform that runs for it alone."""

    async def live() -> Any:
        async with listening(folder):
            return await asyncio.to_thread(client.ask, folder, command, **arguments)

    return asyncio.run(live())


def told(folder: Folder, *sent: bytes) -> list[Any]:
    """The answers to bytes as they are, until the platform closes the connection or each was answered."""

    def tell() -> list[Any]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(os.fspath(folder.control))
            with sock.makefile("rb") as file:
                answers = []
                for each in sent:
                    sock.sendall(each)
                    answers.append(json.loads(file.readline() or b"null"))
                return answers

    async def live() -> list[Any]:
        async with listening(folder):
            return await asyncio.to_thread(tell)

    return asyncio.run(live())


def test_a_command_is_answered(folder: Folder) -> None:
    assert asked(folder, "echo", text="grüße\n") == "grüße\n"


def test_a_long_answer_comes_whole(folder: Folder) -> None:
    assert len(asked(folder, "long")) == 5_000_000


def test_an_answer_that_is_too_long_is_an_error(folder: Folder) -> None:
    with pytest.raises(errors.PlatformError, match="more to tell than an answer may hold"):
        asked(folder, "much")


def test_a_refusal_comes_with_its_remedy(folder: Folder) -> None:
    with pytest.raises(errors.PlatformError) as refused:
        asked(folder, "refuse")
    assert (refused.value.reason, refused.value.remedy) == ("That is wrong.", "Do this.")


def test_a_command_that_fails_is_logged_and_does_not_end_the_platform(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> Any:
        async with listening(folder):
            with pytest.raises(errors.PlatformError, match="ZeroDivisionError: nothing"):
                await asyncio.to_thread(client.ask, folder, "fail")
            return await asyncio.to_thread(client.ask, folder, "echo", text="there")

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(live()) == "there"
    assert "The command fail failed." in caplog.text


def test_an_unknown_command_lists_those_there_are(folder: Folder) -> None:
    with pytest.raises(errors.PlatformError, match=r"no command 'shutdown'\. The commands are echo, refuse"):
        asked(folder, "shutdown")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\n", "This is no JSON."),
        (b"GET / HTTP/1.1\r\n", "This is no JSON."),
        (b"\xff\xfe\x00\n", "This is no JSON."),
        (b"[" * 10_000 + b"\n", "This is no JSON."),
        (b"[]\n", "This is no object with a command."),
        (b"null\n", "This is no object with a command."),
        (b'{"version": 1, "command": ["echo"]}\n', "This is no object with a command."),
        (b'{"command": "echo"}\n', "The platform speaks version 1 of its language, and not None."),
        (b'{"version": 2, "command": "echo"}\n', "The platform speaks version 1 of its language, and not 2."),
    ],
)
def test_nonsense_is_answered_with_an_error_and_the_next_request_as_usual(
    folder: Folder, sent: bytes, reason: str
) -> None:
    good = b'{"version": 1, "command": "echo", "text": 1}\n'
    wrong, right = told(folder, sent, good)
    assert wrong["error"]["reason"] == reason
    assert right == {"version": 1, "result": 1}


def test_a_request_that_is_too_long_is_refused_and_the_connection_closed(folder: Folder) -> None:
    (answer,) = told(folder, b"x" * (64 * 1024 + 100))
    assert answer["error"]["reason"] == "The request has more than 65536 bytes."


def test_clients_that_say_nothing_keep_nobody_from_asking(folder: Folder) -> None:
    async def live() -> Any:
        async with listening(folder):
            quiet = [await asyncio.open_unix_connection(folder.control) for _ in range(5)]
            answers = await asyncio.gather(
                *(asyncio.to_thread(client.ask, folder, "echo", text=number) for number in range(8))
            )
            for _, writer in quiet:
                writer.close()
            return answers

    assert asyncio.run(live()) == list(range(8))


def test_clients_that_say_nothing_are_let_go(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_PATIENCE", 0.01)

    async def live() -> bytes:
        async with listening(folder):
            reader, writer = await asyncio.open_unix_connection(folder.control)
            received = await reader.read()
            writer.close()
            return received

    assert asyncio.run(live()) == b""


def test_more_clients_than_there_is_room_for_are_told_so(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_MOST_CLIENTS", 1)

    async def live() -> None:
        async with listening(folder):
            reader, writer = await asyncio.open_unix_connection(folder.control)
            writer.write(b'{"version": 1, "command": "echo"}\n')
            await reader.readline()
            with pytest.raises(errors.PlatformError, match="Too many commands ask at once"):
                await asyncio.to_thread(client.ask, folder, "echo")
            writer.close()

    asyncio.run(live())


def test_the_socket_is_this_users_alone(folder: Folder) -> None:
    async def live() -> int:
        async with listening(folder):
            return stat.S_IMODE(folder.control.stat().st_mode)

    assert asyncio.run(live()) == 0o600
    assert not folder.control.exists()


def test_a_socket_that_a_killed_platform_left_is_replaced(folder: Folder) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(folder.control))
    assert asked(folder, "echo", text=1) == 1


def test_a_link_in_place_of_the_socket_is_replaced_and_not_followed(folder: Folder) -> None:
    precious = folder.state / "precious"
    precious.write_text("mine")
    folder.control.symlink_to(precious)
    assert asked(folder, "echo", text=1) == 1
    assert precious.read_text() == "mine"


def test_without_a_platform_the_error_says_how_to_start_one() -> None:
    with home() as environ, pytest.raises(errors.PlatformNotRunning) as missing:
        client.ask(Folder("edge", environ=environ), "views")
    assert str(missing.value) == "No platform named edge runs. Start one with: fairlead up FILE --name edge"


def test_a_socket_that_nobody_listens_on_is_no_platform(folder: Folder) -> None:
    folder.release()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(folder.control))
    with pytest.raises(errors.PlatformNotRunning):
        client.ask(folder, "views")


def test_a_platform_that_starts_is_told_apart_from_none(folder: Folder) -> None:
    with pytest.raises(errors.PlatformError, match=f"process {os.getpid()}, starting.* cannot be asked") as error:
        client.ask(folder, "views")
    assert not isinstance(error.value, errors.PlatformNotRunning)


@pytest.mark.parametrize("answer", [b"", b"{}\n", b"nonsense\n", b'{"version": 7, "result": 1}\n', b'{"version": 1'])
def test_an_answer_that_cannot_be_understood_is_an_error(folder: Folder, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(folder.control))
        server.listen()

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                sock.recv(1000)
                sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(errors.PlatformError, match="gave no answer that could be understood"):
            client.ask(folder, "views")
        thread.join()


def test_a_platform_that_does_not_answer_is_an_error_in_time(folder: Folder) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(folder.control))
        server.listen()
        with pytest.raises(errors.PlatformError, match=r"has not answered within 0\.05 seconds"):
            client.ask(folder, "views", timeout=0.05)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a socket away")
def test_a_socket_of_another_user_is_not_asked(folder: Folder) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(folder.control))
        server.listen()
        os.chown(folder.control, 12345, 12345)
        with pytest.raises(errors.PlatformError, match="belongs to another user"):
            client.ask(folder, "views")
