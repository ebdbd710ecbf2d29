"""Tests of the operator's engine."""
