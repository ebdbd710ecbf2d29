"""``python -m fairlead.protocol._pb.generate`` makes ``inference.binpb`` anew from ``inference.proto``.

It needs grpcio-tools, which a server does not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["TARGET", "generated"]

_FOLDER: Final = Path(__file__).resolve().parent
_ROOT: Final = _FOLDER.parents[2]
_SOURCE: Final = "fairlead/protocol/_pb/inference.proto"
TARGET: Final = _FOLDER / "inference.binpb"
"""The descriptors of the messages: a serialized ``FileDescriptorSet``."""


def generated() -> bytes:
    """The descriptors that the compiler makes of the proto file now.

    The compiler runs in a process of its own: in one that has imported TensorFlow, it ends the process.

    Raises:
        RuntimeError: the compiler does not take the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.binpb"
        arguments = [f"--proto_path={_ROOT}", f"--descriptor_set_out={made}", _SOURCE]
        command = [sys.executable, "-m", "grpc_tools.protoc", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"{_SOURCE} does not compile: {result.stderr.strip()}")
        return made.read_bytes()


if __name__ == "__main__":
    TARGET.write_bytes(generated())
