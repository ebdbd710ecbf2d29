"""The gateway: Envoy, its configuration as a function of what is to be routed, and what it measures."""
