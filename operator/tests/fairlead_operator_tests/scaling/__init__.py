"""Tests of strategies that the operator asks itself."""
