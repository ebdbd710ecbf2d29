"""Holding an estimator to a number of threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Limit", "limit", "one"]

Limit: TypeAlias = "Callable[[], contextlib.AbstractContextManager[Any]]"


def one() -> contextlib.AbstractContextManager[Any]:
    """The context of a call that starts no pool of threads.

    A pool of OpenMP does not survive a fork: a copy of the process would wait for its threads for ever. So none is
    started before a process may have been copied.
    """
    from threadpoolctl import ThreadpoolController

    context: contextlib.AbstractContextManager[Any] = ThreadpoolController().limit(limits=1)
    return context


def limit(estimator: Any, count: int) -> Limit | None:
    """Let an estimator use no more than ``count`` threads.

    Every ``n_jobs`` of the estimator and of its parts is set. The pools of OpenMP and BLAS belong to the thread or the
    process and not to an estimator, so that they are held by the returned context, around every call.

    Args:
        estimator: the estimator; it is changed.
        count: the number; 0 changes nothing.

    Returns:
        What makes the context of a call; None when there is no limit.
    """
    if count == 0:
        return None
    from threadpoolctl import ThreadpoolController

    if hasattr(estimator, "get_params"):
        jobs = [name for name in estimator.get_params(deep=True) if name.split("__")[-1] == "n_jobs"]
        estimator.set_params(**dict.fromkeys(jobs, count))
    controller = ThreadpoolController()
    return lambda: controller.limit(limits=count)
