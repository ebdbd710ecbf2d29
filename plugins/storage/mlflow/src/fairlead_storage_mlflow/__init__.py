"""The storage provider for MLflow."""
