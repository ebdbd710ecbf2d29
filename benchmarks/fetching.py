"""Fetching from S3: Fairlead beside s3fs and KServe's own initializer, from one emulator in one run.

    python benchmarks/fetching.py                   # 1 GB in one object, and in 1,000
    python benchmarks/fetching.py --mebibytes 100 --rounds 3

Each contender is a process of its own that imports what it needs first; the fetch alone is timed, as often as there are
rounds, in turns. Times are medians. Memory is the most that the process held beyond what it held before the fetch.
KServe's package is installed into an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
KSERVE: Final = ("kserve-storage", "boto3")
BUCKET: Final = "benchmark"
MIB: Final = 1024 * 1024

FETCHES: Final = {
    "fairlead": """
from fairlead.plugins import Kind, Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
plugins = Plugins.discover()
plugins.factory(Kind.STORAGE, plugins.storage_providers()["s3"])
import s3fs
def fetch(uri, out):
    Fetcher(plugins, FetchSettings(cache=pathlib.Path(out), settle_later=True), SilentProgress()).fetch(uri)
""",
    "s3fs, one stream": """
import s3fs
fs = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], max_concurrency=1)
def fetch(uri, out):
    fs.get(uri, out + "/model", recursive=True)
""",
    "s3fs, as it comes": """
import s3fs
fs = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
def fetch(uri, out):
    fs.get(uri, out + "/model", recursive=True)
""",
    "kserve-storage": """
from kserve_storage import Storage
import boto3
def fetch(uri, out):
    Storage.download(uri, out)
""",
}
MEASURE: Final = """
import json, os, pathlib, sys, time
def held():
    text = pathlib.Path("/proc/self/status").read_text()
    return {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines() if line.startswith("Vm")}
{define}
pathlib.Path("/proc/self/clear_refs").write_text("5")
before, began, spent = held()["VmRSS"], time.perf_counter(), time.process_time()
fetch(sys.argv[1], sys.argv[2])
print(json.dumps([time.perf_counter() - began, (held()["VmHWM"] - before) / 1024, time.process_time() - spent]))
"""


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Compare fetches from an S3 emulator.")
    parser.add_argument("--mebibytes", type=int, default=1000, help="how much is fetched")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender fetches")
    parser.add_argument("--without-kserve", action="store_true", help="leave KServe's package out")
    args = parser.parse_args()
    contenders = [name for name in FETCHES if not (args.without_kserve and name.startswith("kserve"))]
    kserve = None if args.without_kserve else _kserve()
    with tempfile.TemporaryDirectory() as folder, _emulator() as environ:
        _fill(environ, args.mebibytes, Path(folder))
        for what in ("one", "many"):
            _say(f"{args.mebibytes} MiB in {'one object' if what == 'one' else f'{args.mebibytes} objects'}")
            found: dict[str, list[Sequence[float]]] = {name: [] for name in contenders}
            for _ in range(args.rounds):
                for name in contenders:
                    python = kserve if name.startswith("kserve") else Path(sys.executable)
                    assert python is not None
                    found[name].append(_measured(python, name, f"s3://{BUCKET}/{what}", environ, Path(folder)))
            _report(found)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # the figures are what this script is for


def _report(found: Mapping[str, Sequence[Sequence[float]]]) -> None:
    base = statistics.median(each[0] for each in found["fairlead"])
    _say(f"  {'':20} {'seconds':>8} {'of ours':>8} {'CPU s':>7} {'memory':>9}")
    for name, rounds in found.items():
        seconds, memory, spent = (statistics.median(column) for column in zip(*rounds, strict=True))
        _say(f"  {name:20} {seconds:8.2f} {seconds / base:7.2f}x {spent:7.2f} {memory:5.0f} MiB")


def _measured(python: Path, name: str, uri: str, environ: Mapping[str, str], folder: Path) -> Sequence[float]:
    out = folder / "out"
    out.mkdir()
    try:
        code = MEASURE.replace("{define}", FETCHES[name])
        command = [str(python), "-W", "ignore", "-c", code, uri, str(out)]
        done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        measured: Sequence[float] = json.loads(done.stdout.splitlines()[-1])
        return measured
    finally:
        shutil.rmtree(out)


@contextmanager
def _emulator() -> Iterator[Mapping[str, str]]:
    """A server of moto, and the variables by which clients find it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(OSError), urllib.request.urlopen(f"{url}/moto-api/"):  # noqa: S310  # our own server
                break
            time.sleep(0.1)
        keys = {
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield {**os.environ, **keys, "AWS_ENDPOINT_URL": url}
    finally:
        server.terminate()
        server.wait()


def _fill(environ: Mapping[str, str], mebibytes: int, folder: Path) -> None:
    """Put the objects there, from a process of its own, whose memory is nobody's."""
    code = f"""
import os, pathlib, boto3
client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
client.create_bucket(Bucket="{BUCKET}")
block = os.urandom({MIB})
path = pathlib.Path({str(folder / "one.bin")!r})
with path.open("wb") as file:
    for _ in range({mebibytes}):
        file.write(block)
with path.open("rb") as file:
    client.put_object(Bucket="{BUCKET}", Key="one/model.bin", Body=file)
path.unlink()
for number in range({mebibytes}):
    client.put_object(Bucket="{BUCKET}", Key=f"many/{{number:05}}.bin", Body=number.to_bytes(8, "big") + block[8:])
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environ, check=True)


def _kserve() -> Path:
    """The Python of an environment with KServe's package."""
    folder = ROOT / "build" / "venvs" / "kserve-storage"
    python = folder / "bin" / "python"
    if not python.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *KSERVE], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
