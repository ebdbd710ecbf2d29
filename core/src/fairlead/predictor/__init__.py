"""Asking another server's model: what a transformer and an explainer do with their predictor."""
