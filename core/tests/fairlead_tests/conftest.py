"""What all tests have in common: patience with a busy machine, and no look for garbage again and again."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import hypothesis
import pytest

# By default an example that takes a fifth of a second fails its test, whatever the machine was busy with.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Set aside what is there once all modules are imported: with every framework that is a million objects.

    An engine whose model leaves has Python look for garbage, which takes a second each time among so many.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children can be interrupted, even when this process was started in the background and ignores it for them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
