"""How many threads a model may compute with: one setting, and one place that knows the cores of this process."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead import errors
from fairlead.contracts.runtime import Setting

if TYPE_CHECKING:
    from fairlead.contracts.runtime import LoadSettings

__all__ = ["NTHREAD", "VARIABLES", "Limit", "available", "chosen", "given", "limit", "prepare"]

NTHREAD: Final = Setting(
    "nthread",
    0,
    "Threads that one prediction may use; 0 stands for the cores that the process has.",
    flags=("--nthread",),
)
"""The setting of a runtime whose library computes in threads of its own."""

VARIABLES: Final = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS",),
)
"""Variables by which libraries learn how many threads to start; they read them when they are imported."""

Limit: TypeAlias = "Callable[[], contextlib.AbstractContextManager[Any]]"
"""Makes the context of a call that is held to a number of threads."""

_CGROUP: Final = Path("/sys/fs/cgroup")


def available(root: Path = _CGROUP) -> int:
    """The cores that this process has: those that it may run on, and no more than its control group's quota.

    A container with a limit of CPU sees every core of its machine; a library that starts a thread for each is stopped
    by the quota most of the time.

    Args:
        root: where control groups are mounted.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(root)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def given(settings: LoadSettings) -> int:
    """The setting `NTHREAD` as it was given; 0 where it was not.

    Raises:
        ConfigurationError: it is negative.
    """
    count = int(settings.options.get(NTHREAD.name, 0))
    if count < 0:
        raise errors.ConfigurationError(f"setting {NTHREAD.name}: {count} is negative; 0 stands for the cores.")
    return count


def chosen(settings: LoadSettings) -> int:
    """How many threads one prediction may use: the setting `NTHREAD`, else the cores that there are.

    Raises:
        ConfigurationError: the setting is negative.
    """
    return given(settings) or available()


def limit(count: int) -> Limit | None:
    """What holds the pools of OpenMP and BLAS to a number of threads, around a call.

    These pools belong to the thread or the process and not to a model, so that a number cannot be set once.

    Args:
        count: the number; 0 for no limit.

    Returns:
        What makes the context of a call; None when there is no limit.
    """
    if count == 0:
        return None
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    return lambda: controller.limit(limits=count)


def prepare(environ: MutableMapping[str, str], root: Path = _CGROUP) -> None:
    """Tell libraries that are imported from now on how many cores there are, where nobody has told them already.

    Args:
        environ: the environment of this process; it is changed.
        root: where control groups are mounted.
    """
    if _is_told(environ):
        return
    count = available(root)
    if count < (os.cpu_count() or 1):  # else they find that number by themselves
        for name in VARIABLES:
            environ[name] = str(count)


def _is_told(environ: Mapping[str, str]) -> bool:
    return any(name in environ for name in VARIABLES)


def _quota(root: Path) -> float | None:
    """The cores that a control group may use, of version 2 or 1; None for any."""
    with contextlib.suppress(OSError, ValueError):
        most, period, *_ = (root / "cpu.max").read_text(encoding="ascii").split()
        return None if most == "max" else int(most) / int(period)
    with contextlib.suppress(OSError, ValueError):
        most_1 = int((root / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period_1 = int((root / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return None if most_1 <= 0 else most_1 / period_1
    return None
