"""A terminal in which the blocks of one page are run: a folder, an environment, and the servers that it started."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import httpx

from architecture import workspace
from e2e import pages, venvs
from fairlead_tests.ports import held_port

__all__ = ["Terminal"]

PATIENCE: Final = 60.0
"""Seconds that anything here may take before the test fails."""

_PORT: Final = re.compile(r"\b80[89]\d\b")
_OPTION: Final = re.compile(r"--(?:http-)?port[ =](\d+)")
_PLATFORM: Final = re.compile(r"--name[ =](\S+)")
_SCRIPTS: Final = {
    "fairlead": "from fairlead.cli.main import main",
    "pip": "from pip._internal.cli.main import main",
    "pytest": "from pytest import console_main as main",
}
_MAKE: Final = """\
#!/bin/sh
[ "$*" = demo ] && exec python {root}/examples/demo.py
echo "make $*: a page cannot run this; show it in a text block" >&2
exit 1
"""


@dataclasses.dataclass
class _Job:
    """A server that a page started."""

    text: str
    process: subprocess.Popen[str]
    lines: list[str]
    reader: threading.Thread
    shown: int = 0

    def printed(self) -> str:
        """What it has printed since the page last showed it."""
        return "".join(self.lines[self.shown :])


class Terminal:
    """Runs the blocks of a page, and fails where the page is wrong; ends its servers as a context manager.

    Ports that pages name (8080 to 8099) stand for ports that the system chooses.

    Args:
        folder: an empty folder.
        variables: more variables of what runs in it.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self._root = folder
        self._cwd = folder / "work"
        self._cwd.mkdir()
        self._ports: dict[str, str] = {}
        self._held = contextlib.ExitStack()
        self._jobs: list[_Job] = []
        self._numbered: dict[int, _Job] = {}
        # Platforms have Unix sockets, whose paths must be short.
        self._sockets = Path(tempfile.mkdtemp(prefix="fl-"))
        python = venvs.over_workspace(folder / "venv")
        for name, statement in _SCRIPTS.items():
            self._script(name, f"#!{python}\nimport sys\n{statement}\nsys.exit(main())\n")
        self._script("make", _MAKE.format(root=workspace.ROOT))
        (folder / ".curlrc").write_text("silent\nshow-error\n")
        self._environ = venvs.environ(
            python,
            {
                "HOME": str(folder),
                "XDG_RUNTIME_DIR": str(self._sockets),
                "FAIRLEAD_CACHE": str(folder / "cache"),
                "FAIRLEAD_STATE": str(folder / "state"),
                "FAIRLEAD_HTTP_PORT": self._port("8080"),
                "FAIRLEAD_GRPC_PORT": self._port("8081"),
                "FAIRLEAD_LOG_FORMAT": "text",  # as in a terminal
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_NO_BUILD_ISOLATION": "0",  # pip's spelling of "do not isolate"
                "PIP_NO_INDEX": "1",
                **(variables or {}),
            },
        )
        for name in ("COLUMNS", "LINES"):  # of the terminal that runs the tests, where it has told them
            self._environ.pop(name, None)
        self._environ["PATH"] += f":{sysconfig.get_path('scripts')}"

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            for job in self._jobs:
                _end(job)
            for platform in (self._root / "state").glob("*"):
                self._run_shell(f"fairlead down --name {platform.name}")
        finally:
            self._held.close()
            shutil.rmtree(self._sockets, ignore_errors=True)

    def run(self, block: pages.Block) -> None:
        """Do with a block what its language asks for.

        Raises:
            AssertionError: it does not work as the page says.
        """
        if block.file is not None:
            path = self._cwd / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._with_ports(block.text), encoding="utf-8")
        elif block.language == "python":
            self._run_python(block)
        elif block.language == "console":
            listed = list(pages.commands(block))
            for command in listed:
                self._run_command(command, fails=command is listed[-1] and "fails" in block.options)

    # -- what a block asks for --------------------------------------------------------------------------

    def _run_python(self, block: pages.Block) -> None:
        script = self._root / f"line_{block.line}.py"
        script.write_text(self._with_ports(block.text), encoding="utf-8")
        status, printed = self._run_shell(f"python -W error {shlex.quote(str(script))}")
        assert status == 0, f"{block.place}: the block fails:\n{printed}"

    def _run_command(self, command: pages.Command, *, fails: bool) -> None:
        text = self._with_ports(command.text)
        if ended := re.fullmatch(r"kill %(\d+)", text):
            number = int(ended[1])
            assert number in self._numbered, f"{command.place}: there is no job {number}"
            self._end(self._numbered.pop(number), command)
        elif text.endswith(" &"):
            self._start(text.removesuffix(" &"), command)
        else:
            status, printed = self._run_shell(text)
            assert (status != 0) is fails, f"{command.place}: {text} exits with {status}:\n{printed}"
            self._compare(command, lambda: printed)
            if text.startswith("fairlead down"):
                self._forget_platform(text, command)

    def _start(self, text: str, command: pages.Command) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {text}"],
            cwd=self._cwd,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: list[str] = []
        reader = threading.Thread(target=_read, args=(process, lines))
        reader.start()
        job = _Job(text, process, lines, reader)
        self._jobs.append(job)
        self._numbered[max(self._numbered, default=0) + 1] = job  # as bash numbers them
        option = _OPTION.search(text)
        url = f"http://127.0.0.1:{option[1] if option else self._port('8080')}/v2/health/ready"
        starts = _wait_for(lambda: process.poll() is not None or _answers(url)) and process.poll() is None
        assert starts, f"{command.place}: the server does not start:\n{job.printed()}"
        self._compare(command, job.printed)
        job.shown = len(lines)

    def _end(self, job: _Job, command: pages.Command) -> None:
        job.process.send_signal(signal.SIGTERM)
        status = job.process.wait(PATIENCE)
        job.reader.join()
        assert status == 0, f"{command.place}: the server exits with {status}:\n{job.printed()}"
        self._compare(command, job.printed)

    def _forget_platform(self, text: str, command: pages.Command) -> None:
        """A platform that was told to end is no job any more, as in a shell."""
        for number, job in list(self._numbered.items()):
            if job.text.startswith("fairlead up") and _PLATFORM.findall(job.text) == _PLATFORM.findall(text):
                status = self._numbered.pop(number).process.wait(PATIENCE)
                assert status == 0, f"{command.place}: the platform exits with {status}:\n{job.printed()}"

    def _compare(self, command: pages.Command, printed: Callable[[], str]) -> None:
        """Compare what was printed with what the page shows; a server may still be about to print it."""
        if not any(line.strip() for line in command.output):
            return
        expected = [self._with_ports(line) for line in command.output]
        same = _wait_for(lambda: pages.matches(expected, printed()), PATIENCE if command.text.endswith(" &") else 0)
        shown = "\n".join(expected).strip("\n")
        assert same, f"{command.place}: the page shows\n{shown}\n\nand the command prints\n{printed()}"

    # -- the terminal -----------------------------------------------------------------------------------

    def _run_shell(self, text: str) -> tuple[int, str]:
        """Run a command where the one before it left off; returns its status and what it printed."""
        left = self._root / "cwd"
        done = subprocess.run(
            ["bash", "-c", f'{text}\nstatus=$?\npwd > "{left}"\nexit $status'],
            cwd=self._cwd,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if left.exists():
            self._cwd = Path(left.read_text().removesuffix("\n"))
        return done.returncode, done.stdout

    def _script(self, name: str, text: str) -> None:
        path = self._root / "venv" / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def _with_ports(self, text: str) -> str:
        return _PORT.sub(lambda found: self._port(found[0]), text)

    def _port(self, shown: str) -> str:
        if shown not in self._ports:
            self._ports[shown] = str(self._held.enter_context(held_port()))
        return self._ports[shown]


def _end(job: _Job) -> None:
    if job.process.poll() is None:
        job.process.terminate()
    try:
        job.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        job.process.kill()
        job.process.wait()
    job.reader.join()


def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.append(line)  # noqa: PERF402  # seen by others one by one


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code != httpx.codes.SERVICE_UNAVAILABLE
    except httpx.TransportError:
        return False


def _wait_for(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)
    return True
