"""The activator: holds requests for components without replicas, wakes them, and leaves the path."""
