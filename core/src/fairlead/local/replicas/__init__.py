"""Replicas: one process or container each, from a container of a PodSpec to a command that runs, answers and ends."""
