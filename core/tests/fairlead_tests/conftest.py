"""What all tests have in common: the libraries that they import are not looked through for garbage again and again."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Set aside what is there once all modules are imported: with every framework that is a million objects.

    An engine whose model leaves has Python look for garbage, which takes a second each time among so many.
    """
    gc.collect()
    gc.freeze()
