"""The messages of the Open Inference Protocol over gRPC, in a descriptor pool of their own."""
