"""HTTP/2 behind the native front: streams are answered here, all else goes on to grpc.aio."""
