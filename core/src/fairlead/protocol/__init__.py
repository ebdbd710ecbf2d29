"""The wire formats: each module decodes a protocol to `InferRequest` and encodes it from `InferResponse`."""
