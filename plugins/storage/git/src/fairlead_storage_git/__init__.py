"""The storage provider for git repositories."""
