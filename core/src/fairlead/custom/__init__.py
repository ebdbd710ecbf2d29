"""The author's API: a Python class becomes a served model."""
