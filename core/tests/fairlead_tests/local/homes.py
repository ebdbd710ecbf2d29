"""Homes of platforms for tests: folders of their own, with paths that are short enough for Unix sockets."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["home"]


@contextlib.contextmanager
def home() -> Iterator[dict[str, str]]:
    """The variables of an environment in which platforms keep what they have in a folder that is removed."""
    root = Path(tempfile.mkdtemp(prefix="fl-"))
    (root / "run").mkdir(mode=0o700)
    try:
        yield {"FAIRLEAD_STATE": str(root / "state"), "XDG_RUNTIME_DIR": str(root / "run"), "HOME": str(root)}
    finally:
        shutil.rmtree(root, ignore_errors=True)
