"""The platform under attack: what clients, manifests, replicas and files of any shape do to it, and do not do."""

from __future__ import annotations

import collections
import copy
import http.client
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fairlead_tests.waiting import eventually
from integration.platforms import Platform, platform
from integration.servers import custom, pulse

ZERO = {"serving.kserve.io/autoscalerClass": "pulse"}

MIRROR = '''
"""Answers with what it was asked, and notes the number of each request; deaf while its folder says so."""
import http.server
import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if "x-number" in self.headers:
            with (HERE / "numbers").open("a") as file:
                file.write(self.headers["x-number"] + "\\n")
        if "slow" in self.path:
            time.sleep(0.5)
        body = json.dumps({"name": sys.argv[2], "path": self.path, "headers": dict(self.headers)}).encode()
        ready = "broken" not in self.path and not (self.path == "/" and (HERE / "unready").exists())
        self.send_response(200 if ready else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


(HERE / "pid").write_text(str(os.getpid()))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever(0.02)
'''


def program(name: str, folder: Path, text: str, *arguments: str, **predictor: Any) -> str:
    """The manifest of a service whose predictor is a program of Python's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.py").write_text(text)
    manifest = json.loads(custom(name, folder, **predictor))
    (container,) = manifest["spec"]["predictor"]["containers"]
    container["command"] = [sys.executable, str(folder / "program.py"), *arguments]
    return json.dumps(manifest)


def mirror(name: str, folder: Path, label: str = "", **predictor: Any) -> str:
    return program(name, folder, MIRROR, str(folder), label or name, **predictor)


def raw(running: Platform, head: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send the bytes of a request on a connection of its own; the status and the body of its answer."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as sock:
        lines = f"{head}\r\nconnection: close\r\n\r\n".replace("\n", "\r\n").replace("\r\r", "\r")
        sock.sendall(lines.encode("latin-1") + body)
        with http.client.HTTPResponse(sock) as answer:
            answer.begin()
            return answer.status, answer.read()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacks")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Platform]:
    manifests = folder / "manifests"
    manifests.mkdir()
    (manifests / "a.yaml").write_text(mirror("a", folder / "a"))
    (manifests / "b.yaml").write_text(mirror("b", folder / "b"))
    (manifests / "zero.yaml").write_text(mirror("zero", folder / "zero", annotations=ZERO, minReplicas=0))
    with platform(manifests, environ=dict(pulse(folder / "plugins"))) as made:
        for name in ("a", "b", "zero"):
            made.wait_ready(name)
        yield made


def test_no_client_says_where_its_request_goes_or_how_often_or_how_long(running: Platform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as secret:
        secret.settimeout(0.2)
        there = f"127.0.0.1:{secret.getsockname()[1]}"
        spoof = (
            f"x-envoy-original-dst-host: {there}\nX-Envoy-Original-Dst-Host: {there}\n"
            "x-fairlead-way: public/b-default.localhost\nx-fairlead-way: internal/default/b\n"
            "x-envoy-upstream-rq-timeout-ms: 1\nx-envoy-upstream-rq-per-try-timeout-ms: 1\n"
            "x-envoy-retry-on: 5xx,gateway-error\nx-envoy-max-retries: 9"
        )
        for name in ("a", "zero"):
            number = f"once-{name}"
            status, body = raw(running, f"GET /serving/default/{name}/slow HTTP/1.1\nhost: {there}\n{spoof}")
            assert (status, json.loads(body)["name"]) == (200, name)
            told = {key.lower() for key in json.loads(body)["headers"]}
            assert not told & {"x-envoy-retry-on", "x-envoy-max-retries", "x-fairlead-way"}
            asked = f"GET /serving/default/{name}/broken HTTP/1.1\nhost: {there}\nx-number: {number}\n{spoof}"
            assert raw(running, asked)[0] == 503
            noted = (running.folder.parent / name / "numbers").read_text().split()
            assert noted.count(number) == 1
        assert raw(running, f"CONNECT {there} HTTP/1.1\nhost: {there}")[0] == 404
        assert raw(running, f"GET http://{there}/ HTTP/1.1\nhost: a-default.localhost")[0] == 404
        with pytest.raises(TimeoutError):
            secret.accept()


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/serving/default/a/../b/x", "b"),
        ("/serving/default/a/%2e%2e/b/x", "b"),
        ("/serving/default/a/..%2fb/x", "a"),
        ("/serving/default/a?x", "a"),
        ("/serving/default/ab", 404),
        ("/serving/default/a%2fx", 404),
        ("//serving/default/a/x", 404),
        ("/serving/default/a/x%00y", 400),
        ("/serving/default/a/x#y", 400),
        ("/serving/default/a/" + "x" * 70_000, 431),
    ],
)
def test_a_path_leads_to_one_service_or_is_refused_in_words(running: Platform, target: str, answer: str | int) -> None:
    status, body = raw(running, f"GET {target} HTTP/1.1\nhost: x")
    if isinstance(answer, str):
        assert (status, json.loads(body)["name"]) == (200, answer)
    else:
        assert (status, bool(json.loads(body)["error"])) == (answer, True)


@pytest.mark.parametrize(
    "lines",
    [
        "host: x\ncontent-length: 4\ntransfer-encoding: chunked",
        "host: x\ncontent-length: 4\ncontent-length: 5",
        "host: x\ntransfer-encoding: chunked, identity",
        "host: x\nx-envoy-original-dst-host : 127.0.0.1:1",
        "host: a-default.localhost, b-default.localhost",
        "x-no-host: 1",
    ],
)
def test_a_request_that_two_servers_could_read_differently_is_refused(running: Platform, lines: str) -> None:
    smuggled = b"0\r\n\r\nGET /serving/default/b/x HTTP/1.1\r\nhost: x\r\nx-number: smuggled\r\n\r\n"
    status, body = raw(running, f"POST /serving/default/a/x HTTP/1.1\n{lines}", smuggled)
    assert status in {400, 501}
    assert json.loads(body)["error"]
    numbers = running.folder.parent / "b" / "numbers"
    assert not numbers.exists() or "smuggled" not in numbers.read_text()


def test_a_thousand_requests_to_what_is_at_zero_are_all_answered(running: Platform) -> None:
    eventually(lambda: running.replicas("zero") == [])
    with ThreadPoolExecutor(250) as pool:
        asked = [pool.submit(raw, running, "GET /serving/default/zero/x HTTP/1.1\nhost: x") for _ in range(1_000)]
        outcomes = collections.Counter(each.result(60)[0] for each in asked)
    assert outcomes == {200: 1_000}


def test_clients_that_send_no_more_than_half_a_request_keep_nobody_out(running: Platform) -> None:
    slow = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(300)]
    try:
        for each in slow:
            each.sendall(b"POST /serving/default/a/x HTTP/1.1\r\nhost: x\r\ncontent-le")
        assert running.ask("a").status_code == 200
    finally:
        for each in slow:
            each.close()


def test_a_number_as_large_as_any_harms_nobody(running: Platform, tmp_path: Path) -> None:
    most = 2**63 - 1
    text = custom("vast", tmp_path / "vast", timeout=most, containerConcurrency=most)
    running.declare(text, "vast.yaml")
    running.wait_ready("vast")
    assert running.ask("vast").status_code == 200
    (running.folder / "vast.yaml").unlink()


def test_replicas_without_number_are_bounded_and_others_go_on(running: Platform, tmp_path: Path) -> None:
    broken = program("swarm", tmp_path / "swarm", "raise SystemExit('no')", minReplicas=10**6)
    running.declare(broken, "swarm.yaml")
    eventually(lambda: len(running.replicas("swarm")) == 110)
    assert "110 of 1000000 replicas" in json.dumps(running.view("swarm"))
    assert running.ask("a").status_code == 200
    (running.folder / "swarm.yaml").unlink()
    eventually(lambda: running.view("swarm") == {})


def test_what_a_replica_writes_does_not_reach_a_terminal_as_commands(running: Platform, tmp_path: Path) -> None:
    text = "raise SystemExit('\\x1b[2J\\x1b]0;title\\x07\\x9b2J\\u202egone')"
    running.declare(program("loud", tmp_path / "loud", text), "loud.yaml")
    eventually(lambda: running.condition("loud", "PredictorReady").get("status") == "False")
    eventually(lambda: any("default/loud" in line and "gone" in line for line in running.lines))
    shown = [*running.lines, running.run("describe", "loud"), running.run("status")]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", "".join(shown))
    (running.folder / "loud.yaml").unlink()


def test_no_service_takes_the_host_of_another_ones_component(running: Platform, tmp_path: Path) -> None:
    running.declare(custom("a-predictor", tmp_path / "taken"), "taken.yaml")
    eventually(
        lambda: any("a-predictor-default.localhost" in line and "also that of" in line for line in running.lines)
    )
    status, body = raw(running, "GET /x HTTP/1.1\nhost: a-predictor-default.localhost")
    assert (status, json.loads(body)["name"]) == (200, "a")
    (running.folder / "taken.yaml").unlink()


def test_a_folder_with_pipes_devices_and_loops_in_it_is_read(running: Platform, tmp_path: Path) -> None:
    os.mkfifo(running.folder / "pipe.yaml")
    (running.folder / "loop.yaml").symlink_to("loop.yaml")
    (running.folder / "zero-device.yaml").symlink_to("/dev/zero")
    (running.folder / "inside.yaml").mkdir()
    running.declare(custom("late", tmp_path / "late"), "late.yaml")
    running.wait_ready("late")
    for name in ("pipe", "loop", "zero-device", "late"):
        (running.folder / f"{name}.yaml").unlink()
    (running.folder / "inside.yaml").rmdir()


def asleep(running: Platform, name: str, folder: Path) -> None:
    """Have a service at zero whose replicas start, and do not become ready."""
    running.declare(mirror(name, folder, "first", annotations=ZERO, minReplicas=0), f"{name}.yaml")
    running.wait_ready(name)
    eventually(lambda: not Path("/proc", (folder / "pid").read_text()).exists())
    (folder / "unready").touch()


def test_a_request_that_waits_for_a_revision_is_answered_by_the_next(running: Platform, tmp_path: Path) -> None:
    asleep(running, "held", tmp_path / "held")
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(running.ask, "held") for _ in range(5)]
        eventually(lambda: len(running.replicas("held")) == 1)
        text = mirror("held", tmp_path / "after", "second", annotations=ZERO, minReplicas=0)
        running.declare(text, "held.yaml")
        answers = [each.result(60) for each in asked]
    assert [each.status_code for each in answers] == [200] * 5, [each.text for each in answers]
    assert {each.json()["name"] for each in answers} == {"second"}
    (running.folder / "held.yaml").unlink()


@pytest.mark.parametrize("stops", [True, False])
def test_requests_that_wait_for_a_service_that_goes_or_stops_are_refused(
    running: Platform, tmp_path: Path, stops: bool
) -> None:
    asleep(running, "going", tmp_path / "going")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(running.ask, "going")
        eventually(lambda: len(running.replicas("going")) == 1)
        if stops:
            annotations = {**ZERO, "serving.kserve.io/stop": "true"}
            text = mirror("going", tmp_path / "going", "first", annotations=annotations, minReplicas=0)
            running.declare(text, "going.yaml")
        else:
            (running.folder / "going.yaml").unlink()
        answer = asked.result(60)
    assert (answer.status_code, "error" in answer.json()) == (503, True)
    assert answer.headers["retry-after"]
    (running.folder / "going.yaml").unlink(missing_ok=True)
    eventually(lambda: running.view("going") == {})


def test_a_storm_of_edits_ends_with_the_last_and_loses_no_request(running: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "edited"
    running.declare(mirror("edited", folder, "0"), "edited.yaml")
    running.wait_ready("edited")
    sent: collections.Counter[str] = collections.Counter()
    stop = threading.Event()

    def ask(client: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            head = f"POST /serving/default/edited/x HTTP/1.1\nhost: x\ncontent-length: 0\nx-number: {client}-{number}"
            status, _ = raw(running, head)
            sent[f"{client}-{number}" if status == 200 else f"lost {status}"] += 1

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, client) for client in range(3)]
        try:
            for edit in range(1, 31):
                text = json.loads(mirror("edited", folder, str(edit), canaryTrafficPercent=edit * 37 % 101))
                running.declare(json.dumps(text), "edited.yaml")
                time.sleep(0.05)  # an edit is to be seen now and then, and not only the last
            running.declare(mirror("edited", folder, "last"), "edited.yaml")

            def told() -> set[str]:
                return {running.ask("edited").json()["name"] for _ in range(5)}

            eventually(lambda: told() == {"last"})
        finally:
            stop.set()
        for each in asking:
            each.result(60)
    noted = collections.Counter((folder / "numbers").read_text().split())
    assert not [name for name in sent if name.startswith("lost")]
    assert noted == sent  # each was answered, and each reached a model once
    (running.folder / "edited.yaml").unlink()


def _of_another_shape(record: dict[str, Any]) -> Iterator[str]:
    """What a file of a service may hold that is JSON, and nothing that the platform wrote."""
    yield from ("[]", '{"generation": 1')

    def changed(change: Callable[[dict[str, Any]], object]) -> str:
        copied = copy.deepcopy(record)
        change(copied)
        return json.dumps(copied)

    yield changed(lambda it: it.update(generation="x"))
    yield changed(lambda it: it.update(tracks=[1]))
    yield changed(lambda it: it["tracks"]["a-predictor"].pop("ledger"))
    yield changed(lambda it: it["tracks"]["a-predictor"]["ledger"].update(shares=[1]))
    yield changed(lambda it: it["tracks"]["a-predictor"].update(manifests={"a-predictor-00001": {"kind": "x"}}))


def test_kept_files_of_any_shape_never_keep_a_platform_from_starting(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "a.yaml").write_text(custom("a", tmp_path / "a"))
    kept = tmp_path / "state" / "default" / "service_default_a.json"
    with platform(manifests) as made:
        made.wait_ready("a")
    for text in _of_another_shape(json.loads(kept.read_text())):
        kept.write_text(text)
        (kept.parent / "processes.json").write_text('[1, {"pid": 1}]')
        with platform(manifests) as made:
            made.wait_ready("a")
            assert made.ask("a").status_code == 200, text[:200]
