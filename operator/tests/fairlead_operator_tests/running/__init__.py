"""Tests of the operator as it runs in a cluster."""
