"""Tests of the operator's cluster."""
