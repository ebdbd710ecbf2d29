"""Tests of what the operator renders."""
