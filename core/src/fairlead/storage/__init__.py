"""Fetching artefacts: the fetcher, and the providers for local files and http(s)."""
