"""The engine: registry, lifecycle, batching, admission and metrics, without any transport."""
