"""The storage provider for OCI registries."""
