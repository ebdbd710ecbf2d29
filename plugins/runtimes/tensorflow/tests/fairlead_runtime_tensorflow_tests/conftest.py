"""What all tests of this plugin share: warnings that saving a model causes, and serving one does not."""

from __future__ import annotations

import pytest

_OF_SAVING = (
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",  # Keras, with numpy 2
    "ignore:You are saving a model that has not yet been built",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Turn them off for the tests of this plugin alone."""
    for item in items:
        if "fairlead_runtime_tensorflow_tests" in item.nodeid:
            for each in _OF_SAVING:
                item.add_marker(pytest.mark.filterwarnings(each))
