"""The storage provider for files of this machine."""
