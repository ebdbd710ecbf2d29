"""The storage provider for http and https."""
