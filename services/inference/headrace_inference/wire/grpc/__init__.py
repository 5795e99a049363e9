"""The protocol's RPCs on grpc.aio."""
