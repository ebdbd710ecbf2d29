"""The gRPC server: a shell over the engine, beside REST and without any knowledge of it."""
