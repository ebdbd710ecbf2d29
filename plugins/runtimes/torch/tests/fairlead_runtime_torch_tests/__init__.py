"""Skipped as a whole where there is no torch."""

import pytest

pytest.importorskip("torch", reason="there is no torch for the CPU alone; `make install` says what to do")
