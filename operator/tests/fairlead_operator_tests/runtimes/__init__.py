"""Tests of the runtimes that are rendered."""
