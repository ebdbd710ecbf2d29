from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fairlead.local.replicas.commands import Launch
from fairlead.local.replicas.process import Process, how_it_ended
from fairlead_tests.local.replicas.making import script, until
from fairlead_tests.waiting import eventually

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")


def launch(*argv: str) -> Launch:
    return Launch(argv=argv, env=dict(os.environ))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_output_of_both_kinds_is_read_to_its_end(tmp_path: Path) -> None:
    source = "import os\nos.write(1, b'out' * 100000)\nos.write(2, b'error')\n"
    found = bytearray()

    async def scenario() -> int:
        async with asyncio.timeout(60):
            return await Process(launch(*script(tmp_path, source)), found.extend).ended

    assert asyncio.run(scenario()) == 0
    assert bytes(found) == b"out" * 100000 + b"error"


def test_a_process_that_ends_at_sigterm_is_not_killed(tmp_path: Path) -> None:
    source = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        print("up", flush=True)
        time.sleep(1000)
    """

    async def scenario() -> int:
        up = asyncio.Event()
        process = Process(launch(*script(tmp_path, source)), lambda _data: up.set())
        await up.wait()
        return await process.stop(60)

    assert asyncio.run(scenario()) == 7


def test_a_process_that_ignores_sigterm_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    source = """
        import os, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        near = subprocess.Popen(["sleep", "1000"])
        far = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        print(near.pid, far.pid, flush=True)
        time.sleep(1000)
    """
    said = bytearray()

    async def scenario() -> int:
        process = Process(launch(*script(tmp_path, source)), said.extend)
        await until(lambda: said.endswith(b"\n"))
        return await process.stop(0.05)

    assert asyncio.run(scenario()) == -signal.SIGKILL
    eventually(lambda: not any(alive(int(pid)) for pid in said.split()))


def test_what_a_process_leaves_in_its_group_ends_with_it(tmp_path: Path) -> None:
    source = """
        import subprocess
        print(subprocess.Popen(["sleep", "1000"]).pid, flush=True)
    """
    said = bytearray()

    async def scenario() -> int:
        async with asyncio.timeout(60):
            return await Process(launch(*script(tmp_path, source)), said.extend).ended

    assert asyncio.run(scenario()) == 0
    eventually(lambda: not alive(int(said)))


def test_a_program_that_is_not_there_is_an_error_and_leaks_nothing() -> None:
    def pipes() -> set[str]:
        """Those of this process; its other threads open and close sockets."""
        found = set()
        for each in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.add(str(each.readlink()))
        return {each for each in found if each.startswith("pipe:")}

    async def scenario() -> None:
        before = pipes()
        with pytest.raises(FileNotFoundError):
            Process(launch("/nowhere/server"), lambda _data: None)
        assert pipes() <= before

    asyncio.run(scenario())


@LINUX
def test_a_process_ends_when_the_platform_is_killed(tmp_path: Path) -> None:
    platform = tmp_path / "platform.py"
    platform.write_text(
        textwrap.dedent(
            """
            import asyncio, os
            from fairlead.local.replicas.commands import Launch
            from fairlead.local.replicas.process import Process

            async def main():
                process = Process(Launch(argv=("sleep", "1000"), env=dict(os.environ)), lambda data: None)
                print(process.pid, flush=True)
                await process.ended

            asyncio.run(main())
            """
        )
    )
    with subprocess.Popen([sys.executable, str(platform)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        try:
            assert alive(pid)
            parent.kill()
            eventually(lambda: not alive(pid))
        finally:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


@LINUX
def test_usage_counts_what_the_process_has_started(tmp_path: Path) -> None:
    source = """
        import subprocess, sys
        busy = [
            "import time",
            "end = time.process_time() + 0.2",
            "while time.process_time() < end: pass",
            "much = bytearray(50_000_000)",
            "print('done', flush=True)",
            "time.sleep(1000)",
        ]
        subprocess.run([sys.executable, "-c", "\\n".join(busy)])
    """
    said = bytearray()

    async def scenario() -> tuple[float, int] | None:
        process = Process(launch(*script(tmp_path, source)), said.extend)
        await until(lambda: said == b"done\n")
        found = process.usage()
        await process.stop(0)
        assert process.usage() is None
        return found

    found = asyncio.run(scenario())
    assert found is not None
    assert found[0] >= 0.2
    assert found[1] > 50_000_000


def test_an_end_is_told_in_words() -> None:
    assert how_it_ended(3) == "ended with status 3"
    assert how_it_ended(-9) == "was killed by SIGKILL"
    assert how_it_ended(-99) == "was killed by signal 99"
