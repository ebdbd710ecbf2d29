"""Whether this process sees a CUDA device, and which execution providers a model is to run on."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Final

from fairlead import errors

__all__ = ["CPU", "CUDA", "cuda_is_visible", "device_of", "resolve"]

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

_SUFFIX: Final = "ExecutionProvider"
_DRIVER: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def cuda_is_visible() -> bool:
    """Whether the driver of CUDA is here and shows a device to this process (``CUDA_VISIBLE_DEVICES`` may hide them).

    Asks the driver for its count, which takes no memory of a device.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def resolve(asked: str, available: Sequence[str], version: str) -> list[str]:
    """The execution providers that the setting means.

    Args:
        asked: names with commas between them, in full (``CUDAExecutionProvider``) or short (``cuda``); empty for the
            choice of this runtime: CUDA where it is available and a device is visible, else the CPU.
        available: those of the installed onnxruntime.
        version: the version of it, for messages.

    Raises:
        ConfigurationError: one is not available; another is never taken in its place.
    """
    names = [name.strip() for name in asked.split(",") if name.strip()]
    if not names:
        return [CUDA, CPU] if CUDA in available and cuda_is_visible() else [CPU]
    known = {_short(name): name for name in available}
    missing = [name for name in names if _short(name) not in known]
    if missing:
        has = ", ".join(sorted(known))
        raise errors.ConfigurationError(
            f"setting providers: onnxruntime {version} as installed does not have {', '.join(missing)}; it has {has}.",
            remedy="Install the build of onnxruntime that has it, for example onnxruntime-gpu in place of onnxruntime.",
        )
    return list(dict.fromkeys(known[_short(name)] for name in names))


def device_of(providers: Sequence[str]) -> str:
    """What computes, as other runtimes name it: the device of the first provider."""
    return {CPU: "cpu", CUDA: "cuda:0", "TensorrtExecutionProvider": "cuda:0"}.get(providers[0], _short(providers[0]))


def _short(name: str) -> str:
    return name.removesuffix(_SUFFIX).lower()
