"""Weighing a load: how much memory a model takes, as far as that can be seen."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from fairlead.engine import memory
from fairlead.runtimes import stderr

if TYPE_CHECKING:
    from fairlead.contracts.runtime import RuntimeSpec
    from fairlead.engine.loading import Prepared

__all__ = ["Scale"]


class Scale:
    """Weighs one load by the memory that the process has before and after it; used in the model's thread.

    Args:
        prepared: what loads.
        limit: what all models may take; 0 for any.
        is_alone: whether nothing else has loaded since the load began.
    """

    def __init__(self, prepared: Prepared, limit: int, is_alone: Callable[[], bool]) -> None:
        self._prepared = prepared
        self._limit = limit
        self._is_alone = is_alone
        self._before: int | None = None
        self._modules: set[str] = set()

    def begin(self, spec: RuntimeSpec) -> None:
        """Look before the load; a library is imported first, because it stays when its first model goes."""
        absent = [library.module for library in spec.libraries if library.module not in sys.modules]
        if absent:
            with stderr.taken(logging.getLogger(f"fairlead.runtimes.{spec.name}")):
                for module in absent:
                    with contextlib.suppress(Exception):  # the runtime says it better
                        importlib.import_module(module)
        memory.trim()
        self._modules = set(sys.modules)
        self._before = memory.private()

    def end(self) -> int:
        """Look after the load; no less than the size of the files, and that alone where there is no telling.

        Modules that the load imported first are counted with it, unless it would not fit for them: they stay when the
        model goes, and are not counted when it loads again.
        """
        config, files = self._prepared.config, self._prepared.files
        if config.memory is not None:
            return config.memory
        after = memory.private()
        if self._before is None or after is None or not self._is_alone():
            return files.size
        size = max(after - self._before, files.size)
        if 0 < self._limit < size and memory.foreign_modules(self._modules, self._prepared.artifact.path.absolute()):
            return files.size
        return size
