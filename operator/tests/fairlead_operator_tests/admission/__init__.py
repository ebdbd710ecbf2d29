"""Admission: defaults, validation, the webhooks that API servers ask, and their certificate."""
