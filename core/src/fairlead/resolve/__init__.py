"""From an InferenceService to what is to run: defaults, validation, runtime selection, merge, and back to its status.

Everything here is pure: no I/O, no clock.
"""
