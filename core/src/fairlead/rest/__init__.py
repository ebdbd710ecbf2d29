"""The REST server: a FastAPI application with the inference routes as plain ASGI endpoints."""
