"""Traces of requests, exported by OpenTelemetry where its environment asks for it; nothing of it is imported else."""
