"""The fast front: ModelInfer over the native gRPC package, in threads."""
